/*
 * fetch_ahead: a process that keeps the next segments ready for recovery.
 *
 *	pg_wal/pgkura.ahead/lock	 held while the process lives; says for
 *					 which cluster and lineage it works
 *	pg_wal/pgkura.ahead/<segment>	 ready: pgkura-wal renames it to %p
 *	pg_wal/pgkura.ahead/<segment>.pgkura	being written
 *	pg_wal/pgkura.ahead/want	 a segment that was asked for in vain
 *
 * Only whole segments are made ready: they never change.  They are synced here,
 * so that the server, which syncs what it takes over, need not wait.
 *
 * The pages of a segment that was replayed are let go of, so that the next one
 * is written into them: pages that were never touched cost a virtual machine
 * five to ten times the write itself, and recovery has better use for memory.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/prctl.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "jobs/fetch_int.h"

#define FOLDER	  "pgkura.ahead"
#define LOCK	  "lock"
#define WANT	  "want"
#define READY_MAX 64
/* However large segments are, so much may lie in pg_wal; but always one. */
#define READY_BYTES_MAX ((uint64_t)512 << 20)
#define IDLE_US		(60 * CLOCK_SECOND_US)
#define LOOK_MS		1000

struct ready {
	char name[WAL_NAME_BYTES];
	int fd; /* -1: not known */
};

struct ahead {
	const struct lineage *l;
	int parentfd, dirfd, lockfd, notifyfd;
	unsigned int want; /* how many to keep ready */
	bool standby;
	uint32_t timeline; /* of the next to make ready */
	uint64_t lsn;
	struct ready ready[READY_MAX]; /* the oldest first */
	unsigned int ready_count;
	int taken_fd;	 /* the one that was taken last, or -1 */
	int64_t used_us; /* when that was */
	uint8_t *data;
};

/* ---- who does it ---- */

/* Is fd still the lock file of the folder, and not one that was removed? */
static bool
is_same_file(int dirfd, int fd)
{
	struct stat there, here;

	return fstatat(dirfd, LOCK, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	    fstat(fd, &here) == 0 && there.st_ino == here.st_ino &&
	    there.st_dev == here.st_dev;
}

/* The lock, or -1 when another process has it (or it cannot be had). */
static int
take_lock(int dirfd)
{
	AUTO_FD int fd = openat(
	    dirfd, LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd == -1 || flock(fd, LOCK_EX | LOCK_NB) == -1 ||
	    !is_same_file(dirfd, fd))
		return -1;
	return steal_fd(&fd);
}

/* What the lock file says; pgkura-wal compares it with its own options. */
static int
write_lock(int fd, const struct fetch_options *options)
{
	AUTO_FREE char *text = mem_printf("cluster=%s\nlineage=%s\n",
	    options->cluster == NULL ? "" : options->cluster,
	    options->lineage == NULL ? "" : options->lineage);

	return ftruncate(fd, 0) == -1 ||
		file_pwrite_all(fd, text, strlen(text), 0, LOCK, NULL) == -1
	    ? -1
	    : 0;
}

/* ---- files in the folder ---- */

static void
clean(int dirfd)
{
	char **names = NULL;
	size_t count, i;

	if (file_list_at(dirfd, ".", &names, &count, NULL) == -1)
		return;
	for (i = 0; i < count; i++)
		if (strcmp(names[i], LOCK) != 0)
			(void)file_unlink_at(dirfd, names[i], NULL);
	file_names_free(names);
}

/* One was taken: the one before it has been read to its end. */
static void
note_taken(struct ahead *a, int fd)
{
	if (a->taken_fd != -1) {
		(void)posix_fadvise(a->taken_fd, 0, 0, POSIX_FADV_DONTNEED);
		(void)close(a->taken_fd);
	}
	a->taken_fd = fd;
	a->used_us = clock_boot_us();
}

/* Forget those that were taken. */
static void
look(struct ahead *a)
{
	unsigned int i, kept = 0;

	for (i = 0; i < a->ready_count; i++)
		if (faccessat(a->dirfd, a->ready[i].name, F_OK, 0) == -1)
			note_taken(a, a->ready[i].fd);
		else
			a->ready[kept++] = a->ready[i];
	a->ready_count = kept;
}

static void
drop_ready(struct ahead *a)
{
	const struct ready *r;

	while (a->ready_count > 0) {
		r = &a->ready[--a->ready_count];
		(void)file_unlink_at(a->dirfd, r->name, NULL);
		if (r->fd != -1)
			(void)close(r->fd);
	}
}

/* Another segment was asked for: go on behind it. */
static void
look_at_want(struct ahead *a)
{
	AUTO_BUF struct buf b = BUF_INIT;
	uint32_t bytes = a->l->facts.segment_bytes, timeline;
	char name[WAL_NAME_BYTES];
	uint64_t lsn;
	unsigned int i;

	if (file_slurp_at(a->dirfd, WANT, sizeof(name), &b, NULL) == -1)
		return;
	(void)file_unlink_at(a->dirfd, WANT, NULL);
	if (!wal_name_parse(buf_str(&b), bytes, &timeline, &lsn))
		return;
	a->used_us = clock_boot_us();
	lsn += bytes;
	(void)wal_name(timeline, lsn, bytes, name);
	if (timeline == a->timeline && lsn == a->lsn)
		return;
	for (i = 0; i < a->ready_count; i++)
		if (strcmp(a->ready[i].name, name) == 0)
			return;
	drop_ready(a);
	a->timeline = timeline;
	a->lsn = lsn;
}

/* ---- the next segment ---- */

/* The newest timeline that leaves a->timeline in the segment at a->lsn, 0. */
static uint32_t
timeline_from_here(const struct ahead *a)
{
	uint64_t end = a->lsn + a->l->facts.segment_bytes;
	struct timeline_history h = { 0 };
	uint32_t newest, t, found = 0;
	size_t i;

	if (wal_newest_timeline(a->l, &newest, NULL) == -1)
		return 0;
	for (t = newest; t > a->timeline && found == 0; t--) {
		if (wal_read_history(a->l, t, &h, NULL, NULL) == -1)
			continue;
		for (i = 0; i + 1 < h.count; i++)
			if (h.entries[i].timeline == a->timeline &&
			    h.entries[i].end_lsn >= a->lsn &&
			    h.entries[i].end_lsn < end)
				found = h.entries[i + 1].timeline;
		timeline_history_free(&h);
	}
	return found;
}

static bool
make_one(struct ahead *a, uint32_t timeline)
{
	struct ready r;

	(void)wal_name(timeline, a->lsn, a->l->facts.segment_bytes, r.name);
	if (a->standby &&
	    fetch_limit(a->l, timeline, a->lsn) < a->l->facts.segment_bytes)
		return false;
	if (wal_read_segment(a->l, r.name, a->data, NULL) == -1 ||
	    fetch_put_file(a->dirfd, r.name, a->data, a->l->facts.segment_bytes,
		true, NULL) == -1)
		return false;
	/* Fails when it is taken at once. */
	r.fd = openat(a->dirfd, r.name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	a->ready[a->ready_count++] = r;
	a->timeline = timeline;
	a->lsn += a->l->facts.segment_bytes;
	return true;
}

/* Make the next one ready; false when it is not here (yet). */
static bool
make_next(struct ahead *a)
{
	uint32_t next;

	if (make_one(a, a->timeline))
		return true;
	next = timeline_from_here(a);
	return next != 0 && make_one(a, next);
}

/* ---- the process ---- */

/* Wait until something is taken from the folder or asked for. */
static void
wait_for_use(struct ahead *a)
{
	struct pollfd p = { .fd = a->notifyfd, .events = POLLIN };
	char events[4096];

	if (poll(&p, 1, LOOK_MS) == 1)
		(void)!read(a->notifyfd, events, sizeof(events));
}

static bool
is_folder_there(const struct ahead *a)
{
	struct stat there, here;

	return fstatat(a->parentfd, FOLDER, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	    fstat(a->dirfd, &here) == 0 && there.st_ino == here.st_ino;
}

static void
run(struct ahead *a)
{
	a->used_us = clock_boot_us();
	while (!child_stop_requested() && is_folder_there(a)) {
		look_at_want(a);
		look(a);
		if (a->ready_count < a->want && make_next(a))
			continue;
		if (clock_boot_us() - a->used_us > IDLE_US)
			break;
		wait_for_use(a);
	}
	clean(a->dirfd);
	(void)unlinkat(a->dirfd, LOCK, 0);
	(void)unlinkat(a->parentfd, FOLDER, AT_REMOVEDIR);
}

/* Leave the caller's session and files behind. */
static void
detach(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)setsid();
	(void)prctl(PR_SET_NAME, "pgkura-ahead");
	if (null == -1)
		return;
	(void)dup2(null, 0);
	(void)dup2(null, 1);
	(void)dup2(null, 2);
	(void)close(null);
}

/* The new process, which holds the lock. */
static _Noreturn void
ahead_main(struct ahead *a)
{
	char path[64];

	detach();
	clean(a->dirfd);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", a->dirfd);
	a->notifyfd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (a->notifyfd != -1) /* without it a look each second must do */
		(void)inotify_add_watch(
		    a->notifyfd, path, IN_MOVED_FROM | IN_MOVED_TO);
	a->data = mem_alloc(a->l->facts.segment_bytes);
	run(a);
	_exit(0);
}

/* Another process does it: tell it what was asked for in vain. */
static void
ask(int dirfd, const char *name)
{
	(void)fetch_put_file(dirfd, WANT, name, strlen(name), false, NULL);
}

static unsigned int
how_many(unsigned int ahead, uint32_t segment_bytes)
{
	uint64_t fit = READY_BYTES_MAX / segment_bytes;

	if (ahead > READY_MAX)
		ahead = READY_MAX;
	if (fit == 0)
		fit = 1;
	return ahead < fit ? ahead : (unsigned int)fit;
}

void
fetch_ahead_begin(const struct fetch_options *options, const struct lineage *l,
    int dirfd, uint32_t timeline, uint64_t lsn)
{
	struct ahead a = {
		.l = l, .parentfd = dirfd, .notifyfd = -1, .taken_fd = -1
	};
	AUTO_FD int folder = -1;
	AUTO_FD int lock = -1;

	a.want = how_many(options->ahead, l->facts.segment_bytes);
	a.standby = options->standby;
	a.timeline = timeline;
	a.lsn = lsn + l->facts.segment_bytes;
	if (mkdirat(dirfd, FOLDER, 0700) == -1 && errno != EEXIST)
		return;
	folder = openat(
	    dirfd, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (folder == -1)
		return;
	lock = take_lock(folder);
	if (lock == -1) {
		ask(folder, options->name);
		return;
	}
	if (write_lock(lock, options) == -1)
		return;
	a.dirfd = folder;
	a.lockfd = lock;
	if (fork() == 0)
		ahead_main(&a);
}
