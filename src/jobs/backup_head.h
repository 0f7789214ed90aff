#ifndef JOBS_BACKUP_HEAD_H
#define JOBS_BACKUP_HEAD_H

/*
 * backup_head: WAL that a backup needs and that no receiver will bring, since it
 * lies before where one has begun.
 *
 * A standby's backup begins at its last restart point; a receiver that finds an
 * empty repository begins at the server's segment of that moment.
 */

#include "jobs/backup_int.h"
#include "repo/walarchive.h"

/* One piece of one timeline to fetch. */
struct backup_head {
	uint32_t timeline; /* 0: none */
	uint64_t start_lsn, end_lsn;
};

/*
 * The piece from the segment of missing_lsn up to WAL of the history that is
 * here, or to the end of the timeline.  None when nothing behind missing_lsn is
 * here: then a receiver is on its way.  Pure.
 */
struct backup_head backup_head_find(const struct wal_span *spans, size_t count,
    const struct timeline_history *h, uint32_t segment_bytes,
    uint64_t missing_lsn);

/*
 * Fetch the piece at missing_lsn, if there is one, from the server of the
 * backup.  ERR_NOT_FOUND: it no longer has it.
 */
int backup_head_fetch(struct backup *b, uint64_t missing_lsn, struct err *e);

#endif /* !JOBS_BACKUP_HEAD_H */
