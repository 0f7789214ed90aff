#include "base/rate.h"

#include "base/child.h"
#include "base/clock.h"

#define BURST_US (CLOCK_SECOND_US / 5)
#define NAP_US	 (CLOCK_SECOND_US / 5)

void
rate_init(struct rate *r, uint64_t bytes_per_s)
{
	*r = (struct rate){ .bytes_per_s = bytes_per_s };
}

void
rate_wait(struct rate *r, uint64_t bytes)
{
	unsigned __int128 scaled;
	int64_t now;

	if (r->bytes_per_s == 0)
		return;
	now = clock_boot_us();
	if (r->due_us < now - BURST_US) {
		r->due_us = now - BURST_US;
		r->rest = 0;
	}
	scaled = (unsigned __int128)bytes * CLOCK_SECOND_US + r->rest;
	r->due_us += (int64_t)(scaled / r->bytes_per_s);
	r->rest = (uint64_t)(scaled % r->bytes_per_s);
	while (now < r->due_us && !child_stop_requested()) {
		clock_sleep_us(
		    r->due_us - now < NAP_US ? r->due_us - now : NAP_US);
		now = clock_boot_us();
	}
}
