#ifndef DAEMON_DUTY_H
#define DAEMON_DUTY_H

/*
 * duty: the children of the supervisor, one process each.
 *
 * A duty that is wanted runs for ever: when it ends it is started again, at
 * once the first time, then after 1 s, 2 s, ... 60 s, until it has lived for a
 * minute.  A job runs once.
 *
 *	   want		    died
 *	--------> WAITING <-------- RUNNING
 *		     |  start	     ^	|
 *		     +---------------+	| unwanted, changed, stop
 *	  gone <----- STOPPING <--------+
 *	 (or WAITING when it only changed; killed after DUTY_STOP_US)
 *
 * A child is the program itself with --duty and --supervised, in a process
 * group of its own that is killed with it; the kernel kills it when the
 * supervisor dies.  Descriptor DUTY_SETTINGS_FD holds the text of the settings
 * that were accepted (the file may be another by now), DUTY_MESSAGE_FD leads
 * to the supervisor.
 *
 * Times are clock_boot_us() but where it says wall clock.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/auto.h"
#include "base/err.h"
#include "repo/repo.h"

#define DUTY_SETTINGS_FD 3
#define DUTY_MESSAGE_FD	 4
#define DUTY_NAME_BYTES	 16
#define DUTY_STOP_US	 ((int64_t)20 * 1000000)

enum duty_state { DUTY_WAITING, DUTY_RUNNING, DUTY_STOPPING };

struct duty {
	char name[DUTY_NAME_BYTES];	  /* "receive", "backup" */
	char cluster[CLUSTER_NAME_BYTES]; /* "": the site's */
	bool job;			  /* runs once */
	bool wanted;
	char *signature; /* the settings it runs with, as text */
	enum duty_state state;
	pid_t pid; /* 0: none */
	int fd;	   /* to it; -1: none */
	int64_t started_us;
	int64_t due_us;	  /* WAITING: when it starts; STOPPING: when killed */
	int64_t since_us; /* wall clock: of its state */
	unsigned int deaths; /* in a row */
	unsigned int starts;
};

struct duties;

/* program: what is run; settings_path is for messages of the children. */
struct duties *duties_new(const char *program, const char *settings_path);
void duties_free(struct duties *d); /* none may run */
AUTO_DEFINE(struct duties, duties_free);
#define AUTO_DUTIES AUTO(duties_free_auto)

/* What children started from now on read. */
int duties_set_settings(
    struct duties *d, const char *text, size_t len, struct err *e);

/*
 * Say which duties there are to be: begin, want each, end.  Those not wanted
 * any more are stopped, those whose signature differs are started anew, the
 * others left alone.  Jobs go on when the jobs of their cluster are wanted.
 */
void duties_want_begin(struct duties *d);
void duties_want(struct duties *d, const char *name, const char *cluster,
    const char *signature);
void duties_want_jobs(struct duties *d, const char *cluster);
void duties_want_end(struct duties *d);

/* ERR_CONFLICT when this job of the cluster runs. */
int duties_start_job(
    struct duties *d, const char *job, const char *cluster, struct err *e);
/* Ask one to end; it is killed when it does not. */
void duty_stop(struct duty *y);
void duties_stop_all(struct duties *d);
/* Nothing more will be heard from it. */
void duty_hang_up(struct duty *y);

/* Start what is due, kill what hangs.  Returns when there will be more to do,
 * INT64_MAX for never. */
int64_t duties_tick(struct duties *d);

/*
 * After SIGCHLD: fn is told of each duty that ended, its fd still open for what
 * it said last, and the status as waitpid() has it.  Afterwards it waits for
 * its restart or, when it is a job or unwanted, is gone.
 */
typedef void duty_ended_fn(void *arg, struct duty *y, int status);
void duties_reap(struct duties *d, duty_ended_fn *fn, void *arg);

/* NULL past the last. */
struct duty *duties_at(const struct duties *d, size_t i);
/* NULL when there is none. */
struct duty *
duties_find(const struct duties *d, const char *name, const char *cluster);
bool duties_any_runs(const struct duties *d);

/* How long to wait after so many deaths in a row: 0, 1 s, 2 s, ... 60 s. */
int64_t duty_backoff_us(unsigned int deaths);
/* "waiting", "running", "stopping" */
const char *duty_state_name(enum duty_state state);

#endif /* !DAEMON_DUTY_H */
