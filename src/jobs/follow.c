/*
 * follow: the duty that keeps a standby running and near.
 *
 *	look -> absent, unfinished	make it from the newest backup
 *	     -> stopped			start it; wait by its progress
 *	     -> it cannot go on		stop it, make it anew: only blocks that
 *					differ are written
 *	     -> promoted, foreign	leave it alone
 *
 * A server that runs is adopted, whoever started it.  What its configuration or
 * the machine keeps from starting is told and tried again; only what a new copy
 * mends makes a new copy.  The server goes on when the duty ends.
 */

#include <fcntl.h>
#include <stdio.h>
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
#include "jobs/follow_int.h"
#include "jobs/promote.h"
#include "jobs/rule.h"
#include "pg/server.h"
#include "pg/server_log.h"

#define LOOK_US	      CLOCK_SECOND_US
#define STEP_US	      (CLOCK_SECOND_US / 10)
#define WAIT_FIRST_US CLOCK_SECOND_US
#define WAIT_MAX_US   (60 * CLOCK_SECOND_US)
#define TELL_AGAIN_US (300 * CLOCK_SECOND_US)
/* Replay that stands still for so long though there is more is looked into. */
#define STILL_US	 (10 * CLOCK_SECOND_US)
#define REBUILD_LEAST_US (60 * CLOCK_SECOND_US) /* between two */
#define LOG_BYTES_MAX	 ((off_t)16 << 20)

struct keep {
	struct follow follow;
	struct follow_view view;
	struct server_log log;
	char *log_path, *status_path;
	pid_t known_pid;       /* the server we know of; 0 none */
	uint64_t replayed_lsn; /* when it moved last ... */
	int64_t moved_us;      /* ... at this time */
	int64_t rebuilt_us;    /* the last begin; 0 none */
	int64_t wait_us;       /* after a failure, doubled each time */
	char told[sizeof(((struct err *)NULL)->text)];
	int64_t told_us;
	bool promoted_told;
};

/* ---- what is shown ---- */

static void
show(struct keep *k, const char *doing, const struct err *why)
{
	AUTO_JSON json_t *j = follow_json(&k->view);

	json_set_str(j, "cluster", k->follow.cluster->name);
	json_set_str(j, "directory", k->follow.cluster->standby_dir);
	if (doing != NULL)
		json_set_str(j, "doing", doing);
	if (why != NULL && why->kind != ERR_NONE) {
		json_set_str(j, "error", why->text);
		if (why->hint[0] != '\0')
			json_set_str(j, "hint", why->hint);
	}
	show_write(k->status_path, j);
}

static void
event(struct keep *k, enum log_level level, const char *name,
    const char *message, const char *reason)
{
	log_event(level, name, message, "cluster", k->follow.cluster->name,
	    "directory", k->follow.cluster->standby_dir, "reason", reason,
	    NULL);
}

/* The same failure again is told again after a while. */
static void
tell(struct keep *k, const struct err *e)
{
	int64_t now_us = clock_boot_us();

	show(k, NULL, e);
	if (strcmp(k->told, e->text) == 0 &&
	    now_us - k->told_us < TELL_AGAIN_US)
		return;
	(void)snprintf(k->told, sizeof(k->told), "%s", e->text);
	k->told_us = now_us;
	log_event(
	    e->kind == ERR_TRANSIENT ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR,
	    "standby_failed", e->text, "cluster", k->follow.cluster->name,
	    "kind", err_kind_name(e->kind), "hint",
	    e->hint[0] == '\0' ? NULL : e->hint, NULL);
}

static void
progress(void *arg, const char *line)
{
	show(arg, line, NULL);
}

static int
rest(int64_t us, struct err *e)
{
	int64_t until_us = clock_boot_us() + us;

	while (clock_boot_us() < until_us) {
		if (child_check_stop(e) == -1)
			return -1;
		clock_sleep_us(STEP_US);
	}
	return child_check_stop(e);
}

/* ---- its log ---- */

static int
open_log(struct keep *k, struct err *e)
{
	struct stat st;

	if (stat(k->follow.cluster->standby_dir, &st) == -1)
		return 0; /* not yet */
	server_log_close(&k->log);
	k->log.fd = -1;
	return server_log_open(&k->log, k->log_path, st.st_uid, e);
}

/* The server has it open for appending, so it is cut, not renamed. */
static void
cut_log(struct keep *k)
{
	AUTO_FREE char *old = mem_printf("%s.1", k->log_path);
	AUTO_FD int fd = -1;
	struct stat st;
	off_t at = 0;

	if (fstat(k->log.fd, &st) == -1 || st.st_size <= LOG_BYTES_MAX)
		return;
	fd = file_open_at(
	    AT_FDCWD, old, O_WRONLY | O_CREAT | O_TRUNC, 0600, NULL);
	while (fd != -1 && at < st.st_size &&
	    copy_file_range(
		k->log.fd, &at, fd, NULL, (size_t)(st.st_size - at), 0) > 0)
		;
	if (ftruncate(k->log.fd, 0) == 0)
		k->log.offset = 0;
}

static void
read_log(struct keep *k)
{
	struct err ignored = ERR_INIT;

	if (k->log.fd == -1 && open_log(k, &ignored) == -1)
		return;
	if (k->log.fd == -1)
		return;
	while (server_log_read(&k->log, k->log_path, &ignored) == 1)
		;
	cut_log(k);
}

/* ---- making it ---- */

/* Held while it is made, so that nobody promotes it meanwhile. */
static int
lock_promotion(const struct keep *k, struct err *e)
{
	return cluster_lock(k->follow.settings->state_dir,
	    k->follow.cluster->name, "promote", e);
}

static int
make(struct keep *k, bool delta, struct err *e)
{
	const struct follow *f = &k->follow;
	const struct follow_build how = { .delta = delta, .no_salvage = true };
	struct restore_result r;
	char kept[24], written[24], bytes[SIZE_TEXT_BYTES];

	show(k, "making it from a backup", NULL);
	k->rebuilt_us = clock_boot_us();
	if (follow_build(f->settings, f->cluster, &how, &r, e) == -1)
		return -1;
	(void)snprintf(
	    kept, sizeof(kept), "%llu", (unsigned long long)r.kept_blocks);
	(void)snprintf(written, sizeof(written), "%llu",
	    (unsigned long long)r.written_blocks);
	log_event(LOG_LEVEL_INFO, "standby_made",
	    "the standby is made from a backup", "cluster", f->cluster->name,
	    "backup", r.target.backup_id, "size", size_text(r.bytes, bytes),
	    "kept_blocks", delta ? kept : NULL, "written_blocks",
	    delta ? written : NULL, NULL);
	restore_result_free(&r);
	server_log_close(&k->log);
	k->log.fd = -1;
	return 0;
}

/* With the lock: the order that it is not to run may have come before it. */
static int
make_unless_off(struct keep *k, bool delta, struct err *e)
{
	int off = follow_is_off(k->follow.settings, k->follow.cluster, e);

	return off == -1 ? -1 : off == 1 ? 0 : make(k, delta, e);
}

static int
build(struct keep *k, bool delta, struct err *e)
{
	AUTO_FD int lock = lock_promotion(k, e);

	return lock == -1 ? -1 : make_unless_off(k, delta, e);
}

/* Is there a backup from which recovery reaches the end of what is here?  Until
 * there is, the old directory is worth more. */
static int
check_source(const struct follow *f, struct err *e)
{
	struct restore_options o = { .plan_only = true };
	struct restore_result r;

	o.target.kind = TARGET_LATEST;
	if (restore_run(f->settings, f->cluster, &o, &r, e) == -1)
		return -1;
	restore_result_free(&r);
	return 0;
}

static int
rebuild(struct keep *k, const char *reason, struct err *e)
{
	const char *pgdata = k->follow.cluster->standby_dir;
	AUTO_FD int lock = -1;

	if (k->rebuilt_us != 0 &&
	    clock_boot_us() - k->rebuilt_us < REBUILD_LEAST_US)
		return err_set(e, ERR_TRANSIENT,
		    "the standby cannot go on, and was made anew just now: %s",
		    reason);
	if (check_source(&k->follow, e) == -1)
		return err_ctx(e, "the standby cannot go on (%s)", reason);
	lock = lock_promotion(k, e);
	if (lock == -1)
		return -1;
	event(k, LOG_LEVEL_WARNING, "standby_rebuild",
	    "the standby cannot go on and is made anew", reason);
	follow_hang_up(&k->follow);
	if (server_stop(pgdata, "immediate", e) == -1)
		return -1;
	return make_unless_off(k, true, e);
}

/* ---- starting it ---- */

/* Failures of a start that a new copy mends. */
static bool
is_beyond_repair(const struct err *e)
{
	static const char *const texts[] = { "could not locate",
		"requested timeline", "invalid pages",
		"requested starting point", "unexpected timeline",
		"invalid data in", "could not read blocks", "is not a valid",
		"incorrect checksum", "could not find redo location",
		"WAL ends before", "could not find a valid", NULL };
	const char *const *t;

	for (t = texts; *t != NULL; t++)
		if (strstr(e->text, *t) != NULL)
			return true;
	return false;
}

/* The order that it is not to run may have come while it started. */
static int
stop_again(struct keep *k, struct err *e)
{
	const struct follow *f = &k->follow;
	int off = follow_is_off(f->settings, f->cluster, e);

	return off <= 0 ? off : server_stop(f->cluster->standby_dir, "fast", e);
}

static int
start(struct keep *k, struct err *e)
{
	const struct follow *f = &k->follow;
	AUTO_FREE char *reason = NULL;

	if (follow_start(f->settings, f->cluster, progress, k, e) == 0) {
		event(k, LOG_LEVEL_INFO, "standby_started", "the standby runs",
		    NULL);
		if (follow_look(&k->follow, &k->view, e) == -1)
			return -1;
		k->known_pid = k->view.pid;
		k->wait_us = 0;
		k->moved_us = clock_boot_us();
		return stop_again(k, e);
	}
	if (!is_beyond_repair(e))
		return -1;
	reason = mem_strdup(e->text);
	err_clear(e);
	return rebuild(k, reason, e);
}

/* ---- while it runs ---- */

static void
note_pid(struct keep *k)
{
	if (k->view.pid == k->known_pid)
		return;
	if (k->view.pid != 0)
		event(k, LOG_LEVEL_INFO, "standby_adopted",
		    "the standby runs already", NULL);
	k->known_pid = k->view.pid;
	k->moved_us = clock_boot_us();
}

/* Has replay moved, or is there nothing more to replay? */
static bool
is_moving(struct keep *k)
{
	const struct follow_view *v = &k->view;
	int64_t now_us = clock_boot_us();

	if (v->replayed_lsn != k->replayed_lsn || v->behind_bytes == 0 ||
	    v->paused || !v->exact) {
		k->replayed_lsn = v->replayed_lsn;
		k->moved_us = now_us;
	}
	return now_us - k->moved_us < STILL_US;
}

/* It stands still, and there is more: can it get there?  NULL it can. */
static const char *
why_stuck(struct keep *k)
{
	const struct follow_view *v = &k->view;
	struct timeline_history h = { 0 };
	struct err e = ERR_INIT;
	const char *why = NULL;
	uint64_t next;

	if (wal_read_history(
		&k->follow.lineage, v->end.timeline, &h, NULL, &e) == -1)
		return NULL;
	if (!timeline_contains(&h, v->timeline, v->replayed_lsn) &&
	    !timeline_contains(
		&h, timeline_at(&h, v->replayed_lsn), v->replayed_lsn))
		why = "it is not in the history of the newest timeline";
	else if (follow_next_record(&k->follow.lineage, v->end.timeline,
		     v->replayed_lsn, &next, &e) == -1)
		why = e.kind == ERR_NOT_FOUND
		    ? "WAL that it needs is not in the repository any more"
		    : NULL;
	timeline_history_free(&h);
	return why;
}

/* What its log and its position say.  NULL: it goes on. */
static const char *
why_not(struct keep *k)
{
	if (k->log.diverged) {
		k->log.diverged = false;
		return "it has replayed WAL that the new primary never had";
	}
	return is_moving(k) ? NULL : why_stuck(k);
}

/* The primary's settings have grown: what recovery needs stands in its control
 * file now. */
static int
raise_settings(struct keep *k, struct err *e)
{
	event(k, LOG_LEVEL_WARNING, "standby_settings",
	    "the primary's settings have grown; the standby is started again "
	    "with them",
	    k->log.fatal);
	k->log.stuck = false;
	k->log.fatal[0] = '\0';
	follow_hang_up(&k->follow);
	return server_stop(k->follow.cluster->standby_dir, "fast", e);
}

static int
attend(struct keep *k, struct err *e)
{
	const char *reason;

	note_pid(k);
	if (k->log.stuck)
		return raise_settings(k, e);
	reason = why_not(k);
	if (reason != NULL)
		return rebuild(k, reason, e);
	show(k, NULL, &k->view.err);
	return 0;
}

/* Who promoted it may have died before it could say so. */
static int
note_promotion(struct keep *k, struct err *e)
{
	const struct follow *f = &k->follow;
	k->promoted_told = true;
	event(k, LOG_LEVEL_INFO, "standby_promoted",
	    "the standby has been promoted and is left alone", NULL);
	if (k->view.pid == 0 || promote_has_note(f->settings, f->cluster))
		return 0;
	if (promote_note(
		f->settings, f->cluster, k->view.timeline, LSN_NONE, e) == -1)
		return -1;
	promote_tell_daemon(f->settings);
	return 0;
}

/* The server that was the cluster's here, before the roles changed. */
static bool
is_old_primary(const struct keep *k)
{
	const struct cluster_settings *c = k->follow.cluster;

	return k->view.state == FOLLOW_FOREIGN && rule_wanted(c) &&
	    c->pgdata != NULL && strcmp(c->pgdata, c->standby_dir) == 0;
}

static int
is_left_alone(struct keep *k, struct err *e)
{
	if (is_old_primary(k)) {
		show(k,
		    "an old primary: \"pgkura failback\" makes it a standby",
		    NULL);
		return 0;
	}
	if (k->view.state == FOLLOW_FOREIGN) {
		(void)err_set(e, ERR_REFUSED,
		    "\"%s\" is not a standby that pgkura has made",
		    k->follow.cluster->standby_dir);
		return err_hint(
		    e, "Name an empty or new directory with standby_dir.");
	}
	if (!k->promoted_told && note_promotion(k, e) == -1)
		return -1;
	show(k, NULL, &k->view.err);
	return 0;
}

/* One look, and what it asks for. */
static int
step(struct keep *k, struct err *e)
{
	const struct settings *s = k->follow.settings;
	const struct cluster_settings *c = k->follow.cluster;
	int off = follow_is_off(s, c, e);
	int promoter = cluster_lock_holder(s->state_dir, c->name, "promote", e);

	read_log(k);
	if (off == -1 || promoter == -1 ||
	    follow_look(&k->follow, &k->view, e) == -1)
		return -1;
	if (promoter > 0) {
		show(k,
		    rule_wanted(c) && rule_may_follow(s, c)
			? "the old primary is being made a standby"
			: "being promoted",
		    NULL);
		return 0;
	}
	if (off == 1) {
		show(k, "off by order", NULL);
		return 0;
	}
	if (!rule_may_follow(k->follow.settings, k->follow.cluster)) {
		show(k, "this site is no standby now", NULL);
		return 0;
	}
	switch (k->view.state) {
	case FOLLOW_ABSENT:
		return build(k, false, e);
	case FOLLOW_UNFINISHED:
		return build(k, true, e);
	case FOLLOW_STOPPED:
		if (k->known_pid != 0)
			event(k, LOG_LEVEL_WARNING, "standby_stopped",
			    "the standby's server has ended; it is started "
			    "again",
			    k->log.fatal[0] == '\0' ? NULL : k->log.fatal);
		k->known_pid = 0;
		return start(k, e);
	case FOLLOW_STARTING:
	case FOLLOW_RUNNING:
		return attend(k, e);
	case FOLLOW_FOREIGN:
	case FOLLOW_PROMOTED:
		break;
	}
	return is_left_alone(k, e);
}

static int
keep(struct keep *k, struct err *e)
{
	for (;;) {
		err_clear(e);
		if (step(k, e) == 0) {
			if (rest(LOOK_US, e) == -1)
				return -1;
			continue;
		}
		if (e->kind == ERR_CANCELED)
			return -1;
		tell(k, e);
		k->wait_us = k->wait_us == 0	   ? WAIT_FIRST_US
		    : k->wait_us * 2 > WAIT_MAX_US ? WAIT_MAX_US
						   : k->wait_us * 2;
		if (rest(k->wait_us, e) == -1)
			return -1;
	}
}

static void
keep_fini(struct keep *k)
{
	(void)unlink(k->status_path);
	server_log_close(&k->log);
	follow_close(&k->follow);
	free(k->log_path);
	free(k->status_path);
}

int
follow_run(
    const struct settings *s, const struct cluster_settings *c, struct err *e)
{
	AUTO_FREE char *folder = file_join(s->state_dir, c->name);
	AUTO(keep_fini) struct keep k = { .log = { .fd = -1 } };
	AUTO_FD int lock = -1;

	k.log_path = follow_log_path(s, c);
	k.status_path = file_join(folder, "standby.json");
	if (follow_open(&k.follow, s, c, e) == -1 ||
	    file_mkdirs_at(AT_FDCWD, folder, 0700, e) == -1)
		return -1;
	lock = cluster_lock(s->state_dir, c->name, "follow", e);
	if (lock == -1 || keep(&k, e) == 0)
		return -1;
	if (e->kind != ERR_CANCELED)
		return -1;
	err_clear(e);
	return 0;
}
