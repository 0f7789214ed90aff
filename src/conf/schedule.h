#ifndef CONF_SCHEDULE_H
#define CONF_SCHEDULE_H

/*
 * schedule: when a job is due.  Pure: times in, times out.
 *
 * "every 6h" (counted from the last start), or five cron fields "0 3 * * 1-5"
 * in local time with *, lists, ranges, steps and names; "@daily" and friends.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct schedule {
	int64_t every_us; /* 0: cron */
	uint64_t minutes; /* bit sets */
	uint32_t hours, days, months;
	uint8_t weekdays;
	bool any_day, any_weekday;
};

/* ERR_USAGE with an example in the hint; *s is then untouched.  What can never
 * be due ("0 0 30 2 *") is refused. */
int schedule_parse(struct schedule *s, const char *text, struct err *e);
/*
 * The first time after after_us at which it is due; last_start_us is 0 when it
 * never ran.  A daylight-saving hour that does not exist is due right after
 * it, one that comes twice is due once: a minute is due at the first instant
 * at which the clock on the wall has reached it.  "every" is due at once when
 * it never ran or is late.
 *
 * As in cron, a day must fit both day of month and weekday when one of them
 * begins with *, else either of them.
 */
int64_t schedule_next(
    const struct schedule *s, int64_t after_us, int64_t last_start_us);
/* Was a run missed between last_start_us and now_us?  What never ran (0) was
 * missed. */
bool schedule_missed(
    const struct schedule *s, int64_t last_start_us, int64_t now_us);

/* "22:00-05:00" local time, the end not included; "24:00" is an end. */
struct window_of_day {
	int from_min, to_min;
};
int
window_of_day_parse(struct window_of_day *w, const char *text, struct err *e);
bool window_of_day_contains(const struct window_of_day *w, int64_t now_us);

#endif /* !CONF_SCHEDULE_H */
