/*
 * rule_begin: the role at the very beginning, and after its record was lost.
 *
 * The configuration's role is taken when the other sites have been heard and
 * nobody has ever failed over: their terms are the first, or none.  Later, what
 * the others agree on is taken again (decide_role_again()).  Else there is no
 * role until an operator says so ("pgkura role CLUSTER --begin").
 */

#include "base/clock.h"
#include "base/log.h"
#include "jobs/rule_int.h"

/* The first term is 1 or 2: each data site takes every second number. */
#define FIRST_TERM	1
#define FIRST_TERMS_MAX 2

static bool
all_heard(const struct rule *r)
{
	int seat;

	for (seat = 0; seat < SEATS; seat++)
		if (r->sites.names[seat] != NULL &&
		    seat != (int)r->sites.self && !r->says[seat].heard)
			return false;
	return true;
}

/* Nobody has failed over: there is the first term at most. */
static bool
is_beginning(const struct rule *r)
{
	int seat;

	for (seat = 0; seat < SEATS; seat++)
		if (r->says[seat].heard &&
		    (r->says[seat].number > FIRST_TERMS_MAX ||
			r->says[seat].held > FIRST_TERMS_MAX))
			return false;
	return r->voter.record.number <= FIRST_TERMS_MAX;
}

static enum record_fence
fence_of(const struct cluster_settings *c)
{
	return c->fence == FENCE_KIND_LEASE ? FENCE_LEASE
	    : c->fence == FENCE_KIND_HOOK   ? FENCE_HOOK
					    : FENCE_NONE;
}

static int
take(struct rule *r, enum record_role role, uint64_t held, const char *reason)
{
	if (!r->has_role) {
		record_role_init(&r->role, r->c->name, r->s->site);
		rule_witness_begin(r);
	}
	r->role.fence = fence_of(r->c);
	return rule_take_role(r, role, held, reason);
}

static int
take_configured(struct rule *r, const char *reason)
{
	struct voter_step step = { .write = false };

	if (r->c->role == INITIAL_STANDBY) {
		if (r->voter.lost) {
			voter_init(&r->voter, 0, &step);
			if (rule_voter_step(r, &step) == -1)
				return -1;
		}
		return take(r, ROLE_STANDBY, 0, reason);
	}
	voter_force(&r->voter, FIRST_TERM, clock_boot_us(), &step);
	if (rule_voter_step(r, &step) == -1)
		return -1;
	if (take(r, ROLE_PRIMARY, step.record.number, reason) == -1)
		return -1;
	if (decide_leased(&r->role)) {
		/* Until the others have answered for the first time. */
		r->role.waived = step.record.number;
		return rule_role_write(r->s, r->c, &r->role, NULL);
	}
	return 0;
}

/* A witness has no other role, ever. */
static void
begin_witness(struct rule *r)
{
	struct voter_step step = { .write = false };

	if (!r->has_role)
		(void)take(r, ROLE_WITNESS, 0, "votes_for");
	if (!r->voter.lost || !all_heard(r) || !is_beginning(r))
		return;
	voter_init(&r->voter, 0, &step);
	(void)rule_voter_step(r, &step);
}

static void
take_again(struct rule *r)
{
	struct decide_facts f;
	enum record_role role;
	uint64_t held;

	rule_facts(r, &f);
	role = decide_role_again(&r->settings, &f, &held);
	if (role != ROLE_UNKNOWN)
		(void)take(r, role, held, "the other sites agree on it");
}

/*
 * The fence of the configuration is another one.  When a lease becomes necessary for
 * a server that takes writes without one, it goes on so until it has the first:
 * waived, durable with the change.  Whether it takes writes is known after a look.
 */
static void
take_fence(struct rule *r)
{
	struct record_role_file next = r->role;

	next.fence = fence_of(r->c);
	if (next.role == ROLE_PRIMARY && r->role.fence == FENCE_NONE &&
	    next.fence == FENCE_LEASE && !next.fenced &&
	    !record_role_resigned(&next)) {
		if (r->look.boot_us == 0)
			return;
		if (r->look.writable)
			next.waived = next.held;
	}
	(void)rule_put_role(r, &next);
}

void
rule_begin(struct rule *r)
{
	const struct decide_says *peer = &r->says[r->sites.peer];

	if (rule_is_witness(r)) {
		begin_witness(r);
		return;
	}
	if (r->has_role) {
		if (r->role.fence != fence_of(r->c) &&
		    r->role.handover == HANDOVER_NONE)
			take_fence(r);
		return;
	}
	if (!all_heard(r) || r->info.us == 0)
		return;
	if (is_beginning(r) &&
	    (r->c->role == INITIAL_PRIMARY) != (peer->role == ROLE_PRIMARY))
		(void)take_configured(r, "as configured");
	else
		take_again(r);
}

int
rule_begin_ordered(struct rule *r, struct err *e)
{
	if (r->has_role)
		return err_set(e, ERR_REFUSED,
		    "this site has the role \"%s\" already",
		    record_role_name(r->role.role));
	if (r->says[r->sites.peer].heard &&
	    r->says[r->sites.peer].role == ROLE_PRIMARY &&
	    r->c->role == INITIAL_PRIMARY)
		return err_set(e, ERR_REFUSED, "the other site is the primary");
	return take_configured(r, "as ordered") == 0
	    ? 0
	    : err_set(e, ERR_IO, "the role could not be written");
}
