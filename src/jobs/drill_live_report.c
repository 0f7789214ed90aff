/*
 * drill_live_report: the report of a live drill.  pgkura-report(5) describes each
 * member.
 *
 * While it runs, <state_dir>/<cluster>/live.json is the report as it would be
 * now: whoever finds that file, and nobody who holds the lock, keeps it as the
 * report of one that was killed; or as it stands, with "ended", when the
 * repository could not take it at its end.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/drill_chain.h"
#include "jobs/drill_live_int.h"

#define RECORD		 "live.json"
#define RECORD_BYTES_MAX ((size_t)1 << 20)

/* ---- RPO and RTO ---- */

static json_t *
rpo_json(const struct live *l)
{
	json_t *parts = json_array();
	bool proved = true;
	size_t i;

	for (i = 0; i < COUNT_OF(l->ways); i++) {
		const struct live_way *w = &l->ways[i];
		char end[LSN_TEXT_BYTES];
		AUTO_FREE char *what = NULL;

		proved = proved && w->proved;
		if (!w->proved)
			continue;
		what = mem_printf("to %s: timeline %u ends at %s with the "
				  "record of a clean stop, timeline %u begins "
				  "there",
		    w->to, w->old_timeline, lsn_text(w->old_end_lsn, end),
		    w->new_timeline);
		drill_add_part(parts, what, 0, "measured");
	}
	return drill_measure(
	    l->d.cluster->rpo_target_us, proved ? 0 : -1, parts);
}

/* How long each phase took; those that were not reached are left out. */
static void
add_phases(json_t *parts, const struct live_way *w, bool all)
{
	static const char *const what[LIVE_PHASES] = {
		[LIVE_STOPPED] = "until the server of the old primary has "
				 "stopped clean",
		[LIVE_GIVEN] = "until the other site has all its WAL",
		[LIVE_TAKEN] =
		    "until the other site has the term, is promoted and "
		    "has committed its write probe",
		[LIVE_WHOLE] = "until the old primary follows"
	};
	int i;

	for (i = LIVE_STOPPED; i < (all ? LIVE_PHASES : LIVE_WHOLE); i++) {
		AUTO_FREE char *text = mem_printf("to %s: %s", w->to, what[i]);

		if (w->mark_us[i] != 0)
			drill_add_part(parts, text,
			    w->mark_us[i] - w->mark_us[i - 1], "measured");
	}
}

/* The longer of what writers saw each way. */
static json_t *
rto_json(const struct live *l)
{
	json_t *parts = json_array();
	int64_t most_us = -1;
	bool whole = true;
	size_t i;

	for (i = 0; i < COUNT_OF(l->ways); i++) {
		const struct live_way *w = &l->ways[i];
		int64_t us = live_outage_us(w);
		AUTO_FREE char *text = mem_printf("to %s: writers waited, by "
						  "commit times in the WAL",
		    w->to);

		whole = whole && us >= 0;
		if (us > most_us)
			most_us = us;
		if (us >= 0)
			drill_add_part(parts, text, us, "measured");
		add_phases(parts, w, false);
	}
	return drill_measure(
	    l->d.cluster->rto_target_us, whole ? most_us : -1, parts);
}

/* ---- directions ---- */

static void
set_utc(json_t *o, const char *key, int64_t us)
{
	char when[CLOCK_TEXT_BYTES];

	if (us != 0)
		json_set_str(o, key, clock_utc(us, when));
}

static json_t *
way_json(const struct live *l, const struct live_way *w)
{
	json_t *o = json_object(), *phases = json_array();
	char lsn[LSN_TEXT_BYTES];

	json_set_str(o, "from", w->from);
	json_set_str(o, "to", w->to);
	set_utc(o, "ordered", w->ordered_us);
	add_phases(phases, w, true);
	(void)json_object_set_new(o, "phases", phases);
	if (w->new_timeline == 0)
		return o;
	json_set_u64(o, "timeline_before", w->old_timeline);
	json_set_str(o, "end", lsn_text(w->old_end_lsn, lsn));
	(void)json_object_set_new(
	    o, "stopped_clean", json_boolean(w->stopped_clean));
	json_set_u64(o, "timeline_after", w->new_timeline);
	json_set_str(o, "begin", lsn_text(w->begin_lsn, lsn));
	(void)json_object_set_new(o, "nothing_lost", json_boolean(w->proved));
	set_utc(o, "last_commit", w->last_us);
	set_utc(o, "first_commit", w->first_us);
	(void)json_object_set_new(
	    o, "skew_us", json_integer((json_int_t)l->skew_us));
	(void)json_object_set_new(
	    o, "outage_us", json_integer((json_int_t)live_outage_us(w)));
	json_set_str(o, "outage_since",
	    w->last_us > w->ordered_us ? "last commit" : "order");
	return o;
}

static json_t *
ways_json(const struct live *l)
{
	json_t *all = json_array();
	size_t i;

	for (i = 0; i < COUNT_OF(l->ways); i++)
		if (l->ways[i].ordered_us != 0)
			(void)json_array_append_new(
			    all, way_json(l, &l->ways[i]));
	return all;
}

/* ---- all of it ---- */

static json_t *
untested_json(const struct live *l)
{
	static const char *const always[] = {
		"An unplanned loss: both sites and the line were up, so nothing "
		"was detected, decided or fenced",
		"That recovery from the repository alone works: a drill in "
		"isolation tests that",
		"That clients find the way by themselves: the first commit after "
		"a promotion may be its write probe",
		"The difference of the two clocks is that of the sites; each "
		"server's clock is taken for its site's"
	};
	json_t *all = json_array();
	size_t i;

	if (l->d.outcome != DRILL_PASSED)
		(void)json_array_append_new(all,
		    json_string("All that comes after the step that did not "
				"come to its end"));
	for (i = 0; i < COUNT_OF(always); i++)
		(void)json_array_append_new(all, json_string(always[i]));
	return all;
}

json_t *
live_report(const struct live *l)
{
	AUTO_FREE char *scenario = mem_printf("The role of the primary goes "
					      "from %s to %s and comes back, "
					      "in operation.",
	    l->plan.from, l->plan.to);
	json_t *j = drill_write_head(&l->d, "live", scenario);

	json_set_str(j, "from", l->plan.from);
	json_set_str(j, "to", l->plan.to);
	(void)json_object_set_new(
	    j, "hold_us", json_integer((json_int_t)l->options->hold_us));
	json_set_str(j, "primary_at", l->primary_at);
	json_set_str(j, "next", l->next);
	(void)json_object_set_new(j, "directions", ways_json(l));
	(void)json_object_set_new(j, "rpo", rpo_json(l));
	(void)json_object_set_new(j, "rto", rto_json(l));
	(void)json_object_set_new(j, "not_tested", untested_json(l));
	return j;
}

/* ---- where the primary is ---- */

static void
next_command(const struct cluster_settings *c,
    const struct drill_live_plan *plan, const char *at, bool moving,
    char out[160])
{
	if (!moving && strcmp(at, plan->to) == 0)
		(void)snprintf(out, 160, "pgkura switchover %s --to=%s",
		    c->name, plan->from);
	else
		(void)snprintf(out, 160, "pgkura role %s", c->name);
}

void
live_place(
    const struct settings *s, const struct cluster_settings *c, struct live *l)
{
	bool moving;

	l->primary_at = live_where(s, c, &l->plan, &moving);
	if (l->d.outcome != DRILL_PASSED)
		next_command(c, &l->plan, l->primary_at, moving, l->next);
}

/* ---- word of it, for who finds it killed ---- */

static char *
record_path(const struct settings *s, const struct cluster_settings *c)
{
	return mem_printf("%s/%s/" RECORD, s->state_dir, c->name);
}

int
live_record_write(const struct live *l, struct err *e)
{
	AUTO_FREE char *path = record_path(l->d.settings, l->d.cluster);
	AUTO_FREE char *above = file_parent(path);
	AUTO_JSON json_t *j = live_report(l);
	AUTO_BUF struct buf text = BUF_INIT;

	if (l->ended)
		(void)json_object_set_new(j, "ended", json_true());
	json_write(j, &text);
	if (file_mkdirs_at(AT_FDCWD, above, 0700, e) == -1)
		return -1;
	return file_publish_at(
	    AT_FDCWD, path, text.data, text.len, 0600, FILE_REPLACE, e);
}

void
live_record_forget(const struct live *l)
{
	AUTO_FREE char *path = record_path(l->d.settings, l->d.cluster);
	struct err e = ERR_INIT;

	if (file_unlink_at(AT_FDCWD, path, &e) == -1)
		log_error("drill_live_not_forgotten", &e);
}

/* The step that was open when it was killed, and what it was. */
static const char *
end_last_step(json_t *j, int64_t now_us)
{
	json_t *steps = json_object_get(j, "steps");
	json_t *step = json_array_get(steps, json_array_size(steps) - 1);
	char when[CLOCK_TEXT_BYTES];

	if (json_array_size(steps) == 0)
		return "";
	if (json_object_get(step, "result") == NULL) {
		json_set_str(step, "ended", clock_utc(now_us, when));
		json_set_u64(step, "took_us", 0);
		json_set_str(step, "result", "failed");
		json_set_str(
		    step, "detail", "the drill was killed during this step");
	}
	return json_get_str(step, "what");
}

/* What it could not write any more. */
static void
end_report(
    const struct settings *s, const struct cluster_settings *c, json_t *j)
{
	struct drill_live_plan plan = { .from = "" };
	AUTO_FREE char *verdict = NULL;
	int64_t now_us = clock_now_us();
	char when[CLOCK_TEXT_BYTES], next[160];
	const char *at;
	bool moving;

	(void)json_need_text(j, "from", plan.from, sizeof(plan.from), NULL);
	(void)json_need_text(j, "to", plan.to, sizeof(plan.to), NULL);
	at = live_where(s, c, &plan, &moving);
	next_command(c, &plan, at, moving, next);
	verdict = mem_printf("%s: the drill was killed before its end",
	    end_last_step(j, now_us));
	json_set_str(j, "result", drill_outcome_name(DRILL_STOPPED));
	json_set_str(j, "verdict", verdict);
	json_set_str(j, "primary_at", at);
	json_set_str(j, "next", next);
	json_set_str(j, "finished", clock_utc(now_us, when));
	(void)json_object_set_new(j, "finished_us", json_integer(now_us));
}

static int
keep_report(const struct settings *s, const struct cluster_settings *c,
    struct repo *r, json_t *j, struct err *e)
{
	bool ended = json_is_true(json_object_get(j, "ended"));
	char id[BACKUP_ID_BYTES];
	struct lineage l;

	(void)json_object_del(j, "ended");
	if (!ended)
		end_report(s, c, j);
	if (lineage_open(r, c->name, json_get_str(j, "lineage"), &l, e) == -1 ||
	    chain_put(s, &l, j, id, e) == -1)
		return -1;
	live_show_killed(s, c, j, id);
	if (!ended)
		log_event(LOG_LEVEL_WARNING, "drill_live_killed",
		    "a live drill was killed; the roles stay as they are",
		    "cluster", c->name, "report", id, "primary_at",
		    json_get_str(j, "primary_at"), "command",
		    json_get_str(j, "next"), NULL);
	return 0;
}

static int
sweep(const struct settings *s, const struct cluster_settings *c,
    const char *path, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_JSON json_t *j = NULL;
	AUTO_REPO struct repo *r = NULL;
	struct err why = ERR_INIT;

	/* It may be mounted again. */
	r = repo_open(s->repository, s->state_dir, true, &why);
	if (r == NULL)
		return err_set(e, ERR_TRANSIENT, "%s", why.text);
	if (file_slurp_at(AT_FDCWD, path, RECORD_BYTES_MAX, &text, e) == -1) {
		if (e == NULL || e->kind != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	j = json_parse(text.data, text.len, path, &why);
	if (j == NULL || keep_report(s, c, r, j, &why) == -1) {
		if (why.kind == ERR_IO || why.kind == ERR_TRANSIENT) {
			if (e != NULL)
				*e = why;
			return -1; /* it is tried again */
		}
		/* It was killed, but its report had been kept. */
		if (why.kind != ERR_CONFLICT)
			log_error("drill_report_lost", &why);
	}
	return file_unlink_at(AT_FDCWD, path, e);
}

int
drill_live_sweep(const struct settings *s, const struct cluster_settings *c,
    bool *swept, struct err *e)
{
	AUTO_FREE char *path = record_path(s, c);
	AUTO_FD int lock = -1;
	int there = file_exists_at(AT_FDCWD, path, e);

	*swept = false;
	if (there != 1)
		return there;
	lock = cluster_lock(s->state_dir, c->name, "live", e);
	if (lock == -1)
		return -1;
	*swept = true;
	return sweep(s, c, path, e);
}
