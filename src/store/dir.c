/*
 * dir: a store in a directory.
 *
 * An object is made under a temporary name beside its final one
 * (".tmp.<name>.<pid>.<n>"), synced, and renamed without replacing, and then
 * the folder is synced.  Bulk objects are written past the page cache.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/dio.h"
#include "base/file.h"
#include "base/mem.h"
#include "store/store_ops.h"

#define DIR_TMP_PREFIX	 ".tmp."
#define DIR_SWEEP_AGE_US (3600 * CLOCK_SECOND_US)

struct dir_store {
	struct store head;
	char *path;
	int fd;
};

struct dir_writer {
	struct store_writer head;
	struct dir_store *store;
	struct dio *dio;
	char *key;
	char *tmp; /* NULL once renamed */
};

struct dir_reader {
	struct store_reader head;
	int fd;
	char *key;
};

static struct store *
dir_open(const char *where, bool create, struct err *e)
{
	struct dir_store *s;
	int fd;

	if (where[0] != '/') {
		(void)err_set(e, ERR_USAGE,
		    "repository path \"%s\" is not absolute", where);
		return NULL;
	}
	if (create && file_mkdirs_at(AT_FDCWD, where, 0700, e) == -1)
		return NULL;
	fd = file_open_dir(where, e);
	if (fd == -1) {
		(void)err_ctx(e, "repository");
		return NULL;
	}
	s = mem_zalloc(sizeof(*s));
	s->head.ops = &store_dir_ops;
	s->path = mem_strdup(where);
	s->fd = fd;
	return &s->head;
}

static void
dir_close(struct store *head)
{
	struct dir_store *s = (struct dir_store *)head;

	(void)close(s->fd);
	free(s->path);
	free(s);
}

static const char *
dir_local_path(const struct store *head)
{
	return ((const struct dir_store *)head)->path;
}

/* Folder part of a key: "" when it has none. */
static char *
folder_of(const char *key)
{
	const char *slash = strrchr(key, '/');

	return mem_strndup(key, slash == NULL ? 0 : (size_t)(slash - key));
}

static int
make_folder(struct dir_store *s, const char *key, struct err *e)
{
	AUTO_FREE char *folder = folder_of(key);
	struct stat st;

	if (folder[0] == '\0' || fstatat(s->fd, folder, &st, 0) == 0)
		return 0;
	return file_mkdirs_at(s->fd, folder, 0700, e);
}

static int
dir_put(struct store *head, const char *key, const void *data, size_t len,
    struct err *e)
{
	struct dir_store *s = (struct dir_store *)head;

	if (make_folder(s, key, e) == -1)
		return -1;
	return file_publish_at(s->fd, key, data, len, 0600, FILE_WRITE_ONCE, e);
}

static int
dir_get(struct store *head, const char *key, size_t max, struct buf *out,
    struct err *e)
{
	struct dir_store *s = (struct dir_store *)head;

	return file_slurp_at(s->fd, key, max, out, e);
}

static int
dir_rename(struct store *head, const char *from, const char *to, struct err *e)
{
	struct dir_store *s = (struct dir_store *)head;

	if (make_folder(s, to, e) == -1)
		return -1;
	return file_commit_at(s->fd, from, to, e);
}

static int
dir_replace(struct store *head, const char *from, const char *to, struct err *e)
{
	struct dir_store *s = (struct dir_store *)head;
	AUTO_FREE char *folder = file_parent(to);

	if (renameat(s->fd, from, s->fd, to) == -1)
		return err_sys(e, "could not rename a file to \"%s\"", to);
	return file_sync_dir_at(s->fd, folder, e);
}

static char *
tmp_key(const char *key)
{
	static atomic_uint serial;
	AUTO_FREE char *folder = folder_of(key);
	const char *slash = strrchr(key, '/');
	const char *base = slash == NULL ? key : slash + 1;

	return mem_printf("%s%s" DIR_TMP_PREFIX "%s.%ld.%u", folder,
	    folder[0] == '\0' ? "" : "/", base, (long)getpid(),
	    atomic_fetch_add(&serial, 1));
}

static struct store_writer *
dir_create(struct store *head, const char *key, struct err *e)
{
	struct dir_store *s = (struct dir_store *)head;
	struct dir_writer *w;
	struct dio *dio;
	AUTO_FREE char *tmp = tmp_key(key);

	if (make_folder(s, key, e) == -1)
		return NULL;
	dio = dio_create_at(s->fd, tmp, 0600, e);
	if (dio == NULL)
		return NULL;
	w = mem_zalloc(sizeof(*w));
	w->head.ops = &store_dir_ops;
	w->store = s;
	w->dio = dio;
	w->key = mem_strdup(key);
	w->tmp = steal_ptr(&tmp);
	return &w->head;
}

static int
dir_write(
    struct store_writer *head, const void *data, size_t len, struct err *e)
{
	struct dir_writer *w = (struct dir_writer *)head;

	if (dio_write(w->dio, data, len, e) == -1)
		return err_ctx(e, "object \"%s\"", w->key);
	return 0;
}

static int
dir_commit(struct store_writer *head, struct err *e)
{
	struct dir_writer *w = (struct dir_writer *)head;

	if (dio_finish(w->dio, e) == -1)
		return err_ctx(e, "object \"%s\"", w->key);
	if (file_commit_at(w->store->fd, w->tmp, w->key, e) == -1)
		return -1;
	free(steal_ptr(&w->tmp));
	return 0;
}

static void
dir_writer_close(struct store_writer *head)
{
	struct dir_writer *w = (struct dir_writer *)head;

	dio_free(w->dio);
	if (w->tmp != NULL)
		(void)unlinkat(w->store->fd, w->tmp, 0);
	free(w->tmp);
	free(w->key);
	free(w);
}

static struct store_reader *
dir_read(struct store *head, const char *key, struct err *e)
{
	struct dir_store *s = (struct dir_store *)head;
	struct dir_reader *r;
	struct stat st;
	AUTO_FD int fd = file_open_at(s->fd, key, O_RDONLY, 0, e);

	if (fd == -1)
		return NULL;
	if (fstat(fd, &st) == -1) {
		(void)err_sys(e, "could not stat \"%s\"", key);
		return NULL;
	}
	r = mem_zalloc(sizeof(*r));
	r->head.ops = &store_dir_ops;
	r->head.bytes = (uint64_t)st.st_size;
	r->fd = steal_fd(&fd);
	r->key = mem_strdup(key);
	return &r->head;
}

static int
dir_pread(struct store_reader *head, void *out, size_t len, uint64_t offset,
    struct err *e)
{
	struct dir_reader *r = (struct dir_reader *)head;
	ssize_t got = file_pread_full(r->fd, out, len, offset, r->key, e);

	if (got == -1)
		return -1;
	if ((size_t)got != len)
		return err_set(e, ERR_CORRUPT,
		    "object \"%s\" ends at %llu, expected %zu bytes at %llu",
		    r->key, (unsigned long long)(offset + (uint64_t)got), len,
		    (unsigned long long)offset);
	return 0;
}

static void
dir_reader_close(struct store_reader *head)
{
	struct dir_reader *r = (struct dir_reader *)head;

	(void)close(r->fd);
	free(r->key);
	free(r);
}

static int
dir_stat(
    struct store *head, const char *key, struct store_info *info, struct err *e)
{
	struct dir_store *s = (struct dir_store *)head;
	struct stat st;

	(void)memset(info, 0, sizeof(*info));
	if (fstatat(s->fd, key, &st, 0) == -1) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return err_sys(e, "could not stat \"%s\"", key);
	}
	info->exists = true;
	info->bytes = (uint64_t)st.st_size;
	info->mtime_us = (int64_t)st.st_mtim.tv_sec * CLOCK_SECOND_US +
	    st.st_mtim.tv_nsec / 1000;
	return 0;
}

static bool
is_tmp(const char *name)
{
	return strncmp(name, DIR_TMP_PREFIX, strlen(DIR_TMP_PREFIX)) == 0;
}

/* Mark a folder's name with "/"; -1 when it cannot be told. */
static int
mark_folder(struct dir_store *s, const char *prefix, char **name, struct err *e)
{
	AUTO_FREE char *path =
	    prefix[0] == '\0' ? mem_strdup(*name) : file_join(prefix, *name);
	struct stat st;
	char *marked;

	if (fstatat(s->fd, path, &st, 0) == -1) {
		if (errno == ENOENT) /* removed meanwhile */
			return 0;
		return err_sys(e, "could not stat \"%s\"", path);
	}
	if (!S_ISDIR(st.st_mode))
		return 0;
	marked = mem_printf("%s/", *name);
	free(*name);
	*name = marked;
	return 0;
}

static int
dir_list(struct store *head, const char *prefix, char ***names, size_t *count,
    struct err *e)
{
	struct dir_store *s = (struct dir_store *)head;
	size_t i, kept = 0;

	if (file_list_at(
		s->fd, prefix[0] == '\0' ? "." : prefix, names, count, e) == -1)
		return -1;
	for (i = 0; i < *count; i++) {
		if (is_tmp((*names)[i])) {
			free((*names)[i]);
			continue;
		}
		(*names)[kept++] = (*names)[i];
	}
	if (*names != NULL)
		(*names)[kept] = NULL;
	*count = kept;
	for (i = 0; i < kept; i++)
		if (mark_folder(s, prefix, &(*names)[i], e) == -1) {
			file_names_free(steal_ptr(names));
			return -1;
		}
	return 0;
}

static int
dir_remove(struct store *head, const char *key, struct err *e)
{
	struct dir_store *s = (struct dir_store *)head;

	return file_unlink_at(s->fd, key, e);
}

/* Whose temporary file is it?  ".tmp.<name>.<pid>.<n>" */
static bool
tmp_owner_lives(const char *name)
{
	const char *p = strrchr(name, '.');
	char path[64];
	long pid;

	while (p != NULL && p > name && p[-1] != '.')
		p--;
	pid = p == NULL ? 0 : strtol(p, NULL, 10);
	if (pid <= 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%ld", pid);
	return access(path, F_OK) == 0;
}

static int
dir_sweep(struct store *head, const char *prefix, struct err *e)
{
	struct dir_store *s = (struct dir_store *)head;
	char **names = NULL;
	size_t count, i;
	struct store_info info;
	int rc = 0;

	if (file_list_at(s->fd, prefix[0] == '\0' ? "." : prefix, &names,
		&count, e) == -1)
		return -1;
	for (i = 0; rc == 0 && i < count; i++) {
		AUTO_FREE char *path = prefix[0] == '\0'
		    ? mem_strdup(names[i])
		    : file_join(prefix, names[i]);

		if (!is_tmp(names[i]) || tmp_owner_lives(names[i]))
			continue;
		rc = dir_stat(head, path, &info, e);
		if (rc == 0 && info.exists &&
		    info.mtime_us + DIR_SWEEP_AGE_US < clock_now_us())
			rc = file_unlink_at(s->fd, path, e);
	}
	file_names_free(names);
	return rc;
}

const struct store_ops store_dir_ops = {
	.scheme = "file",
	.open = dir_open,
	.close = dir_close,
	.local_path = dir_local_path,
	.put = dir_put,
	.get = dir_get,
	.create = dir_create,
	.write = dir_write,
	.commit = dir_commit,
	.writer_close = dir_writer_close,
	.read = dir_read,
	.pread = dir_pread,
	.reader_close = dir_reader_close,
	.stat = dir_stat,
	.list = dir_list,
	.rename = dir_rename,
	.replace = dir_replace,
	.remove = dir_remove,
	.sweep = dir_sweep,
};
