#ifndef LINK_NODE_H
#define LINK_NODE_H

/*
 * link_node: a site for tests of link: a link in a thread of its own with a
 * listener on 127.0.0.1, that sends what it is told and checks what it gets.
 */

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/sign.h"
#include "link/link.h"
#include "link/preamble.h"

#define NODE_CHUNKS_MAX 100000
#define NODE_CHUNK	((size_t)40000)

struct node {
	const char *name, *peer;
	struct link_params params;
	struct link *link;
	struct sign_key *key;
	pthread_t thread;
	atomic_bool stop;
	int listener; /* -1: none */
	uint16_t port;
	bool refuses_chunks; /* each, until it is cleared */

	/* What is to be sent; raised by the test. */
	atomic_uint chunks_wanted, messages_wanted;
	/* What happened. */
	atomic_uint ups, downs, version;
	atomic_uint messages, message_faults;
	atomic_uint chunks, chunk_copies, chunk_faults, acked;
	atomic_uint path_ups, path_downs, beats;
	atomic_ulong rate; /* 0 none */
	unsigned int chunks_sent, messages_sent;
	uint8_t *seen;
	pthread_mutex_t lock;
	struct link_state state;
	uint8_t out[NODE_CHUNK];
};

static inline void
node_up(void *arg, uint32_t version)
{
	struct node *n = arg;

	atomic_store(&n->version, version);
	n->chunks_sent = n->messages_sent = 0;
	(void)memset(n->seen, 0, NODE_CHUNKS_MAX);
	atomic_store(&n->messages, 0);
	atomic_store(&n->chunks, 0);
	atomic_store(&n->acked, 0);
	atomic_fetch_add(&n->ups, 1);
}

static inline void
node_down(void *arg)
{
	atomic_fetch_add(&((struct node *)arg)->downs, 1);
}

/* Message k says "message k" and is followed by k % 5000 blanks. */
static inline void
node_message(void *arg, const uint8_t *data, size_t len)
{
	struct node *n = arg;
	char want[32];
	unsigned int k = atomic_fetch_add(&n->messages, 1);

	(void)snprintf(want, sizeof(want), "message %u", k);
	if (len != strlen(want) + k % 5000 ||
	    memcmp(data, want, strlen(want)) != 0)
		atomic_fetch_add(&n->message_faults, 1);
}

static inline uint8_t
node_byte(unsigned int chunk, size_t at)
{
	return (uint8_t)(chunk * 31 + at * 7 + (at >> 8));
}

static inline size_t
node_len(unsigned int chunk)
{
	return chunk % 3 == 0 ? chunk % 100 : NODE_CHUNK - chunk % 1000;
}

static inline int
node_chunk(void *arg, const struct link_chunk *c, struct err *e)
{
	struct node *n = arg;
	unsigned int k = (unsigned int)c->offset;
	size_t i;

	if (n->refuses_chunks)
		return err_set(e, ERR_IO, "no chunks here");
	if (c->stream != 7 || k >= NODE_CHUNKS_MAX || c->len != node_len(k)) {
		atomic_fetch_add(&n->chunk_faults, 1);
		return 0;
	}
	for (i = 0; i < c->len; i++)
		if (c->data[i] != node_byte(k, i)) {
			atomic_fetch_add(&n->chunk_faults, 1);
			return 0;
		}
	if (n->seen[k]) {
		atomic_fetch_add(&n->chunk_copies, 1);
		return 0;
	}
	n->seen[k] = 1;
	atomic_fetch_add(&n->chunks, 1);
	return 0;
}

static inline bool
node_next(void *arg, struct link_chunk *c)
{
	struct node *n = arg;
	size_t i;

	if (n->chunks_sent >= atomic_load(&n->chunks_wanted))
		return false;
	c->stream = 7;
	c->offset = n->chunks_sent++;
	c->len = node_len((unsigned int)c->offset);
	for (i = 0; i < c->len; i++)
		n->out[i] = node_byte((unsigned int)c->offset, i);
	c->data = n->out;
	return true;
}

static inline void
node_acked(void *arg, uint64_t stream, uint64_t offset, size_t len)
{
	struct node *n = arg;

	if (stream != 7 || len != node_len((unsigned int)offset))
		atomic_fetch_add(&n->chunk_faults, 1);
	atomic_fetch_add(&n->acked, 1);
}

static inline size_t
node_beat_out(void *arg, uint8_t *out)
{
	(void)arg;
	(void)memcpy(out, "ping", 4);
	return 4;
}

static inline void
node_beat_in(void *arg, unsigned int path, const uint8_t *data, size_t len)
{
	struct node *n = arg;

	(void)path;
	if (len == 4 && memcmp(data, "ping", 4) == 0)
		atomic_fetch_add(&n->beats, 1);
}

static inline void
node_path(void *arg, unsigned int path, bool up)
{
	struct node *n = arg;

	(void)path;
	atomic_fetch_add(up ? &n->path_ups : &n->path_downs, 1);
}

/* A listener: reads the line, as pgkurad does, and hands the socket over. */
static inline void
node_accept(struct node *n)
{
	int fd = accept4(n->listener, NULL, NULL, SOCK_CLOEXEC);
	struct timeval soon = { 0, 200000 };
	char line[PREAMBLE_BYTES_MAX];
	struct preamble p;
	size_t len = 0, used;

	if (fd == -1)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	while (len < sizeof(line) && recv(fd, line + len, 1, 0) == 1)
		if (line[len++] == '\n')
			break;
	if (preamble_parse(&p, line, len, &used) == 1 && !p.pair &&
	    strcmp(p.to, n->name) == 0)
		link_adopt(n->link, fd);
	else
		(void)close(fd);
}

static inline void *
node_run(void *arg)
{
	struct node *n = arg;
	struct err e = ERR_INIT;
	char text[6000];

	while (!atomic_load(&n->stop)) {
		struct pollfd extra = { n->listener, POLLIN, 0 };

		if (link_run(n->link, &extra, n->listener == -1 ? 0 : 1, 50,
			&e) == -1)
			break;
		if (n->listener != -1 && (extra.revents & POLLIN) != 0)
			node_accept(n);
		while (atomic_load(&n->ups) > atomic_load(&n->downs) &&
		    n->messages_sent < atomic_load(&n->messages_wanted)) {
			unsigned int k = n->messages_sent++;

			(void)memset(text, ' ', sizeof(text));
			link_send(n->link, text,
			    (size_t)sprintf(text, "message %u", k) + k % 5000);
		}
		/* One site says it in each way. */
		if (n->chunks_sent < atomic_load(&n->chunks_wanted)) {
			if (strcmp(n->name, "east") == 0)
				link_more(n->link);
			else
				link_wake(n->link);
		}
		link_set_max_rate(n->link, atomic_load(&n->rate));
		(void)pthread_mutex_lock(&n->lock);
		link_get_state(n->link, &n->state);
		(void)pthread_mutex_unlock(&n->lock);
	}
	return NULL;
}

/* A socket that listens on 127.0.0.1; *port is its port, any when 0. */
static inline int
node_listen(uint16_t *port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = { 0 };
	socklen_t len = sizeof(a);

	(void)setsockopt(
	    fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	a.sin_family = AF_INET;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons(*port);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1 ||
	    listen(fd, 128) == -1 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) == -1) {
		perror("listen");
		abort();
	}
	*port = ntohs(a.sin_port);
	return fd;
}

/* A site that listens and does not run yet. */
static inline void
node_init(struct node *n, const char *name, const char *peer)
{
	(void)memset(n, 0, sizeof(*n));
	n->name = name;
	n->peer = peer;
	n->key = sign_key_new();
	n->seen = mem_zalloc(NODE_CHUNKS_MAX);
	n->listener = node_listen(&n->port);
	(void)pthread_mutex_init(&n->lock, NULL);
	n->params.site = name;
	n->params.peer = peer;
	n->params.key = n->key;
	n->params.path_count = 1;
	n->params.lanes = 4;
	n->params.beat_interval_us = CLOCK_SECOND_US / 2;
	n->params.beat_misses = 6;
}

static inline void
node_start(struct node *n)
{
	static const struct link_ops ops = { node_up, node_down, node_message,
		node_chunk, node_next, node_acked, node_beat_out, node_beat_in,
		node_path };

	n->link = link_new(&n->params, &ops, n);
	atomic_store(&n->stop, false);
	if (pthread_create(&n->thread, NULL, node_run, n) != 0)
		abort();
}

/* The program ends; node_start() makes another. */
static inline void
node_stop(struct node *n)
{
	if (n->link == NULL)
		return;
	atomic_store(&n->stop, true);
	(void)pthread_join(n->thread, NULL);
	link_free(steal_ptr(&n->link));
}

static inline void
node_fini(struct node *n)
{
	node_stop(n);
	if (n->listener != -1)
		(void)close(n->listener);
	sign_key_free(n->key);
	free(n->seen);
	(void)pthread_mutex_destroy(&n->lock);
}

/* n knows the key of of, and dials port (0: does not dial). */
static inline void
node_knows(struct node *n, const struct node *of, uint16_t port)
{
	sign_key_public(of->key, n->params.peer_key);
	n->params.paths[0].address[0] = '\0';
	if (port != 0)
		(void)snprintf(n->params.paths[0].address,
		    sizeof(n->params.paths[0].address), "127.0.0.1:%u", port);
}

static inline struct link_state
node_state(struct node *n)
{
	struct link_state st;

	(void)pthread_mutex_lock(&n->lock);
	st = n->state;
	(void)pthread_mutex_unlock(&n->lock);
	return st;
}

/* Wait, very long, until it holds. */
#define NODE_WAIT(condition)                                              \
	__extension__({                                                   \
		int64_t end_ = clock_boot_us() + 120 * CLOCK_SECOND_US;   \
		bool holds_; /* it may for a moment only */               \
		while (!(holds_ = (condition)) && clock_boot_us() < end_) \
			clock_sleep_us(5000);                             \
		holds_;                                                   \
	})

#endif /* !LINK_NODE_H */
