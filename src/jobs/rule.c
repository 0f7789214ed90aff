/*
 * rule: the process: looks, decides, does.
 *
 *	hear -> begin -> look around -> decide -> do -> hand over -> say -> show
 */

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/rule_ack.h"
#include "jobs/rule_int.h"

#define TICK_MS	 100
#define AGAIN_US (5 * CLOCK_SECOND_US)

/* ---- for the others ---- */

bool
rule_is_witness(const struct rule *r)
{
	return r->sites.self == SEAT_WITNESS;
}

void
rule_event(const struct rule *r, enum log_level level, const char *event,
    const char *message, const char *key, const char *value)
{
	log_event(level, event, message, "cluster", r->c->name,
	    key == NULL ? "reason" : key, value, NULL);
}

bool
rule_fresh(const struct rule *r, enum record_seat seat)
{
	const struct decide_says *says = &r->says[seat];

	return says->heard &&
	    clock_boot_us() - says->heard_us <= decide_detect_us(&r->settings);
}

bool
rule_peer_fresh(const struct rule *r)
{
	return rule_fresh(r, r->sites.peer);
}

int
rule_put_role(struct rule *r, const struct record_role_file *next)
{
	struct record_role_file new = *next;
	struct err e = ERR_INIT;

	if (rule_role_write(r->s, r->c, &new, &e) == -1) {
		log_error("role_not_written", &e);
		return -1;
	}
	r->role = new;
	r->has_role = true;
	r->shown_us = 0;
	return 0;
}

int
rule_take_role(
    struct rule *r, enum record_role role, uint64_t held, const char *reason)
{
	struct record_role_file next = r->role;
	char term[24];

	record_role_change(&next, role, held, clock_now_us(), reason);
	if (held > next.held)
		next.held = held;
	if (rule_put_role(r, &next) == -1)
		return -1;
	(void)snprintf(term, sizeof(term), "%llu", (unsigned long long)held);
	log_event(LOG_LEVEL_WARNING, "role_changed", reason, "cluster",
	    r->c->name, "role", record_role_name(role), "term", term, NULL);
	return 0;
}

/* ---- what decide says ---- */

static void
tell_events(struct rule *r)
{
	static const struct {
		enum decide_event bit;
		enum log_level level;
		const char *event, *message;
	} events[] = {
		{ EVENT_GAP, LOG_LEVEL_WARNING, "watch_gap",
		    "this site did not look for a while: silence and hold "
		    "count anew" },
		{ EVENT_PATH_DOWN, LOG_LEVEL_WARNING, "site_path_down",
		    "a path to the other site is silent" },
		{ EVENT_PATH_UP, LOG_LEVEL_INFO, "site_path_up",
		    "a path to the other site is back" },
		{ EVENT_PEER_SILENT, LOG_LEVEL_ERROR, "peer_silent",
		    "the other site is silent on all paths" },
		{ EVENT_PEER_BACK, LOG_LEVEL_WARNING, "peer_back",
		    "the other site is heard again" },
		{ EVENT_HOLD_BEGINS, LOG_LEVEL_ERROR, "hold_begins",
		    "automatic failover begins when the other site stays "
		    "silent" },
		{ EVENT_HOLD_ENDS, LOG_LEVEL_WARNING, "hold_ends",
		    "no failover" },
		{ EVENT_TAKING, LOG_LEVEL_ERROR, "taking",
		    "this site takes over" },
	};
	char left[CLOCK_TEXT_BYTES], detection[CLOCK_TEXT_BYTES];
	size_t i;

	(void)clock_interval(r->settings.hold_us, left);
	(void)clock_interval(decide_detect_us(&r->settings), detection);
	for (i = 0; i < COUNT_OF(events); i++) {
		bool silent = events[i].bit == EVENT_PEER_SILENT;

		if ((r->verdict.events & events[i].bit) == 0)
			continue;
		rule_event(r, events[i].level, events[i].event,
		    events[i].message, silent ? "detection" : "left",
		    silent				     ? detection
			: events[i].bit == EVENT_HOLD_BEGINS ? left
							     : NULL);
	}
	if ((r->verdict.events & EVENT_TAKING) != 0)
		r->hook = HOOK_NOT_RUN;
}

/* What waits for the operator is told once, with the command. */
static void
tell_state(struct rule *r)
{
	const struct decide_verdict *v = &r->verdict;
	bool waits = v->state == DECIDE_ALARM || v->state == DECIDE_CONFLICT ||
	    v->state == DECIDE_PEER_SILENT || v->state == DECIDE_SERVER_DEAD ||
	    v->state == DECIDE_UNKNOWN || v->state == DECIDE_LEASE_ENDS ||
	    v->state == DECIDE_RESIGNED || v->state == DECIDE_SUPERSEDED;

	if (v->state == r->told_state && v->reason == r->told_reason)
		return;
	r->told_state = v->state;
	r->told_reason = v->reason;
	log_event(waits ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "rule_state",
	    decide_state_name(v->state), "cluster", r->c->name, "reason",
	    decide_reason_text(v->reason), "command",
	    v->command[0] == '\0' ? NULL : v->command, NULL);
}

/*
 * The server is dead for good.  The durable word comes first: from then on nothing
 * starts here, and what is seen of the server counts when that had its effect.
 */
static void
resign(struct rule *r)
{
	struct record_role_file next = r->role;

	next.resigned = next.held;
	if (rule_put_role(r, &next) == -1)
		return;
	rule_task_kill(&r->task);
	r->stopped_by_us = true;
	r->forbidden_us = clock_boot_us();
	rule_event(r, LOG_LEVEL_ERROR, "term_given_up",
	    "the server here is dead and cannot be started: the other site takes "
	    "over",
	    NULL, NULL);
}

/* Nobody took the term: the server is tried anew. */
static void
take_back(struct rule *r)
{
	struct record_role_file next = r->role;

	next.resigned = 0;
	if (rule_put_role(r, &next) == -1)
		return;
	watch_start(&r->watch);
	r->tried = false;
	rule_event(r, LOG_LEVEL_ERROR, "term_taken_back",
	    "the other site does not take over: the server here is tried again",
	    NULL, NULL);
}

static void
note_in_role(struct rule *r)
{
	const struct decide_verdict *v = &r->verdict;
	struct record_role_file next = r->role;
	bool change = false;

	if (!r->has_role)
		return;
	if (v->note_held > next.held) {
		next.held = v->note_held;
		change = true;
	}
	if (v->clear_waived && next.waived != 0) {
		next.waived = 0;
		change = true;
	}
	if (v->clear_canceled && next.canceled) {
		next.canceled = false;
		change = true;
	}
	if (change)
		(void)rule_put_role(r, &next);
	if (v->resign)
		resign(r);
	else if (v->clear_resigned)
		take_back(r);
}

static void
supersede(struct rule *r)
{
	struct record_role_file old = r->role;

	if (!r->verdict.supersede || r->role.role != ROLE_PRIMARY)
		return;
	r->role.superseded_by = r->verdict.number;
	if (rule_take_role(r, ROLE_STANDBY, r->role.held,
		"another site holds a later term") == -1)
		r->role = old;
}

static void
take_term(struct rule *r, bool force)
{
	struct voter_step step = { .write = false };
	struct record_role_file old = r->role;
	uint64_t number = r->verdict.number;
	bool ordered = r->order.kind == RULE_ORDER_FAILOVER;

	if (rule_note_promotion(r, true) == -1)
		return;
	if (force) {
		voter_force(&r->voter, number, clock_boot_us(), &step);
		if (rule_voter_step(r, &step) == -1)
			return;
		number = step.record.number;
		r->role.waived = number;
	}
	if (!ordered)
		r->role.automatic_wall_us = clock_now_us();
	r->role.superseded_by = 0;
	r->role.canceled = r->role.clean_stop = r->role.maintenance = false;
	r->role.handover = HANDOVER_NONE;
	if (rule_take_role(r, ROLE_PRIMARY, number,
		ordered ? "failover, as ordered" : "automatic failover") ==
	    -1) {
		r->role = old;
		return;
	}
	r->promote_again_us = 0;
	r->order.begun = ordered;
}

/* Whoever is no primary has no server that takes writes. */
static void
stop_server(struct rule *r, const char *why)
{
	if (r->place.pgdata == NULL || r->look.pid == 0 ||
	    r->task.work == WORK_STOP_NOW)
		return;
	/* What else is under way is for a primary. */
	rule_task_kill(&r->task);
	r->stopped_by_us = true;
	rule_event(r, LOG_LEVEL_ERROR, "server_stopped",
	    "the server here is stopped: this site may not write", "reason",
	    why);
	rule_task_start(r, WORK_STOP_NOW);
}

static void
do_verdict(struct rule *r)
{
	const struct decide_verdict *v = &r->verdict;
	struct voter_step step = { .write = false };

	tell_events(r);
	tell_state(r);
	note_in_role(r);
	if (v->ask != 0)
		rule_ask(r, v->ask, v->ask_free);
	if (voter_is_free(&r->voter) && !voter_is_free_durably(&r->voter)) {
		voter_note(&r->voter, &step);
		(void)rule_voter_step(r, &step);
	}
	if (v->release) {
		voter_release(&r->voter, &step);
		(void)rule_voter_step(r, &step);
	}
	switch (v->act) {
	case DECIDE_RUN_HOOK:
		if (r->hook == HOOK_NOT_RUN) {
			r->hook = HOOK_RUNNING;
			rule_task_start(r, WORK_FENCE_HOOK);
		}
		break;
	case DECIDE_DO_PROMOTE:
		take_term(r, false);
		break;
	case DECIDE_DO_FORCE:
		take_term(r, true);
		break;
	case DECIDE_STOP:
		/* One that is dead all the same: nothing of it is to be left. */
		stop_server(r,
		    decide_reason_text(
			v->may_write ? REASON_SERVER_DEAD : v->reason));
		break;
	case DECIDE_NOTHING:
		break;
	}
	supersede(r);
	if (v->order_done && v->act == DECIDE_NOTHING &&
	    (r->order.kind == RULE_ORDER_FAILOVER ||
		r->order.kind == RULE_ORDER_CONFIRM) &&
	    !r->order.begun)
		rule_order_end(
		    r, "refused", decide_reason_text(v->reason), v->command);
	else if (r->order.kind == RULE_ORDER_CONFIRM &&
	    (v->state == DECIDE_TAKING || v->state == DECIDE_PROMOTE))
		rule_order_end(r, "done", "the hold is over", "");
}

/* An old primary's server that somebody started all the same. */
static void
guard_standby(struct rule *r)
{
	if (r->has_role && r->role.role == ROLE_STANDBY &&
	    r->look.sql == WATCH_SQL_OK && r->look.writable)
		stop_server(r, "this site is a standby");
}

/* A promotion that was not brought to its end goes on after a kill: a file says
 * so, from before the role is taken until the last hook has run. */
int
rule_note_promotion(struct rule *r, bool begins)
{
	AUTO_FREE char *path = rule_path(r->s, r->c, "promoting");
	struct err e = ERR_INIT;
	int rc;

	rc = begins ? file_publish_at(AT_FDCWD, path, "promoting\n", 10, 0600,
			  FILE_REPLACE, &e)
		    : file_unlink_at(AT_FDCWD, path, &e);
	if (rc == -1) {
		log_error("promotion_not_noted", &e);
		return -1;
	}
	r->promoting = begins;
	return 0;
}

static void
promote(struct rule *r, int64_t now_us)
{
	if (!r->has_role || r->role.role != ROLE_PRIMARY ||
	    (!r->standby_here && !r->promoting) || r->task.work != WORK_NONE ||
	    now_us < r->promote_again_us ||
	    (r->role.handover != HANDOVER_NONE &&
		r->role.handover != HANDOVER_TAKING))
		return;
	rule_event(r, LOG_LEVEL_WARNING, "promotion_begins",
	    "the standby here is promoted", NULL, NULL);
	rule_task_start(r, WORK_PROMOTE);
}

static void
promotion_ended(struct rule *r, int64_t now_us)
{
	if (r->task.err.kind == ERR_NONE) {
		r->facts_us = 0;
		(void)rule_note_promotion(r, false);
		rule_event(r, LOG_LEVEL_WARNING, "promotion_done",
		    "the server here takes writes", "timings", r->task.result);
		if (r->order.kind == RULE_ORDER_FAILOVER)
			rule_order_end(r, "done", r->task.result, "");
		return;
	}
	rule_event(r, LOG_LEVEL_ERROR, "promotion_failed", r->task.err.text,
	    "hint", r->task.err.hint);
	r->promote_again_us = now_us + AGAIN_US;
	if (r->order.kind == RULE_ORDER_FAILOVER)
		rule_order_end(r, "failed", r->task.err.text, r->task.err.hint);
}

/* How an order ended. */
static const char *
word_of(const struct err *e)
{
	return e->kind == ERR_NONE   ? "done"
	    : e->kind == ERR_REFUSED ? "refused"
				     : "failed";
}

static void
reap(struct rule *r, int64_t now_us)
{
	enum rule_work ended;
	const struct err *e = &r->task.err;

	if (!rule_task_reap(&r->task, &ended))
		return;
	switch (ended) {
	case WORK_PROMOTE:
		promotion_ended(r, now_us);
		return;
	case WORK_FENCE_TEST:
		rule_guard_tested(r);
		return;
	case WORK_FENCE_HOOK:
		r->hook = e->kind == ERR_NONE ? HOOK_OK : HOOK_FAILED;
		break;
	case WORK_REJOIN:
	case WORK_SALVAGE:
		r->facts_us = 0;
		r->rejoin_again_us = now_us + AGAIN_US;
		if (r->order.kind == RULE_ORDER_FAILBACK ||
		    r->order.kind == RULE_ORDER_SALVAGE)
			rule_order_end(r, word_of(e),
			    e->kind == ERR_NONE ? r->task.result : e->text,
			    e->hint);
		break;
	case WORK_STOP_FAST:
		r->look_after_us = now_us;
		break;
	case WORK_STOP_NOW:
		r->look = (struct rule_look){ .boot_us = now_us };
		r->look_after_us = now_us;
		break;
	default:
		break;
	}
	if (e->kind != ERR_NONE)
		log_event(LOG_LEVEL_ERROR, "rule_work_failed", e->text,
		    "cluster", r->c->name, "work", rule_work_name(ended),
		    "hint", e->hint[0] == '\0' ? NULL : e->hint, NULL);
	else
		rule_event(r, LOG_LEVEL_INFO, "rule_work_done",
		    rule_work_name(ended), "result",
		    r->task.result[0] == '\0' ? NULL : r->task.result);
}

/* Until when commits may be acknowledged here. */
static void
say_ack(struct rule *r)
{
	int64_t until_us = INT64_MAX;

	if (rule_is_witness(r))
		return;
	if (!r->has_role && r->c->fence == FENCE_KIND_LEASE)
		until_us = 0;
	if (r->has_role && r->role.role == ROLE_PRIMARY) {
		if (!r->verdict.may_ack)
			until_us = 0;
		else if (r->verdict.reason == REASON_LEASE)
			until_us = r->voter.lease_until;
	} else if (r->has_role && r->role.role == ROLE_STANDBY) {
		until_us = 0;
	}
	if (until_us != r->ack_until_us &&
	    rule_ack_write(r->s, r->c, until_us) == 0)
		r->ack_until_us = until_us;
}

static void
step(struct rule *r)
{
	int64_t now_us = clock_boot_us();
	struct decide_facts f;

	rule_hear(r);
	reap(r, now_us);
	rule_begin(r);
	rule_place_free(&r->place);
	rule_place_find(r->s, r->c, &r->place);
	rule_look_around(r, now_us);
	rule_guard_step(r, now_us);
	rule_order_take(r);
	rule_facts(r, &f);
	decide_step(&r->decide, &r->settings, &f, &r->verdict);
	do_verdict(r);
	if (!rule_is_witness(r)) {
		guard_standby(r);
		rule_handover_step(r, clock_boot_us());
		promote(r, clock_boot_us());
	}
	say_ack(r);
	rule_guard_step(r, clock_boot_us());
	rule_say(r, clock_boot_us());
	rule_show(r, clock_boot_us());
}

/* ---- begin and end ---- */

static int
rule_open(struct rule *r, struct err *e)
{
	const struct watch_settings w = WATCH_SETTINGS_DEFAULT;
	AUTO_FREE char *folder = file_join(r->s->state_dir, "site");
	AUTO_FREE char *promoting = NULL;
	int seat;

	if (rule_sites(r->s, r->c, &r->sites, e) == -1 ||
	    file_mkdirs_at(AT_FDCWD, folder, 0700, e) == -1)
		return -1;
	rule_decide_settings(r->s, r->c, &r->sites, &r->settings);
	r->watch_settings = w;
	if (r->settings.beat_us < w.look_us)
		r->watch_settings.look_us = r->settings.beat_us;
	if (!r->c->local_recovery)
		r->watch_settings.recoveries = 0;
	if (getrandom(&r->process, sizeof(r->process), 0) != sizeof(r->process))
		return err_sys(e, "could not get random bytes");
	promoting = rule_path(r->s, r->c, "promoting");
	r->promoting = file_exists_at(AT_FDCWD, promoting, NULL) == 1;
	r->has_role = rule_role_read(r->s, r->c, &r->role, e) == 0;
	if (!r->has_role && e->kind != ERR_NOT_FOUND)
		log_error("role_lost", e);
	err_clear(e);
	if (rule_voter_start(r->s, r->c, &r->sites, &r->voter, e) == -1 ||
	    (!rule_is_witness(r) && guard_open(&r->guard, r->s, r->c, e) == -1))
		return -1;
	r->socket = rule_wire_rule_path(r->s->runtime_dir, r->c->name);
	r->fd = rule_wire_listen(r->socket, e);
	for (seat = 0; seat < SEATS; seat++)
		if (r->sites.names[seat] != NULL && seat != (int)r->sites.self)
			r->couriers[seat] = rule_wire_courier_path(
			    r->s->runtime_dir, r->sites.names[seat]);
	decide_start(&r->decide);
	watch_start(&r->watch);
	r->look_after_us = r->forbidden_us = clock_boot_us();
	r->told_state = DECIDE_CONFLICT;
	r->ack_until_us = -1;
	r->rpo_us = -1;
	rule_remember_order(r);
	return r->fd == -1 ? -1 : 0;
}

static void
rule_close(struct rule *r)
{
	int seat;

	rule_task_kill(&r->task);
	rule_eye_stop(&r->eye);
	guard_close(&r->guard);
	if (r->fd != -1) {
		(void)close(r->fd);
		(void)unlink(r->socket);
	}
	for (seat = 0; seat < SEATS; seat++)
		free(r->couriers[seat]);
	free(r->socket);
	rule_place_free(&r->place);
	repo_close(r->repo);
}

int
rule_run(
    const struct settings *s, const struct cluster_settings *c, struct err *e)
{
	AUTO_FREE struct rule *r = mem_zalloc(sizeof(*r));
	AUTO_FREE char *folder = file_join(s->state_dir, c->name);
	AUTO_FD int lock = -1;
	struct pollfd p;

	r->s = s;
	r->c = c;
	r->fd = r->guard.fd = -1;
	if (file_mkdirs_at(AT_FDCWD, folder, 0700, e) == -1)
		return -1;
	lock = cluster_lock(s->state_dir, c->name, "rule", e);
	if (lock == -1)
		return -1;
	if (rule_open(r, e) == -1) {
		rule_close(r);
		return -1;
	}
	while (!child_stop_requested()) {
		step(r);
		p = (struct pollfd){ .fd = r->fd, .events = POLLIN };
		(void)poll(&p, 1, TICK_MS);
	}
	rule_close(r);
	return 0;
}
