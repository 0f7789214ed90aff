/*
 * restore_start: start the restored server and wait, by its progress.
 */

#include <fcntl.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/restore_job.h"
#include "pg/recovery.h"
#include "pg/server.h"

/* So long without any move of the server is a failure. */
#define STALL_US (600 * CLOCK_SECOND_US)

static void
show_progress(void *arg, const char *line)
{
	progress_note(arg, line);
}

static void
put_option(struct buf *out, const char *name, const char *value)
{
	AUTO_BUF struct buf one = BUF_INIT;
	const char *p;

	/* For pg_ctl -o: a shell takes it apart. */
	buf_printf(&one, "%s=%s", name, value);
	buf_printf(out, " -c '");
	for (p = buf_str(&one); *p != '\0'; p++)
		if (*p == '\'')
			buf_printf(out, "'\\''");
		else
			buf_put_u8(out, (uint8_t)*p);
	buf_printf(out, "'");
}

/* Paths inside a configuration of Debian's layout name the server it was
 * written for: say what holds for this one. */
int
restore_config_options(
    const char *pgdata, const char *folder, struct buf *out, struct err *e)
{
	static const struct {
		const char *setting, *file;
	} files[] = { { "hba_file", "pg_hba.conf" },
		{ "ident_file", "pg_ident.conf" } };
	size_t i;

	put_option(out, "data_directory", pgdata);
	for (i = 0; i < COUNT_OF(files); i++) {
		AUTO_FREE char *path = file_join(folder, files[i].file);
		int there = file_exists_at(AT_FDCWD, path, e);

		if (there == -1)
			return -1;
		if (there == 1)
			put_option(out, files[i].setting, path);
	}
	return 0;
}

/* The folder with postgresql.conf when it is not the data directory's own. */
static int
find_config(const struct restore *r, char **folder, struct err *e)
{
	const char *given = r->options->config_dir;

	*folder = NULL;
	if (given == NULL && r->has_main_config)
		return 0;
	if (given != NULL) {
		*folder = realpath(given, NULL);
		return *folder != NULL
		    ? 0
		    : err_sys(e, "could not find folder \"%s\"", given);
	}
	(void)err_set(e, ERR_REFUSED,
	    "\"%s\" is restored, but holds no postgresql.conf to start with",
	    r->place.path);
	if (r->config_count > 0)
		return err_hint(e,
		    "The backup has kept the configuration: look at "
		    "\"%s/" RESTORE_CONFIG_FOLDER
		    "\" and start with it, or give --config-dir.",
		    r->place.path);
	return err_hint(e,
	    "Name its folder with --config-dir, and let "
	    "backups keep it with config_dir.");
}

static int
run(struct restore *r, const char *folder, struct err *e)
{
	AUTO_BUF struct buf bindir = BUF_INIT;
	AUTO_BUF struct buf options = BUF_INIT;
	AUTO_FREE char *config = NULL;
	AUTO_FREE char *log_path = r->options->log_path != NULL
	    ? mem_strdup(r->options->log_path)
	    : file_join(r->place.path, "pgkura.start.log");
	struct server_start start = { 0 };

	if (server_find_bindir(
		r->root.facts.major, r->cluster->bindir, &bindir, e) == -1)
		return -1;
	if (folder != NULL) {
		config = file_join(folder, "postgresql.conf");
		if (restore_config_options(
			r->place.path, folder, &options, e) == -1)
			return -1;
	}
	start.pgdata = r->place.path;
	start.bindir = buf_str(&bindir);
	start.config_file = config;
	start.log_path = log_path;
	start.options = options.len > 0 ? buf_str(&options) : NULL;
	start.stall_us = STALL_US;
	return server_start_wait(&start, show_progress, r->progress, e);
}

int
restore_start(struct restore *r, struct err *e)
{
	AUTO_FREE char *folder = NULL;

	if (find_config(r, &folder, e) == -1)
		return -1;
	if (run(r, folder, e) == -1)
		return err_ctx(e,
		    "\"%s\" is restored, but its server did not "
		    "start",
		    r->place.path);
	log_event(LOG_LEVEL_INFO, "restore_started",
	    "the restored server is running", "cluster", r->cluster->name,
	    "directory", r->place.path, NULL);
	return 0;
}
