#ifndef WAN_LINE_H
#define WAN_LINE_H

/*
 * line: one direction of an emulated line.
 *
 *	line_offer() -> [mtu] -> [loss, if losspos=pre] -> queue
 *	    -> bottleneck (rate) -> [loss] -> [corrupt] -> [duplicate]
 *	    -> delay and jitter -> deliver
 *
 * It knows no clock: time is what its caller says, in nanoseconds, and never
 * goes back.  A caller that comes late finds everything done as of the time it
 * was due, so a stall costs delay and no line time while packets wait.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wan/setup.h"

struct line; /* opaque: line.c knows the rest */

#define LINE_NEVER	INT64_MAX
#define LINE_PACKET_MAX ((size_t)65535)
#define LINE_HELD_MAX	((size_t)64 << 20) /* bytes in queue and flight */

/* Why packets did not arrive.  LINE_MEMORY: LINE_HELD_MAX was reached. */
enum line_drop {
	LINE_OUTAGE,
	LINE_BLACKHOLE,
	LINE_MTU,
	LINE_LOSS,
	LINE_QUEUE,
	LINE_MEMORY,
	LINE_REFUSED, /* by deliver() */
	LINE_DROPS
};
const char *line_drop_name(enum line_drop why);

/* Since the line was made.  Offered packets are dropped, held or delivered;
 * duplicates are delivered besides. */
struct line_counters {
	uint64_t offered_packets, offered_bytes;
	uint64_t sent_packets, sent_bytes; /* that passed the bottleneck */
	uint64_t sent_ns;		   /* it was busy with them */
	uint64_t out_packets, out_bytes;   /* delivered, with duplicates */
	uint64_t dropped[LINE_DROPS];	   /* packets */
	uint64_t duplicated, corrupted;
	uint64_t overtaken; /* delivered behind one that was offered later */
	uint64_t held_packets, held_bytes, queue_bytes; /* now */
	uint64_t queue_max_bytes;
	uint64_t late_max_ns, late_sum_ns; /* delivered so much after due */
};

/* Take a packet out of the line; the bytes are the line's.  False: it could
 * not be delivered. */
typedef bool line_deliver(void *arg, const uint8_t *packet, size_t len);

/* An idle line; seed decides all that is left to chance. */
struct line *line_new(uint64_t seed, line_deliver *deliver, void *arg);
void line_free(struct line *l);

/* From now on; what is in flight keeps its time, what waits gets the new rate.
 * s is copied. */
void line_set(struct line *l, const struct setup_line *s);
/* Lose what is held, and what is offered until line_set_up(). */
void line_cut(struct line *l);
void line_set_up(struct line *l);

/* Do all that is due until now_ns. */
void line_run(struct line *l, int64_t now_ns);
/* When line_run() has something to do, or LINE_NEVER. */
int64_t line_next(const struct line *l);
/* Put in a packet, after line_run() of the same time. */
void
line_offer(struct line *l, int64_t now_ns, const uint8_t *packet, size_t len);

const struct line_counters *line_counters(const struct line *l);
void line_reset_counters(struct line *l);

#endif /* !WAN_LINE_H */
