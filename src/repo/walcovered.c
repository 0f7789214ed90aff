/*
 * walcovered: is the WAL of a history here without a hole?
 */

#include "repo/walarchive.h"
#include "repo/walpath.h"

int
wal_covered(const struct lineage *l, const struct timeline_history *h,
    uint64_t from_lsn, uint64_t to_lsn, uint64_t *missing_lsn, struct err *e)
{
	AUTO_FREE struct wal_span *spans = NULL;
	struct walpath path = {
		.history = h,
		.segment_bytes = l->facts.segment_bytes,
	};
	uint64_t end;

	if (wal_spans(l, &spans, &path.span_count, e) == -1)
		return -1;
	path.spans = spans;
	end = walpath_end(&path, from_lsn, NULL);
	*missing_lsn = end < to_lsn ? end : to_lsn;
	return 0;
}
