#ifndef DAEMON_SUPERVISOR_H
#define DAEMON_SUPERVISOR_H

/*
 * supervisor: pgkurad itself.  One thread, one poll(): it starts and watches
 * duties, says which job is due, listens to what they report, answers at the
 * control socket.  It reads no repository, talks to no server and keeps no
 * database: duties do that, so that nothing of it can hang or crash here.
 */

#include "base/err.h"

/* config_path NULL: the default.  Until it is stopped; returns the exit
 * status. */
int supervisor_run(const char *config_path);

#endif /* !DAEMON_SUPERVISOR_H */
