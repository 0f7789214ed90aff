#include "base/size.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char units[] = "kMGTPE";

/* How often to multiply by 1024: 0 for "" and "B", 1 for "k", "kB", "KiB"...;
 * -1 when it is no unit. */
static int
unit_power(const char *unit)
{
	const char *p;

	if (unit[0] == '\0' || strcasecmp(unit, "b") == 0)
		return 0;
	for (p = units; *p != '\0'; p++)
		if (tolower((unsigned char)*p) ==
		    tolower((unsigned char)unit[0]))
			break;
	if (*p == '\0' ||
	    (unit[1] != '\0' && strcasecmp(unit + 1, "b") != 0 &&
		strcasecmp(unit + 1, "ib") != 0))
		return -1;
	return (int)(p - units) + 1;
}

static int
bad_size(const char *text, const char *why, struct err *e)
{
	(void)err_set(e, ERR_USAGE, "size \"%.100s\" %s", text, why);
	return err_hint(e,
	    "Write a whole number and a unit, such as 512kB, 64MB or 1GB; "
	    "units are powers of 1024.");
}

int
size_parse(const char *text, uint64_t *bytes, struct err *e)
{
	const char *p = text;
	uint64_t v = 0;
	int power;

	if (!isdigit((unsigned char)*p))
		return bad_size(text, "does not start with a number", e);
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return bad_size(text, "is too large", e);
	p += strspn(p, " ");
	power = unit_power(p);
	if (power == -1)
		return bad_size(text, "has no unit that is known", e);
	for (; power > 0; power--)
		if (__builtin_mul_overflow(v, 1024, &v))
			return bad_size(text, "is too large", e);
	*bytes = v;
	return 0;
}

const char *
size_text(uint64_t bytes, char out[SIZE_TEXT_BYTES])
{
	double v = (double)bytes;
	unsigned int power = 0;
	int digits;

	if (bytes < 1024) {
		(void)snprintf(out, SIZE_TEXT_BYTES, "%u byte%s",
		    (unsigned int)bytes, bytes == 1 ? "" : "s");
		return out;
	}
	while (v >= 1023.5 && power < sizeof(units) - 1) {
		v /= 1024;
		power++;
	}
	digits = v < 9.995 ? 2 : v < 99.95 ? 1 : 0;
	(void)snprintf(
	    out, SIZE_TEXT_BYTES, "%.*f %cB", digits, v, units[power - 1]);
	return out;
}
