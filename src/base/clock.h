#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

/*
 * clock: now, and times as people write them.
 *
 * Times are int64 microseconds since 1970-01-01 UTC (_us).
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CLOCK_SECOND_US ((int64_t)1000000)

int64_t clock_now_us(void);  /* CLOCK_REALTIME */
int64_t clock_boot_us(void); /* CLOCK_BOOTTIME: intervals, goes on in suspend */
/* At most so long: a signal that is caught ends it early. */
void clock_sleep_us(int64_t us);

/* PostgreSQL's TimestampTz is microseconds since 2000-01-01 UTC. */
#define CLOCK_PG_EPOCH_US ((int64_t)946684800 * 1000000)

#define CLOCK_TEXT_BYTES 40
/* "2026-11-21 03:04:05.678901+00"; fraction left out when zero.  Local time
 * zone with its offset; clock_utc() is always +00. */
const char *clock_local(int64_t us, char out[CLOCK_TEXT_BYTES]);
const char *clock_utc(int64_t us, char out[CLOCK_TEXT_BYTES]);
/* "20261121T030405Z" */
const char *clock_compact(int64_t us, char out[CLOCK_TEXT_BYTES]);

/*
 * A point in time as people write it: "2026-11-21 03:04:05", with optional
 * fraction and zone (+09, +0900, +09:00, Z, UTC; local when none), "T" for the
 * blank, date alone (midnight), clock_compact()'s form, "now", "10 minutes
 * ago", "2h ago", "yesterday 14:00", "today 08:30".  ERR_USAGE with a hint
 * otherwise, also for a local time that summer time skips or has twice.
 */
int clock_parse(const char *text, int64_t now_us, int64_t *us, struct err *e);

/* "90", "90s", "15min", "6h", "2d", "1w", "500ms", "2d 3h" to microseconds; a
 * bare number is seconds.  ERR_USAGE with a hint otherwise. */
int clock_parse_interval(const char *text, int64_t *us, struct err *e);
/* "2d 3h", "4min 5s", "12s", "350ms": two parts at most. */
const char *clock_interval(int64_t us, char out[CLOCK_TEXT_BYTES]);

#endif /* !BASE_CLOCK_H */
