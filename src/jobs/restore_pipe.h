#ifndef JOBS_RESTORE_PIPE_H
#define JOBS_RESTORE_PIPE_H

/*
 * restore_pipe: files of a backup onto the disk, by several threads.
 *
 *	caller -> [task] -> workers -> [window] -> writers -> disk
 *	                       ^---- empty windows ----'
 *
 * The caller walks the backup and hands in files.  Workers decode blocks into
 * windows; writers put windows on the disk past the page cache meanwhile.
 * Small files, and files of which blocks are there already (delta), are written
 * by the worker itself.  All is bounded, so memory is too.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/progress.h"
#include "base/queue.h"
#include "jobs/restore_file.h"
#include "jobs/restore_fill.h"

struct rpipe;

struct rpipe_counts {
	uint64_t written_bytes;
	uint64_t read_bytes; /* stored */
	uint64_t kept_blocks, written_blocks;
};

struct rpipe *rpipe_new(struct packset *ps, uint64_t block_key,
    unsigned int workers, struct progress *progress, struct err *e);
/* Stops what still runs. */
void rpipe_free(struct rpipe *p);
AUTO_DEFINE(struct rpipe, rpipe_free);
#define AUTO_RPIPE AUTO(rpipe_free_auto)

/* Takes f over.  A failure of any thread is returned by the next call. */
int rpipe_add(struct rpipe *p, struct rfile *f, struct err *e);
/* Nothing more comes: wait until every file is finished. */
int rpipe_finish(struct rpipe *p, struct rpipe_counts *counts, struct err *e);

/* ---- inside: what workers share ---- */

#define RPIPE_WINDOW_BLOCKS ((uint32_t)256)
#define RPIPE_WINDOW_BYTES  ((size_t)RPIPE_WINDOW_BLOCKS * PACK_BLOCK_BYTES)
/* Delta: read in pieces that stay in the processor's cache while summed. */
#define RPIPE_PIECE_BLOCKS ((uint32_t)32)
#define RPIPE_PIECE_BYTES  ((size_t)RPIPE_PIECE_BLOCKS * PACK_BLOCK_BYTES)
#define RPIPE_BATCH_FILES  64

struct rpipe_window {
	struct rfile *file; /* held; NULL when empty */
	uint64_t offset;
	size_t len;
	uint8_t *data;
};

struct rpipe_worker {
	struct rpipe *pipe;
	pthread_t thread;
	struct packset *ps;
	uint64_t block_key;
	struct progress *progress;
	struct fill *fill;
	uint8_t *bytes; /* RPIPE_WINDOW_BYTES, page-aligned */
	uint8_t *old;	/* delta: what is there */
	struct block_place places[RPIPE_WINDOW_BLOCKS];
	struct block_sum sums[RPIPE_WINDOW_BLOCKS];
	struct rpipe_counts counts;
};

/* One part of a file; the caller holds f and finishes it. */
int worker_part(
    struct rpipe_worker *w, struct rfile *f, uint32_t part, struct err *e);
/* The same where f->existed. */
int worker_delta(struct rpipe_worker *w, struct rfile *f, uint32_t first,
    uint32_t count, uint32_t *crc, struct err *e);
/* Places and sums of the next blocks, whose crc is joined to *crc. */
int worker_look_up(struct rpipe_worker *w, const struct rfile *f,
    uint32_t first, uint32_t count, struct err *e);
void worker_join_crc(const struct rpipe_worker *w, const struct rfile *f,
    uint32_t first, uint32_t count, uint32_t *crc);
/* Bytes of count blocks of f from first on. */
size_t worker_bytes(const struct rfile *f, uint32_t first, uint32_t count);

/* An empty window, NULL when the work has failed; and a full one back. */
struct rpipe_window *rpipe_window_get(struct rpipe *p);
bool rpipe_window_put(struct rpipe *p, struct rpipe_window *w);

#endif /* !JOBS_RESTORE_PIPE_H */
