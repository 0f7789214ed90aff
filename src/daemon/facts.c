#include "daemon/facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "daemon/message.h"

#define EXIT_DAMAGE 3

struct facts *
facts_new(int64_t now_us)
{
	struct facts *f = mem_zalloc(sizeof(*f));

	f->since_us = now_us;
	f->watched_boot_us = clock_boot_us();
	return f;
}

static void
cluster_free(struct cluster_view *c)
{
	size_t i;

	for (i = 0; i < JOB_COUNT; i++)
		free(c->job_error[i]);
	json_decref(c->seen);
	json_decref(c->problem);
	free(c->name);
}

void
facts_free(struct facts *f)
{
	size_t i;

	if (f == NULL)
		return;
	for (i = 0; i < f->count; i++)
		cluster_free(&f->clusters[i]);
	free(f->clusters);
	free(f->settings_error);
	free(f);
}

struct cluster_view *
facts_cluster(const struct facts *f, const char *name)
{
	size_t i;

	for (i = 0; i < f->count; i++)
		if (f->clusters[i].name != NULL &&
		    strcmp(f->clusters[i].name, name) == 0)
			return &f->clusters[i];
	return NULL;
}

/* What made jobs fail may be mended: they need not wait. */
static void
forgive(struct cluster_view *c)
{
	int job;

	for (job = 0; job < JOB_COUNT; job++)
		c->known.jobs[job].failure_us = 0;
}

void
facts_set_settings(struct facts *f, const struct settings *s, int64_t now_us)
{
	struct cluster_view *list = mem_zarray(s->cluster_count, sizeof(*list));
	struct cluster_view *old;
	size_t i;

	for (i = 0; i < s->cluster_count; i++) {
		old = facts_cluster(f, s->clusters[i].name);
		if (old != NULL) {
			list[i] = *old;
			*old = (struct cluster_view){ 0 };
			forgive(&list[i]);
		} else {
			list[i].name = mem_strdup(s->clusters[i].name);
			list[i].known.since_us = now_us;
			list[i].contact_boot_us = clock_boot_us();
			list[i].known.history_known = f->history_known;
		}
		plan_init(&list[i].plan, &s->clusters[i]);
	}
	for (i = 0; i < f->count; i++)
		cluster_free(&f->clusters[i]);
	free(f->clusters);
	f->clusters = list;
	f->count = s->cluster_count;
}

/* ---- jobs ---- */

void
facts_job_started(struct cluster_view *c, enum job job, int64_t now_us)
{
	struct job_record *r = &c->known.jobs[job];

	r->running = true;
	r->started_us = now_us;
	free(c->job_error[job]);
	c->job_error[job] = NULL;
}

void
facts_job_ended(
    struct cluster_view *c, enum job job, int exit_status, int64_t now_us)
{
	struct job_record *r = &c->known.jobs[job];
	bool damage = job == JOB_VERIFY && exit_status == EXIT_DAMAGE;

	r->running = false;
	r->finished_us = now_us;
	if (exit_status == 0 || damage) {
		r->failure_us = 0;
		r->success_us = r->started_us;
	} else {
		r->failure_us = now_us;
	}
	if (job == JOB_VERIFY)
		c->damage = damage || (c->damage && exit_status != 0);
	if (exit_status != 0 && c->job_error[job] == NULL)
		c->job_error[job] = mem_strdup("it ended without a word");
}

/* ---- messages ---- */

/*
 * Since when there is a gap behind the newest backup.  A hole that the watcher
 * sees closes when its WAL comes after all; what an event told of (a slot was
 * lost) is over when a backup began after it.
 */
static void
judge_gap(struct cluster_view *c, bool is_seen, int64_t when_us)
{
	/* Ids of backups have whole seconds; a job of ours began exactly then. */
	int64_t newest_us = c->known.jobs[JOB_BACKUP].success_us;

	if (newest_us < c->known.newest_backup_us)
		newest_us = c->known.newest_backup_us;
	if (!is_seen)
		c->seen_gap_us = 0;
	else if (c->seen_gap_us <= newest_us)
		c->seen_gap_us = when_us;
	if (c->event_gap_us < newest_us)
		c->event_gap_us = 0;
	c->known.gap_us =
	    c->seen_gap_us != 0 ? c->seen_gap_us : c->event_gap_us;
}

/* ---- a clock that was set back ---- */

static void
not_ahead(int64_t *us, int64_t now_us)
{
	if (*us > now_us)
		*us = now_us;
}

static int64_t
past(struct facts_past *p, int64_t said_us, int64_t now_us)
{
	if (p->said_us != said_us)
		p->said_us = p->us = said_us;
	if (p->us > now_us)
		p->us = now_us - 1; /* a gap is behind it */
	return p->us;
}

/* What was is not to come: else a gap would not be healed, nor a failed job tried
 * again, before the clock is there once more. */
static void
look_at_clock(struct cluster_view *c, int64_t now_us)
{
	int job;

	not_ahead(&c->known.since_us, now_us);
	not_ahead(&c->seen_gap_us, now_us);
	not_ahead(&c->event_gap_us, now_us);
	for (job = 0; job < JOB_COUNT; job++) {
		struct job_record *r = &c->known.jobs[job];

		not_ahead(&r->success_us, now_us);
		not_ahead(&r->failure_us, now_us);
	}
}

/* ---- what the watcher says ---- */

/* seen is still the message before m. */
static void
take_receiver(struct cluster_view *c, const json_t *m)
{
	const json_t *now = json_object_get(m, "receiver");
	const char *flushed = message_text(now, "flushed");
	const json_t *was = json_object_get(c->seen, "receiver");
	const char *before = message_text(was, "flushed");
	int64_t message_us = message_number(now, "message_us");

	if (message_us > 0 && message_us != message_number(was, "message_us"))
		c->contact_boot_us = clock_boot_us();
	if (message_number(now, "lag_bytes") <= 0)
		c->behind_boot_us = 0;
	else if (c->behind_boot_us == 0 || flushed == NULL || before == NULL ||
	    strcmp(flushed, before) != 0)
		c->behind_boot_us = clock_boot_us();
}

/* A drill by hand that passed makes good one of ours that failed. */
static void
take_drill(struct cluster_view *c, const json_t *drill, int64_t now_us)
{
	struct job_record *r = &c->known.jobs[JOB_DRILL];

	c->known.drill_us =
	    past(&c->drill, message_number(drill, "started_us"), now_us);
	c->known.drill_passed_us =
	    past(&c->drill_passed, message_number(drill, "passed_us"), now_us);
	if (!r->running && c->known.drill_passed_us > r->failure_us)
		r->failure_us = 0;
}

/* Where the last one of ours left the role is no news any more. */
static void
take_live(struct cluster_view *c, int64_t settled_us)
{
	struct job_record *r = &c->known.jobs[JOB_DRILL_LIVE];

	if (!r->running && settled_us >= r->started_us)
		r->failure_us = 0;
}

static void
take_cluster(struct facts *f, const json_t *m)
{
	const char *name = message_text(m, "cluster");
	struct cluster_view *c = name == NULL ? NULL : facts_cluster(f, name);
	int64_t when_us = message_number(m, "time_us");

	f->watched_boot_us = clock_boot_us();
	if (c == NULL)
		return;
	look_at_clock(c, when_us);
	take_receiver(c, m);
	json_decref(c->seen);
	c->seen = json_deep_copy(m);
	if (json_object_get(m, "backups") == NULL)
		return; /* unreadable: what was known stays */
	c->known.repository_known = true;
	c->known.backups = (uint64_t)message_number(m, "backups");
	c->known.newest_backup_us = past(
	    &c->newest_backup, message_number(m, "newest_backup_us"), when_us);
	take_drill(c, json_object_get(m, "drill"), when_us);
	take_live(c, message_number(m, "live_settled_us"));
	judge_gap(c, json_object_get(m, "gap") != NULL, when_us);
}

/* A run before our start. */
static void
take_old_job(struct facts *f, const json_t *m)
{
	const char *name = message_text(m, "cluster");
	const char *job_text = message_text(m, "job");
	struct cluster_view *c = name == NULL ? NULL : facts_cluster(f, name);
	struct job_record *r;
	enum job job;

	if (c == NULL || job_text == NULL || !job_from_name(job_text, &job))
		return;
	r = &c->known.jobs[job];
	if (r->started_us != 0)
		return; /* there was a newer one meanwhile */
	r->started_us = message_number(m, "started_us");
	r->finished_us = message_number(m, "finished_us");
	/* Backups are counted by the repository alone. */
	if (job != JOB_BACKUP)
		r->success_us = message_number(m, "success_us");
	if (message_text(m, "message") != NULL &&
	    message_text(m, "message")[0] != '\0')
		c->job_error[job] = mem_strdup(message_text(m, "message"));
	c->damage |= job == JOB_VERIFY && c->job_error[job] != NULL &&
	    json_is_true(json_object_get(m, "ok"));
}

/* Is it the word of a job that fails?  "backup_failed" */
static bool
is_failure_of(const char *event, enum job job)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "%s_failed", job_name(job));
	return strcmp(event, name) == 0;
}

static void
take_event(struct facts *f, const json_t *m)
{
	struct cluster_view *c = facts_cluster(f, message_event_cluster(m));
	const char *event = message_text(m, "event");
	int job;

	if (c == NULL || event == NULL || message_level(m) < LOG_LEVEL_WARNING)
		return;
	json_decref(c->problem);
	c->problem = json_deep_copy(m);
	if (json_is_true(json_object_get(m, "old")))
		return;
	if (strcmp(event, "wal_gap") == 0 && c->event_gap_us == 0 &&
	    c->seen_gap_us == 0)
		c->known.gap_us = c->event_gap_us =
		    message_number(m, "time_us");
	for (job = 0; job < JOB_COUNT; job++) {
		if (!is_failure_of(event, (enum job)job))
			continue;
		free(c->job_error[job]);
		c->job_error[job] = mem_strdup(message_text(m, "message"));
	}
}

void
facts_history_known(struct facts *f)
{
	size_t i;

	f->history_known = true;
	for (i = 0; i < f->count; i++)
		f->clusters[i].known.history_known = true;
}

void
facts_take(struct facts *f, const json_t *m)
{
	const char *type = message_text(m, "type");

	if (type == NULL)
		return;
	if (strcmp(type, "cluster") == 0) {
		take_cluster(f, m);
	} else if (strcmp(type, "site") == 0) {
		f->free_known = true;
		f->free_bytes = (uint64_t)message_number(m, "free_bytes");
	} else if (strcmp(type, "event") == 0) {
		take_event(f, m);
	} else if (strcmp(type, "job") == 0) {
		if (!f->history_known)
			take_old_job(f, m);
	} else if (strcmp(type, "ready") == 0) {
		facts_history_known(f);
	}
}
