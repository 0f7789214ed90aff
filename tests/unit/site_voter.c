/* Votes, and what a standby and a switchover do with them, case by case; the
 * model test has all the rest. */

#include "site/voter.h"

#include <string.h>

#include "site/decide.h"
#include "site/handover.h"
#include "tap.h"

#define S ((int64_t)1000000)

static struct voter a, b, w;
static struct voter_step step, answer;
static uint64_t first_round = 7;

static void
start(struct voter *v, enum record_seat self, const struct record_term *r,
    const char *boot_id, int64_t now_us)
{
	struct voter_config c = { "main", { "tokyo", "osaka", "nagoya" },
		boot_id, self, 30 * S, first_round };

	voter_start(v, &c, r, now_us);
}

static void
set_up(void)
{
	struct voter *all[] = { &a, &b, &w };
	unsigned int i;

	for (i = 0; i < SEATS; i++) {
		start(all[i], (enum record_seat)i, NULL, "boot", 0);
		voter_init(all[i], 0, &step);
		voter_commit(all[i], &step, 0);
	}
}

/* `of` asks `v` at that time; whether it granted. */
static bool
grants(struct voter *of, struct voter *v, int64_t now_us)
{
	voter_on_ask(v, &step.message, now_us, &answer);
	voter_commit(v, &answer, now_us);
	(void)voter_on_answer(of, &answer.message, now_us);
	return answer.message.answer == VOTER_GRANT;
}

static enum voter_answer
asks(struct voter *v, uint64_t number, int64_t now_us)
{
	enum voter_answer said = voter_ask(v, number, now_us, &step);

	if (said == VOTER_GRANT)
		voter_commit(v, &step, now_us);
	return said;
}

static void
leases(void)
{
	struct record_term file;

	set_up();
	tap_u64(asks(&a, 2, 100 * S), VOTER_GRANT, "the first may ask");
	tap_ok(!voter_holds(&a, 100 * S), "one vote is no lease");
	tap_ok(grants(&a, &w, 101 * S) && answer.write,
	    "the witness grants, and writes it first");
	tap_ok(voter_holds(&a, 130 * S - 1) && !voter_holds(&a, 130 * S),
	    "the lease counts from asking");
	tap_ok(!voter_is_noted(&a), "a later process would not know of it");
	voter_note(&a, &step);
	voter_commit(&a, &step, 101 * S);
	file = a.record;
	tap_ok(voter_is_noted(&a), "... until it is written");
	start(&a, SEAT_FIRST, &file, "boot", 102 * S);
	tap_ok(voter_holds(&a, 130 * S - 1) && !voter_holds(&a, 130 * S),
	    "... then it has it until the same end");
	file = w.record;
	tap_u64(asks(&b, 3, 133 * S), VOTER_GRANT, "the second asks");
	tap_ok(!grants(&b, &w, 133 * S + 299999), "the promise still runs");
	tap_u64(answer.message.answer, VOTER_PROMISED, "... it says");
	tap_u64((uint64_t)answer.message.wait_us, 1, "... and for how long");
	start(&w, SEAT_WITNESS, &file, "another boot", 5 * S);
	tap_ok(!grants(&b, &w, 37 * S), "after a reboot it counts whole");
	tap_ok(grants(&b, &w, 38 * S), "T x 1.01 + 2 s, then it grants");
	tap_ok(!grants(&b, &w, 900 * S) || answer.message.number == 3,
	    "a question again is answered again");
	(void)asks(&a, 2, 900 * S);
	tap_ok(!grants(&a, &w, 900 * S), "no going back in term");
	tap_u64(answer.message.answer, VOTER_STALE, "... it says");
}

/* `v` hears what `step` says is given back; whether it forgot a promise. */
static bool
forgets(struct voter *v, int64_t now_us)
{
	voter_on_ask(v, &step.message, now_us, &answer);
	voter_commit(v, &answer, now_us);
	return answer.write && answer.record.promised_to == SEAT_NONE;
}

static void
gives_back(struct voter *v, int64_t now_us)
{
	voter_release(v, &step);
	voter_commit(v, &step, now_us);
}

static bool frees(struct voter *of, struct voter *v, int64_t now_us);

static void
given_back(void)
{
	struct voter_step late;
	struct voter_message grant;
	struct record_term file;

	set_up();
	gives_back(&a, 99 * S);
	tap_ok(!step.send, "who asked for nothing gives nothing back");
	(void)asks(&a, 2, 100 * S);
	(void)grants(&a, &w, 100 * S);
	(void)grants(&a, &b, 100 * S);
	gives_back(&a, 101 * S);
	tap_ok(!voter_holds(&a, 101 * S) && step.send, "a lease is given back");
	late = step;
	tap_u64(asks(&b, 3, 102 * S), VOTER_PROMISED,
	    "a granter that has not heard of it keeps its promise");
	step = late;
	tap_ok(forgets(&b, 102 * S) && !answer.send, "one that has forgets it");
	tap_ok(!forgets(&b, 102 * S), "... once");
	tap_u64(asks(&b, 3, 102 * S), VOTER_GRANT, "... asks itself");
	tap_ok(grants(&b, &a, 102 * S) && voter_holds(&b, 103 * S),
	    "... and has the lease with the vote of who gave it back");

	/* It comes late: another question was granted meanwhile. */
	set_up();
	(void)asks(&a, 2, 100 * S);
	(void)grants(&a, &w, 100 * S);
	gives_back(&a, 101 * S);
	late = step;
	(void)asks(&a, 2, 102 * S);
	(void)grants(&a, &w, 102 * S);
	step = late;
	tap_ok(!forgets(&w, 103 * S), "a promise of a later question stays");
	(void)asks(&b, 3, 103 * S);
	tap_ok(!grants(&b, &w, 103 * S), "... and binds");
	(void)asks(&a, 2, 104 * S);
	voter_on_ask(&w, &step.message, 104 * S, &answer);
	grant = answer.message;
	voter_commit(&w, &answer, 104 * S);
	gives_back(&a, 105 * S);
	tap_ok(forgets(&w, 105 * S),
	    "all questions up to the last one are given back");
	tap_ok(
	    !voter_on_answer(&a, &grant, 106 * S) && !voter_holds(&a, 106 * S),
	    "an answer that comes after that makes no lease");

	/* An earlier process's question may have made a lease: nobody knows. */
	set_up();
	(void)asks(&a, 2, 100 * S);
	(void)grants(&a, &w, 100 * S);
	file = a.record;
	first_round = 1000;
	start(&a, SEAT_FIRST, &file, "boot", 101 * S);
	first_round = 7;
	(void)asks(&a, 2, 102 * S);
	gives_back(&a, 103 * S);
	tap_ok(!forgets(&w, 103 * S), "an earlier process's promise stays");
	(void)asks(&a, 2, 104 * S);
	(void)grants(&a, &w, 104 * S);
	file = w.record;
	start(&w, SEAT_WITNESS, &file, "boot", 105 * S);
	gives_back(&a, 106 * S);
	tap_ok(!forgets(&w, 106 * S),
	    "a granter begun anew knows of no question: it waits");

	/* Somebody else's promise is not touched, nor is a free one spared. */
	set_up();
	(void)asks(&a, 2, 100 * S);
	late = step;
	(void)asks(&b, 3, 100 * S);
	(void)grants(&b, &w, 100 * S);
	voter_release(&a, &late);
	step = late;
	tap_ok(!forgets(&w, 101 * S), "a promise to another stays");
	set_up();
	(void)frees(&a, &w, 110 * S);
	gives_back(&a, 111 * S);
	tap_ok(forgets(&w, 111 * S) && w.record.standing == 0,
	    "a vote that stands is given back, too");
}

/* `of` asks for a free lease; whether `v` granted it. */
static bool
frees(struct voter *of, struct voter *v, int64_t now_us)
{
	if (voter_ask_free(of, voter_next_free(of), now_us, &step) !=
	    VOTER_GRANT)
		return false;
	voter_commit(of, &step, now_us);
	return grants(of, v, now_us);
}

static void
free_leases(void)
{
	struct voter_view view = { SEAT_FIRST, false, 0, SEAT_FIRST, false };
	struct record_term file;
	struct voter_step late;

	set_up();
	(void)asks(&a, 2, 100 * S);
	(void)grants(&a, &w, 100 * S);
	late = step; /* this question is to come once more */
	tap_ok(
	    frees(&a, &w, 110 * S) && voter_is_free(&a) && a.lease_number == 4,
	    "OP5: a free lease is of a number of its own");
	tap_ok(!voter_is_free_durably(&a), "... and has to be written");
	voter_note(&a, &step);
	voter_commit(&a, &step, 110 * S);
	tap_ok(voter_is_free_durably(&a), "... then it is durable");
	file = a.record;
	start(&a, SEAT_FIRST, &file, "another boot", 5 * S);
	tap_ok(voter_holds(&a, 100000 * S), "... also after a reboot");
	voter_on_ask(&w, &late.message, 120 * S, &answer);
	tap_u64(answer.message.answer, VOTER_STALE,
	    "a question for an end that comes late changes nothing");
	file = w.record;
	start(&w, SEAT_WITNESS, &file, "another boot", 5 * S);
	(void)asks(&b, 5, 90000 * S);
	tap_ok(!grants(&b, &w, 90000 * S),
	    "nobody else gets a vote, however long it takes");
	tap_u64(asks(&w, 6, 90000 * S), VOTER_NO_SEAT, "(nor the witness)");

	/* Its end. */
	tap_u64(voter_next_number(&a, 1), 6, "its end is another number");
	(void)asks(&a, 6, 200 * S);
	tap_ok(voter_holds(&a, 230 * S - 1) && !voter_holds(&a, 230 * S),
	    "from the question on the lease has an end");
	file = a.record;
	start(&a, SEAT_FIRST, &file, "another boot", 210 * S);
	tap_ok(voter_holds(&a, 230 * S - 1) && !voter_holds(&a, 230 * S),
	    "... on record, too");
	view.number = 6;
	voter_on_view(&w, &view, 300 * S, &step);
	tap_ok(!step.write, "who only hears of that waits for the question");
	voter_on_view(&w, &view, 311 * S, &step);
	tap_ok(step.write, "... and then makes the longest promise");
	voter_commit(&w, &step, 311 * S);
	(void)asks(&b, 7, 494 * S);
	tap_ok(
	    !grants(&b, &w, 494 * S) && grants(&b, &w, 496 * S), "... 183.8 s");

	/* A voter that lost its file. */
	set_up();
	(void)frees(&a, &w, 110 * S);
	start(&w, SEAT_WITNESS, NULL, "boot", 200 * S);
	view.seat = SEAT_SECOND;
	view.number = 0;
	voter_on_view(&w, &view, 400 * S, &step);
	tap_ok(!step.write, "a voter without its file waits for the holder");
	view.seat = SEAT_FIRST;
	view.number = a.record.number;
	view.stands = true;
	voter_on_view(&w, &view, 5000 * S, &step);
	tap_ok(step.write && step.found &&
		step.record.standing == a.record.number &&
		step.record.promised_to == SEAT_FIRST,
	    "... which says that the vote stands");
	voter_release(&a, &step);
	tap_ok(
	    step.record.number > a.record.number && step.record.standing == 0,
	    "one that gives a free lease up goes past it");
}

static void
lost(void)
{
	struct voter_view view = { SEAT_FIRST, false, 6, SEAT_FIRST, false };

	set_up();
	start(&w, SEAT_WITNESS, NULL, "boot", 0);
	(void)asks(&b, 3, 1000 * S);
	tap_ok(!grants(&b, &w, 1000 * S), "without its file it does not vote");
	voter_on_view(&w, &view, 183 * S, &step);
	view.seat = SEAT_SECOND;
	view.number = 3;
	voter_on_view(&w, &view, 184 * S, &step);
	tap_ok(!step.write, "what it heard in the quiet time does not count");
	view.seat = SEAT_FIRST;
	view.number = 6;
	view.lost = true;
	voter_on_view(&w, &view, 185 * S, &step);
	tap_ok(!step.write, "nor from one that is in the same state");
	view.lost = false;
	voter_on_view(&w, &view, 186 * S, &step);
	tap_ok(step.write && step.found && step.record.number == 6,
	    "it learns the highest from both");
}

static void
forced(void)
{
	set_up();
	(void)asks(&a, 2, 100 * S);
	(void)grants(&a, &b, 100 * S);
	voter_force(&b, 1, 101 * S, &step);
	voter_commit(&b, &step, 101 * S);
	tap_u64(b.record.number, 3, "an order takes a number of its own");
	tap_u64(asks(&b, 3, 102 * S), VOTER_PROMISED,
	    "but no lease before the promise to the other ends");
	tap_u64(asks(&b, 3, 133 * S), VOTER_GRANT, "and then it may ask");
}

/* --- the standby --- */

static struct record_role_file role;
static struct decide_settings settings = DECIDE_SETTINGS_DEFAULT;
static struct decide_facts f;
static struct decide d;
static struct decide_verdict v;

static void
standby(enum record_fence fence, bool witness)
{
	set_up();
	record_role_init(&role, "main", "osaka");
	role.role = ROLE_STANDBY;
	role.fence = fence;
	(void)memset(&f, 0, sizeof(f));
	f.self = SEAT_SECOND;
	f.role = &role;
	f.voter = &b;
	f.paths = 1;
	f.path_us[0] = 0;
	f.witness = witness;
	f.promotable = true;
	f.proved = f.guarded = role.peer_proved = true;
	f.rpo_us = 2 * S;
	f.since_automatic_us = -1;
	f.allow_loss_us = -1;
	settings.automatic = true;
	decide_start(&d);
}

/* Looks each second up to that time, the witness seen all along. */
static void
look_until(int64_t until_us)
{
	while (f.now_us < until_us) {
		f.now_us += S;
		f.says[SEAT_WITNESS].heard = f.witness;
		f.says[SEAT_WITNESS].heard_us = f.now_us;
		f.says[SEAT_WITNESS].saw_us[SEAT_FIRST] = f.now_us;
		decide_step(&d, &settings, &f, &v);
	}
}

static void
hd3(void)
{
	standby(FENCE_LEASE, true);
	look_until(26 * S);
	tap_str(
	    decide_state_name(v.state), "normal", "HD3: 25 s are waited for");
	look_until(27 * S);
	tap_str(
	    decide_state_name(v.state), "hold", "HD3: then the hold begins");
	look_until(626 * S);
	tap_str(decide_state_name(v.state), "hold", "HD3: 600 s");
	look_until(627 * S);
	tap_ok(v.state == DECIDE_TAKING && v.ask == 1, "HD3: then it asks");
	standby(FENCE_LEASE, true);
	look_until(100 * S);
	f.order = ORDER_CONFIRM;
	look_until(101 * S);
	tap_ok(v.state == DECIDE_TAKING, "HD3: confirm ends the hold");
	standby(FENCE_LEASE, true);
	role.canceled = true;
	look_until(5000 * S);
	tap_str(decide_state_name(v.state), "canceled",
	    "HD3: cancel holds for ever");
	standby(FENCE_NONE, false);
	look_until(5000 * S);
	tap_ok(v.state == DECIDE_ALARM && v.act == DECIDE_NOTHING && !v.ask,
	    "HD3: without witness and fence it stays at an alarm");
	tap_str(v.command, "pgkura failover main --allow-data-loss 2s --force",
	    "HD3: with the prepared command");
	standby(FENCE_LEASE, true);
	look_until(600 * S);
	f.now_us += 60 * S; /* nobody looked */
	look_until(f.now_us + 500 * S);
	tap_ok(v.state == DECIDE_HOLD, "what nobody watched does not count");
}

int
main(void)
{
	leases();
	free_leases();
	given_back();
	lost();
	forced();
	hd3();
	return tap_done();
}
