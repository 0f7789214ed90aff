/*
 * clock_parse(): every way to write a time that is documented, and what is no
 * time.  A wrong reading here recovers a cluster to the wrong moment.
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/clock.h"
#include "tap.h"

/* Middle Europe: +01, in summer +02; put forward on 2026-03-29 at 02:00, put
 * back on 2026-10-25 at 03:00. */
#define MIDDLE_EUROPE "CET-1CEST,M3.5.0,M10.5.0/3"

/* 2026-11-21 03:04:05.5 UTC */
#define NOW_US (INT64_C(1795230245500000))

static void
use_zone(const char *zone)
{
	(void)setenv("TZ", zone, 1);
	tzset();
}

static void
gives(const char *text, const char *utc)
{
	char out[CLOCK_TEXT_BYTES];
	struct err e = ERR_INIT;
	int64_t us;

	if (clock_parse(text, NOW_US, &us, &e) == -1)
		(void)tap_str(e.text, utc, "\"%s\"", text);
	else
		(void)tap_str(clock_utc(us, out), utc, "\"%s\"", text);
}

static void
refused(const char *text)
{
	struct err e = ERR_INIT;
	int64_t us = 77;

	tap_ok(clock_parse(text, NOW_US, &us, &e) == -1 &&
		e.kind == ERR_USAGE && e.hint[0] != '\0' && us == 77,
	    "refused \"%s\": %s", text, e.text);
}

static void
check_zones(void)
{
	gives("2026-11-21 03:04:05Z", "2026-11-21 03:04:05+00");
	gives("2026-11-21 03:04:05z", "2026-11-21 03:04:05+00");
	gives("2026-11-21 03:04:05 UTC", "2026-11-21 03:04:05+00");
	gives("2026-11-21 03:04:05 gmt", "2026-11-21 03:04:05+00");
	gives("2026-11-21 03:04:05+00", "2026-11-21 03:04:05+00");
	gives("2026-11-21 03:04:05+09", "2026-11-20 18:04:05+00");
	gives("2026-11-21 03:04:05 +09", "2026-11-20 18:04:05+00");
	gives("2026-11-21 03:04:05+0930", "2026-11-20 17:34:05+00");
	gives("2026-11-21 03:04:05-09:30", "2026-11-21 12:34:05+00");
	gives("2026-11-21T03:04:05.25+01:00", "2026-11-21 02:04:05.250000+00");
	gives("2026-11-21 03:04:05+15:59", "2026-11-20 11:05:05+00");
	gives("2026-11-21 03:04:05", "2026-11-21 02:04:05+00");
	gives("2026-07-21 03:04:05", "2026-07-21 01:04:05+00");
	refused("2026-11-21 03:04:05+16");
	refused("2026-11-21 03:04:05+9");
	refused("2026-11-21 03:04:05+09:5");
	refused("2026-11-21 03:04:05+09:60");
	refused("2026-11-21 03:04:05+");
	refused("2026-11-21 03:04:05 CET");
	refused("2026-11-21 03:04:05 Zulu");
	refused("2026-11-21 03:04:05Z+01");
}

static void
check_dates(void)
{
	gives("2026-11-21 03:04Z", "2026-11-21 03:04:00+00");
	gives("2026-11-21T3:04Z", "2026-11-21 03:04:00+00");
	gives("2026-11-21t03:04:05Z", "2026-11-21 03:04:05+00");
	gives("  2026-11-21   03:04:05  Z  ", "2026-11-21 03:04:05+00");
	gives("2026-11-21 03:04:05.6789Z", "2026-11-21 03:04:05.678900+00");
	gives("2026-11-21 03:04:05.6789019Z", "2026-11-21 03:04:05.678901+00");
	gives("20261121T030405Z", "2026-11-21 03:04:05+00");
	gives("2026-11-21Z", "2026-11-21 00:00:00+00");
	gives("2026-11-21", "2026-11-20 23:00:00+00");
	gives("2024-02-29 00:00Z", "2024-02-29 00:00:00+00");
	gives("2000-02-29 00:00Z", "2000-02-29 00:00:00+00");
	gives("1969-12-31 23:59:59Z", "1969-12-31 23:59:59+00");
	gives("1960-01-01 00:00:00Z", "1960-01-01 00:00:00+00");
	gives("9999-12-31 23:59:59Z", "9999-12-31 23:59:59+00");
	gives("0001-01-01 00:00Z", "0001-01-01 00:00:00+00");
	gives("0999-01-01 00:00Z", "0999-01-01 00:00:00+00");
	refused("0001-01-01 00:00+01");
	refused("9999-12-31 23:59:59-01");
	refused("2026-02-29 00:00Z");
	refused("1900-02-29 00:00Z");
	refused("2026-04-31");
	refused("2026-13-01");
	refused("2026-00-01");
	refused("2026-01-00");
	refused("0000-01-01");
	refused("2026-11-21 24:00Z");
	refused("2026-11-21 03:60Z");
	refused("2026-11-21 03:04:60Z");
	refused("2026-11-21 03:04:5Z");
	refused("2026-11-21 03:4");
	refused("2026-11-21 03");
	refused("2026-11-21 03:04:");
	refused("2026-11-21 03:04:05.");
	refused("2026-11-21 03:04:05.x");
	refused("2026-11-21T");
	refused("2026-11-21TZ");
	refused("2026-1-5");
	refused("2026-1121");
	refused("21.11.2026");
	refused("11/21/2026");
	refused("2026-11-21 03:04:05 x");
	refused("2026-11-21 03:04:05Z x");
	refused("+2026-11-21");
	refused("1795230245");
	refused("03:04:05");
}

static void
check_relative(void)
{
	gives("now", "2026-11-21 03:04:05.500000+00");
	gives(" NOW ", "2026-11-21 03:04:05.500000+00");
	gives("10 minutes ago", "2026-11-21 02:54:05.500000+00");
	gives("10min ago", "2026-11-21 02:54:05.500000+00");
	gives("2h ago", "2026-11-21 01:04:05.500000+00");
	gives("1 hour ago", "2026-11-21 02:04:05.500000+00");
	gives("1 day 2 hours ago", "2026-11-20 01:04:05.500000+00");
	gives("1 Week Ago", "2026-11-14 03:04:05.500000+00");
	gives("90 s ago", "2026-11-21 03:02:35.500000+00");
	gives("90 ago", "2026-11-21 03:02:35.500000+00");
	gives("500ms ago", "2026-11-21 03:04:05+00");
	gives("today", "2026-11-20 23:00:00+00");
	gives("today 08:30", "2026-11-21 07:30:00+00");
	gives("Yesterday 14:00", "2026-11-20 13:00:00+00");
	gives("yesterday 9:05:06.5", "2026-11-20 08:05:06.500000+00");
	gives("yesterday", "2026-11-19 23:00:00+00");
	gives("yesterday 14:00Z", "2026-11-20 14:00:00+00");
	/* In Honolulu it is still the 20th. */
	gives("today 14:00 -10", "2026-11-21 00:00:00+00");
	gives("yesterday 14:00 -1000", "2026-11-20 00:00:00+00");
	refused("");
	refused("   ");
	refused("ago");
	refused(" ago");
	refused("10 ages ago");
	refused("10m ago");
	refused("-10 minutes ago");
	refused("minutes ago");
	refused("99999999999999 weeks ago");
	refused("9223372036854775807ms ago");
	refused("800000 days ago");
	refused("nowadays");
	refused("now 10:00");
	refused("todays");
	refused("today 25:00");
	refused("today x");
	refused("yesterday 14:00 x");
	refused("yesterday 14:00+99");
	refused("tomorrow");
	refused("noon");
}

/* Local times around the two nights of the year that are not 24 hours long. */
static void
check_summer_time(void)
{
	struct err e = ERR_INIT;
	int64_t us;

	gives("2026-03-29 01:59:59", "2026-03-29 00:59:59+00");
	refused("2026-03-29 02:00:00");
	refused("2026-03-29 02:59:59");
	gives("2026-03-29 03:00:00", "2026-03-29 01:00:00+00");
	gives("2026-10-25 01:59:59", "2026-10-24 23:59:59+00");
	refused("2026-10-25 02:00:00");
	refused("2026-10-25 02:59:59");
	gives("2026-10-25 03:00:00", "2026-10-25 02:00:00+00");
	gives("2026-10-25 02:30:00+02", "2026-10-25 00:30:00+00");
	gives("2026-10-25 02:30:00+01", "2026-10-25 01:30:00+00");
	(void)clock_parse("2026-10-25 02:30:00", NOW_US, &us, &e);
	tap_ok(
	    strstr(e.text, "twice") != NULL && strstr(e.hint, "offset") != NULL,
	    "a time that is there twice asks for an offset: %s", e.hint);
	(void)clock_parse("2026-03-29 02:30:00", NOW_US, &us, &e);
	tap_ok(strstr(e.text, "does not exist") != NULL,
	    "one that is not there says so: %s", e.text);
}

/* What we print reads back as the same moment. */
static void
check_round_trip(void)
{
	static const char *const zones[] = { "UTC", MIDDLE_EUROPE, "EST5EDT",
		"IST-5:30", "NST3:30" };
	char out[CLOCK_TEXT_BYTES];
	unsigned int wrong = 0, z, i;
	int64_t us, back;

	for (z = 0; z < COUNT_OF(zones); z++) {
		use_zone(zones[z]);
		for (i = 0; i < 20000; i++) {
			us =
			    INT64_C(1767225600000000) + i * INT64_C(1799999937);
			if (clock_parse(clock_local(us, out), 0, &back, NULL) ==
				-1 ||
			    back != us)
				wrong++;
			if (clock_parse(clock_utc(us, out), 0, &back, NULL) ==
				-1 ||
			    back != us)
				wrong++;
			if (clock_parse(
				clock_compact(us, out), 0, &back, NULL) == -1 ||
			    back != us - us % CLOCK_SECOND_US)
				wrong++;
		}
	}
	tap_u64(wrong, 0, "what is printed reads back, a year through");
}

static void
check_interval(void)
{
	static const struct {
		const char *text;
		int64_t us;
	} good[] = { { "90", 90000000 }, { "90s", 90000000 },
		{ "15min", 900000000 }, { "15 minutes", 900000000 },
		{ "6h", INT64_C(21600000000) }, { "2d", INT64_C(172800000000) },
		{ "1w", INT64_C(604800000000) }, { "500ms", 500000 },
		{ "0", 0 }, { " 1 sec ", 1000000 }, { "1MIN", 60000000 },
		{ "2d 3h", INT64_C(183600000000) },
		{ "1h30min", INT64_C(5400000000) },
		{ "106751991d", INT64_C(106751991) * 86400 * 1000000 } };
	static const char *const bad[] = { "", " ", "s", "-1s", "1.5h", "5m",
		"5 months", "1y", "2d 3", "3 2d", "1 2", "5s,", "min",
		"106751992d", "9223372036854775808", "9223372036854775807s",
		"106751991d 5h" };
	struct err e = ERR_INIT;
	int64_t us;
	size_t i;

	for (i = 0; i < COUNT_OF(good); i++) {
		us = -1;
		(void)clock_parse_interval(good[i].text, &us, &e);
		tap_u64((uint64_t)us, (uint64_t)good[i].us, "interval \"%s\"",
		    good[i].text);
	}
	for (i = 0; i < COUNT_OF(bad); i++) {
		us = 77;
		err_clear(&e);
		tap_ok(clock_parse_interval(bad[i], &us, &e) == -1 &&
			e.kind == ERR_USAGE && e.hint[0] != '\0' && us == 77,
		    "no interval: \"%s\": %s", bad[i], e.text);
	}
}

int
main(void)
{
	use_zone(MIDDLE_EUROPE);
	check_zones();
	check_dates();
	check_relative();
	check_summer_time();
	check_interval();
	check_round_trip();
	return tap_done();
}
