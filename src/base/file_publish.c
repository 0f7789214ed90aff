#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"

/* A temporary name that is unlinked unless the file was renamed away. */
struct tmpname {
	int dirfd;
	char *path; /* NULL: nothing to remove */
};

static void
tmpname_drop(struct tmpname *t)
{
	if (t->path != NULL)
		(void)unlinkat(t->dirfd, t->path, 0);
	free(t->path);
}

/* Beside path; random, as other hosts may write into the same folder. */
static char *
tmpname_beside(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	uint64_t r;

	if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r)) {
		(void)err_sys(e, "could not get random bytes for \"%s\"", path);
		return NULL;
	}
	return mem_printf("%.*s.tmp.%016llx",
	    slash == NULL ? 0 : (int)(slash - path + 1), path,
	    (unsigned long long)r);
}

static int
there_already(const char *path, struct err *e)
{
	return err_set(e, ERR_CONFLICT, "\"%s\" is there already", path);
}

static int
could_not_name(const char *path, struct err *e)
{
	return err_sys(e, "could not rename a file to \"%s\"", path);
}

/* Both names are the same file: a link that worked was reported as failed,
 * as NFS does when an answer was lost. */
static bool
same_file(int dirfd, const char *a, const char *b)
{
	struct stat sa, sb;

	return fstatat(dirfd, a, &sa, AT_SYMLINK_NOFOLLOW) == 0 &&
	    fstatat(dirfd, b, &sb, AT_SYMLINK_NOFOLLOW) == 0 &&
	    sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* A rename gives way to what is there: a folder with something in it is never
 * replaced, so looking first is enough. */
static int
rename_folder_once(int dirfd, const char *tmp, const char *path, struct err *e)
{
	int there = file_exists_at(dirfd, path, e);

	if (there != 0)
		return there == 1 ? there_already(path, e) : -1;
	if (renameat(dirfd, tmp, dirfd, path) == 0)
		return 0;
	if (errno == EEXIST || errno == ENOTEMPTY)
		return there_already(path, e);
	return could_not_name(path, e);
}

/* For file systems without RENAME_NOREPLACE. */
static int
link_once(int dirfd, const char *tmp, const char *path, struct err *e)
{
	struct stat st;

	if (fstatat(dirfd, tmp, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return err_sys(e, "could not look up \"%s\"", tmp);
	if (S_ISDIR(st.st_mode))
		return rename_folder_once(dirfd, tmp, path, e);
	if (linkat(dirfd, tmp, dirfd, path, 0) == -1) {
		if (errno != EEXIST)
			return could_not_name(path, e);
		if (!same_file(dirfd, tmp, path))
			return there_already(path, e);
	}
	if (unlinkat(dirfd, tmp, 0) == -1)
		return err_sys(e, "could not remove \"%s\"", tmp);
	return 0;
}

int
file_rename_once_at(int dirfd, const char *tmp, const char *path, struct err *e)
{
	if (renameat2(dirfd, tmp, dirfd, path, RENAME_NOREPLACE) == 0)
		return 0;
	switch (errno) {
	case EEXIST:
		return there_already(path, e);
	case EINVAL:
	case ENOSYS:
	case EOPNOTSUPP:
		return link_once(dirfd, tmp, path, e);
	default:
		return could_not_name(path, e);
	}
}

static int
sync_parent(int dirfd, const char *path, struct err *e)
{
	AUTO_FREE char *parent = file_parent(path);

	return file_sync_dir_at(dirfd, parent, e);
}

int
file_commit_at(int dirfd, const char *tmp, const char *path, struct err *e)
{
	if (file_rename_once_at(dirfd, tmp, path, e) == -1)
		return -1;
	return sync_parent(dirfd, path, e);
}

/* Create tmp with the bytes in it, durable; messages name path. */
static int
write_tmp(int dirfd, struct tmpname *tmp, const char *path, const void *data,
    size_t len, mode_t mode, struct err *e)
{
	AUTO_FD int fd = openat(
	    dirfd, tmp->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	bool missing;

	if (fd == -1) {
		missing = errno == ENOENT;
		free(steal_ptr(&tmp->path)); /* not ours to remove */
		(void)err_sys(e, "could not create \"%s\"", path);
		if (missing && e != NULL)
			e->kind = ERR_NOT_FOUND;
		return -1;
	}
	if (file_write_all(fd, data, len, path, e) == -1 ||
	    file_sync_fd(fd, path, e) == -1)
		return -1;
	if (close(steal_fd(&fd)) == -1)
		return err_sys(e, "could not close \"%s\"", path);
	return 0;
}

int
file_publish_at(int dirfd, const char *path, const void *data, size_t len,
    mode_t mode, enum file_publish how, struct err *e)
{
	AUTO(tmpname_drop) struct tmpname tmp = { dirfd, NULL };

	tmp.path = tmpname_beside(path, e);
	if (tmp.path == NULL)
		return -1;
	if (write_tmp(dirfd, &tmp, path, data, len, mode, e) == -1)
		return -1;
	if (how == FILE_WRITE_ONCE) {
		if (file_rename_once_at(dirfd, tmp.path, path, e) == -1)
			return -1;
	} else if (renameat(dirfd, tmp.path, dirfd, path) == -1) {
		return could_not_name(path, e);
	}
	free(steal_ptr(&tmp.path));
	return sync_parent(dirfd, path, e);
}
