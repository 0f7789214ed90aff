/*
 * verify_heal: what a verification found damaged is had from other sites.
 *
 *	found -> damage.json -> the couriers ask, keep, replace -> found again?
 *
 * The couriers do it whether or not somebody waits here.
 */

#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/show.h"
#include "base/strmap.h"
#include "jobs/control.h"
#include "jobs/damage.h"
#include "jobs/jobs.h"

#include <fcntl.h>

#define LOOK_US	       (CLOCK_SECOND_US / 4)
#define ASK_MS	       5000
#define PATIENCE_US    (60 * CLOCK_SECOND_US) /* with sites that do not answer */
#define STALE_US       (15 * CLOCK_SECOND_US)
#define LINK_BYTES_MAX ((size_t)1 << 20)
#define ROUNDS_MAX     8
#define WHY_BYTES      400

/* ---- the list ---- */

static void
keep_found(struct damage *d, const struct verify_result *r)
{
	AUTO_STRMAP struct strmap *found = strmap_new();
	json_t *items = json_object_get(d->json, "items");
	size_t i;

	for (i = 0; i < r->want_count; i++) {
		AUTO_FREE char *key =
		    mem_printf("%s/%s", r->wants[i].lineage, r->wants[i].name);

		(void)strmap_put(found, key, (void *)1);
	}
	for (i = json_array_size(items); i-- > 0;) {
		const json_t *item = json_array_get(items, i);
		const char *lineage = json_string_value(
			       json_object_get(item, "lineage")),
			   *name =
			       json_string_value(json_object_get(item, "name"));
		AUTO_FREE char *key = mem_printf("%s/%s",
		    lineage == NULL ? "" : lineage, name == NULL ? "" : name);

		if (strmap_get(found, key) == NULL &&
		    json_object_get(item, "gone") == NULL)
			(void)json_array_remove(items, i);
	}
}

/* Of those that are damaged now, what was known of them stays. */
static void
note_roots(struct damage *d, const struct verify_result *r, bool complete)
{
	json_t *before = json_object_get(d->json, "roots");
	json_t *now = json_object();
	const char *key;
	json_t *value;
	void *hex;
	size_t i, pos = 0;

	for (i = 0; i < r->want_count; i++) {
		AUTO_FREE char *name =
		    mem_printf("%s/%s", r->wants[i].lineage, r->wants[i].name);

		value = json_object_get(before, name);
		if (value != NULL)
			(void)json_object_set(now, name, value);
	}
	while (strmap_next(r->roots, &pos, &key, &hex))
		json_set_str(now, key, hex);
	if (!complete)
		(void)json_object_update_missing(now, before);
	(void)json_object_set_new(d->json, "roots", now);
}

/* anew: who has said no is asked again. */
static int
record(const struct settings *s, const struct cluster_settings *c,
    const struct verify_result *r, bool complete, bool anew, struct err *e)
{
	AUTO_DAMAGE struct damage d = { .lock = -1 };
	int64_t now_us = clock_now_us();
	size_t i;

	if (damage_open(&d, s, c->name, true, e) == -1)
		return -1;
	if (complete)
		keep_found(&d, r);
	for (i = 0; i < r->want_count; i++) {
		const struct verify_want *w = &r->wants[i];

		if (anew || damage_find(d.json, w->lineage, w->name) == NULL)
			(void)damage_add(d.json, w->lineage, w->name, w->what,
			    w->bytes, w->has_sha256 ? w->sha256 : NULL, now_us);
	}
	note_roots(&d, r, complete);
	if (complete || r->others > 0)
		json_set_u64(d.json, "others", r->others);
	json_set_u64(d.json, "verified_us", (uint64_t)now_us);
	return damage_save(&d, e);
}

int
verify_record(const struct settings *s, const struct cluster_settings *c,
    const struct verify_result *r, bool complete, struct err *e)
{
	return record(s, c, r, complete, true, e);
}

/* ---- waiting ---- */

struct wait {
	const struct settings *settings;
	const struct cluster_settings *cluster;
	struct progress *progress;
	int64_t heard_us; /* when a site that is to be asked was there last */
	uint64_t total_bytes;
	size_t total;
	size_t hopeless, pending; /* items, at the last look */
	char why[WHY_BYTES];	  /* why it goes no further; "" */
};

static json_t *
link_of(const struct wait *w, const char *peer)
{
	AUTO_FREE char *path =
	    mem_printf("%s/link/%s.json", w->settings->state_dir, peer);
	AUTO_BUF struct buf text = BUF_INIT;

	if (file_slurp_at(AT_FDCWD, path, LINK_BYTES_MAX, &text, NULL) == -1)
		return NULL;
	return json_parse(text.data, text.len, path, NULL);
}

/* Bytes that have arrived of what is not whole yet; *reached: is there one of
 * the sites that are to be asked? */
static uint64_t
look_at_links(const struct wait *w, const json_t *items, bool *reached)
{
	uint64_t bytes = 0;
	const json_t *item;
	size_t i, k;

	*reached = false;
	for (i = 0; i < w->settings->peer_count; i++) {
		const char *peer = w->settings->peers[i].name;
		AUTO_JSON json_t *l = NULL;
		const json_t *heal;

		if (!damage_shared(w->cluster, peer))
			continue;
		l = link_of(w, peer);
		heal = json_object_get(l, "heal");
		bytes += (uint64_t)json_integer_value(
		    json_object_get(heal, "arrived_bytes"));
		if (!json_is_true(json_object_get(l, "up")) ||
		    show_age_us(l) > STALE_US)
			continue;
		json_array_foreach(items, k,
		    item) if (damage_answer(item, peer) == NULL) *reached =
		    true;
	}
	return bytes;
}

static void
show(struct wait *w, uint64_t left_bytes, uint64_t arrived)
{
	char note[80];
	uint64_t done = w->total_bytes > left_bytes
	    ? w->total_bytes - left_bytes + arrived
	    : arrived;

	if (done > w->total_bytes)
		done = w->total_bytes;
	if (done > progress_done(w->progress))
		progress_add(w->progress, done - progress_done(w->progress));
	(void)snprintf(
	    note, sizeof(note), "%zu damaged still", w->pending + w->hopeless);
	progress_note(w->progress, note);
}

static void
count_items(struct wait *w, const json_t *items, uint64_t *left_bytes)
{
	const json_t *item;
	size_t i;

	w->pending = w->hopeless = 0;
	*left_bytes = 0;
	json_array_foreach(items, i, item)
	{
		*left_bytes += (uint64_t)json_integer_value(
		    json_object_get(item, "bytes"));
		if (damage_is_hopeless(item, w->settings, w->cluster))
			w->hopeless++;
		else
			w->pending++;
	}
	if (*left_bytes > w->total_bytes) {
		w->total_bytes = *left_bytes;
		progress_set_total(w->progress, w->total_bytes);
	}
}

/* 1 go on waiting, 0 it is over, -1. */
static int
look(struct wait *w, struct err *e)
{
	AUTO_JSON json_t *list = damage_read(w->settings, w->cluster->name);
	const json_t *items = json_object_get(list, "items");
	uint64_t left_bytes, arrived;
	bool reached;

	count_items(w, items, &left_bytes);
	arrived = look_at_links(w, items, &reached);
	show(w, left_bytes, arrived);
	if (reached)
		w->heard_us = clock_boot_us();
	if (w->pending == 0)
		return 0;
	if (clock_boot_us() - w->heard_us > PATIENCE_US) {
		(void)snprintf(w->why, sizeof(w->why),
		    "no other site that may have it can be reached: it is "
		    "fetched when one can");
		return 0;
	}
	return child_check_stop(e) == -1 ? -1 : 1;
}

/* Why there is no use in waiting; "" there is. */
static void
judge_use(struct wait *w)
{
	AUTO_JSON json_t *request = control_request("status");
	AUTO_JSON json_t *reply = NULL;
	struct err e = ERR_INIT;
	size_t i, shared = 0;

	for (i = 0; i < w->settings->peer_count; i++)
		if (damage_shared(w->cluster, w->settings->peers[i].name))
			shared++;
	if (shared == 0) {
		(void)snprintf(w->why, sizeof(w->why),
		    "cluster \"%s\" has no copy at another site",
		    w->cluster->name);
		return;
	}
	reply = control_ask(w->settings, request, ASK_MS, &e);
	if (reply == NULL && e.kind == ERR_NOT_FOUND)
		(void)snprintf(w->why, sizeof(w->why),
		    "pgkurad does not run; what is damaged is written down, "
		    "and fetched from the other site when it runs");
}

static int
wait_for_all(struct wait *w, struct err *e)
{
	int rc;

	w->heard_us = clock_boot_us();
	while ((rc = look(w, e)) == 1)
		clock_sleep_us(LOOK_US);
	return rc;
}

/* ---- all of it ---- */

static void
add_left(struct verify_heal_result *r, char *text)
{
	r->left = mem_rearray(r->left, r->left_count + 2, sizeof(r->left[0]));
	r->left[r->left_count++] = text;
	r->left[r->left_count] = NULL;
}

/* "packs/7f/...: it is missing; osaka: ..." */
static void
list_left(const struct settings *s, const struct cluster_settings *c,
    struct verify_heal_result *r)
{
	AUTO_JSON json_t *list = damage_read(s, c->name);
	const json_t *item;
	size_t i, k;

	json_array_foreach(json_object_get(list, "items"), i, item)
	{
		AUTO_BUF struct buf b = BUF_INIT;
		const char *name =
		    json_string_value(json_object_get(item, "name"));
		const char *what =
		    json_string_value(json_object_get(item, "what"));

		buf_printf(&b, "%s: %s", name == NULL ? "" : name,
		    what == NULL ? "" : what);
		for (k = 0; k < s->peer_count; k++) {
			const char *why = damage_answer(item, s->peers[k].name);

			if (why != NULL)
				buf_printf(
				    &b, "; %s: %s", s->peers[k].name, why);
		}
		add_left(r, mem_strdup(buf_str(&b)));
	}
}

void
verify_heal_result_free(struct verify_heal_result *r)
{
	size_t i;

	for (i = 0; i < r->left_count; i++)
		free(r->left[i]);
	free(r->left);
	free(r->waits);
	(void)memset(r, 0, sizeof(*r));
}

/* What has become whole may lead to more that is damaged. */
static int
look_again(const struct settings *s, const struct cluster_settings *c,
    const char *backup_id, struct verify_result *r, struct err *e)
{
	struct verify_result now;

	if (verify_again(s, c, backup_id, r, &now, e) == -1) {
		verify_result_free(&now);
		return -1;
	}
	now.objects += r->objects;
	now.bytes += r->bytes;
	verify_result_free(r);
	*r = now;
	return 0;
}

int
verify_heal(const struct settings *s, const struct cluster_settings *c,
    const char *backup_id, bool complete, struct verify_result *r,
    struct verify_heal_result *result, struct err *e)
{
	AUTO_PROGRESS struct progress *progress = NULL;
	struct wait w = { .settings = s, .cluster = c };
	size_t before;
	int round;

	(void)memset(result, 0, sizeof(*result));
	if (record(s, c, r, complete, true, e) == -1)
		return -1;
	judge_use(&w);
	if (r->want_count > 0 && w.why[0] == '\0')
		w.progress = progress = progress_new("heal", 0);
	for (round = 0; round < ROUNDS_MAX && w.why[0] == '\0'; round++) {
		before = r->want_count;
		if (before == 0)
			break;
		if (wait_for_all(&w, e) == -1 ||
		    look_again(s, c, backup_id, r, e) == -1 ||
		    record(s, c, r, complete, false, e) == -1)
			return -1;
		if (r->want_count < before)
			result->healed += before - r->want_count;
		if (w.pending == 0 && w.hopeless >= r->want_count)
			break;
	}
	if (r->want_count > 0)
		list_left(s, c, result);
	if (r->want_count > 0 && w.why[0] != '\0')
		result->waits = mem_strdup(w.why);
	return 0;
}
