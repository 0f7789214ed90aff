/*
 * walcovered: is the WAL of a history here without a hole?
 */

#include "repo/walarchive.h"

/*
 * How far span reaches from lsn on as WAL of this entry of a history: up to
 * limit at most, or lsn itself when it does not hold it.  A timeline's first
 * segment begins with its parent's WAL, so it counts from there on.
 */
static uint64_t
reach(const struct wal_span *span, const struct timeline_entry *entry,
    uint32_t segment_bytes, uint64_t lsn, uint64_t limit)
{
	uint64_t end = entry->end_lsn < limit ? entry->end_lsn : limit;

	if (span->timeline != entry->timeline || lsn < span->start_lsn ||
	    lsn >= span->end_lsn ||
	    lsn < wal_segment_start(entry->begin_lsn, segment_bytes))
		return lsn;
	if (span->end_lsn < end)
		end = span->end_lsn;
	return end > lsn ? end : lsn;
}

static uint64_t
furthest(const struct wal_span *spans, size_t count,
    const struct timeline_history *h, uint32_t segment_bytes, uint64_t lsn,
    uint64_t limit)
{
	uint64_t best = lsn, to;
	size_t i, j;

	for (i = 0; i < h->count; i++)
		for (j = 0; j < count; j++) {
			to = reach(&spans[j], &h->entries[i], segment_bytes,
			    lsn, limit);
			if (to > best)
				best = to;
		}
	return best;
}

int
wal_covered(const struct lineage *l, const struct timeline_history *h,
    uint64_t from_lsn, uint64_t to_lsn, uint64_t *missing_lsn, struct err *e)
{
	AUTO_FREE struct wal_span *spans = NULL;
	uint64_t lsn = from_lsn, next;
	size_t count;

	if (wal_spans(l, &spans, &count, e) == -1)
		return -1;
	while (lsn < to_lsn) {
		next = furthest(
		    spans, count, h, l->facts.segment_bytes, lsn, to_lsn);
		if (next == lsn)
			break;
		lsn = next;
	}
	*missing_lsn = lsn;
	return 0;
}
