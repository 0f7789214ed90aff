/*
 * follow_wal: how far the WAL of the repository reaches, asked again and again.
 */

#include <string.h>

#include "base/auto.h"
#include "jobs/follow.h"
#include "repo/walstored.h"
#include "repo/waltail.h"

/* Where a timeline's WAL ends by all that is there: once a timeline. */
static int
find_end(const struct lineage *l, struct follow_end *end, struct err *e)
{
	AUTO_FREE struct wal_span *spans = NULL;
	struct timeline_history h = { 0 };
	size_t count, i;

	end->lsn = LSN_NONE;
	if (wal_spans(l, &spans, &count, e) == -1)
		return -1;
	for (i = 0; i < count; i++)
		if (spans[i].timeline == end->timeline)
			end->lsn = spans[i].end_lsn;
	if (end->lsn != LSN_NONE)
		return 0;
	/* Its history has come, its WAL not yet. */
	if (wal_read_history(l, end->timeline, &h, NULL, e) == -1)
		return -1;
	end->lsn = h.entries[h.count - 1].begin_lsn;
	timeline_history_free(&h);
	return 0;
}

/* Segments that have become whole since; then what there is of the next. */
static int
move_on(const struct lineage *l, struct follow_end *end, struct err *e)
{
	const uint32_t bytes = l->facts.segment_bytes;
	char name[WAL_NAME_BYTES], key[STORE_KEY_BYTES];
	struct store_info info;
	uint64_t start;
	uint32_t valid;
	int rc;

	for (;;) {
		start = wal_segment_start(end->lsn, bytes);
		(void)wal_name(end->timeline, start, bytes, name);
		if (store_stat(repo_store(l->repo), walstored_key(l, name, key),
			&info, e) == -1)
			return -1;
		if (!info.exists)
			break;
		end->lsn = start + bytes;
	}
	rc = wal_tail_open(l, name, NULL, &valid, e);
	if (rc == 1 && start + valid > end->lsn)
		end->lsn = start + valid;
	return rc == -1 ? -1 : 0;
}

int
follow_end(const struct lineage *l, struct follow_end *end, struct err *e)
{
	uint32_t newest;

	if (wal_newest_timeline(l, &newest, e) == -1)
		return -1;
	if (newest == 0) {
		*end = (struct follow_end){ 0 };
		return 0;
	}
	if (newest != end->timeline) {
		end->timeline = newest;
		if (find_end(l, end, e) == -1) {
			end->timeline = 0;
			return -1;
		}
	}
	return move_on(l, end, e);
}

static int
take_first(void *arg, const struct wal_event *ev, struct err *e)
{
	uint64_t *end_lsn = arg;

	(void)e;
	*end_lsn = ev->end_lsn;
	return 1;
}

int
follow_next_record(const struct lineage *l, uint32_t timeline, uint64_t lsn,
    uint64_t *end_lsn, struct err *e)
{
	struct timeline_history h = { 0 };
	int rc;

	*end_lsn = LSN_NONE;
	if (wal_read_history(l, timeline, &h, NULL, e) == -1)
		return -1;
	rc = wal_scan(l, &h, lsn, UINT64_MAX, take_first, end_lsn, e);
	timeline_history_free(&h);
	return rc;
}
