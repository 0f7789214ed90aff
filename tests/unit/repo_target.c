/*
 * target and windows: what is asked for becomes one record of the WAL that is
 * here, or is refused with what is possible instead.
 *
 *	segment	1	2	3	4	5	6 (open)
 *	backup	one			two
 *	commit	101 102	103 104	105	106	107	108
 *	at s	200 300	400 500	450	800	900	1000
 *	point	batch	batch
 */

#include "base/clock.h"
#include "repo/target.h"
#include "repo/walknown.h"
#include "repo/walpath.h"
#include "unit/wal_scratch.h"

#define LSN(segment) ((uint64_t)(segment)*SEGMENT_BYTES)
#define AT(s)	     (CLOCK_PG_EPOCH_US + (int64_t)(s)*CLOCK_SECOND_US)

static struct repo *repo;
static struct lineage lineage;
static struct walmaker maker; /* timeline 1 from segment 1 on */

struct made {
	uint64_t lsn, end_lsn;
};
static struct made commits[9]; /* [1] is 101 */
static struct made points[2], stops[2];
static uint64_t starts[2], end_lsn;

static struct made
made(uint64_t lsn)
{
	struct made m = { lsn, 0 };

	walmaker_zeros(&maker, 8);
	m.end_lsn = walmaker_lsn(&maker);
	return m;
}

static void
commit(unsigned int i, int64_t s)
{
	commits[i] = made(wal_commit(&maker, 100 + i, s * CLOCK_SECOND_US));
}

static void
backup_records(unsigned int i)
{
	starts[i] = wal_noop(&maker, 120);
	(void)wal_noop(&maker, 3000);
	stops[i] = made(wal_noop(&maker, 64));
}

static void
make_wal(void)
{
	walmaker_init(&maker, 15, LSN(1));
	wal_fill(&maker, LSN(1) + 1000);
	backup_records(0);
	commit(1, 200);
	commit(2, 300);
	points[0] =
	    made(wal_restore_point(&maker, "batch", 350 * CLOCK_SECOND_US));
	wal_fill(&maker, LSN(2) + 5000);
	commit(3, 400);
	commit(4, 500);
	points[1] =
	    made(wal_restore_point(&maker, "batch", 550 * CLOCK_SECOND_US));
	wal_fill(&maker, LSN(3) + 5000);
	commit(5, 450);
	wal_fill(&maker, LSN(4) + 5000);
	backup_records(1);
	commit(6, 800);
	wal_fill(&maker, LSN(5) + 5000);
	commit(7, 900);
	wal_fill(&maker, LSN(6) + 5000);
	commit(8, 1000);
	(void)wal_noop(&maker, 500);
	walmaker_zeros(&maker, 8);
	end_lsn = walmaker_lsn(&maker);
	walmaker_zeros(&maker, SEGMENT_BYTES);
}

/* ---- what is stored ---- */

static void
put(const struct lineage *l, unsigned int segment)
{
	struct err e = ERR_INIT;

	if (!wal_scratch_store(l, &maker, segment - 1, &e))
		tap_bail("%s", e.text);
}

static void
put_open(const struct lineage *l, unsigned int segment, uint64_t to)
{
	AUTO_WAL_OPEN struct wal_open *o = NULL;
	struct err e = ERR_INIT;
	uint64_t valid;

	o = wal_open_segment(l, 1, LSN(segment), &valid, &e);
	if (o == NULL ||
	    wal_open_write(o, LSN(segment), wal_segment_of(&maker, segment - 1),
		(size_t)(to - LSN(segment)), &e) == -1 ||
	    wal_open_sync(o, &e) == -1)
		tap_bail("%s", e.text);
}

static void
put_partial(const struct lineage *l, unsigned int segment)
{
	struct err e = ERR_INIT;

	if (wal_store_partial(l, wal_scratch_name(1, LSN(segment)),
		wal_segment_of(&maker, segment - 1), SEGMENT_BYTES, &e) == -1)
		tap_bail("%s", e.text);
}

static void
put_backup(const struct lineage *l, const char *id, uint64_t start,
    uint64_t stop, int64_t consistent_us)
{
	AUTO_ROOT struct root r;
	struct err e = ERR_INIT;

	root_init(&r);
	(void)snprintf(r.id, sizeof(r.id), "%s", id);
	(void)memcpy(r.cluster, l->cluster, sizeof(r.cluster));
	(void)memcpy(r.lineage, l->name, sizeof(r.lineage));
	r.facts = l->facts;
	r.manifest_version = 1;
	r.start_lsn = start;
	r.stop_lsn = stop;
	r.start_timeline = r.stop_timeline = 1;
	r.consistent_us = r.started_us = r.finished_us = consistent_us;
	if (root_commit(l, &r, &e) == -1)
		tap_bail("%s", e.text);
}

#define ONE "20000101T000140Z-0001"
#define TWO "20000101T001140Z-0002"

static struct lineage
another_cluster(const char *name)
{
	struct lineage l;
	struct err e = ERR_INIT;

	if (lineage_open_for(repo, name, &lineage.facts, &l, &e) == -1)
		tap_bail("%s", e.text);
	return l;
}

/* ---- checks ---- */

static struct target_request
at(int64_t s)
{
	return (struct target_request){ .kind = TARGET_TIME, .time_us = AT(s) };
}

static struct target_request
at_lsn(uint64_t lsn)
{
	return (struct target_request){ .kind = TARGET_LSN, .lsn = lsn };
}

static struct target_request
at_xid(uint32_t xid)
{
	return (struct target_request){ .kind = TARGET_XID, .xid = xid };
}

static struct target_request
at_name(const char *name)
{
	return (struct target_request){ .kind = TARGET_NAME, .name = name };
}

static struct target_request
before(struct target_request req)
{
	req.exclusive = true;
	return req;
}

/* The request stops after (or before) this very record of this backup. */
static void
finds(const struct lineage *l, struct target_request req, const char *backup,
    struct made record, bool inclusive, const char *what)
{
	AUTO_TARGET struct target t = { 0 };
	struct err e = ERR_INIT;
	char lsn[LSN_TEXT_BYTES];

	if (!tap_ok(target_resolve(l, &req, &t, &e) == 0, "%s", what)) {
		tap_diag("%s (%s)", e.text, e.hint);
		return;
	}
	(void)tap_str(t.backup_id, backup, "... from the right backup");
	(void)tap_ok(t.pg_kind == TARGET_LSN &&
		strcmp(t.pg_text, lsn_text(record.lsn, lsn)) == 0 &&
		t.pg_inclusive == inclusive &&
		t.stop_lsn == (inclusive ? record.end_lsn : record.lsn),
	    "... %s record %s, not %s", inclusive ? "after" : "before", lsn,
	    t.pg_text);
}

static void
refuses(const struct lineage *l, struct target_request req, const char *words,
    const char *what)
{
	AUTO_TARGET struct target t = { 0 };
	struct err e = ERR_INIT;

	(void)tap_ok(target_resolve(l, &req, &t, &e) == -1 &&
		e.kind == ERR_REFUSED && strstr(e.text, words) != NULL,
	    "%s: %s", what, e.text);
	(void)tap_ok(
	    e.hint[0] == '\0' || strstr(e.hint, "can be restored to") != NULL,
	    "... with what is possible: %s", e.hint);
}

static void
note_known(uint32_t timeline, uint64_t lsn, int64_t s)
{
	const struct wal_known k = { timeline, lsn, AT(s) };
	struct err e = ERR_INIT;

	if (wal_known_write(&lineage, &k, &e) == -1)
		tap_bail("%s", e.text);
}

static void
check_times(void)
{
	const struct lineage *l = &lineage;

	finds(l, at(300), ONE, commits[2], true, "a time that is a commit's");
	finds(l, before(at(300)), ONE, commits[1], true,
	    "exclusive leaves that commit out");
	finds(l, at(250), ONE, commits[1], true, "a time between two commits");
	finds(l, at(150), ONE, stops[0], true,
	    "a time before the first commit is where the backup ends");
	finds(l, at(420), ONE, commits[3], true, "a later segment");
	finds(l, at(470), ONE, commits[3], true,
	    "the first later commit counts, whatever clocks say behind it");
	finds(l, at(600), ONE, commits[5], true,
	    "a time between backups needs the older one");
	finds(l, at(750), TWO, stops[1], true, "the newer backup itself");
	finds(l, at(850), TWO, commits[6], true, "behind the newer backup");
	finds(l, at(1000), TWO, commits[8], true, "the last commit");
	refuses(l, at(1001), "after the last WAL",
	    "a time of which nothing is known");
	note_known(1, end_lsn, 86400);
	finds(l, at(86400), TWO, commits[8], true,
	    "a quiet server: long after the last commit, while it lives");
	refuses(l, at(86401), "after the last WAL", "but not longer");
	note_known(1, end_lsn + 8, 90000);
	refuses(l, at(1001), "after the last WAL",
	    "what was noted of WAL that is not here says nothing");
	note_known(2, end_lsn, 90000);
	refuses(l, at(1001), "after the last WAL", "nor of another timeline");
	note_known(1, end_lsn, 86400);
	refuses(l, at(50), "before the end of the oldest backup",
	    "before the oldest backup");
	refuses(l, at((int64_t)3650 * 86400 * 10), "after the last WAL",
	    "in the future");
}

static void
check_positions(void)
{
	const struct lineage *l = &lineage;
	struct target_request backup_one = at_lsn(commits[7].lsn);
	struct made last = { 0 };
	AUTO_TARGET struct target t = { 0 };
	struct err e = ERR_INIT;
	struct target_request req = at_lsn(end_lsn);

	finds(l, at_lsn(commits[3].lsn), ONE, commits[3], true,
	    "a record's start");
	finds(l, before(at_lsn(commits[3].lsn)), ONE, commits[3], false,
	    "exclusive stops before it");
	finds(l, at_lsn(commits[3].lsn - 1), ONE, commits[3], true,
	    "a position inside a record means the next one");
	finds(l, at_lsn(commits[7].lsn), TWO, commits[7], true,
	    "the newest backup that can");
	backup_one.backup_id = ONE;
	finds(l, backup_one, ONE, commits[7], true, "or the one asked for");

	(void)tap_ok(target_resolve(l, &req, &t, &e) == 0 && t.pg_inclusive &&
		t.stop_lsn == end_lsn,
	    "the very end of WAL, which no record begins at");
	if (lsn_parse(t.pg_text, &last.lsn, &e) == 0)
		(void)tap_ok(last.lsn < end_lsn && last.lsn > commits[8].lsn,
		    "... stops after the last record %s", t.pg_text);
	refuses(l, at_lsn(end_lsn + 8), "after the last WAL",
	    "behind the end of WAL");
	refuses(l, at_lsn(LSN(60)), "after the last WAL", "far behind it");
	refuses(l, at_lsn(stops[0].lsn), "before the end of the oldest backup",
	    "before the oldest backup is consistent");
	finds(l, at_lsn(stops[0].end_lsn), ONE,
	    (struct made){ commits[1].lsn, commits[1].end_lsn }, true,
	    "right where it is consistent");
}

static void
check_names(void)
{
	const struct lineage *l = &lineage;
	struct target_request req = at_xid(106);

	finds(l, at_xid(103), ONE, commits[3], true, "a transaction");
	finds(l, before(at_xid(103)), ONE, commits[3], false,
	    "just before a transaction");
	finds(l, at_xid(108), TWO, commits[8], true, "one in the open segment");
	refuses(l, at_xid(4711), "is not in the WAL", "no such transaction");
	finds(l, at_name("batch"), ONE, points[1], true,
	    "a name given twice means the last");
	finds(l, before(at_name("batch")), ONE, points[1], true,
	    "exclusive says nothing about a name");
	refuses(l, at_name("bitch"), "is not in the WAL", "no such name");
	req.backup_id = ONE;
	finds(l, req, ONE, commits[6], true, "from an older backup");
	req.backup_id = "20200101T000000Z-0000";
	{
		AUTO_TARGET struct target t = { 0 };
		struct err e = ERR_INIT;

		(void)tap_ok(target_resolve(l, &req, &t, &e) == -1 &&
			e.kind == ERR_NOT_FOUND,
		    "no such backup: %s", e.text);
	}
}

static void
check_ends(void)
{
	AUTO_TARGET struct target t = { 0 };
	struct target_request req = { .kind = TARGET_LATEST };
	struct err e = ERR_INIT;

	(void)tap_ok(target_resolve(&lineage, &req, &t, &e) == 0 &&
		t.pg_kind == TARGET_LATEST && t.stop_lsn == end_lsn &&
		t.stop_us == AT(1000) && t.timeline == 1 &&
		strcmp(t.backup_id, TWO) == 0 && t.wal_from_lsn == starts[1],
	    "the latest is the end of WAL (%s)", e.text);
	target_free(&t);
	req.kind = TARGET_IMMEDIATE;
	(void)tap_ok(target_resolve(&lineage, &req, &t, &e) == 0 &&
		t.pg_kind == TARGET_IMMEDIATE &&
		t.stop_lsn == stops[1].end_lsn && strcmp(t.backup_id, TWO) == 0,
	    "immediate is the end of the newest backup");
	target_free(&t);
	req.backup_id = ONE;
	(void)tap_ok(target_resolve(&lineage, &req, &t, &e) == 0 &&
		strcmp(t.backup_id, ONE) == 0,
	    "or of the one asked for");
}

static void
check_windows(void)
{
	AUTO_FREE struct window *w = NULL;
	struct err e = ERR_INIT;
	size_t count = 0;

	(void)tap_ok(windows_list(&lineage, &w, &count, &e) == 0 &&
		count == 1 && strcmp(w[0].backup_id, ONE) == 0 && w[0].live &&
		!w[0].hole_behind && w[0].from_us == AT(100) &&
		w[0].to_us == AT(86400) && w[0].to_lsn == end_lsn,
	    "two backups and their WAL are one window (%s)", e.text);
}

/* Segment 5 is missing. */
static void
check_gap(void)
{
	struct lineage l = another_cluster("gap");
	AUTO_FREE struct window *w = NULL;
	struct target_request latest = { .kind = TARGET_LATEST };
	struct err e = ERR_INIT;
	size_t count = 0;
	unsigned int i;

	put_backup(&l, ONE, starts[0], stops[0].end_lsn, AT(100));
	for (i = 1; i <= 4; i++)
		put(&l, i);
	put_partial(&l, 6);
	finds(&l, at(450), ONE, commits[3], true, "a time before a gap");
	finds(&l, at(800), ONE, commits[6], true, "the last one before it");
	refuses(&l, at(900), "WAL is missing from", "a time inside a gap");
	refuses(&l, at_lsn(commits[7].lsn), "WAL is missing from",
	    "a position inside a gap");
	refuses(&l, at_lsn(commits[8].lsn), "WAL is missing from",
	    "a position behind a gap");
	refuses(&l, latest, "WAL is missing from", "the latest behind a gap");
	(void)tap_ok(windows_list(&l, &w, &count, &e) == 0 && count == 1 &&
		w[0].hole_behind && w[0].to_us == AT(800),
	    "the window ends at the gap");

	/* A backup whose own WAL is not all here opens nothing. */
	put_backup(&l, TWO, starts[1], LSN(5) + 4000, AT(700));
	finds(&l, at(800), ONE, commits[6], true,
	    "a backup without its WAL is passed over");
}

/* A server that is gone left its last WAL as a partial. */
static void
check_dead(void)
{
	struct lineage l = another_cluster("dead");
	struct target_request latest = { .kind = TARGET_LATEST };
	AUTO_TARGET struct target t = { 0 };
	struct err e = ERR_INIT;
	unsigned int i;

	put_backup(&l, TWO, starts[1], stops[1].end_lsn, AT(700));
	refuses(&l, latest, "is missing", "a backup without any WAL");
	for (i = 4; i <= 5; i++)
		put(&l, i);
	put_partial(&l, 6);
	finds(&l, at(1000), TWO, commits[8], true, "the last known moment");
	refuses(&l, at(1001), "after the last WAL", "a second later");
	(void)tap_ok(
	    target_resolve(&l, &latest, &t, &e) == 0 && t.stop_lsn == end_lsn,
	    "a partial is WAL too");
	refuses(&l, at(650), "before the end of the oldest backup",
	    "before the only backup");
}

/* A clock that ran ahead of the server's: the backup says it was consistent at
 * 750, but holds a commit of 800. */
static void
check_wrong_clock(void)
{
	struct lineage l = another_cluster("clock");

	put_backup(&l, ONE, starts[0], stops[0].end_lsn, AT(100));
	put_backup(&l, TWO, starts[1], commits[6].end_lsn, AT(750));
	put(&l, 1);
	put(&l, 2);
	put(&l, 3);
	put(&l, 4);
	put(&l, 5);
	finds(&l, at(760), ONE, commits[5], true,
	    "a later commit inside the backup rules it out");
	finds(&l, at(850), TWO, commits[6], true, "but not a later time");
}

/* Timeline 2 leaves 1 in segment 3, behind commit 105. */
static void
check_timelines(void)
{
	struct lineage l = another_cluster("fork");
	AUTO_WALMAKER struct walmaker m;
	struct target_request old = at(850), latest = { .kind = TARGET_LATEST };
	AUTO_FREE struct window *w = NULL;
	AUTO_TARGET struct target t = { 0 };
	struct err e = ERR_INIT;
	struct made one;
	size_t cut = (size_t)(commits[5].end_lsn - LSN(1)), count = 0;
	char text[64], lsn[LSN_TEXT_BYTES];
	unsigned int i;

	walmaker_init(&m, 15, LSN(1));
	buf_put(&m.out, maker.out.data, cut);
	m.prev_lsn = commits[5].lsn;
	m.timeline = 2;
	one.lsn = wal_commit(&m, 777, 600 * CLOCK_SECOND_US);
	walmaker_zeros(&m, 8);
	one.end_lsn = walmaker_lsn(&m);
	wal_fill(&m, LSN(5));
	(void)snprintf(text, sizeof(text), "1\t%s\tpromoted\n",
	    lsn_text(commits[5].end_lsn, lsn));
	if (wal_store_history(&l, 2, text, strlen(text), &e) == -1 ||
	    !wal_scratch_store(&l, &m, 2, &e) ||
	    !wal_scratch_store(&l, &m, 3, &e))
		tap_bail("%s", e.text);
	put_backup(&l, ONE, starts[0], stops[0].end_lsn, AT(100));
	put_backup(&l, TWO, starts[1], stops[1].end_lsn, AT(700));
	for (i = 1; i <= 5; i++)
		put(&l, i);

	finds(&l, at(420), ONE, commits[3], true, "a time before the fork");
	finds(&l, at(600), ONE, one, true, "a time on the newest timeline");
	refuses(&l, at(850), "after the last WAL",
	    "a time that only the old branch has");
	old.timeline = 1;
	finds(&l, old, TWO, commits[6], true, "is found when it is asked for");
	finds(&l, at_xid(777), ONE, one, true, "a transaction on the newest");
	finds(&l, at_xid(106), TWO, commits[6], true,
	    "one that only the old branch has");
	finds(&l, at_lsn(commits[7].lsn), TWO, commits[7], true,
	    "a position that only the old branch has");
	(void)tap_ok(target_resolve(&l, &latest, &t, &e) == 0 &&
		t.timeline == 2 && strcmp(t.backup_id, ONE) == 0,
	    "the latest is on the newest timeline (%s)", e.text);
	target_free(&t);
	(void)tap_ok(target_resolve(&lineage, &old, &t, &e) == 0,
	    "its own timeline can be named (%s)", e.text);
	target_free(&t);
	old.timeline = 3;
	refuses(&l, old, "history of timeline 3", "an unknown timeline");

	(void)tap_ok(
	    windows_list(&l, &w, &count, &e) == 0, "windows (%s)", e.text);
	(void)tap_ok(count == 2 && w[0].timeline == 1 &&
		w[0].to_us == AT(900) && w[1].timeline == 2 &&
		w[1].to_us == AT(600) && w[1].from_us == AT(100),
	    "each branch has its window, %zu", count);
}

/* pg_switch_wal() on a server that then is quiet: its position is the next
 * segment's, where there is nothing yet. */
static void
check_switch(void)
{
	struct lineage l = another_cluster("switch");
	AUTO_WALMAKER struct walmaker m;
	AUTO_TARGET struct target t = { 0 };
	struct target_request req = at_lsn(LSN(2) + 40);
	struct err e = ERR_INIT;
	uint64_t start, stop;

	walmaker_init(&m, 15, LSN(1));
	start = wal_noop(&m, 500);
	(void)wal_noop(&m, 500);
	stop = walmaker_next(&m);
	(void)wal_commit(&m, 5, 10);
	wal_switch(&m);
	if (!wal_scratch_store(&l, &m, 0, &e))
		tap_bail("%s", e.text);
	put_backup(&l, ONE, start, stop, AT(1));
	(void)tap_ok(target_resolve(&l, &req, &t, &e) == 0 &&
		t.stop_lsn == LSN(2) && t.pg_inclusive,
	    "the end of a switched segment is the end of WAL (%s)", e.text);
}

int
main(void)
{
	int dir = scratch_enter();
	unsigned int i;

	repo = wal_scratch_repo(&lineage);
	make_wal();
	put_backup(&lineage, ONE, starts[0], stops[0].end_lsn, AT(100));
	put_backup(&lineage, TWO, starts[1], stops[1].end_lsn, AT(700));
	for (i = 1; i <= 5; i++)
		put(&lineage, i);
	put_open(&lineage, 6, end_lsn);
	check_times();
	check_positions();
	check_names();
	check_ends();
	check_windows();
	check_gap();
	check_dead();
	check_wrong_clock();
	check_timelines();
	check_switch();
	walmaker_fini(&maker);
	repo_close(repo);
	(void)close(dir);
	return tap_done();
}
