#ifndef LINK_LINK_INT_H
#define LINK_LINK_INT_H

/*
 * link_int: what the files of a link share.
 *
 *	link.c		 the caller's functions, the loop
 *	link_conn.c	 what happens to one connection, from socket to end
 *	slot.c		 which connections there should be, and dialling them
 *	session.c	 HELLO, READY: who meets whom, beginning and end
 *	beat.c		 heartbeats, echoes, the state of paths
 *	traffic.c	 messages, chunks, acknowledgements
 *	stall.c		 connections on which nothing moves
 *	conn.c		 one connection's bytes		 (knows no link)
 *	frame.c held.c mail.c tls.c dial.c resolve.c	 (know no link)
 *
 * Sessions.  The site with the smaller name leads.  Each process has a random
 * number, its instance.  Both say HELLO with it; then the leader says READY
 * with the number of the session: the one it is in, if that is with this
 * instance, else a fresh one.  The follower begins it, when new, and echoes
 * READY; a fresh one begins at the leader with that echo.  Nobody returns to
 * a session that it left: a leader makes a fresh number, a follower takes
 * another instance.  So both ends of a session always have the same state.
 */

#include <stdatomic.h>

#include "base/clock.h"
#include "link/conn.h"
#include "link/link.h"
#include "link/mail.h"
#include "link/resolve.h"

#define LINK_TICK_US	 (CLOCK_SECOND_US / 10)
#define LINK_STALL_US	 (2 * CLOCK_SECOND_US)
#define LINK_RETIRED	 16
#define LINK_WAITING_MAX 32 /* connections that are not authenticated */

/* What should be one connection: number 0 is the beat, others are lanes. */
struct slot {
	struct conn *up;
	int64_t next_us;    /* not to be dialled before */
	int64_t missing_us; /* since when up is NULL */
	unsigned int fails; /* in a row */
};

struct path {
	struct link_path conf;
	struct resolve *resolve;
	struct slot slots[1 + LINK_LANES_MAX];
	struct link_path_state st;
	unsigned int refused; /* dials of the beat in a row */
	int64_t hold_us;      /* refused: nothing is dialled before */
	int64_t alive_us;     /* heard, or began to be tried */
	bool peer_dials;      /* as it says; true while unknown */
	char told[160];	      /* the fault that was last an event */
	int64_t told_us;
	unsigned int stuck; /* connections that moved no data, in a row */
	int64_t stuck_us, small_until_us;
	int64_t beat_due_us;
	uint64_t beats;
};

struct session {
	bool up;
	uint64_t id, peer_instance;
	uint16_t version;
};

struct link {
	struct link_params params;
	struct link_ops ops;
	void *arg;
	char site[LINK_SITE_BYTES], peer[LINK_SITE_BYTES], congestion[16];
	struct tls *tls;
	int wake_fd;
	atomic_bool woken;
	int64_t now_us; /* clock_boot_us() of this turn */
	int64_t tick_us;
	int64_t acks_us; /* of the last that went with something else */

	bool leader;
	uint64_t instance;
	struct session session, candidate;
	uint64_t retired[LINK_RETIRED];
	unsigned int retired_count;

	struct conn *conns, *carrier;
	unsigned int conn_count, lane_count; /* lane_count: up */
	bool dead_conns, dry, busy;
	bool congestion_told;
	int64_t lost_told_us, refused_told_us; /* 0 never */
	struct pollfd *fds;
	size_t fds_cap;
	struct path *paths;
	size_t path_count;

	struct mail mail;
	struct held_store held;
	struct link_state st;
	uint32_t skew_rtt_us;
	int64_t skew_us;
};

/* link_conn.c */
struct conn *link_conn_add(struct link *l, int fd, bool dialled);
/* poll() says something of it. */
void link_conn_turn(struct link *l, struct conn *c, short revents);
/* It is over: what it held goes to others.  why may be NULL; reason 0: without
 * a word. */
void link_conn_end(
    struct link *l, struct conn *c, const struct err *why, unsigned int reason);
/* c is good: other attempts for its slot that are not through TLS end. */
void link_conn_alone(struct link *l, struct conn *c);
/* Free those that are over. */
void link_conn_sweep(struct link *l);
struct path *link_conn_path(struct link *l, const struct conn *c);
struct slot *link_conn_slot(struct link *l, const struct conn *c);

/* slot.c */
void slot_tick(struct link *l);
/* c has its session: it takes its slot, or ends as a duplicate. */
void slot_fill(struct link *l, struct conn *c);
/* c, which was in state was, is over. */
void slot_lost(
    struct link *l, struct conn *c, enum conn_state was, const struct err *why);
void slot_rates(struct link *l);

/* session.c */
void session_greet(struct link *l, struct conn *c);
int session_take(
    struct link *l, struct conn *c, const struct frame *f, struct err *e);
/* This side cannot go on with the session. */
void session_break(struct link *l, const struct err *why);

/* beat.c */
void beat_tick(struct link *l);
void beat_heard(struct link *l, struct conn *c);
void beat_began(struct link *l, struct conn *c);
void beat_probe(struct link *l, struct conn *c);
int beat_take(struct link *l, struct conn *c, const struct frame *f);

/* traffic.c */
int traffic_take(
    struct link *l, struct conn *c, const struct frame *f, struct err *e);
/* Write what there is to write. */
void traffic_send(struct link *l, struct conn *c);
void traffic_carrier(struct link *l);
/* Acknowledgements that are due; returns when the next one is, 0 never. */
int64_t traffic_acks(struct link *l);

/* stall.c */
void stall_tick(struct link *l);
void stall_progress(struct link *l, struct conn *c);
/* c, which had stalled, goes on. */
void stall_over(struct link *l, struct conn *c);
void stall_small(struct link *l, struct path *p);
int64_t stall_limit_us(struct link *l, const struct conn *c);

#endif /* !LINK_LINK_INT_H */
