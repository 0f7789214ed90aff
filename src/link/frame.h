#ifndef LINK_FRAME_H
#define LINK_FRAME_H

/*
 * frame: what crosses inside the TLS connections of a link.
 *
 * Every frame is a head of 8 bytes and a body; integers are little-endian.
 *
 *	offset	size	field
 *	     0	   1	type
 *	     1	   1	flags	bit 0: optional, who does not know it skips it;
 *				other bits 0
 *	     2	   2	0
 *	     4	   4	length of the body
 *
 *	type	body
 *	HELLO	lowest version 2, highest version 2, kind 1, path 1, lane 1,
 *		flags 1 (0), instance 8, paths that the sender can dial 4 (bits),
 *		length 1 and name of the sender's site, length 1 and name of the
 *		receiver's; later versions may add bytes, which are skipped
 *	READY	session 8, version 2
 *	MESSAGE	number 8 (1, 2, ...), bytes
 *	CHUNK	stream 8, offset 8, bytes
 *	ACK	highest number of a message taken 8, chunks taken on this
 *		connection 8
 *	BEAT	number 8, sender's clock 8, sender's wall clock 8, bytes
 *	ECHO	number, clock, wall clock of the BEAT 8 each, wall clock when it
 *		came 8 and now 8
 *	BYE	reason 2
 *	SMALL	path 1: dial it with small segments (optional)
 *
 * HELLO is the first frame of each side and READY the second.  Nothing here does
 * I/O, so all of it can be fuzzed.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "link/link.h"

#define FRAME_HEAD_BYTES    8
#define FRAME_OPTIONAL	    1
#define FRAME_UNKNOWN_MAX   ((size_t)64 << 10) /* body that is skipped */
#define FRAME_HELLO_MAX	    512
#define FRAME_CHUNK_BYTES   (FRAME_HEAD_BYTES + 16) /* in front of the data */
#define FRAME_MESSAGE_BYTES (FRAME_HEAD_BYTES + 8)

enum frame_type {
	FRAME_SKIP = 0, /* decoded only: one to be skipped */
	FRAME_HELLO,
	FRAME_READY,
	FRAME_MESSAGE,
	FRAME_CHUNK,
	FRAME_ACK,
	FRAME_BEAT,
	FRAME_ECHO,
	FRAME_BYE,
	FRAME_SMALL
};

enum frame_kind { FRAME_KIND_BEAT = 0, FRAME_KIND_LANE };

enum frame_reason {
	FRAME_BYE_CLOSING = 1, /* the program ends */
	FRAME_BYE_DUPLICATE,   /* another connection does this work */
	FRAME_BYE_BAD_FRAME,
	FRAME_BYE_WRONG_SITE,
	FRAME_BYE_VERSION,
	FRAME_BYE_SESSION /* the session is over */
};

struct frame_hello {
	uint16_t version_least, version_most;
	enum frame_kind kind;
	uint8_t path, lane;
	uint64_t instance;
	uint32_t dials;
	char from[LINK_SITE_BYTES], to[LINK_SITE_BYTES];
};

/* A frame as it was read; which members count depends on type. */
struct frame {
	enum frame_type type;
	struct frame_hello hello;
	uint64_t session;	    /* READY */
	uint16_t version;	    /* READY */
	uint64_t number;	    /* MESSAGE, BEAT, ECHO; ACK: of messages */
	uint64_t chunks;	    /* ACK */
	uint64_t stream, offset;    /* CHUNK */
	int64_t clock_us, wall_us;  /* BEAT, ECHO */
	int64_t came_us, echoed_us; /* ECHO */
	uint16_t reason;	    /* BYE */
	uint8_t path;		    /* SMALL */
	const uint8_t *data;	    /* MESSAGE, CHUNK, BEAT: borrowed */
	size_t len;
};

/*
 * The frame at the beginning of the len bytes at p, trusting none of them.
 * 1: *f is it and it has *used bytes.  0: more bytes are needed, *used in all
 * (or for its head).  -1: not a frame (ERR_CORRUPT).
 */
int frame_decode(
    struct frame *f, const uint8_t *p, size_t len, size_t *used, struct err *e);

/* Append one to b. */
void frame_put_hello(struct buf *b, const struct frame_hello *h);
void frame_put_ready(struct buf *b, uint64_t session, uint16_t version);
void
frame_put_message(struct buf *b, uint64_t number, const void *data, size_t len);
void frame_put_chunk(struct buf *b, uint64_t stream, uint64_t offset,
    const void *data, size_t len);
void frame_put_ack(struct buf *b, uint64_t number, uint64_t chunks);
/* number, clock_us, wall_us, data of f. */
void frame_put_beat(struct buf *b, const struct frame *f);
/* number, clock_us, wall_us, came_us, echoed_us of f. */
void frame_put_echo(struct buf *b, const struct frame *f);
void frame_put_bye(struct buf *b, enum frame_reason reason);
void frame_put_small(struct buf *b, uint8_t path);

/* "duplicate", ...; "unknown reason" for others. */
const char *frame_reason_name(uint16_t reason);

#endif /* !LINK_FRAME_H */
