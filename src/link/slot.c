/*
 * slot: which connections there should be, and dialling them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "link/dial.h"
#include "link/link_int.h"

#define ATTEMPTS_MAX   4 /* of a slot at once */
#define ATTEMPT_US     CLOCK_SECOND_US
#define CONNECT_MAX_US (4 * CLOCK_SECOND_US)
#define CONNECT_MIN_US CLOCK_SECOND_US
#define AUTHENTIC_US   (10 * CLOCK_SECOND_US)
#define GREETING_US    (2 * CLOCK_SECOND_US) /* then another attempt */
#define SOON_US	       (CLOCK_SECOND_US / 10)
#define HOLD_US	       (10 * CLOCK_SECOND_US) /* the most after refusals */
#define LANES_ALIVE_US (60 * CLOCK_SECOND_US)
#define TELL_US	       (60 * CLOCK_SECOND_US) /* between events of one kind */
#define GRACE_US       (3 * CLOCK_SECOND_US)
#define GRACE_FIRST_US (CLOCK_SECOND_US / 4)

/* A fault of a path: kept for its state, an event when it is a new one. */
static void
fault(struct link *l, struct path *p, const struct err *why)
{
	(void)snprintf(p->st.error, sizeof(p->st.error), "%.150s", why->text);
	if (p->st.up || strcmp(p->told, p->st.error) == 0 ||
	    (p->told[0] != '\0' && l->now_us - p->told_us < TELL_US))
		return;
	p->told_us = l->now_us;
	(void)strcpy(p->told, p->st.error);
	log_event(LOG_LEVEL_WARNING, "link_unreachable",
	    "the peer cannot be reached", "peer", l->peer, "address",
	    p->conf.address[0] != '\0' ? p->conf.address : NULL, "reason",
	    why->text, NULL);
}

/* Is the path to have lanes?  At the beginning each gets its chance. */
static bool
hopeful(const struct link *l, const struct path *p)
{
	return p->st.up ||
	    (p->st.heard_us == 0 && l->now_us - p->alive_us < GRACE_US);
}

/* How many lanes path number at should have: those of paths that are down go
 * to the others. */
static unsigned int
share(const struct link *l, size_t at)
{
	unsigned int lanes = l->params.lanes, count = 0, before = 0;
	size_t i;

	for (i = 0; i < l->path_count; i++)
		if (hopeful(l, &l->paths[i])) {
			count++;
			before += i < at;
		}
	if (count == 0) {
		count = (unsigned int)l->path_count;
		before = (unsigned int)at;
	} else if (!hopeful(l, &l->paths[at])) {
		return 0;
	}
	lanes = lanes / count + (before < lanes % count);
	return lanes > 0 ? lanes : 1;
}

/* Attempts for a slot; *greeting when one of them talks with the peer now. */
static unsigned int
attempts(const struct link *l, size_t path, size_t slot, bool *greeting)
{
	const struct conn *c;
	unsigned int count = 0;

	*greeting = false;
	for (c = l->conns; c != NULL; c = c->next) {
		size_t its = c->kind == FRAME_KIND_BEAT ? 0 : 1u + c->lane;

		if (!c->dialled || c->state >= CONN_UP || c->path != path ||
		    its != slot)
			continue;
		count++;
		if (c->state >= CONN_TLS &&
		    l->now_us - c->since_us < GREETING_US)
			*greeting = true;
	}
	return count;
}

/* Is it our turn to dial?  Where both can, the leader does. */
static bool
our_turn(const struct link *l, const struct path *p, const struct slot *s)
{
	int64_t since = s->up != NULL ? s->up->moved_us : s->missing_us;

	if (l->leader || !p->peer_dials)
		return true;
	return l->now_us - since >
	    (p->st.heard_us != 0 ? GRACE_US : GRACE_FIRST_US);
}

/* How long an attempt may take to be answered.  TCP itself asks again after 1 s
 * and then ever later, which is too late when a line has just come back. */
static int64_t
connect_us(const struct path *p)
{
	int64_t us = 4 * (int64_t)p->st.rtt_us;

	if (us == 0 || us > CONNECT_MAX_US)
		return CONNECT_MAX_US;
	return us < CONNECT_MIN_US ? CONNECT_MIN_US : us;
}

static void
dial(struct link *l, size_t path, size_t slot)
{
	struct path *p = &l->paths[path];
	struct sockaddr_storage to;
	struct err e = ERR_INIT;
	struct conn *c;
	socklen_t len;
	int rc, fd;

	if (p->resolve == NULL)
		p->resolve = resolve_new(p->conf.address, l->wake_fd);
	rc = resolve_next(p->resolve, &to, &len, &e);
	if (rc == 0)
		return;
	p->slots[slot].next_us = l->now_us + connect_us(p) / ATTEMPTS_MAX;
	fd = rc == -1 ? -1
		      : dial_start(&to, len, p->conf.bind,
			    l->now_us < p->small_until_us, &e);
	if (fd == -1) {
		fault(l, p, &e);
		return;
	}
	c = link_conn_add(l, fd, true);
	c->path = (uint8_t)path;
	c->kind = slot == 0 ? FRAME_KIND_BEAT : FRAME_KIND_LANE;
	c->lane = slot == 0 ? 0 : (uint8_t)(slot - 1);
}

static void
dial_path(struct link *l, size_t at)
{
	struct path *p = &l->paths[at];
	unsigned int lanes = share(l, at), i;
	const struct conn *beat = p->slots[0].up;
	bool greeting;

	/* In a long outage only the beat looks whether it is over. */
	if (p->refused > 0 ||
	    ((beat == NULL || beat->stalled) &&
		l->now_us - p->alive_us > LANES_ALIVE_US))
		lanes = 0;
	for (i = 0; i <= lanes; i++) {
		struct slot *s = &p->slots[i];

		if ((s->up == NULL || s->up->stalled) &&
		    l->now_us >= s->next_us && l->now_us >= p->hold_us &&
		    our_turn(l, p, s) &&
		    attempts(l, at, i, &greeting) < ATTEMPTS_MAX && !greeting)
			dial(l, at, i);
	}
}

/* Those that took too long to become something. */
static void
expire(struct link *l)
{
	struct conn *c;
	struct err e = ERR_INIT;

	for (c = l->conns; c != NULL; c = c->next) {
		if (c->state >= CONN_UP ||
		    l->now_us - c->since_us <
			(c->state == CONN_CONNECTING
				? connect_us(link_conn_path(l, c))
				: AUTHENTIC_US))
			continue;
		(void)err_set(&e, ERR_TRANSIENT, "no answer");
		if (c->dialled)
			fault(l, link_conn_path(l, c), &e);
		link_conn_end(l, c, NULL, 0);
	}
}

void
slot_tick(struct link *l)
{
	size_t i;

	expire(l);
	for (i = 0; i < l->path_count; i++)
		if (l->paths[i].conf.address[0] != '\0')
			dial_path(l, i);
}

void
slot_rates(struct link *l)
{
	uint64_t rate = l->params.max_rate_bytes_s;
	struct conn *c;

	if (rate > 0 && l->lane_count > 1)
		rate = rate / l->lane_count + 1;
	for (c = l->conns; c != NULL; c = c->next)
		if (c->state == CONN_UP && c->kind == FRAME_KIND_LANE)
			dial_set_rate(c->fd, rate);
}

/* Two connections for one slot: is the new one c to give way?  Both sides
 * judge alike: the leader's wins, and of one side's the later. */
static bool
gives_way(const struct link *l, const struct conn *c, const struct conn *old)
{
	return old->dialled != c->dialled && !old->stalled &&
	    c->dialled != l->leader;
}

void
slot_fill(struct link *l, struct conn *c)
{
	struct path *p = link_conn_path(l, c);
	struct slot *s = link_conn_slot(l, c);
	struct conn *old = s->up;

	if (old != NULL && gives_way(l, c, old)) {
		link_conn_end(l, c, NULL, FRAME_BYE_DUPLICATE);
		return;
	}
	c->state = CONN_UP;
	c->since_us = c->moved_us = l->now_us;
	if (old != NULL)
		link_conn_end(l, old, NULL, FRAME_BYE_DUPLICATE);
	s->up = c;
	s->fails = 0;
	s->next_us = 0;
	p->refused = 0;
	p->hold_us = 0;
	p->st.error[0] = p->told[0] = '\0';
	dial_names(c->fd, p->st.local, p->st.remote);
	if (c->kind == FRAME_KIND_LANE) {
		l->lane_count++;
		p->st.lanes++;
		slot_rates(l);
	}
	beat_heard(l, c);
	beat_began(l, c);
}

/* True once a minute: what strangers and bad lines cause must not fill logs. */
static bool
seldom(const struct link *l, int64_t *told_us)
{
	if (*told_us != 0 && l->now_us - *told_us < TELL_US)
		return false;
	*told_us = l->now_us;
	return true;
}

/* A connection that was up: another one soon. */
static void
lost_up(struct link *l, struct conn *c, const struct err *why)
{
	struct path *p = link_conn_path(l, c);
	struct slot *s = link_conn_slot(l, c);

	if (c->kind == FRAME_KIND_LANE) {
		l->lane_count--;
		p->st.lanes--;
		if (why != NULL || c->stalled)
			l->st.lanes_lost++;
		slot_rates(l);
	}
	if (l->carrier == c)
		l->carrier = NULL;
	if (s->up == c) {
		s->up = NULL;
		s->missing_us = l->now_us;
		if (s->next_us < l->now_us + SOON_US)
			s->next_us = l->now_us + SOON_US;
	}
	if (why == NULL)
		return;
	log_event(why->kind == ERR_CORRUPT && seldom(l, &l->lost_told_us)
		? LOG_LEVEL_WARNING
		: LOG_LEVEL_DEBUG,
	    "link_connection_lost", "a connection broke", "peer", l->peer,
	    "kind", c->kind == FRAME_KIND_BEAT ? "beat" : "lane", "reason",
	    why->text, NULL);
}

/* A dial that failed.  Where the peer says no, waits grow. */
static void
failed(struct link *l, struct conn *c, const struct err *why)
{
	struct path *p = link_conn_path(l, c);
	struct slot *s = link_conn_slot(l, c);
	bool silent = why->kind == ERR_IO && why->sys_errno != ECONNREFUSED;
	/* A reset may be the line's as well. */
	int64_t most =
	    why->kind == ERR_REFUSED || why->sys_errno == ECONNREFUSED
	    ? HOLD_US
	    : ATTEMPT_US;
	int64_t wait;

	if (why->kind == ERR_CONFLICT)
		return;
	fault(l, p, why);
	if (silent)
		return;
	if (s->fails < 8)
		s->fails++;
	wait = SOON_US << s->fails;
	if (c->kind == FRAME_KIND_BEAT || why->kind == ERR_REFUSED) {
		p->refused++;
		p->hold_us = l->now_us + (wait < most ? wait : most);
	} else {
		s->next_us =
		    l->now_us + (wait < ATTEMPT_US ? wait : ATTEMPT_US);
	}
}

void
slot_lost(
    struct link *l, struct conn *c, enum conn_state was, const struct err *why)
{
	if (was == CONN_UP) {
		lost_up(l, c, why);
	} else if (c->dialled && why != NULL) {
		failed(l, c, why);
	} else if (!c->dialled && why != NULL) {
		log_event(
		    why->kind == ERR_REFUSED && seldom(l, &l->refused_told_us)
			? LOG_LEVEL_WARNING
			: LOG_LEVEL_DEBUG,
		    "link_refused", "a connection was not authenticated",
		    "peer", l->peer, "reason", why->text, NULL);
	}
}
