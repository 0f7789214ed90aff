#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/clock.h"

struct unit {
	const char *name;
	int64_t us;
};

#define MINUTE_US (60 * CLOCK_SECOND_US)
#define HOUR_US	  (60 * MINUTE_US)
#define DAY_US	  (24 * HOUR_US)

/* No "m": it could be minutes or months. */
static const struct unit units[] = {
	{ "ms", 1000 },
	{ "s", CLOCK_SECOND_US },
	{ "sec", CLOCK_SECOND_US },
	{ "secs", CLOCK_SECOND_US },
	{ "second", CLOCK_SECOND_US },
	{ "seconds", CLOCK_SECOND_US },
	{ "min", MINUTE_US },
	{ "mins", MINUTE_US },
	{ "minute", MINUTE_US },
	{ "minutes", MINUTE_US },
	{ "h", HOUR_US },
	{ "hour", HOUR_US },
	{ "hours", HOUR_US },
	{ "d", DAY_US },
	{ "day", DAY_US },
	{ "days", DAY_US },
	{ "w", 7 * DAY_US },
	{ "week", 7 * DAY_US },
	{ "weeks", 7 * DAY_US },
};

static const struct unit *
find_unit(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < COUNT_OF(units); i++)
		if (strlen(units[i].name) == len &&
		    strncasecmp(units[i].name, name, len) == 0)
			return &units[i];
	return NULL;
}

static int
bad_interval(const char *text, const char *why, struct err *e)
{
	(void)err_set(e, ERR_USAGE, "interval \"%.100s\" %s", text, why);
	return err_hint(e,
	    "Write whole numbers and units, such as 90s, 15min, 6h, 2d, 1w or "
	    "\"2d 3h\".");
}

/* A number with its unit at *p, added to *total.  A number that stands alone
 * is seconds. */
static int
parse_part(
    const char *text, const char **p, bool first, int64_t *total, struct err *e)
{
	const struct unit *unit;
	int64_t v = 0;
	size_t len = 0;

	if (!isdigit((unsigned char)**p))
		return bad_interval(text, "is not a number and a unit", e);
	for (; isdigit((unsigned char)**p); (*p)++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, **p - '0', &v))
			return bad_interval(text, "is too long", e);
	*p += strspn(*p, " \t");
	while (isalpha((unsigned char)(*p)[len]))
		len++;
	unit = len == 0 ? find_unit("s", 1) : find_unit(*p, len);
	if (unit == NULL)
		return bad_interval(text, "has a unit that is not known", e);
	if (len == 0 && (!first || **p != '\0'))
		return bad_interval(text, "is not a number and a unit", e);
	*p += len;
	if (__builtin_mul_overflow(v, unit->us, &v) ||
	    __builtin_add_overflow(*total, v, total))
		return bad_interval(text, "is too long", e);
	return 0;
}

int
clock_parse_interval(const char *text, int64_t *us, struct err *e)
{
	const char *p = text + strspn(text, " \t");
	int64_t total = 0;
	bool first = true;

	do {
		if (parse_part(text, &p, first, &total, e) == -1)
			return -1;
		first = false;
		p += strspn(p, " \t");
	} while (*p != '\0');
	*us = total;
	return 0;
}
