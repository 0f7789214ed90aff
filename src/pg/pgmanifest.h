#ifndef PG_PGMANIFEST_H
#define PG_PGMANIFEST_H

/*
 * pgmanifest: PostgreSQL's backup_manifest (JSON), read and written as a
 * stream.  Source: backup-manifest.sgml, backup_manifest.c, parse_manifest.c.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"

#define PGMANIFEST_BYTES_MAX ((size_t)1 << 30)

struct pgmanifest_file {
	const char *path; /* any bytes but NUL; Encoded-Path is decoded */
	uint64_t size_bytes;
	int64_t mtime_s; /* since 1970, UTC; 0 when not said */
	bool has_crc32c; /* false too for checksums of another kind */
	uint32_t crc32c;
};

struct pgmanifest_range {
	uint32_t timeline;
	uint64_t start_lsn, end_lsn;
};

/* What is found, in the order of the manifest; each may be NULL.  Strings are
 * good until the call returns; -1 with *e set stops the reading. */
struct pgmanifest_reader_ops {
	int (*file)(void *arg, const struct pgmanifest_file *f, struct err *e);
	int (*range)(
	    void *arg, const struct pgmanifest_range *r, struct err *e);
	/* Version 2: once. */
	int (*system_id)(void *arg, uint64_t system_id, struct err *e);
};

/*
 * Parse the whole manifest, at most PGMANIFEST_BYTES_MAX bytes.  Its own
 * SHA-256 is checked first, so no call is made for one that is cut or damaged;
 * but some may have been when it turns out to be wrong in another way.
 * ERR_CORRUPT, or what a call gave.
 *
 * At least as strict as pg_verifybackup, but that a path may be there twice:
 * only one file at a time is in memory.  A path is not checked for leading out
 * of its folder: see file_path_is_safe().
 */
int pgmanifest_parse(const void *text, size_t len,
    const struct pgmanifest_reader_ops *ops, void *arg, struct err *e);

/* ---- writing: begin, files, end; bytes go to emit in pieces ---- */
struct pgmanifest_writer;
/* Takes the next len bytes of the manifest; -1 with *e set stops the writing. */
typedef int
pgmanifest_emit(void *arg, const void *data, size_t len, struct err *e);

/* version 1 (13-16) or 2 (17+, with system_id).  Nothing is emitted yet. */
struct pgmanifest_writer *pgmanifest_writer_new(
    int version, uint64_t system_id, pgmanifest_emit *emit, void *arg);
void pgmanifest_writer_free(struct pgmanifest_writer *w);
AUTO_DEFINE(struct pgmanifest_writer, pgmanifest_writer_free);
#define AUTO_PGMANIFEST_WRITER AUTO(pgmanifest_writer_free_auto)
/* Size, time and checksum; a path that is not UTF-8 becomes Encoded-Path.  Paths
 * of more than 2,047 bytes are ERR_USAGE.  After a failure only free w. */
int pgmanifest_add_file(struct pgmanifest_writer *w,
    const struct pgmanifest_file *f, struct err *e);
/* The ranges, without which pg_verifybackup checks no WAL, and the last line. */
int pgmanifest_finish(struct pgmanifest_writer *w,
    const struct pgmanifest_range *ranges, size_t count, struct err *e);

#endif /* !PG_PGMANIFEST_H */
