/*
 * clock: times as we show them, and the two clocks.
 */

#include "base/clock.h"

#include <stdlib.h>
#include <time.h>

#include "base/auto.h"
#include "tap.h"

/* 2026-11-21 03:04:05 UTC */
#define SAMPLE_US (INT64_C(1795230245) * CLOCK_SECOND_US)

static void
use_zone(const char *zone)
{
	(void)setenv("TZ", zone, 1);
	tzset();
}

static void
check_text(void)
{
	char out[CLOCK_TEXT_BYTES];

	tap_str(clock_utc(SAMPLE_US, out), "2026-11-21 03:04:05+00", "UTC");
	tap_str(clock_utc(SAMPLE_US + 678901, out),
	    "2026-11-21 03:04:05.678901+00", "with a fraction");
	tap_str(clock_utc(SAMPLE_US + 10, out), "2026-11-21 03:04:05.000010+00",
	    "with a small one");
	tap_str(clock_utc(0, out), "1970-01-01 00:00:00+00", "the epoch");
	tap_str(clock_utc(-1, out), "1969-12-31 23:59:59.999999+00",
	    "just before it");
	tap_str(clock_utc(CLOCK_PG_EPOCH_US, out), "2000-01-01 00:00:00+00",
	    "PostgreSQL's epoch");
	tap_str(clock_compact(SAMPLE_US + 678901, out), "20261121T030405Z",
	    "compact");
	use_zone("EST5");
	tap_str(clock_local(SAMPLE_US, out), "2026-11-20 22:04:05-05",
	    "west of UTC");
	use_zone("IST-5:30");
	tap_str(clock_local(SAMPLE_US + 1, out),
	    "2026-11-21 08:34:05.000001+05:30", "half an hour");
	use_zone("NST3:30");
	tap_str(clock_local(SAMPLE_US, out), "2026-11-20 23:34:05-03:30",
	    "half an hour west");
	use_zone("UTC");
	tap_str(clock_local(SAMPLE_US, out), "2026-11-21 03:04:05+00",
	    "the local zone is UTC");
	tap_ok(clock_utc(INT64_MAX, out) == out &&
		clock_local(INT64_MIN, out) == out &&
		clock_compact(INT64_MIN, out) == out,
	    "any number gives some text");
}

static void
check_interval(void)
{
	static const struct {
		int64_t us;
		const char *text;
	} cases[] = { { 0, "0s" }, { 999, "0ms" }, { 350000, "350ms" },
		{ 1000000, "1s" }, { 12999999, "12s" }, { 60000000, "1min" },
		{ 245000000, "4min 5s" }, { INT64_C(3600) * 1000000, "1h" },
		{ INT64_C(3725) * 1000000, "1h 2min" },
		{ INT64_C(183600) * 1000000, "2d 3h" },
		{ INT64_C(173100) * 1000000, "2d" },
		{ INT64_C(-245000000), "-4min 5s" },
		{ INT64_MAX, "106751991d 4h" },
		{ INT64_MIN, "-106751991d 4h" } };
	char out[CLOCK_TEXT_BYTES];
	size_t i;

	for (i = 0; i < COUNT_OF(cases); i++)
		tap_str(clock_interval(cases[i].us, out), cases[i].text,
		    "interval of %lld us", (long long)cases[i].us);
}

static void
check_clocks(void)
{
	int64_t wall = clock_now_us(), before = clock_boot_us(), passed;

	tap_ok(wall > INT64_C(1600000000) * CLOCK_SECOND_US &&
		wall < INT64_C(8000000000) * CLOCK_SECOND_US,
	    "now is now");
	clock_sleep_us(30000);
	passed = clock_boot_us() - before;
	tap_ok(passed >= 30000 && passed < 20 * CLOCK_SECOND_US,
	    "a sleep of 30 ms takes %lld us", (long long)passed);
	before = clock_boot_us();
	clock_sleep_us(0);
	clock_sleep_us(-5);
	tap_ok(clock_boot_us() - before < CLOCK_SECOND_US, "no time is none");
}

int
main(void)
{
	use_zone("UTC");
	check_text();
	check_interval();
	check_clocks();
	return tap_done();
}
