#ifndef SITE_WATCH_H
#define SITE_WATCH_H

/*
 * watch: how the primary's server is, and what to do about it on the spot.
 *
 * Looks come in (process, SQL, control file, progress), a verdict goes out.
 * Only what cannot be explained otherwise is death: a server that is starting
 * or recovering, that refuses our password, that has no connection left, that
 * its administrator stopped or that is under maintenance is not dead.
 *
 *	           looks fail                    attempts used up
 *	  ALIVE ---------------> DOWN or HUNG ---------------------> DEAD
 *	    ^  ^                  | start, or stop and start          |
 *	    |  +--- SQL answers --+<----------------------------------+
 *	    |                                   it answers after all
 *	    +--- IMPAIRED, STARTING, STOPPED, MAINTENANCE: never lead to DEAD
 *
 * Waiting is by progress: an attempt has failed when start_looks looks in a row
 * saw neither an answer nor anything move, however long it took before.  A server
 * that was started and at once stopped by its administrator is stopped: no look
 * need have seen it alive.
 *
 * Pure: no clock, no I/O, no memory.  Times are CLOCK_BOOTTIME.
 */

#include <stdbool.h>
#include <stdint.h>

struct watch_settings {
	int64_t look_us;       /* between looks while in doubt: 5 s */
	unsigned int timeouts; /* SQL time-outs in a row that are a hang: 5 */
	unsigned int start_looks; /* without progress that fail a start: 12 */
	unsigned int recoveries;  /* local attempts before DEAD: 3; 0: none */
	int64_t
	    settle_us; /* so long alive, and the attempts count anew: 600 s */
};
#define WATCH_SETTINGS_DEFAULT                                         \
	{                                                              \
		5 * (int64_t)1000000, 5, 12, 3, 600 * (int64_t)1000000 \
	}

enum watch_process {
	WATCH_PROCESS_UNKNOWN, /* of another host: only SQL can be tried */
	WATCH_PROCESS_THERE,
	WATCH_PROCESS_ABSENT
};

/* What a connection and "SELECT 1" gave. */
enum watch_sql {
	WATCH_SQL_NOT_TRIED,
	WATCH_SQL_OK,
	WATCH_SQL_TIMEOUT,
	WATCH_SQL_REFUSED, /* nobody listens */
	WATCH_SQL_STARTING, /* 57P03: starting up, recovering, not yet consistent */
	WATCH_SQL_STOPPING, /* 57P03: shutting down */
	WATCH_SQL_AUTH,	    /* 28000, 28P01, no pg_hba.conf entry */
	WATCH_SQL_TOO_MANY, /* 53300 */
	WATCH_SQL_OTHER	    /* it answered with another error */
};

struct watch_facts {
	int64_t now_us;
	enum watch_process process;
	enum watch_sql sql;
	/* It was shut down, brought that to its end, and not by us: also when
	 * nobody saw it alive before. */
	bool clean_stop;
	bool maintenance;
	/* Anything that grows while a start goes on: replayed LSN, bytes read by
	 * the startup process.  Equal values are no progress. */
	uint64_t progress;
	bool withheld; /* it may not run now: nothing is tried, nor fails */
	bool
	    start_failed; /* our start or stop command came back with an error */
};

enum watch_verdict {
	WATCH_UNKNOWN, /* not looked yet */
	WATCH_ALIVE,
	WATCH_IMPAIRED,	  /* there, but we cannot look inside: a warning */
	WATCH_STARTING,	  /* comes up and moves: wait */
	WATCH_DOWN,	  /* gone: local recovery */
	WATCH_HUNG,	  /* there and silent: local recovery */
	WATCH_DEAD,	  /* local recovery failed: the operator, no failover */
	WATCH_STOPPED,	  /* its administrator stopped it: leave it alone */
	WATCH_MAINTENANCE /* look, do nothing */
};

enum watch_act {
	WATCH_NOTHING,
	WATCH_START,	 /* start the server */
	WATCH_STOP_START /* stop it: fast, immediate, kill; then start */
};

struct watch {
	enum watch_verdict verdict;
	unsigned int timeouts; /* in a row */
	unsigned int attempts; /* of local recovery */
	unsigned int looks;    /* without progress, of the attempt under way */
	bool attempting;
	bool stopped; /* a clean stop was seen, and no life since */
	uint64_t progress;
	int64_t alive_since_us; /* -1: not alive */
};

struct watch_result {
	enum watch_verdict verdict;
	bool changed; /* an event */
	enum watch_act act;
	unsigned int attempt; /* of act: this many of settings.recoveries */
	int64_t next_look_us; /* from now */
};

void watch_start(struct watch *w);
/* One look.  normal_look_us is the interval while all is well. */
struct watch_result watch_step(struct watch *w, const struct watch_settings *s,
    const struct watch_facts *f, int64_t normal_look_us);

/* Which SQLSTATE or lack of one means what; NULL or "": no SQLSTATE. */
enum watch_sql watch_sql_of(const char *sqlstate, bool timed_out, bool refused);

/* "alive", "impaired", ... */
const char *watch_verdict_name(enum watch_verdict v);
/* "the server answers", "local recovery failed", ...: a clause for people. */
const char *watch_verdict_text(enum watch_verdict v);

#endif /* !SITE_WATCH_H */
