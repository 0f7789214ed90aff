/*
 * follow_server: the standby's server: started, reached.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "jobs/follow.h"
#include "jobs/restore_job.h"
#include "pg/control.h"
#include "pg/server.h"
#include "pg/session_login.h"

/* So long without any move of a server that starts is a failure. */
#define STALL_US (600 * CLOCK_SECOND_US)

char *
follow_log_path(const struct settings *s, const struct cluster_settings *c)
{
	return mem_printf("%s/%s/standby.log", s->state_dir, c->name);
}

/* Its configuration may be the one that the backup kept beside the data. */
static int
find_config(
    const char *pgdata, char **config, struct buf *options, struct err *e)
{
	AUTO_FREE char *inside = file_join(pgdata, "postgresql.conf");
	AUTO_FREE char *folder = file_join(pgdata, RESTORE_CONFIG_FOLDER);
	int there = file_exists_at(AT_FDCWD, inside, e);

	if (there != 0)
		return there == 1 ? 0 : -1;
	*config = file_join(folder, "postgresql.conf");
	there = file_exists_at(AT_FDCWD, *config, e);
	if (there == -1)
		return -1;
	if (there == 0) {
		(void)err_set(e, ERR_REFUSED,
		    "\"%s\" holds no postgresql.conf to start with", pgdata);
		return err_hint(e,
		    "Let backups keep it with config_dir at the site that "
		    "takes them, or put one there.");
	}
	return restore_config_options(pgdata, folder, options, e);
}

/* ---- settings that a standby needs ---- */

#define AUTO_CONF	    "postgresql.auto.conf"
#define AUTO_CONF_BYTES_MAX ((size_t)16 << 20)
#define NEEDED_COUNT	    5

struct needed {
	const char *name;
	int least;
};

/* The line "name = 'value'" with a value that is too low, raised. */
static bool
raise_line(
    const char *line, size_t len, const struct needed *n, struct buf *out)
{
	size_t name_len = strlen(n->name);
	const char *p = line + name_len;

	if (len <= name_len || strncmp(line, n->name, name_len) != 0 ||
	    (*p != ' ' && *p != '='))
		return false;
	p += strspn(p, " ='");
	if (p >= line + len || atoi(p) >= n->least)
		return false;
	buf_printf(out, "%s = '%d'\n", n->name, n->least);
	return true;
}

/* Appends text with what is too low raised; true when something was. */
static bool
raise_lines(const struct buf *text, const struct needed needed[NEEDED_COUNT],
    struct buf *out)
{
	const char *line = (const char *)text->data, *end = line + text->len,
		   *next;
	bool any = false, raised;
	size_t i;

	for (; line < end; line = next) {
		next = memchr(line, '\n', (size_t)(end - line));
		next = next == NULL ? end : next + 1;
		raised = false;
		for (i = 0; i < NEEDED_COUNT && !raised; i++)
			raised = raise_line(
			    line, (size_t)(next - line), &needed[i], out);
		if (!raised)
			buf_put(out, line, (size_t)(next - line));
		any |= raised;
	}
	return any;
}

/* When the primary's settings have grown since the backup, the standby stops and
 * says so, and its control file holds the new ones: CheckRequiredParameterValues()
 * of 13 to 18. */
static int
raise_settings(const char *pgdata, const struct control *c, struct err *e)
{
	const struct needed needed[NEEDED_COUNT] = {
		{ "max_connections", c->max_connections },
		{ "max_worker_processes", c->max_worker_processes },
		{ "max_wal_senders", c->max_wal_senders },
		{ "max_prepared_transactions", c->max_prepared_xacts },
		{ "max_locks_per_transaction", c->max_locks_per_xact },
	};
	AUTO_FREE char *path = file_join(pgdata, AUTO_CONF);
	AUTO_BUF struct buf old = BUF_INIT, text = BUF_INIT;
	AUTO_FD int fd = -1;
	struct stat st;

	if (file_slurp_at(AT_FDCWD, path, AUTO_CONF_BYTES_MAX, &old, e) == -1)
		return -1;
	(void)buf_str(&old);
	if (!raise_lines(&old, needed, &text))
		return 0;
	if (stat(path, &st) == -1)
		return err_sys(e, "could not look up \"%s\"", path);
	if (file_publish_at(AT_FDCWD, path, text.data, text.len,
		st.st_mode & 0777, FILE_REPLACE, e) == -1)
		return -1;
	fd = file_open_at(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW, 0, e);
	if (fd == -1)
		return -1;
	if (geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid) == -1)
		return err_sys(e, "could not set owner of \"%s\"", path);
	return 0;
}

/* ---- starting ---- */

static int
prepare(const struct cluster_settings *c, struct buf *bindir, struct err *e)
{
	struct control control;

	if (control_read(&control, c->standby_dir, e) == -1 ||
	    raise_settings(c->standby_dir, &control, e) == -1)
		return -1;
	return server_find_bindir(
	    control_major(&control), c->bindir, bindir, e);
}

int
follow_start(const struct settings *s, const struct cluster_settings *c,
    void (*progress)(void *arg, const char *line), void *arg, struct err *e)
{
	AUTO_BUF struct buf bindir = BUF_INIT, options = BUF_INIT;
	AUTO_FREE char *config = NULL;
	AUTO_FREE char *log_path = follow_log_path(s, c);
	AUTO_FREE char *folder = file_join(s->state_dir, c->name);
	struct server_start start = {
		.pgdata = c->standby_dir, .stall_us = STALL_US, .leave = true
	};

	if (file_mkdirs_at(AT_FDCWD, folder, 0700, e) == -1 ||
	    prepare(c, &bindir, e) == -1 ||
	    find_config(c->standby_dir, &config, &options, e) == -1)
		return -1;
	start.bindir = buf_str(&bindir);
	start.config_file = config;
	start.log_path = log_path;
	start.options = options.len > 0 ? buf_str(&options) : NULL;
	return server_start_wait(&start, progress, arg, e) == -1 ? -1 : 0;
}

int
follow_conninfo(
    const struct cluster_settings *c, struct buf *out, struct err *e)
{
	AUTO_BUF struct buf user = BUF_INIT;

	if (c->standby_conninfo != NULL) {
		buf_printf(out, "%s", c->standby_conninfo);
		return 0;
	}
	if (server_conninfo(c->standby_dir, out, e) == -1)
		return -1;
	if (c->conninfo != NULL && session_login_user(c->conninfo, &user))
		buf_printf(out, " user='%s'", buf_str(&user));
	return 0;
}
