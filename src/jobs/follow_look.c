/*
 * follow_look: how the standby is, and how far.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "jobs/follow_int.h"
#include "jobs/restore_place.h"
#include "pg/control.h"
#include "pg/server.h"
#include "repo/walknown.h"

#define MARKER_BYTES_MAX ((size_t)4096)

static const char *const state_names[] = { [FOLLOW_ABSENT] = "absent",
	[FOLLOW_FOREIGN] = "foreign",
	[FOLLOW_UNFINISHED] = "unfinished",
	[FOLLOW_STOPPED] = "stopped",
	[FOLLOW_STARTING] = "starting",
	[FOLLOW_RUNNING] = "running",
	[FOLLOW_PROMOTED] = "promoted" };

const char *
follow_state_name(enum follow_state state)
{
	return state_names[state];
}

/* ---- the directory ---- */

/* Does the file name a standby of this cluster in this directory? */
static bool
names_us(const char *path, const struct cluster_settings *c)
{
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_JSON json_t *j = NULL;
	const char *cluster, *directory;

	if (file_slurp_at(AT_FDCWD, path, MARKER_BYTES_MAX, &text, NULL) == -1)
		return false;
	j = json_parse(text.data, text.len, path, NULL);
	return j != NULL && json_need_str(j, "cluster", &cluster, NULL) == 0 &&
	    json_need_str(j, "directory", &directory, NULL) == 0 &&
	    strcmp(cluster, c->name) == 0 &&
	    strcmp(directory, c->standby_dir) == 0;
}

static int
has_file(const struct cluster_settings *c, const char *name, struct err *e)
{
	AUTO_FREE char *path = file_join(c->standby_dir, name);

	return file_exists_at(AT_FDCWD, path, e);
}

/* Of a directory with something in it. */
static int
look_inside(const struct settings *s, const struct cluster_settings *c,
    struct follow_view *v, struct err *e)
{
	AUTO_FREE char *marker = file_join(c->standby_dir, FOLLOW_MARKER);
	AUTO_FREE char *building = follow_building_path(s, c);
	int standby, unfinished = has_file(c, PLACE_MARKER, e);

	v->state = FOLLOW_FOREIGN;
	if (unfinished == -1)
		return -1;
	if (names_us(building, c)) {
		v->state = FOLLOW_UNFINISHED;
		return 0;
	}
	if (unfinished == 1 || !names_us(marker, c))
		return 0;
	standby = has_file(c, "standby.signal", e);
	if (standby == -1 ||
	    server_is_running(c->standby_dir, &v->pid, e) == -1)
		return -1;
	v->state = standby == 0 ? FOLLOW_PROMOTED
	    : v->pid != 0	? FOLLOW_STARTING
				: FOLLOW_STOPPED;
	return 0;
}

int
follow_look_state(const struct settings *s, const struct cluster_settings *c,
    struct follow_view *v, struct err *e)
{
	struct stat st;
	int rc;

	(void)memset(v, 0, sizeof(*v));
	v->look_us = clock_now_us();
	v->behind_us = -1;
	v->state = FOLLOW_ABSENT;
	if (stat(c->standby_dir, &st) == -1)
		return errno == ENOENT
		    ? 0
		    : err_sys(e, "could not look up \"%s\"", c->standby_dir);
	rc = place_has_content(c->standby_dir, e);
	if (rc <= 0)
		return rc;
	return look_inside(s, c, v, e);
}

/* What pg_control says; at least so far replay has come. */
static void
look_at_control(const struct cluster_settings *c, struct follow_view *v)
{
	struct control control;

	if (control_read(&control, c->standby_dir, NULL) == -1)
		return;
	v->timeline = control.timeline;
	v->replayed_lsn = control.redo_lsn;
	if (control.min_recovery_lsn > v->replayed_lsn) {
		v->replayed_lsn = control.min_recovery_lsn;
		v->timeline = control.min_recovery_timeline;
	}
}

/* ---- its server ---- */

/* "r 0/3000148 1795200000000000 0": recovery or writes, position, time of the
 * last transaction replayed, paused. */
static const char look_sql[] =
    "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() "
    "THEN pg_catalog.concat_ws(' ', 'r', "
    "coalesce(pg_catalog.pg_last_wal_replay_lsn(), '0/0'), "
    "coalesce((extract(epoch FROM "
    "pg_catalog.pg_last_xact_replay_timestamp()) * 1000000)::bigint, 0), "
    "pg_catalog.pg_is_wal_replay_paused()::int) "
    "ELSE pg_catalog.concat_ws(' ', 'w', "
    "pg_catalog.pg_current_wal_flush_lsn(), 0, 0) END";

void
follow_hang_up(struct follow *f)
{
	session_close(steal_ptr(&f->session));
}

static int
reach(struct follow *f, pid_t pid, struct err *e)
{
	AUTO_BUF struct buf conninfo = BUF_INIT;

	if (f->session != NULL && f->session_pid == pid)
		return 0;
	follow_hang_up(f);
	if (follow_conninfo(f->cluster, &conninfo, e) == -1)
		return -1;
	f->session =
	    session_open(buf_str(&conninfo), SESSION_SQL, "pgkura_follow", e);
	f->session_pid = pid;
	return f->session == NULL ? -1 : 0;
}

static int
ask(struct follow *f, struct follow_view *v, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	char how, lsn[LSN_TEXT_BYTES + 4];
	int paused;
	bool found;

	if (session_query_value(f->session, look_sql, &text, &found, e) == -1) {
		follow_hang_up(f);
		return -1;
	}
	if (!found ||
	    sscanf(buf_str(&text), "%c %23s %" SCNd64 " %d", &how, lsn,
		&v->replayed_us, &paused) != 4 ||
	    lsn_parse(lsn, &v->replayed_lsn, e) == -1)
		return err_set(e, ERR_CORRUPT,
		    "the standby's answer is not understood: %s",
		    buf_str(&text));
	v->exact = true;
	v->paused = paused != 0;
	v->writable = how == 'w';
	v->state = v->writable ? FOLLOW_PROMOTED : FOLLOW_RUNNING;
	return 0;
}

/* A server that does not let us in is looked at from outside. */
static void
look_at_server(struct follow *f, struct follow_view *v)
{
	uint64_t at_least = v->replayed_lsn;

	if (v->pid == 0) {
		follow_hang_up(f);
		return;
	}
	if (!f->cluster->standby_hot && v->state != FOLLOW_PROMOTED) {
		v->state = FOLLOW_RUNNING;
		return;
	}
	if (reach(f, v->pid, &v->err) == 0 && ask(f, v, &v->err) == 0)
		return;
	v->replayed_lsn = at_least;
	/* It runs; only we cannot see it.  One that has just begun has not written
	 * yet where it listens: that is not found. */
	if (v->err.kind != ERR_TRANSIENT && v->err.kind != ERR_NOT_FOUND &&
	    v->state == FOLLOW_STARTING)
		v->state = FOLLOW_RUNNING;
}

/* ---- the repository ---- */

/* How far replay is behind the primary, in time by the primary's clock. */
static void
look_at_delay(struct follow_view *v, const struct wal_known *known)
{
	int64_t now_us = v->look_us;

	v->known_us = known->server_us;
	if (v->end.lsn > v->replayed_lsn)
		v->behind_bytes = v->end.lsn - v->replayed_lsn;
	if (v->replayed_lsn == LSN_NONE)
		return;
	if (known->server_us != 0 && v->replayed_lsn >= known->lsn)
		v->behind_us = now_us - known->server_us;
	else if (v->replayed_us != 0)
		v->behind_us = now_us - v->replayed_us;
	if (v->behind_us < -1)
		v->behind_us = 0; /* the clocks differ */
}

int
follow_open(struct follow *f, const struct settings *s,
    const struct cluster_settings *c, struct err *e)
{
	(void)memset(f, 0, sizeof(*f));
	f->settings = s;
	f->cluster = c;
	return follow_need(c, e);
}

void
follow_close(struct follow *f)
{
	follow_hang_up(f);
	repo_close(steal_ptr(&f->repo));
}

int
follow_repository(struct follow *f, struct err *e)
{
	if (f->repo == NULL)
		f->repo = repo_open(
		    f->settings->repository, f->settings->state_dir, false, e);
	if (f->repo == NULL)
		return -1;
	return lineage_open(f->repo, f->cluster->name, NULL, &f->lineage, e);
}

int
follow_look(struct follow *f, struct follow_view *v, struct err *e)
{
	char before[LINEAGE_NAME_BYTES];
	struct wal_known known;

	if (follow_look_state(f->settings, f->cluster, v, e) == -1)
		return -1;
	(void)memcpy(before, f->lineage.name, sizeof(before));
	if (follow_repository(f, e) == -1) {
		if (e->kind != ERR_NOT_FOUND)
			return -1;
		err_clear(e); /* nothing of the cluster has come yet */
		return 0;
	}
	if (strcmp(before, f->lineage.name) != 0)
		f->end = (struct follow_end){ 0 };
	if (v->state >= FOLLOW_STOPPED)
		look_at_control(f->cluster, v);
	look_at_server(f, v);
	/* Behind the server's: it cannot have replayed what is not here. */
	if (follow_end(&f->lineage, &f->end, e) == -1)
		return -1;
	v->end = f->end;
	wal_known_read(&f->lineage, &known);
	look_at_delay(v, &known);
	return 0;
}

/* ---- as JSON ---- */

static void
put_lsn(json_t *j, const char *key, uint64_t lsn)
{
	char text[LSN_TEXT_BYTES];

	if (lsn != LSN_NONE)
		json_set_str(j, key, lsn_text(lsn, text));
}

json_t *
follow_json(const struct follow_view *v)
{
	json_t *j = json_object();

	json_set_str(j, "state", follow_state_name(v->state));
	if (v->pid != 0)
		json_set_u64(j, "pid", (uint64_t)v->pid);
	if (v->timeline != 0)
		json_set_u64(j, "timeline", v->timeline);
	put_lsn(j, "replayed", v->replayed_lsn);
	(void)json_object_set_new(j, "exact", json_boolean(v->exact));
	(void)json_object_set_new(j, "paused", json_boolean(v->paused));
	put_lsn(j, "received", v->end.lsn);
	if (v->end.timeline != 0)
		json_set_u64(j, "received_timeline", v->end.timeline);
	json_set_u64(j, "behind_bytes", v->behind_bytes);
	if (v->behind_us >= 0)
		json_set_u64(j, "behind_us", (uint64_t)v->behind_us);
	if (v->replayed_us != 0)
		json_set_u64(j, "replayed_us", (uint64_t)v->replayed_us);
	if (v->known_us != 0)
		json_set_u64(j, "known_us", (uint64_t)v->known_us);
	json_set_u64(j, "look_us", (uint64_t)v->look_us);
	if (v->err.kind != ERR_NONE)
		json_set_str(j, "error", v->err.text);
	return j;
}
