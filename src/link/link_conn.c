/*
 * link_conn: what happens to one connection of a link, from socket to end.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "link/dial.h"
#include "link/link_int.h"
#include "link/preamble.h"

#define READ_TURN_BYTES ((size_t)256 << 10) /* then others have their turn */

struct path *
link_conn_path(struct link *l, const struct conn *c)
{
	return &l->paths[c->path];
}

struct slot *
link_conn_slot(struct link *l, const struct conn *c)
{
	unsigned int n = c->kind == FRAME_KIND_BEAT ? 0 : 1u + c->lane;

	return &l->paths[c->path].slots[n];
}

/* bbr may not be allowed here: say so once. */
static void
see_congestion(struct link *l, const char *in_force)
{
	(void)strcpy(l->st.congestion, in_force);
	if (l->params.congestion == NULL || l->congestion_told ||
	    strcmp(in_force, l->params.congestion) == 0)
		return;
	l->congestion_told = true;
	log_event(LOG_LEVEL_WARNING, "link_congestion",
	    "the kernel does not give the congestion control that is asked for",
	    "peer", l->peer, "asked", l->params.congestion, "in_force",
	    in_force, NULL);
}

struct conn *
link_conn_add(struct link *l, int fd, bool dialled)
{
	struct conn *c = conn_new(fd, dialled, l->now_us);
	char in_force[16];
	struct err e = ERR_INIT;

	if (dial_options(fd, l->params.congestion, in_force, &e) == 0)
		see_congestion(l, in_force);
	c->next = l->conns;
	l->conns = c;
	l->conn_count++;
	return c;
}

void
link_conn_end(
    struct link *l, struct conn *c, const struct err *why, unsigned int reason)
{
	enum conn_state was = c->state;
	struct err ignored;

	if (was == CONN_DEAD)
		return;
	if (reason != 0 && was >= CONN_HELLO) {
		frame_put_bye(&c->out, (enum frame_reason)reason);
		(void)conn_write(c, &ignored);
	}
	c->state = CONN_DEAD;
	l->dead_conns = true;
	held_row_dead(&l->held, &c->row);
	slot_lost(l, c, was, why);
}

void
link_conn_sweep(struct link *l)
{
	struct conn **at = &l->conns, *c;

	while (l->dead_conns && (c = *at) != NULL)
		if (c->state == CONN_DEAD) {
			*at = c->next;
			l->conn_count--;
			conn_free(c);
		} else {
			at = &c->next;
		}
	l->dead_conns = false;
}

/* The connection stands: the line before TLS. */
static int
begin_tls(struct link *l, struct conn *c, struct err *e)
{
	struct preamble p = { false, "", "" };
	char line[PREAMBLE_BYTES_MAX];
	size_t len;

	(void)strcpy(p.from, l->site);
	(void)strcpy(p.to, l->peer);
	len = preamble_print(&p, line);
	/* An empty socket has room for so little. */
	if (send(c->fd, line, len, MSG_NOSIGNAL) != (ssize_t)len)
		return err_sys(e, "could not send");
	c->state = CONN_TLS;
	c->since_us = l->now_us;
	return 0;
}

static int
take_frame(struct link *l, struct conn *c, const struct frame *f, struct err *e)
{
	if (f->type == FRAME_SKIP)
		return 0;
	if (f->type == FRAME_BYE) {
		(void)err_set(e, ERR_TRANSIENT, "the peer ended it: %s",
		    frame_reason_name(f->reason));
		if (f->reason == FRAME_BYE_WRONG_SITE ||
		    f->reason == FRAME_BYE_VERSION)
			e->kind = ERR_REFUSED;
		if (f->reason == FRAME_BYE_DUPLICATE)
			e->kind = ERR_CONFLICT;
		return -1;
	}
	if (c->state != CONN_UP)
		return session_take(l, c, f, e);
	/* The echo of a READY that the leader did not wait for. */
	if (f->type == FRAME_READY && l->leader && f->session == c->session)
		return 0;
	if (f->type == FRAME_BEAT || f->type == FRAME_ECHO)
		return beat_take(l, c, f);
	return traffic_take(l, c, f, e);
}

/* All whole frames that came. */
static int
take_frames(struct link *l, struct conn *c, struct err *e)
{
	size_t done = 0, used;
	struct frame f;
	int rc = 0;

	while (c->state != CONN_DEAD && done < c->in.len) {
		/* Before it has said who it is, a peer may say only that. */
		if (c->state == CONN_HELLO && c->in.data[done] != FRAME_HELLO &&
		    c->in.data[done] != FRAME_BYE) {
			rc = err_set(
			    e, ERR_CORRUPT, "the peer does not say who it is");
			break;
		}
		rc = frame_decode(
		    &f, c->in.data + done, c->in.len - done, &used, e);
		if (rc != 1)
			break;
		done += used;
		rc = take_frame(l, c, &f, e);
		if (rc == -1)
			break;
	}
	if (c->state != CONN_DEAD)
		conn_consume(c, done);
	return rc == -1 ? -1 : 0;
}

static void
read_turn(struct link *l, struct conn *c)
{
	struct err e = ERR_INIT;
	size_t before, got = 0;
	int rc;

	do {
		before = c->in.len;
		rc = conn_read(c, &e);
		if (rc == 1) {
			got += c->in.len - before;
			if (c->state == CONN_UP)
				beat_heard(l, c);
			rc = take_frames(l, c, &e) == -1 ? -1 : 1;
		}
		if (rc == -1)
			link_conn_end(l, c, &e,
			    e.kind == ERR_CORRUPT ? FRAME_BYE_BAD_FRAME : 0);
	} while (rc == 1 && c->more && c->state != CONN_DEAD &&
	    got < READ_TURN_BYTES);
}

void
link_conn_alone(struct link *l, struct conn *c)
{
	struct conn *o;

	for (o = l->conns; o != NULL; o = o->next)
		if (o != c && o->dialled && o->state < CONN_HELLO &&
		    o->path == c->path && o->kind == c->kind &&
		    o->lane == c->lane)
			link_conn_end(l, o, NULL, 0);
}

void
link_conn_turn(struct link *l, struct conn *c, short revents)
{
	struct err e = ERR_INIT;
	int rc = 1;

	if (c->state == CONN_CONNECTING && revents != 0) {
		rc = dial_check(c->fd, &e);
		if (rc == 1 && begin_tls(l, c, &e) == -1)
			rc = -1;
	}
	if (rc == 1 && c->state == CONN_TLS) {
		rc = conn_handshake(c, l->tls, &e);
		c->more = false; /* of an adopted one, tried blindly */
		if (rc == 1) {
			c->state = CONN_HELLO;
			if (c->dialled) {
				link_conn_alone(l, c);
				session_greet(l, c);
			}
		}
	}
	if (rc == -1) {
		link_conn_end(l, c, &e, 0);
		return;
	}
	if (c->state >= CONN_HELLO && c->state != CONN_DEAD)
		read_turn(l, c);
}
