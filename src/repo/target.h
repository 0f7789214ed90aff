#ifndef REPO_TARGET_H
#define REPO_TARGET_H

/*
 * target: "where to recover to" as a position, and what can be recovered.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "pg/recovery.h"
#include "repo/manifest.h"
#include "repo/walarchive.h"

struct target_request {
	enum recovery_target kind;
	int64_t time_us;
	uint64_t lsn;
	uint32_t xid;
	const char *name;
	bool exclusive;
	uint32_t timeline;     /* 0: the newest that fits */
	const char *backup_id; /* NULL: chosen */
};

/* Where a request leads. */
struct target {
	char backup_id[BACKUP_ID_BYTES];
	uint32_t timeline; /* recovery_target_timeline */
	uint64_t stop_lsn; /* recovery ends here: a record's start or end */
	int64_t stop_us; /* time of the last transaction replayed, 0 unknown */
	uint64_t wal_from_lsn, wal_to_lsn; /* what will be read */
	/*
	 * What PostgreSQL is to be told: TARGET_LATEST, TARGET_IMMEDIATE, or
	 * TARGET_LSN with a record's start in pg_text, whatever was asked for.
	 * So a time, transaction or name means one record, decided here once,
	 * and that record is known to exist: recovery cannot end before it.
	 */
	enum recovery_target pg_kind;
	char pg_text[128];
	bool pg_inclusive;
	struct timeline_history history;
};
void target_free(struct target *t);
#define AUTO_TARGET AUTO(target_free)

/*
 * Choose backup, timeline and stop.  The backup is the newest that is
 * consistent at the stop and whose WAL up to there is here.  Without a timeline
 * in the request, times and "latest" mean the newest timeline; positions,
 * transactions and names the newest on which they are found.
 *
 * ERR_REFUSED before the oldest backup, after the last WAL, inside a gap, not
 * found (xid, name): the hint says what is possible instead.
 */
int target_resolve(const struct lineage *l, const struct target_request *req,
    struct target *t, struct err *e);

/* "time 2026-11-21 03:04:05+00", "transaction 4711": for messages. */
#define TARGET_TEXT_BYTES 128
const char *target_request_text(
    const struct target_request *req, char out[TARGET_TEXT_BYTES]);

/* A span of time to which the cluster can be restored without a hole. */
struct window {
	char backup_id[BACKUP_ID_BYTES]; /* first backup that opens it */
	uint32_t timeline;
	uint64_t from_lsn, to_lsn;
	int64_t from_us, to_us; /* commit times; to_us: last known */
	bool live;		/* its end is the open segment */
	bool hole_behind;	/* more WAL of this timeline, not adjoining */
};
/* All windows, oldest first; what lies between two is a hole.  The caller
 * frees. */
int windows_list(const struct lineage *l, struct window **windows,
    size_t *count, struct err *e);

/* "2026-... to 2026-..., or 2026-... to now": the last ones first to fit. */
void windows_describe(
    const struct window *windows, size_t count, char *out, size_t bytes);

#endif /* !REPO_TARGET_H */
