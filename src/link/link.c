#include "link/link.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "base/mem.h"
#include "link/link_int.h"

static void
copy_name(char out[LINK_SITE_BYTES], const char *name)
{
	assert(strlen(name) < LINK_SITE_BYTES);
	(void)strcpy(out, name);
}

struct link *
link_new(
    const struct link_params *params, const struct link_ops *ops, void *arg)
{
	struct link *l = mem_zalloc(sizeof(*l));
	size_t i;

	l->params = *params;
	l->ops = *ops;
	l->arg = arg;
	copy_name(l->site, params->site);
	copy_name(l->peer, params->peer);
	if (params->congestion != NULL) {
		(void)strncpy(l->congestion, params->congestion,
		    sizeof(l->congestion) - 1);
		l->params.congestion = l->congestion;
	}
	if (l->params.lanes == 0)
		l->params.lanes = 1;
	if (l->params.lanes > LINK_LANES_MAX)
		l->params.lanes = LINK_LANES_MAX;
	l->leader = strcmp(l->site, l->peer) < 0;
	l->now_us = clock_boot_us();
	l->path_count = params->path_count < LINK_PATHS_MAX ? params->path_count
							    : LINK_PATHS_MAX;
	l->paths = mem_zarray(LINK_PATHS_MAX, sizeof(*l->paths));
	for (i = 0; i < LINK_PATHS_MAX; i++) {
		struct path *p = &l->paths[i];
		size_t s;

		if (i < l->path_count)
			p->conf = params->paths[i];
		p->peer_dials = true;
		p->alive_us = p->st.changed_us = l->now_us;
		for (s = 0; s < COUNT_OF(p->slots); s++)
			p->slots[s].missing_us = l->now_us;
	}
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return l;
}

void
link_free(struct link *l)
{
	struct conn *c;
	size_t i;

	if (l == NULL)
		return;
	/* The caller's functions are not called any more. */
	for (c = l->conns; c != NULL; c = c->next)
		link_conn_end(l, c, NULL, FRAME_BYE_CLOSING);
	link_conn_sweep(l);
	held_clear(&l->held);
	mail_clear(&l->mail);
	for (i = 0; i < LINK_PATHS_MAX; i++)
		resolve_free(l->paths[i].resolve);
	tls_free(l->tls);
	if (l->wake_fd != -1)
		(void)close(l->wake_fd);
	free(l->fds);
	free(l->paths);
	free(l);
}

/* Too many that have not said who they are: the oldest goes. */
static void
make_room(struct link *l)
{
	struct conn *c, *oldest = NULL;
	unsigned int count = 0;

	for (c = l->conns; c != NULL; c = c->next) {
		if (c->dialled || c->state >= CONN_UP)
			continue;
		count++;
		oldest = c; /* new ones come first */
	}
	if (count >= LINK_WAITING_MAX + l->params.lanes)
		link_conn_end(l, oldest, NULL, 0);
}

void
link_adopt(struct link *l, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1) {
		(void)close(fd);
		return;
	}
	l->now_us = clock_boot_us();
	make_room(l);
	/* The client speaks first, perhaps it has already. */
	link_conn_add(l, fd, false)->more = true;
}

/* ------------------------------------------------------------------------- */
/* The loop                                                                  */
/* ------------------------------------------------------------------------- */

static int
prepare(struct link *l, struct err *e)
{
	if (l->wake_fd == -1)
		return err_set(e, ERR_IO, "could not make an eventfd");
	if (strcmp(l->site, l->peer) == 0)
		return err_set(e, ERR_USAGE,
		    "both sites of a link have the name \"%s\"", l->site);
	if (l->tls == NULL)
		l->tls = tls_new(l->params.key, l->params.peer_key, e);
	return l->tls == NULL ? -1 : 0;
}

/* Is there a chunk to send for a lane that can write? */
static bool
wants_to_send(const struct link *l, const struct conn *c)
{
	if (c->state != CONN_UP)
		return conn_waiting(c) > 0;
	return conn_waiting(c) > 0 ||
	    (c == l->carrier && l->mail.unsent != NULL) ||
	    (c->kind == FRAME_KIND_LANE && !c->stalled &&
		(l->held.wanted > 0 || (!l->dry && held_room(&l->held))));
}

/* Fill l->fds: ours in the order of the list, then extra, then the eventfd. */
static size_t
list_fds(struct link *l, const struct pollfd *extra, size_t extra_count)
{
	size_t need = l->conn_count + extra_count + 1, n = 0;
	struct conn *c;

	if (need > l->fds_cap) {
		l->fds_cap = 2 * need;
		l->fds = mem_rearray(l->fds, l->fds_cap, sizeof(*l->fds));
	}
	for (c = l->conns; c != NULL; c = c->next) {
		l->fds[n].fd = c->fd;
		l->fds[n].events = conn_events(c);
		l->fds[n++].revents = 0;
	}
	if (extra_count > 0)
		(void)memcpy(&l->fds[n], extra, extra_count * sizeof(*extra));
	n += extra_count;
	l->fds[n].fd = l->wake_fd;
	l->fds[n].events = POLLIN;
	l->fds[n++].revents = 0;
	return n;
}

static int
wait_ms(const struct link *l, int timeout_ms, int64_t ack_us)
{
	int64_t until = l->tick_us + LINK_TICK_US, left;
	const struct conn *c;

	if (l->busy)
		return 0;
	for (c = l->conns; c != NULL; c = c->next)
		if (c->more)
			return 0;
	if (ack_us != 0 && ack_us < until)
		until = ack_us;
	left = (until - clock_boot_us() + 999) / 1000;
	if (left < 0)
		left = 0;
	return timeout_ms >= 0 && timeout_ms < left ? timeout_ms : (int)left;
}

/* Everybody who can write writes; the first to have a choice changes. */
static void
send_all(struct link *l)
{
	struct conn *c;

	traffic_carrier(l);
	for (c = l->conns; c != NULL; c = c->next)
		if (c->state >= CONN_HELLO && c->state != CONN_DEAD &&
		    !c->blocked && wants_to_send(l, c))
			traffic_send(l, c);
}

static void
tick(struct link *l)
{
	if (l->now_us - l->tick_us < LINK_TICK_US)
		return;
	l->tick_us = l->now_us;
	beat_tick(l);
	stall_tick(l);
	slot_tick(l);
}

static void
wake_taken(struct link *l)
{
	uint64_t count;

	if (read(l->wake_fd, &count, sizeof(count)) == -1 && errno != EAGAIN)
		log_event(LOG_LEVEL_ERROR, "link_wake",
		    "an eventfd cannot be read", "peer", l->peer, NULL);
	if (atomic_exchange(&l->woken, false))
		l->dry = false;
}

static void
turns(struct link *l, const struct pollfd *fds)
{
	struct conn *c, *next;
	size_t i = 0;

	/* New ones are put in front of the list and have no entry. */
	for (c = l->conns; c != NULL; c = next, i++) {
		next = c->next;
		if (c->state == CONN_DEAD)
			continue;
		if (fds[i].revents & POLLOUT)
			c->blocked = false;
		if ((fds[i].revents & ~POLLOUT) != 0 || c->more ||
		    (c->state <= CONN_TLS && fds[i].revents != 0))
			link_conn_turn(l, c, fds[i].revents);
	}
}

int
link_run(struct link *l, struct pollfd *extra, size_t extra_count,
    int timeout_ms, struct err *e)
{
	int64_t ack_us;
	size_t count, i;

	if (prepare(l, e) == -1)
		return -1;
	l->now_us = clock_boot_us();
	l->busy = false;
	tick(l);
	ack_us = traffic_acks(l);
	send_all(l);
	link_conn_sweep(l);

	count = list_fds(l, extra, extra_count);
	if (poll(l->fds, count, wait_ms(l, timeout_ms, ack_us)) == -1) {
		if (errno != EINTR && errno != EAGAIN)
			return err_sys(e, "could not wait");
		for (i = 0; i < extra_count; i++)
			extra[i].revents = 0;
		return 0;
	}
	l->now_us = clock_boot_us();
	if (l->fds[count - 1].revents != 0)
		wake_taken(l);
	if (extra_count > 0)
		(void)memcpy(extra, &l->fds[l->conn_count],
		    extra_count * sizeof(*extra));
	turns(l, l->fds);
	send_all(l);
	link_conn_sweep(l);
	return 0;
}

void
link_wake(struct link *l)
{
	const uint64_t one = 1;

	if (!atomic_exchange(&l->woken, true) &&
	    write(l->wake_fd, &one, sizeof(one)) == -1)
		return; /* it is full: that wakes as well */
}

void
link_more(struct link *l)
{
	l->dry = false;
}

/* ------------------------------------------------------------------------- */
/* Asked and told                                                            */
/* ------------------------------------------------------------------------- */

void
link_send(struct link *l, const void *data, size_t len)
{
	assert(len <= LINK_MESSAGE_MAX);
	if (l->session.up)
		mail_add(&l->mail, data, len);
}

size_t
link_unsent(const struct link *l)
{
	return l->mail.bytes;
}

void
link_set_max_rate(struct link *l, uint64_t bytes_s)
{
	if (l->params.max_rate_bytes_s == bytes_s)
		return;
	l->params.max_rate_bytes_s = bytes_s;
	slot_rates(l);
}

void
link_get_state(const struct link *l, struct link_state *st)
{
	size_t i;

	*st = l->st;
	st->in_flight_bytes = l->held.bytes;
	st->max_rate_bytes_s = l->params.max_rate_bytes_s;
	st->path_count = l->path_count;
	for (i = 0; i < l->path_count; i++)
		st->paths[i] = l->paths[i].st;
}
