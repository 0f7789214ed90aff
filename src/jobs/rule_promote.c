/*
 * rule_promote: the standby here becomes the primary; an old primary becomes a
 * standby again, or says what that would cost.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/size.h"
#include "jobs/follow.h"
#include "jobs/promote.h"
#include "jobs/rejoin.h"
#include "jobs/rule_int.h"
#include "pg/server.h"

int
rule_work_promote(const struct settings *s, const struct cluster_settings *c,
    void (*say)(void *arg, const char *line), void *arg, char result[300],
    struct err *e)
{
	const struct promote_options o = { .progress = say, .arg = arg };
	char lsn[LSN_TEXT_BYTES], all[CLOCK_TEXT_BYTES], one[CLOCK_TEXT_BYTES];
	struct promote_result r;
	size_t used;
	int step;

	if (promote_run(s, c, &o, &r, e) == -1)
		return -1;
	used = (size_t)snprintf(result, 300,
	    "timeline %" PRIu32 " from %s, takes writes after %s", r.timeline,
	    lsn_text(r.fork_lsn, lsn), clock_interval(r.elapsed_us, all));
	for (step = 0; step < PROMOTE_STEPS && used < 300; step++)
		if (r.step_us[step] >= CLOCK_SECOND_US / 100)
			used += (size_t)snprintf(result + used, 300 - used,
			    ", %s %s", promote_step_name(step),
			    clock_interval(r.step_us[step], one));
	return 0;
}

/* Both grew: what each choice loses. */
static int
refuse_diverged(const struct cluster_settings *c, const struct rejoin_result *r,
    struct err *e)
{
	char fork[LSN_TEXT_BYTES], end[LSN_TEXT_BYTES], size[SIZE_TEXT_BYTES];

	(void)err_set(e, ERR_REFUSED,
	    "the histories have diverged at %s: this site went on with "
	    "timeline %" PRIu32 " up to %s (%s, %" PRIu64 " transactions that "
	    "the other site lacks), the other site with timeline %" PRIu32,
	    lsn_text(r->fork_lsn, fork), r->old_timeline,
	    lsn_text(r->old_end_lsn, end), size_text(r->diverged_bytes, size),
	    r->diverged_commits, r->timeline);
	return err_hint(e,
	    "\"pgkura failback %s --give-way\" lets this site give way: its "
	    "WAL is kept in the repository, its transactions leave the "
	    "cluster.  \"pgkura restore --timeline=%" PRIu32
	    "\" makes a copy of them, from which rows can be carried over.",
	    c->name, r->old_timeline);
}

/* A promotion makes a timeline.  Before its history is here, nobody can say what this
 * site has alone.  In a hand-over it has nothing. */
static int
refuse_unknown(const struct settings *s, const struct cluster_settings *c,
    const struct rejoin_result *r, struct err *e)
{
	struct record_role_file role = { .handover = HANDOVER_NONE };

	if (r->completed || r->timeline != r->old_timeline)
		return 0;
	if (rule_role_read(s, c, &role, e) == -1 && e->kind != ERR_NOT_FOUND)
		return -1;
	err_clear(e);
	if (role.handover != HANDOVER_NONE)
		return 0;
	(void)err_set(e, ERR_TRANSIENT,
	    "the timeline of the new primary has not come here yet: it is not "
	    "known what this site has alone");
	return err_hint(e,
	    "Try again in a moment. \"pgkura failback %s --give-way\" does not "
	    "ask what it is.",
	    c->name);
}

static int
need_directory(const struct cluster_settings *c, struct err *e)
{
	if (c->standby_dir != NULL)
		return 0;
	(void)err_set(e, ERR_REFUSED,
	    "standby_dir of cluster \"%s\" is not set", c->name);
	return err_hint(e,
	    "Name the old server's data directory, so that it can become a "
	    "standby.");
}

static void
tell_rejoined(const struct rejoin_result *r, char result[300])
{
	char fork[LSN_TEXT_BYTES], size[SIZE_TEXT_BYTES];

	if (r->completed) {
		(void)snprintf(result, 300,
		    "rewound to timeline %" PRIu32
		    ", as an attempt before had begun; %" PRIu64
		    " blocks written, %" PRIu64 " kept",
		    r->timeline, r->written_blocks, r->kept_blocks);
		return;
	}
	(void)snprintf(result, 300,
	    "%s timeline %" PRIu32 " from %s; %s and %" PRIu64
	    " transactions gave way; %" PRIu64 " blocks written, %" PRIu64
	    " kept; salvaged: %s",
	    r->rewound ? "rewound to" : "follows", r->timeline,
	    lsn_text(r->fork_lsn, fork), size_text(r->diverged_bytes, size),
	    r->diverged_commits, r->written_blocks, r->kept_blocks,
	    r->salvaged[0] == '\0' ? "nothing was missing" : r->salvaged);
}

static int
salvage(const struct settings *s, const struct cluster_settings *c,
    char result[300], struct err *e)
{
	struct restore_options o = { .directory = c->standby_dir,
		.delta = true,
		.force_delta = true,
		.standby = true,
		.salvage_only = true };
	struct restore_result r;

	o.target.kind = TARGET_LATEST;
	if (restore_run(s, c, &o, &r, e) == -1)
		return -1;
	(void)snprintf(result, 300, "salvaged: %s",
	    r.salvaged[0] == '\0' ? "nothing was missing" : r.salvaged);
	restore_result_free(&r);
	return 0;
}

/* A rewind that was interrupted: the duty that keeps the standby may be completing
 * it just now.  *v is how it is in the end. */
static int
wait_for_other(const struct settings *s, const struct cluster_settings *c,
    void (*say)(void *arg, const char *line), void *arg, struct follow_view *v,
    struct err *e)
{
	int holder;

	for (;;) {
		holder =
		    cluster_lock_holder(s->state_dir, c->name, "promote", e);
		if (holder == -1 || follow_look_state(s, c, v, e) == -1)
			return -1;
		if (v->state != FOLLOW_UNFINISHED || holder == 0)
			return 0;
		say(arg, "an attempt before is being completed");
		if (child_check_stop(e) == -1)
			return -1;
		clock_sleep_us(CLOCK_SECOND_US / 10);
	}
}

int
rule_work_rejoin(const struct settings *s, const struct cluster_settings *c,
    bool salvage_only, void (*say)(void *arg, const char *line), void *arg,
    char result[300], struct err *e)
{
	struct rejoin_options o = { .plan_only = true };
	struct rejoin_result r = { .timeline = 0 };
	struct follow_view v;

	if (need_directory(c, e) == -1 || follow_look_state(s, c, &v, e) == -1)
		return -1;
	if (v.state == FOLLOW_UNFINISHED &&
	    wait_for_other(s, c, say, arg, &v, e) == -1)
		return -1;
	if (v.state == FOLLOW_STOPPED || v.state == FOLLOW_STARTING ||
	    v.state == FOLLOW_RUNNING) {
		(void)snprintf(result, 300, "it follows already");
		return 0;
	}
	say(arg, "stopping the old server");
	if (server_stop(c->standby_dir, "fast", e) == -1)
		return -1;
	say(arg, "taking over WAL that only the old server has");
	if (v.state != FOLLOW_UNFINISHED && salvage(s, c, result, e) == -1)
		return -1;
	if (salvage_only)
		return 0;
	if (rejoin_run(s, c, &o, &r, e) == -1)
		return -1;
	if (getenv("PGKURA_REJOIN_ORDERED") == NULL &&
	    refuse_unknown(s, c, &r, e) == -1)
		return -1;
	if (r.diverged_commits > 0 && getenv("PGKURA_REJOIN_ORDERED") == NULL)
		return refuse_diverged(c, &r, e);
	o.plan_only = false;
	say(arg, "writing what differs");
	if (rejoin_run(s, c, &o, &r, e) == -1)
		return -1;
	tell_rejoined(&r, result);
	return 0;
}
