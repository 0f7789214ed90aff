#include "jobs/pace.h"

#include "base/clock.h"

#define SMOOTH_US (10 * CLOCK_SECOND_US)
#define LEAST_US  (CLOCK_SECOND_US / 2)
#define KNOWN_US  (5 * CLOCK_SECOND_US)
#define ETA_MAX_S 1e9 /* some 30 years: as good as never */

void
pace_note(struct pace *p, uint64_t counter, int64_t now_us)
{
	int64_t passed_us = now_us - p->at_us, before_us;
	double now_per_s;

	if (p->at_us != 0 && counter >= p->counter && passed_us < LEAST_US)
		return;
	if (p->at_us != 0 && counter >= p->counter) {
		now_per_s = (double)(counter - p->counter) *
		    (double)CLOCK_SECOND_US / (double)passed_us;
		/* At first the mean of all there was. */
		before_us = p->at_us - p->began_us;
		if (before_us > SMOOTH_US)
			before_us = SMOOTH_US;
		p->per_s += (now_per_s - p->per_s) * (double)passed_us /
		    (double)(passed_us + before_us);
	} else {
		p->began_us = now_us;
	}
	p->counter = counter;
	p->at_us = now_us;
}

uint64_t
pace_per_s(const struct pace *p)
{
	return (uint64_t)(p->per_s + 0.5);
}

bool
pace_is_measured(const struct pace *p)
{
	return p->at_us - p->began_us >= KNOWN_US;
}

int64_t
pace_eta_us(uint64_t left, uint64_t per_s, uint64_t more_per_s)
{
	double seconds;

	if (left == 0 || left / 2 < per_s)
		return 0;
	if (per_s <= more_per_s)
		return -1;
	seconds = (double)left / (double)(per_s - more_per_s);
	return seconds > ETA_MAX_S
	    ? -1
	    : (int64_t)(seconds * (double)CLOCK_SECOND_US);
}
