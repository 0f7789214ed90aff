#ifndef JOBS_KEEPER_H
#define JOBS_KEEPER_H

/*
 * keeper: objects that another site sends become objects of a lineage here.
 *
 *	offered -> wanted from an offset -> chunks, in any order -> digest -> kept
 *
 * Bytes go to incoming/<peer>/<lineage>/<digest>/ in the repository; how much of them is
 * durable stands beside it (".have"), so that an interrupted object goes on
 * where it was.  It gets its name when all of it is there, durable and right;
 * a backup only when all that it needs is here.  Nothing that is here already
 * is ever changed.
 *
 * One thread does what waits for disks; the caller polls for results.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "codec/digest.h"
#include "conf/settings.h"
#include "jobs/allowance.h"
#include "repo/repo.h"

/* Bytes of one object from bodies of one site, in memory at most. */
#define KEEPER_QUEUE_MAX  ((size_t)64 << 20)
#define KEEPER_BODIES_MAX 64
/* Of one lineage on its way or left there, half sent. */
#define KEEPER_STAGED_MAX 128

struct keeper;

/* notify is called from the thread when there is a result.  room may be NULL. */
struct keeper *keeper_new(const struct lineage *l, const char *peer,
    struct allowance *room, void (*notify)(void *arg), void *arg);
/* From now on it takes what is damaged or missing here (heal_commit.h): before
 * the first offer. */
void keeper_heal(struct keeper *k, const struct settings *s);
/* What has arrived stays for the next time. */
void keeper_free(struct keeper *k);
AUTO_DEFINE(struct keeper, keeper_free);
#define AUTO_KEEPER AUTO(keeper_free_auto)

/* Name and digest are as the peer says: checked here. */
void keeper_offer(struct keeper *k, uint64_t body, const char *name,
    uint64_t bytes, const uint8_t sha256[SHA256_BYTES]);
/* -1: ERR_CORRUPT, the peer sends what was not wanted, or too much at once. */
int keeper_chunk(struct keeper *k, uint64_t body, uint64_t offset,
    const uint8_t *data, size_t len, struct err *e);

enum kept {
	KEPT_WANTED,  /* send it from offset on */
	KEPT_PART,    /* offset bytes of it are written */
	KEPT_DONE,    /* it is here, durable */
	KEPT_NOT_YET, /* a backup whose needs are not here; offer it again */
	KEPT_NO_ROOM, /* err: offer it again */
	KEPT_REFUSED, /* err: do not offer it again */
	KEPT_DAMAGED  /* err: other bytes than its digest says; offer again */
};

struct keeper_result {
	uint64_t body;
	enum kept what;
	uint64_t offset;
	struct err err;
};

/* false when there is none now. */
bool keeper_result(struct keeper *k, struct keeper_result *r);

#endif /* !JOBS_KEEPER_H */
