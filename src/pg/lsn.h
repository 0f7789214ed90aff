#ifndef PG_LSN_H
#define PG_LSN_H

/*
 * lsn: positions in WAL, segment names, timelines.
 *
 * An LSN is a byte position (XLogRecPtr), 0 is "none".  Segment sizes are
 * powers of two from 1 MiB to 1 GiB.  Source: access/xlog_internal.h, 13-18.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define LSN_NONE	      ((uint64_t)0)
#define LSN_TEXT_BYTES	      20
#define WAL_NAME_BYTES	      25 /* 24 hex digits and a NUL */
#define WAL_PAGE_BYTES	      8192u
#define WAL_SEGMENT_BYTES_MIN ((uint32_t)1 << 20)
#define WAL_SEGMENT_BYTES_MAX ((uint32_t)1 << 30)

/* "0/5000060"; returns out. */
const char *lsn_text(uint64_t lsn, char out[LSN_TEXT_BYTES]);
/* ERR_USAGE when text is not hex/hex. */
int lsn_parse(const char *text, uint64_t *lsn, struct err *e);

bool wal_segment_bytes_valid(uint64_t bytes);
/* "0000000100000000000000A5" of the segment that holds lsn. */
const char *wal_name(uint32_t timeline, uint64_t lsn, uint32_t segment_bytes,
    char out[WAL_NAME_BYTES]);
/* False when name is no name of a segment of this size, and *timeline and *lsn
 * are then untouched.  lsn is the segment's first byte. */
bool wal_name_parse(const char *name, uint32_t segment_bytes,
    uint32_t *timeline, uint64_t *lsn);
/* "0000000A.history": true and the timeline. */
bool wal_name_is_history(const char *name, uint32_t *timeline);
/* 24 hex digits then ".partial". */
bool wal_name_is_partial(const char *name);
/* 24 hex digits "." 8 hex digits ".backup". */
bool wal_name_is_backup_label(const char *name);

static inline uint64_t
wal_segment_start(uint64_t lsn, uint32_t segment_bytes)
{
	return lsn - lsn % segment_bytes;
}

#endif /* !PG_LSN_H */
