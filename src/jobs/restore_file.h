#ifndef JOBS_RESTORE_FILE_H
#define JOBS_RESTORE_FILE_H

/*
 * restore_file: one file that is being restored, by several threads at once.
 *
 * Whoever still has work to do on it holds it; who lets go last closes it, and
 * then its sum must be the one that the backup has.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "jobs/restore_place.h"
#include "repo/filemap.h"

/* Work on a file is handed out in parts of this size. */
#define RFILE_PART_BLOCKS ((uint32_t)8192) /* 64 MiB */
#define RFILE_PART_BYTES  ((uint64_t)RFILE_PART_BLOCKS * PACK_BLOCK_BYTES)
/* Up to here buffered writes are cheaper than direct ones. */
#define RFILE_SMALL_BYTES ((uint64_t)128 << 10)

struct rfile_part {
	uint32_t crc; /* of its bytes, from the sums of their blocks */
	bool done;
};

struct rfile {
	const struct restore_place *place;
	char *path; /* in the data directory */
	uint64_t size_bytes;
	uint32_t crc32c;
	mode_t mode;
	struct filemap map;
	uint32_t part_count;
	struct rfile_part *parts;
	struct rfile *next, *prev; /* of all that are not closed */

	pthread_mutex_t lock; /* guards opening */
	atomic_uint holders;
	int fd;	       /* -1 until rfile_open() */
	int direct_fd; /* the same past the page cache; -1: none */
	bool opened;
	bool existed;	    /* delta: there are bytes to compare with */
	uint64_t old_bytes; /* ... so many */
};

/* Entry of the backup; its map is read.  One holder: the caller. */
struct rfile *rfile_new(const struct restore_place *place,
    const struct entry *entry, struct packset *ps, struct err *e);
void rfile_hold(struct rfile *f);
/* Open or create; any number of times. */
int rfile_open(struct rfile *f, struct err *e);
/* len bytes at offset; len may be short only at the file's end. */
int rfile_write(struct rfile *f, const uint8_t *data, size_t len,
    uint64_t offset, struct err *e);
/* The same past the page cache where that can be: data is page-aligned and has
 * room to be filled up to a whole block. */
int rfile_write_direct(
    struct rfile *f, uint8_t *data, size_t len, uint64_t offset, struct err *e);
/* True when the caller was the last holder: it calls rfile_finish(). */
bool rfile_let_go(struct rfile *f);
/* Length, owner, mode, sum; closes. */
int rfile_finish(struct rfile *f, struct err *e);
void rfile_free(struct rfile *f);

#endif /* !JOBS_RESTORE_FILE_H */
