/*
 * follow_build: the standby's directory: made, made anew, removed.
 */

#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/follow_int.h"
#include "jobs/promote.h"
#include "pg/server.h"
#include "pg/server_words.h"

int
follow_need(const struct cluster_settings *c, struct err *e)
{
	if (c->standby_dir != NULL)
		return 0;
	(void)err_set(
	    e, ERR_USAGE, "cluster \"%s\" has no standby here", c->name);
	return err_hint(e, "Set standby_dir in [cluster %s].", c->name);
}

/* ---- files in the state directory ---- */

static char *
state_path(const struct settings *s, const struct cluster_settings *c,
    const char *name)
{
	return mem_printf("%s/%s/%s", s->state_dir, c->name, name);
}

char *
follow_building_path(const struct settings *s, const struct cluster_settings *c)
{
	return state_path(s, c, "standby.building");
}

static int
publish(const struct settings *s, const struct cluster_settings *c,
    const char *path, const char *text, struct err *e)
{
	AUTO_FREE char *folder = file_join(s->state_dir, c->name);

	if (file_mkdirs_at(AT_FDCWD, folder, 0700, e) == -1)
		return -1;
	return file_publish_at(
	    AT_FDCWD, path, text, strlen(text), 0600, FILE_REPLACE, e);
}

int
follow_is_off(
    const struct settings *s, const struct cluster_settings *c, struct err *e)
{
	AUTO_FREE char *path = state_path(s, c, "standby.off");

	return file_exists_at(AT_FDCWD, path, e);
}

int
follow_set_off(const struct settings *s, const struct cluster_settings *c,
    bool off, struct err *e)
{
	AUTO_FREE char *path = state_path(s, c, "standby.off");

	if (!off)
		return file_unlink_at(AT_FDCWD, path, e);
	return publish(s, c, path,
	    "The standby is not to run: \"pgkura standby start\" undoes it.\n",
	    e);
}

/* ---- making it ---- */

static void
put_marker(const struct cluster_settings *c, struct buf *out)
{
	AUTO_JSON json_t *j = json_object();

	json_set_u64(j, "version", 1);
	json_set_str(j, "cluster", c->name);
	json_set_str(j, "directory", c->standby_dir);
	json_write(j, out);
	buf_put_u8(out, '\n');
}

/* Its settings, in the order in which the later ones count. */
static int
put_settings(
    const struct cluster_settings *c, struct server_words *words, struct err *e)
{
	AUTO_FREE char *port = mem_printf("port=%u", c->standby_port);

	server_words_add(words, "wal_retrieve_retry_interval=500ms");
	server_words_add(words, "recovery_min_apply_delay=0");
	server_words_add(
	    words, c->standby_hot ? "hot_standby=on" : "hot_standby=off");
	if (c->standby_port != 0)
		server_words_add(words, port);
	if (c->standby_settings == NULL)
		return 0;
	if (server_words_split(words, c->standby_settings, e) == -1)
		return err_ctx(e, "standby_settings of \"%s\"", c->name);
	return 0;
}

static int
publish_building(
    const struct settings *s, const struct cluster_settings *c, struct err *e)
{
	AUTO_FREE char *path = follow_building_path(s, c);
	AUTO_BUF struct buf marker = BUF_INIT;

	put_marker(c, &marker);
	return publish(s, c, path, buf_str(&marker), e);
}

int
follow_build(const struct settings *s, const struct cluster_settings *c,
    const struct follow_build *how, struct restore_result *result,
    struct err *e)
{
	AUTO_SERVER_WORDS struct server_words words = { 0 };
	AUTO_BUF struct buf marker = BUF_INIT;
	AUTO_FREE char *building = follow_building_path(s, c);
	struct restore_options o = { .directory = c->standby_dir,
		.delta = how->delta,
		.no_salvage = how->no_salvage,
		.settings_only = how->convert,
		.standby = true,
		.config_dir = NULL };

	if (follow_need(c, e) == -1 || put_settings(c, &words, e) == -1)
		return -1;
	put_marker(c, &marker);
	o.target.kind = TARGET_LATEST;
	o.follow_marker = buf_str(&marker);
	o.server_settings = server_words_argv(&words);
	/* What may be refused comes before the directory counts as ours. */
	o.plan_only = true;
	if (restore_run(s, c, &o, result, e) == -1)
		return -1;
	restore_result_free(result);
	o.plan_only = false;
	if ((!how->convert && publish_building(s, c, e) == -1) ||
	    promote_forget(s, c, e) == -1 ||
	    restore_run(s, c, &o, result, e) == -1)
		return -1;
	if (file_unlink_at(AT_FDCWD, building, e) == 0)
		return 0;
	restore_result_free(result);
	return -1;
}

/* ---- removing it ---- */

static int
refuse_drop(const struct cluster_settings *c, const struct follow_view *v,
    struct err *e)
{
	if (v->state == FOLLOW_FOREIGN) {
		(void)err_set(e, ERR_REFUSED,
		    "\"%s\" is not a standby that pgkura has made",
		    c->standby_dir);
		return err_hint(e, "Name the standby's folder in standby_dir.");
	}
	if (v->state != FOLLOW_PROMOTED)
		return 0;
	(void)err_set(e, ERR_REFUSED,
	    "the server in \"%s\" has been promoted: it is no standby any more",
	    c->standby_dir);
	return err_hint(
	    e, "It is the cluster's server, or was: look at its role.");
}

int
follow_drop(
    const struct settings *s, const struct cluster_settings *c, struct err *e)
{
	AUTO_FREE char *building = follow_building_path(s, c);
	struct follow_view v;

	if (follow_need(c, e) == -1 || follow_look_state(s, c, &v, e) == -1 ||
	    refuse_drop(c, &v, e) == -1 || follow_set_off(s, c, true, e) == -1)
		return -1;
	if (v.state == FOLLOW_ABSENT)
		return file_unlink_at(AT_FDCWD, building, e);
	/* Whatever interrupts this leaves what can be dropped again. */
	if (server_stop(c->standby_dir, "fast", e) == -1 ||
	    publish_building(s, c, e) == -1 ||
	    file_rmtree_at(AT_FDCWD, c->standby_dir, e) == -1 ||
	    file_unlink_at(AT_FDCWD, building, e) == -1)
		return -1;
	log_event(LOG_LEVEL_WARNING, "standby_dropped",
	    "the standby has been removed", "cluster", c->name, "directory",
	    c->standby_dir, NULL);
	return 0;
}
