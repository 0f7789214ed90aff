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

#endif /* !BASE_SHOW_H */
