#include "conf/schedule.h"

#include <time.h>

#include "base/clock.h"

#define DAY_S ((int64_t)86400)
/* The rarest day that can be asked for, a 29 February that is a Sunday, comes
 * back within 40 years. */
#define SEARCH_DAYS (41 * 366)

/* ---- the calendar ----
 *
 * A "wall" time is what a clock on the wall shows, counted in seconds as if
 * there were no time zone. */

static int64_t
offset_at(int64_t t)
{
	time_t tt = (time_t)t;
	struct tm tm;

	return localtime_r(&tt, &tm) == NULL ? 0 : tm.tm_gmtoff;
}

/*
 * The first instant at which the clock on the wall has reached wall.
 *
 * Where clocks go back, a wall time comes twice, and its offset of the day
 * before gives the first; where they go forward it may not come at all, and
 * the instant of the change is looked for.
 */
static int64_t
instant_of(int64_t wall)
{
	int64_t before = offset_at(wall - DAY_S - offset_at(wall));
	int64_t after = offset_at(wall + DAY_S - offset_at(wall));
	int64_t low = wall - after, high = wall - before, middle;

	if (offset_at(high) == before)
		return high;
	if (offset_at(low) == after)
		return low;
	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (middle + offset_at(middle) >= wall)
			high = middle;
		else
			low = middle;
	}
	return high;
}

struct date {
	int month, day, weekday; /* 1-12, 1-31, 0 Sunday */
};

/* The date of a day counted from 1970-01-01 (proleptic Gregorian). */
static struct date
date_of(int64_t day_number)
{
	time_t noon = (time_t)(day_number * DAY_S + DAY_S / 2);
	struct tm tm = { 0 };

	(void)gmtime_r(&noon, &tm);
	return (struct date){ tm.tm_mon + 1, tm.tm_mday, tm.tm_wday };
}

static bool
day_matches(const struct schedule *s, int64_t day_number)
{
	struct date d = date_of(day_number);
	bool day = (s->days >> d.day & 1) != 0;
	bool weekday = (s->weekdays >> d.weekday & 1) != 0;

	if ((s->months >> d.month & 1) == 0)
		return false;
	return s->any_day || s->any_weekday ? day && weekday : day || weekday;
}

/*
 * The first due instant of a matching day after the instant after, or -1 when
 * the day has none.  Instants grow with wall times, so the minutes of the day
 * are searched by halves for the first that is late enough; the due one at or
 * behind it follows.
 */
static int64_t
due_in_day(const struct schedule *s, int64_t day_number, int64_t after)
{
	int low = 0, high = 24 * 60, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (instant_of(day_number * DAY_S + middle * 60) > after)
			high = middle;
		else
			low = middle + 1;
	}
	for (; low < 24 * 60; low++)
		if ((s->hours >> low / 60 & 1) != 0 &&
		    (s->minutes >> low % 60 & 1) != 0)
			return instant_of(day_number * DAY_S + low * 60);
	return -1;
}

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

int64_t
schedule_next(const struct schedule *s, int64_t after_us, int64_t last_start_us)
{
	int64_t after = floor_div(after_us, CLOCK_SECOND_US);
	int64_t day, last, due;

	if (s->every_us != 0) {
		due = last_start_us + s->every_us;
		return last_start_us == 0 || due <= after_us ? after_us + 1
							     : due;
	}
	/* Whatever is due on a day before has been reached already. */
	day = floor_div(after + offset_at(after), DAY_S);
	for (last = day + SEARCH_DAYS; day <= last; day++) {
		if (!day_matches(s, day))
			continue;
		due = due_in_day(s, day, after);
		if (due != -1)
			return due * CLOCK_SECOND_US;
	}
	return INT64_MAX; /* not reached by what schedule_parse() accepts */
}

bool
schedule_missed(const struct schedule *s, int64_t last_start_us, int64_t now_us)
{
	if (last_start_us == 0)
		return true;
	if (last_start_us >= now_us)
		return false;
	if (s->every_us != 0)
		return last_start_us + s->every_us <= now_us;
	return schedule_next(s, last_start_us, last_start_us) <= now_us;
}

bool
window_of_day_contains(const struct window_of_day *w, int64_t now_us)
{
	int64_t now = floor_div(now_us, CLOCK_SECOND_US);
	int64_t wall = now + offset_at(now);
	int minute = (int)((wall - floor_div(wall, DAY_S) * DAY_S) / 60);

	if (w->from_min < w->to_min)
		return minute >= w->from_min && minute < w->to_min;
	return minute >= w->from_min || minute < w->to_min;
}
