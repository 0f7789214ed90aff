#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"

AUTO_DEFINE(char *, file_names_free);
#define AUTO_NAMES AUTO(file_names_free_auto)

static void
close_dir(DIR **dir)
{
	if (*dir != NULL)
		(void)closedir(*dir);
}

/* One folder, whose parent exists; synced into it when it was missing. */
static int
make_folder(int dirfd, const char *path, mode_t mode, struct err *e)
{
	AUTO_FREE char *parent = NULL;
	struct stat st;

	if (mkdirat(dirfd, path, mode) == 0) {
		parent = file_parent(path);
		return file_sync_dir_at(dirfd, parent, e);
	}
	if (errno != EEXIST)
		return err_sys(e, "could not create folder \"%s\"", path);
	if (fstatat(dirfd, path, &st, 0) == -1)
		return err_sys(e, "could not look up \"%s\"", path);
	if (S_ISDIR(st.st_mode))
		return 0;
	errno = ENOTDIR;
	return err_sys(e, "could not create folder \"%s\"", path);
}

int
file_mkdirs_at(int dirfd, const char *path, mode_t mode, struct err *e)
{
	AUTO_FREE char *part = mem_strdup(path);
	char *p = part;

	for (;;) {
		p += strspn(p, "/");
		if (*p == '\0')
			return 0;
		p += strcspn(p, "/");
		if (*p == '\0')
			return make_folder(dirfd, part, mode, e);
		*p = '\0';
		if (make_folder(dirfd, part, mode, e) == -1)
			return -1;
		*p = '/';
	}
}

/* Remove name below dirfd with all that is in it; shown is for messages. */
static int
remove_tree(int dirfd, const char *name, const char *shown, struct err *e)
{
	AUTO_NAMES char **names = NULL;
	AUTO_FD int fd = -1;
	size_t count, i;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return err_sys(e, "could not remove \"%s\"", shown);
	fd = openat(
	    dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return err_sys(e, "could not open folder \"%s\"", shown);
	if (file_list_at(fd, ".", &names, &count, e) == -1)
		return err_ctx(e, "folder \"%s\"", shown);
	for (i = 0; i < count; i++) {
		AUTO_FREE char *below = file_join(shown, names[i]);

		if (remove_tree(fd, names[i], below, e) == -1)
			return -1;
	}
	if (unlinkat(dirfd, name, AT_REMOVEDIR) == -1 && errno != ENOENT)
		return err_sys(e, "could not remove folder \"%s\"", shown);
	return 0;
}

int
file_rmtree_at(int dirfd, const char *path, struct err *e)
{
	return remove_tree(dirfd, path, path, e);
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All names of dir into *names, which is NULL-terminated at every moment. */
static int
read_names(
    DIR *dir, const char *path, char ***names, size_t *count, struct err *e)
{
	const struct dirent *ent;
	size_t room = 0;

	for (;;) {
		if (*count + 1 >= room) {
			room = room == 0 ? 16 : room * 2;
			*names = mem_rearray(*names, room, sizeof(**names));
			(*names)[*count] = NULL;
		}
		errno = 0;
		ent = readdir(dir);
		if (ent == NULL)
			break;
		if (strcmp(ent->d_name, ".") == 0 ||
		    strcmp(ent->d_name, "..") == 0)
			continue;
		(*names)[(*count)++] = mem_strdup(ent->d_name);
		(*names)[*count] = NULL;
	}
	if (errno != 0)
		return err_sys(e, "could not read folder \"%s\"", path);
	return 0;
}

int
file_list_at(
    int dirfd, const char *path, char ***names, size_t *count, struct err *e)
{
	AUTO(close_dir) DIR *dir = NULL;
	AUTO_NAMES char **all = mem_zarray(1, sizeof(*all));
	AUTO_FD int fd = -1;

	*count = 0;
	*names = NULL;
	fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 && errno == ENOENT) {
		*names = steal_ptr(&all);
		return 0;
	}
	if (fd == -1)
		return err_sys(e, "could not open folder \"%s\"", path);
	dir = fdopendir(fd);
	if (dir == NULL)
		return err_sys(e, "could not open folder \"%s\"", path);
	(void)steal_fd(&fd); /* closedir() closes it */
	if (read_names(dir, path, &all, count, e) == -1) {
		*count = 0;
		return -1;
	}
	qsort(all, *count, sizeof(*all), compare_names);
	*names = steal_ptr(&all);
	return 0;
}

void
file_names_free(char **names)
{
	size_t i;

	if (names == NULL)
		return;
	for (i = 0; names[i] != NULL; i++)
		free(names[i]);
	free(names);
}
