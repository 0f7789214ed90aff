/*
 * rate: as many bytes a second as asked for, bursts let through, stops heeded.
 * nanosleep() and the clock are ours here, so no time passes.
 */

#include "base/rate.h"

#include <signal.h>
#include <stdbool.h>
#include <time.h>

#include "base/child.h"
#include "base/clock.h"
#include "tap.h"

static int64_t now_us = 1000000000;
static int64_t longest_us;
static unsigned int sleeps, stop_after;

int
__wrap_clock_gettime(clockid_t which, struct timespec *ts)
{
	(void)which;
	ts->tv_sec = (time_t)(now_us / CLOCK_SECOND_US);
	ts->tv_nsec = (long)(now_us % CLOCK_SECOND_US) * 1000;
	return 0;
}

int
__wrap_nanosleep(const struct timespec *ts, struct timespec *left)
{
	int64_t us = (int64_t)ts->tv_sec * CLOCK_SECOND_US + ts->tv_nsec / 1000;

	(void)left;
	if (us > longest_us)
		longest_us = us;
	now_us += us;
	if (++sleeps == stop_after)
		(void)raise(SIGTERM);
	return 0;
}

static int64_t
time_for(struct rate *r, uint64_t bytes, uint64_t step)
{
	int64_t before = now_us;
	uint64_t done;

	for (done = 0; done < bytes; done += step)
		rate_wait(r, step);
	return now_us - before;
}

static bool
near(int64_t us, double seconds)
{
	return us >= (int64_t)(seconds * 1e6) - 1000 &&
	    us <= (int64_t)(seconds * 1e6) + 1000;
}

static void
check_rates(void)
{
	struct rate r;
	int64_t us;

	rate_init(&r, 0);
	tap_u64((uint64_t)time_for(&r, 1000000, 1000), 0, "0 is no limit");
	rate_init(&r, 1000000);
	us = time_for(&r, 200000, 1000);
	tap_u64((uint64_t)us, 0, "a burst of 0.2 s passes");
	us = time_for(&r, 3000000, 1000);
	tap_ok(near(us, 3.0), "three seconds of bytes take %lld us",
	    (long long)us);
	now_us += 100 * CLOCK_SECOND_US;
	us = time_for(&r, 1200000, 100000);
	tap_ok(near(us, 1.0), "a long pause saves up 0.2 s and no more");
	rate_init(&r, 3000000);
	us = time_for(&r, 6600000, 1);
	tap_ok(near(us, 2.0), "bytes one by one take as long: %lld us",
	    (long long)us);
	rate_init(&r, UINT64_MAX);
	rate_wait(&r, UINT64_MAX);
	tap_ok(longest_us <= 200000, "never more than 0.2 s at a time: %lld us",
	    (long long)longest_us);
}

static void
check_stop(void)
{
	struct rate r;
	int64_t us;

	child_catch_stop_signals();
	rate_init(&r, 1000);
	sleeps = 0;
	stop_after = 3;
	us = time_for(&r, 3600000, 3600000);
	tap_ok(us <= 600000, "an hour to wait ends with a stop, after %lld us",
	    (long long)us);
	tap_u64((uint64_t)time_for(&r, 100000, 1000), 0,
	    "after it there is no wait at all");
}

int
main(void)
{
	check_rates();
	check_stop();
	return tap_done();
}
