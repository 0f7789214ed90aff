#ifndef DAEMON_DUTY_STORE_H
#define DAEMON_DUTY_STORE_H

/*
 * duty_store: keeps the history (state.h) and runs the event hook (hook.h), so
 * that neither a slow disk nor a slow program stops the supervisor.
 *
 * When it starts it tells the supervisor the last events ("old": true), the
 * last run of each job, and "ready"; then it takes events, jobs and samples.
 */

#include "base/err.h"
#include "conf/settings.h"

/* fd leads to the supervisor.  Until a stop is requested. */
int duty_store(const struct settings *s, int fd, struct err *e);

#endif /* !DAEMON_DUTY_STORE_H */
