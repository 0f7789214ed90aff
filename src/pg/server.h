#ifndef PG_SERVER_H
#define PG_SERVER_H

/*
 * server: starting and stopping a PostgreSQL server on this machine, and what
 * a data directory says of itself.
 *
 * PostgreSQL refuses to run as root: for root everything here is done as the
 * owner of the data directory.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Is a server running on pgdata?  1 yes (postmaster.pid names a live process
 * that holds the directory), 0 no (a stale file does not count), -1 error.
 * *pid is its postmaster (or single-user backend); pid may be NULL.
 */
int server_is_running(const char *pgdata, pid_t *pid, struct err *e);

/*
 * Append "host=/run/postgresql port=5432": how a server that runs on pgdata is
 * reached from this machine.  ERR_NOT_FOUND when none runs or it listens to
 * nothing.
 */
int server_conninfo(const char *pgdata, struct buf *out, struct err *e);

/*
 * Append the folder of postgres for this major version: configured alone when
 * it is not NULL or "", else /usr/lib/postgresql/<major>/bin (Debian),
 * /usr/pgsql-<major>/bin (Red Hat), PATH.  ERR_NOT_FOUND with a hint,
 * ERR_USAGE when the configured one is of another version.
 */
int server_find_bindir(
    int major, const char *configured, struct buf *out, struct err *e);

struct server_start {
	const char *pgdata;
	const char *bindir;
	const char *config_file; /* NULL: in pgdata */
	const char *log_path;	 /* appended to; made when not there */
	/* More "-c name=value" for postgres: words as a shell reads them, with
	 * '...', "..." and \, but nothing is expanded.  NULL for none. */
	const char *options;
	int64_t stall_us; /* give up when nothing moved for so long; 0: never */
	bool leave;	  /* a wait that is canceled leaves it starting */
};

enum server_outcome {
	SERVER_ACCEPTS = 0, /* connections; a standby: read-only ones */
	SERVER_PAUSED,	    /* at its recovery target: read-only connections */
	SERVER_SHUT_DOWN    /* at its recovery target */
};

/*
 * Start and wait until it accepts connections, is paused at its target, or has
 * shut down there (recovery_target_action=shutdown).  While recovery.signal is
 * there and it is no standby, connections alone are not the end: recovery goes
 * on behind them.  Waits by progress, not by time: the server's log, the title
 * of its startup process, pg_control.  progress() is called about once a second
 * with a line for people; may be NULL.
 *
 * The server runs in a session of its own and outlives us.  Until its next
 * start it logs to log_path, to nothing else, and in English, so that its log
 * can be read here.
 *
 * Returns an enum server_outcome, or -1: a server that ended quotes its own
 * reason; one that stalled (ERR_TRANSIENT), or whose wait was canceled, is
 * stopped.
 */
int server_start_wait(const struct server_start *s,
    void (*progress)(void *arg, const char *line), void *arg, struct err *e);

/*
 * Ask the standby that runs on pgdata to end recovery, as "pg_ctl promote" does.
 * It replays all that it can get first; whoever asks waits.  ERR_NOT_FOUND when
 * no server runs there, ERR_CONFLICT when it is no standby.
 */
int server_ask_promotion(const char *pgdata, struct err *e);
/* Let the server that runs on pgdata read its configuration again. */
int server_reload(const char *pgdata, struct err *e);

/*
 * Stop the server of pgdata and wait until it is gone; mode "smart", "fast" or
 * "immediate".  0 also when none runs.  ERR_TRANSIENT when it is still there
 * after 10 minutes.
 */
int server_stop(const char *pgdata, const char *mode, struct err *e);

/*
 * As server_stop() with "immediate", also when the postmaster hangs: when it is
 * still there after grace_us, it and its children are killed, and *killed is
 * true.  ERR_TRANSIENT when one of them is still there after a minute.
 */
int server_stop_surely(
    const char *pgdata, int64_t grace_us, bool *killed, struct err *e);

#endif /* !PG_SERVER_H */
