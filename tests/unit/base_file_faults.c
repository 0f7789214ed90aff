/*
 * file under a failing kernel: the Nth call fails, for every N there is; what
 * is left is the old file or the whole new one, and no other name.
 */

#include <sys/random.h>

#include "base/mem.h"
#include "unit/base_scratch.h"

#define FAULTS (FAULT_FSYNC | FAULT_OPENAT | FAULT_RENAMEAT | FAULT_MKDIRAT)
#include "unit/faults.h"

int __real_close(int fd);
ssize_t __real_write(int fd, const void *data, size_t len);
int __real_renameat2(
    int od, const char *o, int nd, const char *n, unsigned int flags);
int __real_linkat(int od, const char *o, int nd, const char *n, int flags);
ssize_t __real_getrandom(void *out, size_t len, unsigned int flags);

/* The file system has no RENAME_NOREPLACE; every other link it makes is
 * reported as failed, as NFS may do. */
static bool no_noreplace, lost_answer;
/* Writes take a part only, and are interrupted in between. */
static bool short_writes;
static char order[200]; /* the calls so far */

static void
note_order(const char *call)
{
	size_t len = strlen(order);

	(void)snprintf(order + len, sizeof(order) - len, "%s%s",
	    len == 0 ? "" : " ", call);
}

int
__wrap_close(int fd)
{
	struct stat st;

	/* Only what was written to can lose something by it. */
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    !faults_due("close"))
		return __real_close(fd);
	(void)__real_close(fd);
	errno = faults.error;
	return -1;
}

ssize_t
__wrap_write(int fd, const void *data, size_t len)
{
	static unsigned int turn;

	if (faults.armed && short_writes) {
		if (++turn % 2 == 1) {
			errno = EINTR;
			return -1;
		}
		len = len > 2 ? 2 : len;
	}
	return faults_due("write") ? -1 : __real_write(fd, data, len);
}

int
__wrap_renameat2(
    int od, const char *o, int nd, const char *n, unsigned int flags)
{
	if (faults.armed && no_noreplace) {
		errno = EINVAL;
		return -1;
	}
	return faults_due("renameat2") ? -1
				       : __real_renameat2(od, o, nd, n, flags);
}

int
__wrap_linkat(int od, const char *o, int nd, const char *n, int flags)
{
	if (faults_due("linkat"))
		return -1;
	if (__real_linkat(od, o, nd, n, flags) == -1)
		return -1;
	if (!lost_answer)
		return 0;
	errno = EEXIST;
	return -1;
}

ssize_t
__wrap_getrandom(void *out, size_t len, unsigned int flags)
{
	return faults_due("getrandom") ? -1 : __real_getrandom(out, len, flags);
}

static int dir;

/* The folder holds one name, "f", with older or newer. */
static bool
whole(const char *older, const char *newer)
{
	if (older == NULL && scratch_count(dir, "d") == 0)
		return true;
	return scratch_count(dir, "d") == 1 &&
	    ((older != NULL &&
		 scratch_holds(dir, "d/f", older, strlen(older))) ||
		scratch_holds(dir, "d/f", newer, strlen(newer)));
}

static void
begin_call(unsigned int n, const char *older)
{
	(void)faults_disarm();
	(void)file_rmtree_at(dir, "d", NULL);
	(void)file_mkdirs_at(dir, "d", 0700, NULL);
	if (older != NULL)
		(void)file_publish_at(
		    dir, "d/f", older, strlen(older), 0600, FILE_REPLACE, NULL);
	order[0] = '\0';
	faults_arm(n);
}

static void
check_publish(const char *what, const char *older, enum file_publish how)
{
	struct err e = ERR_INIT;
	unsigned int n;
	int rc;

	for (n = 1;; n++) {
		begin_call(n, older);
		err_clear(&e);
		rc = file_publish_at(dir, "d/f", "newer", 5, 0600, how, &e);
		if (!faults_disarm())
			break; /* every call has had its turn */
		tap_ok(rc == -1 && e.kind == ERR_IO &&
			e.sys_errno == faults.error &&
			strstr(e.text, "d") != NULL,
		    "%s: %s fails: %s", what, faults.failed_call, e.text);
		tap_ok(whole(older, "newer"), "%s: %s leaves one whole file",
		    what, faults.failed_call);
	}
	tap_ok(n > 7, "%s: %u calls can fail", what, n - 1);
	tap_ok(rc == 0 && scratch_holds(dir, "d/f", "newer", 5) &&
		scratch_count(dir, "d") == 1,
	    "%s: with no failure it succeeds", what);
}

static void
check_commit(const char *what)
{
	struct err e = ERR_INIT;
	unsigned int n;
	int rc;

	for (n = 1;; n++) {
		begin_call(0, NULL);
		(void)faults_disarm();
		(void)file_publish_at(
		    dir, "d/t", "newer", 5, 0600, FILE_REPLACE, &e);
		err_clear(&e);
		faults_arm(n);
		rc = file_commit_at(dir, "d/t", "d/f", &e);
		if (!faults_disarm())
			break;
		tap_ok(
		    rc == -1 && e.kind == ERR_IO && e.sys_errno == faults.error,
		    "%s: %s fails: %s", what, faults.failed_call, e.text);
		tap_ok(scratch_holds(dir, "d/t", "newer", 5) ||
			scratch_holds(dir, "d/f", "newer", 5),
		    "%s: %s loses no file", what, faults.failed_call);
	}
	tap_ok(rc == 0 && scratch_holds(dir, "d/f", "newer", 5) &&
		scratch_count(dir, "d") == 1,
	    "%s: with no failure it succeeds", what);
}

static void
check_mkdirs(void)
{
	struct err e = ERR_INIT;
	unsigned int n;
	int rc;

	for (n = 1;; n++) {
		begin_call(n, NULL);
		rc = file_mkdirs_at(dir, "d/x/y", 0700, &e);
		if (!faults_disarm())
			break;
		tap_ok(rc == -1 && e.kind == ERR_IO, "mkdirs: %s fails: %s",
		    faults.failed_call, e.text);
	}
	tap_ok(rc == 0 && file_exists_at(dir, "d/x/y", &e) == 1,
	    "mkdirs: with no failure it succeeds");
}

/* The bytes are flushed before they get their name, the name after that. */
static void
check_order(void)
{
	struct err e = ERR_INIT;

	begin_call(0, "older");
	(void)file_publish_at(dir, "d/f", "newer", 5, 0600, FILE_REPLACE, &e);
	(void)faults_disarm();
	tap_str(order,
	    "getrandom openat write fsync close renameat openat fsync",
	    "calls of a file that replaces");
	begin_call(0, NULL);
	(void)file_publish_at(
	    dir, "d/f", "newer", 5, 0600, FILE_WRITE_ONCE, &e);
	(void)faults_disarm();
	tap_str(order,
	    "getrandom openat write fsync close renameat2 openat fsync",
	    "calls of a file that replaces none");
	begin_call(0, "older");
	(void)file_commit_at(dir, "d/f", "d/g", &e);
	(void)faults_disarm();
	tap_str(order, "renameat2 openat fsync", "calls of a commit");
	begin_call(0, "older");
	(void)file_mkdirs_at(dir, "d/x/y", 0700, &e);
	(void)faults_disarm();
	tap_str(order, "mkdirat mkdirat openat fsync mkdirat openat fsync",
	    "calls that make two folders in one that is there");
}

/* What a file system without RENAME_NOREPLACE does. */
static void
check_links(void)
{
	struct err e = ERR_INIT;

	no_noreplace = true;
	check_commit("commit by link");
	check_publish("once by link", NULL, FILE_WRITE_ONCE);
	begin_call(0, "older");
	tap_ok(file_publish_at(
		   dir, "d/f", "newer", 5, 0600, FILE_WRITE_ONCE, &e) == -1 &&
		e.kind == ERR_CONFLICT,
	    "a link replaces nothing: %s", e.text);
	tap_ok(whole("older", "older"), "the older file stays");
	lost_answer = true;
	begin_call(0, NULL);
	tap_ok(file_publish_at(
		   dir, "d/f", "newer", 5, 0600, FILE_WRITE_ONCE, &e) == 0,
	    "a link that was made but said not to be");
	tap_ok(scratch_holds(dir, "d/f", "newer", 5) && whole(NULL, "newer"),
	    "is one");
	lost_answer = false;

	begin_call(0, NULL);
	(void)file_mkdirs_at(dir, "d/old/x", 0700, &e);
	(void)file_mkdirs_at(dir, "d/empty", 0700, &e);
	(void)file_mkdirs_at(dir, "d/tmp", 0700, &e);
	tap_ok(file_commit_at(dir, "d/tmp", "d/old", &e) == -1 &&
		e.kind == ERR_CONFLICT,
	    "a folder replaces no folder: %s", e.text);
	tap_ok(file_commit_at(dir, "d/tmp", "d/empty", &e) == -1 &&
		e.kind == ERR_CONFLICT,
	    "not even an empty one: %s", e.text);
	tap_ok(file_commit_at(dir, "d/tmp", "d/new", &e) == 0 &&
		file_exists_at(dir, "d/new", &e) == 1,
	    "but takes a free name");
	tap_ok(file_commit_at(dir, "d/none", "d/newer", &e) == -1,
	    "nothing to link: %s", e.text);
	(void)faults_disarm();
	no_noreplace = false;
}

/* A folder of a file system that cannot flush folders is no failure. */
static void
check_folder_without_fsync(void)
{
	struct err e = ERR_INIT;

	faults.error = EINVAL;
	begin_call(2, NULL); /* open, then fsync */
	tap_ok(file_sync_dir_at(dir, "d", &e) == 0 && faults.calls >= 2 &&
		strcmp(faults.failed_call, "fsync") == 0,
	    "a folder that cannot be flushed is left alone");
	(void)faults_disarm();
	faults.error = EIO;
}

int
main(void)
{
	struct err e = ERR_INIT;

	dir = scratch_enter();
	faults.error = EIO;
	faults.note = note_order;
	check_publish("replace", "older", FILE_REPLACE);
	check_publish("first", NULL, FILE_REPLACE);
	check_publish("once", NULL, FILE_WRITE_ONCE);
	faults.error = ENOSPC;
	check_publish("full disk", "older", FILE_REPLACE);
	faults.error = EIO;
	check_commit("commit");
	check_mkdirs();
	check_order();
	check_links();
	check_folder_without_fsync();
	short_writes = true;
	begin_call(0, NULL);
	tap_ok(file_publish_at(
		   dir, "d/f", "newer", 5, 0600, FILE_REPLACE, &e) == 0 &&
		scratch_holds(dir, "d/f", "newer", 5),
	    "short and interrupted writes go on");
	(void)faults_disarm();
	return tap_done();
}
