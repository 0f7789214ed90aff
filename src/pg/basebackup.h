#ifndef PG_BASEBACKUP_H
#define PG_BASEBACKUP_H

/*
 * basebackup: BASE_BACKUP as one sequence of calls, whatever the version.
 *
 * 13-14 send one COPY per tablespace without tar trailer, 15-18 one typed COPY;
 * the grammar differs too.  Above this file nobody knows.
 * Source: protocol.sgml "Streaming Replication Protocol"; basebackup.c,
 * basebackup_copy.c of 13 to 18.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "pg/session.h"

#define BASEBACKUP_TABLESPACES_MAX 4096

struct basebackup_options {
	const char *label; /* never NULL, no control characters */
	bool fast_checkpoint;
	uint32_t max_rate_kib_s; /* 0: none; else 32 to 1048576 */
	bool verify_checksums;	 /* by the server */
};

struct basebackup_tablespace {
	uint32_t oid;	     /* 0 for the data directory itself */
	char location[1024]; /* "" for the data directory */
	uint64_t size_bytes; /* the server's estimate, 0 when unknown */
};

struct basebackup_start {
	uint64_t start_lsn;
	uint32_t timeline;
	size_t tablespace_count;
	const struct basebackup_tablespace *tablespaces; /* base is last */
	uint64_t total_bytes;
};

struct basebackup_end {
	uint64_t stop_lsn;
	uint32_t timeline;
	bool checksum_failures; /* the server found damaged pages (XX001) */
};

/*
 * What the caller does with the stream; each returns 0 or -1 with *e, which
 * ends the backup.  For every archive: archive_begin, bytes of one whole tar
 * (trailer included) in pieces, archive_end.  Archives of tablespaces come
 * before or after as the server likes.  The manifest comes last.
 */
struct basebackup_ops {
	int (*started)(
	    void *arg, const struct basebackup_start *start, struct err *e);
	int (*archive_begin)(void *arg,
	    const struct basebackup_tablespace *tablespace, struct err *e);
	int (*archive_data)(
	    void *arg, const void *data, size_t len, struct err *e);
	int (*archive_end)(void *arg, struct err *e);
	int (*manifest_data)(
	    void *arg, const void *data, size_t len, struct err *e);
	/* A WARNING or NOTICE of the server during the backup. */
	void (*notice)(void *arg, const char *severity, const char *text);
};

/*
 * Run one base backup in s (SESSION_REPLICATION): WAIT false, TABLESPACE_MAP,
 * MANIFEST with CRC32C.  *end is set when the server has given its stop
 * position.  Checks child_stop_requested() between messages.
 */
int basebackup_run(struct session *s, const struct basebackup_options *options,
    const struct basebackup_ops *ops, void *arg, struct basebackup_end *end,
    struct err *e);

#endif /* !PG_BASEBACKUP_H */
