/*
 * drill_clean: nothing of a drill stays: neither at its end nor after kill -9.
 *
 * Before the folder is made, <state_dir>/<cluster>/drill.json says where it
 * will be; whoever holds the drill's lock and finds that file removes what it
 * names.  Processes need no such care: the kernel has ended them with the
 * director, but for a copy in no box.
 */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/drill_chain.h"
#include "jobs/drill_int.h"
#include "jobs/drill_live.h"
#include "pg/server.h"

#define RECORD_BYTES_MAX ((size_t)65536)
/* Processes of a box that just died may still hold its folder. */
#define REMOVE_TRIES 200
#define REMOVE_US    (CLOCK_SECOND_US / 20)

static char *
record_path(const struct settings *s, const struct cluster_settings *c)
{
	return mem_printf("%s/%s/" DRILL_RECORD, s->state_dir, c->name);
}

int
drill_record_write(const struct drill *d, struct err *e)
{
	AUTO_FREE char *path = record_path(d->settings, d->cluster);
	AUTO_FREE char *above = file_parent(path);
	AUTO_JSON json_t *j = drill_write_report(d, json_object());
	AUTO_BUF struct buf text = BUF_INIT;

	(void)json_object_set_new(j, "pid", json_integer((json_int_t)getpid()));
	json_set_str(j, "folder", d->folder);
	json_write(j, &text);
	if (file_mkdirs_at(AT_FDCWD, above, 0700, e) == -1)
		return -1;
	return file_publish_at(
	    AT_FDCWD, path, text.data, text.len, 0600, FILE_REPLACE, e);
}

/* ---- size ---- */

static uint64_t disk_bytes; /* of the walk that runs; there are no threads */

static int
add_size(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)path;
	(void)where;
	if (type == FTW_F)
		disk_bytes += (uint64_t)st->st_blocks * 512;
	return 0;
}

uint64_t
drill_disk_bytes(const char *path)
{
	disk_bytes = 0;
	(void)nftw(path, add_size, 32, FTW_PHYS | FTW_MOUNT);
	return disk_bytes;
}

/* ---- removing ---- */

/* A copy that ran in no box outlives what started it. */
static void
stop_open_copy(const char *folder)
{
	AUTO_FREE char *pgdata = file_join(folder, DRILL_DATA);
	struct err e = ERR_INIT;

	if (server_stop(pgdata, "immediate", &e) == -1)
		log_error("drill_copy_left", &e);
}

static int
remove_folder(const char *folder, struct err *e)
{
	struct err last = ERR_INIT;
	int i;

	for (i = 0; i < REMOVE_TRIES; i++) {
		if (file_rmtree_at(AT_FDCWD, folder, &last) == 0)
			return 0;
		clock_sleep_us(REMOVE_US);
	}
	if (e != NULL)
		*e = last;
	return -1;
}

/* All that we started, and what they left to us, has ended. */
static unsigned int
wait_for_all(void)
{
	int64_t until_us = clock_boot_us() + 30 * CLOCK_SECOND_US;
	pid_t pid;

	do {
		pid = waitpid(-1, NULL, WNOHANG);
		if (pid == -1 && errno == ECHILD)
			return 0;
		if (pid == 0)
			clock_sleep_us(REMOVE_US);
	} while (clock_boot_us() < until_us);
	return 1;
}

static void
forget_record(
    const struct settings *s, const struct cluster_settings *c, struct err *e)
{
	AUTO_FREE char *path = record_path(s, c);

	(void)file_unlink_at(AT_FDCWD, path, e);
}

int
drill_clean(struct drill *d, json_t **cleanup, struct err *e)
{
	bool keep = d->options->keep && d->outcome != DRILL_STOPPED;
	unsigned int left;
	json_t *o = json_object();
	int rc = 0;

	*cleanup = o;
	if (d->made && d->open)
		stop_open_copy(d->folder);
	left = wait_for_all();
	json_set_str(o, "folder", d->folder == NULL ? "" : d->folder);
	json_set_u64(o, "processes_left", left);
	if (d->made && d->space_most_bytes == 0)
		d->space_most_bytes = drill_disk_bytes(d->folder);
	if (d->made && !keep)
		rc = remove_folder(d->folder, e);
	(void)json_object_set_new(o, "removed", json_boolean(!keep && rc == 0));
	json_set_str(o, "verdict",
	    rc == -1 ? e->text
		: keep
		? "the restored directory was kept, as was ordered; it is stopped"
		: left != 0 ? "the folder is removed, but a process is left"
			    : "no process and no file of the drill is left");
	if (rc == 0)
		forget_record(d->settings, d->cluster, e);
	return rc;
}

/* ---- after kill -9 ---- */

/* The report of a drill that cannot write it any more. */
static int
keep_report(const struct settings *s, const struct cluster_settings *c,
    json_t *j, const char *folder, struct err *e)
{
	AUTO_REPO struct repo *r =
	    repo_open(s->repository, s->state_dir, true, e);
	json_t *cleanup = json_object();
	const char *lineage = json_string_value(json_object_get(j, "lineage"));
	char when[CLOCK_TEXT_BYTES], id[BACKUP_ID_BYTES];
	int64_t now_us = clock_now_us();
	struct lineage l;

	json_set_str(cleanup, "folder", folder);
	(void)json_object_set_new(cleanup, "removed", json_true());
	json_set_u64(cleanup, "processes_left", 0);
	json_set_str(cleanup, "verdict",
	    "the drill was killed; what it left was removed afterwards");
	(void)json_object_set_new(j, "cleanup", cleanup);
	(void)json_object_del(j, "pid");
	(void)json_object_del(j, "folder");
	json_set_str(j, "result", drill_outcome_name(DRILL_STOPPED));
	json_set_str(j, "verdict", "The drill was killed before its end.");
	json_set_str(j, "finished", clock_utc(now_us, when));
	(void)json_object_set_new(j, "finished_us", json_integer(now_us));
	if (r == NULL || lineage_open(r, c->name, lineage, &l, e) == -1)
		return -1;
	return chain_put(s, &l, j, id, e);
}

static int
sweep(const struct settings *s, const struct cluster_settings *c,
    const struct buf *text, struct err *e)
{
	AUTO_FREE char *path = record_path(s, c);
	AUTO_JSON json_t *j = json_parse(text->data, text->len, path, e);
	AUTO_FREE char *folder = NULL;
	struct err why = ERR_INIT;

	if (j == NULL || json_object_get(j, "folder") == NULL) {
		/* Written whole or not at all, so by no drill. */
		(void)file_unlink_at(AT_FDCWD, path, NULL);
		return 0;
	}
	folder =
	    mem_strdup(json_string_value(json_object_get(j, "folder")) == NULL
		    ? ""
		    : json_string_value(json_object_get(j, "folder")));
	if (folder[0] != '/')
		return err_set(e, ERR_CORRUPT, "\"%s\" names no folder", path);
	stop_open_copy(folder);
	if (remove_folder(folder, e) == -1)
		return err_ctx(e, "what a killed drill left is not removed");
	if (keep_report(s, c, j, folder, &why) == -1)
		log_error("drill_report_lost", &why);
	forget_record(s, c, e);
	log_event(LOG_LEVEL_WARNING, "drill_swept",
	    "a drill was killed; what it left is removed", "cluster", c->name,
	    "folder", folder, NULL);
	return 0;
}

int
drill_sweep(const struct settings *s, const struct cluster_settings *c,
    bool *swept, struct err *e)
{
	AUTO_FREE char *path = record_path(s, c);
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_FD int lock = -1;
	struct err live = ERR_INIT;
	int there;

	if (drill_live_sweep(s, c, swept, &live) == -1 &&
	    live.kind != ERR_TRANSIENT) {
		if (e != NULL)
			*e = live;
		return -1;
	}
	there = file_exists_at(AT_FDCWD, path, e);
	if (there != 1)
		return there;
	lock = cluster_lock(s->state_dir, c->name, "drill", e);
	if (lock == -1)
		return -1;
	if (file_slurp_at(AT_FDCWD, path, RECORD_BYTES_MAX, &text, e) == -1) {
		if (e == NULL || e->kind != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	*swept = true;
	return sweep(s, c, &text, e);
}
