/*
 * drill_live_show: what a live drill says of itself while it runs, and how it ended:
 * <state_dir>/<cluster>/drill_live.show, for who ordered it (drill_live_ask.c).
 *
 *	{"order": "1763694000000000-77", "by": "...", "lines": ["...", ...]}
 *	... "ended": true, "report": {...}, "error": {...}
 *
 * "error" is there when it has not passed, "report" when there is one.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/show.h"
#include "jobs/control.h"
#include "jobs/drill_live_int.h"

#define LINES_MAX 1000

static char *
show_path(const struct settings *s, const struct cluster_settings *c)
{
	return mem_printf("%s/%s/drill_live.show", s->state_dir, c->name);
}

json_t *
drill_live_shown(const struct settings *s, const struct cluster_settings *c)
{
	AUTO_FREE char *path = show_path(s, c);

	return show_read(path);
}

struct show {
	char *path;
	json_t *json;
};

static void
show_free(struct show *w)
{
	free(w->path);
	json_decref(w->json);
}

static void
add_line(void *arg, const char *line)
{
	struct show *w = arg;
	json_t *lines = json_object_get(w->json, "lines");

	if (json_array_size(lines) >= LINES_MAX)
		return;
	(void)json_array_append_new(lines, json_string(line));
	show_write(w->path, w->json);
}

static void
show_end(struct show *w, json_t *report, const struct err *e)
{
	if (report != NULL)
		(void)json_object_set(w->json, "report", report);
	if (e != NULL)
		(void)json_object_set_new(
		    w->json, "error", control_error_json(e));
	(void)json_object_set_new(w->json, "ended", json_true());
	show_write(w->path, w->json);
}

void
live_show_killed(const struct settings *s, const struct cluster_settings *c,
    json_t *report, const char *id)
{
	AUTO(show_free) struct show w = { .path = show_path(s, c) };
	struct drill_result r = { .outcome = DRILL_STOPPED, .report = report };
	struct err e = ERR_INIT;

	w.json = show_read(w.path);
	if (w.json == NULL || json_is_true(json_object_get(w.json, "ended")))
		return;
	(void)snprintf(r.id, sizeof(r.id), "%s", id);
	(void)drill_live_verdict(&r, &e);
	show_end(&w, report, &e);
}

int
drill_live_job(const struct settings *s, const struct cluster_settings *c,
    const json_t *order, struct err *e)
{
	AUTO(show_free)
	struct show w = { .path = show_path(s, c), .json = json_object() };
	struct drill_live_options o = { .hold_us = DRILL_LIVE_HOLD_US,
		.from = json_string_value(json_object_get(order, "from")),
		.by = json_string_value(json_object_get(order, "by")),
		.say = add_line,
		.arg = &w };
	struct drill_result r = { .report = NULL };
	int rc;

	(void)json_need_i64(order, "hold_us", &o.hold_us, NULL);
	json_set_str(w.json, "order", json_get_str(order, "id"));
	json_set_str(w.json, "by", o.by == NULL ? "" : o.by);
	(void)json_object_set_new(w.json, "lines", json_array());
	show_write(w.path, w.json);
	rc = drill_live_run(s, c, &o, &r, e);
	if (rc == 0)
		rc = drill_live_verdict(&r, e);
	show_end(&w, r.report, rc == -1 ? e : NULL);
	drill_result_free(&r);
	return rc;
}
