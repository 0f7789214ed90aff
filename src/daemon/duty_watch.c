#include "daemon/duty_watch.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/show.h"
#include "daemon/message.h"
#include "daemon/wal_gap.h"
#include "jobs/damage.h"
#include "jobs/drill.h"
#include "jobs/drill_chain.h"
#include "jobs/ready.h"
#include "jobs/rule.h"
#include "repo/manifest.h"
#include "repo/walarchive.h"

#define ROUND_US      (5 * CLOCK_SECOND_US)
#define GLANCE_US     CLOCK_SECOND_US /* has a backup come or gone? */
#define REPOSITORY_US (20 * CLOCK_SECOND_US)
#define READY_US      (300 * CLOCK_SECOND_US)
#define FAULT_US      (30 * CLOCK_SECOND_US) /* is it over? */
#define SAMPLE_US     (300 * CLOCK_SECOND_US)
#define BUSY_SHARE    20 /* looking takes at most a twentieth of time */

/* What is remembered of one cluster between rounds. */
struct watched {
	const struct cluster_settings *c;
	json_t *seen; /* in the repository; NULL: not yet */
	struct wal_gap_memory gap;
	json_t *ready;	  /* could it be brought up here; NULL: not yet */
	int64_t ready_us; /* when to look again, clock_boot_us() */
	/* The folders where a lineage or a backup appears, as they were. */
	char *folders[2];
	struct timespec changed[2];
};

struct watcher {
	const struct settings *s;
	int fd;
	struct watched *clusters;
	int64_t repository_us, sample_us; /* next time, clock_boot_us() */
};

static int
tell(const struct watcher *w, const json_t *m)
{
	AUTO_BUF struct buf text = BUF_INIT;

	if (w->fd != -1)
		return message_send(w->fd, m, NULL);
	json_write(m, &text);
	if (printf("%s\n", buf_str(&text)) < 0 || fflush(stdout) == EOF)
		return -1;
	return 0;
}

/* ---- the repository ---- */

/* The time in a backup's id, "20261121T030405Z-7f3a"; 0 when it has none. */
static int64_t
backup_time_us(const char *id)
{
	struct tm tm = { 0 };
	const char *end = strptime(id, "%Y%m%dT%H%M%SZ", &tm);

	return end == NULL ? 0 : (int64_t)timegm(&tm) * CLOCK_SECOND_US;
}

static void
set_time(json_t *o, const char *key, int64_t us)
{
	(void)json_object_set_new(o, key, json_integer(us));
}

static int
see_backups(
    struct watched *d, const struct lineage *l, json_t *seen, struct err *e)
{
	char **ids = NULL;
	size_t count = 0;
	int rc = 0;

	if (backup_list(l, &ids, &count, e) == -1)
		return -1;
	json_set_u64(seen, "backups", count);
	if (count > 0) {
		json_set_str(seen, "newest_backup", ids[count - 1]);
		set_time(
		    seen, "newest_backup_us", backup_time_us(ids[count - 1]));
		rc = wal_gap_look(&d->gap, l, ids[count - 1], seen, e);
	}
	store_names_free(ids);
	return rc;
}

/* When the last live drill began that nobody needs to look at any more: it has
 * passed, or somebody has signed its report off. */
static void
see_live(const struct chain *c, json_t *seen)
{
	int64_t settled_us = 0, started_us;
	size_t i, count;

	for (i = 0; i < c->count; i++) {
		const struct chain_link *k = &c->links[i];
		const json_t *j = k->report.json;

		if (j == NULL || k->report.kind != REPORT_LIVE)
			continue;
		free(chain_sign_offs(c, k->id, &count));
		started_us = report_number(j, "started_us");
		if ((count > 0 ||
			strcmp(report_text(j, "result"), "passed") == 0) &&
		    started_us > settled_us)
			settled_us = started_us;
	}
	set_time(seen, "live_settled_us", settled_us);
}

/* The last drill of this site, and how its reports stand. */
static int
see_drills(const struct watcher *w, const struct lineage *l, json_t *seen,
    struct err *e)
{
	AUTO_CHAIN struct chain c = { 0 };
	json_t *o;
	size_t i;

	if (chain_read(w->s, l, &c, e) == -1)
		return -1;
	if (c.count == 0)
		return 0;
	see_live(&c, seen);
	o = json_object();
	json_set_u64(o, "faults", c.faults);
	for (i = 0; i < c.count; i++) {
		const struct chain_link *k = &c.links[i];
		const json_t *j = k->report.json;
		bool passed;

		if (j == NULL || k->report.kind != REPORT_DRILL ||
		    strcmp(k->report.site, w->s->site) != 0)
			continue;
		passed = strcmp(report_text(j, "result"), "passed") == 0;
		json_set_str(o, "id", k->id);
		json_set_str(o, "result", report_text(j, "result"));
		set_time(o, "started_us", report_number(j, "started_us"));
		if (passed)
			set_time(
			    o, "passed_us", report_number(j, "started_us"));
		if (passed)
			set_time(o, "rto_us",
			    report_number(
				json_object_get(j, "rto"), "achieved_us"));
	}
	(void)json_object_set_new(seen, "drill", o);
	return 0;
}

/* What a verification found, and the couriers did not heal yet. */
static void
see_damage(
    const struct watcher *w, const struct cluster_settings *c, json_t *seen)
{
	AUTO_JSON json_t *list = damage_read(w->s, c->name);
	const json_t *items = json_object_get(list, "items"), *item;
	json_t *o;
	size_t i, hopeless = 0;

	if (list == NULL)
		return;
	json_array_foreach(
	    items, i, item) if (damage_is_hopeless(item, w->s, c)) hopeless++;
	o = json_object();
	json_set_u64(o, "wanted", json_array_size(items) - hopeless);
	json_set_u64(o, "hopeless", hopeless);
	(void)json_object_set(o, "others", json_object_get(list, "others"));
	(void)json_object_set(o, "healed", json_object_get(list, "healed"));
	(void)json_object_set(
	    o, "verified_us", json_object_get(list, "verified_us"));
	if (json_array_size(items) > 0)
		(void)json_object_set(o, "first",
		    json_object_get(json_array_get(items, 0), "name"));
	(void)json_object_set_new(seen, "damage", o);
}

static json_t *
ready_json(const struct check_result *r)
{
	enum check_verdict worst = r->faults > 0 ? CHECK_FAULT : CHECK_WARNING;
	json_t *o = json_object();
	size_t i;

	json_set_u64(o, "faults", r->faults);
	json_set_u64(o, "warnings", r->warnings);
	for (i = 0; i < r->count; i++) {
		if (r->items[i].verdict != worst)
			continue;
		json_set_str(o, "what", r->items[i].what);
		json_set_str(o, "found", r->items[i].found);
		break;
	}
	return o;
}

static void
see_ready(const struct watcher *w, struct watched *d)
{
	struct check_result r;
	struct err e = ERR_INIT;

	if (d->c->votes_for == NULL && clock_boot_us() >= d->ready_us) {
		d->ready_us = clock_boot_us() + READY_US;
		json_decref(d->ready);
		d->ready = NULL;
		if (ready_run(w->s, d->c, &r, &e) == 0) {
			d->ready = ready_json(&r);
			if (r.faults > 0)
				d->ready_us = clock_boot_us() + FAULT_US;
		}
		check_result_free(&r);
	}
	if (d->ready != NULL)
		(void)json_object_set(d->seen, "ready", d->ready);
}

/* What a drill that was killed has left; a drill that runs is not disturbed. */
static void
sweep_drills(const struct watcher *w, const struct watched *d)
{
	struct err e = ERR_INIT;
	bool swept;

	if (drill_sweep(w->s, d->c, &swept, &e) == -1 &&
	    e.kind != ERR_TRANSIENT)
		log_error("drill_not_swept", &e);
}

/* When something in a folder came or went; 0 when it is not there. */
static struct timespec
folder_changed(const char *path)
{
	struct stat st;

	if (path == NULL || stat(path, &st) == -1)
		return (struct timespec){ 0 };
	return st.st_mtim;
}

/* From now on what changes in this folder is news. */
static void
mind_folder(struct watched *d, size_t i, const struct repo *r, const char *key)
{
	const char *top = store_local_path(repo_store(r));

	free(d->folders[i]);
	d->folders[i] = top == NULL ? NULL : mem_printf("%s/%s", top, key);
	d->changed[i] = folder_changed(d->folders[i]);
}

/* Has a backup come or gone since we looked, whoever took or brought it? */
static bool
has_news(const struct watched *d)
{
	struct timespec t;
	size_t i;

	for (i = 0; i < COUNT_OF(d->folders); i++) {
		t = folder_changed(d->folders[i]);
		if (t.tv_sec != d->changed[i].tv_sec ||
		    t.tv_nsec != d->changed[i].tv_nsec)
			return true;
	}
	return false;
}

static int
see_cluster(
    const struct watcher *w, struct watched *d, json_t *seen, struct err *e)
{
	AUTO_REPO struct repo *r =
	    repo_open(w->s->repository, w->s->state_dir, false, e);
	char key[STORE_KEY_BYTES];
	struct lineage l;

	if (r == NULL)
		return -1;
	mind_folder(d, 0, r, d->c->name);
	if (lineage_open(r, d->c->name, NULL, &l, e) == 0) {
		mind_folder(d, 1, r, lineage_key(&l, key, "backups"));
		return see_backups(d, &l, seen, e) == -1
		    ? -1
		    : see_drills(w, &l, seen, e);
	}
	if (e->kind != ERR_NOT_FOUND)
		return -1;
	err_clear(e); /* nothing of it is there yet */
	json_set_u64(seen, "backups", 0);
	return 0;
}

static void
look_at_cluster(const struct watcher *w, struct watched *d)
{
	struct err e = ERR_INIT;

	json_decref(d->seen);
	d->seen = json_object();
	if (see_cluster(w, d, d->seen, &e) == -1)
		json_set_str(d->seen, "error", e.text);
	else
		see_ready(w, d);
}

/* All of them; the next time is later when that took long. */
static void
look_at_repository(struct watcher *w)
{
	int64_t begin_us = clock_boot_us(), pause_us;
	size_t i;

	for (i = 0; i < w->s->cluster_count && !child_stop_requested(); i++) {
		sweep_drills(w, &w->clusters[i]);
		look_at_cluster(w, &w->clusters[i]);
	}
	pause_us = (clock_boot_us() - begin_us) * BUSY_SHARE;
	w->repository_us = clock_boot_us() +
	    (pause_us > REPOSITORY_US ? pause_us : REPOSITORY_US);
}

/* ---- the receivers ---- */

/* What a duty says of itself in its file, NULL when it said nothing. */
static json_t *
duty_says(const struct watcher *w, const char *cluster, const char *file)
{
	AUTO_FREE char *path =
	    mem_printf("%s/%s/%s", w->s->state_dir, cluster, file);

	return show_read(path);
}

static void
tell_cluster(const struct watcher *w, const struct watched *d)
{
	AUTO_JSON json_t *m = json_copy(d->seen);
	json_t *receiver = duty_says(w, d->c->name, "receiver.json");
	json_t *standby = duty_says(w, d->c->name, "standby.json");
	json_t *rule;

	json_set_str(m, "type", "cluster");
	json_set_str(m, "cluster", d->c->name);
	set_time(m, "time_us", clock_now_us());
	if (receiver != NULL)
		(void)json_object_set_new(m, "receiver", receiver);
	if (standby != NULL)
		(void)json_object_set_new(m, "standby", standby);
	see_damage(w, d->c, m);
	if (rule_wanted(d->c) && (rule = rule_shown(w->s, d->c)) != NULL)
		(void)json_object_set_new(m, "rule", rule);
	(void)tell(w, m); /* what does not arrive is told again */
}

/* ---- space ---- */

static void
tell_space(struct watcher *w)
{
	AUTO_STORE struct store *store =
	    store_open(w->s->repository, false, NULL);
	const char *path = store == NULL ? NULL : store_local_path(store);
	AUTO_JSON json_t *m = json_object(), *sample = json_object();
	uint64_t bytes;

	if (path == NULL || file_free_bytes(path, &bytes, NULL) == -1)
		return;
	json_set_str(m, "type", "site");
	set_time(m, "time_us", clock_now_us());
	json_set_u64(m, "free_bytes", bytes);
	(void)tell(w, m);
	if (clock_boot_us() < w->sample_us)
		return;
	w->sample_us = clock_boot_us() + SAMPLE_US;
	json_set_str(sample, "type", "sample");
	json_set_str(sample, "name", "free_bytes");
	set_time(sample, "time_us", clock_now_us());
	(void)json_object_set_new(sample, "value", json_real((double)bytes));
	(void)tell(w, sample);
}

/* A job has ended: it may have changed that, too. */
static void
forget_ready(struct watcher *w)
{
	size_t i;

	for (i = 0; i < w->s->cluster_count; i++)
		w->clusters[i].ready_us = 0;
}

/* Words from the supervisor: look at once.  1 there was one, 0 none, -1 there is
 * no supervisor any more. */
static int
take_words(struct watcher *w)
{
	json_t *m = NULL;
	int rc, heard = 0;

	while ((rc = message_receive(w->fd, &m, NULL)) == 1) {
		json_decref(m);
		w->repository_us = 0;
		forget_ready(w);
		heard = 1;
	}
	return rc == 0 ? -1 : heard;
}

static bool
any_news(const struct watcher *w)
{
	size_t i;

	for (i = 0; i < w->s->cluster_count; i++)
		if (has_news(&w->clusters[i]))
			return true;
	return false;
}

/* Until the next round, a word from the supervisor, or news of a backup.  false
 * when there is no supervisor any more. */
static bool
rest(struct watcher *w)
{
	int64_t until_us = clock_boot_us() + ROUND_US;
	struct pollfd p = { w->fd, POLLIN, 0 };
	int heard;

	do {
		(void)poll(&p, 1, (int)(GLANCE_US / 1000));
		heard = w->fd == -1 ? 0 : take_words(w);
		if (heard != 0 || child_stop_requested())
			return heard != -1;
	} while (clock_boot_us() < until_us && !any_news(w));
	return true;
}

int
duty_watch(const struct settings *s, int fd, struct err *e)
{
	AUTO_FREE struct watched *clusters =
	    mem_zarray(s->cluster_count, sizeof(*clusters));
	struct watcher w = { .s = s, .fd = fd, .clusters = clusters };
	size_t i;

	for (i = 0; i < s->cluster_count; i++)
		clusters[i].c = &s->clusters[i];
	do {
		if (clock_boot_us() >= w.repository_us)
			look_at_repository(&w);
		for (i = 0; i < s->cluster_count; i++)
			if (has_news(&clusters[i]))
				look_at_cluster(&w, &clusters[i]);
		for (i = 0; i < s->cluster_count; i++)
			tell_cluster(&w, &clusters[i]);
		tell_space(&w);
	} while (!child_stop_requested() && rest(&w));
	for (i = 0; i < s->cluster_count; i++) {
		json_decref(clusters[i].seen);
		json_decref(clusters[i].ready);
		free(clusters[i].folders[0]);
		free(clusters[i].folders[1]);
	}
	return child_check_stop(e);
}
