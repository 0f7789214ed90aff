/*
 * When a standby finds its primary's site silent, when it takes over, and what
 * keeps it from that: by the documented formula, in virtual time.
 * PG4, PB1, PB5, HH3, HH4, HD3, HD4.
 */

#include "site/decide.h"

#include <string.h>

#include "tap.h"

#define S     DECIDE_S
#define LOOK  (S / 10)
#define START (1000 * S)

static struct decide_settings settings;
static struct decide_facts f;
static struct decide_verdict v;
static struct decide d;
static struct record_role_file role;
static struct voter voter;

/* The primary was heard last now. */
static void
set_up(void)
{
	const struct decide_settings initial = DECIDE_SETTINGS_DEFAULT;

	settings = initial;
	settings.automatic = settings.hook = true;
	record_role_init(&role, "main", "osaka");
	role.role = ROLE_STANDBY;
	role.fence = FENCE_HOOK;
	(void)memset(&f, 0, sizeof(f));
	f.now_us = START;
	f.self = SEAT_SECOND;
	f.role = &role;
	f.voter = &voter;
	f.says[SEAT_FIRST].heard = true;
	f.says[SEAT_FIRST].heard_us = START;
	f.says[SEAT_FIRST].role = ROLE_PRIMARY;
	f.says[SEAT_FIRST].server = WATCH_ALIVE;
	f.promotable = f.guarded = f.proved = true;
	f.rpo_us = 3 * S;
	f.since_automatic_us = -1;
	decide_start(&d);
	decide_step(&d, &settings, &f, &v);
}

static void
look(void)
{
	f.now_us += LOOK;
	if (f.rpo_us >= 0)
		f.rpo_us += LOOK;
	if (f.hook == HOOK_RUNNING)
		f.hook = HOOK_OK;
	decide_step(&d, &settings, &f, &v);
	if (v.act == DECIDE_RUN_HOOK)
		f.hook = HOOK_RUNNING;
}

/* How long after START the state comes; -1: not within limit_us. */
static int64_t
until(enum decide_state state, int64_t limit_us)
{
	while (f.now_us - START < limit_us) {
		look();
		if (v.state == state)
			return f.now_us - START;
	}
	return -1;
}

/* Past the line of a switchover. */
static void
handed(void)
{
	set_up();
	role.handover = HANDOVER_GIVEN;
	f.order = ORDER_FAILOVER;
	look();
	tap_ok(v.order_done && v.act == DECIDE_NOTHING &&
		v.reason == REASON_GIVEN_AWAY &&
		strstr(v.command, "--force") != NULL,
	    "who gave the role away is told what there is: %s", v.command);
	role.handover = HANDOVER_NONE;
	f.says[SEAT_FIRST].handover = HANDOVER_GIVEN;
	f.says[SEAT_FIRST].handover_to = SEAT_SECOND;
	f.says[SEAT_FIRST].handover_term = 7;
	look();
	tap_ok(v.order_done && v.reason == REASON_GIVEN_HERE,
	    "and who takes it, that it does");
	f.order = ORDER_FORCE;
	f.allow_loss_us = -1;
	look();
	tap_ok(v.act == DECIDE_DO_FORCE, "--force goes on");
}

static void
detection(void)
{
	int64_t silent_us, promoted_us, most_us;

	set_up();
	silent_us = until(DECIDE_HOLD, 100 * S);
	tap_ok(silent_us > 25 * S && silent_us <= 25 * S + LOOK,
	    "PG4: 5 missed heartbeats of 5 s, and one look: %lld ms",
	    (long long)silent_us / 1000);
	tap_ok(v.hold_left_us == 600 * S, "HD3: then the hold of 600 s");
	promoted_us = until(DECIDE_PROMOTE, 2000 * S);
	most_us = decide_takeover_us(&settings, 60 * S, 0, LOOK);
	/* The hook has returned at the next look. */
	tap_ok(promoted_us >= 625 * S && promoted_us <= most_us + 2 * LOOK,
	    "PB5: the takeover is bounded by the formula: %lld of %lld ms",
	    (long long)promoted_us / 1000, (long long)most_us / 1000);

	set_up();
	settings.hold_us = 0;
	promoted_us = until(DECIDE_PROMOTE, 2000 * S);
	tap_ok(promoted_us > 25 * S && promoted_us <= 25 * S + 4 * LOOK,
	    "HH3: with no hold it follows the detection: %lld ms",
	    (long long)promoted_us / 1000);

	set_up();
	settings.beat_us = S;
	settings.misses = 3;
	silent_us = until(DECIDE_HOLD, 100 * S);
	tap_ok(silent_us > 3 * S && silent_us <= 3 * S + LOOK,
	    "PB5: other settings, the same formula: %lld ms",
	    (long long)silent_us / 1000);
}

/* What is said while paths are silent. */
static void
paths(void)
{
	set_up();
	f.paths = 2;
	while (f.now_us < START + 30 * S) {
		f.says[SEAT_FIRST].heard_us = f.path_us[0] = f.now_us;
		look();
	}
	tap_str(decide_state_name(v.state), "path lost", "one of two paths");
	f.path_us[0] = START;
	look();
	tap_str(decide_state_name(v.state), "normal",
	    "a heartbeat is known before the path that it came by");
	f.says[SEAT_FIRST].heard_us = START;
	f.witness = true;
	f.says[SEAT_WITNESS].heard = true;
	f.says[SEAT_WITNESS].heard_us = f.now_us;
	f.says[SEAT_WITNESS].saw_us[SEAT_FIRST] = 0;
	look();
	tap_str(decide_state_name(v.state), "link lost",
	    "only the witness sees it");
	tap_u64(v.reason, REASON_WITNESS_SEES_PEER, "... it says");
}

/* Heartbeats that are late, as from a machine that is busy. */
static void
late(void)
{
	unsigned int n, i, other = 0;

	set_up();
	for (n = 0; n < 100; n++) {
		for (i = 0; i < 249; i++) {
			look();
			other += v.state != DECIDE_NORMAL;
		}
		f.says[SEAT_FIRST].heard_us = f.now_us;
	}
	tap_u64(other, 0, "PB1: each heartbeat 24.9 s late: no failover");
}

static void
server_dead(void)
{
	unsigned int i, acts = 0;

	set_up();
	f.says[SEAT_FIRST].server = WATCH_DEAD;
	for (i = 0; i < 100000; i++) {
		f.says[SEAT_FIRST].heard_us = f.now_us;
		look();
		acts += v.act != DECIDE_NOTHING;
	}
	tap_ok(acts == 0 && v.state == DECIDE_SERVER_DEAD,
	    "HD4: a server that is dead at a site that lives: never by itself");
	tap_ok(strncmp(v.command, "pgkura failover main", 20) == 0,
	    "... but with one command: %s", v.command);
}

/* The primary's server is dead, and both sites are to do something about it. */
static void
set_up_failed(void)
{
	set_up();
	settings.resign = true;
	settings.rpo_limit_us = 60 * S;
	f.says[SEAT_FIRST].server = WATCH_DEAD;
}

/* So many looks with a living peer: how many of them did anything? */
static unsigned int
alive_looks(unsigned int count)
{
	unsigned int acts = 0;

	for (; count > 0; count--) {
		f.says[SEAT_FIRST].heard_us = f.now_us;
		f.says[SEAT_FIRST].echo_us = f.now_us;
		f.rpo_us -= LOOK; /* it is known that nothing is written */
		look();
		acts += v.act != DECIDE_NOTHING;
	}
	return acts;
}

static void
given_up(void)
{
	set_up_failed();
	tap_ok(alive_looks(1000) == 0 && d.willing,
	    "HH4: the standby says that it is willing, and waits");
	f.says[SEAT_FIRST].resigned = true;
	tap_ok(alive_looks(2) == 2 && v.act == DECIDE_DO_FORCE,
	    "HH4: when the primary gives its term up, hook and promotion follow");
	set_up_failed();
	f.says[SEAT_FIRST].resigned = true;
	(void)alive_looks(2);
	f.hook = HOOK_RUNNING;
	while (f.now_us - f.says[SEAT_FIRST].heard_us < 40 * S) {
		f.hook = HOOK_RUNNING;
		f.now_us += LOOK;
		decide_step(&d, &settings, &f, &v);
	}
	f.hook = HOOK_OK;
	decide_step(&d, &settings, &f, &v);
	tap_ok(v.act == DECIDE_DO_FORCE,
	    "... also when the hook takes longer than the detection");
	set_up_failed();
	f.says[SEAT_FIRST].resigned = true;
	settings.resign = false;
	tap_u64(alive_looks(1000), 0, "by default it takes nothing");
	set_up_failed();
	f.says[SEAT_FIRST].resigned = true;
	f.rpo_us = 100 * S;
	tap_ok(alive_looks(1000) == 0 && !d.willing &&
		v.state == DECIDE_SERVER_DEAD && v.reason == REASON_LOSS,
	    "nor with more than rpo_limit: %s", decide_reason_text(v.reason));
	set_up_failed();
	f.says[SEAT_FIRST].resigned = true;
	f.promotable = false;
	tap_ok(alive_looks(1000) == 0 && v.reason == REASON_NOT_PROMOTABLE,
	    "nor what is not promotable");
	set_up_failed();
	f.says[SEAT_FIRST].resigned = true;
	f.proved = false;
	tap_ok(alive_looks(1000) == 0 && v.reason == REASON_NOT_PROVED,
	    "nor without a proof of the fence");
	set_up_failed();
	f.says[SEAT_FIRST].resigned = true;
	f.says[SEAT_FIRST].maintenance = true;
	tap_ok(alive_looks(1000) == 0 && v.state == DECIDE_MAINTENANCE,
	    "nor in maintenance");
	set_up_failed();
	f.says[SEAT_FIRST].resigned = true;
	f.says[SEAT_FIRST].clean_stop = true;
	tap_ok(alive_looks(1000) == 0 && v.state == DECIDE_MAINTENANCE,
	    "nor after a clean stop");
}

/* At the primary, under a lease. */
static void
set_up_primary(void)
{
	set_up_failed();
	f.self = SEAT_FIRST;
	role.role = ROLE_PRIMARY;
	role.fence = FENCE_LEASE;
	role.held = voter.lease_number = 2;
	voter.lease_us = 60 * S;
	voter.lease_until = f.now_us + 60 * S;
	f.says[SEAT_SECOND] = f.says[SEAT_FIRST];
	f.says[SEAT_SECOND].role = ROLE_STANDBY;
	f.says[SEAT_SECOND].willing = true;
	f.says[SEAT_SECOND].echo_us = f.now_us;
	f.server = WATCH_DEAD;
	f.failed = f.gone = f.shipped = true;
}

static bool
resigns(void)
{
	decide_start(&d);
	decide_step(&d, &settings, &f, &v);
	return v.resign;
}

static void
gives_up(void)
{
	enum decide_reason why;
	bool may;

	set_up_primary();
	tap_ok(
	    resigns(), "HH4: a primary whose server is dead gives its term up");
	role.resigned = role.held;
	decide_step(&d, &settings, &f, &v);
	tap_ok(!v.may_write && v.release && v.state == DECIDE_RESIGNED,
	    "... then nothing may start, and the lease goes back");
	may = decide_may_start(&settings, &f, &why);
	tap_ok(!may && why == REASON_RESIGNED, "... as may-start says: %s",
	    decide_reason_text(why));
	f.gone = false;
	decide_step(&d, &settings, &f, &v);
	tap_ok(!v.release && v.act == DECIDE_STOP,
	    "... but not before the server is gone");
	f.gone = true;
	f.says[SEAT_SECOND].willing = false;
	decide_step(&d, &settings, &f, &v);
	tap_ok(v.clear_resigned && !v.release,
	    "... and is taken back when nobody takes it");
	role.resigned = 0;
	tap_ok(!resigns(), "it gives nothing up to one that is not willing");
	set_up_primary();
	f.gone = false;
	tap_ok(!resigns() && v.act == DECIDE_STOP,
	    "nor while something of the server is left");
	set_up_primary();
	f.shipped = false;
	tap_ok(!resigns() && v.act == DECIDE_NOTHING,
	    "nor before the other site has all WAL");
	set_up_primary();
	f.failed = false;
	tap_ok(!resigns(), "nor before local recovery has failed");
	set_up_primary();
	settings.resign = false;
	tap_ok(!resigns(), "nor by default");
	set_up_primary();
	role.maintenance = true;
	tap_ok(!resigns(), "nor in maintenance");
	set_up_primary();
	f.guarded = false;
	tap_ok(!resigns(), "nor without a watchdog");
	(void)memset(&voter, 0, sizeof(voter));
}

static void
loss(void)
{
	set_up();
	settings.rpo_limit_us = 60 * S;
	tap_ok(until(DECIDE_PROMOTE, 2000 * S) > 0 && f.rpo_us > 600 * S,
	    "rpo_limit is judged at the loss of contact, not after the hold");
	set_up();
	settings.rpo_limit_us = 2 * S;
	(void)until(DECIDE_PROMOTE, 2000 * S);
	tap_ok(v.state == DECIDE_ALARM && v.reason == REASON_LOSS,
	    "more than rpo_limit then: %s", decide_reason_text(v.reason));
	f.order = ORDER_CONFIRM;
	look();
	tap_ok(v.state == DECIDE_ALARM && v.order_done,
	    "... and confirm does not change that");
	set_up();
	settings.rpo_limit_us = 60 * S;
	f.rpo_us = -1;
	tap_ok(until(DECIDE_PROMOTE, 2000 * S) == -1 &&
		v.reason == REASON_LOSS_UNKNOWN,
	    "with a limit, what is not known is too much");
}

static void
orders(void)
{
	int64_t at_us;

	set_up();
	(void)until(DECIDE_HOLD, 100 * S);
	at_us = f.now_us;
	f.order = ORDER_CONFIRM;
	look();
	f.order = ORDER_NONE;
	(void)until(DECIDE_PROMOTE, 2000 * S);
	tap_ok(v.state == DECIDE_PROMOTE && f.now_us - at_us <= 4 * LOOK,
	    "HD3: confirm ends the hold at once, said once");
	set_up();
	(void)until(DECIDE_HOLD, 100 * S);
	f.order = ORDER_CONFIRM;
	look();
	f.order = ORDER_NONE;
	f.says[SEAT_FIRST].heard_us = f.now_us;
	look();
	tap_ok(v.state == DECIDE_NORMAL, "... a sign of life ends that, too");
	at_us = f.now_us;
	(void)until(DECIDE_PROMOTE, 4000 * S);
	tap_ok(f.now_us - at_us > 620 * S, "... and the next silence is held");
	set_up();
	role.canceled = true;
	tap_ok(until(DECIDE_PROMOTE, 100000 * S) == -1 &&
		v.state == DECIDE_CANCELED,
	    "HD3: cancel holds for ever");
	set_up();
	(void)until(DECIDE_HOLD, 100 * S);
	f.hook = HOOK_FAILED;
	f.order = ORDER_CONFIRM;
	look();
	tap_ok(v.state == DECIDE_ALARM && v.reason == REASON_HOOK_FAILED,
	    "a fence hook that failed proves nothing: %s",
	    decide_reason_text(v.reason));
}

/* How a site asks for a lease without an end. */
static bool
asks_free(void)
{
	f.now_us += settings.retry_us;
	f.says[SEAT_SECOND].echo_us = f.now_us;
	f.says[SEAT_WITNESS].echo_us = f.now_us;
	decide_step(&d, &settings, &f, &v);
	return v.ask != 0 && v.ask_free;
}

static void
maintains(void)
{
	set_up_primary();
	f.failed = false;
	f.server = WATCH_MAINTENANCE;
	f.witness = f.says[SEAT_WITNESS].heard = true;
	f.says[SEAT_SECOND].number = f.says[SEAT_WITNESS].number = 2;
	voter.lease_until = f.now_us + 10000 * S;
	voter.record.number = 2;
	voter.record.holder = voter.record.promised_to = SEAT_FIRST;
	decide_start(&d);
	tap_ok(!asks_free(), "OP5: without maintenance nothing is asked for");
	role.maintenance = true;
	tap_ok(asks_free() && v.ask == 4, "OP5: in it a lease without an end");

	/* One has voted. */
	voter.record.number = voter.record.standing = voter.lease_number =
	    role.held = 4;
	voter.record.holder = voter.record.promised_to = SEAT_FIRST;
	voter.lease_until = VOTER_FREE;
	f.says[SEAT_WITNESS].number = 4;
	tap_ok(asks_free() && v.ask == 4,
	    "... also of the one that was bound when it was asked");
	f.says[SEAT_SECOND].number = 4;
	tap_ok(!asks_free(), "... until all that are heard have voted");
	f.says[SEAT_WITNESS].heard = false;
	f.says[SEAT_WITNESS].number = 2;
	tap_ok(!asks_free(), "... and not of one that is not heard");
	f.says[SEAT_SECOND].number = 2;
	voter.seen = 7;
	tap_ok(
	    !asks_free(), "... nor by another number: what is free stays so");
	(void)memset(&voter, 0, sizeof(voter));
	voter.seen_holder = SEAT_NONE;
}

/* Each site has a witness, and it is not known that it is the same one. */
static void
witnesses(void)
{
	set_up();
	voter.lost = false;
	role.fence = FENCE_LEASE;
	f.witness = f.witness_unsure = true;
	f.says[SEAT_FIRST].proved = true;
	tap_ok(until(DECIDE_ALARM, 100 * S) > 0 &&
		v.reason == REASON_WITNESS_DIFFERS &&
		strstr(v.command, "--force") != NULL,
	    "votes of another witness than the primary's do not count: %s",
	    v.command);
	f.order = ORDER_FAILOVER;
	f.allow_loss_us = -1;
	look();
	tap_ok(v.order_done && v.act == DECIDE_NOTHING && v.ask == 0 &&
		v.reason == REASON_WITNESS_DIFFERS &&
		strstr(v.command, "--force") != NULL,
	    "nor for an order, which is refused and says so");
	f.order = ORDER_FORCE;
	look();
	tap_ok(v.act == DECIDE_DO_FORCE, "--force goes on");

	set_up();
	role.fence = FENCE_LEASE;
	f.witness = f.witness_unsure = true;
	f.says[SEAT_FIRST].server = WATCH_DEAD;
	f.order = ORDER_FAILOVER;
	f.allow_loss_us = -1;
	look();
	tap_ok(!v.order_done && v.ask != 0,
	    "a primary whose server is dead votes itself");
	(void)memset(&voter, 0, sizeof(voter));
}

/* A primary that goes on without a lease (fence = lease was turned on) until it has
 * one: which is not what is left of an older one. */
static void
waived(void)
{
	set_up();
	f.self = SEAT_FIRST;
	f.says[SEAT_SECOND] = f.says[SEAT_FIRST];
	f.says[SEAT_SECOND].role = ROLE_STANDBY;
	role.role = ROLE_PRIMARY;
	role.fence = FENCE_LEASE;
	role.held = role.waived = 3;
	f.writable = true;
	voter.lease_us = 6 * S;
	voter.lease_number = 3;
	voter.lease_until = START + 5 * S;
	look();
	tap_ok(v.may_write && !v.clear_waived && v.act == DECIDE_NOTHING,
	    "a lease from before it began does not end what was waived");
	voter.lease_until = f.now_us + 6 * S;
	look();
	tap_ok(v.may_write && v.clear_waived, "one that it asked for does");
	(void)memset(&voter, 0, sizeof(voter));
}

int
main(void)
{
	witnesses();
	handed();
	detection();
	paths();
	late();
	server_dead();
	given_up();
	gives_up();
	maintains();
	loss();
	orders();
	waived();
	return tap_done();
}
