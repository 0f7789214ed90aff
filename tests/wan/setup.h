#ifndef WAN_SETUP_H
#define WAN_SETUP_H

/*
 * setup: what a line does to packets, as words that people write.
 *
 * Each direction has its own: "loss=1" sets both, "ab.loss=1" only that from a
 * to b.  doc/wan.md lists the words.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

#define SETUP_DIRECTIONS   2 /* 0 is a to b, 1 is b to a */
#define SETUP_DELAY_MAX_NS ((int64_t)60 * 1000000000)

/* One direction.  Shares are 0 to 1, bytes are those of IP packets. */
struct setup_line {
	uint64_t rate_bits;    /* a second; 0: no limit */
	uint64_t queue_bytes;  /* that wait; 0: setup_queue_bytes() chooses */
	uint64_t header_bytes; /* that each packet costs besides its own */
	uint64_t mtu_bytes;    /* larger ones vanish; 0: none do */
	int64_t delay_ns;
	int64_t jitter_ns; /* delay is uniform in delay -/+ jitter */
	int64_t gap_ns;	   /* how much later a reordered packet comes */
	double loss;
	double burst; /* mean number of packets lost in a row */
	double reorder;
	double duplicate;
	double corrupt;
	bool loss_first; /* before the bottleneck, so costs no line time */
	bool free_order; /* jitter may let packets overtake */
	bool repair;	 /* checksums of corrupted packets */
	bool blackhole;	 /* everything vanishes, nobody is told */
};

struct setup {
	struct setup_line line[SETUP_DIRECTIONS];
	bool down;
	int64_t outage_ns; /* down for so long from now on; 0: until "up" */
};

/* A line without any limit or fault. */
void setup_init(struct setup *s);

/*
 * Take one word: "rate=20mbit", "ba.delay=15ms", "down", "outage=20s",
 * "blackhole=ab", "profile=W2".  ERR_USAGE otherwise, *s untouched.
 */
int setup_word(struct setup *s, const char *word, struct err *e);

/* The queue in front of the line: as set, or the bytes that the line carries in
 * a round trip, 256 KiB at least. */
uint64_t setup_queue_bytes(const struct setup_line *l);

/* Lines "ab.rate 20000000" for everything; times in microseconds. */
void setup_print(const struct setup *s, FILE *out);

/* Lines "NAME WORDS", each a profile. */
void setup_print_profiles(FILE *out);

#endif /* !WAN_SETUP_H */
