#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/mem.h"

#define SLURP_STEP_BYTES ((size_t)64 << 10)
#define LOCK_POLL_US	 (CLOCK_SECOND_US / 20)

int
file_write_all(
    int fd, const void *data, size_t len, const char *name, struct err *e)
{
	const uint8_t *p = data;
	ssize_t n;

	while (len > 0) {
		n = write(fd, p, len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == 0) /* some systems say a full disk this way */
			errno = ENOSPC;
		if (n <= 0)
			return err_sys(e, "could not write \"%s\"", name);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int
file_pwrite_all(int fd, const void *data, size_t len, uint64_t offset,
    const char *name, struct err *e)
{
	const uint8_t *p = data;
	ssize_t n;

	while (len > 0) {
		n = pwrite(fd, p, len, (off_t)offset);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ENOSPC;
		if (n <= 0)
			return err_sys(e, "could not write \"%s\"", name);
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

ssize_t
file_read_full(int fd, void *data, size_t len, const char *name, struct err *e)
{
	uint8_t *p = data;
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = read(fd, p + done, len - done);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return err_sys(e, "could not read \"%s\"", name);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t
file_pread_full(int fd, void *data, size_t len, uint64_t offset,
    const char *name, struct err *e)
{
	uint8_t *p = data;
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pread(fd, p + done, len - done, (off_t)(offset + done));
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return err_sys(e, "could not read \"%s\"", name);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int
file_open_at(int dirfd, const char *path, int flags, mode_t mode, struct err *e)
{
	int fd = openat(dirfd, path, flags | O_CLOEXEC, mode);
	bool missing;

	if (fd != -1)
		return fd;
	missing = errno == ENOENT;
	(void)err_sys(e, "could not %s \"%s\"",
	    (flags & O_CREAT) != 0 ? "create" : "open", path);
	if (missing && e != NULL)
		e->kind = ERR_NOT_FOUND;
	return -1;
}

int
file_open_dir(const char *path, struct err *e)
{
	return file_open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, e);
}

int
file_slurp_at(
    int dirfd, const char *path, size_t max, struct buf *out, struct err *e)
{
	AUTO_FD int fd = file_open_at(dirfd, path, O_RDONLY, 0, e);
	size_t got = 0, step;
	ssize_t n;

	if (fd == -1)
		return -1;
	do {
		/* One byte more than allowed shows that there is too much. */
		step = SLURP_STEP_BYTES;
		if (max - got < step)
			step = max - got + 1;
		n = file_read_full(fd, buf_reserve(out, step), step, path, e);
		if (n == -1)
			return -1;
		got += (size_t)n;
		if (got > max)
			return err_set(e, ERR_CORRUPT,
			    "file \"%s\" is longer than %zu bytes", path, max);
		out->len += (size_t)n;
	} while ((size_t)n == step);
	return 0;
}

void
file_show(const char *path, const void *data, size_t len)
{
	AUTO_FREE char *tmp = mem_printf("%s.tmp", path);
	AUTO_FD int fd = file_open_at(
	    AT_FDCWD, tmp, O_WRONLY | O_CREAT | O_TRUNC, 0644, NULL);

	if (fd == -1)
		return;
	if (file_write_all(fd, data, len, tmp, NULL) == -1 ||
	    rename(tmp, path) == -1)
		(void)unlink(tmp);
}

int
file_sync_fd(int fd, const char *name, struct err *e)
{
	/* Not tried again: the kernel may have dropped the dirty pages. */
	if (fsync(fd) == -1)
		return err_sys(e, "could not flush \"%s\"", name);
	return 0;
}

int
file_sync_dir_at(int dirfd, const char *path, struct err *e)
{
	AUTO_FD int fd =
	    file_open_at(dirfd, path, O_RDONLY | O_DIRECTORY, 0, e);

	if (fd == -1)
		return -1;
	/* Some file systems cannot flush folders and say so this way; see
	 * fsync_fname() in PostgreSQL's src/common/file_utils.c. */
	if (fsync(fd) == -1 && errno != EBADF && errno != EINVAL)
		return err_sys(e, "could not flush folder \"%s\"", path);
	return 0;
}

int
file_sync_fs(int fd, const char *name, struct err *e)
{
	if (syncfs(fd) == -1)
		return err_sys(
		    e, "could not flush the file system of \"%s\"", name);
	return 0;
}

int
file_unlink_at(int dirfd, const char *path, struct err *e)
{
	if (unlinkat(dirfd, path, 0) == -1 && errno != ENOENT)
		return err_sys(e, "could not remove \"%s\"", path);
	return 0;
}

int
file_exists_at(int dirfd, const char *path, struct err *e)
{
	struct stat st;

	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	if (errno == ENOENT || errno == ENOTDIR)
		return 0;
	return err_sys(e, "could not look up \"%s\"", path);
}

int
file_free_bytes(const char *path, uint64_t *bytes, struct err *e)
{
	struct statvfs vfs;

	if (statvfs(path, &vfs) == -1)
		return err_sys(
		    e, "could not ask for the free space of \"%s\"", path);
	*bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	return 0;
}

int
file_lock(const char *path, bool shared, bool wait, struct err *e)
{
	AUTO_FD int fd =
	    file_open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0600, e);
	int how = (shared ? LOCK_SH : LOCK_EX) | LOCK_NB;

	if (fd == -1)
		return -1;
	/* Asked for again and again, so that a stop request is noticed. */
	while (flock(fd, how) == -1) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return err_sys(e, "could not lock \"%s\"", path);
		if (!wait)
			return err_set(e, ERR_TRANSIENT,
			    "\"%s\" is locked by another process", path);
		if (child_check_stop(e) == -1)
			return -1;
		clock_sleep_us(LOCK_POLL_US);
	}
	return steal_fd(&fd);
}
