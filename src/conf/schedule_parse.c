/* Schedules and windows as people write them. */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/clock.h"
#include "conf/schedule.h"

#define EVERY_MIN_US (60 * CLOCK_SECOND_US)
#define EVERY_MAX_US (366 * 24 * 3600 * CLOCK_SECOND_US)

static const char *const month_names[] = { "jan", "feb", "mar", "apr", "may",
	"jun", "jul", "aug", "sep", "oct", "nov", "dec", NULL };
static const char *const weekday_names[] = { "sun", "mon", "tue", "wed", "thu",
	"fri", "sat", NULL };

static const struct {
	const char *name;
	const char *cron;
} nicknames[] = {
	{ "@hourly", "0 * * * *" },
	{ "@daily", "0 0 * * *" },
	{ "@midnight", "0 0 * * *" },
	{ "@weekly", "0 0 * * 0" },
	{ "@monthly", "0 0 1 * *" },
	{ "@yearly", "0 0 1 1 *" },
	{ "@annually", "0 0 1 1 *" },
};

/* One of the five fields: what it may hold. */
struct field {
	const char *what;
	int min, max;
	const char *const *names; /* of min, min + 1, ...; NULL: numbers only */
};

static const struct field fields[] = {
	{ "minute", 0, 59, NULL },
	{ "hour", 0, 23, NULL },
	{ "day of month", 1, 31, NULL },
	{ "month", 1, 12, month_names },
	{ "weekday", 0, 7, weekday_names },
};

/* ---- reading ---- */

/* A number or name of a field at *p, which moves behind it; -1 when there is
 * none or it is out of range. */
static int
field_value(const struct field *f, const char **p)
{
	char *end;
	long v;
	int i;

	for (i = 0; f->names != NULL && f->names[i] != NULL; i++) {
		if (strncasecmp(*p, f->names[i], 3) == 0) {
			*p += 3;
			return f->min + i;
		}
	}
	if (!isdigit((unsigned char)**p))
		return -1;
	v = strtol(*p, &end, 10);
	*p = end;
	return v < f->min || v > f->max ? -1 : (int)v;
}

/* "*", "5", "1-5", "mon-fri", each with an optional "/step": sets bits. */
static int
field_item(const struct field *f, const char **p, uint64_t *bits)
{
	int from = f->min, to = f->max, step = 1, v;
	bool open_end = true;
	char *end;

	if (**p == '*') {
		(*p)++;
	} else {
		if ((from = field_value(f, p)) == -1)
			return -1;
		to = from;
		open_end = false;
		if (**p == '-') {
			(*p)++;
			if ((to = field_value(f, p)) == -1 || to < from)
				return -1;
			open_end = true;
		}
	}
	if (**p == '/') {
		if (!isdigit((unsigned char)*++*p))
			return -1;
		step = (int)strtol(*p, &end, 10);
		if (step < 1 || step > f->max || end - *p > 2)
			return -1;
		*p = end;
		if (!open_end)
			to = f->max; /* "5/15": from 5 on */
	}
	for (v = from; v <= to; v += step)
		*bits |= (uint64_t)1 << v;
	return 0;
}

/* A list of items up to a blank or the end. */
static int
field_parse(const struct field *f, const char **p, uint64_t *bits, bool *any)
{
	*bits = 0;
	*any = **p == '*';
	for (;;) {
		if (field_item(f, p, bits) == -1)
			return -1;
		if (**p != ',')
			break;
		(*p)++;
	}
	return **p == '\0' || isblank((unsigned char)**p) ? 0 : -1;
}

static int
bad_field(const char *text, const struct field *f, struct err *e)
{
	(void)err_set(e, ERR_USAGE, "the %s in schedule \"%s\" is not valid",
	    f->what, text);
	return err_hint(e,
	    "It may be *, a number from %d to %d%s, a range such as %d-%d, "
	    "a step such as */2, or a list of these with commas and no blanks.",
	    f->min, f->max,
	    f->names == NULL ? ""
			     : ", a name such as its "
			       "first three letters",
	    f->min, f->max);
}

static int
cron_parse(struct schedule *s, const char *text, struct err *e)
{
	uint64_t bits[COUNT_OF(fields)];
	bool any[COUNT_OF(fields)];
	const char *p = text;
	size_t i;

	for (i = 0; i < COUNT_OF(fields); i++) {
		while (isblank((unsigned char)*p))
			p++;
		if (*p == '\0')
			break;
		if (field_parse(&fields[i], &p, &bits[i], &any[i]) == -1)
			return bad_field(text, &fields[i], e);
	}
	while (isblank((unsigned char)*p))
		p++;
	if (i < COUNT_OF(fields) || *p != '\0') {
		(void)err_set(e, ERR_USAGE,
		    "schedule \"%s\" does not have five fields", text);
		return err_hint(e,
		    "The fields are minute, hour, day of month, month, "
		    "weekday: \"0 3 * * 1-5\" is 03:00 from Monday to Friday; "
		    "or say \"every 6h\" or \"@daily\".");
	}
	s->minutes = bits[0];
	s->hours = (uint32_t)bits[1];
	s->days = (uint32_t)bits[2];
	s->months = (uint32_t)bits[3];
	s->weekdays = (uint8_t)((bits[4] | bits[4] >> 7) & 0x7f);
	s->any_day = any[2];
	s->any_weekday = any[4];
	return 0;
}

/* Is there a day in any year that fits? */
static bool
ever_due(const struct schedule *s)
{
	static const int lengths[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31,
		30, 31 };
	int month;
	uint32_t possible;

	if (!s->any_day && !s->any_weekday)
		return true; /* the weekday alone is enough */
	for (month = 1; month <= 12; month++) {
		possible = (uint32_t)(((uint64_t)2 << lengths[month - 1]) - 2);
		if ((s->months >> month & 1) != 0 && (s->days & possible) != 0)
			return true;
	}
	return false;
}

static int
every_parse(struct schedule *s, const char *text, struct err *e)
{
	const char *p = text + strlen("every");
	int64_t us;

	while (isblank((unsigned char)*p))
		p++;
	if (clock_parse_interval(p, &us, e) == -1)
		return err_ctx(e, "schedule \"%s\"", text);
	if (us < EVERY_MIN_US || us > EVERY_MAX_US) {
		(void)err_set(
		    e, ERR_USAGE, "schedule \"%s\" is out of range", text);
		return err_hint(e,
		    "The interval may be from 1min to 366d, such as "
		    "\"every 6h\".");
	}
	s->every_us = us;
	return 0;
}

int
schedule_parse(struct schedule *s, const char *text, struct err *e)
{
	struct schedule made = { 0 };
	const char *cron = text;
	size_t i;

	if (strncasecmp(text, "every", 5) == 0 &&
	    isblank((unsigned char)text[5])) {
		if (every_parse(&made, text, e) == -1)
			return -1;
		*s = made;
		return 0;
	}
	for (i = 0; i < COUNT_OF(nicknames); i++)
		if (strcasecmp(text, nicknames[i].name) == 0)
			cron = nicknames[i].cron;
	if (cron_parse(&made, cron, e) == -1)
		return -1;
	if (!ever_due(&made)) {
		(void)err_set(
		    e, ERR_USAGE, "schedule \"%s\" is never due", text);
		return err_hint(
		    e, "No month that it names has such a day of month.");
	}
	*s = made;
	return 0;
}

/* ---- windows ---- */

/* "22:00" at *p, which moves behind it; -1 when it is none. */
static int
minute_of_day(const char **p)
{
	const char *t = *p;
	int hour, minute;

	if (!isdigit((unsigned char)t[0]))
		return -1;
	hour = *t++ - '0';
	if (isdigit((unsigned char)t[0]))
		hour = hour * 10 + *t++ - '0';
	if (t[0] != ':' || !isdigit((unsigned char)t[1]) ||
	    !isdigit((unsigned char)t[2]))
		return -1;
	minute = (t[1] - '0') * 10 + t[2] - '0';
	*p = t + 3;
	return minute > 59 || hour * 60 + minute > 24 * 60 ? -1
							   : hour * 60 + minute;
}

int
window_of_day_parse(struct window_of_day *w, const char *text, struct err *e)
{
	const char *p = text;
	int from, to = -1;

	from = minute_of_day(&p);
	while (isblank((unsigned char)*p))
		p++;
	if (*p == '-') {
		for (p++; isblank((unsigned char)*p);)
			p++;
		to = minute_of_day(&p);
	}
	if (from == -1 || from == 24 * 60 || to == -1 || *p != '\0' ||
	    from == to) {
		(void)err_set(
		    e, ERR_USAGE, "\"%s\" is not a window of the day", text);
		return err_hint(e,
		    "Write two different times of the day, such as "
		    "22:00-05:00.");
	}
	w->from_min = from;
	w->to_min = to;
	return 0;
}
