#ifndef DAEMON_STATE_H
#define DAEMON_STATE_H

/*
 * state: the history of this site in SQLite: events, jobs, samples.
 *
 * Only what may be lost lies here.  A database that is damaged is moved aside
 * ("state.db.damaged") and made anew.
 *
 * Rows come in and go out as messages (message.h):
 *
 *	event	as it is
 *	job	job, cluster, started_us, finished_us (0 while it runs),
 *		ok, message; and, going out, success_us: the start of the last
 *		one that succeeded
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"

#define STATE_EVENTS_KEPT_US  ((int64_t)90 * 86400 * 1000000)
#define STATE_SAMPLES_KEPT_US ((int64_t)30 * 86400 * 1000000)
#define STATE_JOBS_KEPT_US    ((int64_t)730 * 86400 * 1000000)

struct state;

/* *remade: an older one was damaged and is aside now. */
struct state *state_open(const char *path, bool *remade, struct err *e);
void state_close(struct state *st);
AUTO_DEFINE(struct state, state_close);
#define AUTO_STATE AUTO(state_close_auto)

/* All return ERR_CORRUPT when the database is damaged: open it again. */
int state_put_event(struct state *st, const json_t *event, struct err *e);
int state_put_job(struct state *st, const json_t *job, struct err *e);
int state_put_sample(struct state *st, int64_t time_us, const char *cluster,
    const char *name, double value, struct err *e);
/* Forget what is older than is kept. */
int state_prune(struct state *st, int64_t now_us, struct err *e);

typedef int state_row_fn(void *arg, json_t *row, struct err *e);
/* The last count events, oldest first. */
int state_recent_events(struct state *st, unsigned int count, state_row_fn *fn,
    void *arg, struct err *e);
/* The last run of each job of each cluster. */
int
state_last_jobs(struct state *st, state_row_fn *fn, void *arg, struct err *e);

#endif /* !DAEMON_STATE_H */
