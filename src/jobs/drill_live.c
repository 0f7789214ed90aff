/*
 * drill_live: the story.
 *
 *	check: nothing stands in the way; leave word
 *	switch to the other site, until that takes writes
 *	the old primary follows
 *	the WAL proves that nothing was lost
 *	hold
 *	the same back
 *	report
 *
 * A step that fails ends it: nothing is undone, and the report says where the
 * primary is and which command goes on.
 */

#include "jobs/drill_live.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/drill_chain.h"
#include "jobs/drill_live_int.h"
#include "repo/walarchive.h"

/* ---- before anything is done ---- */

static int
prepare(struct live *l, struct err *e)
{
	const struct settings *s = l->d.settings;
	const struct cluster_settings *c = l->d.cluster;
	bool swept;

	if (drill_live_sweep(s, c, &swept, e) == -1)
		return -1;
	l->d.lock_fd = cluster_lock(s->state_dir, c->name, "live", e);
	if (l->d.lock_fd == -1 || drill_live_check(s, c, &l->plan, e) == -1)
		return -1;
	if (l->options->from != NULL &&
	    strcmp(l->options->from, l->plan.from) != 0)
		return err_set(e, ERR_CONFLICT,
		    "the roles have changed: \"%s\" is the primary now",
		    l->plan.from);
	l->d.repo = repo_open(s->repository, s->state_dir, true, e);
	if (l->d.repo == NULL ||
	    lineage_open(l->d.repo, c->name, NULL, &l->d.lineage, e) == -1 ||
	    wal_newest_timeline(&l->d.lineage, &l->timeline, e) == -1)
		return -1;
	backup_id_new(l->d.started_us, l->d.result->id);
	l->ways[0].from = l->ways[1].to = l->plan.from;
	l->ways[0].to = l->ways[1].from = l->plan.to;
	l->primary_at = l->plan.from;
	return live_record_write(l, e);
}

/* ---- steps ---- */

/* Told, and left word of. */
static int begin(struct live *l, const char *name, struct err *e,
    const char *fmt, ...) __attribute__((__format__(__printf__, 4, 5)));

static int
begin(struct live *l, const char *name, struct err *e, const char *fmt, ...)
{
	AUTO_FREE char *what = NULL;
	va_list ap;

	va_start(ap, fmt);
	what = mem_vprintf(fmt, ap);
	va_end(ap);
	drill_begin_step(&l->d, name, what);
	live_say(l, what);
	return live_record_write(l, e);
}

/* The step that is open did not come to its end. */
static int
fail(struct live *l, const struct err *e)
{
	if (e->kind == ERR_CANCELED)
		drill_spoil(&l->d, DRILL_STOPPED,
		    "%s: it was stopped, by order or with pgkurad",
		    json_get_str(l->d.step, "what"));
	drill_end_step(&l->d, STEP_FAILED, "%s%s%s", e->text,
	    e->hint[0] == '\0' ? "" : ". ", e->hint);
	return -1;
}

static int
switch_over(struct live *l, struct live_way *w, bool back)
{
	struct err e = ERR_INIT;
	char took[CLOCK_TEXT_BYTES];

	if (begin(l, back ? "switch-back" : "switch", &e,
		"The role goes from %s to %s", w->from, w->to) == -1 ||
	    live_switch(l, w, &e) == -1)
		return fail(l, &e);
	drill_end_step(&l->d, STEP_PASSED,
	    "ordered and done within %s: the server of %s stopped clean, %s has "
	    "all its WAL and is promoted, and its write probe was committed",
	    clock_interval(
		w->mark_us[LIVE_TAKEN] - w->mark_us[LIVE_ORDERED], took),
	    w->from, w->to);
	return 0;
}

static int
follow(struct live *l, struct live_way *w, bool back)
{
	struct err e = ERR_INIT;

	if (begin(l, back ? "follow-back" : "follow", &e,
		"%s follows as a standby and has all", w->from) == -1 ||
	    live_follow(l, w, &e) == -1)
		return fail(l, &e);
	drill_end_step(&l->d, STEP_PASSED,
	    "its standby could be promoted, lacks nothing of what %s had when "
	    "it became the primary, and a switchover could begin again",
	    w->to);
	return 0;
}

static void
tell_proof(struct live *l, const struct live_way *w)
{
	char end[LSN_TEXT_BYTES], took[CLOCK_TEXT_BYTES],
	    last[CLOCK_TEXT_BYTES], first[CLOCK_TEXT_BYTES];

	drill_end_step(&l->d, STEP_PASSED,
	    "timeline %u ends at %s with the record of a clean stop, and "
	    "timeline %u begins there; last commit before %s, first after %s: "
	    "writers waited %s",
	    w->old_timeline, lsn_text(w->old_end_lsn, end), w->new_timeline,
	    w->last_us == 0 ? "not known" : clock_utc(w->last_us, last),
	    clock_utc(w->first_us, first),
	    clock_interval(live_outage_us(w), took));
}

static int
prove(struct live *l, struct live_way *w, bool back)
{
	struct err e = ERR_INIT;

	if (begin(l, back ? "prove-back" : "prove", &e,
		"No commit is lost on the way to %s", w->to) == -1 ||
	    live_prove(l, w, &e) == -1)
		return fail(l, &e);
	tell_proof(l, w);
	return 0;
}

static int
hold(struct live *l)
{
	struct err e = ERR_INIT;
	char within[CLOCK_TEXT_BYTES];

	(void)clock_interval(l->options->hold_us, within);
	if (begin(l, "hold", &e, "%s stays the primary for %s", l->plan.to,
		within) == -1 ||
	    live_hold(l, &l->ways[0], l->options->hold_us, &e) == -1)
		return fail(l, &e);
	drill_end_step(&l->d, STEP_PASSED, "the roles stayed as they were");
	return 0;
}

static int
go(struct live *l, struct live_way *w, bool back)
{
	if (switch_over(l, w, back) == -1 || follow(l, w, back) == -1)
		return -1;
	return prove(l, w, back);
}

/* From here on there will be a report, whatever happens. */
static void
rehearse(struct live *l)
{
	struct err e = ERR_INIT;

	if (begin(l, "plan", &e, "Nothing stands in the way of a switchover") ==
	    -1) {
		(void)fail(l, &e);
		return;
	}
	drill_end_step(&l->d, STEP_PASSED,
	    "%s is the primary on timeline %u, %s follows and could take over",
	    l->plan.from, l->timeline, l->plan.to);
	if (go(l, &l->ways[0], false) == 0 && hold(l) == 0)
		(void)go(l, &l->ways[1], true);
}

static int
finish(struct live *l, struct err *e)
{
	struct err unsaid = ERR_INIT;

	live_place(l->d.settings, l->d.cluster, l);
	l->d.result->outcome = l->d.outcome;
	l->d.result->report = live_report(l);
	if (chain_put(l->d.settings, &l->d.lineage, l->d.result->report,
		l->d.result->id, e) == -1) {
		/* Whoever looks next keeps it. */
		l->ended = true;
		if (live_record_write(l, &unsaid) == -1)
			log_error("drill_report_lost", &unsaid);
		return -1;
	}
	live_record_forget(l);
	return 0;
}

static void
live_free(struct live *l)
{
	buf_free(&l->d.verdict);
	json_decref(l->d.steps);
	json_decref(l->d.facts);
	repo_close(l->d.repo);
	if (l->d.lock_fd != -1)
		(void)close(l->d.lock_fd);
}

int
drill_live_run(const struct settings *s, const struct cluster_settings *c,
    const struct drill_live_options *options, struct drill_result *result,
    struct err *e)
{
	AUTO(live_free)
	struct live l = { .d = { .settings = s,
			      .cluster = c,
			      .result = result,
			      .lock_fd = -1,
			      .started_us = clock_now_us(),
			      .began_us = clock_boot_us(),
			      .steps = json_array(),
			      .facts = json_object() },
		.options = options,
		.primary_at = "unknown" };

	l.no_options.ordered_by = options->by;
	l.d.options = &l.no_options;
	(void)memset(result, 0, sizeof(*result));
	if (prepare(&l, e) == -1)
		return -1;
	rehearse(&l);
	if (finish(&l, e) == -1) {
		drill_result_free(result);
		(void)err_ctx(e, "the drill's report is not kept");
		return err_hint(e,
		    "The drill has %s, and the primary is at %s. Its report is "
		    "kept when that is mended.",
		    l.d.outcome == DRILL_STOPPED
			? "been stopped"
			: drill_outcome_name(l.d.outcome),
		    l.primary_at);
	}
	return 0;
}

int
drill_live_verdict(const struct drill_result *r, struct err *e)
{
	const char *at = report_text(r->report, "primary_at");
	bool known = strcmp(at, "unknown") != 0;

	if (drill_verdict(r, e) == 0)
		return 0;
	return err_hint(e,
	    "%s%s; go on with \"%s\". \"pgkura drill show %s\" says what was "
	    "seen.",
	    known ? "The primary is at "
		  : "Where the primary is, is not known here",
	    known ? at : "", report_text(r->report, "next"), r->id);
}
