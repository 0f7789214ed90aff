/*
 * session: HELLO and READY: who meets whom, beginning and end.
 */
#include "link/link_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "codec/digest.h"

static uint64_t
fresh_number(void)
{
	uint64_t n = 0;

	while (n == 0)
		random_bytes(&n, sizeof(n));
	return n;
}

void
session_greet(struct link *l, struct conn *c)
{
	struct frame_hello h = { 0 };
	size_t i;

	if (l->instance == 0)
		l->instance = fresh_number();
	h.version_least = 1;
	h.version_most = LINK_VERSION;
	h.kind = c->kind;
	h.path = c->path;
	h.lane = c->lane;
	h.instance = l->instance;
	for (i = 0; i < l->path_count; i++)
		if (l->paths[i].conf.address[0] != '\0')
			h.dials |= 1u << i;
	(void)strcpy(h.from, l->site);
	(void)strcpy(h.to, l->peer);
	frame_put_hello(&c->out, &h);
}

static void
tell(enum log_level level, struct link *l, const char *message,
    const struct err *why)
{
	char id[20];

	(void)snprintf(id, sizeof(id), "%016" PRIx64, l->session.id);
	log_event(level, "link_session", message, "peer", l->peer, "session",
	    id, "reason", why != NULL ? why->text : NULL, NULL);
}

/* The session is over: connections of it end, and what they carried is
 * forgotten.  Those of the session keep (0: none) stay. */
static void
leave(struct link *l, uint64_t keep, const struct err *why)
{
	struct conn *c;

	for (c = l->conns; c != NULL; c = c->next)
		if (c->state >= CONN_HELLO && c->state != CONN_DEAD &&
		    (c->session != keep || keep == 0) &&
		    (c->state == CONN_UP || keep == 0))
			link_conn_end(l, c, NULL, FRAME_BYE_SESSION);
	held_clear(&l->held);
	mail_clear(&l->mail);
	l->carrier = NULL;
	(void)memset(&l->candidate, 0, sizeof(l->candidate));
	if (!l->session.up)
		return;
	tell(LOG_LEVEL_INFO, l, "the session is over", why);
	l->retired[l->retired_count++ % LINK_RETIRED] = l->session.id;
	l->session.up = false;
	l->st.up = false;
	if (l->ops.down != NULL)
		l->ops.down(l->arg);
}

static void
begin(struct link *l, const struct conn *c)
{
	leave(l, c->session, NULL);
	l->session.up = true;
	l->session.id = c->session;
	l->session.peer_instance = c->peer_instance;
	l->session.version = c->version;
	l->st.up = true;
	l->dry = false;
	tell(LOG_LEVEL_INFO, l, "a session begins", NULL);
	if (l->ops.up != NULL)
		l->ops.up(l->arg, c->version);
}

void
session_break(struct link *l, const struct err *why)
{
	size_t i;

	leave(l, 0, why);
	/* What went wrong would go wrong again at once. */
	for (i = 0; i < LINK_PATHS_MAX; i++)
		l->paths[i].hold_us = l->now_us + CLOCK_SECOND_US;
	/* A follower is known by its instance, a leader by its numbers. */
	l->instance = fresh_number();
}

static bool
retired(const struct link *l, uint64_t id)
{
	unsigned int i;

	for (i = 0; i < LINK_RETIRED; i++)
		if (l->retired[i] == id)
			return true;
	return false;
}

/* Is h meant for us, and what the connection is said to be? */
static int
check_hello(
    struct link *l, struct conn *c, const struct frame_hello *h, struct err *e)
{
	unsigned int reason = 0;

	if (strcmp(h->from, l->peer) != 0 || strcmp(h->to, l->site) != 0) {
		(void)err_set(e, ERR_REFUSED,
		    "the peer is \"%s\" and looks for \"%s\"", h->from, h->to);
		reason = FRAME_BYE_WRONG_SITE;
	} else if (h->version_least > LINK_VERSION || h->version_most < 1) {
		(void)err_set(e, ERR_REFUSED,
		    "the peer speaks versions %u to %u of the link",
		    h->version_least, h->version_most);
		reason = FRAME_BYE_VERSION;
	} else if (c->dialled &&
	    (h->kind != c->kind || h->path != c->path || h->lane != c->lane)) {
		return err_set(
		    e, ERR_CORRUPT, "the peer takes it for another connection");
	}
	if (reason == 0)
		return 0;
	link_conn_end(l, c, e, reason);
	return -1;
}

static int
take_hello(
    struct link *l, struct conn *c, const struct frame_hello *h, struct err *e)
{
	size_t i;

	if (check_hello(l, c, h, e) == -1)
		return -1;
	c->kind = h->kind;
	c->path = h->path;
	c->lane = h->lane;
	c->peer_instance = h->instance;
	c->version =
	    h->version_most < LINK_VERSION ? h->version_most : LINK_VERSION;
	/* The peer may have more paths than are configured here. */
	if (l->path_count <= c->path)
		l->path_count = (size_t)c->path + 1;
	for (i = 0; i < LINK_PATHS_MAX; i++)
		l->paths[i].peer_dials = (h->dials >> i & 1) != 0;
	c->state = CONN_READY;
	if (!c->dialled)
		session_greet(l, c);
	if (!l->leader)
		return 0;
	if (l->session.up && l->session.peer_instance == c->peer_instance) {
		c->session = l->session.id;
		frame_put_ready(&c->out, c->session, c->version);
		slot_fill(l, c);
		return 0;
	}
	if (l->candidate.peer_instance != c->peer_instance) {
		l->candidate.peer_instance = c->peer_instance;
		l->candidate.id = fresh_number();
	}
	c->session = l->candidate.id;
	frame_put_ready(&c->out, c->session, c->version);
	return 0;
}

/* The leader has named the session. */
static int
follow(struct link *l, struct conn *c, uint64_t id, struct err *e)
{
	bool known = l->session.up && l->session.id == id &&
	    l->session.peer_instance == c->peer_instance;

	if (!known &&
	    (retired(l, id) || (l->session.up && l->session.id == id))) {
		session_break(l, NULL);
		return err_set(e, ERR_TRANSIENT, "the session is an old one");
	}
	c->session = id;
	if (!known)
		begin(l, c);
	frame_put_ready(&c->out, id, c->version);
	slot_fill(l, c);
	return 0;
}

static int
take_ready(struct link *l, struct conn *c, const struct frame *f, struct err *e)
{
	if (f->version != c->version || f->session == 0)
		return err_set(
		    e, ERR_CORRUPT, "the peer names another version");
	if (!l->leader)
		return follow(l, c, f->session, e);
	if (f->session != c->session)
		return err_set(
		    e, ERR_TRANSIENT, "the peer is in another session");
	if (l->session.up && l->session.id == c->session) {
		slot_fill(l, c);
		return 0;
	}
	if (l->candidate.id != c->session)
		return err_set(e, ERR_TRANSIENT, "the session was given up");
	begin(l, c);
	slot_fill(l, c);
	return 0;
}

int
session_take(
    struct link *l, struct conn *c, const struct frame *f, struct err *e)
{
	if (f->type == FRAME_HELLO && c->state == CONN_HELLO)
		return take_hello(l, c, &f->hello, e);
	if (f->type == FRAME_READY && c->state == CONN_READY)
		return take_ready(l, c, f, e);
	return err_set(e, ERR_CORRUPT,
	    "a frame of type %u does not belong here", (unsigned int)f->type);
}
