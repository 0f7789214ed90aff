#ifndef REPO_WALPATH_H
#define REPO_WALPATH_H

/*
 * walpath: the WAL that recovery along one history would read from here.
 *
 * Recovery asks for each segment on the newest timeline of the history whose
 * first segment is not behind it, then on the older ones (xlogrecovery.c,
 * XLogFileReadAnyTLI).  Pure: spans and a history in, positions out.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pg/label.h"
#include "repo/walarchive.h"

struct walpath {
	const struct timeline_history *history;
	const struct wal_span *spans;
	size_t span_count;
	uint32_t segment_bytes;
};

/* The span that serves lsn; NULL when it is not here. */
const struct wal_span *walpath_at(const struct walpath *p, uint64_t lsn);

/* The first position from from_lsn on that is not here.  *open_end (may be
 * NULL) tells whether the last span ends in an open segment. */
uint64_t
walpath_end(const struct walpath *p, uint64_t from_lsn, bool *open_end);

/* Is there WAL of this history at or behind lsn?  With walpath_end() as lsn: is
 * that end a hole? */
bool walpath_goes_on(const struct walpath *p, uint64_t lsn);

#endif /* !REPO_WALPATH_H */
