/*
 * drill: the story, told by the director.
 *
 *	sweep what a killed drill has left
 *	plan: position and backup, space; leave word; lease
 *	restore files, in a process
 *	box: start, replay, promote, check, stop, in another one
 *	clean up
 *	report: signed, behind the one before it
 */

#include "jobs/drill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/size.h"
#include "jobs/drill_box.h"
#include "jobs/drill_chain.h"
#include "jobs/drill_int.h"
#include "jobs/drill_report.h"
#include "jobs/jobs.h"
#include "jobs/skew.h"

#define SQL_BYTES_MAX ((size_t)1 << 20)
/* What a copy needs beside its files and the WAL that it fetches. */
#define SPARE_BYTES ((uint64_t)256 << 20)

const char *
drill_outcome_name(enum drill_outcome outcome)
{
	static const char *const names[] = { [DRILL_PASSED] = "passed",
		[DRILL_FAILED] = "failed",
		[DRILL_STOPPED] = "stopped" };

	return names[outcome];
}

/* ---- before anything is done: what -1 is returned for ---- */

static void
add_check(struct drill *d, size_t *count, char *path)
{
	d->checks = mem_rearray(d->checks, *count + 2, sizeof(char *));
	d->checks[(*count)++] = path;
	d->checks[*count] = NULL;
}

/* Those of the folder drill_checks: "*.sql", by name. */
static int
add_folder(struct drill *d, size_t *count, struct err *e)
{
	const char *folder = d->cluster->drill_checks;
	char **names = NULL;
	size_t n = 0, i, len;

	if (folder == NULL)
		return 0;
	if (file_list_at(AT_FDCWD, folder, &names, &n, e) == -1)
		return -1;
	for (i = 0; i < n; i++) {
		len = strlen(names[i]);
		if (len > 4 && strcmp(names[i] + len - 4, ".sql") == 0)
			add_check(d, count, file_join(folder, names[i]));
	}
	file_names_free(names);
	return 0;
}

static int
read_checks(struct drill *d, struct err *e)
{
	const char *const *path = d->options->checks;
	size_t count = 0, i;

	for (; path != NULL && *path != NULL; path++)
		add_check(d, &count, mem_strdup(*path));
	if (add_folder(d, &count, e) == -1)
		return -1;
	d->sql = mem_zarray(count + 1, sizeof(d->sql[0]));
	for (i = 0; i < count; i++)
		if (file_slurp_at(AT_FDCWD, d->checks[i], SQL_BYTES_MAX,
			&d->sql[i], e) == -1)
			return -1;
	return 0;
}

static int
find_place(struct drill *d, struct err *e)
{
	AUTO_FREE char *beside = file_join(d->settings->state_dir, "drills");
	const char *given = d->options->directory != NULL
	    ? d->options->directory
	    : d->cluster->drill_dir;
	AUTO_FREE char *real = NULL;
	struct stat st;

	if (given == NULL)
		given = beside;
	if (file_mkdirs_at(AT_FDCWD, given, 0700, e) == -1)
		return -1;
	real = realpath(given, NULL);
	if (real == NULL || stat(real, &st) == -1)
		return err_sys(e, "could not find \"%s\"", given);
	d->uid = st.st_uid;
	d->gid = st.st_gid;
	if (geteuid() == 0 && d->uid == 0) {
		(void)err_set(e, ERR_USAGE,
		    "\"%s\" belongs to root, as whom no server runs", real);
		return err_hint(e,
		    "Give it to the user that is to run the copy, or run this "
		    "as the user of pgkurad.");
	}
	d->folder = file_join(real, d->result->id);
	return 0;
}

static int
check_space(struct drill *d, struct err *e)
{
	AUTO_FREE char *place = file_parent(d->folder);
	uint64_t limit = d->cluster->drill_space_limit_bytes, have;
	uint64_t need = d->root.bytes + SPARE_BYTES;
	char a[SIZE_TEXT_BYTES], b[SIZE_TEXT_BYTES];

	if (limit != 0 && d->root.bytes > limit) {
		(void)err_set(e, ERR_REFUSED,
		    "the copy takes %s, more than drill_space_limit, %s",
		    size_text(d->root.bytes, a), size_text(limit, b));
		return err_hint(e, "Raise drill_space_limit.");
	}
	if (file_free_bytes(place, &have, e) == -1)
		return -1;
	if (have < need + d->settings->min_free_bytes) {
		(void)err_set(e, ERR_REFUSED,
		    "the copy takes %s, and \"%s\" has %s free",
		    size_text(need, a), place, size_text(have, b));
		return err_hint(e,
		    "Make room, or name another place with drill_dir or --to; "
		    "min_free_bytes stays free.");
	}
	return 0;
}

/* Does this system let us make a box at all?  Asked before hours of restore. */
static int
nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int
try_box(struct drill *d, struct err *e)
{
	const struct box_options o = {
		.folder = d->folder, .uid = d->uid, .gid = d->gid
	};
	pid_t pid = box_start(&o, nothing, NULL, e);

	if (pid != -1) {
		while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
			;
		return 0;
	}
	if (e->kind != ERR_REFUSED || !d->options->allow_open) {
		if (e->kind == ERR_REFUSED)
			(void)err_hint(e,
			    "%s Or accept it with --allow-not-isolated: the "
			    "report says so.",
			    e->hint);
		return err_ctx(e, "the copy cannot be isolated");
	}
	log_event(LOG_LEVEL_WARNING, "drill_not_isolated", e->text, "cluster",
	    d->cluster->name, NULL);
	err_clear(e);
	d->open = true;
	return 0;
}

static int
make_folder(struct drill *d, struct err *e)
{
	AUTO_FREE char *tmp = file_join(d->folder, DRILL_TMP);

	if (drill_record_write(d, e) == -1)
		return -1;
	d->made = true;
	if (file_mkdirs_at(AT_FDCWD, d->folder, 0700, e) == -1 ||
	    file_mkdirs_at(AT_FDCWD, tmp, 0700, e) == -1)
		return -1;
	if (geteuid() == 0 &&
	    (chown(d->folder, d->uid, d->gid) == -1 ||
		chown(tmp, d->uid, d->gid) == -1))
		return err_sys(e, "could not give away \"%s\"", d->folder);
	return 0;
}

static int
plan(struct drill *d, struct err *e)
{
	drill_begin_step(d, "plan", "A backup and a position are chosen");
	if (target_resolve(&d->lineage, &d->options->target, &d->target, e) ==
		-1 ||
	    root_read(&d->lineage, d->target.backup_id, &d->root, e) == -1)
		return -1;
	(void)strcpy(d->lease.kind, "read");
	(void)memcpy(d->lease.backup, d->root.id, sizeof(d->lease.backup));
	return intent_begin(&d->lineage, &d->lease, e);
}

static int
prepare(struct drill *d, struct err *e)
{
	const struct settings *s = d->settings;
	char peer[64];
	bool swept;

	if (drill_sweep(s, d->cluster, &swept, e) == -1)
		return -1;
	d->lock_fd = cluster_lock(s->state_dir, d->cluster->name, "drill", e);
	if (d->lock_fd == -1 || read_checks(d, e) == -1)
		return -1;
	d->repo = repo_open(s->repository, s->state_dir, true, e);
	if (d->repo == NULL ||
	    lineage_open(d->repo, d->cluster->name, d->options->lineage,
		&d->lineage, e) == -1)
		return -1;
	backup_id_new(d->started_us, d->result->id);
	d->known_us = drill_known_us(d);
	d->skew_known =
	    skew_of_server(d->settings, d->cluster, &d->skew_us, peer);
	drill_sample(d, "before", true);
	if (find_place(d, e) == -1 || plan(d, e) == -1 ||
	    check_space(d, e) == -1 || make_folder(d, e) == -1)
		return -1;
	/* What boxes leave to us is ours to wait for. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1)
		return err_sys(e, "could not become the reaper of children");
	if (try_box(d, e) == -1 || drill_find_tablespaces(d, e) == -1)
		return -1;
	return drill_make_covers(d, e);
}

/* ---- restore ---- */

struct restorer {
	struct drill *d;
	struct teller teller;
};

/* Tablespaces come into the drill's folder. */
static char **
map_tablespaces(const struct drill *d)
{
	char **map = mem_zarray(d->root.tablespace_count + 1, sizeof(char *));
	size_t i, n = 0;

	for (i = 0; i < d->root.tablespace_count; i++)
		if (d->root.tablespaces[i].path[0] == '/')
			map[n++] = mem_printf("%u=%s/tablespace.%u",
			    d->root.tablespaces[i].oid, d->folder,
			    d->root.tablespaces[i].oid);
	return map;
}

static int
restore_main(void *arg)
{
	struct restorer *r = arg;
	const struct drill *d = r->d;
	AUTO_FREE char *pgdata = file_join(d->folder, DRILL_DATA);
	struct restore_options o = { .target = d->options->target,
		.directory = pgdata,
		.action = ACTION_PROMOTE,
		.lineage = d->lineage.name };
	struct restore_result result;
	struct err e = ERR_INIT;
	char bytes[SIZE_TEXT_BYTES];

	o.target.backup_id = d->target.backup_id;
	o.tablespace_map = (const char *const *)map_tablespaces(d);
	tell_begin(&r->teller, "restore", "The backup's files are restored");
	if (restore_run(d->settings, d->cluster, &o, &result, &e) == -1) {
		tell_failure(&r->teller, &e);
		return 1;
	}
	tell_end(&r->teller, STEP_PASSED, NULL,
	    "backup %s: %llu files, %s, each block compared with its sums",
	    result.target.backup_id, (unsigned long long)result.files,
	    size_text(result.bytes, bytes));
	return 0;
}

static int
make_pipe(int *read_fd, int *write_fd, struct err *e)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) == -1)
		return err_sys(e, "could not make a pipe");
	*read_fd = fds[0];
	*write_fd = fds[1];
	return 0;
}

static int
restore_files(struct drill *d, struct err *e)
{
	struct restorer r = { .d = d };
	AUTO_FD int read_fd = -1;
	AUTO_FD int write_fd = -1;
	pid_t pid;

	if (make_pipe(&read_fd, &write_fd, e) == -1)
		return -1;
	r.teller.fd = write_fd;
	pid = box_start_child(restore_main, &r, e);
	if (pid == -1)
		return -1;
	(void)close(steal_fd(&write_fd));
	return drill_follow(d, pid, read_fd);
}

/* ---- the copy ---- */

static int
try_copy(struct drill *d, struct err *e)
{
	struct drill_copy copy = { .settings = d->settings,
		.cluster = d->cluster,
		.options = d->options,
		.target = &d->target,
		.root = &d->root,
		.folder = d->folder,
		.checks = d->checks,
		.sql = d->sql,
		.open = d->open };
	const struct box_options o = { .folder = d->folder,
		.uid = d->uid,
		.gid = d->gid,
		.covered = d->covered,
		.open = d->open };
	AUTO_FD int read_fd = -1;
	AUTO_FD int write_fd = -1;
	pid_t pid;

	if (make_pipe(&read_fd, &write_fd, e) == -1)
		return -1;
	copy.teller.fd = write_fd;
	pid = box_start(&o, drill_copy_main, &copy, e);
	if (pid == -1)
		return -1;
	(void)close(steal_fd(&write_fd));
	return drill_follow(d, pid, read_fd);
}

/* From here on there will be a report, whatever happens. */
static void
rehearse(struct drill *d)
{
	char lsn[LSN_TEXT_BYTES], when[CLOCK_TEXT_BYTES];
	struct err e = ERR_INIT;
	int rc;

	drill_end_step(d, STEP_PASSED,
	    "backup %s and WAL up to %s on timeline %u%s%s", d->root.id,
	    lsn_text(d->target.stop_lsn, lsn), d->target.timeline,
	    d->target.stop_us == 0 ? "" : ", last transaction ",
	    d->target.stop_us == 0 ? "" : clock_utc(d->target.stop_us, when));
	rc = restore_files(d, &e);
	if (rc == 0)
		rc = try_copy(d, &e);
	if (rc == -1)
		drill_spoil(d, DRILL_FAILED, "%s", e.text);
}

/* ---- the end ---- */

static int
finish(struct drill *d, struct err *e)
{
	json_t *cleanup = NULL;
	struct err dirt = ERR_INIT;

	drill_begin_step(d, "cleanup", "Nothing of the copy stays");
	if (drill_clean(d, &cleanup, &dirt) == -1)
		drill_end_step(d, STEP_FAILED, "%s", dirt.text);
	else
		drill_end_step(d, STEP_PASSED, "%s",
		    json_string_value(json_object_get(cleanup, "verdict")));
	drill_sample(d, "after", true);
	d->result->outcome = d->outcome;
	d->result->report = drill_write_report(d, cleanup);
	return chain_put(
	    d->settings, &d->lineage, d->result->report, d->result->id, e);
}

/* Of a failure the caller tells. */
static void
say(const struct drill *d)
{
	char took[CLOCK_TEXT_BYTES], lsn[LSN_TEXT_BYTES];

	if (d->outcome == DRILL_PASSED)
		log_event(LOG_LEVEL_INFO, "drill_done",
		    "the cluster was brought back in a drill", "cluster",
		    d->cluster->name, "report", d->result->id, "position",
		    lsn_text(d->target.stop_lsn, lsn), "took",
		    clock_interval(clock_boot_us() - d->began_us, took),
		    "isolated", d->open ? "no" : "yes", NULL);
}

int
drill_verdict(const struct drill_result *r, struct err *e)
{
	bool live = strcmp(report_text(r->report, "kind"), "live") == 0;

	if (r->outcome == DRILL_PASSED)
		return 0;
	(void)err_set(e,
	    r->outcome == DRILL_FAILED ? ERR_CORRUPT : ERR_CANCELED,
	    "the %sdrill has %s: %.300s", live ? "live " : "",
	    r->outcome == DRILL_FAILED ? "failed" : "been stopped",
	    report_text(r->report, "verdict"));
	return err_hint(
	    e, "\"pgkura drill show %s\" says what was seen.", r->id);
}

static void
drill_free(struct drill *d)
{
	struct err e = ERR_INIT;
	size_t i;

	if (d->lease.id[0] != '\0' &&
	    intent_end(&d->lineage, &d->lease, &e) == -1)
		log_error("lease_left", &e);
	for (i = 0; d->checks != NULL && d->checks[i] != NULL; i++) {
		free(d->checks[i]);
		if (d->sql != NULL)
			buf_free(&d->sql[i]);
	}
	free(d->checks);
	free(d->sql);
	for (i = 0; i < d->covered_count; i++)
		free(d->covered[i]);
	free(d->covered);
	free(d->folder);
	buf_free(&d->verdict);
	json_decref(d->steps);
	json_decref(d->facts);
	json_decref(d->untested);
	json_decref(d->samples);
	target_free(&d->target);
	root_free(&d->root);
	repo_close(d->repo);
	if (d->lock_fd != -1)
		(void)close(d->lock_fd);
}

/* It could not begin: leave no trace. */
static int
give_up(struct drill *d)
{
	json_t *cleanup = NULL;
	struct err dirt = ERR_INIT;

	d->outcome = DRILL_STOPPED;
	if (d->made && drill_clean(d, &cleanup, &dirt) == -1)
		log_error("drill_not_cleaned", &dirt);
	json_decref(cleanup);
	return -1;
}

int
drill_run(const struct settings *s, const struct cluster_settings *c,
    const struct drill_options *options, struct drill_result *result,
    struct err *e)
{
	AUTO(drill_free)
	struct drill d = { .settings = s,
		.cluster = c,
		.options = options,
		.result = result,
		.lock_fd = -1,
		.started_us = clock_now_us(),
		.began_us = clock_boot_us(),
		.steps = json_array(),
		.facts = json_object(),
		.untested = json_array(),
		.samples = json_array(),
		.phase = "before" };

	(void)memset(result, 0, sizeof(*result));
	root_init(&d.root);
	if (prepare(&d, e) == -1)
		return give_up(&d);
	rehearse(&d);
	if (finish(&d, e) == -1) {
		drill_result_free(result);
		return err_ctx(e, "the drill's report is not kept");
	}
	say(&d);
	return 0;
}

void
drill_result_free(struct drill_result *r)
{
	json_decref(r->report);
	r->report = NULL;
}
