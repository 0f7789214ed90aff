#ifndef PG_TARSTREAM_H
#define PG_TARSTREAM_H

/*
 * tarstream: a tar that arrives in pieces, as members and their bytes.
 *
 * Parsing is libarchive's, on a thread of its own that pulls what
 * tarstream_write() pushes, through a small bounded buffer; callbacks run on
 * that thread.  Member names are checked: a name that would leave its directory
 * is ERR_CORRUPT.  (CVE-2026-6475 was exactly that in pg_basebackup.)
 */

#include <stdint.h>
#include <sys/types.h>

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

struct tarstream_ops {
	int (*member)(void *arg, const struct tar_member *m, struct err *e);
	/* Bytes of the member in order; gaps do not occur. */
	int (*data)(void *arg, const void *data, size_t len, struct err *e);
	int (*member_end)(void *arg, struct err *e);
};

struct tarstream;

struct tarstream *tarstream_new(const struct tarstream_ops *ops, void *arg);
/* ERR_CORRUPT for a bad tar, or what a callback said. */
int tarstream_write(
    struct tarstream *t, const void *data, size_t len, struct err *e);
/* No more bytes: wait for the last callback.  A tar that ends in the middle of
 * a member or without its trailer is ERR_CORRUPT. */
int tarstream_finish(struct tarstream *t, struct err *e);
void tarstream_free(struct tarstream *t);
AUTO_DEFINE(struct tarstream, tarstream_free);
#define AUTO_TARSTREAM AUTO(tarstream_free_auto)

#endif /* !PG_TARSTREAM_H */
