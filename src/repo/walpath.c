#include "repo/walpath.h"

#include "pg/lsn.h"

/* The span of timeline that holds lsn. */
static const struct wal_span *
find_span(const struct walpath *p, uint32_t timeline, uint64_t lsn)
{
	size_t i;

	for (i = 0; i < p->span_count; i++) {
		const struct wal_span *s = &p->spans[i];

		if (s->timeline == timeline && s->start_lsn <= lsn &&
		    lsn < s->end_lsn)
			return s;
	}
	return NULL;
}

/* As walpath_at(); *limit is where the span's timeline was left. */
static const struct wal_span *
span_at(const struct walpath *p, uint64_t lsn, uint64_t *limit)
{
	const struct wal_span *s;
	size_t i;

	for (i = p->history->count; i-- > 0;) {
		const struct timeline_entry *t = &p->history->entries[i];

		/* What was written to a timeline after it was left is no part
		 * of this history, and older timelines were left earlier. */
		if (lsn >= t->end_lsn)
			return NULL;
		if (lsn < wal_segment_start(t->begin_lsn, p->segment_bytes))
			continue;
		s = find_span(p, t->timeline, lsn);
		if (s != NULL) {
			*limit = t->end_lsn;
			return s;
		}
	}
	return NULL;
}

const struct wal_span *
walpath_at(const struct walpath *p, uint64_t lsn)
{
	uint64_t limit;

	return span_at(p, lsn, &limit);
}

uint64_t
walpath_end(const struct walpath *p, uint64_t from_lsn, bool *open_end)
{
	const struct wal_span *s;
	uint64_t limit, lsn = from_lsn;

	if (open_end != NULL)
		*open_end = false;
	while ((s = span_at(p, lsn, &limit)) != NULL) {
		if (open_end != NULL)
			*open_end = s->open_end && s->end_lsn <= limit;
		lsn = s->end_lsn < limit ? s->end_lsn : limit;
	}
	return lsn;
}

bool
walpath_goes_on(const struct walpath *p, uint64_t lsn)
{
	size_t i, k;

	for (i = 0; i < p->history->count; i++) {
		const struct timeline_entry *t = &p->history->entries[i];

		for (k = 0; k < p->span_count; k++) {
			const struct wal_span *s = &p->spans[k];

			if (s->timeline == t->timeline && s->end_lsn > lsn &&
			    s->start_lsn < t->end_lsn && t->end_lsn > lsn)
				return true;
		}
	}
	return false;
}
