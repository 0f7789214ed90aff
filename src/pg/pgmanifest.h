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
	int64_t mtime_s;
	bool has_crc32c;
	uint32_t crc32c;
};

struct pgmanifest_range {
	uint32_t timeline;
	uint64_t start_lsn, end_lsn;
};

struct pgmanifest_reader_ops {
	int (*file)(void *arg, const struct pgmanifest_file *f, struct err *e);
	int (*range)(
	    void *arg, const struct pgmanifest_range *r, struct err *e);
	/* Version 2: once. */
	int (*system_id)(void *arg, uint64_t system_id, struct err *e);
};

/* Parse the whole manifest; its own SHA-256 is checked.  ERR_CORRUPT. */
int pgmanifest_parse(const void *text, size_t len,
    const struct pgmanifest_reader_ops *ops, void *arg, struct err *e);

/* ---- writing: begin, files, end; bytes go to emit in pieces ---- */
struct pgmanifest_writer;
typedef int
pgmanifest_emit(void *arg, const void *data, size_t len, struct err *e);

/* version 1 (13-16) or 2 (17+, with system_id). */
struct pgmanifest_writer *pgmanifest_writer_new(
    int version, uint64_t system_id, pgmanifest_emit *emit, void *arg);
void pgmanifest_writer_free(struct pgmanifest_writer *w);
AUTO_DEFINE(struct pgmanifest_writer, pgmanifest_writer_free);
#define AUTO_PGMANIFEST_WRITER AUTO(pgmanifest_writer_free_auto)
int pgmanifest_add_file(struct pgmanifest_writer *w,
    const struct pgmanifest_file *f, struct err *e);
int pgmanifest_finish(struct pgmanifest_writer *w,
    const struct pgmanifest_range *ranges, size_t count, struct err *e);

#endif /* !PG_PGMANIFEST_H */
