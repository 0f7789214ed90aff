#include "daemon/state.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "daemon/message.h"

#define STATE_VERSION "1"

struct state {
	sqlite3 *db;
};

static void
statement_end(sqlite3_stmt **s)
{
	(void)sqlite3_finalize(*s); /* tells the error of the step again */
}
#define AUTO_STATEMENT AUTO(statement_end)

static const char schema[] =
    "PRAGMA journal_mode = wal;"
    "PRAGMA synchronous = normal;"
    "PRAGMA user_version = " STATE_VERSION ";"
    "CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY,"
    " time_us INTEGER NOT NULL, level TEXT NOT NULL, event TEXT NOT NULL,"
    " cluster TEXT NOT NULL, message TEXT NOT NULL, details TEXT NOT NULL);"
    "CREATE INDEX IF NOT EXISTS events_time ON events (time_us);"
    "CREATE TABLE IF NOT EXISTS jobs (id INTEGER PRIMARY KEY,"
    " job TEXT NOT NULL, cluster TEXT NOT NULL, started_us INTEGER NOT NULL,"
    " finished_us INTEGER NOT NULL, ok INTEGER NOT NULL,"
    " message TEXT NOT NULL, UNIQUE (job, cluster, started_us));"
    "CREATE TABLE IF NOT EXISTS samples (time_us INTEGER NOT NULL,"
    " cluster TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL);"
    "CREATE INDEX IF NOT EXISTS samples_time ON samples (time_us);";

static int
fail(struct state *st, const char *what, struct err *e)
{
	int code = sqlite3_errcode(st->db) & 0xff;

	(void)err_set(e,
	    code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? ERR_CORRUPT
							    : ERR_IO,
	    "could not %s the history: %s", what, sqlite3_errmsg(st->db));
	return -1;
}

static int
run(struct state *st, const char *sql, const char *what, struct err *e)
{
	if (sqlite3_exec(st->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return fail(st, what, e);
	return 0;
}

static sqlite3_stmt *
prepare(struct state *st, const char *sql, struct err *e)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(st->db, sql, -1, &s, NULL) != SQLITE_OK)
		(void)fail(st, "read", e);
	return s;
}

/* A value that cannot be bound (memory ran out) is NULL, which no column
 * takes: the step tells. */
static void
bind_text(sqlite3_stmt *s, int i, const char *text)
{
	(void)sqlite3_bind_text(
	    s, i, text == NULL ? "" : text, -1, SQLITE_TRANSIENT);
}

/* Run a statement that gives no rows. */
static int
finish(struct state *st, sqlite3_stmt *s, struct err *e)
{
	return sqlite3_step(s) == SQLITE_DONE ? 0 : fail(st, "write", e);
}

/* ---- opening ---- */

static int
check_whole(struct state *st, struct err *e)
{
	AUTO_STATEMENT sqlite3_stmt *s =
	    prepare(st, "PRAGMA quick_check(1)", e);
	const char *verdict;

	if (s == NULL)
		return -1;
	if (sqlite3_step(s) != SQLITE_ROW)
		return fail(st, "check", e);
	verdict = (const char *)sqlite3_column_text(s, 0);
	if (verdict == NULL || strcmp(verdict, "ok") != 0)
		return err_set(e, ERR_CORRUPT, "the history is damaged: %s",
		    verdict == NULL ? "?" : verdict);
	return 0;
}

static struct state *
open_once(const char *path, struct err *e)
{
	AUTO_STATE struct state *st = mem_zalloc(sizeof(*st));

	if (sqlite3_open_v2(path, &st->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
		NULL) != SQLITE_OK) {
		(void)fail(st, "open", e);
		return NULL;
	}
	(void)sqlite3_busy_timeout(st->db, 5000);
	if (check_whole(st, e) == -1 || run(st, schema, "set up", e) == -1)
		return NULL;
	return steal_ptr(&st);
}

/* Database and journals; what is not there is no matter. */
static int
move_aside(const char *path, struct err *e)
{
	static const char *const parts[] = { "-wal", "-shm", "" };
	size_t i;

	for (i = 0; i < COUNT_OF(parts); i++) {
		AUTO_FREE char *from = mem_printf("%s%s", path, parts[i]);
		AUTO_FREE char *to = mem_printf("%s.damaged%s", path, parts[i]);

		if (rename(from, to) == -1 && errno != ENOENT)
			return err_sys(e, "could not move \"%s\" aside", from);
	}
	return 0;
}

struct state *
state_open(const char *path, bool *remade, struct err *e)
{
	struct state *st = open_once(path, e);

	*remade = false;
	if (st != NULL || (e != NULL && e->kind != ERR_CORRUPT))
		return st;
	if (move_aside(path, e) == -1)
		return NULL;
	*remade = true;
	return open_once(path, e);
}

void
state_close(struct state *st)
{
	if (st == NULL)
		return;
	(void)sqlite3_close(st->db);
	free(st);
}

/* ---- in ---- */

int
state_put_event(struct state *st, const json_t *event, struct err *e)
{
	AUTO_BUF struct buf details = BUF_INIT;
	AUTO_STATEMENT sqlite3_stmt *s = prepare(st,
	    "INSERT INTO events (time_us, level, event, cluster, message,"
	    " details) VALUES (?, ?, ?, ?, ?, ?)",
	    e);

	if (s == NULL)
		return -1;
	if (json_is_object(json_object_get(event, "values")))
		json_write(json_object_get(event, "values"), &details);
	(void)sqlite3_bind_int64(s, 1, message_number(event, "time_us"));
	bind_text(s, 2, log_level_name(message_level(event)));
	bind_text(s, 3, message_text(event, "event"));
	bind_text(s, 4, message_event_cluster(event));
	bind_text(s, 5, message_text(event, "message"));
	bind_text(s, 6, details.len == 0 ? "{}" : buf_str(&details));
	return finish(st, s, e);
}

int
state_put_job(struct state *st, const json_t *job, struct err *e)
{
	AUTO_STATEMENT sqlite3_stmt *s = prepare(st,
	    "INSERT OR REPLACE INTO jobs (job, cluster, started_us,"
	    " finished_us, ok, message) VALUES (?, ?, ?, ?, ?, ?)",
	    e);

	if (s == NULL)
		return -1;
	bind_text(s, 1, message_text(job, "job"));
	bind_text(s, 2, message_text(job, "cluster"));
	(void)sqlite3_bind_int64(s, 3, message_number(job, "started_us"));
	(void)sqlite3_bind_int64(s, 4, message_number(job, "finished_us"));
	(void)sqlite3_bind_int(
	    s, 5, json_is_true(json_object_get(job, "ok")) ? 1 : 0);
	bind_text(s, 6, message_text(job, "message"));
	return finish(st, s, e);
}

int
state_put_sample(struct state *st, int64_t time_us, const char *cluster,
    const char *name, double value, struct err *e)
{
	AUTO_STATEMENT sqlite3_stmt *s = prepare(st,
	    "INSERT INTO samples (time_us, cluster, name, value)"
	    " VALUES (?, ?, ?, ?)",
	    e);

	if (s == NULL)
		return -1;
	(void)sqlite3_bind_int64(s, 1, time_us);
	bind_text(s, 2, cluster);
	bind_text(s, 3, name);
	(void)sqlite3_bind_double(s, 4, value);
	return finish(st, s, e);
}

static int
delete_before(
    struct state *st, const char *sql, int64_t before_us, struct err *e)
{
	AUTO_STATEMENT sqlite3_stmt *s = prepare(st, sql, e);

	if (s == NULL)
		return -1;
	(void)sqlite3_bind_int64(s, 1, before_us);
	return finish(st, s, e);
}

int
state_prune(struct state *st, int64_t now_us, struct err *e)
{
	if (delete_before(st, "DELETE FROM events WHERE time_us < ?",
		now_us - STATE_EVENTS_KEPT_US, e) == -1 ||
	    delete_before(st, "DELETE FROM samples WHERE time_us < ?",
		now_us - STATE_SAMPLES_KEPT_US, e) == -1)
		return -1;
	/* The last success of each job says when the next one is due. */
	return delete_before(st,
	    "DELETE FROM jobs WHERE started_us < ? AND id NOT IN"
	    " (SELECT id FROM (SELECT id, max(started_us) FROM jobs"
	    "  WHERE ok = 1 GROUP BY job, cluster))",
	    now_us - STATE_JOBS_KEPT_US, e);
}

/* ---- out ---- */

static const char *
column_text(sqlite3_stmt *s, int i)
{
	const char *text = (const char *)sqlite3_column_text(s, i);

	return text == NULL ? "" : text;
}

static json_t *
event_row(sqlite3_stmt *s)
{
	const char *details = column_text(s, 4);
	json_t *row = json_object(), *values;

	values = json_parse(details, strlen(details), "details", NULL);
	json_set_str(row, "type", "event");
	(void)json_object_set_new(
	    row, "time_us", json_integer(sqlite3_column_int64(s, 0)));
	json_set_str(row, "level", column_text(s, 1));
	json_set_str(row, "event", column_text(s, 2));
	json_set_str(row, "message", column_text(s, 3));
	(void)json_object_set_new(
	    row, "values", values == NULL ? json_object() : values);
	return row;
}

static json_t *
job_row(sqlite3_stmt *s)
{
	json_t *row = json_object();

	json_set_str(row, "type", "job");
	json_set_str(row, "job", column_text(s, 0));
	json_set_str(row, "cluster", column_text(s, 1));
	(void)json_object_set_new(
	    row, "started_us", json_integer(sqlite3_column_int64(s, 2)));
	(void)json_object_set_new(
	    row, "finished_us", json_integer(sqlite3_column_int64(s, 3)));
	(void)json_object_set_new(
	    row, "ok", json_boolean(sqlite3_column_int(s, 4)));
	json_set_str(row, "message", column_text(s, 5));
	(void)json_object_set_new(
	    row, "success_us", json_integer(sqlite3_column_int64(s, 6)));
	return row;
}

static int
each_row(struct state *st, sqlite3_stmt *s, json_t *(*make)(sqlite3_stmt *),
    state_row_fn *fn, void *arg, struct err *e)
{
	int rc;

	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		AUTO_JSON json_t *row = make(s);

		if (fn(arg, row, e) == -1)
			return -1;
	}
	return rc == SQLITE_DONE ? 0 : fail(st, "read", e);
}

int
state_recent_events(struct state *st, unsigned int count, state_row_fn *fn,
    void *arg, struct err *e)
{
	AUTO_STATEMENT sqlite3_stmt *s = prepare(st,
	    "SELECT time_us, level, event, message, details FROM"
	    " (SELECT * FROM events ORDER BY id DESC LIMIT ?) ORDER BY id",
	    e);

	if (s == NULL)
		return -1;
	(void)sqlite3_bind_int64(s, 1, count);
	return each_row(st, s, event_row, fn, arg, e);
}

/* With max(), SQLite takes the other columns of the row that holds it. */
int
state_last_jobs(struct state *st, state_row_fn *fn, void *arg, struct err *e)
{
	AUTO_STATEMENT sqlite3_stmt *s = prepare(st,
	    "SELECT job, cluster, max(started_us), finished_us, ok, message,"
	    " (SELECT max(b.started_us) FROM jobs b WHERE b.job = a.job AND"
	    "  b.cluster = a.cluster AND b.ok = 1)"
	    " FROM jobs a GROUP BY job, cluster",
	    e);

	if (s == NULL)
		return -1;
	return each_row(st, s, job_row, fn, arg, e);
}
