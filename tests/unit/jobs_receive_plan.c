/*
 * receive_plan: where a receiver begins, for what is here and what the server
 * says.
 */

#include <string.h>

#include "jobs/receive_plan.h"
#include "tap.h"

#define MIB	  ((uint64_t)1 << 20)
#define SEGMENT	  MIB
#define AT(mib)	  ((mib)*MIB)
#define HALF(mib) ((mib)*MIB + MIB / 2)

static struct timeline_entry line_1[] = { { 1, 0, UINT64_MAX } };
/* Timeline 2 leaves 1 in the middle of segment 8. */
static struct timeline_entry line_2[] = { { 1, 0, HALF(8) },
	{ 2, HALF(8), UINT64_MAX } };
/* Timeline 3 leaves 1 earlier: 2 is not in its history. */
static struct timeline_entry line_3[] = { { 1, 0, HALF(5) },
	{ 3, HALF(5), UINT64_MAX } };
static const struct timeline_history history_1 = { line_1, 1 };
static const struct timeline_history history_2 = { line_2, 2 };
static const struct timeline_history history_3 = { line_3, 2 };

struct want {
	const char *name;
	struct wal_span spans[4];
	size_t span_count;
	const struct timeline_history *history;
	uint64_t server_end_lsn, slot_lsn, from_lsn;
	bool after_gap;
	/* What is to come out: timeline 0 for a conflict. */
	uint32_t timeline;
	uint64_t start_lsn, have_lsn;
	uint32_t diverged_timeline;
	uint64_t diverged_lsn;
};

static const struct want wants[] = {
	{ .name = "nothing is here: the server's segment",
	    .history = &history_1,
	    .server_end_lsn = HALF(7),
	    .timeline = 1,
	    .start_lsn = AT(7) },
	{ .name = "nothing is here: where it was told to begin",
	    .history = &history_1,
	    .server_end_lsn = HALF(7),
	    .from_lsn = HALF(3),
	    .timeline = 1,
	    .start_lsn = AT(3) },
	{ .name = "nothing is here: an order comes before the slot",
	    .history = &history_1,
	    .server_end_lsn = HALF(7),
	    .slot_lsn = HALF(4),
	    .from_lsn = HALF(3),
	    .timeline = 1,
	    .start_lsn = AT(3) },
	{ .name = "nothing is here: on the timeline of that time",
	    .history = &history_2,
	    .server_end_lsn = HALF(9),
	    .slot_lsn = HALF(7),
	    .timeline = 1,
	    .start_lsn = AT(7) },
	{ .name = "behind a whole segment",
	    .spans = { { 1, AT(2), AT(6), false } },
	    .span_count = 1,
	    .history = &history_1,
	    .server_end_lsn = HALF(7),
	    .slot_lsn = HALF(4),
	    .timeline = 1,
	    .start_lsn = AT(6) },
	{ .name = "at the start of the open segment",
	    .spans = { { 1, AT(2), HALF(6), true } },
	    .span_count = 1,
	    .history = &history_1,
	    .server_end_lsn = HALF(7),
	    .timeline = 1,
	    .start_lsn = AT(6),
	    .have_lsn = HALF(6) },
	{ .name = "behind the last of several spans",
	    .spans = { { 1, AT(1), AT(2), false }, { 1, AT(4), AT(5), false } },
	    .span_count = 2,
	    .history = &history_1,
	    .server_end_lsn = HALF(7),
	    .timeline = 1,
	    .start_lsn = AT(5) },
	{ .name = "ours are equal: nothing is wrong",
	    .spans = { { 1, AT(2), HALF(6), true } },
	    .span_count = 1,
	    .history = &history_1,
	    .server_end_lsn = HALF(6),
	    .timeline = 1,
	    .start_lsn = AT(6),
	    .have_lsn = HALF(6) },
	{ .name = "ours are ahead: a conflict",
	    .spans = { { 1, AT(2), HALF(6), true } },
	    .span_count = 1,
	    .history = &history_1,
	    .server_end_lsn = AT(6),
	    .timeline = 0 },
	{ .name = "ours are of a later timeline: a conflict",
	    .spans = { { 2, AT(2), HALF(6), true } },
	    .span_count = 1,
	    .history = &history_1,
	    .server_end_lsn = AT(9),
	    .timeline = 0 },
	{ .name = "the end of the old timeline is missing: it is fetched",
	    .spans = { { 1, AT(2), HALF(6), true } },
	    .span_count = 1,
	    .history = &history_2,
	    .server_end_lsn = AT(12),
	    .timeline = 1,
	    .start_lsn = AT(6),
	    .have_lsn = HALF(6) },
	{ .name = "the old timeline is all here: the new one begins",
	    .spans = { { 1, AT(2), HALF(8), true } },
	    .span_count = 1,
	    .history = &history_2,
	    .server_end_lsn = AT(12),
	    .timeline = 2,
	    .start_lsn = AT(8) },
	{ .name = "ours go beyond the switch: told, and the new one begins",
	    .spans = { { 1, AT(2), HALF(9), true } },
	    .span_count = 1,
	    .history = &history_2,
	    .server_end_lsn = AT(12),
	    .timeline = 2,
	    .start_lsn = AT(8),
	    .diverged_timeline = 1,
	    .diverged_lsn = HALF(8) },
	{ .name = "the new timeline goes on, whatever is left of the old",
	    .spans = { { 1, AT(2), HALF(9), true },
		{ 2, AT(8), HALF(10), true } },
	    .span_count = 2,
	    .history = &history_2,
	    .server_end_lsn = AT(12),
	    .timeline = 2,
	    .start_lsn = AT(10),
	    .have_lsn = HALF(10) },
	{ .name = "our newest timeline is no ancestor: told",
	    .spans = { { 1, AT(2), HALF(5), true },
		{ 2, AT(8), HALF(10), true } },
	    .span_count = 2,
	    .history = &history_3,
	    .server_end_lsn = AT(12),
	    .timeline = 3,
	    .start_lsn = AT(5),
	    .diverged_timeline = 2 },
	{ .name = "after a gap: the server's segment",
	    .spans = { { 1, AT(2), AT(4), false } },
	    .span_count = 1,
	    .history = &history_1,
	    .server_end_lsn = HALF(9),
	    .after_gap = true,
	    .timeline = 1,
	    .start_lsn = AT(9) },
	{ .name = "after a gap: the slot comes first",
	    .spans = { { 1, AT(2), AT(4), false } },
	    .span_count = 1,
	    .history = &history_1,
	    .server_end_lsn = HALF(9),
	    .slot_lsn = HALF(8),
	    .after_gap = true,
	    .timeline = 1,
	    .start_lsn = AT(8) },
};

static void
check(const struct want *w)
{
	const struct receive_facts f = {
		.spans = w->spans,
		.span_count = w->span_count,
		.segment_bytes = SEGMENT,
		.server_timeline =
		    w->history->entries[w->history->count - 1].timeline,
		.server_end_lsn = w->server_end_lsn,
		.history = w->history,
		.slot_lsn = w->slot_lsn,
		.from_lsn = w->from_lsn,
		.after_gap = w->after_gap,
	};
	struct receive_plan p;
	struct err e = ERR_INIT;
	int rc = receive_plan_make(&f, &p, &e);

	if (w->timeline == 0) {
		tap_ok(rc == -1 && e.kind == ERR_CONFLICT && e.hint[0] != '\0',
		    "%s (%s)", w->name, e.text);
		return;
	}
	tap_ok(rc == 0, "%s", w->name);
	tap_u64(p.timeline, w->timeline, "timeline");
	tap_u64(p.start_lsn, w->start_lsn, "start");
	tap_u64(p.have_lsn, w->have_lsn, "what is here of it");
	tap_u64(p.diverged_timeline, w->diverged_timeline, "what diverged");
	tap_u64(p.diverged_lsn, w->diverged_lsn, "and where");
}

int
main(void)
{
	size_t i;

	for (i = 0; i < sizeof(wants) / sizeof(wants[0]); i++)
		check(&wants[i]);
	return tap_done();
}
