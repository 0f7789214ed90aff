#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/mem.h"

#define YEAR_1_S     INT64_C(-62135596800) /* its start */
#define YEAR_10000_S INT64_C(253402300800)
#define DAY_S	     86400
#define ZONE_LOCAL   INT64_MIN /* no zone was written */
#define ZONE_MAX_S   (16 * 3600)

/* A date and a time of day as written, before a zone makes a moment of it. */
struct wall {
	int64_t day;	/* since 1970-01-01 */
	int64_t second; /* of that day */
	int64_t fraction_us;
	int64_t zone_s; /* east of UTC, or ZONE_LOCAL */
};

/* Exactly count digits at *p, which moves on; -1 when there are not so many. */
static int
digits(const char **p, unsigned int count)
{
	int v = 0;

	for (; count > 0; count--, (*p)++) {
		if (!isdigit((unsigned char)**p))
			return -1;
		v = v * 10 + (**p - '0');
	}
	return v;
}

static void
skip_blanks(const char **p)
{
	*p += strspn(*p, " \t");
}

static bool
skip_char(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

/* The word at *p, in any case, with no letter behind it. */
static bool
skip_word(const char **p, const char *word)
{
	size_t len = strlen(word);

	if (strncasecmp(*p, word, len) != 0 ||
	    isalpha((unsigned char)(*p)[len]))
		return false;
	*p += len;
	return true;
}

/* Days since 1970-01-01 of a date; *ok is false when there is no such date. */
static int64_t
day_of(int year, int month, int mday, bool *ok)
{
	struct tm tm = { 0 }, back = { 0 };
	time_t t;

	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	tm.tm_mday = mday;
	t = timegm(&tm);
	(void)gmtime_r(&t, &back);
	*ok = year > 0 && back.tm_year == year - 1900 &&
	    back.tm_mon == month - 1 && back.tm_mday == mday;
	return (int64_t)t / DAY_S;
}

/* "2026-11-21" or "20261121". */
static bool
parse_date(const char **p, struct wall *w)
{
	int year = digits(p, 4), month, mday;
	bool dashes = skip_char(p, '-'), ok;

	month = year == -1 ? -1 : digits(p, 2);
	if (month == -1 || skip_char(p, '-') != dashes)
		return false;
	mday = digits(p, 2);
	if (mday == -1)
		return false;
	w->day = day_of(year, month, mday, &ok);
	return ok;
}

/* ".678901": what is past the microsecond is dropped. */
static bool
parse_fraction(const char **p, struct wall *w)
{
	int64_t unit = CLOCK_SECOND_US / 10;

	if (!isdigit((unsigned char)**p))
		return false;
	for (; isdigit((unsigned char)**p); (*p)++) {
		w->fraction_us += (**p - '0') * unit;
		unit /= 10;
	}
	return true;
}

/* "3:04", "03:04:05", "03:04:05.678901" or "030405". */
static bool
parse_time(const char **p, struct wall *w)
{
	bool short_hour = isdigit((unsigned char)(*p)[0]) && (*p)[1] == ':';
	int hour = digits(p, short_hour ? 1 : 2), minute, second = 0;
	bool colons = skip_char(p, ':');

	minute = hour == -1 ? -1 : digits(p, 2);
	if (minute == -1)
		return false;
	if (!colons || **p == ':') {
		if (colons)
			(*p)++;
		second = digits(p, 2);
		if (second == -1 ||
		    (skip_char(p, '.') && !parse_fraction(p, w)))
			return false;
	}
	w->second = hour * 3600 + minute * 60 + second;
	return hour <= 23 && minute <= 59 && second <= 59;
}

/* "Z", "UTC", "+09", "+0900", "+09:00" or nothing. */
static bool
parse_zone(const char **p, struct wall *w)
{
	int sign, hours, minutes = 0;

	w->zone_s = ZONE_LOCAL;
	skip_blanks(p);
	if (skip_word(p, "Z") || skip_word(p, "UTC") || skip_word(p, "GMT")) {
		w->zone_s = 0;
		return true;
	}
	if (**p != '+' && **p != '-')
		return true;
	sign = *(*p)++ == '-' ? -1 : 1;
	hours = digits(p, 2);
	if (hours == -1)
		return false;
	if (skip_char(p, ':') || isdigit((unsigned char)**p))
		minutes = digits(p, 2);
	w->zone_s = sign * (hours * 3600 + minutes * 60);
	return minutes != -1 && minutes <= 59 &&
	    hours * 3600 + minutes * 60 < ZONE_MAX_S;
}

static int64_t
local_offset(int64_t second)
{
	time_t t = (time_t)second;
	struct tm tm = { 0 };

	(void)localtime_r(&t, &tm);
	return tm.tm_gmtoff;
}

static int
bad_time(const char *text, const char *why, struct err *e)
{
	(void)err_set(e, ERR_USAGE, "time \"%.100s\" %s", text, why);
	return err_hint(e,
	    "Write a time such as \"2026-11-21 03:04:05+01\", "
	    "\"2026-11-21T03:04:05Z\", \"yesterday 14:00\", "
	    "\"10 minutes ago\" or \"now\".");
}

/*
 * The moment that a local time stands for.  The offsets a day before and after
 * are the only ones it can have; each that holds at the moment it gives is an
 * answer.  None: the clock was put forward over it; two: it was put back.
 */
static int
local_to_utc(const char *text, int64_t local, int64_t *utc, struct err *e)
{
	int64_t before = local_offset(local - DAY_S);
	int64_t after = local_offset(local + DAY_S);
	bool first = local_offset(local - before) == before;
	bool second = local_offset(local - after) == after;

	if (!first && !second)
		return bad_time(
		    text, "does not exist in the local time zone", e);
	if (first && second && before != after) {
		(void)bad_time(
		    text, "is there twice in the local time zone", e);
		return err_hint(e,
		    "The clock is put back at that time: add the offset that "
		    "you mean, as in \"2026-10-25 02:30:00+02\".");
	}
	*utc = local - (first ? before : after);
	return 0;
}

static int
wall_to_us(const char *text, const struct wall *w, int64_t *us, struct err *e)
{
	int64_t s = w->day * DAY_S + w->second;

	if (w->zone_s != ZONE_LOCAL)
		s -= w->zone_s;
	else if (local_to_utc(text, s, &s, e) == -1)
		return -1;
	*us = s * CLOCK_SECOND_US + w->fraction_us;
	return 0;
}

/* "today" or "yesterday", which is day_shift -1, with a time or not. */
static int
parse_relative_day(const char *text, const char *p, int64_t now_us,
    int day_shift, int64_t *us, struct err *e)
{
	struct wall w = { 0 };
	int64_t now_s = now_us / CLOCK_SECOND_US, zone_s;

	skip_blanks(&p);
	if (isdigit((unsigned char)*p) && !parse_time(&p, &w))
		return bad_time(text, "has no such time of day", e);
	if (!parse_zone(&p, &w))
		return bad_time(text, "has a zone that is not valid", e);
	skip_blanks(&p);
	if (*p != '\0')
		return bad_time(text, "is not a time", e);
	zone_s = w.zone_s == ZONE_LOCAL ? local_offset(now_s) : w.zone_s;
	w.day = (now_s + zone_s) / DAY_S + day_shift;
	return wall_to_us(text, &w, us, e);
}

/* "10 minutes ago" */
static int
parse_ago(const char *text, int64_t now_us, int64_t *us, struct err *e)
{
	AUTO_FREE char *interval = mem_strdup(text);
	size_t len = strlen(text) - strlen("ago");
	int64_t back;

	interval[len] = '\0';
	if (clock_parse_interval(interval, &back, e) == -1)
		return bad_time(text, "is not a time", e);
	if (__builtin_sub_overflow(now_us, back, us))
		return bad_time(text, "is too long ago", e);
	return 0;
}

static int
parse_absolute(const char *text, const char *p, int64_t *us, struct err *e)
{
	struct wall w = { 0 };
	bool t;

	if (!parse_date(&p, &w))
		return bad_time(text, "does not start with a date", e);
	t = skip_char(&p, 'T') || skip_char(&p, 't');
	if (!t)
		skip_blanks(&p);
	if ((t || isdigit((unsigned char)*p)) && !parse_time(&p, &w))
		return bad_time(text, "has no such time of day", e);
	if (!parse_zone(&p, &w))
		return bad_time(text, "has a zone that is not valid", e);
	skip_blanks(&p);
	if (*p != '\0')
		return bad_time(text, "is not a time", e);
	return wall_to_us(text, &w, us, e);
}

static int
parse(const char *text, int64_t now_us, int64_t *us, struct err *e)
{
	AUTO_FREE char *copy = NULL;
	const char *p = text;
	size_t len;

	skip_blanks(&p);
	len = strlen(p);
	while (len > 0 && isblank((unsigned char)p[len - 1]))
		len--;
	copy = mem_strndup(p, len);
	p = copy;
	if (strcasecmp(p, "now") == 0) {
		*us = now_us;
		return 0;
	}
	if (len > 3 && strcasecmp(p + len - 3, "ago") == 0)
		return parse_ago(p, now_us, us, e);
	if (skip_word(&p, "today"))
		return parse_relative_day(copy, p, now_us, 0, us, e);
	if (skip_word(&p, "yesterday"))
		return parse_relative_day(copy, p, now_us, -1, us, e);
	return parse_absolute(copy, p, us, e);
}

int
clock_parse(const char *text, int64_t now_us, int64_t *us, struct err *e)
{
	int64_t v;

	if (parse(text, now_us, &v, e) == -1)
		return -1;
	/* With its zone it may be a year that cannot be written. */
	if (v < YEAR_1_S * CLOCK_SECOND_US ||
	    v >= YEAR_10000_S * CLOCK_SECOND_US)
		return bad_time(text, "is out of range", e);
	*us = v;
	return 0;
}
