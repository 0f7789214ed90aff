#ifndef BASE_SHOW_H
#define BASE_SHOW_H

/*
 * show: what a process says of itself, in a small file that others may read at
 * any time: `pgkura status`, the daemon's alarms, other duties.
 *
 * The file is always whole, and never durable: it tells what is so now.
 */

#include "base/json.h"

/* Replace the file by j.  A courtesy: who shows goes on when it cannot be
 * written, so nothing is reported. */
void show_write(const char *path, const json_t *j);
/* What the file says; NULL when there is none, or none that reads, of at most
 * 4 MiB.  Free with json_decref(). */
json_t *show_read(const char *path);
/* How long ago that was, microseconds, by its member boot_us; without that by
 * updated_us, one ahead of the clock counting as now.  INT64_MAX: before the machine
 * was started, or not known. */
int64_t show_age_us(const json_t *j);
/* The time now, by the clock that the times in it are of: ours may have been set since
 * then. */
int64_t show_now_us(const json_t *j);

#endif /* !BASE_SHOW_H */
