#ifndef REPO_TARGET_FIND_H
#define REPO_TARGET_FIND_H

/*
 * target_find: which record of a backup's WAL a request means.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/target.h"
#include "repo/walpath.h"

/* A backup and the WAL that follows it without a hole. */
struct find_range {
	const struct lineage *lineage;
	const struct walpath *path;
	uint64_t start_lsn;    /* the backup's: WAL is here from it on */
	uint64_t stop_lsn;     /* the backup is consistent here */
	int64_t consistent_us; /* the server's time then */
	uint64_t end_lsn;      /* of the WAL that is here */
	bool open_end;	       /* its last segment is being received */
};

enum find_verdict {
	FIND_HERE,   /* *t says where */
	FIND_BEFORE, /* before the backup was consistent, or not in its WAL */
	FIND_AFTER   /* behind the end of the WAL */
};

/* Sets stop_lsn, stop_us and pg_... of *t when FIND_HERE. */
int
find_target(const struct find_range *range, const struct target_request *req,
    struct target *t, enum find_verdict *verdict, struct err *e);

/*
 * The last moment of which the WAL up to the range's end is known to say
 * everything: the latest time in a record, or what its receiver noted
 * (walknown.h).  0: unknown.  *commit_us: the last transaction's time.
 */
int find_known_us(const struct find_range *range, int64_t *known_us,
    int64_t *commit_us, struct err *e);

/* ---- parts, for the files that find ---- */

/* Could a segment with this summary hold what is sought? */
typedef bool summary_fn(const void *arg, const struct wal_summary *summary);

/* 1 when the segment at lsn must be read (also when it has no summary yet). */
int find_may_hold(const struct find_range *r, uint64_t lsn, summary_fn *fn,
    const void *arg, struct err *e);

/*
 * Call scan for the records of each segment from lsn to the range's end that
 * may hold what is sought, with the segment before it, where a record may have
 * begun; ends early once *found.
 */
int find_search(const struct find_range *r, uint64_t lsn, summary_fn *fn,
    const void *fn_arg, wal_scan_fn *scan, void *scan_arg, const bool *found,
    struct err *e);

/* Stop after (inclusive) or before the record that begins at lsn. */
void
find_stop_at(struct target *t, uint64_t lsn, uint64_t end_lsn, bool inclusive);

/* Stop where the backup becomes consistent: after the record that ends
 * there. */
int find_stop_when_consistent(
    const struct find_range *r, struct target *t, struct err *e);

/* As find_target(), of a time. */
int find_time(const struct find_range *r, const struct target_request *req,
    struct target *t, enum find_verdict *verdict, struct err *e);

#endif /* !REPO_TARGET_FIND_H */
