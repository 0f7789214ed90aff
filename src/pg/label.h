#ifndef PG_LABEL_H
#define PG_LABEL_H

/*
 * label: backup_label, tablespace_map, timeline history files.
 * Source: xlogbackup.c, xlogrecovery.c (read_backup_label,
 * read_tablespace_map), timeline.c.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct backup_label {
	uint64_t start_lsn, checkpoint_lsn;
	uint32_t timeline;
	bool from_standby;
	char start_wal_name[25];
	char start_time[64]; /* as the server wrote it */
	char label[1024];
	bool incremental;
	uint64_t incremental_from_lsn;
	uint32_t incremental_from_timeline;
};

/*
 * The len bytes at text, trusting none of them: all lines in the server's
 * order, each with its newline.  ERR_CORRUPT, and *l is then untouched.
 */
int backup_label_parse(
    struct backup_label *l, const void *text, size_t len, struct err *e);
/* Appends the same bytes without the INCREMENTAL lines: the label of a backup
 * that has been put together with those it builds on. */
void backup_label_effective(const void *text, size_t len, struct buf *out);

struct tablespace_link {
	uint32_t oid;
	char *path;
};
#define TABLESPACE_MAP_LINKS_MAX 8192
/*
 * The lines of a tablespace_map that a server of this major version wrote,
 * unescaped; free with tablespace_map_free().  ERR_CORRUPT.
 *
 * A backslash stands before a newline and a carriage return in all versions,
 * before a backslash from 14 on: in 13 "a\\b" has two of them.
 */
int tablespace_map_parse(const void *text, size_t len, int major,
    struct tablespace_link **links, size_t *count, struct err *e);
void tablespace_map_free(struct tablespace_link *links, size_t count);
/* Appends the file for these links as a server of this major version reads
 * it. */
void tablespace_map_format(const struct tablespace_link *links, size_t count,
    int major, struct buf *out);

/* One ancestor of a timeline: its WAL counts before end_lsn. */
struct timeline_entry {
	uint32_t timeline;
	uint64_t begin_lsn; /* 0 for the first */
	uint64_t end_lsn;   /* switch point; UINT64_MAX for the last */
};
struct timeline_history {
	struct timeline_entry *entries; /* oldest first; the last is itself */
	size_t count;
};
/*
 * Of the content of "0000000N.history" (empty for timeline 1).  ERR_CORRUPT,
 * and *h is then untouched; else free it.
 */
int timeline_history_parse(struct timeline_history *h, uint32_t timeline,
    const void *text, size_t len, struct err *e);
void timeline_history_free(struct timeline_history *h);
/* The timeline whose WAL holds the byte at lsn in this history. */
uint32_t timeline_at(const struct timeline_history *h, uint64_t lsn);
/*
 * Is lsn on timeline a point that this history goes through?  A switch point
 * is one of both timelines: WAL that was replayed up to it, or that goes on
 * from it.
 */
bool timeline_contains(
    const struct timeline_history *h, uint32_t timeline, uint64_t lsn);

#endif /* !PG_LABEL_H */
