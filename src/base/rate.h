#ifndef BASE_RATE_H
#define BASE_RATE_H

/*
 * rate: a token bucket that holds a stream to so many bytes a second.
 *
 * For one thread; threads that share one take a lock around rate_wait().
 */

#include <stdint.h>

struct rate {
	uint64_t bytes_per_s; /* 0: no limit */
	int64_t due_us; /* CLOCK_BOOTTIME at which the next byte may pass */
	uint64_t rest;	/* of a microsecond, in 1/bytes_per_s */
};

void rate_init(struct rate *r, uint64_t bytes_per_s);
/* Count bytes and sleep as long as they came too early (bursts of 0.2 s are
 * let through).  Returns at once when a stop was requested. */
void rate_wait(struct rate *r, uint64_t bytes);

#endif /* !BASE_RATE_H */
