#include "site/decide_int.h"

/*
 * What a primary does: nothing, while it may write.  Under the lease rules it
 * renews its lease each quarter, while what guards the server is there, and
 * stops before it ends.
 */

/*
 * A number above the one that was held may be asked for while the lease runs, or when
 * the other data site says that it is a standby and held nothing later: a
 * primary that was cut off does not take the term back from its successor.
 */
static bool
may_raise(const struct decide_look *l)
{
	const struct decide_says *peer = &l->f->says[l->peer];

	return voter_holds(l->f->voter, l->f->now_us) ||
	    (decide_current(l->s, l->f, l->peer) &&
		peer->role == ROLE_STANDBY && !peer->taking &&
		peer->held <= l->f->role->held &&
		peer->handover == HANDOVER_NONE);
}

/* In maintenance a lease has no end, once two have said so; not one that was ordered
 * without a lease, nor one on its way to the other site. */
static bool
wants_free(const struct decide_look *l)
{
	const struct record_role_file *r = l->f->role;

	return r->maintenance && r->waived == 0 && r->handover == HANDOVER_NONE;
}

/* Have the others that are heard voted for it?  One that was bound, or not heard,
 * when it was asked is asked again. */
static bool
all_have_voted(const struct decide_look *l)
{
	const struct decide_facts *f = l->f;
	uint64_t number = f->voter->lease_number;

	if (decide_current(l->s, f, l->peer) &&
	    f->says[l->peer].number < number)
		return false;
	return !f->witness || !decide_current(l->s, f, SEAT_WITNESS) ||
	    f->says[SEAT_WITNESS].number >= number;
}

static void
ask_free(struct decide_look *l)
{
	const struct voter *v = l->f->voter;
	uint64_t number = voter_next_free(v);

	/* What is free stays so: it asks for no other number. */
	if (voter_is_free(v) &&
	    (all_have_voted(l) || number != v->lease_number))
		return;
	if ((number != l->f->role->held && !may_raise(l)) || !decide_ask_due(l))
		return;
	l->out->ask = number;
	l->out->ask_free = true;
}

/* Is there another to give a lease with an end?  A free one is not given up before. */
static bool
is_answered(const struct decide_look *l)
{
	return decide_current(l->s, l->f, l->peer) ||
	    (l->f->witness && !l->f->witness_unsure &&
		decide_current(l->s, l->f, SEAT_WITNESS));
}

static void
renew(struct decide_look *l)
{
	const struct voter *v = l->f->voter;
	uint64_t number = voter_next_number(v, 1);

	if (v->lost || l->f->role->fenced || !l->f->guarded)
		return;
	if (wants_free(l)) {
		ask_free(l);
		return;
	}
	if (voter_is_free(v)
		? !is_answered(l)
		: v->lease_until - l->f->now_us > v->lease_us / 4 * 3)
		return;
	if (number != l->f->role->held && !may_raise(l))
		return;
	if (decide_ask_due(l))
		l->out->ask = number;
}

/* Its server died for good, and an operator promotes the other: stand aside. */
static bool
stands_aside(const struct decide_look *l)
{
	const struct decide_says *peer = &l->f->says[l->peer];

	return l->f->server == WATCH_DEAD && !l->f->writable &&
	    decide_fresh(l->s, l->f, l->peer) && peer->taking;
}

/*
 * Its server is dead for good: it gives its term up when the other site would take
 * over at once.  What an administrator stopped, maintenance, and what was ordered
 * is left alone.
 */
static bool
would_resign(const struct decide_look *l)
{
	const struct decide_says *peer = &l->f->says[l->peer];
	const struct record_role_file *r = l->f->role;

	return l->s->automatic && l->s->resign && l->f->failed &&
	    l->f->guarded && r->handover == HANDOVER_NONE && r->waived == 0 &&
	    !r->maintenance && !r->clean_stop &&
	    decide_current(l->s, l->f, l->peer) && peer->role == ROLE_STANDBY &&
	    peer->willing && peer->handover == HANDOVER_NONE;
}

/* First nothing of the server is left, and the other site has all of its WAL.  True
 * when there is nothing else to do. */
static bool
resigns(struct decide_look *l)
{
	struct decide_verdict *out = l->out;

	if (!out->may_write || !would_resign(l))
		return false;
	if (!l->f->gone)
		out->act = DECIDE_STOP;
	out->resign = l->f->gone && l->f->shipped;
	return out->resign;
}

/* Nobody takes it: it tries again itself.  It still has to win its lease, or to
 * hear that the other is a standby, as ever. */
static bool
takes_back(const struct decide_look *l)
{
	const struct decide_says *peer = &l->f->says[l->peer];

	return l->silent ||
	    (decide_fresh(l->s, l->f, l->peer) && peer->role != ROLE_PRIMARY &&
		!peer->willing && !peer->taking);
}

static void
resigned(struct decide_look *l)
{
	const struct voter *v = l->f->voter;
	struct decide_verdict *out = l->out;

	out->state = DECIDE_RESIGNED;
	if (takes_back(l))
		out->clear_resigned = true;
	else if (!l->f->gone)
		out->act = DECIDE_STOP;
	else
		out->release = v != NULL &&
		    (voter_holds(v, l->f->now_us) ||
			(v->record.promised_to == l->f->self &&
			    l->f->now_us < v->record.promised_until_boot_us));
}

/* Was its lease asked for since we began?  What is left of an older one, from before
 * there was none, may end before anybody prolongs it. */
static bool
is_new(const struct decide_look *l)
{
	const struct voter *v = l->f->voter;

	return voter_is_free(v) ||
	    v->lease_until - v->lease_us >= l->d->began_us;
}

static void
under_lease(struct decide_look *l)
{
	const struct voter *v = l->f->voter;
	struct decide_verdict *out = l->out;
	bool holds = voter_holds(v, l->f->now_us);

	if (stands_aside(l)) {
		out->release = holds;
		out->may_write = false;
		out->reason = REASON_SERVER_DEAD;
		return;
	}
	renew(l);
	if (holds && v->lease_number > l->f->role->held)
		out->note_held = v->lease_number;
	out->clear_waived = holds && l->f->role->waived != 0 &&
	    v->lease_number >= l->f->role->held && is_new(l);
	out->may_ack = (holds && (l->f->guarded || voter_is_free(v))) ||
	    out->reason == REASON_WAIVED;
	if (out->reason == REASON_NO_LEASE || out->reason == REASON_UNGUARDED) {
		out->state = DECIDE_LEASE_ENDS;
		if (v->lost)
			out->reason = REASON_VOTER_LOST;
		else if (!l->f->guarded)
			out->reason = REASON_UNGUARDED;
		if (l->f->writable)
			out->act = DECIDE_STOP;
	}
}

void
decide_primary(struct decide_look *l)
{
	struct decide_verdict *out = l->out;

	if (l->silent && l->d->silent_us == -1) {
		l->d->silent_us = l->f->now_us;
		out->events |= EVENT_PEER_SILENT;
	} else if (!l->silent && l->d->silent_us != -1) {
		l->d->silent_us = -1;
		out->events |= EVENT_PEER_BACK;
	}
	out->state = DECIDE_PRIMARY;
	if (out->reason == REASON_RESIGNED) {
		resigned(l);
		return;
	}
	if (resigns(l))
		return;
	if (out->reason == REASON_SUPERSEDED) {
		out->state = DECIDE_SUPERSEDED;
		out->number = decide_superseded_by(l->f);
		out->supersede = true;
	} else if (out->reason == REASON_OTHER_PRIMARY) {
		out->state = DECIDE_CONFLICT;
	} else if (out->reason == REASON_HANDED_OVER) {
		out->state = DECIDE_HANDOVER;
		return;
	} else if (out->reason != REASON_FENCED && decide_leased(l->f->role) &&
	    l->f->voter != NULL) {
		under_lease(l);
		return;
	}
	out->may_ack = out->may_write;
	/* The order holds until the other site follows: only then can it have
	 * taken over when next nothing is heard. */
	out->clear_waived = l->f->role->waived != 0 &&
	    decide_current(l->s, l->f, l->peer) &&
	    l->f->says[l->peer].role == ROLE_STANDBY;
	if (!out->may_write && l->f->writable)
		out->act = DECIDE_STOP;
}
