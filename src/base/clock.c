#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t
read_clock(clockid_t which)
{
	struct timespec ts;

	/* Cannot fail: the clock is there and ts is ours. */
	(void)clock_gettime(which, &ts);
	return (int64_t)ts.tv_sec * CLOCK_SECOND_US + ts.tv_nsec / 1000;
}

int64_t
clock_now_us(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t
clock_boot_us(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

void
clock_sleep_us(int64_t us)
{
	struct timespec ts;

	if (us <= 0)
		return;
	ts.tv_sec = (time_t)(us / CLOCK_SECOND_US);
	ts.tv_nsec = (long)(us % CLOCK_SECOND_US) * 1000;
	(void)nanosleep(&ts, NULL);
}

/* Seconds, rounded down, and what is left: 0 to 999,999. */
static time_t
split(int64_t us, int *fraction)
{
	int64_t s = us / CLOCK_SECOND_US, f = us % CLOCK_SECOND_US;

	if (f < 0) {
		f += CLOCK_SECOND_US;
		s--;
	}
	*fraction = (int)f;
	return (time_t)s;
}

/* Date, time and fraction into out; the length. */
static size_t
put_fields(const struct tm *tm, int fraction, char out[CLOCK_TEXT_BYTES])
{
	/* strftime() does not fill years up to four digits. */
	int len =
	    snprintf(out, CLOCK_TEXT_BYTES, "%04lld", tm->tm_year + 1900LL);

	len += (int)strftime(
	    out + len, CLOCK_TEXT_BYTES - (size_t)len, "-%m-%d %H:%M:%S", tm);
	if (fraction != 0)
		len += snprintf(out + len, CLOCK_TEXT_BYTES - (size_t)len,
		    ".%06d", fraction);
	return (size_t)len;
}

const char *
clock_local(int64_t us, char out[CLOCK_TEXT_BYTES])
{
	struct tm tm = { 0 };
	int fraction;
	time_t s = split(us, &fraction);
	size_t len;
	long zone;

	(void)localtime_r(&s, &tm);
	len = put_fields(&tm, fraction, out);
	zone = tm.tm_gmtoff < 0 ? -tm.tm_gmtoff : tm.tm_gmtoff;
	zone /= 60; /* as PostgreSQL: minutes only when there are some */
	(void)snprintf(out + len, CLOCK_TEXT_BYTES - len,
	    zone % 60 == 0 ? "%c%02ld" : "%c%02ld:%02ld",
	    tm.tm_gmtoff < 0 ? '-' : '+', zone / 60, zone % 60);
	return out;
}

const char *
clock_utc(int64_t us, char out[CLOCK_TEXT_BYTES])
{
	struct tm tm = { 0 };
	int fraction;
	time_t s = split(us, &fraction);
	size_t len;

	(void)gmtime_r(&s, &tm);
	len = put_fields(&tm, fraction, out);
	(void)snprintf(out + len, CLOCK_TEXT_BYTES - len, "+00");
	return out;
}

const char *
clock_compact(int64_t us, char out[CLOCK_TEXT_BYTES])
{
	struct tm tm = { 0 };
	int fraction, len;
	time_t s = split(us, &fraction);

	(void)gmtime_r(&s, &tm);
	len = snprintf(out, CLOCK_TEXT_BYTES, "%04lld", tm.tm_year + 1900LL);
	(void)strftime(
	    out + len, CLOCK_TEXT_BYTES - (size_t)len, "%m%dT%H%M%SZ", &tm);
	return out;
}

const char *
clock_interval(int64_t us, char out[CLOCK_TEXT_BYTES])
{
	static const struct {
		const char *name;
		uint64_t seconds;
	} units[] = { { "d", 86400 }, { "h", 3600 }, { "min", 60 },
		{ "s", 1 } };
	const char *sign = us < 0 ? "-" : "";
	uint64_t abs_us = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
	uint64_t s = abs_us / 1000000, second;
	unsigned int i;

	if (s == 0) {
		(void)snprintf(out, CLOCK_TEXT_BYTES, "%s%u%s", sign,
		    (unsigned int)(abs_us / 1000), abs_us == 0 ? "s" : "ms");
		return out;
	}
	for (i = 0; s < units[i].seconds; i++)
		;
	second = units[i].seconds == 1
	    ? 0
	    : s % units[i].seconds / units[i + 1].seconds;
	if (second == 0)
		(void)snprintf(out, CLOCK_TEXT_BYTES, "%s%llu%s", sign,
		    (unsigned long long)(s / units[i].seconds), units[i].name);
	else
		(void)snprintf(out, CLOCK_TEXT_BYTES, "%s%llu%s %llu%s", sign,
		    (unsigned long long)(s / units[i].seconds), units[i].name,
		    (unsigned long long)second, units[i + 1].name);
	return out;
}
