/*
 * follow_drop: the standby's directory is removed, also while it is being made.
 *
 * Whatever interrupts that leaves what counts as a restore that is not finished:
 * no server starts on it, and it can be dropped again or made anew.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/follow_int.h"
#include "jobs/restore_place.h"
#include "pg/control.h"
#include "pg/server.h"
#include "repo/repo.h"

#define LOCK_STEP_US (CLOCK_SECOND_US / 10)
/* pgkurad may start it at the very moment in which it is to go. */
#define REMOVALS_MOST 3

AUTO_DEFINE(char *, file_names_free);
#define AUTO_NAMES AUTO(file_names_free_auto)

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

/* ---- nobody makes it meanwhile ---- */

/* The process of pgkurad that makes it ends; begun again, it sees the order that the
 * standby is not to run.  1: told, 0: it does not make it (any more), -1. */
static int
stop_maker(
    const struct settings *s, const struct cluster_settings *c, struct err *e)
{
	int maker = cluster_lock_holder(s->state_dir, c->name, "promote", e);
	int keeper = cluster_lock_holder(s->state_dir, c->name, "follow", e);

	if (maker == -1 || keeper == -1)
		return -1;
	if (maker == 0)
		return 0;
	if (maker != keeper)
		return err_set(e, ERR_REFUSED,
		    "process %d is about to promote the standby, or to make it",
		    maker);
	if (kill((pid_t)maker, SIGTERM) == -1 && errno != ESRCH) {
		(void)err_sys(
		    e, "could not stop process %d, which makes it", maker);
		return err_hint(e, "Run this as pgkurad's user, or as root.");
	}
	return 1;
}

/* The lock that is held while it is made or promoted. */
static int
lock_standby(
    const struct settings *s, const struct cluster_settings *c, struct err *e)
{
	bool told = false;
	int fd, rc;

	for (;;) {
		fd = cluster_lock(s->state_dir, c->name, "promote", e);
		if (fd != -1 || e->kind != ERR_TRANSIENT) {
			if (fd != -1)
				err_clear(e);
			return fd;
		}
		rc = told ? 0 : stop_maker(s, c, e);
		if (rc == -1 || child_check_stop(e) == -1)
			return -1;
		if (rc == 1)
			log_event(LOG_LEVEL_WARNING, "standby_given_up",
			    "it is being made: that is given up", "cluster",
			    c->name, NULL);
		told = told || rc == 1;
		clock_sleep_us(LOCK_STEP_US);
	}
}

/* ---- the directory ---- */

/* Whose it was stands in it until nothing else does. */
static int
leave_marker(const char *pgdata, struct err *e)
{
	AUTO_FREE char *marker = file_join(pgdata, PLACE_MARKER);
	AUTO_FREE char *name = file_join(pgdata, PLACE_CONTROL);
	AUTO_BUF struct buf text = BUF_INIT;
	struct control control;

	if (control_read(&control, pgdata, NULL) == 0) {
		buf_printf(&text,
		    "system %llu\nThis standby is being removed.\n",
		    (unsigned long long)control.system_id);
		if (file_publish_at(AT_FDCWD, marker, text.data, text.len, 0600,
			FILE_REPLACE, e) == -1)
			return -1;
	}
	return file_unlink_at(AT_FDCWD, name, e);
}

/* All but the marker, then that, then the folder, if it is not that of a file
 * system or in a folder of somebody else: then it stays, empty. */
static int
remove_directory(const char *pgdata, struct err *e)
{
	AUTO_NAMES char **names = NULL;
	AUTO_FD int fd = -1;
	size_t i, count;

	if (leave_marker(pgdata, e) == -1)
		return -1;
	fd = file_open_dir(pgdata, e);
	if (fd == -1 || file_list_at(fd, ".", &names, &count, e) == -1)
		return -1;
	for (i = 0; i < count; i++)
		if (strcmp(names[i], PLACE_MARKER) != 0 &&
		    file_rmtree_at(fd, names[i], e) == -1)
			return err_ctx(e, "\"%s\"", pgdata);
	if (file_unlink_at(fd, PLACE_MARKER, e) == -1)
		return -1;
	if (rmdir(pgdata) == -1 && errno != EBUSY && errno != EACCES &&
	    errno != EPERM && errno != EROFS)
		return err_sys(e, "could not remove folder \"%s\"", pgdata);
	return 0;
}

/* Tablespaces lie outside of it, and other servers may have them, too: a standby
 * replays where its primary made them.  They are named, and stay. */
static void
name_tablespaces(const struct cluster_settings *c)
{
	AUTO_FREE char *folder = file_join(c->standby_dir, "pg_tblspc");
	AUTO_NAMES char **names = NULL;
	char to[PATH_MAX];
	size_t i, count = 0;
	ssize_t len;

	if (file_list_at(AT_FDCWD, folder, &names, &count, NULL) == -1)
		return;
	for (i = 0; i < count; i++) {
		AUTO_FREE char *link = file_join(folder, names[i]);

		len = readlink(link, to, sizeof(to) - 1);
		if (len <= 0)
			continue;
		to[len] = '\0';
		log_event(LOG_LEVEL_WARNING, "standby_tablespace_left",
		    "a tablespace of the standby stays: empty its folder "
		    "before another standby is made",
		    "cluster", c->name, "tablespace", names[i], "directory", to,
		    NULL);
	}
}

int
follow_drop(
    const struct settings *s, const struct cluster_settings *c, struct err *e)
{
	AUTO_FREE char *building = follow_building_path(s, c);
	AUTO_FD int lock = -1;
	struct follow_view v;
	int n, rc;

	if (follow_need(c, e) == -1 || follow_look_state(s, c, &v, e) == -1 ||
	    refuse_drop(c, &v, e) == -1 || follow_set_off(s, c, true, e) == -1)
		return -1;
	lock = lock_standby(s, c, e);
	if (lock == -1 || follow_look_state(s, c, &v, e) == -1 ||
	    refuse_drop(c, &v, e) == -1)
		return -1;
	if (v.state == FOLLOW_ABSENT)
		return file_unlink_at(AT_FDCWD, building, e);
	name_tablespaces(c);
	for (n = 1, rc = -1; rc == -1; n++) {
		err_clear(e);
		if (server_stop(c->standby_dir, "fast", e) == -1 ||
		    follow_publish_building(s, c, e) == -1)
			return -1;
		rc = remove_directory(c->standby_dir, e);
		if (rc == -1 && n == REMOVALS_MOST)
			return -1;
	}
	if (file_unlink_at(AT_FDCWD, building, e) == -1)
		return -1;
	log_event(LOG_LEVEL_WARNING, "standby_dropped",
	    "the standby has been removed", "cluster", c->name, "directory",
	    c->standby_dir, NULL);
	return 0;
}
