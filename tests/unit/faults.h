#ifndef UNIT_FAULTS_H
#define UNIT_FAULTS_H

/*
 * faults: calls of the kernel that fail: the Nth one, for every N there is.
 *
 *	for (n = 1;; n++) {
 *		faults_arm(n);
 *		... what is tried, by threads, too ...
 *		if (!faults_disarm())
 *			break;	every call has had its turn
 *		... faults.failed_call has failed ...
 *	}
 *
 * A test includes this once.  Its .ldflags wrap the calls of FAULTS, which it may
 * define before as fewer than those of a store; more are its own:
 * "return faults_due("fchmod") ? -1 : __real_fchmod(fd, mode);".
 */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAULT_FSYNC	0x001
#define FAULT_FDATASYNC 0x002
#define FAULT_WRITE	0x004
#define FAULT_PWRITE	0x008
#define FAULT_OPENAT	0x010
#define FAULT_RENAMEAT	0x020
#define FAULT_RENAMEAT2 0x040
#define FAULT_MKDIRAT	0x080
#define FAULT_FTRUNCATE 0x100
#define FAULT_UNLINKAT	0x200
#define FAULTS_STORE	0x3ff

#ifndef FAULTS
#define FAULTS FAULTS_STORE
#endif

static struct {
	atomic_uint calls, fail_at;
	atomic_bool armed;
	bool for_ever;	  /* all from that one on: as if it were killed */
	bool spare_reads; /* opening to read only counts for nothing */
	int error;	  /* errno of those that fail */
	const char *failed_call;	/* the first that did */
	void (*note)(const char *call); /* NULL, or told of each */
} faults = { .error = ENOSPC };

static void
faults_arm(unsigned int n)
{
	faults.failed_call = "nothing";
	atomic_store(&faults.fail_at, n);
	atomic_store(&faults.calls, 0);
	atomic_store(&faults.armed, true);
}

/* Was there an Nth call? */
static bool
faults_disarm(void)
{
	atomic_store(&faults.armed, false);
	return atomic_load(&faults.calls) >= atomic_load(&faults.fail_at);
}

/* Is it this one's turn to fail?  errno is set. */
static bool
faults_due(const char *call)
{
	unsigned int n, fail_at = atomic_load(&faults.fail_at);

	if (!atomic_load(&faults.armed))
		return false;
	if (faults.note != NULL)
		faults.note(call);
	n = atomic_fetch_add(&faults.calls, 1) + 1;
	if (n != fail_at && !(faults.for_ever && n > fail_at))
		return false;
	if (n == fail_at)
		faults.failed_call = call;
	errno = faults.error;
	return true;
}

#if FAULTS & FAULT_FSYNC
int __real_fsync(int fd);

int
__wrap_fsync(int fd)
{
	return faults_due("fsync") ? -1 : __real_fsync(fd);
}
#endif

#if FAULTS & FAULT_FDATASYNC
int __real_fdatasync(int fd);

int
__wrap_fdatasync(int fd)
{
	return faults_due("fdatasync") ? -1 : __real_fdatasync(fd);
}
#endif

#if FAULTS & FAULT_WRITE
ssize_t __real_write(int fd, const void *data, size_t len);

/* Not what the test itself prints. */
ssize_t
__wrap_write(int fd, const void *data, size_t len)
{
	return fd > 2 && faults_due("write") ? -1 : __real_write(fd, data, len);
}
#endif

#if FAULTS & FAULT_PWRITE
ssize_t __real_pwrite64(int fd, const void *data, size_t len, off_t offset);

ssize_t
__wrap_pwrite64(int fd, const void *data, size_t len, off_t offset)
{
	return faults_due("pwrite") ? -1
				    : __real_pwrite64(fd, data, len, offset);
}
#endif

#if FAULTS & FAULT_OPENAT
int __real_openat64(int dirfd, const char *path, int flags, ...);

int
__wrap_openat64(int dirfd, const char *path, int flags, ...)
{
	bool counts =
	    !faults.spare_reads || (flags & (O_CREAT | O_DIRECTORY)) != 0;
	mode_t mode = 0;
	va_list ap;

	if ((flags & O_CREAT) != 0) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	return counts && faults_due("openat")
	    ? -1
	    : __real_openat64(dirfd, path, flags, mode);
}
#endif

#if FAULTS & FAULT_RENAMEAT
int __real_renameat(int od, const char *o, int nd, const char *n);

int
__wrap_renameat(int od, const char *o, int nd, const char *n)
{
	return faults_due("renameat") ? -1 : __real_renameat(od, o, nd, n);
}
#endif

#if FAULTS & FAULT_RENAMEAT2
int __real_renameat2(
    int od, const char *o, int nd, const char *n, unsigned int flags);

int
__wrap_renameat2(
    int od, const char *o, int nd, const char *n, unsigned int flags)
{
	return faults_due("renameat2") ? -1
				       : __real_renameat2(od, o, nd, n, flags);
}
#endif

#if FAULTS & FAULT_MKDIRAT
int __real_mkdirat(int dirfd, const char *path, mode_t mode);

int
__wrap_mkdirat(int dirfd, const char *path, mode_t mode)
{
	return faults_due("mkdirat") ? -1 : __real_mkdirat(dirfd, path, mode);
}
#endif

#if FAULTS & FAULT_FTRUNCATE
int __real_ftruncate64(int fd, off_t len);

int
__wrap_ftruncate64(int fd, off_t len)
{
	return faults_due("ftruncate") ? -1 : __real_ftruncate64(fd, len);
}
#endif

#if FAULTS & FAULT_UNLINKAT
int __real_unlinkat(int dirfd, const char *path, int flags);

int
__wrap_unlinkat(int dirfd, const char *path, int flags)
{
	return faults_due("unlinkat") ? -1
				      : __real_unlinkat(dirfd, path, flags);
}
#endif

#endif /* !UNIT_FAULTS_H */
