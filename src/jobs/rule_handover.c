/*
 * rule_handover: switchover: the facts for site/handover.h, and what it asks to
 * be done.
 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "jobs/rule_int.h"

#define ASK_AGAIN_US	CLOCK_SECOND_US
#define START_AGAIN_US	(5 * CLOCK_SECOND_US)
#define INFO_AGE_US	(15 * CLOCK_SECOND_US)
#define FOLLOW_AGAIN_US (5 * CLOCK_SECOND_US)
/* Who asks for a switchover repeats it every second. */
#define ASKED_AGE_US (4 * CLOCK_SECOND_US)
/* What may pass by itself is waited for: the end of the last switchover, a link
 * that is made anew. */
#define BEGIN_WAIT_US (60 * CLOCK_SECOND_US)
#define TRY_AGAIN     "Nothing was changed: give the order again when that is over."

static bool
is_asked(const struct rule *r, int64_t now_us)
{
	return r->asked.us != 0 && now_us - r->asked.us < ASKED_AGE_US;
}

static void
gather(struct rule *r, int64_t now_us, struct handover_facts *f)
{
	bool linked;

	*f = (struct handover_facts){ .now_us = now_us,
		.self = r->sites.self,
		.role = &r->role,
		.voter = &r->voter,
		.peer = r->says[r->sites.peer],
		.peer_silent_us = decide_detect_us(&r->settings) };
	f->wanted = r->role.role == ROLE_PRIMARY &&
	    ((r->order.kind == RULE_ORDER_SWITCHOVER && !r->order.begun) ||
		is_asked(r, now_us));
	f->aborted = r->order.kind == RULE_ORDER_ABORT;
	f->peer_committed = rule_peer_committed(r, &linked);
	f->peer_why = !linked ? "the link to the other site is down"
	    : r->info.us == 0 || now_us - r->info.us >= INFO_AGE_US
	    ? "the other site has not said how its standby is"
	    : !r->info.promotable ? r->info.why
				  : NULL;
	f->peer_ready = f->peer_why == NULL;
	f->seen = r->look.process != WATCH_PROCESS_UNKNOWN;
	f->running = r->look.pid != 0;
	f->alive = r->look.sql == WATCH_SQL_OK;
	f->may_write = r->verdict.may_write;
	f->clean = r->look.clean;
	f->end = r->look.end;
	f->following = r->standby_here;
	f->promoted = r->promoted_here && !r->standby_here;
	f->probed = f->promoted && !r->promoting;
}

static int
write_step(struct rule *r, const struct handover_step *st)
{
	struct record_role_file next = r->role;

	next.handover = st->handover;
	next.restart = st->restart;
	if (st->act == HANDOVER_ANNOUNCE || st->act == HANDOVER_GIVE)
		next.handover_to = r->sites.peer;
	if (st->act == HANDOVER_NOTE_STOP || st->act == HANDOVER_GIVE)
		next.handover_position = st->position;
	if (st->act == HANDOVER_GIVE || st->act == HANDOVER_TAKE)
		next.handover_term = st->term;
	if (st->act == HANDOVER_TAKE)
		next.handover_to = r->sites.self;
	if (st->handover == HANDOVER_NONE)
		next.handover_to = SEAT_NONE;
	return rule_put_role(r, &next);
}

static void
tell(struct rule *r, const char *event, const struct handover_step *st)
{
	rule_event(r, LOG_LEVEL_WARNING, event, st->why, NULL, NULL);
}

static void
give(struct rule *r, const struct handover_step *st)
{
	struct record_role_file old = r->role;

	/* One writing: the line. */
	r->role.handover = st->handover;
	r->role.handover_to = r->sites.peer;
	r->role.handover_term = st->term;
	r->role.handover_position = st->position;
	r->role.handed = true;
	if (rule_take_role(
		r, ROLE_STANDBY, r->role.held, "switchover: given") == -1) {
		r->role = old;
		return;
	}
	tell(r, "switchover_given", st);
}

static void
take(struct rule *r, const struct handover_step *st)
{
	struct record_role_file old = r->role;
	struct voter_step vote = { .write = false };
	uint64_t term = st->term;

	if (rule_note_promotion(r, true) == -1)
		return;
	if (st->force) {
		voter_force(&r->voter, term, clock_boot_us(), &vote);
		if (rule_voter_step(r, &vote) == -1)
			return;
		term = vote.record.number;
	}
	r->role.handover = HANDOVER_TAKING;
	r->role.handover_to = r->sites.self;
	r->role.handover_term = term;
	r->role.superseded_by = 0;
	r->role.maintenance = r->role.clean_stop = false;
	if (rule_take_role(r, ROLE_PRIMARY, term, "switchover: taken") == -1) {
		r->role = old;
		return;
	}
	r->promote_again_us = 0;
	tell(r, "switchover_taking", st);
	rule_maintenance_over(r, &old);
}

static void
release(struct rule *r)
{
	struct voter_step step = { .write = false };

	voter_release(&r->voter, &step);
	(void)rule_voter_step(r, &step);
}

static void
act(struct rule *r, const struct handover_step *st, int64_t now_us)
{
	bool aborts;

	switch (st->act) {
	case HANDOVER_ANNOUNCE:
		if (write_step(r, st) == 0)
			tell(r, "switchover_begins", st);
		if (is_asked(r, now_us))
			(void)memcpy(r->asked.begun, r->asked.id,
			    sizeof(r->asked.begun));
		r->asked.us = 0;
		r->asked.why[0] = '\0';
		r->order.begun = r->order.kind == RULE_ORDER_SWITCHOVER;
		break;
	case HANDOVER_STOP:
		r->stopped_by_us = true;
		rule_task_start(r, WORK_STOP_FAST);
		break;
	case HANDOVER_NOTE_STOP:
		if (write_step(r, st) == 0)
			tell(r, "switchover_stopped", st);
		break;
	case HANDOVER_GIVE:
		give(r, st);
		break;
	case HANDOVER_RELEASE:
		release(r);
		break;
	case HANDOVER_ASK:
		/* What it promised the giver may be given back at any moment. */
		if (now_us - r->handover_asked_us >= ASK_AGAIN_US &&
		    rule_ask(r, st->term, false))
			r->handover_asked_us = now_us;
		break;
	case HANDOVER_TAKE:
		take(r, st);
		break;
	case HANDOVER_FOLLOW:
		if (now_us >= r->rejoin_again_us) {
			r->rejoin_again_us = now_us + FOLLOW_AGAIN_US;
			rule_task_start(r, WORK_REJOIN);
		}
		break;
	case HANDOVER_NOTE_TAKEN:
		if (write_step(r, st) == 0)
			tell(r, "switchover_done", st);
		break;
	case HANDOVER_FINISH:
		aborts = r->role.handover == HANDOVER_ANNOUNCED ||
		    r->role.handover == HANDOVER_STOPPED;
		if (write_step(r, st) == 0 && aborts)
			tell(r, "switchover_aborted", st);
		break;
	case HANDOVER_ABORT:
		if (write_step(r, st) == 0)
			tell(r, "switchover_aborted", st);
		r->start_again_us = now_us;
		break;
	case HANDOVER_START:
		if (now_us < r->start_again_us)
			break;
		r->start_again_us = now_us + START_AGAIN_US;
		r->stopped_by_us = false;
		rule_task_start(r, WORK_START);
		break;
	case HANDOVER_STARTED:
		(void)write_step(r, st);
		break;
	case HANDOVER_WAIT:
	case HANDOVER_SHIP:
	case HANDOVER_PROMOTE: /* rule.c does */
	case HANDOVER_PROBE:
	case HANDOVER_IDLE:
		break;
	}
}

/* An order that cannot begin yet: what it waits for is shown, and it ends when
 * that lasts too long. */
static void
wait_to_begin(struct rule *r, const char *why, int64_t now_us)
{
	char text[300];

	if (now_us - r->order.since_us < BEGIN_WAIT_US) {
		(void)snprintf(
		    r->order.waits, sizeof(r->order.waits), "waiting: %s", why);
		return;
	}
	(void)snprintf(text, sizeof(text),
	    "the switchover has not begun within %d s: %s",
	    (int)(BEGIN_WAIT_US / CLOCK_SECOND_US), why);
	rule_order_end(r, "failed", text, TRY_AGAIN);
}

/* An abort: of what is given here, before the line. */
static void
judge_abort(struct rule *r, const struct handover_step *st)
{
	const struct decide_says *peer = &r->says[r->sites.peer];

	/* What the other site's operator asks for does not begin any more. */
	(void)memcpy(r->asked.begun, r->asked.id, sizeof(r->asked.begun));
	r->asked.us = 0;
	if (r->role.handover == HANDOVER_NONE && peer->heard &&
	    r->role.role == ROLE_STANDBY &&
	    (peer->handover == HANDOVER_ANNOUNCED ||
		peer->handover == HANDOVER_STOPPED))
		rule_order_end(r, "refused",
		    "the other site gives the role: abort it there", "");
	else if (r->role.handover == HANDOVER_NONE)
		rule_order_end(r, "done",
		    r->order.begun ? "the switchover is aborted"
				   : "no switchover is under way",
		    "");
	else if (!st->abortable)
		rule_order_end(r, "refused",
		    "the term was given: only the taker goes on", "");
}

/* How the operator's order has ended. */
static void
judge_order(struct rule *r, const struct handover_step *st, int64_t now_us)
{
	const struct decide_says *peer = &r->says[r->sites.peer];

	if (r->order.kind == RULE_ORDER_ABORT) {
		judge_abort(r, st);
		return;
	}
	if (r->order.kind != RULE_ORDER_SWITCHOVER)
		return;
	if (!r->order.begun && st->refused && r->role.role == ROLE_PRIMARY) {
		if (st->passes)
			wait_to_begin(r, st->why, now_us);
		else
			rule_order_end(r, "refused", st->why, "");
		return;
	}
	if (!r->order.begun)
		return;
	r->order.waits[0] = '\0';
	if (r->role.role == ROLE_STANDBY &&
	    (r->role.handover == HANDOVER_NONE ||
		(peer->role == ROLE_PRIMARY && peer->writable &&
		    r->role.handover == HANDOVER_GIVEN)))
		rule_order_end(r, "done",
		    "the other site is the primary and takes writes", "");
	else if (r->role.role == ROLE_PRIMARY &&
	    r->role.handover == HANDOVER_NONE)
		rule_order_end(r, "failed",
		    "the switchover was aborted; this site is the primary", "");
}

/* An order that names who is to be the primary, when the roles are not, or no
 * more, those that it was meant for. */
static bool
is_astray(const struct rule *r)
{
	const char *next =
	    r->sites.names[r->role.role == ROLE_PRIMARY ? r->sites.peer
							: r->sites.self];

	return r->order.kind == RULE_ORDER_SWITCHOVER && !r->order.begun &&
	    !r->order.at_standby && r->order.to[0] != '\0' &&
	    strcmp(r->order.to, next) != 0;
}

/* What keeps this site from asking; NULL. */
static const char *
own_obstacle(const struct rule *r)
{
	if (!rule_peer_fresh(r))
		return "the other site is silent";
	if (r->role.handover != HANDOVER_NONE)
		return "this site does not follow the other one yet";
	return r->promotable ? NULL : r->why_not;
}

/* What would keep a switchover from beginning now; NULL. */
static const char *
find_obstacle(struct rule *r, const struct handover_facts *f)
{
	struct handover_facts if_wanted = *f;
	struct handover_step st;
	const char *why;

	r->obstacle_passes = true;
	if (r->role.handover != HANDOVER_NONE)
		return "a switchover is under way";
	if (r->role.role == ROLE_PRIMARY) {
		if_wanted.wanted = true;
		if_wanted.aborted = false;
		handover_next(&if_wanted, &st);
		r->obstacle_passes = st.passes;
		return st.refused ? st.why : NULL;
	}
	why = own_obstacle(r);
	if (why == NULL && f->now_us - r->info.us >= INFO_AGE_US)
		why = "the other site has not said how it is";
	/* The primary's own word. */
	if (why == NULL && r->info.obstacle[0] != '\0')
		why = r->info.obstacle;
	return why;
}

static void
note_obstacle(struct rule *r, const struct handover_facts *f)
{
	const char *why = find_obstacle(r, f);

	(void)snprintf(
	    r->obstacle, sizeof(r->obstacle), "%s", why == NULL ? "" : why);
}

/* The other site is asked until it begins, or says why not. */
static void
ask_for_it(struct rule *r, int64_t now_us)
{
	const char *why = own_obstacle(r);
	bool answered = strcmp(r->answer.id, r->order.id) == 0;

	if (why == NULL && answered && r->answer.final) {
		rule_order_end(r, "refused", r->answer.why, "");
		return;
	}
	if (why == NULL) {
		rule_ask_switchover(r, now_us);
		why = answered ? r->answer.why : "the other site is to begin";
	}
	wait_to_begin(r, why, now_us);
}

/* Ordered at the standby: the primary is asked, and its steps are watched. */
static void
judge_asked(struct rule *r, int64_t now_us)
{
	const struct decide_says *peer = &r->says[r->sites.peer];
	bool gives = peer->heard &&
	    (peer->handover == HANDOVER_ANNOUNCED ||
		peer->handover == HANDOVER_STOPPED ||
		(peer->handover == HANDOVER_GIVEN &&
		    peer->handover_to == r->sites.self));

	if (r->order.kind != RULE_ORDER_SWITCHOVER)
		return;
	if (r->role.role == ROLE_PRIMARY) {
		r->order.waits[0] = '\0';
		if (r->promoted_here && r->role.handover != HANDOVER_TAKING &&
		    r->look.writable)
			rule_order_end(r, "done",
			    "this site is the primary and takes writes", "");
	} else if (gives) {
		r->order.begun = true;
		(void)snprintf(r->order.waits, sizeof(r->order.waits),
		    "the other site gives the role");
	} else if (!r->order.begun) {
		ask_for_it(r, now_us);
	} else if (rule_peer_fresh(r) && peer->handover == HANDOVER_NONE) {
		rule_order_end(r, "failed", "the other site has aborted it",
		    "Its events say why: \"pgkura events\" there.");
	}
}

/* Asked for by the other site's operator: he is told why not, and so are the
 * events of this one. */
static void
answer_asked(struct rule *r, int64_t now_us)
{
	const struct handover_step *st = &r->handover;

	if (!is_asked(r, now_us))
		return;
	if (!st->refused) {
		r->asked.why[0] = '\0';
		return;
	}
	if (strcmp(r->asked.why, st->why) != 0) {
		(void)snprintf(
		    r->asked.why, sizeof(r->asked.why), "%s", st->why);
		tell(r, st->passes ? "switchover_waits" : "switchover_refused",
		    st);
	}
	r->asked.final = !st->passes;
	if (r->asked.final)
		r->asked.us = 0;
}

/* What was seen before the server was stopped, or before this process began,
 * does not say whether it runs. */
static bool
needs_look(const struct rule *r)
{
	return r->look.boot_us < r->look_after_us &&
	    (r->role.handover == HANDOVER_ANNOUNCED ||
		r->role.handover == HANDOVER_STOPPED);
}

void
rule_handover_step(struct rule *r, int64_t now_us)
{
	enum handover_act before = r->handover.act;
	struct handover_facts f;
	bool at_standby;

	if (!r->has_role || needs_look(r))
		return;
	if (is_astray(r))
		rule_order_end(r, "refused",
		    "the roles are not those that the order is for", "");
	at_standby = r->order.kind == RULE_ORDER_SWITCHOVER &&
	    (r->order.at_standby || r->role.role == ROLE_STANDBY);
	if (at_standby && !r->order.begun)
		r->order.at_standby = true;
	gather(r, now_us, &f);
	note_obstacle(r, &f);
	handover_next(&f, &r->handover);
	answer_asked(r, now_us);
	if (r->order.kind == RULE_ORDER_ABORT && r->handover.abortable)
		r->order.begun = true;
	if (r->handover.act != before && r->handover.act != HANDOVER_IDLE)
		log_event(LOG_LEVEL_INFO, "switchover_step", r->handover.why,
		    "cluster", r->c->name, "step",
		    handover_act_name(r->handover.act), NULL);
	if (r->task.work == WORK_NONE || r->handover.act == HANDOVER_GIVE ||
	    r->handover.act == HANDOVER_RELEASE)
		act(r, &r->handover, now_us);
	if (r->order.at_standby)
		judge_asked(r, now_us);
	else
		judge_order(r, &r->handover, now_us);
}
