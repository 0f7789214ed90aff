/*
 * dio: any mixture of appends gives the same file, with O_DIRECT, where it is
 * refused when asked for, and where it is refused when written.
 */

#include "base/dio.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>

#include "base/mem.h"
#include "unit/base_scratch.h"

int __real_fcntl64(int fd, int cmd, ...);
ssize_t __real_pwrite64(int fd, const void *data, size_t len, off_t offset);
int __real_fdatasync(int fd);
int __real_close(int fd);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
    void *(*start)(void *), void *arg);

/* How the kernel behaves.  Set only while no helper runs. */
static struct {
	bool refuse_flag;   /* O_DIRECT when it is set */
	bool refuse_writes; /* when written, as some file systems do */
	bool refuse_thread;
	bool short_writes;    /* half of what is asked for at most */
	unsigned int fail_at; /* this call fails with error */
	int error;
} kernel;

static unsigned int calls, threads, direct_writes, misaligned;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *failed_call;

static bool
due(const char *call)
{
	bool now;

	(void)pthread_mutex_lock(&lock);
	now = ++calls == kernel.fail_at;
	if (now)
		failed_call = call;
	(void)pthread_mutex_unlock(&lock);
	if (now)
		errno = kernel.error;
	return now;
}

int
__wrap_fcntl64(int fd, int cmd, ...)
{
	va_list ap;
	int arg;

	va_start(ap, cmd);
	arg = va_arg(ap, int);
	va_end(ap);
	if (cmd == F_SETFL && (arg & O_DIRECT) != 0 && kernel.refuse_flag) {
		errno = EINVAL;
		return -1;
	}
	return __real_fcntl64(fd, cmd, arg);
}

ssize_t
__wrap_pwrite64(int fd, const void *data, size_t len, off_t offset)
{
	bool direct = (__real_fcntl64(fd, F_GETFL, 0) & O_DIRECT) != 0;

	if (due("pwrite"))
		return -1;
	if (direct) {
		(void)pthread_mutex_lock(&lock);
		direct_writes++;
		(void)pthread_mutex_unlock(&lock);
		/* What every file system may ask for. */
		if ((uintptr_t)data % 4096 != 0 || len % 4096 != 0 ||
		    offset % 4096 != 0) {
			misaligned++; /* the caller's thread, after the helper */
			errno = EINVAL;
			return -1;
		}
		if (kernel.refuse_writes) {
			errno = EINVAL;
			return -1;
		}
	}
	if (kernel.short_writes && len > 4096)
		len = direct ? len / 2 / 4096 * 4096 : len / 2;
	return __real_pwrite64(fd, data, len, offset);
}

int
__wrap_fdatasync(int fd)
{
	return due("fdatasync") ? -1 : __real_fdatasync(fd);
}

int
__wrap_close(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || !due("close"))
		return __real_close(fd);
	(void)__real_close(fd);
	errno = kernel.error;
	return -1;
}

int
__wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
    void *(*start)(void *), void *arg)
{
	threads++;
	if (kernel.refuse_thread)
		return EAGAIN;
	return __real_pthread_create(thread, attr, start, arg);
}

static int dir;
static uint8_t *pattern;
#define PATTERN_BYTES (5 * DIO_BUFFER_BYTES)

static void
reset(void)
{
	(void)file_unlink_at(dir, "f", NULL);
	calls = threads = direct_writes = 0;
	kernel.fail_at = 0;
	failed_call = "";
}

/* Write len bytes of the pattern in steps. */
static int
write_file(size_t len, size_t step, bool sync, struct err *e)
{
	AUTO_DIO struct dio *d = NULL;
	size_t done, n;

	d = dio_create_at(dir, "f", 0600, e);
	if (d == NULL)
		return -1;
	for (done = 0; done < len; done += n) {
		n = len - done < step ? len - done : step;
		if (dio_write(d, pattern + done, n, e) == -1)
			return -1;
	}
	if (dio_offset(d) != len)
		return err_set(e, ERR_BUG, "the offset is wrong");
	return sync ? dio_finish(d, e) : dio_finish_unsynced(d, e);
}

static void
check_sizes(const char *how)
{
	static const size_t sizes[] = { 0, 1, 4095, 4096, 4097,
		DIO_BUFFER_BYTES - 1, DIO_BUFFER_BYTES, DIO_BUFFER_BYTES + 1,
		DIO_BUFFER_BYTES + 4096, 2 * DIO_BUFFER_BYTES,
		3 * DIO_BUFFER_BYTES + 12345, PATTERN_BYTES };
	static const size_t steps[] = { 777, 4096, 65536, PATTERN_BYTES };
	struct err e = ERR_INIT;
	size_t i, k;

	for (i = 0; i < COUNT_OF(sizes); i++) {
		unsigned int wrong = 0;

		for (k = 0; k < COUNT_OF(steps); k++) {
			reset();
			if (write_file(sizes[i], steps[k], k % 2 == 0, &e) ==
				-1 ||
			    !scratch_holds(dir, "f", pattern, sizes[i]))
				wrong++;
		}
		tap_ok(wrong == 0, "%s: %zu bytes %s", how, sizes[i], e.text);
	}
}

static bool
direct_works(void)
{
	int fd = open("probe", O_WRONLY | O_CREAT | O_DIRECT, 0600);

	if (fd == -1)
		return false;
	(void)close(fd);
	(void)unlink("probe");
	return true;
}

static void
check_small_is_cheap(void)
{
	struct err e = ERR_INIT;

	reset();
	tap_ok(write_file(DIO_BUFFER_BYTES - 1, 100000, true, &e) == 0,
	    "a file of less than a buffer");
	tap_ok(threads == 0 && direct_writes == 0,
	    "needs no helper and no O_DIRECT");
	tap_u64(calls, 3, "one write, one flush, one close");
	reset();
	tap_ok(write_file(3 * DIO_BUFFER_BYTES, 100000, true, &e) == 0,
	    "a file of three");
	tap_u64(threads, 1, "has one helper");
	tap_u64(calls, 5, "three writes, one flush, one close");
	if (!direct_works())
		tap_skip("no O_DIRECT on this file system");
	else
		tap_u64(direct_writes, 3, "all writes go past the page cache");
}

/* The Nth call fails for every N; the failure is told once and stays. */
static void
check_faults(const char *how, size_t step, int error)
{
	const size_t len = 3 * DIO_BUFFER_BYTES + 4096 + 7;
	struct err e = ERR_INIT;
	unsigned int n;
	int rc;

	kernel.error = error;
	for (n = 1;; n++) {
		reset();
		kernel.fail_at = n;
		err_clear(&e);
		rc = write_file(len, step, true, &e);
		if (failed_call[0] == '\0')
			break;
		tap_ok(rc == -1 && e.kind == ERR_IO && e.sys_errno == error &&
			strstr(e.text, "\"f\"") != NULL,
		    "%s: %s, call %u, fails: %s", how, failed_call, n, e.text);
	}
	tap_ok(rc == 0 && scratch_holds(dir, "f", pattern, len),
	    "%s: with no failure it succeeds", how);
	tap_ok(n >= 6, "%s: %u calls can fail", how, n - 1);
}

static void
check_failure_stays(void)
{
	AUTO_DIO struct dio *d = NULL;
	struct err e = ERR_INIT;
	unsigned int i, failures = 0;

	reset();
	kernel.error = ENOSPC;
	kernel.fail_at = 1;
	d = dio_create_at(dir, "f", 0600, &e);
	for (i = 0; i < 5; i++) {
		err_clear(&e);
		if (dio_write(d, pattern, DIO_BUFFER_BYTES, &e) == -1 &&
		    e.sys_errno == ENOSPC)
			failures++;
	}
	tap_ok(failures >= 3, "the helper's failure comes back: %u of 5 fail",
	    failures);
	err_clear(&e);
	tap_ok(dio_write(d, "x", 1, &e) == -1 && e.sys_errno == ENOSPC,
	    "every write after that: %s", e.text);
	err_clear(&e);
	tap_ok(dio_finish(d, &e) == -1 && e.sys_errno == ENOSPC,
	    "and the finish: %s", e.text);
	tap_u64(calls, 1, "nothing more is tried");
}

static void
check_open(void)
{
	struct err e = ERR_INIT;

	reset();
	tap_ok(write_file(10, 10, true, &e) == 0, "a file");
	tap_ok(
	    dio_create_at(dir, "f", 0600, &e) == NULL && e.sys_errno == EEXIST,
	    "is made only once: %s", e.text);
	tap_ok(dio_create_at(dir, "no/f", 0600, &e) == NULL &&
		e.kind == ERR_NOT_FOUND,
	    "needs its folder: %s", e.text);
}

static void
check_given_up(void)
{
	struct err e = ERR_INIT;
	struct dio *d;

	reset();
	d = dio_create_at(dir, "f", 0600, &e);
	(void)dio_write(d, pattern, 2 * DIO_BUFFER_BYTES + 5, &e);
	dio_free(d);
	tap_ok(scratch_holds(dir, "f", pattern, 2 * DIO_BUFFER_BYTES),
	    "a file that is given up keeps what was handed on");
	dio_free(NULL);
}

int
main(void)
{
	size_t i;

	dir = scratch_enter();
	pattern = mem_alloc(PATTERN_BYTES);
	for (i = 0; i < PATTERN_BYTES; i++)
		pattern[i] = (uint8_t)(i * 2654435761U >> 13);
	check_open();
	check_small_is_cheap();
	check_sizes("as it comes");
	check_faults("small steps", 5000, EIO);
	check_faults("one large step", PATTERN_BYTES, ENOSPC);
	check_failure_stays();
	tap_u64(misaligned, 0, "no part of a block is written with O_DIRECT");
	check_given_up();
	kernel.short_writes = true;
	check_sizes("short writes");
	kernel.short_writes = false;
	kernel.refuse_flag = true;
	check_sizes("no O_DIRECT");
	tap_u64(direct_writes, 0, "then there is none");
	check_faults("no O_DIRECT", 5000, EIO);
	kernel.refuse_flag = false;
	kernel.refuse_writes = true;
	check_sizes("O_DIRECT only when asked for");
	tap_ok(direct_writes <= 1, "refused once, it is not tried again");
	kernel.refuse_writes = false;
	kernel.refuse_thread = true;
	check_sizes("no helper");
	check_faults("no helper", 5000, EIO);
	free(pattern);
	return tap_done();
}
