#include "site/decide.h"

#include <stddef.h>
#include <string.h>

#include "site/decide_int.h"

int64_t
decide_detect_us(const struct decide_settings *s)
{
	return s->beat_us * (int64_t)s->misses;
}

int64_t
decide_takeover_us(const struct decide_settings *s, int64_t lease_us,
    int64_t delay_us, int64_t look_us)
{
	int64_t detect_us = decide_detect_us(s);
	int64_t wait_us = voter_promise_us(lease_us) - detect_us;

	if (wait_us < s->hold_us)
		wait_us = s->hold_us;
	return detect_us + delay_us + look_us + wait_us + 2 * delay_us;
}

void
decide_start(struct decide *d)
{
	(void)memset(d, 0, sizeof(*d));
	d->last_us = -1;
	d->silent_us = -1;
	d->hold_us = -1;
	d->rpo_us = -1;
	d->asked_us = -1;
}

bool
decide_leased(const struct record_role_file *r)
{
	return r->fence == FENCE_LEASE || r->fence == FENCE_VOLUME;
}

static enum record_seat
peer_of(const struct decide_facts *f)
{
	return f->self == SEAT_FIRST ? SEAT_SECOND : SEAT_FIRST;
}

bool
decide_fresh(const struct decide_settings *s, const struct decide_facts *f,
    enum record_seat seat)
{
	const struct decide_says *says = &f->says[seat];

	return says->heard && f->now_us - says->heard_us <= decide_detect_us(s);
}

bool
decide_current(const struct decide_settings *s, const struct decide_facts *f,
    enum record_seat seat)
{
	const struct decide_says *says = &f->says[seat];

	return says->heard && says->echo_us >= 0 &&
	    f->now_us - says->echo_us <= decide_detect_us(s);
}

uint64_t
decide_superseded_by(const struct decide_facts *f)
{
	const struct decide_says *peer = &f->says[peer_of(f)];
	uint64_t by = f->role->superseded_by;

	if (peer->heard && peer->held > by)
		by = peer->held;
	return by > f->role->held ? by : 0;
}

bool
decide_ask_due(struct decide_look *l)
{
	if (l->d->asked_us != -1 &&
	    l->f->now_us - l->d->asked_us < l->s->retry_us)
		return false;
	l->d->asked_us = l->f->now_us;
	return true;
}

/* When the peer was seen last, by whatever way; DECIDE_NEVER. */
static int64_t
last_sign(const struct decide_facts *f, enum record_seat peer)
{
	const struct decide_says *witness = &f->says[SEAT_WITNESS];
	int64_t last = DECIDE_NEVER;
	unsigned int i;

	for (i = 0; i < f->paths && i < DECIDE_PATHS_MAX; i++)
		if (f->path_us[i] > last)
			last = f->path_us[i];
	if (f->says[peer].heard && f->says[peer].heard_us > last)
		last = f->says[peer].heard_us;
	if (witness->heard && witness->saw_us[peer] >= 0 &&
	    witness->heard_us - witness->saw_us[peer] > last)
		last = witness->heard_us - witness->saw_us[peer];
	return last;
}

static void
look_at_paths(struct decide_look *l)
{
	const struct decide_facts *f = l->f;
	int64_t limit = f->now_us - decide_detect_us(l->s);
	uint32_t up = 0;
	unsigned int i;

	for (i = 0; i < f->paths && i < DECIDE_PATHS_MAX; i++)
		if (f->path_us[i] != DECIDE_NEVER && f->path_us[i] >= limit)
			up |= (uint32_t)1 << i;
	if (!l->first && (l->d->paths & ~up) != 0)
		l->out->events |= EVENT_PATH_DOWN;
	if (!l->first && (up & ~l->d->paths) != 0)
		l->out->events |= EVENT_PATH_UP;
	l->d->paths = up;
	l->out->paths = up;
}

/* What was not watched does not count: silence and hold start anew. */
static void
look_at_time(struct decide_look *l)
{
	struct decide *d = l->d;
	int64_t now_us = l->f->now_us;
	bool gap = d->last_us != -1 && now_us - d->last_us > l->s->step_gap_us;

	l->first = d->last_us == -1 || gap;
	if (gap) {
		l->out->events |= EVENT_GAP;
		decide_start(d);
	}
	if (l->first)
		d->began_us = now_us;
	d->last_us = now_us;
}

void
decide_step(struct decide *d, const struct decide_settings *s,
    const struct decide_facts *f, struct decide_verdict *out)
{
	struct decide_look l = { d, s, f, out, peer_of(f), 0, false, false };

	(void)memset(out, 0, sizeof(*out));
	out->loss_us = -1;
	look_at_time(&l);
	d->willing = false;
	look_at_paths(&l);
	l.last_sign_us = last_sign(f, l.peer);
	if (l.last_sign_us < d->began_us)
		l.last_sign_us = d->began_us;
	l.silent = f->now_us - l.last_sign_us > decide_detect_us(s);

	out->may_write = decide_may_start(s, f, &out->reason);
	if (f->role == NULL || f->role->role == ROLE_UNKNOWN) {
		out->state = DECIDE_UNKNOWN;
		return;
	}
	switch (f->role->role) {
	case ROLE_PRIMARY:
		decide_primary(&l);
		break;
	case ROLE_STANDBY:
		out->reason = REASON_NONE;
		decide_standby(&l);
		break;
	default:
		out->state = DECIDE_IDLE;
		out->may_ack = out->may_write;
		break;
	}
}

/* A record that says primary: what else may forbid it. */
static enum decide_reason
primary_reason(const struct decide_settings *s, const struct decide_facts *f)
{
	const struct record_role_file *r = f->role;
	const struct decide_says *peer = &f->says[peer_of(f)];

	if (decide_superseded_by(f) != 0)
		return REASON_SUPERSEDED;
	if (decide_fresh(s, f, peer_of(f)) && peer->role == ROLE_PRIMARY &&
	    peer->writable && peer->held >= r->held)
		return REASON_OTHER_PRIMARY;
	if (record_role_resigned(r))
		return REASON_RESIGNED;
	if (r->waived != 0 && r->waived == r->held)
		return REASON_WAIVED;
	/* The hook may have switched this machine off, and somebody on again. */
	if (r->fence == FENCE_HOOK && !f->writable &&
	    (!decide_current(s, f, peer_of(f)) || peer->taking ||
		peer->role != ROLE_STANDBY))
		return REASON_PEER_UNHEARD;
	if (!decide_leased(r))
		return REASON_MANUAL;
	if (f->voter == NULL ||
	    f->voter->lease_until - f->now_us <= s->stop_margin_us)
		return REASON_NO_LEASE;
	/* One that runs stays until its lease ends: that is not prolonged.  A free
	 * one has no end to be guarded. */
	if (!f->guarded && !f->writable && !voter_is_free(f->voter))
		return REASON_UNGUARDED;
	return REASON_LEASE;
}

bool
decide_may_start(const struct decide_settings *s, const struct decide_facts *f,
    enum decide_reason *why)
{
	const struct record_role_file *r = f->role;

	if (r == NULL || r->role == ROLE_UNKNOWN)
		*why = REASON_ROLE_UNKNOWN;
	else if (r->role == ROLE_ALONE)
		*why = REASON_BACKUPS_ONLY;
	else if (r->fenced)
		*why = REASON_FENCED;
	else if (r->handover == HANDOVER_GIVEN ||
	    r->handover == HANDOVER_STOPPED)
		*why = REASON_HANDED_OVER;
	else if (r->superseded_by > r->held)
		*why = REASON_SUPERSEDED;
	else if (r->role != ROLE_PRIMARY)
		*why = REASON_NOT_PRIMARY;
	else
		*why = primary_reason(s, f);
	return *why == REASON_BACKUPS_ONLY || *why == REASON_MANUAL ||
	    *why == REASON_WAIVED || *why == REASON_LEASE;
}

enum record_role
decide_role_again(const struct decide_settings *s, const struct decide_facts *f,
    uint64_t *held)
{
	const struct decide_says *peer = &f->says[peer_of(f)];
	const struct decide_says *witness = &f->says[SEAT_WITNESS];
	uint64_t number;
	enum record_seat holder;

	*held = 0;
	if (!decide_current(s, f, peer_of(f)) || peer->voter_lost ||
	    (f->witness &&
		(!decide_current(s, f, SEAT_WITNESS) || witness->voter_lost)))
		return ROLE_UNKNOWN;
	number = peer->number;
	holder = peer->holder;
	if (f->witness && witness->number > number) {
		number = witness->number;
		holder = witness->holder;
	}
	/* Also what this site itself asked for, or was ordered to hold. */
	if (f->voter != NULL && f->voter->record.number > number) {
		number = f->voter->record.number;
		holder = f->voter->record.holder;
	}
	if (number == 0 || peer->handover == HANDOVER_GIVEN ||
	    peer->handover == HANDOVER_TAKING)
		return ROLE_UNKNOWN;
	if (peer->role == ROLE_PRIMARY && holder == peer_of(f) &&
	    peer->held == number)
		return ROLE_STANDBY;
	if (peer->role == ROLE_STANDBY && holder == f->self &&
	    peer->held < number) {
		*held = number;
		return ROLE_PRIMARY;
	}
	return ROLE_UNKNOWN;
}
