/*
 * drill_live_wal: what the WAL in the repository of this site proves of a
 * switchover.
 *
 * The old primary's timeline has to end with the record of a clean stop, and the
 * new one to begin right behind it: then no commit of the old one is missing
 * from the new one.  What the old server had beyond would be seen: its site
 * takes it over before it follows, and sends it.
 *
 * The times of the last commit before and the first after are those in the
 * commit records: of the servers' clocks, the other site's being corrected by
 * what the link measures.
 */

#include <stdlib.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/show.h"
#include "jobs/drill_live_int.h"
#include "repo/walarchive.h"

#define LOOK_US (CLOCK_SECOND_US / 2)
#define WAIT_US (120 * CLOCK_SECOND_US)
/* So many segments are looked through for a commit. */
#define SEGMENTS_MAX 64

/* ---- reading ---- */

struct tail {
	struct wal_event last; /* end_lsn LSN_NONE: none */
	int64_t commit_us;     /* of the last commit; 0 none */
};

static int
note_tail(void *arg, const struct wal_event *ev, struct err *e)
{
	struct tail *t = arg;

	(void)e;
	t->last = *ev;
	t->last.path = NULL;
	if (wal_event_is_commit(ev) && ev->time_us != 0)
		t->commit_us = ev->time_us;
	return 0;
}

static int
note_first(void *arg, const struct wal_event *ev, struct err *e)
{
	int64_t *first_us = arg;

	(void)e;
	if (!wal_event_is_commit(ev) || ev->time_us == 0)
		return 0;
	*first_us = ev->time_us;
	return 1;
}

/* The last commit in the segments before at, where they are. */
static int64_t
commit_before(const struct lineage *l, uint32_t timeline, uint64_t at)
{
	const uint32_t bytes = l->facts.segment_bytes;
	char name[WAL_NAME_BYTES];
	struct wal_summary s;
	unsigned int i;

	for (i = 0; i < SEGMENTS_MAX && at >= bytes; i++) {
		at -= bytes;
		(void)wal_name(timeline, at, bytes, name);
		if (wal_read_summary(l, name, &s, NULL) == -1)
			return 0;
		if (s.last_commit_us != 0)
			return s.last_commit_us;
	}
	return 0;
}

/* What is here of WAL from a segment's start on.  *t stays as it is when no record
 * begins there. */
static int
read_tail(const struct lineage *l, const struct timeline_history *h,
    uint64_t from, uint64_t to, struct tail *t, struct err *e)
{
	if (wal_scan(l, h, from, to, note_tail, t, e) == 0)
		return 0;
	if (e->kind != ERR_NOT_FOUND)
		return -1;
	err_clear(e); /* it ends with its segment, or is not here yet */
	return 0;
}

/* The end of the old timeline, all of it that is here. */
static int
read_old(const struct lineage *l, struct live_way *w, struct err *e)
{
	const uint32_t bytes = l->facts.segment_bytes;
	uint64_t from = wal_segment_start(w->begin_lsn - 1, bytes);
	uint64_t to = from + 2 * (uint64_t)bytes;
	AUTO(timeline_history_free) struct timeline_history h = { 0 };
	struct tail t = { .commit_us = 0 };

	if (wal_read_history(l, w->old_timeline, &h, NULL, e) == -1 ||
	    read_tail(l, &h, from, to, &t, e) == -1)
		return -1;
	/* The last record may begin in the segment before. */
	if (t.last.end_lsn == LSN_NONE && from >= bytes) {
		from -= bytes;
		if (read_tail(l, &h, from, to, &t, e) == -1)
			return -1;
	}
	w->old_end_lsn = t.last.end_lsn;
	w->stopped_clean = t.last.kind == WAL_EVENT_SHUTDOWN;
	w->last_us = t.commit_us != 0 ? t.commit_us
				      : commit_before(l, w->old_timeline, from);
	return 0;
}

static int
read_new(const struct lineage *l, struct live_way *w,
    const struct timeline_history *h, struct err *e)
{
	const uint32_t bytes = l->facts.segment_bytes;

	w->first_us = 0;
	if (wal_scan(l, h, w->begin_lsn,
		w->begin_lsn + SEGMENTS_MAX * (uint64_t)bytes, note_first,
		&w->first_us, e) == -1) {
		if (e->kind != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
	}
	return 0;
}

/* ---- judging ---- */

/* 1 all that is needed is here, 0 not yet. */
static int
try_to_read(struct live *l, struct live_way *w, struct err *e)
{
	const struct lineage *lineage = &l->d.lineage;
	AUTO(timeline_history_free) struct timeline_history h = { 0 };
	uint32_t newest;

	if (wal_newest_timeline(lineage, &newest, e) == -1)
		return -1;
	if (newest <= w->old_timeline)
		return 0;
	if (wal_read_history(lineage, newest, &h, NULL, e) == -1)
		return -1;
	if (h.count < 2 || h.entries[h.count - 2].timeline != w->old_timeline)
		return err_set(e, ERR_CORRUPT,
		    "timeline %u does not come from timeline %u", newest,
		    w->old_timeline);
	w->begin_lsn = h.entries[h.count - 1].begin_lsn;
	if (read_old(lineage, w, e) == -1 || read_new(lineage, w, &h, e) == -1)
		return -1;
	/* What lies behind the end never comes, what is before it does. */
	if (w->first_us == 0 || w->old_end_lsn < w->begin_lsn)
		return 0;
	w->new_timeline = newest;
	return 1;
}

static int
judge(struct live_way *w, struct err *e)
{
	char end[LSN_TEXT_BYTES], begin[LSN_TEXT_BYTES];

	w->proved = w->old_end_lsn == w->begin_lsn && w->stopped_clean;
	if (w->proved)
		return 0;
	return err_set(e, ERR_CORRUPT,
	    "timeline %u ends at %s%s, but timeline %u begins at %s",
	    w->old_timeline, lsn_text(w->old_end_lsn, end),
	    w->stopped_clean ? "" : ", not with a clean stop", w->new_timeline,
	    lsn_text(w->begin_lsn, begin));
}

/* The servers' times by our clock. */
static void
correct_clocks(const struct live *l, struct live_way *w)
{
	bool leaves = strcmp(w->from, l->d.settings->site) == 0;

	if (leaves)
		w->first_us -= l->skew_us;
	else if (w->last_us != 0)
		w->last_us -= l->skew_us;
}

static void
read_skew(struct live *l)
{
	const char *peer = strcmp(l->plan.from, l->d.settings->site) == 0
	    ? l->plan.to
	    : l->plan.from;
	AUTO_FREE char *path =
	    mem_printf("%s/link/%s.json", l->d.settings->state_dir, peer);
	AUTO_JSON json_t *link = show_read(path);

	if (link != NULL)
		(void)json_need_i64(link, "skew_us", &l->skew_us, NULL);
}

int
live_prove(struct live *l, struct live_way *w, struct err *e)
{
	int64_t until_us = clock_boot_us() + WAIT_US;
	int rc;

	w->old_timeline =
	    w == &l->ways[0] ? l->timeline : l->ways[0].new_timeline;
	while ((rc = try_to_read(l, w, e)) == 0) {
		if (child_check_stop(e) == -1)
			return -1;
		if (clock_boot_us() > until_us)
			return err_set(e, ERR_TRANSIENT,
			    "the WAL around the end of timeline %u has not "
			    "come to this site",
			    w->old_timeline);
		clock_sleep_us(LOOK_US);
	}
	if (rc == -1)
		return -1;
	read_skew(l);
	correct_clocks(l, w);
	return judge(w, e);
}

int64_t
live_outage_us(const struct live_way *w)
{
	int64_t since_us =
	    w->last_us > w->ordered_us ? w->last_us : w->ordered_us;

	if (w->new_timeline == 0 || w->first_us == 0)
		return -1;
	return w->first_us > since_us ? w->first_us - since_us : 0;
}
