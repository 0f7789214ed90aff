#ifndef PG_TARSTREAM_H
#define PG_TARSTREAM_H

/*
 * tarstream: a tar that arrives in pieces, as members and their bytes.
 *
 * Parsing is libarchive's, on a thread of its own that pulls what
 * tarstream_write() pushes, through 4 MiB of blocks; callbacks run on that
 * thread and get pointers into the blocks.  So libpq receives while the caller
 * works on what came before; the price is one copy into a block and the waking
 * of threads, about 0.2 s of processor time for each GB.
 *
 * Member names are checked: a name that would leave its directory is
 * ERR_CORRUPT, as is a symbolic link other than pg_tblspc/<oid>, anything below
 * such a link, a hard link or a device.  (CVE-2026-6475 was exactly that in
 * pg_basebackup.)  The member "." itself is passed over.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"

enum tar_kind { TAR_FILE, TAR_DIRECTORY, TAR_SYMLINK };

struct tar_member {
	enum tar_kind kind;
	char path[1024];   /* without leading "./" and trailing "/" */
	char target[1024]; /* of a symbolic link */
	uint32_t mode;	   /* permission bits */
	int64_t mtime_s;
	uint64_t size_bytes;
};

/*
 * Each returns 0 or -1 with *e, which ends the stream: tarstream_write() and
 * tarstream_finish() then give that error.
 */
struct tarstream_ops {
	int (*member)(void *arg, const struct tar_member *m, struct err *e);
	/* Bytes of a TAR_FILE in order, size_bytes in all; gaps do not occur. */
	int (*data)(void *arg, const void *data, size_t len, struct err *e);
	/* After the last byte; called for members of every kind. */
	int (*member_end)(void *arg, struct err *e);
};

struct tarstream;

/* ops and arg must outlive it.  Never NULL. */
struct tarstream *tarstream_new(const struct tarstream_ops *ops, void *arg);

/* Waits while 4 MiB are not yet parsed.  The bytes may be freed on return.
 * ERR_CORRUPT for a bad tar, or what a callback said. */
int tarstream_write(
    struct tarstream *t, const void *data, size_t len, struct err *e);

/*
 * No more bytes: wait for the last callback.  A tar that ends in the middle of
 * a member or without its trailer of two zero blocks, or that goes on behind
 * it, is ERR_CORRUPT.  All callbacks have returned when this does.
 */
int tarstream_finish(struct tarstream *t, struct err *e);

/* At any time: ends the thread without further callbacks but the running one. */
void tarstream_free(struct tarstream *t);
AUTO_DEFINE(struct tarstream, tarstream_free);
#define AUTO_TARSTREAM AUTO(tarstream_free_auto)

#endif /* !PG_TARSTREAM_H */
