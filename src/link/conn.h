#ifndef LINK_CONN_H
#define LINK_CONN_H

/*
 * conn: one TCP connection of a link with its TLS state and buffers.
 *
 *	CONNECTING -> TLS -> HELLO -> READY -> UP -> DEAD
 *	  (dialled)    |       |        |
 *		       |       |        each side has named the session
 *		       |       the peer's HELLO is awaited
 *		       adopted ones begin here
 *
 * It moves bytes; what the frames in them mean is the link's affair.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "link/frame.h"
#include "link/held.h"
#include "link/tls.h"

#define CONN_RECORD_BYTES ((size_t)16 << 10) /* the most of one TLS record */

enum conn_state {
	CONN_CONNECTING,
	CONN_TLS,
	CONN_HELLO,
	CONN_READY,
	CONN_UP,
	CONN_DEAD
};

struct conn {
	struct conn *next;
	int fd;
	struct ssl_st *ssl;
	enum conn_state state;
	bool dialled;	 /* by us */
	bool tls_writes; /* the handshake waits for room to write */
	bool more;	 /* there may be bytes that poll() does not tell of */
	struct buf in, out;
	size_t out_done; /* bytes of out that TLS has taken */
	uint64_t sealed; /* bytes since the last change of keys */

	/* Who it is: path, kind and lane are the dialler's choice. */
	uint8_t path, lane;
	enum frame_kind kind;
	uint64_t peer_instance, session;
	uint16_t version;

	/* Life */
	int64_t since_us; /* began, or went into its state */
	int64_t heard_us; /* last authenticated byte */
	int64_t idle_us;  /* owed nothing */
	int64_t moved_us; /* last sign that what we send arrives */
	uint64_t acked;	  /* by the peer's kernel, when last asked */
	bool probe;	  /* a BEAT is out and nothing was heard since */
	bool stalled;

	/* Chunks and messages */
	struct held_row row;
	bool sent_data;	       /* chunks or messages */
	bool blocked;	       /* TLS or socket take no more now */
	bool progress;	       /* any of them was acknowledged */
	uint64_t chunks_acked; /* of ours */
	int64_t chunk_us;      /* the last one of the peer's */
	uint64_t taken;	       /* chunks of the peer's */
	uint64_t taken_said;   /* so many were acknowledged */
	int64_t ack_due_us;    /* 0: nothing to say */
};

/* Each owns fd from now on. */
struct conn *conn_new(int fd, bool dialled, int64_t now_us);
void conn_free(struct conn *c);

/* Go on with TLS, begun when it is not.  1: done, 0: wait, -1: *e. */
int conn_handshake(struct conn *c, struct tls *tls, struct err *e);
/* Read up to a record into in.  1: bytes came, 0: none now, -1: *e. */
int conn_read(struct conn *c, struct err *e);
/* Write what out holds as far as it goes; -1: *e. */
int conn_write(struct conn *c, struct err *e);
/* Bytes of out that wait. */
size_t conn_waiting(const struct conn *c);
/* Forget the first len bytes of in. */
void conn_consume(struct conn *c, size_t len);
/* What poll() should wait for, without data to send. */
short conn_events(const struct conn *c);

#endif /* !LINK_CONN_H */
