/*
 * rule_facts: what decide asks to know.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/show.h"
#include "jobs/follow.h"
#include "jobs/rule_int.h"
#include "pg/lsn.h"

#define FACTS_US       CLOCK_SECOND_US
#define EYE_TIMEOUT_US (15 * CLOCK_SECOND_US)
#define GONE_US	       CLOCK_SECOND_US

/* ---- where the server lies ---- */

void
rule_place_free(struct rule_place *p)
{
	free(p->pgdata);
	free(p->conninfo);
	*p = (struct rule_place){ NULL, NULL, false };
}

/* The standby's directory, once there is a standby of ours in it, else that of
 * pgdata. */
void
rule_place_find(const struct settings *s, const struct cluster_settings *c,
    struct rule_place *out)
{
	AUTO_BUF struct buf conninfo = BUF_INIT;
	struct follow_view v;

	*out = (struct rule_place){ NULL, NULL, false };
	if (c->standby_dir != NULL && follow_look_state(s, c, &v, NULL) == 0 &&
	    v.state != FOLLOW_ABSENT && v.state != FOLLOW_FOREIGN) {
		out->pgdata = mem_strdup(c->standby_dir);
		out->standby = true;
		if (follow_conninfo(c, &conninfo, NULL) == 0)
			out->conninfo = mem_strdup(buf_str(&conninfo));
		return;
	}
	if (c->pgdata != NULL)
		out->pgdata = mem_strdup(c->pgdata);
	if (c->conninfo != NULL)
		out->conninfo = mem_strdup(c->conninfo);
}

/* ---- the replica ---- */

/* Why the duty that keeps the standby could not start it, as it said last. */
static bool
does_not_start(struct rule *r)
{
	AUTO_FREE char *path =
	    mem_printf("%s/%s/standby.json", r->s->state_dir, r->c->name);
	AUTO_JSON json_t *j = show_read(path);
	const char *error = json_string_value(json_object_get(j, "error"));

	if (error == NULL)
		return false;
	(void)snprintf(r->why_not, sizeof(r->why_not), "%.199s", error);
	return true;
}

static void
look_at_replica(struct rule *r)
{
	struct follow_view v;
	struct err e = ERR_INIT;

	r->promotable = r->standby_here = r->promoted_here = false;
	r->makeable = false;
	if (r->c->standby_dir == NULL) {
		(void)snprintf(
		    r->why_not, sizeof(r->why_not), "standby_dir is not set");
		return;
	}
	if (follow_look_state(r->s, r->c, &v, &e) == -1) {
		(void)snprintf(
		    r->why_not, sizeof(r->why_not), "%.199s", e.text);
		return;
	}
	r->standby_here = v.state == FOLLOW_STOPPED ||
	    v.state == FOLLOW_STARTING || v.state == FOLLOW_RUNNING;
	r->promoted_here = v.state == FOLLOW_PROMOTED;
	r->makeable = v.state == FOLLOW_ABSENT || v.state == FOLLOW_UNFINISHED;
	r->promotable = r->standby_here;
	(void)snprintf(r->why_not, sizeof(r->why_not), "the standby is %s%s",
	    follow_state_name(v.state),
	    v.state == FOLLOW_FOREIGN || v.state == FOLLOW_PROMOTED
		? ": \"pgkura failback\" makes an old primary one"
		: "");
	if (v.state == FOLLOW_STOPPED && does_not_start(r))
		r->promotable = false;
}

/* The courier's file about a peer; NULL when there is none. */
static json_t *
link_file(const struct rule *r, const char *peer)
{
	AUTO_FREE char *path =
	    mem_printf("%s/link/%s.json", r->s->state_dir, peer);

	return show_read(path);
}

/* From now on its age grows by itself: a clock that is set makes it neither younger
 * nor older. */
static void
note_known(struct rule *r, const struct wal_known *known)
{
	AUTO_JSON json_t *link = link_file(r, r->sites.names[r->sites.peer]);
	int64_t skew_us = 0, age_us;

	if (link != NULL)
		(void)json_need_i64(link, "skew_us", &skew_us, NULL);
	age_us = clock_now_us() + skew_us - known->server_us;
	r->known_boot_us = clock_boot_us() - (age_us < 0 ? 0 : age_us);
}

/* What was lost if the primary wrote until now: since the moment up to which all
 * that it had is known to be here. */
static void
look_at_loss(struct rule *r)
{
	struct err e = ERR_INIT;
	struct wal_known known = { 0 };

	r->rpo_us = -1;
	if (r->repo == NULL)
		r->repo =
		    repo_open(r->s->repository, r->s->state_dir, false, &e);
	if (r->repo == NULL)
		return;
	if (lineage_open(r->repo, r->c->name, NULL, &r->lineage, &e) == -1)
		return;
	r->has_lineage = true;
	wal_known_read(&r->lineage, &known);
	if (known.server_us == 0)
		return;
	if (known.server_us != r->known.server_us)
		note_known(r, &known);
	r->known = known;
	r->rpo_us = clock_boot_us() - r->known_boot_us;
	r->rpo_us -=
	    rule_left_idle_us(r, known.server_us, known.server_us + r->rpo_us);
	if (r->rpo_us < 0)
		r->rpo_us = 0;
}

uint64_t
rule_peer_committed(const struct rule *r, bool *ready)
{
	AUTO_JSON json_t *link = link_file(r, r->sites.names[r->sites.peer]);
	const json_t *ships = json_object_get(link, "ships"), *ship;
	const char *text;
	uint64_t lsn = 0;
	size_t i;

	*ready = false;
	for (i = 0; (ship = json_array_get(ships, i)) != NULL; i++) {
		text = json_string_value(json_object_get(ship, "cluster"));
		if (text == NULL || strcmp(text, r->c->name) != 0)
			continue;
		text = json_string_value(json_object_get(ship, "committed"));
		if (text == NULL || lsn_parse(text, &lsn, NULL) == -1)
			return 0;
		*ready = json_is_true(json_object_get(link, "up"));
		return lsn;
	}
	return 0;
}

/* ---- the server ---- */

static void
tell_server(struct rule *r)
{
	if (!r->watched.changed)
		return;
	rule_event(r,
	    r->watched.verdict == WATCH_ALIVE ||
		    r->watched.verdict == WATCH_MAINTENANCE
		? LOG_LEVEL_INFO
		: LOG_LEVEL_WARNING,
	    "server_state", watch_verdict_text(r->watched.verdict), "reason",
	    r->look.error[0] == '\0' ? NULL : r->look.error);
}

static void
note_clean_stop(struct rule *r)
{
	bool stopped = r->watched.verdict == WATCH_STOPPED;
	struct record_role_file next;

	if (!r->has_role || r->role.role != ROLE_PRIMARY ||
	    r->role.clean_stop == stopped ||
	    (!stopped && r->watched.verdict != WATCH_ALIVE))
		return;
	next = r->role;
	next.clean_stop = stopped;
	if (rule_put_role(r, &next) == 0)
		rule_event(r, LOG_LEVEL_INFO,
		    stopped ? "clean_stop" : "clean_stop_ends",
		    stopped ? "the server was stopped by its administrator"
			    : "the server runs again",
		    NULL, NULL);
}

static void
recover(struct rule *r, int64_t now_us)
{
	enum watch_act act = r->watched.act;

	(void)now_us;
	if (act == WATCH_NOTHING || !r->c->local_recovery || !r->has_role ||
	    r->role.role != ROLE_PRIMARY || !r->verdict.may_write ||
	    r->role.handover != HANDOVER_NONE || r->task.work != WORK_NONE ||
	    r->standby_here)
		return;
	r->tried = true;
	rule_event(r, LOG_LEVEL_WARNING, "local_recovery",
	    "the server is started again", NULL, NULL);
	rule_task_start(r, WORK_START);
}

/* A primary's server that may not run just now: what is not tried does not fail.
 * One that is dead stays so while this site stands aside for the other. */
static bool
is_withheld(const struct rule *r)
{
	return r->has_role && r->role.role == ROLE_PRIMARY &&
	    !r->verdict.may_write && r->verdict.reason != REASON_SERVER_DEAD &&
	    r->verdict.reason != REASON_RESIGNED;
}

/* No process of it was seen since it was forbidden to run, nor is one about to be
 * started.  What the watchdog had to kill is gone by then. */
static bool
is_gone(const struct rule *r)
{
	return r->look.process == WATCH_PROCESS_ABSENT &&
	    r->look.boot_us >= r->forbidden_us + GONE_US &&
	    (r->task.work == WORK_NONE || r->task.work == WORK_FENCE_TEST);
}

static void
look_at_server(struct rule *r, int64_t now_us)
{
	struct watch_facts f = { .now_us = now_us };
	struct rule_look look;

	if (!rule_eye_take(&r->eye, r->s, r->c, EYE_TIMEOUT_US, &look) ||
	    look.boot_us < r->look_after_us)
		return;
	/* One that hangs has not stopped writing. */
	if (look.sql == WATCH_SQL_TIMEOUT &&
	    look.process == WATCH_PROCESS_THERE && r->look.writable)
		look.writable = true;
	r->look = look;
	if (r->look.sql == WATCH_SQL_OK)
		r->stopped_by_us = false;
	if (now_us < r->watch_us && r->look.sql != WATCH_SQL_OK)
		return;
	f.process = r->look.process;
	f.sql = r->look.sql;
	f.clean_stop = r->look.clean && !r->stopped_by_us;
	f.maintenance = r->has_role && r->role.maintenance;
	f.progress = r->look.progress;
	f.withheld = is_withheld(r);
	r->watched =
	    watch_step(&r->watch, &r->watch_settings, &f, CLOCK_SECOND_US);
	if (r->watched.verdict == WATCH_ALIVE)
		r->tried = false;
	r->watch_us = now_us + r->watched.next_look_us;
	if (!r->has_role || r->role.role != ROLE_PRIMARY)
		return;
	tell_server(r);
	note_clean_stop(r);
	recover(r, now_us);
}

void
rule_look_around(struct rule *r, int64_t now_us)
{
	if (rule_is_witness(r))
		return;
	look_at_server(r, now_us);
	if (now_us - r->facts_us < FACTS_US)
		return;
	r->facts_us = now_us;
	look_at_replica(r);
	look_at_loss(r);
	rule_left_look(r);
}

/* A clock that was set back leaves it just now, not never. */
int64_t
rule_since_automatic_us(const struct rule *r)
{
	int64_t since_us;

	if (!r->has_role || r->role.automatic_wall_us == 0)
		return -1;
	since_us = clock_now_us() - r->role.automatic_wall_us;
	return since_us < 0 ? 0 : since_us;
}

void
rule_facts(const struct rule *r, struct decide_facts *f)
{
	(void)memset(f, 0, sizeof(*f));
	f->now_us = clock_boot_us();
	f->self = r->sites.self;
	f->process = r->process;
	f->role = r->has_role ? &r->role : NULL;
	f->voter = &r->voter;
	(void)memcpy(f->says, r->says, sizeof(f->says));
	f->paths = r->paths;
	(void)memcpy(f->path_us, r->path_us, sizeof(f->path_us));
	f->witness = r->sites.names[SEAT_WITNESS] != NULL;
	f->witness_unsure = f->witness && !rule_witness_counts(r);
	/* By order what did not start is tried again, and what is not there is made
	 * from a backup, however long that takes. */
	f->promotable = r->promotable ||
	    (r->order.kind == RULE_ORDER_FAILOVER &&
		(r->standby_here || (r->makeable && r->has_lineage)));
	f->rpo_us = r->rpo_us;
	f->since_automatic_us = rule_since_automatic_us(r);
	f->hook = r->hook;
	f->guarded = r->guarded;
	f->proved = r->proved;
	f->server = r->watched.verdict;
	f->failed = r->watched.verdict == WATCH_DEAD && r->tried;
	f->gone = is_gone(r);
	f->shipped = r->shipped;
	f->writable = r->look.writable;
	switch (r->order.kind) {
	case RULE_ORDER_CONFIRM:
		f->order = ORDER_CONFIRM;
		break;
	case RULE_ORDER_FAILOVER:
		if (!r->order.begun)
			f->order =
			    r->order.force ? ORDER_FORCE : ORDER_FAILOVER;
		break;
	default:
		break;
	}
	f->allow_loss_us = r->order.allow_loss_us;
}
