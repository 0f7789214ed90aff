/*
 * backup_head: which WAL a backup fetches itself, for what is here.
 */

#include "jobs/backup_head.h"
#include "tap.h"

#define MIB	  ((uint64_t)1 << 20)
#define AT(mib)	  ((mib)*MIB)
#define HALF(mib) ((mib)*MIB + MIB / 2)

static struct timeline_entry line_1[] = { { 1, 0, UINT64_MAX } };
/* Timeline 2 leaves 1 in the middle of segment 8. */
static struct timeline_entry line_2[] = { { 1, 0, HALF(8) },
	{ 2, HALF(8), UINT64_MAX } };
static const struct timeline_history history_1 = { line_1, 1 };
static const struct timeline_history history_2 = { line_2, 2 };

struct want {
	const char *name;
	struct wal_span spans[4];
	size_t span_count;
	const struct timeline_history *history;
	uint64_t missing_lsn;
	/* What is to come out: timeline 0 for nothing. */
	uint32_t timeline;
	uint64_t start_lsn, end_lsn;
};

static const struct want wants[] = {
	{ .name = "nothing is here: a receiver is on its way",
	    .history = &history_1,
	    .missing_lsn = HALF(3) },
	{ .name = "what is here ends before",
	    .spans = { { 1, AT(1), HALF(3), true } },
	    .span_count = 1,
	    .history = &history_1,
	    .missing_lsn = HALF(3) },
	{ .name = "the receiver began behind: whole segments up to there",
	    .spans = { { 1, AT(7), HALF(9), true } },
	    .span_count = 1,
	    .history = &history_1,
	    .missing_lsn = HALF(3),
	    .timeline = 1,
	    .start_lsn = AT(3),
	    .end_lsn = AT(7) },
	{ .name = "between two spans: the hole",
	    .spans = { { 1, AT(1), AT(3), false }, { 1, AT(5), AT(6), false },
		{ 1, AT(8), AT(9), false } },
	    .span_count = 3,
	    .history = &history_1,
	    .missing_lsn = AT(3),
	    .timeline = 1,
	    .start_lsn = AT(3),
	    .end_lsn = AT(5) },
	{ .name = "over a switch: first to the end of the old timeline",
	    .spans = { { 2, AT(10), HALF(12), true } },
	    .span_count = 1,
	    .history = &history_2,
	    .missing_lsn = HALF(3),
	    .timeline = 1,
	    .start_lsn = AT(3),
	    .end_lsn = HALF(8) },
	{ .name = "then the new one from that segment's start",
	    .spans = { { 1, AT(3), HALF(8), true },
		{ 2, AT(10), HALF(12), true } },
	    .span_count = 2,
	    .history = &history_2,
	    .missing_lsn = HALF(8),
	    .timeline = 2,
	    .start_lsn = AT(8),
	    .end_lsn = AT(10) },
	{ .name = "what an old primary wrote behind the switch does not count",
	    .spans = { { 1, AT(11), AT(12), false } },
	    .span_count = 1,
	    .history = &history_2,
	    .missing_lsn = HALF(3) },
};

int
main(void)
{
	size_t i;

	for (i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
		const struct want *w = &wants[i];
		struct backup_head head = backup_head_find(w->spans,
		    w->span_count, w->history, (uint32_t)MIB, w->missing_lsn);

		tap_u64(head.timeline, w->timeline, "%s", w->name);
		if (w->timeline == 0)
			continue;
		tap_u64(head.start_lsn, w->start_lsn, "%s: from", w->name);
		tap_u64(head.end_lsn, w->end_lsn, "%s: to", w->name);
	}
	return tap_done();
}
