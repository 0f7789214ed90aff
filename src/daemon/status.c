#include "daemon/status.h"

#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/show.h"
#include "config.h"
#include "daemon/link_view.h"
#include "daemon/message.h"
#include "link/keys.h"

static void
set_time(json_t *o, const char *key, int64_t us)
{
	if (us != 0)
		(void)json_object_set_new(o, key, json_integer(us));
}

static void
set_number(json_t *o, const char *key, int64_t v)
{
	(void)json_object_set_new(o, key, json_integer(v));
}

static void
set_text(json_t *o, const char *key, const char *text)
{
	if (text != NULL)
		json_set_str(o, key, text);
}

static json_t *
settings_status(
    const struct settings *s, const struct facts *f, int64_t loaded_us)
{
	json_t *o = json_object();

	json_set_str(o, "path", s->path);
	set_time(o, "loaded_us", loaded_us);
	set_text(o, "error", f->settings_error);
	return o;
}

static json_t *
repository_status(const struct settings *s, const struct facts *f)
{
	json_t *o = json_object();

	json_set_str(o, "url", s->repository);
	if (f->free_known)
		json_set_u64(o, "free_bytes", f->free_bytes);
	return o;
}

static json_t *
duties_status(const struct duties *d)
{
	json_t *all = json_array();
	const struct duty *y;
	size_t i;

	for (i = 0; (y = duties_at(d, i)) != NULL; i++) {
		json_t *o = json_object();

		json_set_str(o, "duty", y->name);
		set_text(
		    o, "cluster", y->cluster[0] == '\0' ? NULL : y->cluster);
		json_set_str(o, "state", duty_state_name(y->state));
		if (y->pid != 0)
			set_number(o, "pid", y->pid);
		set_time(o, "since_us", y->since_us);
		set_number(o, "starts", y->starts);
		set_number(o, "deaths", y->deaths);
		(void)json_array_append_new(all, o);
	}
	return all;
}

/* The job's own file; NULL when it has none. */
static json_t *
progress_of(const struct settings *s, const char *cluster, enum job job)
{
	AUTO_FREE char *path = mem_printf(
	    "%s/%s/%s.progress", s->state_dir, cluster, job_name(job));

	return show_read(path);
}

static json_t *
job_status(const struct settings *s, const struct duties *d,
    const struct cluster_view *c, enum job job, int64_t now_us)
{
	const struct job_record *r = &c->known.jobs[job];
	const struct duty *y = duties_find(d, job_name(job), c->name);
	struct plan_verdict v = plan_job(&c->plan, &c->known, job, now_us);
	/* A command in the foreground shows its progress, too. */
	json_t *o = json_object(), *progress = progress_of(s, c->name, job);

	(void)json_object_set_new(o, "running", json_boolean(r->running));
	if (y != NULL && y->pid != 0)
		set_number(o, "pid", y->pid);
	if (progress != NULL)
		(void)json_object_set_new(o, "progress", progress);
	set_time(o, "started_us", r->started_us);
	set_time(o, "finished_us",
	    r->finished_us >= r->started_us ? r->finished_us : 0);
	set_time(o, "success_us", r->success_us);
	set_text(o, "error", c->job_error[job]);
	if (!r->running && v.next_us != 0) {
		set_time(o, "next_us", v.next_us > now_us ? v.next_us : now_us);
		set_text(o, "why", v.why);
	}
	return o;
}

static json_t *
problem_status(const json_t *event)
{
	json_t *o = json_object();

	set_time(o, "time_us", message_number(event, "time_us"));
	set_text(o, "level", message_text(event, "level"));
	set_text(o, "event", message_text(event, "event"));
	set_text(o, "message", message_text(event, "message"));
	set_text(
	    o, "hint", message_text(json_object_get(event, "values"), "hint"));
	return o;
}

static json_t *
cluster_status(const struct settings *s, const struct duties *d,
    const struct cluster_view *c, int64_t now_us)
{
	static const char *const copied[] = { "newest_backup", "gap", "damage",
		"drill", "ready", "receiver", "rule", "standby" };
	const struct cluster_settings *cs = settings_cluster(s, c->name, NULL);
	json_t *o = json_object(), *jobs = json_object();
	size_t i;
	int job;

	json_set_str(o, "name", c->name);
	if (cs != NULL && cs->conninfo == NULL)
		set_text(o, "comes_from", cs->accept_from);
	if (cs != NULL) {
		set_text(o, "votes_for", cs->votes_for);
		set_number(o, "rpo_target_us", cs->rpo_target_us);
		set_number(o, "rto_target_us", cs->rto_target_us);
	}
	if (c->known.repository_known)
		json_set_u64(o, "backups", c->known.backups);
	set_time(o, "newest_backup_us", c->known.newest_backup_us);
	set_time(o, "seen_us", message_number(c->seen, "time_us"));
	set_text(o, "repository_error", message_text(c->seen, "error"));
	for (i = 0; i < COUNT_OF(copied); i++)
		if (json_object_get(c->seen, copied[i]) != NULL)
			(void)json_object_set(
			    o, copied[i], json_object_get(c->seen, copied[i]));
	for (job = 0; job < JOB_COUNT; job++)
		(void)json_object_set_new(jobs, job_name((enum job)job),
		    job_status(s, d, c, (enum job)job, now_us));
	(void)json_object_set_new(o, "jobs", jobs);
	if (c->problem != NULL)
		(void)json_object_set_new(
		    o, "problem", problem_status(c->problem));
	return o;
}

/* Which other sites there are to be, and whether we know them. */
static json_t *
peers_status(const struct settings *s, const struct duties *d)
{
	json_t *all = json_array();
	char print[KEY_FINGERPRINT_BYTES];
	size_t i;

	for (i = 0; i < s->peer_count; i++) {
		const struct peer_settings *ps = &s->peers[i];
		const struct duty *y = duties_find(d, "courier", ps->name);
		json_t *o = json_object(), *link;
		struct err e = ERR_INIT;
		struct peer p;
		bool paired = peer_read(s->state_dir, ps->name, &p, &e) == 0;

		json_set_str(o, "name", ps->name);
		(void)json_object_set_new(o, "paired", json_boolean(paired));
		if (paired) {
			json_set_str(o, "key", key_fingerprint(p.key, print));
			set_time(o, "paired_us", p.paired_us);
		} else {
			json_set_str(o, "error", e.text);
		}
		set_text(o, "address", ps->address);
		(void)json_object_set_new(
		    o, "witness", json_boolean(ps->witness));
		if (y != NULL)
			json_set_str(o, "courier", duty_state_name(y->state));
		if ((link = link_view(s, ps->name)) != NULL)
			(void)json_object_set_new(o, "link", link);
		(void)json_array_append_new(all, o);
	}
	return all;
}

json_t *
status_json(const struct settings *s, const struct facts *f,
    const struct duties *d, struct alarms *a, int64_t settings_loaded_us,
    int64_t now_us)
{
	json_t *o = json_object(), *clusters = json_array();
	size_t i;

	for (i = 0; i < f->count; i++)
		(void)json_array_append_new(
		    clusters, cluster_status(s, d, &f->clusters[i], now_us));
	json_set_str(o, "site", s->site);
	json_set_str(o, "pgkura", PACKAGE_VERSION);
	set_number(o, "pid", getpid());
	set_time(o, "since_us", f->since_us);
	(void)json_object_set_new(
	    o, "settings", settings_status(s, f, settings_loaded_us));
	(void)json_object_set_new(o, "health", alarms_health(a));
	(void)json_object_set_new(o, "alarms", alarms_json(a));
	(void)json_object_set_new(o, "repository", repository_status(s, f));
	(void)json_object_set_new(o, "duties", duties_status(d));
	(void)json_object_set_new(o, "clusters", clusters);
	(void)json_object_set_new(o, "peers", peers_status(s, d));
	return o;
}
