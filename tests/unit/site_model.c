/*
 * The rules of two sites, by a virtual clock and everything that can go wrong.
 *
 * Each episode has other settings and another row of faults: lost, late, doubled
 * messages; lines cut in one direction or both; watchers killed, also while they
 * write, stopped, suspended with their hosts; hosts without power; files lost;
 * servers that die; orders of operators; clocks up to 1 % fast or slow.
 *
 * At every instant: no two leases, no two sites that acknowledge commits unless
 * an operator ordered it, no site that writes again after its successor did,
 * terms only grow, no promotion before its hold is over, unless the primary has
 * given its term up: then with all its WAL, nothing of its server being there.  That
 * holds in maintenance too, when a primary goes on without its watcher.  And when the
 * faults have ended, somebody is the primary, or it is said why not.
 *
 *	PGKURA_MODEL_EPISODES=N		instead of 200
 *	PGKURA_MODEL_SEED=N		begin with that one; told by a failure
 *	PGKURA_MODEL_TRACE=1		tell each change
 */

#include "site_sim.h"

#include "tap.h"

/* --- the oracle --- */

static bool
has_waiver(const struct sim_site *s)
{
	return s->role_there && s->role.role == ROLE_PRIMARY &&
	    s->role.waived != 0;
}

/* An order was obeyed, and what it brought is over. */
static void
end_exemption(struct sim *m)
{
	struct sim_site *a = &m->sites[SEAT_FIRST];
	struct sim_site *b = &m->sites[SEAT_SECOND];
	bool a_primary = a->role_there && a->role.role == ROLE_PRIMARY;
	bool b_primary = b->role_there && b->role.role == ROLE_PRIMARY;

	if (!m->exempt || (a_primary && b_primary) || has_waiver(a) ||
	    has_waiver(b) || (!a_primary && a->writable) ||
	    (!b_primary && b->writable) ||
	    (sim_lease_runs(m, a) && sim_lease_runs(m, b)))
		return;
	m->exempt = false;
	m->last_term = 0;
	if (a_primary || b_primary)
		m->owner = a_primary ? SEAT_FIRST : SEAT_SECOND;
}

/* What the last writer has is at the other site, if there is a line. */
static void
ship(struct sim *m)
{
	struct sim_site *from, *to;

	if (m->last_writer == -1 || m->unshipped)
		return;
	from = &m->sites[m->last_writer];
	to = sim_peer(m, from);
	if (from->host_up && to->host_up && !m->cut[from->seat][to->seat][0])
		to->committed = from->position;
}

static void
check_now(struct sim *m)
{
	struct sim_site *a = &m->sites[SEAT_FIRST];
	struct sim_site *b = &m->sites[SEAT_SECOND];
	bool a_writes = sim_acknowledges(m, a),
	     b_writes = sim_acknowledges(m, b);
	struct sim_site *writer = a_writes ? a : b;

	/* Whoever forces a failover answers for one that is free, or has another
	 * witness. */
	if (sim_lease_runs(m, a) && sim_lease_runs(m, b) &&
	    !(m->exempt && (m->second || sim_is_free(a) || sim_is_free(b))))
		sim_violation(m, "two leases at once");
	end_exemption(m);
	ship(m);
	if (a_writes && b_writes && !m->exempt)
		sim_violation(m, "two sites acknowledge at once");
	if (!a_writes && !b_writes)
		return;
	writer->position++;
	m->alone += !writer->process_up && sim_is_free(writer);
	if (!m->exempt && m->last_writer != (int)writer->seat &&
	    writer->role.held < m->last_term)
		sim_violation(m, "a site writes under term %llu after %llu",
		    (unsigned long long)writer->role.held,
		    (unsigned long long)m->last_term);
	if (!m->exempt && m->owner != (int)writer->seat)
		sim_violation(m, "a site writes again after its successor");
	m->last_writer = (int)writer->seat;
	if (writer->role.held > m->last_term)
		m->last_term = writer->role.held;
	ship(m);
}

/* --- time --- */

/* When s does something next by itself. */
static int64_t
next_of(const struct sim *m, const struct sim_site *s)
{
	int64_t at = s->process_up ? s->next_look : s->restart_at;

	if (s->stopped_until > at)
		at = s->stopped_until;
	if (s->suspended_until > at)
		at = s->suspended_until;
	if (s->stop_at != 0 && s->stop_at < at)
		at = s->stop_at;
	return at < m->now ? m->now : at;
}

static void
stops(struct sim_site *s)
{
	bool clean = s->clean;

	sim_server_gone(s);
	s->clean = clean;
}

static void
happens(struct sim *m, struct sim_site *s)
{
	if (s->stop_at != 0 && m->now >= s->stop_at)
		stops(s);
	if (sim_paused(m, s))
		return;
	if (!s->process_up) {
		if (m->now >= s->restart_at)
			sim_process_starts(m, s);
	} else if (m->now >= s->next_look) {
		sim_look(m, s);
		s->next_look =
		    m->now + 50000 + sim_below(m, m->sharp ? 300000 : 1400000);
	}
}

/* The next thing that happens anywhere, but not after until. */
static void
next_thing(struct sim *m, int64_t until)
{
	struct sim_message first;
	int64_t at = until;
	unsigned int i, which = SIM_SITES, message = SIM_QUEUE;

	for (i = 0; i < SIM_SITES; i++)
		if (next_of(m, &m->sites[i]) < at) {
			at = next_of(m, &m->sites[i]);
			which = i;
		}
	for (i = 0; i < m->queued; i++)
		if (m->queue[i].at < at) {
			at = m->queue[i].at;
			message = i;
		}
	m->now = at;
	if (message != SIM_QUEUE) {
		first = m->queue[message];
		m->queue[message] = m->queue[--m->queued];
		if (sim_paused(m, &m->sites[first.to])) {
			/* It waits in the socket. */
			first.at = m->sites[first.to].stopped_until;
			if (m->sites[first.to].suspended_until > first.at)
				first.at = m->sites[first.to].suspended_until;
			m->queue[m->queued++] = first;
		} else {
			sim_arrive(m, &first);
		}
	} else if (which != SIM_SITES) {
		happens(m, &m->sites[which]);
	}
}

/* One line for each change that a person would want to follow. */
static void
trace(struct sim *m)
{
	static char last[SIM_SITES][160];
	char line[160];
	unsigned int i;

	for (i = 0; i < SIM_SITES; i++) {
		const struct sim_site *s = &m->sites[i];

		(void)snprintf(line, sizeof(line),
		    "%u %-8s held %llu by %-7s %-11s%s%s%s%s%s%s%s %s: %s", i,
		    s->role_there ? record_role_name(s->role.role) : "gone",
		    (unsigned long long)s->role.held,
		    s->role.waived != 0 ? "order" : "term",
		    record_handover_name(s->role.handover),
		    s->process_up ? "" : " down",
		    sim_paused(m, s) ? " paused" : "",
		    s->running ? s->writable ? " writable" : " follows" : "",
		    sim_lease_runs(m, s) ? " lease" : "",
		    sim_acknowledges(m, s) ? " acks" : "",
		    s->asks == SIM_SECOND ? " second" : "",
		    witness_counts(&s->witness, &s->role) ? " counts" : "",
		    decide_state_name(s->verdict.state),
		    decide_reason_text(s->verdict.reason));
		if (strcmp(line, last[i]) != 0)
			tap_diag("%8lld.%03lld %s", (long long)(m->now / SIM_S),
			    (long long)(m->now % SIM_S / 1000), line);
		(void)memcpy(last[i], line, sizeof(line));
	}
}

static bool tracing;

static void
run(struct sim *m, int64_t us)
{
	int64_t until = m->now + us;

	while (m->now < until && m->faults == 0) {
		next_thing(m, until);
		check_now(m);
		m->steps++;
		if (tracing)
			trace(m);
	}
}

/* --- an episode --- */

static void
set_up_site(struct sim *m, unsigned int index)
{
	unsigned int seat = index == SIM_SECOND ? SEAT_WITNESS : index;
	static const int64_t rates[] = { 990000, 1000000, 1010000 };
	struct sim_site *s = &m->sites[index];
	struct voter_step step;

	s->index = index;
	s->asks = SEAT_WITNESS;
	s->seat = (enum record_seat)seat;
	s->rate_ppm = sim_chance(m, 60) ? rates[sim_below(m, 3)]
					: 990000 + sim_below(m, 20001);
	s->role_there = true;
	record_role_init(&s->role, SIM_THING, "site");
	s->role.role = seat == SEAT_FIRST ? ROLE_PRIMARY
	    : seat == SEAT_SECOND	  ? ROLE_STANDBY
					  : ROLE_WITNESS;
	s->role.fence = m->fence;
	s->role.peer_proved = m->proved;
	(void)strcpy(s->role.witness, m->witness ? "first" : WITNESS_NONE);
	(void)strcpy(s->role.peer_witness, s->role.witness);
	s->promoted = seat == SEAT_FIRST;
	sim_process_starts(m, s);
	voter_init(&s->voter, 0, &step);
	(void)sim_do_step(m, s, &step);
}

static void
set_up(struct sim *m, uint64_t seed)
{
	static const int64_t leases[] = { 8, 30, 60, 180 };
	static const int64_t holds[] = { 5, 30, 120, 300 };
	static const enum record_fence fences[] = { FENCE_LEASE, FENCE_LEASE,
		FENCE_LEASE, FENCE_VOLUME, FENCE_HOOK, FENCE_NONE };
	static const struct decide_settings defaults = DECIDE_SETTINGS_DEFAULT;
	unsigned int i;

	(void)memset(m, 0, sizeof(*m));
	m->random = seed * 0x9e3779b97f4a7c15ULL + 1;
	m->settings = defaults;
	m->settings.automatic = sim_chance(m, 85);
	m->settings.hold_us = holds[sim_below(m, 4)] * SIM_S;
	if (sim_chance(m, 50)) {
		m->settings.beat_us = SIM_S;
		m->settings.misses = 3;
	}
	m->lease_us = leases[sim_below(m, 4)] * SIM_S;
	m->sharp = sim_chance(m, 50);
	if (m->sharp) {
		m->settings.automatic = true;
		m->settings.hold_us = SIM_S;
		m->settings.beat_us = SIM_S;
		m->settings.misses = 3;
		m->settings.retry_us = SIM_S / 5;
	}
	if (m->lease_us < 10 * SIM_S)
		m->settings.stop_margin_us = SIM_S;
	m->fence = fences[sim_below(m, COUNT_OF(fences))];
	m->settings.hook = m->fence == FENCE_HOOK;
	m->witness = sim_chance(m, 85);
	m->second = m->witness && sim_chance(m, 50);
	m->promotable = true;
	m->rpo_us = 3 * SIM_S;
	m->settings.resign = sim_chance(m, 70);
	if (sim_chance(m, 30))
		m->settings.rpo_limit_us = 10 * SIM_S;
	m->proved = sim_chance(m, 95);
	m->heedless = sim_chance(m, 50);
	m->loss_percent = (unsigned int)sim_below(m, 10);
	m->double_percent = (unsigned int)sim_below(m, 10);
	m->delay_us = 1000 + sim_below(m, SIM_S);
	m->last_writer = -1;
	m->now = SIM_S;
	for (i = 0; i < SIM_SITES; i++)
		if (i < SEAT_WITNESS ||
		    (i == SIM_SECOND ? m->second : m->witness))
			set_up_site(m, i);
		else
			m->sites[i].restart_at = SIM_FAR_AWAY;
	m->crash_percent = (unsigned int)sim_below(m, 3);
}

static void
tear_down(struct sim *m)
{
	unsigned int i;

	for (i = 0; i < SIM_SITES; i++)
		buf_free(&m->sites[i].term_file);
}

static struct sim_site *
any_site(struct sim *m)
{
	return &m->sites[sim_below(m, m->second ? 4 : m->witness ? 3 : 2)];
}

static int64_t
some_time(struct sim *m)
{
	int64_t longest = sim_chance(m, 30) ? 600 : 40;

	return (1 + sim_below(m, longest)) * SIM_S / 2;
}

static void
cut_lines(struct sim *m)
{
	unsigned int a = any_site(m)->index, b, path;
	bool both = sim_chance(m, 60), all = sim_chance(m, 60);

	for (b = 0; b < SIM_SITES; b++)
		for (path = 0; path < 2; path++) {
			if (b == a || (!all && sim_chance(m, 50)))
				continue;
			m->cut[a][b][path] = true;
			if (both)
				m->cut[b][a][path] = true;
		}
}

static void
mend_lines(struct sim *m)
{
	(void)memset(m->cut, 0, sizeof(m->cut));
}

static void
lose_files(struct sim *m, struct sim_site *s)
{
	/* A term that nobody voted for is known here only: it stays. */
	bool alone = s->role.waived != 0 || !decide_leased(&s->role);

	m->files_lost = true;
	if (!alone && sim_chance(m, 70))
		s->term_file.len = 0;
	if (sim_chance(m, 50))
		s->role_there = false;
	sim_process_dies(m, s, some_time(m));
}

static void
process_fault(struct sim *m, struct sim_site *s)
{
	switch (sim_below(m, 10)) {
	case 0:
	case 1:
	case 2:
		sim_process_dies(m, s, some_time(m));
		break;
	case 3:
	case 4:
		s->stopped_until = m->now + some_time(m);
		break;
	case 5:
		s->suspended_until = m->now + some_time(m);
		break;
	case 6:
	case 7:
		sim_host_dies(m, s, some_time(m));
		break;
	case 8:
		s->unguarded_until = m->now + some_time(m);
		break;
	case 9:
		if (sim_chance(m, 10))
			lose_files(m, s);
		break;
	}
}

static void
operator_does(struct sim *m, struct sim_site *s)
{
	static const enum decide_order orders[] = { ORDER_CONFIRM,
		ORDER_CONFIRM, ORDER_FAILOVER, ORDER_FORCE };

	if (s->seat == SEAT_WITNESS || !s->process_up || !s->role_there)
		return;
	switch (sim_below(m, 9)) {
	case 0:
	case 1:
	case 2:
		s->wanted = true;
		break;
	case 3:
		s->aborted = s->role.handover == HANDOVER_ANNOUNCED ||
		    s->role.handover == HANDOVER_STOPPED;
		break;
	case 4:
		s->order = orders[sim_below(m, 4)];
		break;
	case 5:
		if (s->verdict.state == DECIDE_HOLD)
			s->role.canceled = true;
		break;
	case 6:
		if (s->role.role == ROLE_PRIMARY && sim_chance(m, 20)) {
			s->role.waived = s->role.held;
			m->exempt = true;
		}
		break;
	case 7:
		m->rpo_us = sim_chance(m, 50) ? 3 * SIM_S : 30 * SIM_S;
		break;
	default:
		m->promotable = !m->promotable;
		break;
	}
}

/* One data site is cut off for about a lease, and on the other side something
 * happens, or it is that one's turn to be cut off. */
static void
isolate(struct sim *m)
{
	unsigned int seat = m->owner >= 0 && sim_chance(m, 80)
	    ? (unsigned int)m->owner
	    : (unsigned int)sim_below(m, 2);
	unsigned int other, path;

	mend_lines(m);
	for (other = 0; other < SIM_SITES; other++)
		for (path = 0; path < 2; path++) {
			m->cut[seat][other][path] = true;
			m->cut[other][seat][path] = true;
		}
	if (m->witness && sim_chance(m, 40)) {
		if (sim_chance(m, 30))
			lose_files(m, &m->sites[SEAT_WITNESS]);
		else if (sim_chance(m, 50))
			sim_host_dies(m, &m->sites[SEAT_WITNESS], SIM_S);
		else
			process_fault(m, &m->sites[SEAT_WITNESS]);
		m->sites[SEAT_WITNESS].restart_at = m->now + SIM_S;
	}
	run(m, m->lease_us / 100 * (50 + sim_below(m, 100)) + 10 * SIM_S);
}

/* Maintenance begins or ends, and mostly its watcher is stopped then; the others are
 * started anew, or lose their files. */
static void
maintenance(struct sim *m)
{
	struct sim_site *s = &m->sites[m->owner > 0 ? m->owner : 0];
	struct sim_site *other = any_site(m);

	if (!s->process_up || !s->role_there || s->role.role != ROLE_PRIMARY ||
	    s->role.handover != HANDOVER_NONE)
		return;
	s->role.maintenance = !s->role.maintenance;
	run(m, sim_below(m, 20 * SIM_S));
	if (sim_chance(m, 60))
		sim_process_dies(m, s, some_time(m));
	if (other != s && sim_chance(m, 30))
		sim_process_dies(m, other, some_time(m));
	else if (other != s && sim_chance(m, 30))
		lose_files(m, other);
	else if (sim_chance(m, 30))
		cut_lines(m);
}

/* One data site, or both, asks the other witness from now on. */
static void
change_witness(struct sim *m)
{
	unsigned int seat = (unsigned int)sim_below(m, 3), i;

	for (i = 0; i < SEAT_WITNESS; i++) {
		struct sim_site *s = &m->sites[i];

		/* Of a site that has lost its files the witness knows the term. */
		if ((seat != i && seat != 2) || !s->role_there)
			continue;
		m->changes++;
		s->asks = s->asks == SIM_SECOND ? SEAT_WITNESS : SIM_SECOND;
		if (sim_chance(m, 50))
			sim_process_dies(m, s, some_time(m));
	}
}

static void
fault(struct sim *m)
{
	struct sim_site *s = any_site(m);

	if (m->sharp && sim_chance(m, 40)) {
		isolate(m);
		return;
	}
	if (m->second && sim_chance(m, 10)) {
		change_witness(m);
		return;
	}
	switch (sim_below(m, 17)) {
	case 0:
	case 1:
	case 2:
		cut_lines(m);
		break;
	case 3:
	case 4:
	case 5:
		mend_lines(m);
		break;
	case 6:
		m->loss_percent = (unsigned int)sim_below(m, 60);
		m->delay_us = 1000 + sim_below(m, 5 * SIM_S);
		break;
	case 7:
		s->server_dead = !s->server_dead && sim_chance(m, 60);
		/* One that hangs is dead, and there. */
		if (!s->server_dead || sim_chance(m, 70))
			sim_server_gone(s);
		break;
	case 8:
	case 9:
		operator_does(m, s);
		break;
	case 10:
	case 11:
		maintenance(m);
		break;
	case 12:
		m->unshipped = !m->unshipped && sim_chance(m, 50);
		break;
	default:
		process_fault(m, s);
		break;
	}
}

/* All is mended that can be without an order. */
static void
mend(struct sim *m)
{
	unsigned int i;

	mend_lines(m);
	m->loss_percent = 1;
	m->double_percent = 1;
	m->crash_percent = 0;
	m->delay_us = 50000;
	m->promotable = true;
	m->rpo_us = 3 * SIM_S;
	m->unshipped = false;
	for (i = 0; i < SIM_SITES; i++) {
		struct sim_site *s = &m->sites[i];

		if (i < SEAT_WITNESS)
			s->asks = SEAT_WITNESS;
		s->server_dead = false;
		s->stopped_until = 0;
		s->suspended_until = 0;
		s->unguarded_until = 0;
		if (!s->process_up && s->restart_at > m->now &&
		    s->restart_at != SIM_FAR_AWAY)
			s->restart_at = s->powered_off_until > m->now
			    ? s->powered_off_until
			    : m->now;
		s->role.canceled = false;
		s->role.maintenance = false;
	}
}

/* When all is quiet: a primary, or a reason that a person can read. */
static void
check_outcome(struct sim *m)
{
	const struct sim_site *a = &m->sites[SEAT_FIRST];
	const struct sim_site *b = &m->sites[SEAT_SECOND];
	bool served = sim_acknowledges(m, a) || sim_acknowledges(m, b);

	if (served)
		return;
	if (!m->files_lost)
		sim_violation(m,
		    "nobody is primary at the end: %s (%s), %s (%s)",
		    decide_state_name(a->verdict.state),
		    decide_reason_text(a->verdict.reason),
		    decide_state_name(b->verdict.state),
		    decide_reason_text(b->verdict.reason));
	else if (a->verdict.reason == REASON_NONE &&
	    b->verdict.reason == REASON_NONE)
		sim_violation(m, "nobody is primary, and nobody says why");
}

struct totals {
	uint64_t steps, promotions, handovers, leases, unserved;
	uint64_t resignations, taken, given_back, freed, alone;
	uint64_t changes, apart;
};

static bool
episode(uint64_t seed, struct totals *t)
{
	static struct sim m;
	unsigned int faults;
	bool held;

	set_up(&m, seed);
	run(&m, 30 * SIM_S);
	for (faults = 0; faults < 60 && m.faults == 0; faults++) {
		if (!sim_chance(&m, 30))
			run(&m, some_time(&m));
		fault(&m);
	}
	mend(&m);
	run(&m, 2 * m.settings.hold_us + 900 * SIM_S);
	if (m.faults == 0)
		check_outcome(&m);
	held = m.faults == 0;
	if (!held)
		tap_diag("seed %llu, at %lld ms: %s", (unsigned long long)seed,
		    (long long)m.now / 1000, m.fault);
	t->steps += m.steps;
	t->promotions += m.promotions;
	t->handovers += m.handovers;
	t->leases += m.leases;
	t->resignations += m.resignations;
	t->taken += m.taken;
	t->given_back += m.given_back;
	t->freed += m.freed;
	t->alone += m.alone;
	t->changes += m.changes;
	t->apart += m.apart;
	t->unserved += !sim_acknowledges(&m, &m.sites[0]) &&
	    !sim_acknowledges(&m, &m.sites[1]);
	tear_down(&m);
	return held;
}

static uint64_t
number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

int
main(void)
{
	uint64_t episodes = number_of("PGKURA_MODEL_EPISODES", 200);
	uint64_t seed = number_of("PGKURA_MODEL_SEED", 1), i, broken = 0;
	struct totals t = { .steps = 0 };

	tracing = number_of("PGKURA_MODEL_TRACE", 0) != 0;
	for (i = 0; i < episodes && broken < 10; i++)
		broken += !episode(seed + i, &t);
	tap_diag(
	    "%llu episodes, %llu steps, %llu leases, %llu promotions, %llu "
	    "hand-overs, %llu resignations, %llu promotions after one, %llu ended "
	    "with an alarm",
	    (unsigned long long)i, (unsigned long long)t.steps,
	    (unsigned long long)t.leases, (unsigned long long)t.promotions,
	    (unsigned long long)t.handovers, (unsigned long long)t.resignations,
	    (unsigned long long)t.taken, (unsigned long long)t.unserved);
	tap_u64(broken, 0, "no rule is broken in %llu episodes",
	    (unsigned long long)i);
	tap_ok(t.promotions >= i / 10 && t.handovers >= i / 40,
	    "sites were promoted, and handed over");
	tap_ok(t.given_back >= i / 20,
	    "promises ended with the lease that was given back");
	tap_diag(
	    "%llu promises given back, %llu free leases, %llu commits under one with no watcher",
	    (unsigned long long)t.given_back, (unsigned long long)t.freed,
	    (unsigned long long)t.alone);
	tap_diag("%llu changes of a witness, %llu looks with two",
	    (unsigned long long)t.changes, (unsigned long long)t.apart);
	tap_ok(t.changes >= i / 2 && t.apart >= i * 10,
	    "sites asked different witnesses");
	tap_ok(t.freed >= i / 4 && t.alone >= i,
	    "in maintenance a primary went on without its watcher");
	tap_ok(t.taken >= i / 50, "and took over from one that had resigned");
	return tap_done();
}
