#ifndef DAEMON_SUPERVISOR_INT_H
#define DAEMON_SUPERVISOR_INT_H

/*
 * supervisor_int: what the files of the supervisor share.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "conf/settings.h"
#include "daemon/alarm.h"
#include "daemon/control_server.h"
#include "daemon/duty.h"
#include "daemon/facts.h"
#include "daemon/recent.h"

#define OUTBOX_MAX 2000

/* Messages that wait for the history: it may be slow, or start anew. */
struct outbox {
	json_t *ring[OUTBOX_MAX];
	size_t first, count;
	uint64_t lost;
};

struct supervisor {
	bool history_told;	 /* the events and jobs of before our start */
	const char *config_path; /* as given; NULL: the default */
	struct settings *settings;
	int64_t settings_loaded_us;
	struct duties *duties;
	struct facts *facts;
	struct alarms *alarms;
	struct recent *recent;
	struct outbox outbox;
	struct control_server *control;
	int state_lock, runtime_lock; /* descriptors */
	int signals;
	bool stopping;
	bool history_stopping; /* nobody else is left */
	bool plan_now;	       /* something changed that jobs depend on */
	int64_t plan_us, watchdog_us, start_us; /* clock_boot_us() */
	struct buf pairings_seen;		/* what duties were wanted by */
	char told_status[256];			/* to systemd */
};

/* ---- supervisor_settings.c ---- */
/* Reads the file; nothing is changed when it is refused. */
int supervisor_load(struct supervisor *v, struct err *e);
int supervisor_reload(struct supervisor *v, struct err *e);
/* Tell the duties which of them there are to be. */
void supervisor_want(struct supervisor *v);
/* The same, if a peer was paired or forgotten since. */
void supervisor_look_at_peers(struct supervisor *v);

/* ---- supervisor_events.c ---- */
/* log_sink: our own events. */
void supervisor_sink(void *arg, enum log_level level, const char *event,
    const char *message, const char *const *keys, const char *const *values,
    unsigned int count);
/* All that a duty has said; at its end, hang up. */
void supervisor_listen(struct supervisor *v, struct duty *y);
/* A message for the history. */
void supervisor_keep(struct supervisor *v, const json_t *message);
void outbox_flush(struct supervisor *v);
void outbox_clear(struct outbox *o);

/* ---- supervisor_jobs.c ---- */
/* Start what is due and judge what is wrong. */
void supervisor_plan(struct supervisor *v);
int supervisor_start_job(struct supervisor *v, enum job job,
    const char *cluster, const char *why, struct err *e);
/* duty_ended_fn */
void supervisor_duty_ended(void *arg, struct duty *y, int status);

/* ---- supervisor_live.c ---- */
/* "run" of a live drill; by: who asks. */
int supervisor_live_run(struct supervisor *v, const json_t *request,
    const struct cluster_settings *c, const char *by, json_t *reply,
    struct err *e);
/* One is due by drill_live_schedule. */
void supervisor_live_due(struct supervisor *v, struct cluster_view *view);
/* "drill_live" */
void supervisor_live_answer(
    struct supervisor *v, const struct cluster_settings *c, json_t *reply);

/* ---- supervisor_control.c ---- */
/* control_answer_fn */
int supervisor_answer(void *arg, const char *name, const json_t *request,
    struct control_peer *peer, json_t *reply, struct err *e);
/* In supervisor.c. */
void supervisor_stop(struct supervisor *v);

#endif /* !DAEMON_SUPERVISOR_INT_H */
