#ifndef JOBS_KEEPER_INT_H
#define JOBS_KEEPER_INT_H

/*
 * keeper_int: what the files of the keeper share.
 *
 *	keeper.c	 the thread: what is offered, what comes, what is said of it
 *	keeper_staging.c the files of what is on its way
 */

#include <pthread.h>

#include "base/queue.h"
#include "jobs/keeper.h"
#include "repo/objects.h"
#include "store/store.h"

/* What is there of a body: [from, to) of its bytes. */
struct range {
	uint64_t from, to;
};

/* One object on its way. */
struct body {
	struct body *next;
	uint64_t number;
	char name[STORE_KEY_BYTES];
	char folder[STORE_KEY_BYTES];  /* of what is staged */
	char staging[STORE_KEY_BYTES]; /* key of its bytes */
	enum object_kind kind;
	uint64_t bytes;
	uint8_t sha256[SHA256_BYTES];
	int fd;
	struct range *ranges; /* sorted, apart from each other */
	size_t range_count, range_cap;
	uint64_t reserved;    /* of the allowance */
	uint64_t noted, told; /* prefix that was synced, that was reported */
};

struct keeper {
	struct lineage lineage;
	char peer[64];
	struct allowance *room;
	const struct settings *heals; /* NULL: it adds, and changes nothing */
	void (*notify)(void *arg);
	void *arg;
	struct queue *queue;
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	struct keeper_result *results;
	size_t result_count, result_cap, result_first;
	size_t queued_bytes;
	/* Of the thread: */
	struct body *bodies;
	size_t body_count;
};

static inline struct store *
keeper_store(const struct keeper *k)
{
	return repo_store(k->lineage.repo);
}

/* ---- keeper_staging.c ---- */

/* Where the bytes of an object of this name and digest lie: folder and staging. */
void keeper_stage(const struct keeper *k, struct body *b);
/* Open that, and go on from what an earlier try made durable. */
int keeper_open_staging(struct keeper *k, struct body *b, struct err *e);
void keeper_forget_staging(const struct keeper *k, const struct body *b);
/* Two bodies must never write to one file: when the first has become the
 * object, the second would write into it. */
bool keeper_is_coming(const struct keeper *k, const struct body *b);

/* Bytes from the start without a hole. */
uint64_t keeper_prefix(const struct body *b);
/* [from, to) is written. */
void keeper_add_range(struct body *b, uint64_t from, uint64_t to);
/* Make the prefix durable and note how long it is. */
int keeper_note(struct keeper *k, struct body *b, struct err *e);
/* Of all its bytes.  ERR_CORRUPT. */
int keeper_check_digest(const struct body *b, struct err *e);

#endif /* !JOBS_KEEPER_INT_H */
