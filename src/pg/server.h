#ifndef PG_SERVER_H
#define PG_SERVER_H

/*
 * server: starting and stopping a PostgreSQL server on this machine, and what
 * a data directory says of itself.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Is a server running on pgdata?  1 yes (postmaster.pid names a live process
 * that holds the directory), 0 no (a stale file does not count), -1 error.
 */
int server_is_running(const char *pgdata, pid_t *pid, struct err *e);

/* Folder of pg_ctl and postgres for this major version: configured first, then
 * /usr/lib/postgresql/<major>/bin, PATH.  ERR_NOT_FOUND with a hint. */
int server_find_bindir(
    int major, const char *configured, struct buf *out, struct err *e);

struct server_start {
	const char *pgdata;
	const char *bindir;
	const char *config_file; /* NULL: in pgdata */
	const char *log_path;
	const char *options; /* more "-c name=value" for postgres; NULL */
	int64_t stall_us;    /* give up when nothing moved for so long */
};

/*
 * Start and wait until it accepts connections, is paused at its target, or has
 * shut down there (recovery_target_action=shutdown).  Waits by progress: the
 * server's replay position (by its process title or pg_control and log), not a
 * fixed time.  progress() is called about once a second with a line for people;
 * may be NULL.  A failed start quotes the end of the server's log.
 */
int server_start_wait(const struct server_start *s,
    void (*progress)(void *arg, const char *line), void *arg, struct err *e);
/* pg_ctl stop; mode "fast" or "immediate". */
int server_stop(
    const char *pgdata, const char *bindir, const char *mode, struct err *e);

#endif /* !PG_SERVER_H */
