/*
 * target_find: requests to records.
 *
 * Whatever is asked for becomes "stop after (or before) the record that begins
 * at this LSN".  PostgreSQL (recoveryStopsBefore(), recoveryStopsAfter() of 13
 * to 18) compares recovery_target_lsn with the start of each record, so the
 * start of a record that exists is met exactly and always; a time is met only
 * by a later commit, which a quiet server does not have.
 */

#include "repo/target_find.h"

#include <stdio.h>
#include <string.h>

#include "pg/lsn.h"
#include "repo/repo.h"

int
find_may_hold(const struct find_range *r, uint64_t lsn, summary_fn *fn,
    const void *arg, struct err *e)
{
	const struct wal_span *span = walpath_at(r->path, lsn);
	struct wal_summary summary;
	char name[WAL_NAME_BYTES];

	if (span == NULL)
		return 0;
	(void)wal_name(span->timeline, lsn, r->path->segment_bytes, name);
	if (wal_read_summary(r->lineage, name, &summary, e) == 0)
		return fn(arg, &summary) ? 1 : 0;
	if (e->kind != ERR_NOT_FOUND)
		return -1;
	err_clear(e);
	return 1;
}

int
find_search(const struct find_range *r, uint64_t lsn, summary_fn *fn,
    const void *fn_arg, wal_scan_fn *scan, void *scan_arg, const bool *found,
    struct err *e)
{
	const uint32_t segment_bytes = r->path->segment_bytes;
	uint64_t at = wal_segment_start(lsn, segment_bytes), from, to;
	int rc;

	for (; at < r->end_lsn && !*found; at += segment_bytes) {
		rc = find_may_hold(r, at, fn, fn_arg, e);
		if (rc == -1)
			return -1;
		if (rc == 0)
			continue;
		from = at >= segment_bytes ? at - segment_bytes : 0;
		if (from < lsn)
			from = lsn;
		to = at + segment_bytes < r->end_lsn ? at + segment_bytes
						     : r->end_lsn;
		if (wal_scan(r->lineage, r->path->history, from, to, scan,
			scan_arg, e) == -1)
			return -1;
	}
	return 0;
}

void
find_stop_at(struct target *t, uint64_t lsn, uint64_t end_lsn, bool inclusive)
{
	t->pg_kind = TARGET_LSN;
	(void)lsn_text(lsn, t->pg_text);
	t->pg_inclusive = inclusive;
	t->stop_lsn = inclusive ? end_lsn : lsn;
}

/* ---- a record by its place ---- */

struct around {
	uint64_t lsn;
	uint32_t segment_bytes;
	struct wal_event before; /* the last record that begins before lsn */
	struct wal_event from;	 /* the first that begins at lsn or behind */
	int64_t commit_us;	 /* of the last commit before lsn */
};

static int
note_around(void *arg, const struct wal_event *ev, struct err *e)
{
	struct around *a = arg;

	(void)e;
	if (ev->lsn >= a->lsn) {
		a->from = *ev;
		return 1;
	}
	a->before = *ev;
	/* A switch goes on to the end of its segment. */
	if (ev->kind == WAL_EVENT_SWITCH)
		a->before.end_lsn =
		    wal_segment_start(ev->lsn, a->segment_bytes) +
		    a->segment_bytes;
	if (wal_event_is_commit(ev) && ev->time_us != 0)
		a->commit_us = ev->time_us;
	return 0;
}

/* The records around lsn; a's events have lsn 0 when there are none. */
static int
look_around(
    const struct find_range *r, uint64_t lsn, struct around *a, struct err *e)
{
	const uint32_t segment_bytes = r->path->segment_bytes;
	uint64_t from = wal_segment_start(lsn - 1, segment_bytes);

	(void)memset(a, 0, sizeof(*a));
	a->lsn = lsn;
	a->segment_bytes = segment_bytes;
	from = from >= segment_bytes ? from - segment_bytes : 0;
	if (from < r->start_lsn)
		from = r->start_lsn;
	return wal_scan(
	    r->lineage, r->path->history, from, r->end_lsn, note_around, a, e);
}

int
find_stop_when_consistent(
    const struct find_range *r, struct target *t, struct err *e)
{
	struct around a;
	const struct wal_event *ev = &a.before;

	if (look_around(r, r->stop_lsn, &a, e) == -1)
		return -1;
	if (ev->lsn == LSN_NONE || ev->end_lsn < r->stop_lsn)
		ev = &a.from;
	if (ev->lsn == LSN_NONE)
		return err_set(e, ERR_CORRUPT,
		    "WAL has no record at the end of the backup");
	find_stop_at(t, ev->lsn, ev->end_lsn, true);
	return 0;
}

/* A position behind the last record but not behind its page's header is the
 * end of WAL too: it is what a server shows as its insert position. */
static bool
is_end_of_wal(const struct find_range *r, uint64_t lsn, uint64_t last_end)
{
	uint64_t slack = last_end % WAL_PAGE_BYTES != 0 ? 0
	    : last_end % r->path->segment_bytes != 0	? 24
							: 40;

	return lsn <= last_end + slack;
}

static int
find_lsn(const struct find_range *r, const struct target_request *req,
    struct target *t, enum find_verdict *verdict, struct err *e)
{
	struct around a;

	*verdict = FIND_BEFORE;
	if (req->lsn < r->stop_lsn)
		return 0;
	*verdict = FIND_AFTER;
	if (req->lsn > r->end_lsn + 40)
		return 0;
	if (look_around(r, req->lsn, &a, e) == -1)
		return -1;
	t->stop_us = a.commit_us;
	if (a.from.lsn != LSN_NONE) {
		find_stop_at(t, a.from.lsn, a.from.end_lsn, !req->exclusive);
		if (!req->exclusive && wal_event_is_commit(&a.from))
			t->stop_us = a.from.time_us;
	} else if (a.before.lsn != LSN_NONE &&
	    is_end_of_wal(r, req->lsn, a.before.end_lsn)) {
		/* Nothing begins there yet: all that is before it. */
		find_stop_at(t, a.before.lsn, a.before.end_lsn, true);
	} else {
		return 0;
	}
	*verdict = FIND_HERE;
	return 0;
}

/* ---- a transaction, a name ---- */

struct by_name {
	uint32_t xid;
	const char *name; /* NULL: by xid */
	bool found;
	struct wal_event hit;
	bool never; /* stays false: the last one counts */
};

static bool
has_xid(const void *arg, const struct wal_summary *s)
{
	const struct by_name *b = arg;

	/* In the order of xids, which wraps around. */
	return s->head_unseen ||
	    (s->max_xid != 0 && (int32_t)(b->xid - s->min_xid) >= 0 &&
		(int32_t)(s->max_xid - b->xid) >= 0);
}

static bool
has_restore_point(const void *arg, const struct wal_summary *s)
{
	(void)arg;
	return s->head_unseen || s->restore_points > 0;
}

static int
note_by_name(void *arg, const struct wal_event *ev, struct err *e)
{
	struct by_name *b = arg;
	bool hit;

	(void)e;
	if (b->name != NULL)
		hit = ev->kind == WAL_EVENT_RESTORE_POINT &&
		    strcmp(ev->name, b->name) == 0;
	else
		hit =
		    (wal_event_is_commit(ev) || ev->kind == WAL_EVENT_ABORT) &&
		    ev->xid == b->xid;
	if (!hit)
		return 0;
	b->found = true;
	b->hit = *ev;
	return 0;
}

/* The last one counts: names may be given again, numbers come again. */
static int
find_named(const struct find_range *r, const struct target_request *req,
    struct target *t, enum find_verdict *verdict, struct err *e)
{
	struct by_name b = { 0 };

	b.xid = req->xid;
	b.name = req->kind == TARGET_NAME ? req->name : NULL;
	*verdict = FIND_BEFORE;
	if (find_search(r, r->stop_lsn,
		b.name != NULL ? has_restore_point : has_xid, &b, note_by_name,
		&b, &b.never, e) == -1)
		return -1;
	if (!b.found)
		return 0;
	*verdict = FIND_HERE;
	/* A named point is never exclusive in PostgreSQL either. */
	find_stop_at(
	    t, b.hit.lsn, b.hit.end_lsn, b.name != NULL || !req->exclusive);
	t->stop_us = b.hit.time_us;
	return 0;
}

/* ---- the end, the beginning ---- */

static int
find_latest(const struct find_range *r, struct target *t, struct err *e)
{
	int64_t known_us;

	t->pg_kind = TARGET_LATEST;
	t->pg_text[0] = '\0';
	t->pg_inclusive = true;
	t->stop_lsn = r->end_lsn;
	return find_known_us(r, &known_us, &t->stop_us, e);
}

int
find_target(const struct find_range *r, const struct target_request *req,
    struct target *t, enum find_verdict *verdict, struct err *e)
{
	t->stop_us = 0;
	*verdict = FIND_HERE;
	switch (req->kind) {
	case TARGET_LATEST:
		return find_latest(r, t, e);
	case TARGET_IMMEDIATE:
		/* Recovery notices that it is consistent at the next record
		 * only; behind a backup of an idle standby there is none. */
		if (r->end_lsn <= r->stop_lsn)
			return find_latest(r, t, e);
		t->pg_kind = TARGET_IMMEDIATE;
		(void)snprintf(t->pg_text, sizeof(t->pg_text), "immediate");
		t->pg_inclusive = true;
		t->stop_lsn = r->stop_lsn;
		t->stop_us = r->consistent_us;
		return 0;
	case TARGET_TIME:
		return find_time(r, req, t, verdict, e);
	case TARGET_LSN:
		return find_lsn(r, req, t, verdict, e);
	case TARGET_XID:
	case TARGET_NAME:
		return find_named(r, req, t, verdict, e);
	}
	return err_set(e, ERR_BUG, "unknown recovery target %d", req->kind);
}
