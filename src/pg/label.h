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

int backup_label_parse(
    struct backup_label *l, const void *text, size_t len, struct err *e);
/* The same bytes without the INCREMENTAL lines. */
void backup_label_effective(const void *text, size_t len, struct buf *out);

struct tablespace_link {
	uint32_t oid;
	char *path;
};
/* tablespace_map's lines, unescaped; free with tablespace_map_free(). */
int tablespace_map_parse(const void *text, size_t len,
    struct tablespace_link **links, size_t *count, struct err *e);
void tablespace_map_free(struct tablespace_link *links, size_t count);
/* The file for these links, escaped as the server does. */
void tablespace_map_format(
    const struct tablespace_link *links, size_t count, struct buf *out);

/* One ancestor of a timeline: WAL of it counts up to end_lsn. */
struct timeline_entry {
	uint32_t timeline;
	uint64_t begin_lsn; /* 0 for the first */
	uint64_t end_lsn;   /* switch point; UINT64_MAX for the last */
};
struct timeline_history {
	struct timeline_entry *entries; /* oldest first; the last is itself */
	size_t count;
};
/* Of "0000000N.history" content (empty for timeline 1). */
int timeline_history_parse(struct timeline_history *h, uint32_t timeline,
    const void *text, size_t len, struct err *e);
void timeline_history_free(struct timeline_history *h);
/* The timeline whose WAL holds lsn in this history. */
uint32_t timeline_at(const struct timeline_history *h, uint64_t lsn);
/* Is (timeline, lsn) a point of this history? */
bool timeline_contains(
    const struct timeline_history *h, uint32_t timeline, uint64_t lsn);

#endif /* !PG_LABEL_H */
