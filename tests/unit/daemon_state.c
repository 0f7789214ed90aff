/*
 * The history: what is put in comes out, also after it was damaged in any way.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "daemon/message.h"
#include "daemon/state.h"
#include "tap.h"

static char folder[] = "/tmp/daemon_state.XXXXXX";
static char *path;

static struct state *
open_it(bool *remade)
{
	struct err e = ERR_INIT;
	struct state *st = state_open(path, remade, &e);

	if (st == NULL)
		tap_diag("%s", e.text);
	return st;
}

static json_t *
event_at(int64_t time_us, const char *name)
{
	const char *keys[] = { "cluster", "from" },
		   *values[] = { "main", "0/5" };
	json_t *m =
	    message_of_event(LOG_LEVEL_WARNING, name, "words", keys, values, 2);

	(void)json_object_set_new(m, "time_us", json_integer(time_us));
	return m;
}

static json_t *
job_at(const char *job, int64_t started_us, int64_t finished_us, bool ok)
{
	json_t *m = json_object();

	json_set_str(m, "type", "job");
	json_set_str(m, "job", job);
	json_set_str(m, "cluster", "main");
	(void)json_object_set_new(m, "started_us", json_integer(started_us));
	(void)json_object_set_new(m, "finished_us", json_integer(finished_us));
	(void)json_object_set_new(m, "ok", json_boolean(ok));
	json_set_str(m, "message", ok ? "" : "no");
	return m;
}

static void
put_job(struct state *st, json_t *m)
{
	struct err e = ERR_INIT;

	if (state_put_job(st, m, &e) == -1)
		tap_diag("%s", e.text);
	json_decref(m);
}

static int
collect(void *arg, json_t *row, struct err *e)
{
	(void)e;
	return json_array_append(arg, row);
}

static size_t
count_of_events(struct state *st)
{
	AUTO_JSON json_t *rows = json_array();
	struct err e = ERR_INIT;

	if (state_recent_events(st, 1000, collect, rows, &e) == -1)
		tap_diag("%s", e.text);
	return json_array_size(rows);
}

static void
check_events(void)
{
	bool remade;
	AUTO_STATE struct state *st = open_it(&remade);
	AUTO_JSON json_t *first = event_at(1000, "first");
	AUTO_JSON json_t *second = event_at(2000, "second");
	AUTO_JSON json_t *rows = json_array();
	struct err e = ERR_INIT;

	tap_ok(st != NULL && !remade, "a new history");
	tap_ok(state_put_event(st, first, &e) == 0 &&
		state_put_event(st, second, &e) == 0,
	    "two events are put in");
	(void)state_recent_events(st, 1, collect, rows, &e);
	tap_ok(json_array_size(rows) == 1 &&
		json_equal(json_array_get(rows, 0), second),
	    "the last one comes out as it was");
	tap_u64(count_of_events(st), 2, "both are there");
	tap_ok(state_put_sample(st, 1000, "main", "free_bytes", 1.5, &e) == 0,
	    "a sample is put in");
}

static void
check_jobs(void)
{
	bool remade;
	AUTO_STATE struct state *st = open_it(&remade);
	AUTO_JSON json_t *rows = json_array();
	struct err e = ERR_INIT;
	const json_t *row;

	put_job(st, job_at("verify", 100, 0, false));
	put_job(st, job_at("verify", 100, 150, true));
	put_job(st, job_at("verify", 200, 0, false));
	put_job(st, job_at("expire", 50, 60, true));
	tap_ok(state_last_jobs(st, collect, rows, &e) == 0 &&
		json_array_size(rows) == 2,
	    "the last run of each job");
	row = json_array_get(rows, 1);
	tap_str(message_text(row, "job"), "verify", "its name");
	tap_ok(message_number(row, "started_us") == 200 &&
		message_number(row, "finished_us") == 0 &&
		json_is_false(json_object_get(row, "ok")),
	    "one that never ended");
	tap_u64((uint64_t)message_number(row, "success_us"), 100,
	    "and the last that succeeded");
}

static void
check_prune(void)
{
	int64_t now = (int64_t)1800000000 * CLOCK_SECOND_US;
	bool remade;
	AUTO_STATE struct state *st = open_it(&remade);
	AUTO_JSON json_t *recent = event_at(now, "recent");
	AUTO_JSON json_t *rows = json_array();
	struct err e = ERR_INIT;

	(void)state_put_event(st, recent, &e);
	put_job(st, job_at("verify", now, now, false));
	tap_ok(state_prune(st, now, &e) == 0, "old rows go");
	tap_u64(count_of_events(st), 1, "new ones stay");
	(void)state_last_jobs(st, collect, rows, &e);
	tap_u64((uint64_t)message_number(json_array_get(rows, 1), "success_us"),
	    100, "and so does the last success of a job, however old");
}

/* Replace what the file holds. */
static void
spoil(const char *text, size_t len, off_t at)
{
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd == -1 || pwrite(fd, text, len, at) != (ssize_t)len)
		tap_bail("could not spoil the history");
}

static bool
is_aside(void)
{
	AUTO_FREE char *aside = mem_printf("%s.damaged", path);

	return access(aside, F_OK) == 0;
}

static void
check_damage(void)
{
	static const char zeros[3 * 4096];
	struct err e = ERR_INIT;
	struct state *st;
	bool remade;

	spoil("this is no database at all, is it?", 34, 0);
	st = open_it(&remade);
	tap_ok(st != NULL && remade && is_aside(),
	    "what is no database is moved aside");
	tap_u64(count_of_events(st), 0, "and a new one begun");
	state_close(st);

	st = open_it(&remade);
	tap_ok(st != NULL && !remade, "which is whole");
	state_close(st);

	spoil(zeros, sizeof(zeros), 4096);
	st = open_it(&remade);
	tap_ok(st != NULL && remade, "damage inside is found, too");
	state_close(st);

	(void)unlink(path);
	st = open_it(&remade);
	tap_ok(st != NULL && !remade, "a lost one is no matter");
	state_close(st);

	(void)unlink(path);
	(void)mkdir(path, 0700);
	tap_ok(state_open(path, &remade, &e) == NULL && e.kind == ERR_IO,
	    "what cannot be opened is an error: %s", e.text);
	(void)rmdir(path);
}

/* Its first page, in a file that has grown. */
static void
check_damaged_start(void)
{
	static const char junk[8192] = "junk";
	bool remade;
	struct state *st = open_it(&remade);
	AUTO_JSON json_t *event = event_at(1, "e");
	struct err e = ERR_INIT;
	int i;

	for (i = 0; i < 100; i++)
		(void)state_put_event(st, event, &e);
	state_close(st);
	spoil(junk, sizeof(junk), 0);
	st = open_it(&remade);
	tap_ok(st != NULL && remade, "damage of the first page is mended");
	tap_ok(state_put_event(st, event, &e) == 0, "and it takes events");
	state_close(st);
}

int
main(void)
{
	struct err e = ERR_INIT;

	if (mkdtemp(folder) == NULL)
		tap_bail("no folder");
	path = file_join(folder, "state.db");
	check_events();
	check_jobs();
	check_prune();
	check_damage();
	check_damaged_start();
	(void)file_rmtree_at(AT_FDCWD, folder, &e);
	free(path);
	return tap_done();
}
