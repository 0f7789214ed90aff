/*
 * heal_commit under a failing kernel: the Nth call fails, for every N there is,
 * alone or with all behind it.  At no failure is the damaged object lost without
 * a way back, and what passes for whole is whole.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "unit/heal_scratch.h"

int __real_fsync(int fd);
int __real_fdatasync(int fd);
ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __real_pwrite64(int fd, const void *data, size_t len, off_t offset);
int __real_openat64(int dirfd, const char *path, int flags, ...);
int __real_renameat(int od, const char *o, int nd, const char *n);
int __real_renameat2(
    int od, const char *o, int nd, const char *n, unsigned int flags);
int __real_mkdirat(int dirfd, const char *path, mode_t mode);
int __real_ftruncate64(int fd, off_t len);
int __real_unlinkat(int dirfd, const char *path, int flags);

static atomic_uint calls; /* a helper thread of the store calls, too */
static unsigned int fail_at;
static atomic_bool armed;
static bool for_ever; /* all calls from that one on: as if it were killed */
static const char *failed_call;

static bool
due(const char *call)
{
	unsigned int n;

	if (!atomic_load(&armed))
		return false;
	n = atomic_fetch_add(&calls, 1) + 1;
	if (n != fail_at && !(for_ever && n > fail_at))
		return false;
	if (n == fail_at)
		failed_call = call;
	errno = ENOSPC;
	return true;
}

int
__wrap_fsync(int fd)
{
	return due("fsync") ? -1 : __real_fsync(fd);
}

int
__wrap_fdatasync(int fd)
{
	return due("fdatasync") ? -1 : __real_fdatasync(fd);
}

ssize_t
__wrap_write(int fd, const void *data, size_t len)
{
	return due("write") ? -1 : __real_write(fd, data, len);
}

ssize_t
__wrap_pwrite64(int fd, const void *data, size_t len, off_t offset)
{
	return due("pwrite") ? -1 : __real_pwrite64(fd, data, len, offset);
}

int
__wrap_openat64(int dirfd, const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	return due("openat") ? -1 : __real_openat64(dirfd, path, flags, mode);
}

int
__wrap_renameat(int od, const char *o, int nd, const char *n)
{
	return due("renameat") ? -1 : __real_renameat(od, o, nd, n);
}

int
__wrap_renameat2(
    int od, const char *o, int nd, const char *n, unsigned int flags)
{
	return due("renameat2") ? -1 : __real_renameat2(od, o, nd, n, flags);
}

int
__wrap_mkdirat(int dirfd, const char *path, mode_t mode)
{
	return due("mkdirat") ? -1 : __real_mkdirat(dirfd, path, mode);
}

int
__wrap_ftruncate64(int fd, off_t len)
{
	return due("ftruncate") ? -1 : __real_ftruncate64(fd, len);
}

int
__wrap_unlinkat(int dirfd, const char *path, int flags)
{
	return due("unlinkat") ? -1 : __real_unlinkat(dirfd, path, flags);
}

/* ---- the Nth call fails ---- */

/* 0 fails, 1 succeeds; -1 every call has had its turn. */
static int
fail_once(const struct object *o, enum how how, unsigned int n, struct buf *was)
{
	struct err e = ERR_INIT;
	int rc;

	damage(o, how, was);
	spill(staging_of(o), o->bytes.data, o->bytes.len);
	failed_call = "nothing";
	fail_at = n;
	atomic_store(&calls, 0);
	atomic_store(&armed, true);
	rc = heal_commit(
	    &lineage, &settings, "far", o->name, staging_of(o), o->sha256, &e);
	atomic_store(&armed, false);
	if (atomic_load(&calls) >= n)
		return rc == 0;
	if (rc == -1)
		tap_bail("%s", e.text);
	return -1;
}

static void
check_failure(const struct object *o, enum how how, bool done,
    const struct buf *was, const char *what)
{
	bool whole = is_whole(o), there = is_there(o);
	unsigned int kept = aside(was);
	struct err e = ERR_INIT;

	if (done)
		tap_ok(whole, "%s: it says that it is whole, and it is", what);
	else
		tap_ok(whole || !there || is_as_it_was(o, was),
		    "%s: it is what it was, or gone, or whole", what);
	if (how != LOST)
		tap_ok(kept == 1 || (kept == 0 && is_as_it_was(o, was)),
		    "%s: the damaged body is there, or aside, once (%u)", what,
		    kept);
	if (o == &objects[ROOT] || o == &objects[MARK])
		tap_ok(there || how == LOST, "%s: it is never gone", what);
	if (!there && how != LOST)
		tap_ok(is_noted_gone(o), "%s: the list says that it is gone",
		    what);
	tap_ok(
	    whole || is_wanted(o), "%s: it is wanted until it is whole", what);
	if (is_wanted(o))
		tap_ok(try_with(o, o->bytes.data, o->bytes.len, &e) == 0,
		    "%s: the next try succeeds: %s", what, e.text);
	tap_ok(is_whole(o), "%s: and it is whole", what);
}

static void
check_failures(const struct object *o, enum how how)
{
	AUTO_BUF struct buf was = BUF_INIT;
	unsigned int n, failures = 0;
	int rc;

	for (n = 1; (rc = fail_once(o, how, n, &was)) != -1; n++) {
		AUTO_FREE char *what =
		    mem_printf("%.8s %s: call %u, %s%s", o->name, hows[how], n,
			failed_call, for_ever ? " and all behind it" : "");

		failures += rc == 0;
		check_failure(o, how, rc == 1, &was, what);
	}
	tap_ok(is_whole(o) && !is_wanted(o) && aside(&was) == (how != LOST),
	    "%.8s %s: with no failure it is healed, the damaged one aside",
	    o->name, hows[how]);
	tap_ok(failures > 3, "%u of %u calls matter", failures, n - 1);
}

/* A call that fails makes nothing damaged of what is whole. */
static void
check_whole(const struct object *o)
{
	AUTO_BUF struct buf was = BUF_INIT;
	unsigned int n, bad = 0;

	for (n = 1; fail_once(o, WHOLE, n, &was) != -1; n++)
		bad += !is_as_it_was(o, &was) || aside(&was) != 0;
	tap_u64(bad, 0,
	    "%.8s: what is whole stays, whichever of %u calls fails", o->name,
	    n - 1);
}

int
main(void)
{
	size_t i;

	heal_scratch_init();
	for (i = 0; i < object_count; i++) {
		check_whole(&objects[i]);
		check_failures(&objects[i], FLIPPED);
		check_failures(&objects[i], LOST);
	}
	for_ever = true;
	for (i = 0; i < object_count; i++)
		check_failures(&objects[i], FLIPPED);
	heal_scratch_fini();
	return tap_done();
}
