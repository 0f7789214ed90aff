/*
 * pgmanifest_text: what counts as UTF-8, and times at the edges.
 */

#include "pg/pgmanifest_text.h"

#include <string.h>

#include "tap.h"

static const struct {
	const char *text;
	bool valid;
} texts[] = {
	{ "", true },
	{ "plain", true },
	{ "\x01\x7f", true },
	{ "\x80", false },
	{ "\xbf", false },
	{ "\xc1\xbf", false },
	{ "\xc2\x80", true },
	{ "\xc2\x7f", false },
	{ "\xc2\xc0", false },
	{ "\xc2", false },
	{ "\xdf\xbf", true },
	{ "\xe0\x9f\xbf", false },
	{ "\xe0\xa0\x80", true },
	{ "\xe1\x80\x80", true },
	{ "\xe1\x80", false },
	{ "\xe1\x80\x7f", false },
	{ "\xe1\x80\xc0", false },
	{ "\xed\x9f\xbf", true },
	{ "\xed\xa0\x80", false },
	{ "\xee\x80\x80", true },
	{ "\xef\xbf\xbf", true },
	{ "\xf0\x8f\xbf\xbf", false },
	{ "\xf0\x90\x80\x80", true },
	{ "\xf1\x80\x80\x80", true },
	{ "\xf1\x80\x80", false },
	{ "\xf1\x80\x80\x7f", false },
	{ "\xf3\xbf\xbf\xbf", true },
	{ "\xf4\x8f\xbf\xbf", true },
	{ "\xf4\x90\x80\x80", false },
	{ "\xf5\x80\x80\x80", false },
	{ "\xff", false },
	{ "a\xc3\xa9z", true },
	{ "a\xc3z", false },
};

static void
check_time(int64_t seconds, const char *want)
{
	AUTO_BUF struct buf out = BUF_INIT;
	int64_t back = 0;

	pgmanifest_put_time(&out, seconds);
	tap_str(buf_str(&out), want, "a time");
	tap_ok(
	    pgmanifest_time_parse(want, &back) && back == seconds, "and back");
}

static void
check_times(void)
{
	AUTO_BUF struct buf out = BUF_INIT;
	int64_t seconds = 7;

	check_time(0, "1970-01-01 00:00:00 GMT");
	check_time(-62167219200, "0000-01-01 00:00:00 GMT");
	check_time(-62167219199, "0000-01-01 00:00:01 GMT");
	check_time(-50000000000, "0385-07-25 07:06:40 GMT");
	check_time(253402300798, "9999-12-31 23:59:58 GMT");
	check_time(253402300799, "9999-12-31 23:59:59 GMT");
	check_time(1795237898, "2026-11-21 05:11:38 GMT");

	pgmanifest_put_time(&out, -62167219201);
	buf_put_u8(&out, '|');
	pgmanifest_put_time(&out, 253402300800);
	tap_str(buf_str(&out),
	    "0000-01-01 00:00:00 GMT|9999-12-31 23:59:59 GMT",
	    "years that have no four digits");

	tap_ok(pgmanifest_time_parse("2016-12-31 23:59:60 GMT", &seconds) &&
		seconds == 1483228800,
	    "a leap second");
	tap_ok(pgmanifest_time_parse("1000000-01-01 00:00:00 GMT", &seconds),
	    "a far year");
	seconds = 7;
	tap_ok(!pgmanifest_time_parse("1000001-01-01 00:00:00 GMT", &seconds),
	    "too far a year");
	tap_ok(!pgmanifest_time_parse("", &seconds), "no time");
	tap_ok(!pgmanifest_time_parse("-001-01-01 00:00:00 GMT", &seconds),
	    "before the first year");
	tap_ok(!pgmanifest_time_parse("2026-11-21 05:11:38 GMT ", &seconds),
	    "a blank behind");
	tap_u64((uint64_t)seconds, 7, "nothing is changed");
}

int
main(void)
{
	size_t i;

	for (i = 0; i < COUNT_OF(texts); i++)
		tap_ok(pgmanifest_utf8_valid(texts[i].text) == texts[i].valid,
		    "text %zu is %svalid", i, texts[i].valid ? "" : "not ");
	check_times();
	return tap_done();
}
