#ifndef JOBS_DRILL_LIVE_H
#define JOBS_DRILL_LIVE_H

/*
 * drill_live: the real thing, by order of a person: the role of the primary goes
 * to the other site and comes back, each time by an order to the rule as an
 * operator gives it, and one report says what that took and that nothing was
 * lost.
 *
 * Who runs this only gives orders and watches: it holds no role and no lock of
 * the roles.  When it ends, whatever the reason, the sites go on by their own
 * records, and nothing is waited for that was not ordered.
 *
 *	pgkura drill --live	pgkurad			its job "drill_live"
 *	drill_live_ask()  run->	starts it  --order-->	drill_live_job()
 *	   ^				  ^		  drill_live_run()
 *	   +--lines, report-- drill_live -+--lines, report--+
 */

#include <jansson.h>

#include "base/clock.h"
#include "conf/settings.h"
#include "jobs/drill.h"
#include "site/record.h"

#define DRILL_LIVE_HOLD_US     (10 * CLOCK_SECOND_US)
#define DRILL_LIVE_HOLD_MAX_US (86400 * CLOCK_SECOND_US)

struct drill_live_plan {
	char from[RECORD_NAME_BYTES]; /* the primary now, and at the end */
	char to[RECORD_NAME_BYTES];
};

struct drill_live_options {
	int64_t hold_us;  /* how long the other site stays the primary */
	const char *from; /* the primary now; NULL: either site */
	const char *by;	  /* whose order it is; NULL: the user who runs this */
	/* A line for people, now and then; say may be NULL. */
	void (*say)(void *arg, const char *line);
	void *arg;
};

/* Could it begin now?  0 and the plan; ERR_REFUSED: what keeps a switchover
 * from beginning.  ERR_NOT_FOUND: no rule runs here. */
int drill_live_check(const struct settings *s, const struct cluster_settings *c,
    struct drill_live_plan *plan, struct err *e);

/*
 * 0 also when the drill has failed: the result says so and a report is kept.
 * -1 when it could not begin, and nothing was changed, or when its report could
 * not be kept.
 */
int drill_live_run(const struct settings *s, const struct cluster_settings *c,
    const struct drill_live_options *options, struct drill_result *result,
    struct err *e);
/* As drill_verdict(); the hint is the command that goes on. */
int drill_live_verdict(const struct drill_result *r, struct err *e);

/* ---- drill_live_show.c: as a job of pgkurad ---- */

#define DRILL_LIVE_JOB	    "drill_live"
#define DRILL_LIVE_ID_BYTES 40

/* Run it as order says: "id", "by", "from", "hold_us", each may be missing.  0 it
 * has passed; else -1 with its verdict, or why it could not begin. */
int drill_live_job(const struct settings *s, const struct cluster_settings *c,
    const json_t *order, struct err *e);
/* What the last one says of itself (doc/control.md); NULL there was none. */
json_t *
drill_live_shown(const struct settings *s, const struct cluster_settings *c);

/* ---- drill_live_ask.c: the command ---- */

/*
 * Have pgkurad run it, and follow it to its end; a signal to stop stops it there,
 * and its end is waited for.  0 it has passed; else -1.  *report, which the caller
 * frees, is NULL when there is none.
 */
int drill_live_ask(const struct settings *s, const struct cluster_settings *c,
    const struct drill_live_options *options, json_t **report, struct err *e);

/*
 * Keep a report of a live drill that was killed, or could not keep it.
 * *swept: there was one.  ERR_TRANSIENT while one runs.
 */
int drill_live_sweep(const struct settings *s, const struct cluster_settings *c,
    bool *swept, struct err *e);

#endif /* !JOBS_DRILL_LIVE_H */
