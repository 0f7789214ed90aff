/*
 * rule_verdict: what decide says is told, noted in the role, and done.
 */

#include <stdio.h>

#include "base/clock.h"
#include "jobs/rule_int.h"

/* ---- told ---- */

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

/* ---- noted in the role ---- */

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

/* ---- done ---- */

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
	rule_maintenance_over(r, &old);
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

/* To give the same order again helps only where the replica is one. */
static void
refuse_order(struct rule *r)
{
	const struct decide_verdict *v = &r->verdict;
	char text[300];

	if (v->reason != REASON_NOT_PROMOTABLE) {
		rule_order_end(
		    r, "refused", decide_reason_text(v->reason), v->command);
		return;
	}
	(void)snprintf(text, sizeof(text), "%s: %s",
	    decide_reason_text(v->reason), r->why_not);
	rule_order_end(r, "refused", text, "Then give the same order again.");
}

void
rule_do_verdict(struct rule *r)
{
	const struct decide_verdict *v = &r->verdict;
	struct voter_step step = { .write = false };

	tell_events(r);
	tell_state(r);
	note_in_role(r);
	if (v->ask != 0)
		(void)rule_ask(r, v->ask, v->ask_free);
	if (!voter_is_noted(&r->voter)) {
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
		refuse_order(r);
	else if (r->order.kind == RULE_ORDER_CONFIRM &&
	    (v->state == DECIDE_TAKING || v->state == DECIDE_PROMOTE))
		rule_order_end(r, "done", "the hold is over", "");
}

void
rule_guard_standby(struct rule *r)
{
	if (r->has_role && r->role.role == ROLE_STANDBY && r->look.writable)
		stop_server(r, "this site is a standby");
}
