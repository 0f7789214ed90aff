#include <inttypes.h>
#include <stdio.h>

#include "site/decide_int.h"

/*
 * What the DR site does: watches, counts down, and takes over, or says what
 * keeps it from that and what the operator types.
 */

/* One command that promotes here, ready to be typed. */
static void
prepare_command(struct decide_look *l, bool force)
{
	struct decide_verdict *out = l->out;
	char loss[48] = "";

	if (out->loss_us < 0)
		(void)snprintf(loss, sizeof(loss), " --allow-data-loss any");
	else if (out->loss_us > 0)
		(void)snprintf(loss, sizeof(loss),
		    " --allow-data-loss %" PRId64 "s",
		    (out->loss_us + DECIDE_S - 1) / DECIDE_S);
	(void)snprintf(out->command, sizeof(out->command),
	    "pgkura failover %s%s%s", l->f->role->thing, loss,
	    force ? " --force" : "");
}

/* Votes decide: a lease is what keeps the old primary from writing. */
static bool
by_votes(const struct decide_look *l)
{
	return decide_leased(l->f->role);
}

/* Both sites' part of the fence: under a lease the primary must be one that a
 * watchdog stops, and this site is the next. */
static bool
proved(const struct decide_look *l)
{
	const struct decide_facts *f = l->f;
	const struct decide_says *peer = &f->says[l->peer];

	if (!f->proved || !f->guarded)
		return false;
	return !by_votes(l) ||
	    (peer->heard ? peer->proved : f->role->peer_proved);
}

/* What keeps this site from promoting itself, whatever the hold, when so much is
 * lost; REASON_NONE. */
static enum decide_reason
automatic_obstacle(const struct decide_look *l, int64_t loss_us)
{
	const struct decide_facts *f = l->f;
	const struct decide_settings *s = l->s;

	if (!s->automatic)
		return REASON_MANUAL_PEER;
	if (f->role->fenced)
		return REASON_FENCED;
	if (f->role->fence == FENCE_NONE ||
	    (f->role->fence == FENCE_HOOK && !s->hook))
		return f->witness ? REASON_NO_FENCE : REASON_NO_WITNESS;
	if (by_votes(l) && !f->witness)
		return REASON_NO_WITNESS;
	if (by_votes(l) && (f->voter == NULL || f->voter->lost))
		return REASON_VOTER_LOST;
	if (by_votes(l) && f->witness_unsure)
		return REASON_WITNESS_DIFFERS;
	if (by_votes(l) && !decide_fresh(s, f, SEAT_WITNESS))
		return REASON_WITNESS_SILENT;
	if (!proved(l))
		return REASON_NOT_PROVED;
	/* A primary that was switched off must know that it is to ask first. */
	if (f->role->fence == FENCE_HOOK && !f->says[l->peer].heard)
		return REASON_PEER_UNHEARD;
	if (f->role->fence == FENCE_HOOK && f->says[l->peer].waived)
		return REASON_PEER_WAIVED;
	if (f->role->fence == FENCE_HOOK && f->hook == HOOK_FAILED)
		return REASON_HOOK_FAILED;
	if (!f->promotable)
		return REASON_NOT_PROMOTABLE;
	if (s->rpo_limit_us >= 0 && loss_us < 0)
		return REASON_LOSS_UNKNOWN;
	if (s->rpo_limit_us >= 0 && loss_us > s->rpo_limit_us)
		return REASON_LOSS;
	if (f->since_automatic_us >= 0 && f->since_automatic_us < s->backoff_us)
		return REASON_BACKOFF;
	return REASON_NONE;
}

/* The same for an operator's explicit order. */
static enum decide_reason
order_obstacle(const struct decide_look *l)
{
	const struct decide_facts *f = l->f;

	if (f->role->fenced)
		return REASON_FENCED;
	if (!f->promotable)
		return REASON_NOT_PROMOTABLE;
	if (f->allow_loss_us >= 0 && l->out->loss_us < 0)
		return REASON_LOSS_UNKNOWN;
	if (f->allow_loss_us >= 0 && l->out->loss_us > f->allow_loss_us)
		return REASON_LOSS;
	if (f->order == ORDER_FAILOVER && by_votes(l) &&
	    (f->voter == NULL || f->voter->lost))
		return REASON_VOTER_LOST;
	/* Its votes are never there, whatever is waited for. */
	if (f->order == ORDER_FAILOVER && by_votes(l) &&
	    f->voter->record.standing != 0 &&
	    f->voter->record.promised_to == l->peer)
		return REASON_PEER_FREE;
	if (f->order == ORDER_FAILOVER && by_votes(l) && l->silent &&
	    f->witness_unsure)
		return REASON_WITNESS_DIFFERS;
	return REASON_NONE;
}

static void
promote(struct decide_look *l, enum decide_act act, uint64_t number)
{
	l->out->state = DECIDE_PROMOTE;
	l->out->reason = REASON_NONE;
	l->out->act = act;
	l->out->number = number;
	l->out->order_done = l->f->order != ORDER_NONE;
}

/* Behind all that was held here, and what this site gave away: the other may have
 * taken that unheard. */
static uint64_t
next_term(const struct decide_look *l)
{
	const struct record_role_file *r = l->f->role;

	return (r->held > r->handover_term ? r->held : r->handover_term) + 1;
}

/* Hold over or ordered: the proof that the old primary writes no more. */
static void
take(struct decide_look *l)
{
	const struct decide_facts *f = l->f;
	struct decide_verdict *out = l->out;
	bool begins = !l->d->taking;

	if (begins)
		out->events |= EVENT_TAKING;
	l->d->taking = true;
	out->state = DECIDE_TAKING;
	out->reason = REASON_NONE;
	if (f->order == ORDER_FORCE ||
	    (f->order == ORDER_FAILOVER && !by_votes(l))) {
		promote(l, DECIDE_DO_FORCE, next_term(l));
		return;
	}
	if (!by_votes(l)) {
		if (f->hook == HOOK_OK && !begins)
			promote(l, DECIDE_DO_FORCE, next_term(l));
		else if (begins || f->hook == HOOK_NOT_RUN)
			out->act = DECIDE_RUN_HOOK;
		return;
	}
	if (voter_holds(f->voter, f->now_us) &&
	    f->voter->lease_number > f->role->held &&
	    f->voter->lease_until - f->now_us > l->s->stop_margin_us) {
		promote(l, DECIDE_DO_PROMOTE, f->voter->lease_number);
		return;
	}
	out->reason = REASON_NO_VOTES;
	prepare_command(l, true);
	if (decide_ask_due(l))
		out->ask = voter_next_number(f->voter, next_term(l));
}

/* An operator ordered a failover, and the peer's server is not up. */
static void
ordered(struct decide_look *l)
{
	enum decide_reason obstacle = order_obstacle(l);

	if (obstacle == REASON_NONE) {
		take(l);
		return;
	}
	l->d->taking = false;
	l->out->state = DECIDE_ALARM;
	l->out->reason = obstacle;
	l->out->order_done = true;
	prepare_command(l,
	    l->f->order == ORDER_FORCE || obstacle == REASON_PEER_FREE ||
		obstacle == REASON_WITNESS_DIFFERS);
}

static bool
announced(const struct decide_look *l, enum decide_reason *why)
{
	const struct decide_says *peer = &l->f->says[l->peer];
	const struct record_role_file *r = l->f->role;

	/* What the peer said last counts over what is on record here. */
	if (peer->heard ? peer->maintenance : r->maintenance)
		*why = REASON_MAINTENANCE;
	else if (peer->heard ? peer->clean_stop : r->clean_stop)
		*why = REASON_CLEAN_STOP;
	else
		return false;
	return true;
}

/*
 * Its server is dead and its site lives.  Where that is wanted this site says that it
 * is willing, and takes over once the primary has given its term up.  The operator's
 * command is the same as without.
 */
static void
server_dead(struct decide_look *l)
{
	struct decide_verdict *out = l->out;

	out->state = DECIDE_SERVER_DEAD;
	out->reason = REASON_SERVER_DEAD;
	prepare_command(l, false);
	if (!l->s->resign || !l->s->automatic)
		return;
	if (l->f->role->canceled)
		out->reason = REASON_CANCELED;
	else
		out->reason = automatic_obstacle(l, l->f->rpo_us);
	if (out->reason != REASON_NONE)
		return;
	out->reason = REASON_SERVER_DEAD;
	l->d->willing = decide_current(l->s, l->f, l->peer) &&
	    l->f->says[l->peer].role == ROLE_PRIMARY &&
	    l->f->says[l->peer].handover == HANDOVER_NONE;
}

/* It lives: how is it heard?  What comes by a path is known a moment before that
 * the path is back. */
static void
paths_lost(struct decide_look *l)
{
	struct decide_verdict *out = l->out;

	if (out->paths == ((uint32_t)1 << l->f->paths) - 1)
		return;
	if (out->paths != 0) {
		out->state = DECIDE_PATH_LOST;
	} else if (!decide_fresh(l->s, l->f, l->peer)) {
		out->state = DECIDE_LINK_LOST;
		out->reason = REASON_WITNESS_SEES_PEER;
	}
}

/* A sign of life came in time: what there is to say of it. */
static void
peer_lives(struct decide_look *l)
{
	const struct decide_facts *f = l->f;
	const struct decide_says *peer = &f->says[l->peer];
	struct decide_verdict *out = l->out;
	struct decide *d = l->d;

	if (d->silent_us != -1)
		out->events |= EVENT_PEER_BACK;
	if (d->hold_us != -1)
		out->events |= EVENT_HOLD_ENDS;
	d->silent_us = -1;
	d->hold_us = -1;
	d->rpo_us = -1;
	out->loss_us = f->rpo_us;
	out->clear_canceled = f->role->canceled;
	out->state = DECIDE_NORMAL;
	if (announced(l, &out->reason)) {
		out->state = DECIDE_MAINTENANCE;
	} else if (peer->heard &&
	    (peer->server == WATCH_DEAD || peer->resigned)) {
		server_dead(l);
	} else if (f->now_us - d->began_us > decide_detect_us(l->s)) {
		paths_lost(l);
	}
	if (f->order == ORDER_FORCE ||
	    (f->order == ORDER_FAILOVER && out->state == DECIDE_SERVER_DEAD)) {
		ordered(l);
		return;
	}
	if (d->willing && peer->resigned) {
		d->given_up = true;
		take(l);
		return;
	}
	d->taking = d->given_up = false;
	/* Votes that came too late: give them back. */
	out->release = f->voter != NULL && voter_holds(f->voter, f->now_us);
	if (f->order != ORDER_NONE) {
		out->order_done = true;
		out->reason = REASON_PEER_ALIVE;
		(void)snprintf(out->command, sizeof(out->command),
		    "pgkura switchover %s", f->role->thing);
	}
}

static void
begin_silence(struct decide_look *l)
{
	int64_t since_us = l->last_sign_us + decide_detect_us(l->s);
	struct decide *d = l->d;

	if (d->silent_us == -1) {
		d->silent_us = l->f->now_us;
		d->rpo_us = l->f->rpo_us;
		l->out->events |= EVENT_PEER_SILENT;
	} else if (d->silent_us < since_us) {
		/* The witness told late of a sign of life since then. */
		d->silent_us = since_us;
		d->taking = false;
		if (d->hold_us != -1)
			l->out->events |= EVENT_HOLD_ENDS;
		d->hold_us = -1;
	}
}

/* Silent, and nobody ordered anything but perhaps the end of the hold. */
static void
count_down(struct decide_look *l, enum decide_reason obstacle)
{
	const struct decide_facts *f = l->f;
	struct decide_verdict *out = l->out;
	struct decide *d = l->d;

	if (d->hold_us == -1) {
		d->hold_us = f->now_us;
		out->events |= EVENT_HOLD_BEGINS;
	}
	d->given_up = d->given_up && d->taking;
	/* For the rest of this silence: hook and votes take longer than a look.
	 * One that has resigned is silent because the hook is at it. */
	if ((f->order == ORDER_CONFIRM && obstacle == REASON_NONE) ||
	    (d->given_up && !by_votes(l)))
		d->hold_us = f->now_us - l->s->hold_us - 1;
	out->hold_left_us = d->hold_us + l->s->hold_us - f->now_us;
	if (out->hold_left_us < 0)
		out->hold_left_us = 0;
	prepare_command(l,
	    obstacle == REASON_NO_WITNESS ||
		obstacle == REASON_WITNESS_DIFFERS ||
		obstacle == REASON_WITNESS_SILENT ||
		obstacle == REASON_VOTER_LOST);
	if (obstacle != REASON_NONE) {
		d->taking = false;
		out->state = DECIDE_ALARM;
		out->reason = obstacle;
		out->order_done = f->order != ORDER_NONE;
	} else if (out->hold_left_us > 0) {
		out->state = DECIDE_HOLD;
	} else {
		take(l);
	}
}

static void
peer_silent(struct decide_look *l)
{
	const struct decide_facts *f = l->f;
	struct decide_verdict *out = l->out;
	struct decide *d = l->d;
	enum decide_reason obstacle, why = REASON_NONE;

	begin_silence(l);
	out->loss_us = d->rpo_us;
	if (f->order == ORDER_FAILOVER || f->order == ORDER_FORCE) {
		ordered(l);
		return;
	}
	obstacle = automatic_obstacle(l, d->rpo_us);
	out->clear_canceled = f->role->canceled && f->order == ORDER_CONFIRM;
	if (announced(l, &why) ||
	    (f->role->canceled && f->order != ORDER_CONFIRM)) {
		if (d->hold_us != -1)
			out->events |= EVENT_HOLD_ENDS;
		d->hold_us = -1;
		d->taking = false;
		out->state =
		    why == REASON_NONE ? DECIDE_CANCELED : DECIDE_MAINTENANCE;
		out->reason = why == REASON_NONE ? REASON_CANCELED : why;
		out->order_done = f->order != ORDER_NONE;
		prepare_command(l, false);
	} else if (obstacle == REASON_MANUAL_PEER) {
		d->hold_us = -1;
		d->taking = false;
		out->state = DECIDE_PEER_SILENT;
		out->reason = obstacle;
		out->order_done = f->order != ORDER_NONE;
		prepare_command(l, false);
	} else {
		count_down(l, obstacle);
	}
	/* Votes for what is not done now: give them back. */
	out->release = !d->taking && voter_holds(f->voter, f->now_us);
}

/* Past the line of a switchover only --force goes on. */
static void
refuse_handed(struct decide_look *l)
{
	l->out->reason = l->f->role->handover != HANDOVER_NONE
	    ? REASON_GIVEN_AWAY
	    : REASON_GIVEN_HERE;
	l->out->loss_us = -1;
	l->out->order_done = true;
	prepare_command(l, true);
}

void
decide_standby(struct decide_look *l)
{
	const struct record_role_file *r = l->f->role;
	const struct decide_says *peer = &l->f->says[l->peer];

	if (r->handover != HANDOVER_NONE ||
	    (peer->heard && peer->handover == HANDOVER_GIVEN &&
		peer->handover_to == l->f->self &&
		peer->handover_term > r->held)) {
		l->out->state = DECIDE_HANDOVER;
		l->d->silent_us = -1;
		l->d->hold_us = -1;
		l->d->taking = false;
		/* The taker is lost for good: only an operator can say so. */
		if (l->f->order == ORDER_FORCE && l->f->voter != NULL)
			ordered(l);
		else if (l->f->order != ORDER_NONE)
			refuse_handed(l);
		return;
	}
	if (l->f->voter == NULL) {
		l->out->state = DECIDE_UNKNOWN;
		l->out->reason = REASON_VOTER_LOST;
		return;
	}
	if (l->silent)
		peer_silent(l);
	else
		peer_lives(l);
}
