/*
 * rule_status: <state>/site/<cluster>.json: what the rule knows and says, each
 * second, for status and the commands; and what the other sites said last, for
 * "may-start" when the daemon is down.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/show.h"
#include "jobs/rule_int.h"

#define SHOW_US (CLOCK_SECOND_US / 2)

static void
put_bool(json_t *o, const char *key, bool value)
{
	(void)json_object_set_new(o, key, json_boolean(value));
}

static void
put_int(json_t *o, const char *key, int64_t value)
{
	(void)json_object_set_new(o, key, json_integer(value));
}

/* What the other data site's rule tells beyond its heartbeat. */
static void
put_info(const struct rule *r, json_t *o, int64_t now_us)
{
	put_int(o, "told_ago_us", now_us - r->info.us);
	put_bool(o, "promotable", r->info.promotable);
	if (!r->info.promotable)
		json_set_str(o, "why_not", r->info.why);
	put_int(o, "rpo_us", r->info.rpo_us);
	if (r->info.promotion_error[0] != '\0')
		json_set_str(o, "promotion_error", r->info.promotion_error);
}

static json_t *
site_json(const struct rule *r, int seat, int64_t now_us)
{
	const struct decide_says *y = &r->says[seat];
	json_t *o = json_object();

	json_set_str(o, "site", r->sites.names[seat]);
	put_bool(o, "witness", seat == SEAT_WITNESS);
	put_bool(o, "heard", y->heard);
	if (!y->heard)
		return o;
	put_int(o, "heard_ago_us", now_us - y->heard_us);
	json_set_str(o, "role", record_role_name(y->role));
	json_set_u64(o, "held", y->held);
	json_set_u64(o, "number", y->number);
	put_bool(o, "writable", y->writable);
	put_bool(o, "maintenance", y->maintenance);
	put_bool(o, "clean_stop", y->clean_stop);
	put_bool(o, "automatic", y->automatic);
	json_set_str(o, "server", watch_verdict_name(y->server));
	json_set_str(o, "handover", record_handover_name(y->handover));
	if (seat == (int)r->sites.peer && !rule_is_witness(r) &&
	    r->info.us != 0)
		put_info(r, o, now_us);
	return o;
}

static json_t *
order_json(const struct rule *r)
{
	json_t *o = json_object();

	json_set_str(o, "id", r->order.id);
	json_set_str(o, "state", r->order.state);
	json_set_str(o, "text", r->order.text);
	json_set_str(o, "hint", r->order.hint);
	return o;
}

static const char *
doing(const struct rule *r)
{
	if (r->task.work != WORK_NONE)
		return r->task.progress[0] != '\0'
		    ? r->task.progress
		    : rule_work_name(r->task.work);
	if (r->order.kind == RULE_ORDER_SWITCHOVER && r->order.waits[0] != '\0')
		return r->order.waits;
	if (r->role.handover != HANDOVER_NONE)
		return r->handover.why == NULL ? "" : r->handover.why;
	return "";
}

static void
put_verdict(const struct rule *r, const struct decide_facts *f, json_t *o)
{
	const struct decide_verdict *v = &r->verdict;
	enum decide_reason why;

	json_set_str(o, "state", decide_state_name(v->state));
	json_set_str(o, "reason", decide_reason_text(v->reason));
	json_set_str(o, "command", v->command);
	put_bool(o, "may_write", v->may_write);
	(void)decide_may_start(&r->settings, f, &why);
	json_set_str(o, "may_write_why", decide_reason_text(why));
	put_bool(o, "may_ack", v->may_ack);
	if (v->state == DECIDE_HOLD)
		put_int(o, "hold_left_us", v->hold_left_us);
	put_int(o, "loss_us", v->loss_us);
}

static void
put_role(const struct rule *r, json_t *o)
{
	json_set_str(o, "role",
	    r->has_role ? record_role_name(r->role.role) : "unknown");
	json_set_u64(o, "held", r->role.held);
	json_set_u64(o, "number",
	    r->voter.seen > r->voter.record.number ? r->voter.seen
						   : r->voter.record.number);
	put_bool(o, "voter_lost", r->voter.lost);
	json_set_str(o, "fence", record_fence_name(r->role.fence));
	put_bool(o, "maintenance", r->role.maintenance);
	put_bool(o, "canceled", r->role.canceled);
	put_bool(o, "fenced", r->role.fenced);
	put_bool(o, "resigned", record_role_resigned(&r->role));
	json_set_str(o, "handover", record_handover_name(r->role.handover));
	if (rule_is_witness(r))
		return;
	if (rule_home_left_us(r, clock_boot_us()) >= 0)
		put_int(o, "switchback_left_us",
		    rule_home_left_us(r, clock_boot_us()));
	rule_witness_show(r, o);
	json_set_str(o, "obstacle", r->obstacle);
	put_bool(o, "obstacle_passes", r->obstacle_passes);
}

static json_t *
watchdog_json(const struct guard_view *v, int64_t now_us)
{
	json_t *o = json_object();

	put_bool(o, "there", v->there);
	put_int(o, "pid", v->pid);
	put_bool(o, "may_kill", v->may_kill);
	put_bool(o, "memory_locked", v->locked);
	put_bool(o, "realtime", v->realtime);
	put_int(o, "stops", v->stops);
	if (v->stops > 0)
		put_int(o, "stopped_ago_us", now_us - v->stopped_us);
	return o;
}

static void
put_fence(const struct rule *r, json_t *o, int64_t now_us)
{
	const struct decide_says *peer = &r->says[r->sites.peer];
	struct guard_view v;

	if (r->c->fence == FENCE_KIND_NONE || rule_is_witness(r))
		return;
	put_bool(o, "fence_proved", r->proved);
	put_bool(o, "peer_fence_proved",
	    peer->heard ? peer->proved : r->role.peer_proved);
	json_set_str(o, "fence_unproved", r->unproved);
	if (r->c->fence != FENCE_KIND_LEASE)
		return;
	guard_see(&r->guard, &v);
	(void)json_object_set_new(o, "watchdog", watchdog_json(&v, now_us));
}

static json_t *
all_json(const struct rule *r, int64_t now_us)
{
	json_t *o = json_object(), *sites = json_array();
	struct decide_facts f;
	int seat;

	json_set_u64(o, "version", 1);
	json_set_str(o, "cluster", r->c->name);
	json_set_u64(o, "pid", (uint64_t)getpid());
	put_int(o, "boot_us", now_us);
	put_role(r, o);
	rule_facts(r, &f);
	put_verdict(r, &f, o);
	put_fence(r, o, now_us);
	put_bool(o, "automatic", r->settings.automatic);
	put_bool(o, "promotable", r->promotable);
	if (!r->promotable)
		json_set_str(o, "why_not", r->why_not);
	put_int(o, "rpo_us", r->rpo_us);
	if (r->known.server_us != 0)
		put_int(o, "known_us", r->known.server_us);
	json_set_str(o, "server", watch_verdict_name(r->watched.verdict));
	put_bool(o, "writable", r->look.writable);
	if (r->look.error[0] != '\0')
		json_set_str(o, "server_error", r->look.error);
	put_bool(o, "lease_free", voter_is_free_durably(&r->voter));
	if (voter_holds(&r->voter, now_us) && !voter_is_free(&r->voter))
		put_int(o, "lease_left_us", r->voter.lease_until - now_us);
	json_set_str(o, "doing", doing(r));
	if (r->promotion_error[0] != '\0' && r->role.role == ROLE_PRIMARY)
		json_set_str(o, "promotion_error", r->promotion_error);
	for (seat = 0; seat < SEATS; seat++)
		if (r->sites.names[seat] != NULL && seat != (int)r->sites.self)
			(void)json_array_append_new(
			    sites, site_json(r, seat, now_us));
	(void)json_object_set_new(o, "sites", sites);
	(void)json_object_set_new(o, "order", order_json(r));
	return o;
}

void
rule_show(struct rule *r, int64_t now_us)
{
	AUTO_FREE char *path = rule_path(r->s, r->c, "json");
	AUTO_JSON json_t *j = NULL;

	if (now_us - r->shown_us < SHOW_US)
		return;
	r->shown_us = now_us;
	j = all_json(r, now_us);
	show_write(path, j);
}

/* The last word on an order outlives a restart: somebody waits for it. */
void
rule_remember_order(struct rule *r)
{
	AUTO_JSON json_t *j = rule_shown_last(r->s, r->c);
	const json_t *o = json_object_get(j, "order");
	const char *state = json_string_value(json_object_get(o, "state"));

	r->order.state = "";
	if (state == NULL || state[0] == '\0')
		return;
	(void)json_need_text(o, "id", r->order.id, sizeof(r->order.id), NULL);
	(void)json_need_text(
	    o, "text", r->order.text, sizeof(r->order.text), NULL);
	(void)json_need_text(
	    o, "hint", r->order.hint, sizeof(r->order.hint), NULL);
	r->order.state = strcmp(state, "done") == 0 ? "done"
	    : strcmp(state, "refused") == 0	    ? "refused"
						    : "failed";
	if (strcmp(state, "running") == 0)
		(void)snprintf(r->order.text, sizeof(r->order.text),
		    "the process that had the order was started anew");
}
