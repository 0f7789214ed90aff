/*
 * target_time: a time to the last commit that belongs in.
 *
 * PostgreSQL stops before the first commit that is later than the target, in
 * the order of the WAL, whatever later commits say; so do we.
 */

#include <string.h>

#include "pg/lsn.h"
#include "repo/target_find.h"
#include "repo/walknown.h"

struct by_time {
	int64_t time_us;
	bool exclusive;
	bool found;
	uint64_t lsn; /* of the first commit that does not belong in */
};

static bool
is_later(const struct by_time *b, int64_t us)
{
	return b->exclusive ? us >= b->time_us : us > b->time_us;
}

static bool
has_later_commit(const void *arg, const struct wal_summary *s)
{
	return s->head_unseen ||
	    (s->commits > 0 && is_later(arg, s->max_commit_us));
}

static int
note_later_commit(void *arg, const struct wal_event *ev, struct err *e)
{
	struct by_time *b = arg;

	(void)e;
	if (!wal_event_is_commit(ev) || !is_later(b, ev->time_us))
		return 0;
	b->found = true;
	b->lsn = ev->lsn;
	return 1;
}

static bool
has_commit(const void *arg, const struct wal_summary *s)
{
	(void)arg;
	return s->head_unseen || s->commits > 0;
}

static int
note_commit(void *arg, const struct wal_event *ev, struct err *e)
{
	struct wal_event *last = arg;

	(void)e;
	if (wal_event_is_commit(ev))
		*last = *ev;
	return 0;
}

/* The last commit in [stop_lsn, before); its lsn is 0 when there is none. */
static int
find_last_commit(const struct find_range *r, uint64_t before,
    struct wal_event *last, struct err *e)
{
	const uint32_t segment_bytes = r->path->segment_bytes;
	uint64_t at = wal_segment_start(before - 1, segment_bytes), from, to;
	int rc;

	(void)memset(last, 0, sizeof(*last));
	for (;;) {
		rc = find_may_hold(r, at, has_commit, NULL, e);
		if (rc == -1)
			return -1;
		from = at >= segment_bytes ? at - segment_bytes : 0;
		if (from < r->stop_lsn)
			from = r->stop_lsn;
		to = at + segment_bytes < before ? at + segment_bytes : before;
		if (rc == 1 &&
		    wal_scan(r->lineage, r->path->history, from, to,
			note_commit, last, e) == -1)
			return -1;
		if (last->lsn != LSN_NONE || from == r->stop_lsn)
			return 0;
		at -= segment_bytes;
	}
}

/* Until when this WAL is known to be all there was, 0 unknown: what its
 * receiver noted, if that ends inside. */
static int64_t
noted_us(const struct find_range *r)
{
	struct wal_known k;

	wal_known_read(r->lineage, &k);
	if (k.lsn < r->start_lsn || k.lsn > r->end_lsn ||
	    !timeline_contains(r->path->history, k.timeline, k.lsn))
		return 0;
	return k.server_us;
}

static int
note_time(void *arg, const struct wal_event *ev, struct err *e)
{
	int64_t *latest_us = arg;

	(void)e;
	if (ev->time_us > *latest_us)
		*latest_us = ev->time_us;
	return 0;
}

int
find_known_us(const struct find_range *r, int64_t *known_us, int64_t *commit_us,
    struct err *e)
{
	const uint32_t segment_bytes = r->path->segment_bytes;
	uint64_t from = wal_segment_start(r->end_lsn - 1, segment_bytes);
	struct wal_event last;
	int64_t noted = noted_us(r);

	from = from >= segment_bytes ? from - segment_bytes : 0;
	if (from < r->start_lsn)
		from = r->start_lsn;
	*known_us = r->consistent_us > noted ? r->consistent_us : noted;
	if (wal_scan(r->lineage, r->path->history, from, r->end_lsn, note_time,
		known_us, e) == -1 ||
	    find_last_commit(r, r->end_lsn, &last, e) == -1)
		return -1;
	*commit_us = last.time_us;
	if (last.time_us > *known_us)
		*known_us = last.time_us;
	return 0;
}

int
find_time(const struct find_range *r, const struct target_request *req,
    struct target *t, enum find_verdict *verdict, struct err *e)
{
	struct by_time b = { req->time_us, req->exclusive, false, 0 };
	struct wal_event last;
	int64_t known_us, commit_us;

	*verdict = FIND_BEFORE;
	if (req->time_us < r->consistent_us)
		return 0;
	/* A clock that is not the server's must not let a later commit in. */
	if (find_search(r, r->start_lsn, has_later_commit, &b,
		note_later_commit, &b, &b.found, e) == -1)
		return -1;
	if (b.found && b.lsn < r->stop_lsn)
		return 0;
	*verdict = FIND_AFTER;
	if (!b.found) {
		if (find_known_us(r, &known_us, &commit_us, e) == -1)
			return -1;
		if (req->time_us > known_us)
			return 0;
		b.lsn = r->end_lsn;
	}
	if (find_last_commit(r, b.lsn, &last, e) == -1)
		return -1;
	*verdict = FIND_HERE;
	if (last.lsn == LSN_NONE)
		return find_stop_when_consistent(r, t, e);
	find_stop_at(t, last.lsn, last.end_lsn, true);
	t->stop_us = last.time_us;
	return 0;
}
