/*
 * walindex: collecting, encoding and decoding the index of a WAL segment.
 */

#include "repo/walindex.h"

#include <assert.h>
#include <string.h>

#include "base/le.h"
#include "base/mem.h"

enum flags {
	FLAG_SWITCH = 1 << 0,
	FLAG_SHUTDOWN = 1 << 1,
	FLAG_END_OF_RECOVERY = 1 << 2,
	FLAG_HEAD_UNSEEN = 1 << 3,
	FLAG_MOMENTS_CUT = 1 << 4,
	FLAGS_KNOWN = (1 << 5) - 1
};

/* How events of a kind are kept. */
enum keep { KEEP_NOT, KEEP_RARE, KEEP_COMMON };

void
walindex_init(struct walindex *x, uint32_t timeline, uint64_t start_lsn)
{
	(void)memset(x, 0, sizeof(*x));
	x->summary.timeline = timeline;
	x->summary.start_lsn = start_lsn;
	x->summary.end_lsn = start_lsn;
}

void
walindex_free(struct walindex *x)
{
	size_t i;

	for (i = 0; i < x->count; i++)
		free(x->moments[i].path);
	free(x->moments);
	x->moments = NULL;
	x->count = x->cap = x->common = 0;
}

static enum keep
keep_kind(unsigned int kind)
{
	switch ((enum wal_event_kind)kind) {
	case WAL_EVENT_RESTORE_POINT:
	case WAL_EVENT_CHECKPOINT:
	case WAL_EVENT_SHUTDOWN:
	case WAL_EVENT_END_OF_RECOVERY:
	case WAL_EVENT_SWITCH:
	case WAL_EVENT_BACKUP_END:
	case WAL_EVENT_PARAMETER_CHANGE:
	case WAL_EVENT_DROP_DATABASE:
	case WAL_EVENT_CREATE_TABLESPACE:
	case WAL_EVENT_DROP_TABLESPACE:
		return KEEP_RARE;
	case WAL_EVENT_TRUNCATE:
	case WAL_EVENT_DROP:
		return KEEP_COMMON;
	case WAL_EVENT_NONE:
	case WAL_EVENT_COMMIT:
	case WAL_EVENT_ABORT:
	case WAL_EVENT_PREPARE:
		break;
	}
	return KEEP_NOT;
}

static void
count_commit(struct wal_summary *s, int64_t time_us)
{
	if (s->commits++ == 0) {
		s->first_commit_us = time_us;
		s->min_commit_us = s->max_commit_us = time_us;
	}
	s->last_commit_us = time_us;
	if (time_us < s->min_commit_us)
		s->min_commit_us = time_us;
	if (time_us > s->max_commit_us)
		s->max_commit_us = time_us;
}

/* Transaction ids wrap around: a is before b when b - a is less than 2^31. */
static bool
xid_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static void
count_xid(struct wal_summary *s, uint32_t xid)
{
	if (xid == 0)
		return;
	if (s->min_xid == 0 || xid_before(xid, s->min_xid))
		s->min_xid = xid;
	if (s->max_xid == 0 || xid_before(s->max_xid, xid))
		s->max_xid = xid;
}

static void
count_event(struct wal_summary *s, const struct wal_event *ev)
{
	if (wal_event_is_commit(ev))
		count_commit(s, ev->time_us);
	if (wal_event_is_commit(ev) || ev->kind == WAL_EVENT_ABORT)
		count_xid(s, ev->xid);
	s->has_switch |= ev->kind == WAL_EVENT_SWITCH;
	s->has_shutdown |= ev->kind == WAL_EVENT_SHUTDOWN;
	s->has_end_of_recovery |= ev->kind == WAL_EVENT_END_OF_RECOVERY;
	s->restore_points += ev->kind == WAL_EVENT_RESTORE_POINT;
}

static void
append(struct walindex *x, const struct wal_event *ev)
{
	struct wal_moment *m;

	if (x->count == x->cap) {
		x->cap = x->cap == 0 ? 8 : 2 * x->cap;
		x->moments =
		    mem_rearray(x->moments, x->cap, sizeof(*x->moments));
	}
	m = &x->moments[x->count++];
	m->event = *ev;
	m->path = NULL;
	if (ev->path != NULL && ev->path[0] != '\0')
		m->path = mem_strndup(
		    ev->path, strnlen(ev->path, WALINDEX_PATH_BYTES - 1));
	m->event.path = m->path;
	x->common += keep_kind(ev->kind) == KEEP_COMMON;
}

void
walindex_add(struct walindex *x, const struct wal_event *ev)
{
	enum keep keep = keep_kind(ev->kind);

	count_event(&x->summary, ev);
	if (keep == KEEP_NOT)
		return;
	if (keep == KEEP_COMMON ? x->common >= WALINDEX_COMMON_MAX
				: x->count - x->common >=
		    WALINDEX_MOMENTS_MAX - WALINDEX_COMMON_MAX) {
		x->summary.moments_cut = true;
		return;
	}
	append(x, ev);
}

/* ---- bytes ---- */

static uint32_t
flags_of(const struct wal_summary *s)
{
	return (s->has_switch ? FLAG_SWITCH : 0u) |
	    (s->has_shutdown ? FLAG_SHUTDOWN : 0u) |
	    (s->has_end_of_recovery ? FLAG_END_OF_RECOVERY : 0u) |
	    (s->head_unseen ? FLAG_HEAD_UNSEEN : 0u) |
	    (s->moments_cut ? FLAG_MOMENTS_CUT : 0u);
}

static void
encode_moment(const struct wal_event *ev, uint64_t start_lsn, struct buf *out)
{
	buf_put_u8(out, (uint8_t)ev->kind);
	buf_put_varint(out, ev->end_lsn - start_lsn);
	buf_put_varint(out, ev->end_lsn - ev->lsn);
	buf_put_le64(out, (uint64_t)ev->time_us);
	buf_put_varint(out, ev->xid);
	buf_put_varint(out, ev->redo_lsn);
	buf_put_varint(out, ev->timeline);
	buf_put_varint(out, ev->previous_timeline);
	buf_put_varint(out, ev->wal_level);
	buf_put_varint(out, ev->dropped_relations);
	buf_put_varint(out, ev->tablespace);
	buf_put_varint(out, ev->database);
	buf_put_varint(out, ev->relation);
	buf_put_varint(out, ev->blocks);
	buf_put_str(out, ev->name);
	buf_put_str(out, ev->path == NULL ? "" : ev->path);
}

void
walindex_encode(const struct walindex *x, struct buf *out)
{
	const struct wal_summary *s = &x->summary;
	size_t i;

	buf_put_le32(out, flags_of(s));
	buf_put_le32(out, s->major);
	buf_put_le64(out, s->first_record_lsn);
	buf_put_le64(out, s->last_record_end_lsn);
	buf_put_le32(out, s->commits);
	buf_put_le32(out, s->restore_points);
	buf_put_le64(out, (uint64_t)s->first_commit_us);
	buf_put_le64(out, (uint64_t)s->last_commit_us);
	buf_put_le64(out, (uint64_t)s->min_commit_us);
	buf_put_le64(out, (uint64_t)s->max_commit_us);
	buf_put_le32(out, s->min_xid);
	buf_put_le32(out, s->max_xid);
	buf_put_le32(out, (uint32_t)x->count);
	buf_put_le32(out, 0);
	for (i = 0; i < x->count; i++)
		encode_moment(&x->moments[i].event, s->start_lsn, out);
}

static uint32_t
get_varint32(struct cursor *c)
{
	uint64_t v = cursor_varint(c);

	if (v > UINT32_MAX)
		c->failed = true;
	return (uint32_t)v;
}

/* The next moment, behind after_lsn; false when it is not one. */
static bool
decode_moment(struct walindex *x, struct cursor *c, uint64_t after_lsn)
{
	struct wal_event ev = { 0 };
	uint64_t at, length;
	char path[WALINDEX_PATH_BYTES];

	ev.kind = (enum wal_event_kind)cursor_u8(c);
	at = cursor_varint(c);
	length = cursor_varint(c);
	ev.time_us = (int64_t)cursor_le64(c);
	ev.xid = get_varint32(c);
	ev.redo_lsn = cursor_varint(c);
	ev.timeline = get_varint32(c);
	ev.previous_timeline = get_varint32(c);
	ev.wal_level = get_varint32(c);
	ev.dropped_relations = get_varint32(c);
	ev.tablespace = get_varint32(c);
	ev.database = get_varint32(c);
	ev.relation = get_varint32(c);
	ev.blocks = get_varint32(c);
	cursor_str(c, ev.name, sizeof(ev.name) - 1);
	cursor_str(c, path, sizeof(path) - 1);
	ev.path = path;
	if (c->failed || keep_kind(ev.kind) == KEEP_NOT ||
	    at > x->summary.end_lsn - x->summary.start_lsn)
		return false;
	ev.end_lsn = x->summary.start_lsn + at;
	if (ev.end_lsn <= after_lsn || length == 0 || length > ev.end_lsn)
		return false;
	ev.lsn = ev.end_lsn - length;
	append(x, &ev);
	return true;
}

static bool
decode_moments(struct walindex *x, struct cursor *c, uint32_t count)
{
	uint64_t after_lsn = x->summary.start_lsn;
	uint32_t i;

	for (i = 0; i < count; i++) {
		if (!decode_moment(x, c, after_lsn))
			return false;
		after_lsn = x->moments[i].event.end_lsn;
	}
	return x->common <= WALINDEX_COMMON_MAX &&
	    x->count - x->common <= WALINDEX_MOMENTS_MAX - WALINDEX_COMMON_MAX;
}

static void
set_flags(struct wal_summary *s, uint32_t flags)
{
	s->has_switch = (flags & FLAG_SWITCH) != 0;
	s->has_shutdown = (flags & FLAG_SHUTDOWN) != 0;
	s->has_end_of_recovery = (flags & FLAG_END_OF_RECOVERY) != 0;
	s->head_unseen = (flags & FLAG_HEAD_UNSEEN) != 0;
	s->moments_cut = (flags & FLAG_MOMENTS_CUT) != 0;
}

/* LSN_NONE, or in [from, to]. */
static bool
lsn_within(uint64_t lsn, uint64_t from, uint64_t to)
{
	return lsn == LSN_NONE || (lsn >= from && lsn <= to);
}

/* The fixed part; false when it is not one.  *moments: how many follow. */
static bool
decode_summary(struct wal_summary *s, struct cursor *c, uint32_t *moments)
{
	uint32_t flags = cursor_le32(c);

	set_flags(s, flags);
	s->major = cursor_le32(c);
	s->first_record_lsn = cursor_le64(c);
	s->last_record_end_lsn = cursor_le64(c);
	s->commits = cursor_le32(c);
	s->restore_points = cursor_le32(c);
	s->first_commit_us = (int64_t)cursor_le64(c);
	s->last_commit_us = (int64_t)cursor_le64(c);
	s->min_commit_us = (int64_t)cursor_le64(c);
	s->max_commit_us = (int64_t)cursor_le64(c);
	s->min_xid = cursor_le32(c);
	s->max_xid = cursor_le32(c);
	*moments = cursor_le32(c);
	return cursor_le32(c) == 0 && !c->failed &&
	    (flags & ~(uint32_t)FLAGS_KNOWN) == 0 &&
	    *moments <= WALINDEX_MOMENTS_MAX &&
	    lsn_within(s->first_record_lsn, s->start_lsn, s->end_lsn) &&
	    lsn_within(s->last_record_end_lsn, s->start_lsn, s->end_lsn);
}

int
walindex_decode(struct walindex *x, uint32_t timeline, uint64_t start_lsn,
    uint64_t end_lsn, const uint8_t *in, size_t len, struct err *e)
{
	struct cursor c;
	uint32_t moments;

	walindex_init(x, timeline, start_lsn);
	x->summary.end_lsn = end_lsn;
	cursor_init(&c, in, len);
	if (!decode_summary(&x->summary, &c, &moments) ||
	    !decode_moments(x, &c, moments) || c.left != 0) {
		walindex_free(x);
		walindex_init(x, timeline, start_lsn);
		return err_set(
		    e, ERR_CORRUPT, "the segment's index is not well formed");
	}
	return 0;
}
