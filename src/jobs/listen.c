/*
 * listen: take connections of other sites, read the line by which they say who
 * they are, and hand them to the courier of that peer.
 *
 *	accept -> preamble -> courier of the peer	handover.h
 *			   -> pairing			listen_pair.c
 *			   -> closed
 *
 * Nothing that is said here is proved: the courier, or the pairing code, does
 * that.  So a stranger gets at most one of LISTEN_WAITING_MAX places for
 * LISTEN_PREAMBLE_US, and an event a minute.
 */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/log.h"
#include "jobs/jobs.h"
#include "jobs/listen_int.h"
#include "link/handover.h"
#include "link/keys.h"
#include "link/preamble.h"

#define LOOK_MS 1000
#define BUSY_MS 100 /* while pairings run */
#define TELL_US (60 * CLOCK_SECOND_US)

struct listener {
	const struct settings *settings;
	struct pairing *pairing;
	int sockets[LISTEN_SOCKETS_MAX];
	size_t socket_count;
	struct visitor visitors[LISTEN_WAITING_MAX];
	struct told unknown, mistaken, not_ours, busy, full;
};

void
listen_tell(struct told *t, const char *event, const char *message,
    const char *key, const char *value, const char *host)
{
	int64_t now_us = clock_boot_us();
	char more[24];

	if (t->when_us != 0 && now_us - t->when_us < TELL_US) {
		t->more++;
		return;
	}
	(void)snprintf(more, sizeof(more), "%lu", t->more);
	log_event(LOG_LEVEL_WARNING, event, message, "host", host, "before",
	    t->more == 0 ? NULL : more, key == NULL ? "peer" : key, value,
	    NULL);
	*t = (struct told){ .when_us = now_us };
}

/* ---- one visitor ---- */

static void
visitor_close(struct visitor *v)
{
	(void)close(steal_fd(&v->fd));
}

/* The courier has its own descriptor of the connection now, or nobody has. */
static void
give_to_courier(struct listener *l, struct visitor *v, const struct preamble *p)
{
	const struct settings *s = l->settings;
	AUTO_FREE char *path = handover_path(s->runtime_dir, p->from);
	struct err e = ERR_INIT;
	struct peer peer;

	if (strcmp(p->to, s->site) != 0)
		listen_tell(&l->mistaken, "peer_mistaken",
		    "a connection is for a site of another name", "to", p->to,
		    v->host);
	else if (settings_peer(s, p->from, &e) == NULL ||
	    peer_read(s->state_dir, p->from, &peer, &e) == -1)
		listen_tell(&l->unknown, "peer_unknown", e.text, "peer",
		    p->from, v->host);
	else if (handover_give(path, v->fd, &e) == -1)
		listen_tell(&l->busy, "peer_not_served", e.text, "peer",
		    p->from, v->host);
	visitor_close(v);
}

/*
 * Look at what has come without taking it: what follows the preamble is not
 * ours.  More is waited for by SO_RCVLOWAT, or poll() would return at once.
 */
static void
visitor_read(struct listener *l, struct visitor *v, bool is_over)
{
	char text[PREAMBLE_BYTES_MAX];
	ssize_t n = recv(v->fd, text, sizeof(text), MSG_PEEK | MSG_DONTWAIT);
	struct preamble p;
	size_t used = 0;
	int want = (int)n + 1, rc;

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	rc = n <= 0 ? -1 : preamble_parse(&p, text, (size_t)n, &used);
	if (rc == 0 && !is_over &&
	    setsockopt(v->fd, SOL_SOCKET, SO_RCVLOWAT, &want, sizeof(want)) ==
		0)
		return;
	want = 1;
	if (rc != 1 || recv(v->fd, text, used, MSG_DONTWAIT) != (ssize_t)used ||
	    setsockopt(v->fd, SOL_SOCKET, SO_RCVLOWAT, &want, sizeof(want)) ==
		-1) {
		if (n > 0)
			listen_tell(&l->not_ours, "visitor_refused",
			    "a connection does not speak our protocol", NULL,
			    NULL, v->host);
		visitor_close(v);
	} else if (p.pair) {
		pairing_visit(l->pairing, steal_fd(&v->fd), v->host);
	} else {
		give_to_courier(l, v, &p);
	}
}

/* ---- all of them ---- */

/* A free place, or that of the one who has waited longest. */
static struct visitor *
find_place(struct listener *l)
{
	struct visitor *oldest = &l->visitors[0];
	size_t i;

	for (i = 0; i < LISTEN_WAITING_MAX; i++) {
		if (l->visitors[i].fd == -1)
			return &l->visitors[i];
		if (l->visitors[i].until_us < oldest->until_us)
			oldest = &l->visitors[i];
	}
	listen_tell(&l->full, "visitors_too_many",
	    "more connections come than say who they are", NULL, NULL,
	    oldest->host);
	visitor_close(oldest);
	return oldest;
}

static void
accept_all(struct listener *l, int fd)
{
	struct visitor *v;
	char host[LISTEN_HOST_BYTES];
	int got, count;

	for (count = 0; count < LISTEN_WAITING_MAX &&
	     (got = listen_accept(fd, host)) != -1;
	     count++) {
		v = find_place(l);
		v->fd = got;
		v->until_us = clock_boot_us() + LISTEN_PREAMBLE_US;
		(void)strcpy(v->host, host);
	}
}

static void
drop_late(struct listener *l)
{
	int64_t now_us = clock_boot_us();
	size_t i;

	for (i = 0; i < LISTEN_WAITING_MAX; i++)
		if (l->visitors[i].fd != -1 &&
		    l->visitors[i].until_us <= now_us)
			visitor_close(&l->visitors[i]);
}

static int
wait_and_serve(struct listener *l, struct err *e)
{
	struct pollfd fds[LISTEN_SOCKETS_MAX + LISTEN_WAITING_MAX];
	struct visitor *who[LISTEN_WAITING_MAX];
	size_t count = 0, visitors = 0, i;

	for (i = 0; i < l->socket_count; i++)
		fds[count++] = (struct pollfd){ l->sockets[i], POLLIN, 0 };
	for (i = 0; i < LISTEN_WAITING_MAX; i++) {
		if (l->visitors[i].fd == -1)
			continue;
		who[visitors++] = &l->visitors[i];
		fds[count++] =
		    (struct pollfd){ l->visitors[i].fd, POLLIN | POLLRDHUP, 0 };
	}
	if (poll(fds, count, pairing_is_busy(l->pairing) ? BUSY_MS : LOOK_MS) ==
	    -1) {
		if (errno == EINTR)
			return 0;
		return err_sys(e, "could not wait for connections");
	}
	for (i = 0; i < visitors; i++)
		if (fds[l->socket_count + i].revents != 0)
			visitor_read(l, who[i],
			    (fds[l->socket_count + i].revents &
				(POLLRDHUP | POLLHUP | POLLERR)) != 0);
	for (i = 0; i < l->socket_count; i++)
		if (fds[i].revents != 0)
			accept_all(l, l->sockets[i]);
	drop_late(l);
	pairing_reap(l->pairing);
	return 0;
}

static void
close_all(struct listener *l)
{
	size_t i;

	for (i = 0; i < l->socket_count; i++)
		(void)close(l->sockets[i]);
	for (i = 0; i < LISTEN_WAITING_MAX; i++)
		if (l->visitors[i].fd != -1)
			visitor_close(&l->visitors[i]);
	pairing_free(l->pairing);
}

int
listen_run(const struct settings *s, struct err *e)
{
	struct listener l = { .settings = s };
	size_t i;
	int rc = 0;

	if (s->listen == NULL) {
		(void)err_set(e, ERR_USAGE, "this site does not listen");
		return err_hint(e, "Set listen in [pgkura], such as *:7432.");
	}
	for (i = 0; i < LISTEN_WAITING_MAX; i++)
		l.visitors[i].fd = -1;
	if (listen_open(s->listen, l.sockets, &l.socket_count, e) == -1)
		return -1;
	l.pairing = pairing_new(s);
	log_event(LOG_LEVEL_INFO, "listening", "other sites can connect",
	    "addresses", s->listen, NULL);
	while (rc == 0 && !child_stop_requested())
		rc = wait_and_serve(&l, e);
	close_all(&l);
	return rc;
}
