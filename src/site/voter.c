#include "site/voter.h"

#include <stdio.h>
#include <string.h>

/* So long the holder's question is waited for. */
#define PAST_US ((int64_t)10 * 1000000)

int64_t
voter_promise_us(int64_t lease_us)
{
	return lease_us + lease_us / 100 + VOTER_MARGIN_US;
}

const char *
voter_answer_name(enum voter_answer a)
{
	static const char *const names[] = { "granted", "promised to another",
		"a later term is known", "its record is lost", "not a voter" };

	return names[a];
}

static bool
is_data_seat(enum record_seat seat)
{
	return seat == SEAT_FIRST || seat == SEAT_SECOND;
}

static void
see(struct voter *v, uint64_t number, enum record_seat holder)
{
	if (number <= v->seen)
		return;
	v->seen = number;
	v->seen_holder = holder;
}

/* Times of the record belong to another boot: a promise counts whole, and a lease is
 * gone unless it has no end. */
static void
adopt_boot(struct voter *v, const char *boot_id, int64_t now_us)
{
	struct record_term *r = &v->record;
	int64_t latest = now_us + r->promised_us;
	bool free = r->lease_until_boot_us == VOTER_FREE && r->standing != 0 &&
	    r->standing == r->lease_number && r->promised_to == v->self;

	if (strcmp(r->boot_id, boot_id) != 0) {
		r->promised_until_boot_us = latest;
		r->lease_until_boot_us = 0;
		(void)snprintf(r->boot_id, sizeof(r->boot_id), "%s", boot_id);
	}
	/* A promise cannot have begun after now. */
	if (r->promised_until_boot_us > latest)
		r->promised_until_boot_us = latest;
	if (free)
		r->lease_until_boot_us = VOTER_FREE;
	else if (r->lease_until_boot_us == VOTER_FREE)
		r->lease_until_boot_us = 0;
	v->lease_until = r->lease_until_boot_us;
	v->lease_number = v->lease_until == 0 ? 0 : r->lease_number;
}

void
voter_start(struct voter *v, const struct voter_config *config,
    const struct record_term *record, int64_t now_us)
{
	unsigned int seat;

	(void)memset(v, 0, sizeof(*v));
	v->self = config->self;
	v->lease_us = config->lease_us;
	v->round = v->first_round = config->round;
	v->seen_holder = SEAT_NONE;
	if (record != NULL)
		v->record = *record;
	else
		record_term_init(&v->record, config->thing);
	for (seat = 0; seat < SEATS; seat++)
		(void)snprintf(v->record.seats[seat],
		    sizeof(v->record.seats[seat]), "%s",
		    config->seats[seat] == NULL ? "" : config->seats[seat]);
	if (record == NULL) {
		v->lost = true;
		v->quiet_until = now_us + voter_promise_us(RECORD_LEASE_MAX_US);
		(void)snprintf(v->record.boot_id, sizeof(v->record.boot_id),
		    "%s", config->boot_id);
	} else {
		adopt_boot(v, config->boot_id, now_us);
		see(v, record->number, record->holder);
	}
}

/* The step of a voter that writes: its record, with its lease as it is now. */
static void
begin_writing(const struct voter *v, struct voter_step *step)
{
	(void)memset(step, 0, sizeof(*step));
	step->write = true;
	step->record = v->record;
	step->record.serial++;
	step->record.lease_number = v->lease_number;
	step->record.lease_until_boot_us = v->lease_until;
}

static bool
promise_runs(const struct voter *v, int64_t now_us)
{
	return v->record.promised_to != SEAT_NONE &&
	    (v->record.standing != 0 ||
		now_us < v->record.promised_until_boot_us);
}

static void
promise_nobody(struct voter_step *step)
{
	struct record_term *r = &step->record;

	r->promised_to = SEAT_NONE;
	r->promised_until_boot_us = 0;
	r->promised_us = 0;
	r->standing = 0;
}

/* The longest promise that ends, from now. */
static void
promise_longest(struct voter_step *step, enum record_seat seat, int64_t now_us)
{
	struct record_term *r = &step->record;

	r->promised_to = seat;
	r->standing = 0;
	r->promised_us = voter_promise_us(RECORD_LEASE_MAX_US);
	r->promised_until_boot_us = now_us + r->promised_us;
	step->promise_us = r->promised_us;
	step->promises = true;
}

/* Enter a vote for seat into the step's record. */
static void
vote(const struct voter *v, struct voter_step *step, uint64_t number,
    enum record_seat seat, int64_t lease_us, int64_t now_us)
{
	struct record_term *r = &step->record;
	int64_t promise_us = voter_promise_us(
	    lease_us == VOTER_FREE ? RECORD_LEASE_MAX_US : lease_us);

	/* What runs is never shortened.  What has no end gets one when its holder
	 * asks for a later term. */
	if (v->record.standing != 0 || !promise_runs(v, now_us) ||
	    r->promised_until_boot_us < now_us + promise_us) {
		r->promised_us = promise_us;
		r->promised_until_boot_us = now_us + promise_us;
	}
	r->number = number;
	r->holder = seat;
	r->promised_to = seat;
	r->standing = lease_us == VOTER_FREE ? number : 0;
	step->promise_us = promise_us;
	step->promises = true;
}

void
voter_init(const struct voter *v, uint64_t number, struct voter_step *step)
{
	begin_writing(v, step);
	if (number > step->record.number) {
		step->record.number = number;
		step->record.holder = SEAT_NONE;
	}
	step->found = true;
}

static uint64_t
top_of(const struct voter *v)
{
	return v->record.number > v->seen ? v->record.number : v->seen;
}

/* The first number from `least` on that is this data site's. */
static uint64_t
own_number(const struct voter *v, uint64_t least)
{
	return least % 2 == (uint64_t)v->self ? least : least + 1;
}

uint64_t
voter_next_number(const struct voter *v, uint64_t least)
{
	uint64_t top = top_of(v);

	if (v->record.holder == v->self && v->record.number == top &&
	    top != 0 && top >= least && v->record.standing != top)
		return top;
	return own_number(v, top + 1 > least ? top + 1 : least);
}

uint64_t
voter_next_free(const struct voter *v)
{
	uint64_t top = top_of(v);

	if (voter_stands(v) == top && top != 0)
		return top;
	return own_number(v, top + 1);
}

bool
voter_is_free(const struct voter *v)
{
	return v->lease_until == VOTER_FREE;
}

bool
voter_is_free_durably(const struct voter *v)
{
	return voter_is_free(v) && v->record.lease_until_boot_us == VOTER_FREE;
}

bool
voter_is_noted(const struct voter *v)
{
	const struct record_term *r = &v->record;

	if (v->lease_until == 0 || voter_is_free(v))
		return v->lease_until == 0 || voter_is_free_durably(v);
	return r->lease_number == v->lease_number &&
	    r->lease_until_boot_us != 0;
}

uint64_t
voter_stands(const struct voter *v)
{
	return v->record.promised_to == v->self ? v->record.standing : 0;
}

void
voter_note(const struct voter *v, struct voter_step *step)
{
	begin_writing(v, step);
}

/* What the step says to all others. */
static void
begin_question(const struct voter *v, struct voter_step *step)
{
	step->send = true;
	step->message.kind = VOTER_ASKS;
	step->message.from = v->self;
	step->message.to = SEAT_NONE;
	step->message.known_holder = SEAT_NONE;
}

static enum voter_answer
ask(const struct voter *v, uint64_t number, int64_t lease_us, int64_t now_us,
    struct voter_step *step)
{
	if (!is_data_seat(v->self) || number == 0)
		return VOTER_NO_SEAT;
	if (v->lost)
		return VOTER_LOST;
	if (number < v->record.number ||
	    (number == v->record.number &&
		(v->record.holder != v->self ||
		    (v->record.standing == number) !=
			(lease_us == VOTER_FREE))))
		return VOTER_STALE;
	if (promise_runs(v, now_us) && v->record.promised_to != v->self)
		return VOTER_PROMISED;
	begin_writing(v, step);
	vote(v, step, number, v->self, lease_us, now_us);
	/* What stands elsewhere stands at least until it is answered. */
	if (voter_is_free(v) && lease_us != VOTER_FREE)
		step->record.lease_until_boot_us = now_us + lease_us;
	step->asked_us = now_us;
	begin_question(v, step);
	step->message.round = v->round + 1;
	step->message.number = number;
	step->message.lease_us = lease_us;
	return VOTER_GRANT;
}

enum voter_answer
voter_ask(const struct voter *v, uint64_t number, int64_t now_us,
    struct voter_step *step)
{
	return ask(v, number, v->lease_us, now_us, step);
}

enum voter_answer
voter_ask_free(const struct voter *v, uint64_t number, int64_t now_us,
    struct voter_step *step)
{
	return ask(v, number, VOTER_FREE, now_us, step);
}

static enum voter_answer
judge(const struct voter *v, const struct voter_message *m, int64_t now_us)
{
	if (!is_data_seat(m->from) || m->from == v->self || m->number == 0 ||
	    m->lease_us <= 0 ||
	    (m->lease_us > RECORD_LEASE_MAX_US && m->lease_us != VOTER_FREE))
		return VOTER_NO_SEAT;
	if (v->lost)
		return VOTER_LOST;
	if (m->number < v->record.number ||
	    (m->number == v->record.number &&
		(v->record.holder != m->from ||
		    (v->record.standing == m->number &&
			m->lease_us != VOTER_FREE))))
		return VOTER_STALE;
	if (promise_runs(v, now_us) && v->record.promised_to != m->from)
		return VOTER_PROMISED;
	if (voter_holds(v, now_us)) /* its promise to itself is gone, however */
		return VOTER_PROMISED;
	return VOTER_GRANT;
}

/* The sender has no lease, and none comes of its questions up to m->round. */
static bool
is_given_back(const struct voter *v, const struct voter_message *m)
{
	uint64_t nth = v->granted_round - m->known_number;

	return !v->lost && is_data_seat(m->from) && m->from != v->self &&
	    v->record.promised_to == m->from && v->has_granted && nth > 0 &&
	    nth <= m->round - m->known_number;
}

static void
on_release(const struct voter *v, const struct voter_message *m,
    struct voter_step *step)
{
	(void)memset(step, 0, sizeof(*step));
	if (!is_given_back(v, m))
		return;
	begin_writing(v, step);
	promise_nobody(step);
}

void
voter_on_ask(const struct voter *v, const struct voter_message *m,
    int64_t now_us, struct voter_step *step)
{
	enum voter_answer answer = judge(v, m, now_us);
	struct voter_message *a = &step->message;

	if (m->lease_us == VOTER_GIVEN_BACK) {
		on_release(v, m, step);
		return;
	}
	(void)memset(step, 0, sizeof(*step));
	if (answer == VOTER_GRANT) {
		begin_writing(v, step);
		vote(v, step, m->number, m->from, m->lease_us, now_us);
	}
	step->send = m->from < SEATS && m->from != v->self;
	a->kind = VOTER_ANSWERS;
	a->from = v->self;
	a->to = m->from;
	a->round = m->round;
	a->number = m->number;
	a->lease_us = m->lease_us;
	a->answer = answer;
	a->known_number = v->seen;
	a->known_holder = v->seen_holder;
	if (answer == VOTER_PROMISED || answer == VOTER_LOST)
		a->wait_us = voter_wait_us(v, now_us);
}

void
voter_commit(struct voter *v, const struct voter_step *step, int64_t now_us)
{
	const struct voter_message *m = &step->message;
	struct record_term *r = &v->record;

	if (!step->write)
		return;
	*r = step->record;
	if (step->promises &&
	    r->promised_until_boot_us < now_us + step->promise_us)
		r->promised_until_boot_us = now_us + step->promise_us;
	v->past_us = 0;
	see(v, r->number, r->holder);
	if (step->found)
		v->lost = false;
	if (step->send && m->kind == VOTER_ANSWERS) {
		v->has_granted = true;
		v->granted_round = m->round;
	}
	if (step->release) {
		v->lease_until = 0;
		v->asked = 0;
	} else if (step->send && m->kind == VOTER_ASKS) {
		v->round = m->round;
		v->asked = m->number;
		v->asked_us = step->asked_us;
		v->asked_lease_us = m->lease_us;
		if (voter_is_free(v) && m->lease_us != VOTER_FREE)
			v->lease_until = step->asked_us + m->lease_us;
		(void)memset(v->granted, 0, sizeof(v->granted));
		v->granted[v->self] = true;
	}
}

bool
voter_on_answer(struct voter *v, const struct voter_message *m, int64_t now_us)
{
	unsigned int seat, votes = 0;
	int64_t until;

	if (m->kind != VOTER_ANSWERS || m->to != v->self || m->from >= SEATS ||
	    m->from == v->self)
		return false;
	see(v, m->known_number, m->known_holder);
	if (v->asked == 0 || m->round != v->round || m->number != v->asked ||
	    m->answer != VOTER_GRANT)
		return false;
	v->granted[m->from] = true;
	for (seat = 0; seat < SEATS; seat++)
		votes += v->granted[seat];
	until = v->asked_lease_us == VOTER_FREE ? VOTER_FREE
						: v->asked_us + v->lease_us;
	if (votes < 2 || until <= now_us ||
	    (until <= v->lease_until && v->asked == v->lease_number))
		return false;
	v->lease_until = until;
	v->lease_number = v->asked;
	return true;
}

/* Whether a voter without a file has heard all that it has to. */
static bool
has_heard(const struct voter *v)
{
	unsigned int seat;

	for (seat = 0; seat < SEATS; seat++)
		if (seat != v->self && v->record.seats[seat][0] != '\0' &&
		    !v->heard[seat])
			return false;
	return true;
}

/* What it may have promised before it lost its file. */
static void
promise_again(const struct voter *v, struct voter_step *step, int64_t now_us)
{
	unsigned int seat;

	if (is_data_seat(v->seen_holder) && v->seen_holder != v->self)
		promise_longest(step, v->seen_holder, now_us);
	for (seat = 0; seat < SEAT_WITNESS; seat++) {
		if (seat == v->self || v->stands[seat] == 0)
			continue;
		promise_longest(step, (enum record_seat)seat, now_us);
		step->record.standing = v->stands[seat];
	}
}

void
voter_on_view(struct voter *v, const struct voter_view *view, int64_t now_us,
    struct voter_step *step)
{
	(void)memset(step, 0, sizeof(*step));
	if (view->seat >= SEATS || view->seat == v->self)
		return;
	see(v, view->number, view->holder);
	if (!v->lost && v->record.standing != 0 &&
	    v->record.promised_to == view->seat && !view->lost &&
	    view->number > v->record.standing) {
		if (v->past_us == 0)
			v->past_us = now_us;
		if (now_us - v->past_us < PAST_US)
			return;
		begin_writing(v, step);
		promise_longest(step, view->seat, now_us);
		return;
	}
	if (!v->lost || now_us < v->quiet_until)
		return;
	v->heard[view->seat] = !view->lost;
	v->stands[view->seat] = view->stands ? view->number : 0;
	if (!has_heard(v))
		return;
	begin_writing(v, step);
	step->record.number = v->seen;
	step->record.holder = v->seen_holder;
	step->found = true;
	promise_again(v, step, now_us);
}

void
voter_release(const struct voter *v, struct voter_step *step)
{
	begin_writing(v, step);
	step->record.lease_until_boot_us = 0;
	/* Votes that stand elsewhere get an end when this site is past them. */
	if (voter_stands(v) != 0) {
		step->record.number = own_number(v, top_of(v) + 1);
		step->record.holder = v->self;
	}
	if (step->record.promised_to == v->self)
		promise_nobody(step);
	step->release = true;
	if (v->round == v->first_round) /* nothing was asked */
		return;
	begin_question(v, step);
	step->message.round = v->round;
	step->message.number = v->record.number;
	step->message.lease_us = VOTER_GIVEN_BACK;
	step->message.known_number = v->first_round;
}

void
voter_force(const struct voter *v, uint64_t least, int64_t now_us,
    struct voter_step *step)
{
	uint64_t next = top_of(v) + 1;

	uint64_t number = own_number(v, next > least ? next : least);

	begin_writing(v, step);
	step->record.number = number;
	step->record.holder = v->self;
	/* What was promised to another stays so: no lease comes before its end. */
	if (!promise_runs(v, now_us) || v->record.promised_to == v->self)
		vote(v, step, number, v->self, v->lease_us, now_us);
	else if (v->record.standing != 0) /* ... which has one by this order */
		promise_longest(step, v->record.promised_to, now_us);
	step->found = true;
}

bool
voter_holds(const struct voter *v, int64_t now_us)
{
	return now_us < v->lease_until;
}

int64_t
voter_wait_us(const struct voter *v, int64_t now_us)
{
	int64_t until = 0;

	if (v->lost)
		until = v->quiet_until;
	if (v->record.promised_to != SEAT_NONE &&
	    v->record.promised_until_boot_us > until)
		until = v->record.promised_until_boot_us;
	if (promise_runs(v, now_us) && v->record.standing != 0)
		until = now_us + voter_promise_us(RECORD_LEASE_MAX_US);
	return until > now_us ? until - now_us : 0;
}
