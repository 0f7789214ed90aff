/* Jobs: which starts now, and what became of it. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/judge.h"
#include "daemon/message.h"
#include "daemon/supervisor_int.h"

/* Without a word from the history for so long, it has none. */
#define HISTORY_PATIENCE_US (60 * CLOCK_SECOND_US)

/* ---- the history of jobs ---- */

static void
keep_job(struct supervisor *v, const struct cluster_view *c, enum job job,
    bool ok, const char *message)
{
	const struct job_record *r = &c->known.jobs[job];
	AUTO_JSON json_t *m = json_object();

	json_set_str(m, "type", "job");
	json_set_str(m, "job", job_name(job));
	json_set_str(m, "cluster", c->name);
	(void)json_object_set_new(m, "started_us", json_integer(r->started_us));
	(void)json_object_set_new(
	    m, "finished_us", json_integer(r->running ? 0 : r->finished_us));
	(void)json_object_set_new(m, "ok", json_boolean(ok));
	json_set_str(m, "message", message == NULL ? "" : message);
	supervisor_keep(v, m);
}

/* ---- starting ---- */

int
supervisor_start_job(struct supervisor *v, enum job job, const char *cluster,
    const char *why, struct err *e)
{
	struct cluster_view *c = facts_cluster(v->facts, cluster);

	if (v->stopping)
		return err_set(e, ERR_REFUSED, "pgkurad is stopping");
	if (c == NULL)
		return err_set(
		    e, ERR_USAGE, "there is no cluster \"%s\"", cluster);
	if (duties_start_job(v->duties, job_name(job), cluster, e) == -1)
		return -1;
	facts_job_started(c, job, clock_now_us());
	log_event(LOG_LEVEL_INFO, "job_started", "a job has started", "job",
	    job_name(job), "cluster", cluster, "why", why, NULL);
	keep_job(v, c, job, false, "it has not ended");
	return 0;
}

/* Verifications and drills can take a day: they must not keep backups from
 * starting, so there is room of its own for half as many.  A live drill only
 * watches. */
static bool
is_long(enum job job)
{
	return job == JOB_VERIFY || job == JOB_DRILL;
}

static bool
has_room(const struct supervisor *v, enum job job)
{
	unsigned int most = v->settings->parallel_jobs, running = 0;
	const struct duty *y;
	enum job other;
	size_t i;

	if (is_long(job))
		most = (most + 1) / 2;
	for (i = 0; (y = duties_at(v->duties, i)) != NULL; i++)
		if (y->job && job_from_name(y->name, &other) &&
		    other != JOB_DRILL_LIVE && is_long(other) == is_long(job))
			running++;
	return running < most;
}

/* Backups and what removes them take turns. */
static bool
is_hindered(const struct supervisor *v, const char *cluster, enum job job)
{
	if (duties_find(v->duties, job_name(job), cluster) != NULL)
		return true;
	if (job == JOB_BACKUP)
		return duties_find(v->duties, "expire", cluster) != NULL;
	if (job == JOB_EXPIRE)
		return duties_find(v->duties, "backup", cluster) != NULL;
	return false;
}

static void
start_if_due(struct supervisor *v, struct cluster_view *c, enum job job)
{
	struct plan_verdict p =
	    plan_job(&c->plan, &c->known, job, clock_now_us());
	struct err e = ERR_INIT;

	if (!p.due || !has_room(v, job) || is_hindered(v, c->name, job))
		return;
	if (job == JOB_DRILL_LIVE)
		supervisor_live_due(v, c);
	else if (supervisor_start_job(v, job, c->name, p.why, &e) == -1)
		log_error("job_not_started", &e);
}

void
supervisor_plan(struct supervisor *v)
{
	int64_t now_us = clock_now_us();
	size_t i;
	int job;

	if (!v->facts->history_known &&
	    clock_boot_us() - v->start_us > HISTORY_PATIENCE_US)
		facts_history_known(v->facts);
	if (v->stopping)
		return;
	supervisor_look_at_peers(v);
	/* All backups come before the first verification. */
	for (job = 0; job < JOB_COUNT; job++)
		for (i = 0; i < v->facts->count; i++)
			start_if_due(v, &v->facts->clusters[i], (enum job)job);
	judge(v->alarms, v->settings, v->facts, v->duties, now_us);
}

/* ---- ending ---- */

/* The repository is another now. */
static void
wake_watcher(const struct supervisor *v)
{
	const struct duty *watch = duties_find(v->duties, "watch", "");
	AUTO_JSON json_t *m = NULL;

	if (watch == NULL || watch->fd == -1)
		return;
	m = json_object();
	json_set_str(m, "type", "look");
	(void)message_send(watch->fd, m, NULL); /* or it looks by itself */
}

static void
job_ended(struct supervisor *v, const struct duty *y, int exit_status)
{
	struct cluster_view *c = facts_cluster(v->facts, y->cluster);
	const struct job_record *r;
	enum job job;
	char took[CLOCK_TEXT_BYTES];

	if (c == NULL || !job_from_name(y->name, &job))
		return; /* its cluster is gone */
	if (y->state == DUTY_STOPPING && c->job_error[job] == NULL)
		c->job_error[job] = mem_strdup("it was stopped");
	facts_job_ended(c, job, exit_status, clock_now_us());
	r = &c->known.jobs[job];
	keep_job(v, c, job, r->failure_us == 0, c->job_error[job]);
	wake_watcher(v);
	log_event(LOG_LEVEL_INFO, "job_ended",
	    r->failure_us == 0 ? "a job is done" : "a job has failed", "job",
	    y->name, "cluster", y->cluster, "took",
	    clock_interval(r->finished_us - r->started_us, took), NULL);
}

/*
 * Its last words told why, if it could speak.  That a duty ends again and again
 * is worth an alarm, once is not; a job that was killed said nothing.
 */
static void
tell_end(const struct duty *y, int status)
{
	char how[64];

	if (WIFSIGNALED(status))
		(void)snprintf(how, sizeof(how), "signal %d", WTERMSIG(status));
	else
		(void)snprintf(
		    how, sizeof(how), "status %d", WEXITSTATUS(status));
	log_event(y->job ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "duty_ended",
	    "a duty has ended", "duty", y->name, "cluster",
	    y->cluster[0] == '\0' ? NULL : y->cluster, "with", how, NULL);
}

void
supervisor_duty_ended(void *arg, struct duty *y, int status)
{
	struct supervisor *v = arg;
	int exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 1;

	supervisor_listen(v, y);
	if (y->state != DUTY_STOPPING && (!y->job || WIFSIGNALED(status)))
		tell_end(y, status);
	if (y->job)
		job_ended(v, y, exit_status);
	v->plan_now = true;
}
