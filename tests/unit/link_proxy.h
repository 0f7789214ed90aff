#ifndef LINK_PROXY_H
#define LINK_PROXY_H

/*
 * link_proxy: a bad line for TCP connections to 127.0.0.1: cuts them, lets them
 * hang, changes bytes.
 */

#include <fcntl.h>
#include <stdlib.h>

#include "link_node.h"

#define PROXY_MAX   400
#define PROXY_BYTES ((size_t)64 << 10)

struct proxy_side {
	int fd;
	size_t len, done; /* of data: read here, to be written to the other */
	uint8_t data[PROXY_BYTES];
};

struct proxy_pair {
	struct proxy_side *side[2];
	bool hangs;
};

struct proxy {
	int listener;
	uint16_t port, target;
	pthread_t thread;
	atomic_bool stop;
	atomic_bool hang_all; /* nothing passes, also of new ones */
	atomic_uint hang_old; /* raise: all there are hang for ever */
	atomic_uint cut;      /* raise: one by chance is cut */
	atomic_uint flip;     /* raise: one bit of what passes next is wrong */
	atomic_uint cuts, flips; /* done */
	struct proxy_pair pairs[PROXY_MAX];
	size_t count;
	unsigned int seed;
};

static inline struct proxy_side *
proxy_side_new(int fd)
{
	struct proxy_side *s = mem_zalloc(sizeof(*s));

	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	s->fd = fd;
	return s;
}

static inline void
proxy_end(struct proxy *p, size_t at)
{
	struct linger now = { 1, 0 };
	int i;

	for (i = 0; i < 2; i++) {
		struct proxy_side *s = p->pairs[at].side[i];

		(void)setsockopt(
		    s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		(void)close(s->fd);
		free(s);
	}
	p->pairs[at] = p->pairs[--p->count];
}

static inline void
proxy_accept(struct proxy *p)
{
	int in = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC), out;
	struct sockaddr_in a = { 0 };

	if (in == -1)
		return;
	out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	a.sin_family = AF_INET;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons(p->target);
	if (p->count == PROXY_MAX ||
	    connect(out, (struct sockaddr *)&a, sizeof(a)) == -1) {
		(void)close(in);
		(void)close(out);
		return;
	}
	p->pairs[p->count].side[0] = proxy_side_new(in);
	p->pairs[p->count].side[1] = proxy_side_new(out);
	p->pairs[p->count++].hangs = false;
}

/* From one side to the other; false when it is over. */
static inline bool
proxy_move(struct proxy *p, struct proxy_side *from, struct proxy_side *to)
{
	ssize_t n;

	if (from->done == from->len) {
		from->done = from->len = 0;
		n = recv(from->fd, from->data, PROXY_BYTES, 0);
		if (n == 0 || (n == -1 && errno != EAGAIN))
			return false;
		if (n == -1)
			return true;
		from->len = (size_t)n;
		if (atomic_load(&p->flips) < atomic_load(&p->flip) &&
		    n > 1000) {
			from->data[(size_t)rand_r(&p->seed) % from->len] ^=
			    (uint8_t)(1 << rand_r(&p->seed) % 8);
			atomic_fetch_add(&p->flips, 1);
		}
	}
	n = send(to->fd, from->data + from->done, from->len - from->done,
	    MSG_NOSIGNAL);
	if (n == -1)
		return errno == EAGAIN;
	from->done += (size_t)n;
	return true;
}

static inline void *
proxy_run(void *arg)
{
	struct proxy *p = arg;
	unsigned int hung = 0;
	size_t i;

	while (!atomic_load(&p->stop)) {
		struct pollfd fds[1 + 2 * PROXY_MAX];
		bool all = atomic_load(&p->hang_all);
		size_t count = p->count;

		fds[0] = (struct pollfd){ p->listener, POLLIN, 0 };
		for (i = 0; i < 2 * count; i++) {
			struct proxy_side **s = p->pairs[i / 2].side;
			bool hangs = all || p->pairs[i / 2].hangs;
			struct proxy_side *mine = s[i % 2], *its = s[1 - i % 2];

			fds[1 + i].fd = hangs ? -1 : mine->fd;
			fds[1 + i].events =
			    (mine->done == mine->len ? POLLIN : 0) |
			    (its->done < its->len ? POLLOUT : 0);
			fds[1 + i].revents = 0;
		}
		(void)poll(fds, (nfds_t)(1 + 2 * count), 5);
		for (i = count; i-- > 0;) {
			struct proxy_side **s = p->pairs[i].side;

			if (all || p->pairs[i].hangs ||
			    (fds[1 + 2 * i].revents | fds[2 + 2 * i].revents) ==
				0)
				continue;
			if (!proxy_move(p, s[0], s[1]) ||
			    !proxy_move(p, s[1], s[0]))
				proxy_end(p, i);
		}
		if ((fds[0].revents & POLLIN) != 0)
			proxy_accept(p);
		if (hung < atomic_load(&p->hang_old)) {
			hung = atomic_load(&p->hang_old);
			for (i = 0; i < p->count; i++)
				p->pairs[i].hangs = true;
		}
		while (p->count > 0 &&
		    atomic_load(&p->cuts) < atomic_load(&p->cut)) {
			proxy_end(p, (size_t)rand_r(&p->seed) % p->count);
			atomic_fetch_add(&p->cuts, 1);
		}
	}
	while (p->count > 0)
		proxy_end(p, 0);
	return NULL;
}

static inline void
proxy_start(struct proxy *p, uint16_t target)
{
	(void)memset(p, 0, sizeof(*p));
	p->target = target;
	p->seed = 4711;
	p->listener = node_listen(&p->port);
	if (pthread_create(&p->thread, NULL, proxy_run, p) != 0)
		abort();
}

static inline void
proxy_stop(struct proxy *p)
{
	atomic_store(&p->stop, true);
	(void)pthread_join(p->thread, NULL);
	(void)close(p->listener);
}

#endif /* !LINK_PROXY_H */
