/*
 * Two data sites tell each other which witness they ask: whose votes count when, also
 * where words are lost or late, and when somebody changes it.
 */

#include "site/witness.h"

#include <string.h>

#include "tap.h"

static struct site {
	struct record_role_file role;
	struct witness w;
	struct voter voter;
} a, b;
static uint64_t id;

static void
begin(struct site *s, enum record_role role)
{
	(void)memset(s, 0, sizeof(*s));
	record_role_init(&s->role, "main", "site");
	s->role.role = role;
	strcpy(s->role.witness, WITNESS_UNTOLD);
	s->voter.self = role == ROLE_PRIMARY ? SEAT_FIRST : SEAT_SECOND;
}

static void
look(struct site *s)
{
	struct record_role_file next;
	unsigned int i;

	for (i = 0; i < 3; i++)
		if (witness_step(&s->w, &s->role, &s->voter, 1000, ++id, &next))
			s->role = next;
}

static void
ask(struct site *s, const char *witness)
{
	strcpy(s->w.own, witness);
	look(s);
}

/* What from says is heard. */
static void
say(const struct site *from, struct site *to)
{
	uint64_t heard = witness_answer(&from->w, &from->role);

	if (from->w.tells[0] != '\0') {
		strcpy(to->w.heard, from->w.tells);
		to->w.heard_id = from->w.tells_id;
	}
	if (heard != 0)
		witness_answered(&to->w, &to->role, heard, from->role.held);
	look(to);
}

static void
talk(void)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		say(&a, &b);
		say(&b, &a);
	}
}

static bool
counts(const struct site *s)
{
	return witness_counts(&s->w, &s->role);
}

static void
restart(struct site *s)
{
	(void)memset(&s->w, 0, sizeof(s->w));
}

static void
both_ask(const char *witness)
{
	begin(&a, ROLE_PRIMARY);
	begin(&b, ROLE_STANDBY);
	ask(&a, witness);
	ask(&b, witness);
	talk();
}

static void
beginning(void)
{
	begin(&a, ROLE_PRIMARY);
	begin(&b, ROLE_STANDBY);
	ask(&a, "w");
	ask(&b, "w");
	tap_ok(
	    !counts(&a) && !counts(&b), "nothing counts that nobody has heard");
	say(&a, &b);
	tap_ok(!counts(&a), "nor what was not answered");
	talk();
	tap_ok(counts(&a) && counts(&b), "both ask the same: its votes count");
	restart(&b);
	tap_ok(!counts(&b), "whose votes they are must be known");
	ask(&b, "w");
	tap_ok(counts(&b), "a restart forgets nothing");
	both_ask(WITNESS_NONE);
	tap_ok(!counts(&a) && !witness_differs(&a.w, &a.role),
	    "no witness at either site is no difference");
	begin(&a, ROLE_PRIMARY);
	a.role.witness[0] = '\0';
	ask(&a, "w");
	tap_ok(counts(&a), "a primary whose record is older goes on");
}

static void
differences(void)
{
	both_ask("w");
	ask(&b, "v");
	tap_ok(!counts(&b) && counts(&a), "one that the standby changes");
	talk();
	tap_ok(!counts(&b) && counts(&a), "does not count there");
	tap_ok(witness_differs(&a.w, &a.role) && witness_differs(&b.w, &b.role),
	    "both know of it");
	a.role.role = ROLE_STANDBY;
	b.role.role = ROLE_PRIMARY;
	tap_ok(counts(&b) && !counts(&a), "a switchover exchanges that too");
	ask(&a, "v");
	talk();
	tap_ok(counts(&a) && counts(&b), "the same again");
}

static void
unheard(void)
{
	both_ask("w");
	ask(&a, "v");
	tap_ok(!counts(&a) && counts(&b),
	    "what a primary changes does not count until it is heard");
	ask(&b, "v");
	tap_ok(!counts(&b), "nor one that the standby changes alike");
	restart(&a);
	ask(&a, "v");
	tap_ok(!counts(&a), "also after a restart");
	ask(&a, "w");
	say(&b, &a);
	tap_ok(!counts(&a), "nor does what was told before, on the way back");
	talk();
	tap_ok(counts(&a) && !counts(&b), "until it is heard");
}

/* An answer to what was told before is on its way. */
static void
late(void)
{
	struct site old;

	both_ask("w");
	old = b;
	ask(&a, "v");
	say(&a, &b);
	ask(&a, "w");
	say(&old, &a);
	tap_ok(!counts(&a), "an answer that comes late is to another telling");
	say(&a, &b);
	say(&b, &a);
	tap_ok(counts(&a) && counts(&b), "the one to this telling counts");
}

static void
leases(void)
{
	both_ask("w");
	a.voter.lease_until = 5000;
	a.voter.asked = 3;
	a.voter.granted[SEAT_WITNESS] = true;
	ask(&a, "v");
	tap_str(a.w.tells, "w",
	    "a lease by the vote of the old witness ends before the new is told");
	a.voter.granted[SEAT_SECOND] = true;
	look(&a);
	tap_str(a.w.tells, "v", "or the other site has voted for it");
	both_ask("w");
	a.voter.lease_until = 5000;
	a.voter.granted[SEAT_SECOND] = true;
	ask(&a, "v");
	tap_str(a.w.tells, "w", "which must be known of this process");
}

/* Both are primaries by their records: one has not heard of the other's term. */
static void
succeeded(void)
{
	both_ask("w");
	a.role.held = 4;
	b.role.role = ROLE_PRIMARY;
	b.role.held = 5;
	ask(&a, "v");
	ask(&b, "v");
	talk();
	tap_ok(!counts(&a), "its successor's answer is none to a primary");
	tap_ok(counts(&b), "the later one's witness counts");
	a.role.role = ROLE_STANDBY;
	talk();
	tap_ok(counts(&a), "and the first one's once it stands by");
}

int
main(void)
{
	beginning();
	differences();
	unheard();
	late();
	leases();
	succeeded();
	return tap_done();
}
