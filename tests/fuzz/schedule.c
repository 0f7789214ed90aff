/*
 * schedule_parse() must survive any text; what it accepts is due again within
 * 41 years, after the moment asked for, and on a minute that it names.
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/mem.h"
#include "conf/schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check(const struct schedule *s, int64_t after_us)
{
	int64_t next = schedule_next(s, after_us, after_us - CLOCK_SECOND_US);
	time_t t = (time_t)(next / CLOCK_SECOND_US);
	struct tm tm;

	if (next <= after_us ||
	    next > after_us + 42 * 366 * 86400 * CLOCK_SECOND_US)
		abort();
	if (s->every_us == 0 &&
	    (localtime_r(&t, &tm) == NULL ||
		(s->minutes >> tm.tm_min & 1) == 0 ||
		(s->hours >> tm.tm_hour & 1) == 0 ||
		(s->months >> (tm.tm_mon + 1) & 1) == 0))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct schedule s;
	struct window_of_day w;
	struct err e = ERR_INIT;
	AUTO_FREE char *text = mem_strndup((const char *)data, len);

	(void)setenv("TZ", "UTC", 1); /* no minute is skipped */
	tzset();
	if (window_of_day_parse(&w, text, &e) == 0 &&
	    window_of_day_contains(&w, 0) !=
		(w.from_min == 0 || (w.to_min < w.from_min && w.to_min > 0)))
		abort();
	if (schedule_parse(&s, text, &e) == -1) {
		if (e.kind != ERR_USAGE || e.hint[0] == '\0')
			abort();
		return 0;
	}
	check(&s, 0);
	check(&s, (int64_t)1800000000 * CLOCK_SECOND_US + 1);
	return 0;
}
