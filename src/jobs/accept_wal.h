#ifndef JOBS_ACCEPT_WAL_H
#define JOBS_ACCEPT_WAL_H

/*
 * accept_wal: the WAL of one timeline that another site sends, as a compressed
 * stream in chunks of any order, becomes segments here.
 *
 * It is taken as the receiver takes it from a server (receive_take.c): records
 * are checked, segments made and stored, the open one synced.  What is reported
 * as durable is.  A thread does what waits for disks.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "conf/settings.h"
#include "repo/repo.h"

/* How far the sender may be ahead of what was taken, in compressed bytes. */
#define ACCEPT_WAL_WINDOW ((uint64_t)32 << 20)

struct accept_wal;

/*
 * Begin at start_lsn, a segment's start.  *from_lsn is where the sender is to go
 * on: behind what is here.  notify is called from the thread when the position
 * has moved.
 */
struct accept_wal *accept_wal_new(const struct lineage *l,
    const struct cluster_settings *c, uint32_t timeline, uint64_t start_lsn,
    void (*notify)(void *arg), void *arg, uint64_t *from_lsn, struct err *e);
/* What was taken is durable or was never reported. */
void accept_wal_free(struct accept_wal *a);
AUTO_DEFINE(struct accept_wal, accept_wal_free);
#define AUTO_ACCEPT_WAL AUTO(accept_wal_free_auto)

/* -1: ERR_CORRUPT, more than the window. */
int accept_wal_chunk(struct accept_wal *a, uint64_t offset, const uint8_t *data,
    size_t len, struct err *e);
/* The end of the timeline stands at this offset of the stream: when all before
 * it is taken, the open segment becomes a partial. */
void accept_wal_end(struct accept_wal *a, uint64_t offset);

struct accept_wal_state {
	uint64_t consumed;    /* offset of the stream up to which it is taken */
	uint64_t durable_lsn; /* LSN_NONE: nothing yet */
	bool ended;	      /* accept_wal_end() is done */
	struct err err;	      /* it is over: why; ERR_NONE */
};
void accept_wal_state(struct accept_wal *a, struct accept_wal_state *st);

#endif /* !JOBS_ACCEPT_WAL_H */
