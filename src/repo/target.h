#ifndef REPO_TARGET_H
#define REPO_TARGET_H

/*
 * target: "where to recover to" as a position, and what can be recovered.
 */

#include <stdbool.h>
#include <stdint.h>

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
	uint64_t stop_lsn; /* recovery ends at or behind this record's end */
	int64_t stop_us; /* time of the last transaction replayed, 0 unknown */
	uint64_t wal_from_lsn, wal_to_lsn; /* what will be read */
	/* What PostgreSQL is to be told: a time on a quiet server becomes an
	 * LSN or the end of WAL. */
	enum recovery_target pg_kind;
	char pg_text[128];
	bool pg_inclusive;
	struct timeline_history history;
};
void target_free(struct target *t);
#define AUTO_TARGET AUTO(target_free)

/*
 * Choose backup, timeline and stop.  ERR_REFUSED before the oldest backup,
 * after the last WAL, inside a gap, not found (xid, name): the hint says what
 * is possible instead.
 */
int target_resolve(const struct lineage *l, const struct target_request *req,
    struct target *t, struct err *e);

/* A span of time to which the cluster can be restored without a hole. */
struct window {
	char backup_id[BACKUP_ID_BYTES]; /* first backup that opens it */
	uint32_t timeline;
	uint64_t from_lsn, to_lsn;
	int64_t from_us, to_us; /* commit times; to_us: last known */
	bool live;		/* its end is the open segment */
};
/* All windows, oldest first; what lies between two is a hole.  The caller
 * frees. */
int windows_list(const struct lineage *l, struct window **windows,
    size_t *count, struct err *e);

#endif /* !REPO_TARGET_H */
