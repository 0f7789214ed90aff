#ifndef JOBS_PACE_H
#define JOBS_PACE_H

/*
 * pace: how fast a counter grows, smoothed over some ten seconds, and when what
 * is left will be done.  No I/O, no clock: the caller says what time it is.
 */

#include <stdbool.h>
#include <stdint.h>

struct pace {
	uint64_t counter; /* at the last note */
	int64_t at_us;	  /* of it; 0: none yet */
	int64_t began_us; /* of the first, since the counter began anew */
	double per_s;
};

/* The counter stands there now (any clock that only goes on).  More often than
 * twice a second is passed over; a counter that went back begins anew. */
void pace_note(struct pace *p, uint64_t counter, int64_t now_us);
uint64_t pace_per_s(const struct pace *p);
/* For so long that more than a moment counts? */
bool pace_is_measured(const struct pace *p);

/*
 * How long until left has gone to nothing, in microseconds, when per_s of it go
 * and more_per_s come: 0 when it is less than goes in two seconds, for so much
 * is always on its way; -1 when it does not get less.
 */
int64_t pace_eta_us(uint64_t left, uint64_t per_s, uint64_t more_per_s);

#endif /* !JOBS_PACE_H */
