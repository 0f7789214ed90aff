/*
 * pace: bytes a second, smoothed, and when what is left is done.
 */

#include "jobs/pace.h"

#include "base/clock.h"
#include "tap.h"

#define S CLOCK_SECOND_US

static void
check_rate(void)
{
	struct pace p = { 0 };
	int64_t now_us = 77 * S;
	uint64_t counter = 5000, before;
	int i;

	tap_u64(pace_per_s(&p), 0, "nothing is known: 0");
	pace_note(&p, counter, now_us);
	tap_u64(pace_per_s(&p), 0, "what was there before is not fast");
	for (i = 0; i < 120; i++)
		pace_note(&p, counter += 1000, now_us += S);
	tap_u64(pace_per_s(&p), 1000, "1,000 a second");
	pace_note(&p, counter + 1000000, now_us + S / 10);
	tap_u64(pace_per_s(&p), 1000, "a tenth of a second says nothing");
	pace_note(&p, counter += 12000, now_us += S);
	tap_u64(pace_per_s(&p), 2000, "a burst counts by a tenth or so");
	pace_note(&p, counter, now_us += 10 * S);
	tap_u64(pace_per_s(&p), 1000, "ten seconds of nothing: half");
	before = pace_per_s(&p);
	pace_note(&p, 3, now_us += S);
	tap_u64(
	    pace_per_s(&p), before, "a counter that begins anew is no jump");
	for (i = 0; i < 120; i++)
		pace_note(&p, 3, now_us += S);
	tap_u64(pace_per_s(&p), 0, "and it comes to rest");
}

static void
check_begin(void)
{
	struct pace p = { 0 };
	int64_t now_us = 77 * S;
	int i;

	tap_ok(!pace_is_measured(&p), "nothing is measured at first");
	pace_note(&p, 5000, now_us);
	pace_note(&p, 6000, now_us += S);
	tap_u64(pace_per_s(&p), 1000, "the first second counts as it is");
	pace_note(&p, 9000, now_us += S);
	tap_u64(pace_per_s(&p), 2000, "two of them are a mean");
	tap_ok(!pace_is_measured(&p), "which is not much to go by");
	for (i = 0; i < 3; i++)
		pace_note(&p, 9000, now_us += S);
	tap_ok(pace_is_measured(&p), "five seconds are");
	pace_note(&p, 1, now_us += S);
	tap_ok(!pace_is_measured(&p), "a counter that begins anew is not");
}

int
main(void)
{
	check_rate();
	check_begin();
	tap_ok(pace_eta_us(0, 0, 0) == 0, "nothing left: now");
	tap_ok(pace_eta_us(1000, 100, 0) == 10 * S, "1,000 at 100: 10 s");
	tap_ok(pace_eta_us(1000, 100, 50) == 20 * S, "50 come meanwhile: 20 s");
	tap_ok(pace_eta_us(1000, 100, 100) == -1, "as many come: never");
	tap_ok(pace_eta_us(1000, 0, 0) == -1, "nothing goes: never");
	tap_ok(pace_eta_us(150, 100, 100) == 0, "what is on its way: in step");
	tap_ok(pace_eta_us(UINT64_MAX, 1, 0) == -1, "ages: never");
	return tap_done();
}
