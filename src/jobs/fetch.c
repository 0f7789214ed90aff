/*
 * fetch: one file for restore_command.
 *
 *	whole segment		found
 *	open or partial one	found: what there is of it, then zeros
 *	the same, a standby	absent when it has all that there is already
 *	before its timeline	absent
 *	nothing later is here	absent: WAL ends
 *	something later is here	a hole: wait for it, then fail
 *	behind a fork, a standby	absent; the fork's own segment: up to the fork
 *
 * A standby goes to the newest timeline.  Where the segment of it that holds
 * the fork is not here yet, it asks for the same one of the timeline before;
 * what lies in that behind the fork was written by an old primary that nobody
 * follows, and replaying it would spoil the standby.
 *
 * Absent makes PostgreSQL end recovery, so no failure may look like it.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/fetch_int.h"

#define WAIT_US		(30 * CLOCK_SECOND_US)
#define WAIT_STANDBY_US (2 * CLOCK_SECOND_US)
#define STEP_US		(CLOCK_SECOND_US / 5)

enum outcome { FETCH_FOUND, FETCH_ABSENT, FETCH_HOLE };

struct fetch {
	const struct settings *settings;
	const struct fetch_options *options;
	struct repo *repo;
	struct lineage lineage;
	int dirfd;	  /* folder of the path */
	const char *file; /* its name there */
};

/* len bytes, and zeros up to bytes: allocated, for the server may write there
 * later. */
static int
put_padded(int dirfd, const char *name, const void *data, size_t len,
    size_t bytes, bool sync, struct err *e)
{
	AUTO_FREE char *tmp = mem_printf("%s.pgkura", name);
	AUTO_FD int fd =
	    file_open_at(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC, 0600, e);
	int rc;

	if (fd == -1)
		return -1;
	rc = file_write_all(fd, data, len, tmp, e);
	if (rc == 0 && len < bytes) {
		errno = posix_fallocate(fd, (off_t)len, (off_t)(bytes - len));
		if (errno != 0)
			rc = err_sys(e, "could not make room for \"%s\"", tmp);
	}
	if (rc == -1 || (sync && file_sync_fd(fd, tmp, e) == -1)) {
		(void)unlinkat(dirfd, tmp, 0);
		return -1;
	}
	if (close(steal_fd(&fd)) == -1)
		return err_sys(e, "could not close \"%s\"", tmp);
	if (renameat(dirfd, tmp, dirfd, name) == -1)
		return err_sys(
		    e, "could not rename \"%s\" to \"%s\"", tmp, name);
	return 0;
}

int
fetch_put_file(int dirfd, const char *name, const void *data, size_t len,
    bool sync, struct err *e)
{
	return put_padded(dirfd, name, data, len, len, sync, e);
}

/* ---- segments ---- */

/*
 * Does the folder hold the segment already, as it is here?  The server names
 * what it was given by the segment and asks again when it has read it to its
 * end; when nothing is new it had better read what it has.  (A file that lost
 * its end with the machine's power differs.)
 */
static bool
is_there_already(const struct fetch *f, const uint8_t *data, size_t valid)
{
	uint32_t bytes = f->lineage.facts.segment_bytes;
	AUTO_FREE uint8_t *there = NULL;
	AUTO_FD int fd = openat(
	    f->dirfd, f->options->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1 || st.st_size != (off_t)bytes)
		return false;
	there = mem_alloc(valid);
	return file_pread_full(fd, there, valid, 0, f->options->name, NULL) ==
	    (ssize_t)valid &&
	    memcmp(there, data, valid) == 0;
}

/* Does the timeline begin behind the segment at lsn? */
static bool
is_before_timeline(const struct fetch *f, uint32_t timeline, uint64_t lsn)
{
	struct timeline_history h = { 0 };
	bool before;

	if (wal_read_history(&f->lineage, timeline, &h, NULL, NULL) == -1)
		return false;
	before = lsn + f->lineage.facts.segment_bytes <=
	    h.entries[h.count - 1].begin_lsn;
	timeline_history_free(&h);
	return before;
}

/* The segment is not here: why? */
static int
judge_absence(const struct fetch *f, uint32_t timeline, uint64_t lsn,
    enum outcome *outcome, struct err *e)
{
	AUTO_FREE struct wal_span *spans = NULL;
	size_t count, i;

	*outcome = FETCH_ABSENT;
	if (is_before_timeline(f, timeline, lsn))
		return 0;
	if (wal_spans(&f->lineage, &spans, &count, e) == -1)
		return -1;
	for (i = 0; i < count; i++)
		if (spans[i].timeline == timeline && spans[i].end_lsn > lsn)
			*outcome = FETCH_HOLE;
	return 0;
}

uint32_t
fetch_limit(const struct lineage *l, uint32_t timeline, uint64_t lsn)
{
	uint32_t bytes = l->facts.segment_bytes, newest;
	struct timeline_history h = { 0 };
	uint64_t end = 0;
	size_t i;

	if (wal_newest_timeline(l, &newest, NULL) == -1 || newest <= timeline ||
	    wal_read_history(l, newest, &h, NULL, NULL) == -1)
		return bytes;
	for (i = 0; i < h.count; i++)
		if (h.entries[i].timeline == timeline)
			end = h.entries[i].end_lsn;
	timeline_history_free(&h);
	if (end <= lsn)
		return 0;
	return end - lsn < bytes ? (uint32_t)(end - lsn) : bytes;
}

static int
fetch_segment(const struct fetch *f, uint32_t timeline, uint64_t lsn,
    enum outcome *outcome, struct err *e)
{
	uint32_t bytes = f->lineage.facts.segment_bytes;
	AUTO_FREE uint8_t *data = mem_alloc(bytes);
	struct err local = ERR_INIT;
	uint32_t limit;
	size_t valid;

	if (wal_read_tail(
		&f->lineage, f->options->name, data, &valid, &local) == -1) {
		if (local.kind == ERR_NOT_FOUND)
			return judge_absence(f, timeline, lsn, outcome, e);
		*e = local;
		return -1;
	}
	*outcome = FETCH_ABSENT;
	if (f->options->standby) {
		limit = fetch_limit(&f->lineage, timeline, lsn);
		if (limit == 0)
			return 0;
		if (valid > limit)
			valid = limit;
	}
	if (f->options->standby && valid < bytes &&
	    is_there_already(f, data, valid))
		return 0;
	if (put_padded(f->dirfd, f->file, data, valid, bytes, false, e) == -1)
		return -1;
	*outcome = FETCH_FOUND;
	if (f->options->ahead > 0 && valid == bytes)
		fetch_ahead_begin(
		    f->options, &f->lineage, f->dirfd, timeline, lsn);
	return 0;
}

/* ---- histories ---- */

/* A number that was passed by, when there are later ones. */
static int
fetch_passed_by(const struct fetch *f, uint32_t timeline, enum outcome *outcome,
    struct err *e)
{
	uint32_t newest;

	if (wal_newest_timeline(&f->lineage, &newest, e) == -1)
		return -1;
	if (newest <= timeline)
		return 0;
	*outcome = FETCH_FOUND;
	return fetch_put_file(f->dirfd, f->file, WAL_HISTORY_EMPTY,
	    sizeof(WAL_HISTORY_EMPTY) - 1, false, e);
}

static int
fetch_history(const struct fetch *f, uint32_t timeline, enum outcome *outcome,
    struct err *e)
{
	struct timeline_history h = { 0 };
	AUTO_BUF struct buf text = BUF_INIT;
	struct err local = ERR_INIT;

	*outcome = FETCH_ABSENT;
	if (timeline == 1)
		return 0;
	if (wal_read_history(&f->lineage, timeline, &h, &text, &local) == -1) {
		if (local.kind == ERR_NOT_FOUND)
			return fetch_passed_by(f, timeline, outcome, e);
		*e = local;
		return -1;
	}
	timeline_history_free(&h);
	*outcome = FETCH_FOUND;
	return fetch_put_file(f->dirfd, f->file, text.data, text.len, false, e);
}

/* ---- one file ---- */

static int
open_lineage(struct fetch *f, struct err *e)
{
	const struct cluster_settings *c =
	    settings_cluster(f->settings, f->options->cluster, e);

	if (c == NULL)
		return -1;
	f->repo = repo_open(
	    f->settings->repository, f->settings->state_dir, false, e);
	if (f->repo == NULL)
		return -1;
	return lineage_open(
	    f->repo, c->name, f->options->lineage, &f->lineage, e);
}

static int
open_folder(struct fetch *f, struct err *e)
{
	const char *path = f->options->path, *slash = strrchr(path, '/');
	AUTO_FREE char *folder = mem_strdup(".");

	if (slash != NULL) {
		free(folder);
		folder = mem_strndup(
		    path, slash == path ? 1 : (size_t)(slash - path));
	}
	f->file = slash == NULL ? path : slash + 1;
	f->dirfd = file_open_dir(folder, e);
	return f->dirfd == -1 ? -1 : 0;
}

static int
fetch_once(struct fetch *f, enum outcome *outcome, struct err *e)
{
	const char *name = f->options->name;
	uint32_t timeline;
	uint64_t lsn;

	*outcome = FETCH_ABSENT;
	if (f->repo == NULL && open_lineage(f, e) == -1) {
		repo_close(steal_ptr(&f->repo));
		return -1;
	}
	if (wal_name_is_history(name, &timeline))
		return fetch_history(f, timeline, outcome, e);
	if (wal_name_parse(
		name, f->lineage.facts.segment_bytes, &timeline, &lsn))
		return fetch_segment(f, timeline, lsn, outcome, e);
	return 0; /* a partial or a backup's label: never needed */
}

/* May it pass by itself? */
static bool
is_worth_waiting(int rc, enum outcome outcome, const struct err *e)
{
	if (rc == 0)
		return outcome == FETCH_HOLE;
	return e->kind == ERR_TRANSIENT || e->kind == ERR_IO ||
	    e->kind == ERR_NOT_FOUND;
}

static int
fetch_patiently(struct fetch *f, enum outcome *outcome, struct err *e)
{
	int64_t most_us = f->options->wait_us > 0 ? f->options->wait_us
	    : f->options->standby		  ? WAIT_STANDBY_US
						  : WAIT_US;
	int64_t until_us = clock_boot_us() + most_us;
	int rc;

	for (;;) {
		err_clear(e);
		rc = fetch_once(f, outcome, e);
		if (!is_worth_waiting(rc, *outcome, e) ||
		    clock_boot_us() >= until_us)
			return rc;
		if (child_check_stop(e) == -1)
			return -1;
		clock_sleep_us(STEP_US);
	}
}

static int
say_hole(const struct fetch *f, struct err *e)
{
	(void)err_set(e, ERR_NOT_FOUND,
	    "WAL segment \"%s\" is missing from the repository, and later ones "
	    "are there",
	    f->options->name);
	return err_hint(e,
	    "\"pgkura wal gaps %s\" shows the hole.  Recovery cannot pass it: "
	    "restore to a point before it, or from a backup taken after it.",
	    f->lineage.cluster);
}

int
fetch_run(const struct settings *s, const struct fetch_options *options,
    bool *found, struct err *e)
{
	struct fetch f = { .settings = s, .options = options, .dirfd = -1 };
	enum outcome outcome = FETCH_ABSENT;
	int rc;

	*found = false;
	rc = open_folder(&f, e) == -1 ? -1 : fetch_patiently(&f, &outcome, e);
	if (rc == 0 && outcome == FETCH_HOLE)
		rc = say_hole(&f, e);
	if (f.dirfd != -1)
		(void)close(f.dirfd);
	repo_close(f.repo);
	if (rc == -1 && options->standby && e->kind != ERR_CANCELED) {
		/* A standby asks again: not there now. */
		log_error("wal_fetch_failed", e);
		err_clear(e);
		rc = 0;
	}
	*found = rc == 0 && outcome == FETCH_FOUND;
	return rc;
}
