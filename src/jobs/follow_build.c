/*
 * follow_build: the standby's directory: made, made anew.
 */

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/list.h"
#include "jobs/follow_int.h"
#include "jobs/promote.h"
#include "pg/server.h"
#include "pg/server_words.h"

AUTO_DEFINE(char *, file_names_free);
#define AUTO_NAMES AUTO(file_names_free_auto)

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

int
follow_publish_building(
    const struct settings *s, const struct cluster_settings *c, struct err *e)
{
	AUTO_FREE char *path = follow_building_path(s, c);
	AUTO_BUF struct buf marker = BUF_INIT;

	put_marker(c, &marker);
	return publish(s, c, path, buf_str(&marker), e);
}

/* Pairs of an old and a new place, NULL-ended; the caller frees all of it. */
static char **
tablespace_map(const struct cluster_settings *c)
{
	const char *at = c->standby_tablespaces;
	char **pairs = mem_zarray(list_count(at) + 1, sizeof(*pairs));
	char pair[PATH_MAX];
	size_t n = 0;

	while (list_next(&at, pair, sizeof(pair)))
		pairs[n++] = mem_strdup(pair);
	return pairs;
}

int
follow_build(const struct settings *s, const struct cluster_settings *c,
    const struct follow_build *how, struct restore_result *result,
    struct err *e)
{
	AUTO_SERVER_WORDS struct server_words words = { 0 };
	AUTO_BUF struct buf marker = BUF_INIT;
	AUTO_FREE char *building = follow_building_path(s, c);
	AUTO_NAMES char **map = tablespace_map(c);
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
	o.tablespace_map = (const char *const *)map;
	o.server_settings = server_words_argv(&words);
	/* What may be refused comes before the directory counts as ours. */
	o.plan_only = true;
	if (restore_run(s, c, &o, result, e) == -1)
		return -1;
	restore_result_free(result);
	o.plan_only = false;
	if ((!how->convert && follow_publish_building(s, c, e) == -1) ||
	    promote_forget(s, c, e) == -1 ||
	    restore_run(s, c, &o, result, e) == -1)
		return -1;
	if (file_unlink_at(AT_FDCWD, building, e) == 0)
		return 0;
	restore_result_free(result);
	return -1;
}
