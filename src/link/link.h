#ifndef LINK_LINK_H
#define LINK_LINK_H

/*
 * link: the connection of two sites: some TLS lanes over one or more paths.
 *
 * It moves messages (small, in order) and chunks of streams (in any order) and
 * knows nothing of what they mean.  One thread, no blocking call; the caller
 * runs it with link_run().
 *
 *	caller				link			      peer
 *	link_send()	    message -> beat connection, else a lane -> message()
 *	next_chunk()	    chunk   -> whichever lane can write	    -> chunk()
 *	chunk_acked()      <-		its lane has said so	   <-  when chunk() returned 0
 *
 * A session begins when two running programs have met (up()) and ends when one
 * of them is another process (down(), then up() of the new one).  Within it
 * every message arrives once and in order, and every chunk at least once: what a lane
 * held that died or stalls is sent again on another.  Across sessions nothing
 * is promised: both sides begin anew.
 *
 * Connections to a peer:
 *	beat	one a path: heartbeats, each echoed; messages; never data
 *	lane	params.lanes in all, spread over the paths: chunks
 * All are TLS 1.3 with the Ed25519 key of each side pinned at the other.
 *
 * On the wire, before TLS: "PGKURA 1 <from site> <to site>\n" (see preamble.h),
 * by which a listener finds the process that serves this peer.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "codec/sign.h"

#define LINK_VERSION	   1 /* of framing; the lower of both is spoken */
#define LINK_SITE_BYTES	   64
#define LINK_PATHS_MAX	   8
#define LINK_LANES_MAX	   64
#define LINK_MESSAGE_MAX   ((size_t)1 << 20)
#define LINK_CHUNK_MAX	   ((size_t)64 << 10)
#define LINK_IN_FLIGHT_MAX ((size_t)48 << 20) /* bytes kept to be sent again */
#define LINK_BEAT_MAX	   1024

struct link;

/* One pair of addresses.  address "": the other side dials. */
struct link_path {
	char address[128]; /* "host:port", "[2001:db8::1]:7432" */
	char bind[64];	   /* local address to dial from; "" any */
};

struct link_params {
	const char *site, *peer; /* names */
	const struct sign_key *key;
	uint8_t peer_key[SIGN_PUBLIC_BYTES];
	struct link_path paths[LINK_PATHS_MAX];
	size_t path_count;
	unsigned int lanes;	   /* 8 */
	const char *congestion;	   /* "bbr"; NULL: the system's */
	uint64_t max_rate_bytes_s; /* of what we send; 0 none */
	int64_t beat_interval_us;  /* 5 s */
	unsigned int beat_misses;  /* 5: then the path is down */
};

struct link_chunk {
	uint64_t stream, offset;
	const uint8_t *data; /* borrowed until the call returns */
	size_t len;	     /* at most LINK_CHUNK_MAX */
};

/* Called from within link_run() only; each may call link_send() but not
 * link_run() or link_free(). */
struct link_ops {
	/* A session with this instance of the peer begins, or is over. */
	void (*up)(void *arg, uint32_t version);
	void (*down)(void *arg);
	void (*message)(void *arg, const uint8_t *data, size_t len);
	/* Take a chunk: 0, or -1 when the session cannot go on (*e says why;
	 * the session ends).  Its acknowledgement says that it was taken, not that it
	 * is durable.  The same chunk may come again. */
	int (*chunk)(void *arg, const struct link_chunk *c, struct err *e);
	/* The next chunk to send: true and *c filled, or false for none now (say
	 * link_wake() or link_more() when there is one again). */
	bool (*next_chunk)(void *arg, struct link_chunk *c);
	void (*chunk_acked)(
	    void *arg, uint64_t stream, uint64_t offset, size_t len);
	/* What rides on each heartbeat, and what the peer's carried: at most
	 * LINK_BEAT_MAX bytes.  Either may be NULL. */
	size_t (*beat_out)(void *arg, uint8_t *out);
	void (*beat_in)(
	    void *arg, unsigned int path, const uint8_t *data, size_t len);
	/* The state of a path has changed (also an event: path_up, path_down). */
	void (*path_changed)(void *arg, unsigned int path, bool up);
};

/* *params is copied, what it points to must live.  Nothing is dialled before
 * link_run(). */
struct link *link_new(
    const struct link_params *params, const struct link_ops *ops, void *arg);
void link_free(struct link *l);
AUTO_DEFINE(struct link, link_free);
#define AUTO_LINK AUTO(link_free_auto)

/* Take a connection that a listener accepted, its preamble read.  The link owns
 * fd from now on, also when it turns out to be nobody's. */
void link_adopt(struct link *l, int fd);

/*
 * Do all that can be done, waiting at most timeout_ms for something to do.
 * extra are descriptors of the caller that end the wait (may be NULL).  Faults
 * of connections are dealt with inside and told as events; -1 is for what makes
 * the link unusable: no memory for OpenSSL, a key that is none.
 */
struct pollfd;
int link_run(struct link *l, struct pollfd *extra, size_t extra_count,
    int timeout_ms, struct err *e);
/* next_chunk() has something again.  Any thread; link_run() returns. */
void link_wake(struct link *l);
/* The same between two calls of link_run(): the next one sends it and waits. */
void link_more(struct link *l);

/* Queue a message.  Kept until the peer has it or the session ends; dropped
 * when no session is up. */
void link_send(struct link *l, const void *data, size_t len);
/* Bytes of messages that the peer has not acknowledged. */
size_t link_unsent(const struct link *l);

/* May be changed while running. */
void link_set_max_rate(struct link *l, uint64_t bytes_s);

struct link_path_state {
	bool up;
	int64_t
	    heard_us; /* clock_boot_us() of the last authenticated byte; 0 never */
	int64_t changed_us; /* since when it is up or down */
	uint32_t rtt_us;    /* smoothed, of heartbeats; 0 unknown */
	uint32_t lanes;	    /* connections that carry data now */
	char local[64], remote[64];
	char error[160]; /* why the last attempt failed; "" */
};

struct link_state {
	bool up;	  /* a session */
	int64_t heard_us; /* by any path */
	int64_t skew_us;  /* peer's wall clock minus ours, by the best echo */
	char congestion[16]; /* in force on the lanes, as read back */
	uint64_t sent_bytes, received_bytes; /* of chunks, since link_new() */
	uint64_t resent_bytes;
	uint64_t in_flight_bytes;
	uint64_t lanes_lost;	   /* connections that broke or stalled */
	uint64_t max_rate_bytes_s; /* of what we send, now; 0 none */
	size_t path_count;
	struct link_path_state paths[LINK_PATHS_MAX];
};
void link_get_state(const struct link *l, struct link_state *st);

#endif /* !LINK_LINK_H */
