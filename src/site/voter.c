#include "site/voter.h"

#include <stdio.h>
#include <string.h>

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

/* Times of the record belong to another boot: a promise counts whole. */
static void
adopt_boot(struct voter *v, const char *boot_id, int64_t now_us)
{
	struct record_term *r = &v->record;
	int64_t latest = now_us + r->promised_us;

	if (strcmp(r->boot_id, boot_id) != 0) {
		r->promised_until_boot_us = latest;
		r->lease_until_boot_us = 0;
		(void)snprintf(r->boot_id, sizeof(r->boot_id), "%s", boot_id);
	}
	/* A promise cannot have begun after now. */
	if (r->promised_until_boot_us > latest)
		r->promised_until_boot_us = latest;
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
	v->round = config->round;
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
	    now_us < v->record.promised_until_boot_us;
}

/* Enter a vote for seat into the step's record. */
static void
vote(const struct voter *v, struct voter_step *step, uint64_t number,
    enum record_seat seat, int64_t lease_us, int64_t now_us)
{
	struct record_term *r = &step->record;
	int64_t promise_us = voter_promise_us(lease_us);

	/* What runs is never shortened, and never longer than it says. */
	if (promise_runs(v, now_us) && r->promised_us > promise_us)
		promise_us = r->promised_us;
	r->number = number;
	r->holder = seat;
	r->promised_to = seat;
	r->promised_us = promise_us;
	r->promised_until_boot_us = now_us + promise_us;
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
	    top != 0 && top >= least)
		return top;
	return own_number(v, top + 1 > least ? top + 1 : least);
}

enum voter_answer
voter_ask(const struct voter *v, uint64_t number, int64_t now_us,
    struct voter_step *step)
{
	if (!is_data_seat(v->self) || number == 0)
		return VOTER_NO_SEAT;
	if (v->lost)
		return VOTER_LOST;
	if (number < v->record.number ||
	    (number == v->record.number && v->record.holder != v->self))
		return VOTER_STALE;
	if (promise_runs(v, now_us) && v->record.promised_to != v->self)
		return VOTER_PROMISED;
	begin_writing(v, step);
	vote(v, step, number, v->self, v->lease_us, now_us);
	step->asked_us = now_us;
	step->send = true;
	step->message.kind = VOTER_ASKS;
	step->message.from = v->self;
	step->message.to = SEAT_NONE;
	step->message.round = v->round + 1;
	step->message.number = number;
	step->message.lease_us = v->lease_us;
	step->message.known_holder = SEAT_NONE;
	return VOTER_GRANT;
}

static enum voter_answer
judge(const struct voter *v, const struct voter_message *m, int64_t now_us)
{
	if (!is_data_seat(m->from) || m->from == v->self || m->number == 0 ||
	    m->lease_us <= 0 || m->lease_us > RECORD_LEASE_MAX_US)
		return VOTER_NO_SEAT;
	if (v->lost)
		return VOTER_LOST;
	if (m->number < v->record.number ||
	    (m->number == v->record.number && v->record.holder != m->from))
		return VOTER_STALE;
	if (promise_runs(v, now_us) && v->record.promised_to != m->from)
		return VOTER_PROMISED;
	if (voter_holds(v, now_us)) /* its promise to itself is gone, however */
		return VOTER_PROMISED;
	return VOTER_GRANT;
}

void
voter_on_ask(const struct voter *v, const struct voter_message *m,
    int64_t now_us, struct voter_step *step)
{
	enum voter_answer answer = judge(v, m, now_us);
	struct voter_message *a = &step->message;

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
	    r->promised_until_boot_us < now_us + r->promised_us)
		r->promised_until_boot_us = now_us + r->promised_us;
	see(v, r->number, r->holder);
	if (step->found)
		v->lost = false;
	if (step->release) {
		v->lease_until = 0;
		v->asked = 0;
	}
	if (step->send && m->kind == VOTER_ASKS) {
		v->round = m->round;
		v->asked = m->number;
		v->asked_us = step->asked_us;
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
	until = v->asked_us + v->lease_us;
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

void
voter_on_view(struct voter *v, const struct voter_view *view, int64_t now_us,
    struct voter_step *step)
{
	(void)memset(step, 0, sizeof(*step));
	if (view->seat >= SEATS || view->seat == v->self)
		return;
	see(v, view->number, view->holder);
	if (!v->lost || now_us < v->quiet_until)
		return;
	v->heard[view->seat] = !view->lost;
	if (!has_heard(v))
		return;
	begin_writing(v, step);
	step->record.number = v->seen;
	step->record.holder = v->seen_holder;
	step->found = true;
}

void
voter_release(const struct voter *v, struct voter_step *step)
{
	begin_writing(v, step);
	step->record.lease_until_boot_us = 0;
	if (step->record.promised_to == v->self) {
		step->record.promised_to = SEAT_NONE;
		step->record.promised_until_boot_us = 0;
		step->record.promised_us = 0;
	}
	step->release = true;
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
	return until > now_us ? until - now_us : 0;
}
