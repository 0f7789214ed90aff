/*
 * The WAL archive under a failing kernel: the Nth call fails, for every N there
 * is.  What was synced stays, a name holds a whole segment or nothing, and the
 * next try succeeds.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "unit/wal_scratch.h"

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
static bool armed;
static const char *failed_call;

static bool
due(const char *call)
{
	if (!armed || atomic_fetch_add(&calls, 1) + 1 != fail_at)
		return false;
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

static struct lineage lineage;
static struct walmaker maker; /* segments 1 to 3 */
static uint8_t *out;

#define START ((uint64_t)SEGMENT_BYTES)

static void
arm(unsigned int n)
{
	atomic_store(&calls, 0);
	failed_call = "nothing";
	fail_at = n;
	armed = true;
}

/* Did every call that can fail have its turn? */
static bool
all_done(unsigned int n)
{
	armed = false;
	return atomic_load(&calls) < n;
}

static void
forget_all(void)
{
	char path[1024];

	(void)snprintf(path, sizeof(path), "repo/%s/%s/wal", lineage.cluster,
	    lineage.name);
	(void)file_rmtree_at(AT_FDCWD, path, NULL);
}

/* ---- a whole segment ---- */

static bool
is_whole_or_absent(const char *name, const uint8_t *want)
{
	struct err e = ERR_INIT;

	if (wal_read_segment(&lineage, name, out, &e) == -1)
		return e.kind == ERR_NOT_FOUND;
	return memcmp(out, want, SEGMENT_BYTES) == 0;
}

static void
check_store(void)
{
	char name[WAL_NAME_BYTES];
	const uint8_t *data = wal_segment_of(&maker, 1);
	struct err e = ERR_INIT;
	unsigned int n, failures = 0;
	bool stored;

	(void)wal_name(1, 2 * START, SEGMENT_BYTES, name);
	for (n = 1;; n++) {
		forget_all();
		(void)wal_scratch_store(&lineage, &maker, 0, &e);
		err_clear(&e);
		arm(n);
		stored = wal_scratch_store(&lineage, &maker, 1, &e);
		if (all_done(n))
			break;
		failures += !stored;
		tap_ok(stored || (e.kind == ERR_IO && e.sys_errno == ENOSPC),
		    "storing: %s fails: %s", failed_call, e.text);
		tap_ok(is_whole_or_absent(name, data),
		    "the name holds a whole segment or nothing");
		tap_ok(wal_scratch_store(&lineage, &maker, 1, &e) &&
			wal_read_segment(&lineage, name, out, &e) == 0,
		    "the next try succeeds");
	}
	tap_ok(stored && failures > 5,
	    "with no failure it succeeds; %u calls matter", failures);
}

/* ---- the open segment ---- */

static uint64_t
records_end(uint64_t lsn)
{
	const struct walreader_options options = {
		.start_lsn = START,
		.segment_bytes = SEGMENT_BYTES,
		.timeline = 1,
	};

	return walreader_valid_prefix(
	    &options, maker.out.data, (size_t)(lsn - START));
}

/* Receive in steps, each synced; the end of what was said to be durable. */
static uint64_t
receive(const char **what, struct err *e)
{
	AUTO_WAL_OPEN struct wal_open *o = NULL;
	uint64_t valid, durable = START;
	unsigned int step;
	size_t at;

	*what = "opening";
	o = wal_open_segment(&lineage, 1, START, &valid, e);
	if (o == NULL)
		return durable;
	for (step = 0; step < 4; step++) {
		at = (size_t)step * 90000;
		*what = "writing";
		if (wal_open_write(
			o, START + at, maker.out.data + at, 90000, e) == -1)
			return durable;
		*what = "syncing";
		/* Once more when it fails, as the receiver would. */
		if (wal_open_sync(o, e) == 0 || wal_open_sync(o, e) == 0)
			durable = wal_open_end(o);
	}
	return durable;
}

static void
check_open(void)
{
	struct err e = ERR_INIT;
	const char *what = "";
	uint64_t durable, valid = 0;
	unsigned int n;

	for (n = 1;; n++) {
		struct wal_open *o;

		forget_all();
		arm(n);
		durable = receive(&what, &e);
		if (all_done(n))
			break;
		/* The receiver is killed here. */
		o = wal_open_segment(&lineage, 1, START, &valid, &e);
		tap_ok(o != NULL && valid >= records_end(durable) &&
			memcmp(wal_open_data(o), maker.out.data,
			    (size_t)(valid - START)) == 0,
		    "%s: %s fails: what was durable is there", what,
		    failed_call);
		wal_open_close(o);
	}
	tap_u64(durable, START + 360000, "with no failure all is durable");
	tap_ok(n > 10, "%u calls can fail", n - 1);
}

static void
check_partial(void)
{
	char name[WAL_NAME_BYTES];
	struct err e = ERR_INIT;
	unsigned int n;
	size_t len;
	int rc;

	(void)wal_name(1, START, SEGMENT_BYTES, name);
	for (n = 1;; n++) {
		AUTO_WAL_OPEN struct wal_open *o = NULL;
		uint64_t valid;

		forget_all();
		o = wal_open_segment(&lineage, 1, START, &valid, &e);
		(void)wal_open_write(o, START, maker.out.data, 300000, &e);
		(void)wal_open_sync(o, &e);
		arm(n);
		rc = wal_open_to_partial(o, &e);
		if (all_done(n))
			break;
		tap_ok(wal_read_tail(&lineage, name, out, &len, &e) == 0 &&
			START + len >= records_end(START + 300000) &&
			memcmp(out, maker.out.data, len) == 0,
		    "to a partial: %s fails: what was synced is there",
		    failed_call);
	}
	tap_ok(rc == 0 && n > 5, "with no failure it becomes one");
}

int
main(void)
{
	AUTO_REPO struct repo *r = NULL;

	(void)scratch_enter();
	r = wal_scratch_repo(&lineage);
	out = mem_alloc(SEGMENT_BYTES);
	walmaker_init(&maker, 15, START);
	wal_fill(&maker, 4 * START);
	check_store();
	check_open();
	check_partial();
	walmaker_fini(&maker);
	free(out);
	return tap_done();
}
