/* Switchover step by step, failover without a daemon, the way back. */

#include "site/handover.h"

#include <string.h>

#include "tap.h"

#define S ((int64_t)1000000)

static struct record_role_file giver_role, taker_role;
static struct voter giver_voter, taker_voter;
static struct handover_facts giver, taker;
static struct handover_step step;

static void
set_up(void)
{
	giver_voter.self = SEAT_FIRST;
	taker_voter.self = SEAT_SECOND;
	record_role_init(&giver_role, "main", "tokyo");
	record_role_init(&taker_role, "main", "osaka");
	giver_role.role = ROLE_PRIMARY;
	giver_role.held = 2;
	taker_role.role = ROLE_STANDBY;
	(void)memset(&giver, 0, sizeof(giver));
	giver.self = SEAT_FIRST;
	giver.role = &giver_role;
	giver.voter = &giver_voter;
	giver.peer.heard = true;
	giver.peer.role = ROLE_STANDBY;
	giver.peer_silent_us = 25 * S;
	giver.peer_ready = true;
	giver.running = giver.seen = true;
	(void)memset(&taker, 0, sizeof(taker));
	taker.self = SEAT_SECOND;
	taker.role = &taker_role;
	taker.voter = &taker_voter;
	taker.peer.heard = true;
	taker.peer_silent_us = 25 * S;
}

/* The next step of a site, and what it writes is written. */
static enum handover_act
next(struct handover_facts *f, struct record_role_file *role)
{
	handover_next(f, &step);
	if (step.write) {
		role->handover = step.handover;
		role->restart = step.restart;
		role->role = step.role;
		if (step.act == HANDOVER_ANNOUNCE)
			role->handover_to = SEAT_SECOND;
		if (step.act == HANDOVER_NOTE_STOP)
			role->handover_position = step.position;
		if (step.act == HANDOVER_GIVE)
			role->handover_term = step.term;
		if (step.act == HANDOVER_TAKE)
			role->held = step.term;
	}
	return step.act;
}

static void
to_stopped(void)
{
	set_up();
	giver.wanted = true;
	(void)next(&giver, &giver_role);
	giver.running = false;
	giver.clean = true;
	giver.end = 1000;
	(void)next(&giver, &giver_role);
}

static void
switchover(void)
{
	set_up();
	giver.wanted = true;
	tap_u64(next(&giver, &giver_role), HANDOVER_ANNOUNCE, "announce");
	giver.wanted = false;
	tap_u64(next(&giver, &giver_role), HANDOVER_STOP, "stop");
	giver.running = false;
	giver.clean = true;
	giver.end = 1000;
	tap_u64(next(&giver, &giver_role), HANDOVER_NOTE_STOP, "note it");
	giver.peer_committed = 999;
	tap_u64(next(&giver, &giver_role), HANDOVER_SHIP, "a byte is missing");
	giver.peer_committed = 1000;
	giver.seen = false;
	tap_u64(next(&giver, &giver_role), HANDOVER_WAIT,
	    "a process begun anew looks at the server first");
	giver.seen = true;
	tap_u64(next(&giver, &giver_role), HANDOVER_GIVE, "give: the line");
	tap_ok(giver_role.role == ROLE_STANDBY && giver_role.handover_term > 2,
	    "the giver is a standby from there on");
	giver.aborted = true;
	giver.now_us = 1000 * S;
	tap_u64(next(&giver, &giver_role), HANDOVER_WAIT,
	    "after the line nothing aborts it");
	tap_ok(!step.abortable, "... and it says so");

	taker.peer.handover = HANDOVER_GIVEN;
	taker.peer.handover_to = SEAT_SECOND;
	taker.peer.handover_term = giver_role.handover_term;
	taker_role.fence = FENCE_LEASE;
	tap_u64(next(&taker, &taker_role), HANDOVER_ASK, "OP3: votes first");
	taker_role.fence = FENCE_NONE;
	tap_u64(next(&taker, &taker_role), HANDOVER_TAKE, "take");
	tap_ok(taker_role.role == ROLE_PRIMARY &&
		taker_role.held >= giver_role.handover_term,
	    "under the term that was given");
	tap_u64(next(&taker, &taker_role), HANDOVER_PROMOTE, "promote");
	taker.promoted = true;
	tap_u64(next(&taker, &taker_role), HANDOVER_PROBE, "probe");
	taker.probed = true;
	tap_u64(next(&taker, &taker_role), HANDOVER_NOTE_TAKEN, "taken");

	giver.peer.held = taker_role.held;
	tap_u64(
	    next(&giver, &giver_role), HANDOVER_FOLLOW, "the giver follows");
	giver.following = true;
	tap_u64(next(&giver, &giver_role), HANDOVER_FINISH, "done");
}

static void
aborts(void)
{
	to_stopped();
	giver.aborted = true;
	tap_ok(next(&giver, &giver_role) == HANDOVER_ABORT &&
		giver_role.handover == HANDOVER_NONE &&
		giver_role.role == ROLE_PRIMARY && giver_role.restart,
	    "before the line it can be aborted");
	giver.aborted = false;
	tap_u64(next(&giver, &giver_role), HANDOVER_WAIT,
	    "the server is not started while this site may not write");
	giver.wanted = true;
	tap_ok(next(&giver, &giver_role) == HANDOVER_WAIT && step.refused &&
		step.passes,
	    "another one does not begin before that: %s", step.why);
	giver.wanted = false;
	giver.may_write = true;
	giver_role.maintenance = true;
	tap_u64(next(&giver, &giver_role), HANDOVER_WAIT, "nor in maintenance");
	giver_role.maintenance = false;
	tap_u64(
	    next(&giver, &giver_role), HANDOVER_START, "then it is started");
	tap_u64(
	    next(&giver, &giver_role), HANDOVER_START, "... again if need be");
	giver.running = true;
	tap_u64(
	    next(&giver, &giver_role), HANDOVER_WAIT, "... until it answers");
	giver.alive = true;
	tap_ok(next(&giver, &giver_role) == HANDOVER_STARTED &&
		!giver_role.restart,
	    "... which is written");
	tap_u64(next(&giver, &giver_role), HANDOVER_IDLE, "that was it");
	to_stopped();
	giver.now_us = 26 * S;
	tap_u64(next(&giver, &giver_role), HANDOVER_ABORT,
	    "a silent taker aborts it");
	set_up();
	giver.wanted = giver.alive = true;
	(void)next(&giver, &giver_role);
	giver.wanted = false;
	giver.now_us = 26 * S;
	tap_ok(
	    next(&giver, &giver_role) == HANDOVER_FINISH && !giver_role.restart,
	    "... of a server that answers");
	set_up();
	giver.wanted = true;
	(void)next(&giver, &giver_role);
	giver.wanted = false;
	giver.now_us = 26 * S;
	tap_ok(next(&giver, &giver_role) == HANDOVER_ABORT &&
		giver_role.handover == HANDOVER_NONE && giver_role.restart,
	    "... and one that may be stopping is started after that");
	tap_u64(next(&giver, &giver_role), HANDOVER_WAIT, "it stops still");
	giver.running = false;
	giver.may_write = true;
	tap_u64(
	    next(&giver, &giver_role), HANDOVER_START, "then it is started");
	to_stopped();
	giver.peer_committed = giver.end = 1100;
	tap_u64(next(&giver, &giver_role), HANDOVER_ABORT,
	    "a server that was started and stopped again aborts it");
	to_stopped();
	giver.clean = false;
	tap_u64(next(&giver, &giver_role), HANDOVER_ABORT,
	    "... or that has crashed since");
	set_up();
	giver.wanted = true;
	giver.peer_ready = false;
	tap_ok(next(&giver, &giver_role) == HANDOVER_IDLE && step.refused &&
		step.passes,
	    "it does not begin as long as the other is not ready: %s",
	    step.why);
	giver.peer_why = "the standby is absent";
	(void)next(&giver, &giver_role);
	tap_str(step.why, giver.peer_why, "the other's own word is said");
	giver.peer_ready = true;
	giver.peer.handover = HANDOVER_GIVEN;
	tap_ok(next(&giver, &giver_role) == HANDOVER_IDLE && step.refused &&
		step.passes,
	    "a second one begins when the first is at its end: %s", step.why);
	giver.peer.handover = HANDOVER_NONE;
	giver.peer.role = ROLE_PRIMARY;
	tap_ok(next(&giver, &giver_role) == HANDOVER_IDLE && step.refused &&
		!step.passes,
	    "who is no standby does not become one by waiting: %s", step.why);
	giver.peer.role = ROLE_STANDBY;
	tap_ok(next(&giver, &giver_role) == HANDOVER_ANNOUNCE && !step.refused,
	    "then it begins");
}

static void
offline(void)
{
	struct handover_offline f = { &taker_role, NULL, true, false, 5 * S,
		0 };
	struct err e = ERR_INIT;
	uint64_t term = 0;

	set_up();
	tap_ok(handover_offline(&f, &term, &e) == -1 && e.hint[0] != '\0',
	    "offline: %s", e.text);
	f.allow_loss_us = 5 * S;
	taker_role.held = 9;
	tap_ok(handover_offline(&f, &term, &e) == 0 && term == 10,
	    "offline: allowed, with a later term");
	f.role = NULL;
	tap_ok(handover_offline(&f, &term, &e) == -1, "offline: %s", e.text);
}

static struct history mine, theirs;

static void
back(void)
{
	struct err e = ERR_INIT;

	history_init(&mine, "pg 1");
	(void)history_add(&mine, 1, 0, 0, &e);
	theirs = mine;
	(void)history_add(&theirs, 2, 100, 3, &e);
	tap_u64(handover_failback(&mine, 100, &theirs, 200, false).way,
	    BACK_FOLLOW, "nothing of its own: follow");
	tap_u64(handover_failback(&mine, 120, &theirs, 200, false).way,
	    BACK_ASK, "PA23: both grew: ask");
	tap_ok(handover_failback(&mine, 120, &theirs, 200, true).way ==
		    BACK_REWIND &&
		handover_failback(&mine, 120, &theirs, 200, true).salvage,
	    "ordered: salvage, then rewind");
	history_init(&theirs, "pg 2");
	(void)history_add(&theirs, 1, 0, 0, &e);
	tap_u64(handover_failback(&mine, 120, &theirs, 200, true).way,
	    BACK_REFUSE, "another cluster: refuse, ordered or not");
}

int
main(void)
{
	switchover();
	aborts();
	offline();
	back();
	return tap_done();
}
