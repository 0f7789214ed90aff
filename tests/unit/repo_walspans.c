/*
 * walspans and walcovered: what WAL is there, where holes are, over timelines;
 * walscan reads it; walexpire removes what nothing needs.
 */

#include "unit/wal_scratch.h"

static struct lineage lineage;
static struct walmaker maker; /* timeline 1 from segment 1 on */

#define LSN(segment) ((uint64_t)(segment)*SEGMENT_BYTES)

static void
store(unsigned int segment)
{
	struct err e = ERR_INIT;

	if (!wal_scratch_store(&lineage, &maker, segment - 1, &e))
		tap_bail("%s", e.text);
}

static void
check_spans(void)
{
	AUTO_FREE struct wal_span *s = NULL;
	struct err e = ERR_INIT;
	size_t count = 9;

	tap_ok(wal_spans(&lineage, &s, &count, &e) == 0 && count == 0,
	    "an empty archive has no spans (%s)", e.text);
	store(1);
	store(2);
	store(4);
	tap_ok(wal_spans(&lineage, &s, &count, &e) == 0 && count == 2 &&
		s[0].start_lsn == LSN(1) && s[0].end_lsn == LSN(3) &&
		s[1].start_lsn == LSN(4) && s[1].end_lsn == LSN(5) &&
		!s[1].open_end,
	    "a hole is between two spans");
}

static void
check_open_end(void)
{
	AUTO_WAL_OPEN struct wal_open *o = NULL;
	AUTO_FREE struct wal_span *s = NULL;
	struct err e = ERR_INIT;
	size_t count;
	uint64_t valid;

	o = wal_open_segment(&lineage, 1, LSN(5), &valid, &e);
	if (o == NULL ||
	    wal_open_write(o, LSN(5), wal_segment_of(&maker, 4), 300000, &e) ==
		-1 ||
	    wal_open_sync(o, &e) == -1)
		tap_bail("%s", e.text);
	tap_ok(wal_spans(&lineage, &s, &count, &e) == 0 && count == 2 &&
		s[1].start_lsn == LSN(4) && s[1].open_end &&
		s[1].end_lsn > LSN(5) + 280000 &&
		s[1].end_lsn <= LSN(5) + 300000,
	    "the open segment goes on with a span, up to its last record");
}

/* Timeline 2 leaves timeline 1 in the middle of segment 4. */
static void
make_timeline_2(void)
{
	AUTO_WALMAKER struct walmaker m;
	char text[64], at[LSN_TEXT_BYTES];
	struct err e = ERR_INIT;
	size_t cut = 3 * (size_t)SEGMENT_BYTES + 400000;
	uint64_t end;

	walmaker_init(&m, 15, LSN(1));
	/* The same records as timeline 1 has, up to the switch. */
	wal_fill(&m, LSN(1) + cut);
	walmaker_zeros(&m, 8);
	end = walmaker_lsn(&m);
	m.timeline = 2;
	(void)wal_commit(&m, 1234, 77);
	wal_fill(&m, LSN(6));
	(void)snprintf(
	    text, sizeof(text), "1\t%s\tpromoted\n", lsn_text(end, at));
	if (wal_store_history(&lineage, 2, text, strlen(text), &e) == -1 ||
	    !wal_scratch_store(&lineage, &m, 3, &e) ||
	    !wal_scratch_store(&lineage, &m, 4, &e))
		tap_bail("%s", e.text);
}

static void
check_covered(void)
{
	struct timeline_history h1 = { 0 }, h2 = { 0 };
	struct err e = ERR_INIT;
	uint64_t missing = 0;

	if (wal_read_history(&lineage, 1, &h1, NULL, &e) == -1 ||
	    wal_read_history(&lineage, 2, &h2, NULL, &e) == -1)
		tap_bail("%s", e.text);
	tap_ok(wal_covered(&lineage, &h1, LSN(1), LSN(5), &missing, &e) == 0 &&
		missing == LSN(3),
	    "the first missing byte is told");
	tap_ok(wal_covered(&lineage, &h2, LSN(1) + 99, LSN(6), &missing, &e) ==
		    0 &&
		missing == LSN(3),
	    "on the later timeline too");
	store(3);
	tap_ok(wal_covered(&lineage, &h2, LSN(1) + 99, LSN(6), &missing, &e) ==
		    0 &&
		missing == LSN(6),
	    "a history is covered over a change of timeline");
	tap_ok(wal_covered(&lineage, &h2, LSN(4), LSN(9), &missing, &e) == 0 &&
		missing == LSN(6),
	    "up to what there is");
	timeline_history_free(&h1);
	timeline_history_free(&h2);
}

static int
count_commits(void *arg, const struct wal_event *ev, struct err *e)
{
	unsigned int *n = arg;

	(void)e;
	if (!wal_event_is_commit(ev))
		return 0;
	(*n)++;
	return ev->xid == 1234 ? 1 : 0;
}

static void
check_scan(void)
{
	struct timeline_history h = { 0 };
	struct err e = ERR_INIT;
	unsigned int commits = 0;

	if (wal_read_history(&lineage, 2, &h, NULL, &e) == -1)
		tap_bail("%s", e.text);
	tap_ok(wal_scan(&lineage, &h, LSN(1), LSN(6), count_commits, &commits,
		   &e) == 0 &&
		commits == 1,
	    "a scan goes over a change of timeline (%s)", e.text);
	tap_ok(wal_scan(&lineage, &h, LSN(1), LSN(9), count_commits, &commits,
		   &e) == 0,
	    "and stops when it is told to (%s)", e.text);
	commits = 0;
	tap_ok(wal_scan(&lineage, &h, LSN(5), LSN(9), count_commits, &commits,
		   &e) == -1 &&
		e.kind == ERR_NOT_FOUND && commits == 0,
	    "a missing segment is told: %s", e.text);
	timeline_history_free(&h);
}

static uint64_t
keep(void *arg, uint32_t timeline)
{
	(void)arg;
	return timeline == 1 ? LSN(3) + 5 : UINT64_MAX;
}

static void
check_expire(void)
{
	AUTO_FREE struct wal_span *s = NULL;
	AUTO_FREE struct wal_span *after = NULL;
	struct err e = ERR_INIT;
	static const struct wal_expire_limits limits = { .keep = keep,
		.protect_since_us = INT64_MAX };
	uint64_t segments = 0, bytes = 0;
	size_t count;

	tap_ok(
	    wal_expire(&lineage, &limits, true, &segments, &bytes, &e) == 0 &&
		segments == 4 && bytes > 0,
	    "what would expire is counted (%s)", e.text);
	tap_ok(wal_spans(&lineage, &s, &count, &e) == 0 && count == 2,
	    "and stays");
	tap_ok(
	    wal_expire(&lineage, &limits, false, &segments, &bytes, &e) == 0 &&
		segments == 4,
	    "then it goes");
	tap_ok(wal_spans(&lineage, &after, &count, &e) == 0 && count == 1 &&
		after[0].timeline == 1 && after[0].start_lsn == LSN(3),
	    "and what is needed is there");
}

int
main(void)
{
	int dirfd = scratch_enter();
	AUTO_REPO struct repo *r = wal_scratch_repo(&lineage);

	(void)dirfd;
	walmaker_init(&maker, 15, LSN(1));
	wal_fill(&maker, LSN(7));
	check_spans();
	check_open_end();
	make_timeline_2();
	check_covered();
	check_scan();
	check_expire();
	walmaker_fini(&maker);
	return tap_done();
}
