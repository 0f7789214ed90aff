#ifndef DAEMON_DUTY_WATCH_H
#define DAEMON_DUTY_WATCH_H

/*
 * duty_watch: looks at the repository and the receivers, and tells the
 * supervisor what it sees; it decides nothing.
 *
 *	cluster	cluster, time_us; error when the repository cannot be read, else
 *		backups, newest_backup, newest_backup_us, and gap with timeline,
 *		from, to when WAL behind the newest backup is missing;
 *		receiver: what it says of itself
 *	site	time_us, free_bytes
 *	sample	for the history
 *
 * Any message to it means: look at once.
 */

#include "base/err.h"
#include "conf/settings.h"

/* fd leads to the supervisor, -1: told on standard output.  Until a stop is
 * requested. */
int duty_watch(const struct settings *s, int fd, struct err *e);

#endif /* !DAEMON_DUTY_WATCH_H */
