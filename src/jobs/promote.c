#include "jobs/promote.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/show.h"
#include "base/size.h"
#include "jobs/follow.h"
#include "jobs/promote_int.h"
#include "pg/control.h"
#include "pg/server.h"
#include "pg/server_log.h"
#include "pg/server_proc.h"
#include "pg/session_errors.h"
#include "repo/walknown.h"

#define LOOK_US	     (CLOCK_SECOND_US / 20)
#define TELL_US	     CLOCK_SECOND_US
#define STALL_US     (600 * CLOCK_SECOND_US) /* nothing moved for so long */
#define COLD_US	     (10 * CLOCK_SECOND_US)
#define STILL_US     (CLOCK_SECOND_US / 2)
#define SAYS_MAX     ((size_t)16 << 10)
#define LOCK_STEP_US (CLOCK_SECOND_US / 5)

static const char *const step_names[PROMOTE_STEPS] = {
	[PROMOTE_FREEZE] = "freeze",
	[PROMOTE_HOOK_BEFORE] = "hook before",
	[PROMOTE_START] = "start",
	[PROMOTE_REPLAY] = "replay",
	[PROMOTE_SWITCH] = "promote",
	[PROMOTE_PROBE] = "write probe",
	[PROMOTE_HOOK_AFTER] = "hook after",
};

const char *
promote_step_name(enum promote_step step)
{
	return step_names[step];
}

struct promote {
	const struct settings *settings;
	const struct cluster_settings *cluster;
	const struct promote_options *options;
	struct promote_result *result;
	struct follow follow;
	struct follow_view view;
	struct server_log log; /* read from the freeze on */
	char *log_path;
	int64_t there_us; /* a cold one seems to be at the end since; 0 not */
	/* What moves. */
	uint64_t moved_lsn, moved_control;
	char moved_title[128];
	int64_t moved_us, told_us;
};

/* ---- progress ---- */

static void
begin_wait(struct promote *p)
{
	p->moved_us = clock_boot_us();
	p->moved_title[0] = '\0';
}

static void
tell(struct promote *p, const char *line)
{
	int64_t now_us = clock_boot_us();

	if (p->options->progress == NULL || now_us - p->told_us < TELL_US)
		return;
	p->told_us = now_us;
	p->options->progress(p->options->arg, line);
}

/* Looks for any move of the server; ERR_TRANSIENT when there was none for long.
 */
static int
wait_a_little(struct promote *p, uint64_t lsn, const char *line, struct err *e)
{
	char title[sizeof(p->moved_title)] = "";
	uint64_t ticks = 0, at = 0;
	struct control control;
	char since[CLOCK_TEXT_BYTES];

	if (control_read(&control, p->cluster->standby_dir, NULL) == 0)
		at = control.checkpoint_lsn + control.min_recovery_lsn +
		    (uint64_t)control.state;
	if (p->view.pid != 0)
		(void)server_proc_startup(
		    p->view.pid, title, sizeof(title), &ticks);
	if (lsn != p->moved_lsn || at + ticks != p->moved_control ||
	    strcmp(title, p->moved_title) != 0)
		p->moved_us = clock_boot_us();
	p->moved_lsn = lsn;
	p->moved_control = at + ticks;
	(void)strcpy(p->moved_title, title);
	if (clock_boot_us() - p->moved_us > STALL_US)
		return err_set(e, ERR_TRANSIENT, "%s: nothing has moved for %s",
		    line, clock_interval(clock_boot_us() - p->moved_us, since));
	tell(p, line);
	if (child_check_stop(e) == -1)
		return -1;
	clock_sleep_us(LOOK_US);
	return 0;
}

/* ---- freeze ---- */

/* How far the primary was when it was heard last, by what receives from it. */
static uint64_t
source_end(const struct promote *p)
{
	AUTO_FREE char *path = mem_printf(
	    "%s/%s/receiver.json", p->settings->state_dir, p->cluster->name);
	AUTO_JSON json_t *j = show_read(path);
	const char *said;
	uint64_t lsn;

	if (j == NULL || json_need_str(j, "server_end", &said, NULL) == -1 ||
	    lsn_parse(said, &lsn, NULL) == -1)
		return LSN_NONE;
	return lsn;
}

/* The end of the last whole record, and the time of the last transaction, in the
 * last segments that are here. */
static int
find_end(struct promote *p, struct err *e)
{
	const struct lineage *l = &p->follow.lineage;
	const uint32_t bytes = l->facts.segment_bytes;
	struct promote_result *r = p->result;
	uint64_t at = p->view.end.lsn - 1;
	char name[WAL_NAME_BYTES];
	struct wal_summary s;
	unsigned int i;

	for (i = 0; i < 16 && at >= bytes; i++, at -= bytes) {
		(void)wal_name(p->view.end.timeline, at, bytes, name);
		if (wal_read_summary(l, name, &s, e) == -1) {
			if (e->kind != ERR_NOT_FOUND)
				return -1;
			err_clear(e);
			break;
		}
		if (r->end_lsn == LSN_NONE)
			r->end_lsn = s.last_record_end_lsn;
		if (r->last_us == 0)
			r->last_us = s.last_commit_us;
		if (r->end_lsn != LSN_NONE && r->last_us != 0)
			break;
	}
	if (r->end_lsn == LSN_NONE)
		r->end_lsn = p->view.end.lsn;
	return 0;
}

static int
freeze(struct promote *p, struct err *e)
{
	struct promote_result *r = p->result;
	uint64_t source;

	if (p->view.end.timeline == 0) {
		(void)err_set(e, ERR_REFUSED,
		    "nothing of cluster \"%s\" is in the repository",
		    p->cluster->name);
		return err_hint(e, "There is nothing to promote yet.");
	}
	r->frozen_us = clock_now_us();
	r->old_timeline = p->view.end.timeline;
	r->known_us = p->view.known_us;
	r->loss_us = -1;
	r->loss_bytes = -1;
	if (find_end(p, e) == -1)
		return -1;
	if (r->known_us != 0)
		r->loss_us =
		    r->frozen_us > r->known_us ? r->frozen_us - r->known_us : 0;
	source = source_end(p);
	if (source != LSN_NONE)
		r->loss_bytes =
		    source > r->end_lsn ? (int64_t)(source - r->end_lsn) : 0;
	return 0;
}

/* ---- start ---- */

static void
started(void *arg, const char *line)
{
	tell(arg, line);
}

static int
refuse_foreign(const struct promote *p, struct err *e)
{
	(void)err_set(e, ERR_REFUSED,
	    "\"%s\" is not a standby that pgkura has made",
	    p->cluster->standby_dir);
	return err_hint(
	    e, "\"pgkura standby status %s\" says more.", p->cluster->name);
}

/* Whatever state it is in: now it runs. */
static int
start(struct promote *p, struct err *e)
{
	struct follow_build how = { .no_salvage = true };
	struct restore_result made;

	if (p->view.state == FOLLOW_FOREIGN)
		return refuse_foreign(p, e);
	if (p->view.state == FOLLOW_ABSENT ||
	    p->view.state == FOLLOW_UNFINISHED) {
		how.delta = p->view.state == FOLLOW_UNFINISHED;
		tell(p, "making the standby from a backup");
		if (follow_build(p->settings, p->cluster, &how, &made, e) == -1)
			return -1;
		restore_result_free(&made);
	}
	if (p->view.pid == 0 &&
	    follow_start(p->settings, p->cluster, started, p, e) == -1)
		return -1;
	return follow_look(&p->follow, &p->view, e);
}

/* ---- replay ---- */

/* Where the startup process is, by its title: a cold standby says no more. */
static bool
title_at(const struct promote *p, uint64_t *lsn)
{
	const char *name = strrchr(p->moved_title, ' ');
	uint32_t timeline;

	name = name == NULL ? p->moved_title : name + 1;
	return wal_name_parse(
	    name, p->follow.lineage.facts.segment_bytes, &timeline, lsn);
}

/* One that lets nobody in says in its log what it waits for; where its log is
 * not ours, it has to be at the last segment for a while. */
static int
is_replayed_cold(struct promote *p)
{
	const uint32_t bytes = p->follow.lineage.facts.segment_bytes;
	const uint64_t end_lsn = p->result->end_lsn;
	uint64_t at;

	while (
	    p->log.fd != -1 && server_log_read(&p->log, p->log_path, NULL) == 1)
		;
	if (p->log.waits_lsn >= end_lsn)
		return 1;
	if (!title_at(p, &at) || at + bytes < end_lsn)
		p->there_us = 0;
	else if (p->there_us == 0)
		p->there_us = clock_boot_us();
	return p->there_us != 0 && clock_boot_us() - p->there_us > COLD_US;
}

/* Is there nothing more to replay?  1, 0, -1. */
static int
is_replayed(struct promote *p, struct err *e)
{
	const struct promote_result *r = p->result;
	uint64_t next;

	if (p->view.exact && p->view.replayed_lsn >= r->end_lsn)
		return 1;
	if (!p->view.exact)
		return is_replayed_cold(p);
	if (clock_boot_us() - p->moved_us < STILL_US)
		return 0;
	if (follow_next_record(&p->follow.lineage, r->old_timeline,
		p->view.replayed_lsn, &next, e) == -1)
		return -1;
	return next == LSN_NONE;
}

static int
replay(struct promote *p, struct err *e)
{
	char line[96], at[LSN_TEXT_BYTES], end[LSN_TEXT_BYTES];
	struct stat place;
	int done;

	if (stat(p->cluster->standby_dir, &place) == -1)
		return err_sys(
		    e, "could not look up \"%s\"", p->cluster->standby_dir);
	begin_wait(p);
	if (server_log_open(&p->log, p->log_path, place.st_uid, e) == -1)
		return -1;
	for (;;) {
		if (follow_look(&p->follow, &p->view, e) == -1)
			return -1;
		if (p->view.state == FOLLOW_PROMOTED)
			return 0;
		if (p->view.pid == 0)
			return err_set(e, ERR_IO,
			    "the standby's server has ended; its log says why");
		done = is_replayed(p, e);
		if (done != 0)
			return done == 1 ? 0 : -1;
		(void)snprintf(line, sizeof(line), "replayed %s of %s",
		    lsn_text(p->view.replayed_lsn, at),
		    lsn_text(p->result->end_lsn, end));
		if (wait_a_little(p, p->view.replayed_lsn, line, e) == -1)
			return -1;
	}
}

/* ---- promote ---- */

static int
switch_over(struct promote *p, struct err *e)
{
	const char *pgdata = p->cluster->standby_dir;
	struct control control;

	if (p->view.state == FOLLOW_PROMOTED)
		return 0;
	if (promote_timeline_keep(p->cluster, &p->follow.lineage, pgdata,
		p->result->old_timeline, e) == -1 ||
	    server_ask_promotion(pgdata, e) == -1)
		return -1;
	begin_wait(p);
	for (;;) {
		if (follow_look_state(p->settings, p->cluster, &p->view, e) ==
		    -1)
			return -1;
		if (p->view.pid == 0)
			return err_set(e, ERR_IO,
			    "the server ended while it was promoted; its log "
			    "says why");
		if (p->view.state == FOLLOW_PROMOTED &&
		    control_read(&control, pgdata, e) == 0 &&
		    control.state == CONTROL_IN_PRODUCTION)
			return 0;
		if (wait_a_little(p, 0, "promotion", e) == -1)
			return -1;
	}
}

/* ---- probe ---- */

static const char probe_sql[] =
    "DO $probe$ BEGIN CREATE TEMPORARY TABLE pgkura_probe (n int); "
    "INSERT INTO pgkura_probe VALUES (1); DROP TABLE pgkura_probe; "
    "END $probe$";
/* For a role that may not even do that. */
static const char probe_least_sql[] =
    "SELECT pg_catalog.pg_logical_emit_message(true, 'pgkura', 'probe')";
static const char timeline_sql[] =
    "SELECT pg_catalog.substr(pg_catalog.pg_walfile_name("
    "pg_catalog.pg_current_wal_lsn()), 1, 8)";

static int
write_something(struct session *session, struct err *e)
{
	AUTO_BUF struct buf out = BUF_INIT;
	bool found;

	if (session_execute(session, probe_sql, e) == 0)
		return 0;
	if (e->kind == ERR_TRANSIENT || e->kind == ERR_CANCELED)
		return -1;
	return session_query_value(session, probe_least_sql, &out, &found, e);
}

static int
probe_once(struct promote *p, struct err *e)
{
	AUTO_BUF struct buf conninfo = BUF_INIT, text = BUF_INIT;
	AUTO_SESSION struct session *session = NULL;
	bool found;

	if (follow_conninfo(p->cluster, &conninfo, e) == -1)
		return -1;
	session =
	    session_open(buf_str(&conninfo), SESSION_SQL, "pgkura_probe", e);
	if (session == NULL || write_something(session, e) == -1 ||
	    session_query_value(session, timeline_sql, &text, &found, e) == -1)
		return -1;
	p->result->timeline = (uint32_t)strtoul(buf_str(&text), NULL, 16);
	p->result->probed = true;
	return 0;
}

/* No server yet, or one that still ends recovery: until it has, one without
 * hot_standby refuses as it does for good (cannot_connect_now). */
static bool
may_pass(const struct err *e)
{
	return e->kind == ERR_TRANSIENT || e->kind == ERR_NOT_FOUND ||
	    session_errors_tell(e, "57P03");
}

static int
probe(struct promote *p, struct err *e)
{
	begin_wait(p);
	while (probe_once(p, e) == -1) {
		if (!may_pass(e))
			return err_ctx(e,
			    "the server is promoted, but does not take a write");
		err_clear(e);
		if (wait_a_little(p, 0, "write probe", e) == -1)
			return -1;
	}
	return 0;
}

/* ---- what is known afterwards ---- */

/* Where the new timeline begins, by the history that the server has written. */
static void
find_fork(struct promote *p)
{
	AUTO_FREE char *path = mem_printf("%s/pg_wal/%08X.history",
	    p->cluster->standby_dir, p->result->timeline);
	AUTO_BUF struct buf text = BUF_INIT;
	struct timeline_history h = { 0 };

	if (file_slurp_at(AT_FDCWD, path, (size_t)1 << 20, &text, NULL) == -1 ||
	    timeline_history_parse(
		&h, p->result->timeline, text.data, text.len, NULL) == -1)
		return;
	p->result->fork_lsn = h.entries[h.count - 1].begin_lsn;
	timeline_history_free(&h);
}

/* What was here and is not in the new history: there must be nothing. */
static void
check_whole(const struct promote *p)
{
	const struct promote_result *r = p->result;
	char fork[LSN_TEXT_BYTES], end[LSN_TEXT_BYTES];

	if (r->fork_lsn == LSN_NONE || r->fork_lsn >= r->end_lsn)
		return;
	log_event(LOG_LEVEL_ERROR, "promote_short",
	    "the new timeline begins before the end of the WAL that was here",
	    "cluster", p->cluster->name, "begin", lsn_text(r->fork_lsn, fork),
	    "end", lsn_text(r->end_lsn, end), NULL);
}

static int
settle(struct promote *p, struct err *e)
{
	struct promote_result *r = p->result;
	char timeline[16], fork[LSN_TEXT_BYTES], loss[CLOCK_TEXT_BYTES] = "";

	find_fork(p);
	check_whole(p);
	if (promote_note(
		p->settings, p->cluster, r->timeline, r->fork_lsn, e) == -1)
		return -1;
	(void)snprintf(timeline, sizeof(timeline), "%u", r->timeline);
	log_event(LOG_LEVEL_WARNING, "promoted",
	    "the standby is promoted and takes writes", "cluster",
	    p->cluster->name, "timeline", timeline, "begin",
	    lsn_text(r->fork_lsn, fork), "lost_at_most",
	    r->loss_us < 0 ? "unknown" : clock_interval(r->loss_us, loss),
	    NULL);
	promote_tell_daemon(p->settings);
	return 0;
}

/* ---- all of it ---- */

static int
hook_before(struct promote *p, struct err *e)
{
	return p->options->no_hooks
	    ? 0
	    : promote_hook(p->settings, p->cluster, "before", p->result, e);
}

static int
hook_after(struct promote *p, struct err *e)
{
	return p->options->no_hooks
	    ? 0
	    : promote_hook(p->settings, p->cluster, "after", p->result, e);
}

static int
probe_and_settle(struct promote *p, struct err *e)
{
	p->result->promoted = true;
	return probe(p, e) == -1 ? -1 : settle(p, e);
}

static int
run(struct promote *p, struct err *e)
{
	static int (*const steps[PROMOTE_STEPS])(
	    struct promote * p, struct err * e) = { [PROMOTE_FREEZE] = freeze,
		[PROMOTE_HOOK_BEFORE] = hook_before,
		[PROMOTE_START] = start,
		[PROMOTE_REPLAY] = replay,
		[PROMOTE_SWITCH] = switch_over,
		[PROMOTE_PROBE] = probe_and_settle,
		[PROMOTE_HOOK_AFTER] = hook_after };
	int64_t began_us;
	unsigned int i;

	if (follow_look(&p->follow, &p->view, e) == -1)
		return -1;
	for (i = 0; i < PROMOTE_STEPS; i++) {
		/* Promoted before: there is nothing to freeze or replay. */
		if (p->view.state == FOLLOW_PROMOTED && i < PROMOTE_SWITCH &&
		    i != PROMOTE_START && i != PROMOTE_FREEZE)
			continue;
		began_us = clock_boot_us();
		if (steps[i](p, e) == -1)
			return err_ctx(e, "%s", step_names[i]);
		p->result->step_us[i] = clock_boot_us() - began_us;
		if (p->options->plan_only)
			return 0;
	}
	return 0;
}

/* Nobody makes the standby anew, or starts it, meanwhile. */
static int
lock_promotion(struct promote *p, struct err *e)
{
	int fd;

	for (;;) {
		fd = cluster_lock(
		    p->settings->state_dir, p->cluster->name, "promote", e);
		if (fd != -1 || e->kind != ERR_TRANSIENT)
			return fd;
		tell(p, "waiting until the standby is made");
		if (child_check_stop(e) == -1)
			return -1;
		clock_sleep_us(LOCK_STEP_US);
	}
}

static void
promote_fini(struct promote *p)
{
	follow_close(&p->follow);
	server_log_close(&p->log);
	free(p->log_path);
}

int
promote_run(const struct settings *s, const struct cluster_settings *c,
    const struct promote_options *options, struct promote_result *result,
    struct err *e)
{
	AUTO(promote_fini)
	struct promote p = { .settings = s,
		.cluster = c,
		.options = options,
		.result = result,
		.log = { .fd = -1 } };
	int64_t began_us = clock_boot_us();
	AUTO_FD int lock = -1;
	unsigned int i;
	int rc;

	p.log_path = follow_log_path(s, c);
	(void)memset(result, 0, sizeof(*result));
	for (i = 0; i < PROMOTE_STEPS; i++)
		result->step_us[i] = -1;
	if (follow_open(&p.follow, s, c, e) == -1)
		return -1;
	if (!options->plan_only) {
		lock = lock_promotion(&p, e);
		if (lock == -1)
			return -1;
	}
	err_clear(e);
	rc = run(&p, e);
	result->elapsed_us = clock_boot_us() - began_us;
	return rc;
}
