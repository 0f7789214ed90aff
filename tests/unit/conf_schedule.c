/*
 * Schedules: the grammar, and years of virtual time in several zones.
 *
 * The years are checked against a slow clock: every minute of them is looked
 * at, and a schedule is due where the wall reaches a minute that matches for
 * the first time.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/clock.h"
#include "conf/schedule.h"
#include "tap.h"

#define S CLOCK_SECOND_US

static void
zone(const char *name)
{
	(void)setenv("TZ", name, 1);
	tzset();
}

/* Local time as the zone has it, in microseconds. */
static int64_t
at(int year, int month, int day, int hour, int minute)
{
	struct tm tm = { .tm_year = year - 1900,
		.tm_mon = month - 1,
		.tm_mday = day,
		.tm_hour = hour,
		.tm_min = minute,
		.tm_isdst = -1 };

	return (int64_t)mktime(&tm) * S;
}

static const char *
text_of(int64_t us)
{
	static char out[64];
	time_t t = (time_t)(us / S);
	struct tm tm;

	(void)localtime_r(&t, &tm);
	(void)strftime(out, sizeof(out), "%F %H:%M:%S %Z", &tm);
	return out;
}

static int64_t
next_of(const char *cron, int64_t after_us)
{
	struct schedule s;
	struct err e = ERR_INIT;

	if (schedule_parse(&s, cron, &e) == -1)
		tap_bail("%s: %s", cron, e.text);
	return schedule_next(&s, after_us, 0);
}

static void
is_next(const char *cron, int64_t after_us, const char *want)
{
	tap_str(text_of(next_of(cron, after_us)), want, "\"%s\" after %s", cron,
	    want);
}

/* ---- grammar ---- */

static void
check_accepted(void)
{
	static const char *const good[] = { "0 3 * * *", "*/15 * * * *",
		"0 3 * * 1-5", "0 3 * * mon-fri", "0 3 1,15 * *",
		"30 2 * jan,JUL sun", "0 0 29 2 *", "5/15 * * * *",
		"0-59/7 0-23/2 1-31 1-12 0-7", "  0\t3 *  * * ", "@daily",
		"@HOURLY", "@weekly", "@monthly", "@yearly", "every 6h",
		"every 90 min", "Every 1d 12h", "0 0 30 2 mon" };
	struct schedule s;
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; i < COUNT_OF(good); i++)
		tap_ok(schedule_parse(&s, good[i], &e) == 0,
		    "\"%s\" is a schedule", good[i]);
}

static void
check_refused(void)
{
	static const char *const bad[] = { "", " ", "0 3 * *", "0 3 * * * *",
		"60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *",
		"* * * 0 *", "* * * 13 *", "* * * * 8", "a * * * *",
		"1- * * * *", "5-1 * * * *", "*/0 * * * *", "*/60 * * * *",
		"1,,2 * * * *", "1, * * * *", "-1 * * * *", "* * * * mo",
		"1x * * * *", "99999999999999999999 * * * *",
		"*/99999999999999999999 * * * *", "@often", "every", "every 0s",
		"every 10s", "every 400d", "every day", "every -1h",
		"0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 30,31 feb */2" };
	struct schedule s = { .every_us = 77 };
	struct err e;
	size_t i;

	for (i = 0; i < COUNT_OF(bad); i++) {
		e = (struct err)ERR_INIT;
		tap_ok(schedule_parse(&s, bad[i], &e) == -1 &&
			e.kind == ERR_USAGE && e.hint[0] != '\0',
		    "\"%s\" is refused: %s", bad[i], e.text);
	}
	tap_u64((uint64_t)s.every_us, 77, "what is refused changes nothing");
}

/* ---- single moments ---- */

static void
check_moments(void)
{
	zone("UTC");
	is_next("0 3 * * *", at(2026, 11, 21, 3, 0), "2026-11-22 03:00:00 UTC");
	is_next(
	    "0 3 * * *", at(2026, 11, 21, 3, 0) - 1, "2026-11-21 03:00:00 UTC");
	is_next(
	    "0 3 * * 1-5", at(2026, 11, 20, 4, 0), "2026-11-23 03:00:00 UTC");
	is_next("0 0 29 2 *", at(2026, 1, 1, 0, 0), "2028-02-29 00:00:00 UTC");
	is_next("0 0 29 2 *", at(2096, 3, 1, 0, 0), "2104-02-29 00:00:00 UTC");
	is_next(
	    "0 0 29 2 */7", at(2004, 3, 1, 0, 0), "2032-02-29 00:00:00 UTC");
	is_next(
	    "0 0 13 * fri", at(2026, 11, 21, 0, 0), "2026-11-27 00:00:00 UTC");
	is_next(
	    "0 0 */2 * fri", at(2026, 11, 21, 0, 0), "2026-11-27 00:00:00 UTC");
	is_next("0 0 * * 7", at(2026, 11, 21, 0, 0), "2026-11-22 00:00:00 UTC");
	is_next("5/20 12 * * *", at(2026, 11, 21, 12, 26),
	    "2026-11-21 12:45:00 UTC");
	is_next("0 0 1 1 *", -5 * 366 * 86400 * S, "1965-01-01 00:00:00 UTC");
}

/* Clocks go forward at 02:00 and back at 03:00 local time. */
static void
check_summer_time(void)
{
	zone("Europe/Berlin");
	is_next(
	    "30 2 * * *", at(2026, 3, 28, 3, 0), "2026-03-29 03:00:00 CEST");
	is_next(
	    "30 2 * * *", at(2026, 3, 29, 3, 0), "2026-03-30 02:30:00 CEST");
	is_next(
	    "*/10 2 * * *", at(2026, 3, 29, 1, 0), "2026-03-29 03:00:00 CEST");
	is_next(
	    "30 2 * * *", at(2026, 10, 24, 3, 0), "2026-10-25 02:30:00 CEST");
	is_next("30 2 * * *", next_of("30 2 * * *", at(2026, 10, 24, 3, 0)),
	    "2026-10-26 02:30:00 CET");
	zone("Pacific/Apia");
	is_next(
	    "0 12 * * *", at(2011, 12, 29, 12, 0), "2011-12-31 00:00:00 +14");
	zone("America/Sao_Paulo"); /* midnight itself does not exist */
	is_next("0 0 * * *", at(2018, 11, 3, 12, 0), "2018-11-04 01:00:00 -02");
}

/* ---- years against the slow clock ---- */

static bool
matches(const struct schedule *s, const struct tm *tm)
{
	bool day = (s->days >> tm->tm_mday & 1) != 0;
	bool weekday = (s->weekdays >> tm->tm_wday & 1) != 0;

	return (s->minutes >> tm->tm_min & 1) != 0 &&
	    (s->hours >> tm->tm_hour & 1) != 0 &&
	    (s->months >> (tm->tm_mon + 1) & 1) != 0 &&
	    (s->any_day || s->any_weekday ? day && weekday : day || weekday);
}

/*
 * Every minute of a span: the wall shows `wall`; each wall minute between the
 * highest shown so far and this one is reached now for the first time.
 */
static unsigned int
disagreements(const struct schedule *s, int64_t from, int64_t to)
{
	int64_t next = schedule_next(s, (from - 1) * S, 0) / S, t, wall, seen;
	unsigned int wrong = 0;
	time_t shown, local = (time_t)from - 60;
	struct tm tm;
	bool due;

	(void)localtime_r(&local, &tm);
	seen = (int64_t)local + tm.tm_gmtoff;
	for (t = from; t < to; t += 60) {
		local = (time_t)t;
		(void)localtime_r(&local, &tm);
		wall = t + tm.tm_gmtoff;
		for (due = false; seen < wall;) {
			seen += 60;
			shown = (time_t)seen;
			(void)gmtime_r(&shown, &tm);
			due |= matches(s, &tm);
		}
		if (due != (next == t))
			wrong++;
		if (next <= t)
			next = schedule_next(s, t * S, 0) / S;
	}
	return wrong;
}

static void
check_years(void)
{
	static const struct {
		const char *zone;
		int64_t from, years;
	} spans[] = { { "UTC", 1767225600, 1 },
		{ "Europe/Berlin", 1767225600, 3 },
		{ "America/New_York", 1767225600, 1 },
		{ "Australia/Lord_Howe", 1767225600, 1 },
		{ "America/Sao_Paulo", 1514764800, 1 },
		{ "Pacific/Apia", 1293840000, 1 },
		{ "Africa/Casablanca", 1767225600, 1 } };
	static const char *const crons[] = { "0 3 * * *", "30 2 * * *",
		"*/20 * * * *", "59 23 28-31 * mon-fri", "0 0 1,15 * sun" };
	struct schedule s;
	struct err e = ERR_INIT;
	size_t i, j;

	for (i = 0; i < COUNT_OF(spans); i++) {
		zone(spans[i].zone);
		for (j = 0; j < COUNT_OF(crons); j++) {
			if (schedule_parse(&s, crons[j], &e) == -1)
				tap_bail("%s", e.text);
			tap_u64(
			    disagreements(&s, spans[i].from,
				spans[i].from + spans[i].years * 365 * 86400),
			    0, "\"%s\" in %s, minute by minute", crons[j],
			    spans[i].zone);
		}
	}
}

/* ---- every, missed, windows ---- */

static void
check_every(void)
{
	struct schedule s;
	struct err e = ERR_INIT;
	int64_t hour = 3600 * S, now = at(2026, 11, 21, 0, 0);

	if (schedule_parse(&s, "every 6h", &e) == -1)
		tap_bail("%s", e.text);
	tap_ok(schedule_next(&s, now, now) == now + 6 * hour,
	    "every 6h is due 6 hours after the last start");
	tap_ok(schedule_next(&s, now, 0) == now + 1, "never ran: due at once");
	tap_ok(schedule_next(&s, now, now - 7 * hour) == now + 1,
	    "late: due at once");
	tap_ok(!schedule_missed(&s, now - 5 * hour, now), "5 h: not missed");
	tap_ok(schedule_missed(&s, now - 6 * hour, now), "6 h: missed");
	tap_ok(schedule_missed(&s, 0, now), "never ran: missed");
	tap_ok(!schedule_missed(&s, now + hour, now),
	    "a start in the future: not missed");
}

static void
check_missed(void)
{
	struct schedule s;
	struct err e = ERR_INIT;

	zone("Europe/Berlin");
	if (schedule_parse(&s, "0 3 * * *", &e) == -1)
		tap_bail("%s", e.text);
	tap_ok(!schedule_missed(
		   &s, at(2026, 11, 21, 3, 0), at(2026, 11, 22, 3, 0) - 1),
	    "not missed before it is due");
	tap_ok(
	    schedule_missed(&s, at(2026, 11, 21, 3, 0), at(2026, 11, 22, 3, 0)),
	    "missed when it is due");
	tap_ok(
	    schedule_missed(&s, at(2026, 11, 1, 3, 0), at(2026, 11, 22, 2, 0)),
	    "missed after weeks");
	tap_ok(schedule_missed(&s, 0, at(2026, 11, 22, 2, 0)),
	    "never ran: missed");
}

static void
check_windows(void)
{
	static const char *const bad[] = { "", "22:00", "22:00-", "-05:00",
		"22:00-22:00", "24:00-05:00", "22:60-05:00", "25:00-05:00",
		"22:00-05:00x", "2200-0500", "22:0-05:00", "22:00-24:01" };
	struct window_of_day w;
	struct err e = ERR_INIT;
	size_t i;

	zone("Asia/Tokyo");
	tap_ok(window_of_day_parse(&w, "22:00-05:00", &e) == 0,
	    "a window over midnight");
	tap_ok(window_of_day_contains(&w, at(2026, 11, 21, 22, 0)) &&
		window_of_day_contains(&w, at(2026, 11, 21, 0, 0)) &&
		window_of_day_contains(&w, at(2026, 11, 21, 4, 59)),
	    "what lies in it");
	tap_ok(!window_of_day_contains(&w, at(2026, 11, 21, 5, 0)) &&
		!window_of_day_contains(&w, at(2026, 11, 21, 21, 59)),
	    "what does not");
	tap_ok(window_of_day_parse(&w, "9:00 - 24:00", &e) == 0,
	    "a window up to midnight");
	tap_ok(window_of_day_contains(&w, at(2026, 11, 21, 23, 59)) &&
		!window_of_day_contains(&w, at(2026, 11, 22, 0, 0)),
	    "it ends there");
	for (i = 0; i < COUNT_OF(bad); i++)
		tap_ok(window_of_day_parse(&w, bad[i], &e) == -1 &&
			e.kind == ERR_USAGE,
		    "\"%s\" is no window", bad[i]);
}

int
main(void)
{
	check_accepted();
	check_refused();
	check_moments();
	check_summer_time();
	check_years();
	check_every();
	check_missed();
	check_windows();
	return tap_done();
}
