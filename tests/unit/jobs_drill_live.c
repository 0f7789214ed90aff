/*
 * A live drill: what the WAL of two timelines proves, how long writers waited,
 * and the report of one that was killed.
 */

#include <pthread.h>

#include "base/clock.h"
#include "base/json.h"
#include "jobs/drill_chain.h"
#include "jobs/drill_live_int.h"
#include "unit/wal_scratch.h"

#define START	 ((uint64_t)4 * SEGMENT_BYTES)
#define COMMIT_S ((int64_t)1000)
#define FIRST_S	 ((int64_t)1007)

static struct lineage lineage;
static struct settings settings;
static struct cluster_settings cluster;

static int64_t
since_1970(int64_t pg_s)
{
	return pg_s * CLOCK_SECOND_US + CLOCK_PG_EPOCH_US;
}

/* ---- what the WAL proves ---- */

static void
shut_down(struct walmaker *m)
{
	const uint8_t checkpoint[88] = { 0 };

	(void)walmaker_record(m, RM_XLOG, 0x00, 0, checkpoint, 88);
}

static void
store_tail(const struct walmaker *m, uint32_t timeline)
{
	size_t at = m->out.len - m->out.len % SEGMENT_BYTES;
	struct err e = ERR_INIT;

	if (wal_store_partial(&lineage, wal_scratch_name(timeline, START + at),
		m->out.data + at, m->out.len - at, &e) == -1)
		tap_bail("%s", e.text);
}

static void
store_history(uint32_t timeline, const struct buf *text)
{
	struct err e = ERR_INIT;

	if (wal_store_history(&lineage, timeline, text->data, text->len, &e) ==
	    -1)
		tap_bail("%s", e.text);
}

/*
 * Timeline number is old up to its end, clean or not; the next one begins there
 * and commits.  With more, somebody has committed on the old one behind that,
 * and stopped it.  Returns where the new one begins.
 */
static uint64_t
make_ends(struct walmaker *old, struct walmaker *new, uint32_t number,
    bool clean, bool more)
{
	uint64_t begin;

	walmaker_init(old, 15, START);
	walmaker_init(new, 15, START);
	old->timeline = new->timeline = number;
	wal_fill(old, START + SEGMENT_BYTES / 4);
	wal_fill(new, START + SEGMENT_BYTES / 4);
	(void)wal_commit(old, 700, COMMIT_S * CLOCK_SECOND_US);
	(void)wal_commit(new, 700, COMMIT_S * CLOCK_SECOND_US);
	if (clean) {
		shut_down(old);
		shut_down(new);
	}
	begin = walmaker_next(new);
	(void)walmaker_next(old);
	new->timeline = number + 1;
	if (more) {
		(void)wal_commit(old, 701, (COMMIT_S + 1) * CLOCK_SECOND_US);
		shut_down(old);
	}
	(void)wal_noop(new, 100);
	(void)wal_commit(new, 702, FIRST_S * CLOCK_SECOND_US);
	return begin;
}

/* Of timeline number, and of the next one, which begins there. */
static void
store_histories(uint32_t number, uint64_t begin)
{
	AUTO_BUF struct buf text = BUF_INIT;
	char lsn[LSN_TEXT_BYTES];

	if (number > 1) {
		buf_printf(&text, "1\t%s\tno recovery target specified\n",
		    lsn_text(START - SEGMENT_BYTES, lsn));
		store_history(number, &text);
	}
	buf_printf(&text, "%u\t%s\tno recovery target specified\n", number,
	    lsn_text(begin, lsn));
	store_history(number + 1, &text);
}

static void
make_wal(uint32_t number, bool clean, bool more)
{
	AUTO_WALMAKER struct walmaker old;
	AUTO_WALMAKER struct walmaker new;
	uint64_t begin = make_ends(&old, &new, number, clean, more);

	store_tail(&old, number);
	store_tail(&new, number + 1);
	store_histories(number, begin);
}

static int
try_proof(struct live_way *w, const char *from, const char *to,
    uint32_t timeline, struct err *e)
{
	struct live l = { .d = { .settings = &settings,
			      .cluster = &cluster,
			      .lineage = lineage },
		.plan = { "tokyo", "osaka" },
		.timeline = timeline };
	int rc;

	l.ways[0] = (struct live_way){
		.from = from, .to = to, .ordered_us = since_1970(COMMIT_S - 3)
	};
	rc = live_prove(&l, &l.ways[0], e);
	*w = l.ways[0];
	return rc;
}

static void
proofs(void)
{
	struct live_way w;
	struct err e = ERR_INIT;

	make_wal(1, true, false);
	tap_ok(try_proof(&w, "tokyo", "osaka", 1, &e) == 0 && w.proved,
	    "nothing is lost (%s)", e.text);
	tap_u64(w.new_timeline, 2, "... by timeline 2");
	tap_u64(w.old_end_lsn, w.begin_lsn, "... which begins at the end");
	tap_ok(w.last_us == since_1970(COMMIT_S), "the last commit before");
	tap_ok(w.first_us == since_1970(FIRST_S), "the first commit after");
	tap_u64((uint64_t)live_outage_us(&w),
	    (uint64_t)((FIRST_S - COMMIT_S) * CLOCK_SECOND_US),
	    "writers waited between them");
	make_wal(3, false, false);
	tap_ok(try_proof(&w, "tokyo", "osaka", 3, &e) == -1 && !w.proved &&
		strstr(e.text, "not with a clean stop") != NULL,
	    "an end without a clean stop proves nothing: %s", e.text);
	err_clear(&e);
	make_wal(5, true, true);
	tap_ok(try_proof(&w, "tokyo", "osaka", 5, &e) == -1 && !w.proved &&
		e.kind == ERR_CORRUPT && w.old_end_lsn > w.begin_lsn,
	    "a commit behind the beginning of the new one is seen: %s", e.text);
	err_clear(&e);
	tap_ok(try_proof(&w, "tokyo", "osaka", 4, &e) == -1 &&
		strstr(e.text, "does not come from") != NULL,
	    "and somebody else's promotion: %s", e.text);
}

/* The end of the old timeline, stored while somebody waits for it. */
static void *
store_late(void *arg)
{
	clock_sleep_us(CLOCK_SECOND_US / 2);
	store_tail(arg, 7);
	return NULL;
}

static void
comes_late(void)
{
	AUTO_WALMAKER struct walmaker old;
	AUTO_WALMAKER struct walmaker new;
	struct live_way w;
	struct err e = ERR_INIT;
	pthread_t thread;

	store_histories(7, make_ends(&old, &new, 7, true, false));
	store_tail(&new, 8);
	if (pthread_create(&thread, NULL, store_late, &old) != 0)
		tap_bail("no thread");
	tap_ok(try_proof(&w, "tokyo", "osaka", 7, &e) == 0 && w.proved,
	    "WAL that is on its way is waited for (%s)", e.text);
	(void)pthread_join(thread, NULL);
}

/* The record of the clean stop begins in one segment and ends in the next. */
static void
crosses(void)
{
	const uint64_t border = START + SEGMENT_BYTES;
	struct walmaker makers[2]; /* timelines 9 and 10 */
	struct live_way w;
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; i < COUNT_OF(makers); i++) {
		struct walmaker *m = &makers[i];

		walmaker_init(m, 15, START);
		m->timeline = 9;
		wal_fill(m, border - SEGMENT_BYTES / 4);
		(void)wal_commit(m, 700, COMMIT_S * CLOCK_SECOND_US);
		while (walmaker_lsn(m) <= border - 104)
			(void)wal_noop(m, 40);
		shut_down(m);
		if (i == 0 && !wal_scratch_store(&lineage, m, 0, &e))
			tap_bail("%s", e.text);
	}
	store_histories(9, walmaker_next(&makers[1]));
	makers[1].timeline = 10;
	(void)wal_commit(&makers[1], 702, FIRST_S * CLOCK_SECOND_US);
	store_tail(&makers[0], 9);
	store_tail(&makers[1], 10);
	tap_ok(try_proof(&w, "tokyo", "osaka", 9, &e) == 0 && w.proved &&
		w.begin_lsn > border && w.last_us == since_1970(COMMIT_S),
	    "a clean stop across two segments is one (%s)", e.text);
	for (i = 0; i < COUNT_OF(makers); i++)
		walmaker_fini(&makers[i]);
}

static void
waits(void)
{
	struct live_way w = { .ordered_us = 100, .last_us = 40 };

	tap_ok(live_outage_us(&w) == -1, "not known without WAL");
	w.new_timeline = 2;
	w.first_us = 150;
	tap_ok(live_outage_us(&w) == 50, "nobody wrote: since the order");
	w.last_us = 110;
	tap_ok(live_outage_us(&w) == 40, "since the last commit");
	w.first_us = 90;
	tap_ok(
	    live_outage_us(&w) == 0, "clocks that differ give no less than 0");
}

/* ---- one that was killed ---- */

#define REPORT_HEAD                                                         \
	"{\"report\":1,\"kind\":\"live\",\"id\":\"20261121T030405Z-7f3a\"," \
	"\"site\":\"tokyo\",\"cluster\":\"main\",\"lineage\":\"%s\","       \
	"\"scenario\":\"s\",\"ordered_by\":\"o\",\"started\":\"t\","        \
	"\"started_us\":1,\"finished\":\"t\",\"finished_us\":2,"            \
	"\"result\":\"passed\",\"verdict\":\"v\","
#define REPORT_STEPS                                                           \
	"\"steps\":[{\"step\":\"plan\",\"what\":\"p\",\"result\":\"passed\"}," \
	"{\"step\":\"hold\",\"what\":\"osaka <stays>\",\"started\":\"t\"}],"
#define REPORT_TAIL                                                        \
	"\"facts\":{},\"from\":\"tokyo\",\"to\":\"osaka\","                \
	"\"primary_at\":\"tokyo\",\"next\":\"\",\"directions\":["          \
	"{\"from\":\"tokyo\",\"to\":\"<b>osaka\",\"nothing_lost\":true}]," \
	"\"rpo\":{},\"rto\":{},\"not_tested\":[]}"

static const char record[] = "main/live.json";

static void
leave_word(const char *text)
{
	struct err e = ERR_INIT;

	if (file_mkdirs_at(AT_FDCWD, "main", 0700, &e) == -1 ||
	    file_publish_at(AT_FDCWD, record, text, strlen(text), 0600,
		FILE_REPLACE, &e) == -1)
		tap_bail("%s", e.text);
}

static void
look_at_kept(const struct chain *c)
{
	const struct report *r = &c->links[0].report;
	const json_t *steps = json_object_get(r->json, "steps");
	const json_t *last = json_array_get(steps, 1);
	AUTO_BUF struct buf page = BUF_INIT;

	tap_ok(r->kind == REPORT_LIVE && c->faults == 0, "it is a sound one");
	tap_str(report_text(r->json, "result"), "stopped", "it was stopped");
	tap_str(report_text(r->json, "verdict"),
	    "osaka <stays>: the drill was killed before its end",
	    "in this step");
	tap_str(report_text(last, "result"), "failed", "which did not pass");
	tap_str(report_text(r->json, "primary_at"), "unknown",
	    "where the primary is, nobody knows here");
	tap_str(report_text(r->json, "next"), "pgkura role main", "so ask");
	report_html(r, "sound", NULL, 0, &page);
	tap_ok(strstr(buf_str(&page), "Live drill of cluster main") != NULL &&
		strstr(buf_str(&page), "<b>osaka") == NULL &&
		strstr(buf_str(&page), "&lt;b&gt;osaka") != NULL,
	    "the page has it, escaped");
}

static size_t
count_reports(void)
{
	AUTO_CHAIN struct chain c = { 0 };

	return chain_read(&settings, &lineage, &c, NULL) == 0 ? c.count : 0;
}

static void
killed(void)
{
	AUTO_FREE char *text =
	    mem_printf(REPORT_HEAD REPORT_STEPS REPORT_TAIL, lineage.name);
	AUTO_CHAIN struct chain c = { 0 };
	struct err e = ERR_INIT;
	bool swept = true;
	int lock;

	tap_ok(drill_live_sweep(&settings, &cluster, &swept, &e) == 0 && !swept,
	    "there is nothing to sweep");
	leave_word(text);
	lock = cluster_lock(settings.state_dir, "main", "live", &e);
	tap_ok(drill_live_sweep(&settings, &cluster, &swept, &e) == -1 &&
		e.kind == ERR_TRANSIENT && access(record, F_OK) == 0,
	    "one that runs is left alone");
	(void)close(lock);
	err_clear(&e);
	tap_ok(drill_live_sweep(&settings, &cluster, &swept, &e) == 0 && swept,
	    "one that was killed is swept (%s)", e.text);
	tap_ok(access(record, F_OK) == -1, "its record goes");
	if (chain_read(&settings, &lineage, &c, &e) == -1 || c.count != 1)
		tap_bail("no report: %s", e.text);
	look_at_kept(&c);
	leave_word(text);
	tap_ok(drill_live_sweep(&settings, &cluster, &swept, &e) == 0 &&
		access(record, F_OK) == -1 && count_reports() == 1,
	    "one that was killed right behind its report has one (%s)", e.text);
	leave_word("{\"report\":");
	tap_ok(drill_live_sweep(&settings, &cluster, &swept, &e) == 0 &&
		access(record, F_OK) == -1,
	    "a record that says nothing goes");
}

/* The repository could not take the report at the end. */
static void
kept_later(void)
{
	AUTO_FREE char *text =
	    mem_printf(REPORT_HEAD REPORT_STEPS "\"ended\":true," REPORT_TAIL,
		lineage.name);
	AUTO_CHAIN struct chain c = { 0 };
	struct err e = ERR_INIT;
	const struct chain_link *k;
	bool swept = false;

	(void)memcpy(strstr(text, "7f3a"), "7f3b", 4);
	leave_word(text);
	(void)rename("repo", "elsewhere");
	tap_ok(drill_live_sweep(&settings, &cluster, &swept, &e) == -1 &&
		e.kind == ERR_TRANSIENT && access(record, F_OK) == 0,
	    "without the repository its record stays: %s", e.text);
	err_clear(&e);
	(void)rename("elsewhere", "repo");
	tap_ok(drill_live_sweep(&settings, &cluster, &swept, &e) == 0 &&
		swept && access(record, F_OK) == -1,
	    "a report that could not be kept is swept (%s)", e.text);
	if (chain_read(&settings, &lineage, &c, &e) == -1)
		tap_bail("no report: %s", e.text);
	k = chain_find(&c, "20261121T030405Z-7f3b");
	if (k == NULL || k->fault != NULL)
		tap_bail("not kept, or not sound");
	tap_str(report_text(k->report.json, "result"), "passed",
	    "and says what it said");
	tap_str(report_text(k->report.json, "primary_at"), "tokyo",
	    "of its own time");
	tap_ok(json_object_get(k->report.json, "ended") == NULL,
	    "nothing else is in it");
}

static void
refusals(void)
{
	static const char *const names[] = { "directions", "primary_at", "next",
		"rpo", "steps" };
	AUTO_FREE char *text =
	    mem_printf(REPORT_HEAD REPORT_STEPS REPORT_TAIL, lineage.name);
	struct err e = ERR_INIT;
	struct report r;
	size_t i;

	for (i = 0; i <= COUNT_OF(names); i++) {
		AUTO_JSON json_t *j =
		    json_parse(text, strlen(text), "a report", &e);
		AUTO_BUF struct buf out = BUF_INIT;

		json_set_u64(j, "sequence", 1);
		(void)json_object_set_new(j, "previous", json_null());
		if (i < COUNT_OF(names))
			(void)json_object_del(j, names[i]);
		json_write(j, &out);
		if (i == COUNT_OF(names))
			tap_ok(report_decode(&r, out.data, out.len, &e) == 0,
			    "a whole one is read (%s)", e.text);
		else
			tap_ok(report_decode(&r, out.data, out.len, &e) == -1 &&
				e.kind == ERR_CORRUPT,
			    "one without \"%s\" is not", names[i]);
		report_free(&r);
		err_clear(&e);
	}
}

int
main(void)
{
	static char url[600], site[] = "tokyo", name[] = "main";
	int dirfd = scratch_enter();
	struct repo *r = wal_scratch_repo(&lineage);

	(void)snprintf(url, sizeof(url), "%s/repo", scratch_path);
	settings.repository = url;
	settings.state_dir = scratch_path;
	settings.site = site;
	cluster.name = name;
	proofs();
	waits();
	killed();
	kept_later();
	comes_late();
	crosses();
	refusals();
	repo_close(r);
	(void)close(dirfd);
	return tap_done();
}
