/*
 * receive_plan: where to begin receiving.
 */

#include "jobs/receive_plan.h"

#include <string.h>

/* Where the last span of timeline ends; LSN_NONE when there is none. */
static uint64_t
end_of(const struct receive_facts *f, uint32_t timeline)
{
	uint64_t end = LSN_NONE;
	size_t i;

	for (i = 0; i < f->span_count; i++)
		if (f->spans[i].timeline == timeline &&
		    f->spans[i].end_lsn > end)
			end = f->spans[i].end_lsn;
	return end;
}

static uint32_t
newest_timeline(const struct receive_facts *f)
{
	uint32_t newest = 0;
	size_t i;

	for (i = 0; i < f->span_count; i++)
		if (f->spans[i].timeline > newest)
			newest = f->spans[i].timeline;
	return newest;
}

static int
conflict_timeline(const struct receive_facts *f, uint32_t newest, struct err *e)
{
	(void)err_set(e, ERR_CONFLICT,
	    "the server is on timeline %u, the repository has WAL of timeline "
	    "%u",
	    f->server_timeline, newest);
	return err_hint(e,
	    "This looks like an old primary after a failover, or a standby "
	    "that has not followed it.  Point conninfo at the server that is "
	    "to be kept.  Nothing in the repository was changed.");
}

static int
conflict_ahead(const struct receive_facts *f, uint64_t end_lsn, struct err *e)
{
	char here[LSN_TEXT_BYTES], there[LSN_TEXT_BYTES];

	(void)err_set(e, ERR_CONFLICT,
	    "the repository has WAL of timeline %u up to %s, the server ends "
	    "at %s",
	    f->server_timeline, lsn_text(end_lsn, here),
	    lsn_text(f->server_end_lsn, there));
	return err_hint(e,
	    "The server was restored without a new timeline, is another one, "
	    "or a standby that lags (then this passes).  Nothing in the "
	    "repository was changed.  If this server is the one to go on "
	    "with, let \"pgkura wal fork\" begin a new history for it.");
}

static void
note_diverged(struct receive_plan *p, uint32_t timeline, uint64_t from_lsn,
    uint64_t to_lsn)
{
	p->diverged_timeline = timeline;
	p->diverged_lsn = from_lsn;
	p->diverged_end_lsn = to_lsn;
}

static void
begin(const struct receive_facts *f, struct receive_plan *p, uint32_t timeline,
    uint64_t lsn)
{
	uint64_t end = end_of(f, timeline);

	p->timeline = timeline;
	p->start_lsn = wal_segment_start(lsn, f->segment_bytes);
	p->have_lsn = end > p->start_lsn ? end : LSN_NONE;
}

/* Nothing here leads on: begin anew. */
static void
plan_anew(const struct receive_facts *f, struct receive_plan *p)
{
	uint64_t lsn = f->server_end_lsn;

	if (f->slot_lsn != LSN_NONE)
		lsn = f->slot_lsn;
	if (f->from_lsn != LSN_NONE) /* an order */
		lsn = f->from_lsn;
	begin(f, p, timeline_at(f->history, lsn), lsn);
}

/* Ours of entry i of the history, which ends at end_lsn, leads on. */
static int
plan_after(const struct receive_facts *f, size_t i, uint64_t end_lsn,
    struct receive_plan *p, struct err *e)
{
	const struct timeline_entry *entry = &f->history->entries[i];

	if (i == f->history->count - 1) {
		if (end_lsn > f->server_end_lsn)
			return conflict_ahead(f, end_lsn, e);
		begin(f, p, entry->timeline, end_lsn);
		return 0;
	}
	if (end_lsn < entry->end_lsn) {
		begin(f, p, entry->timeline, end_lsn);
		return 0;
	}
	if (end_lsn > entry->end_lsn)
		note_diverged(p, entry->timeline, entry->end_lsn, end_lsn);
	begin(f, p, entry[1].timeline, entry->end_lsn);
	return 0;
}

int
receive_plan_make(
    const struct receive_facts *f, struct receive_plan *p, struct err *e)
{
	uint32_t newest = newest_timeline(f);
	uint64_t end;
	size_t i;

	(void)memset(p, 0, sizeof(*p));
	if (newest > f->server_timeline)
		return conflict_timeline(f, newest, e);
	p->end_lsn = newest == 0 ? LSN_NONE : end_of(f, newest);
	if (f->after_gap) {
		plan_anew(f, p);
		return 0;
	}
	for (i = f->history->count; i-- > 0;) {
		end = end_of(f, f->history->entries[i].timeline);
		if (end == LSN_NONE)
			continue;
		if (f->history->entries[i].timeline < newest)
			note_diverged(p, newest, LSN_NONE, end_of(f, newest));
		return plan_after(f, i, end, p, e);
	}
	plan_anew(f, p);
	return 0;
}
