/*
 * rule: the process: looks, decides, does.
 *
 *	hear -> begin -> look around -> decide -> do -> hand over -> say -> show
 */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
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

/* ---- what is done in a child ---- */

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
		r->promotion_error[0] = '\0';
		(void)rule_note_promotion(r, false);
		rule_event(r, LOG_LEVEL_WARNING, "promotion_done",
		    "the server here takes writes", "timings", r->task.result);
		if (r->order.kind == RULE_ORDER_FAILOVER)
			rule_order_end(r, "done", r->task.result, "");
		return;
	}
	rule_event(r, LOG_LEVEL_ERROR, "promotion_failed", r->task.err.text,
	    "hint", r->task.err.hint);
	(void)snprintf(r->promotion_error, sizeof(r->promotion_error), "%.299s",
	    r->task.err.text);
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

/* ---- one step ---- */

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
	rule_witness_step(r, now_us);
	rule_place_free(&r->place);
	rule_place_find(r->s, r->c, &r->place);
	rule_look_around(r, now_us);
	rule_guard_step(r, now_us);
	rule_order_take(r);
	rule_facts(r, &f);
	decide_step(&r->decide, &r->settings, &f, &r->verdict);
	rule_do_verdict(r);
	if (!rule_is_witness(r)) {
		rule_guard_standby(r);
		rule_handover_step(r, clock_boot_us());
		rule_home_step(r, clock_boot_us());
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
	/* For a switchover, by the process before this one: by no administrator. */
	r->stopped_by_us = r->has_role &&
	    (r->role.restart || r->role.handover == HANDOVER_ANNOUNCED ||
		r->role.handover == HANDOVER_STOPPED);
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
	rule_order_drop(r);
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
