#include "jobs/restore_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"

#define MARKER_BYTES_MAX ((size_t)4096)

/* ---- begin ---- */

static int
enter(struct restore_place *p, struct err *e)
{
	struct stat st;

	if (mkdir(p->path, 0700) == -1 && errno != EEXIST)
		return err_sys(e, "could not create folder \"%s\"", p->path);
	p->fd = file_open_dir(p->path, e);
	if (p->fd == -1)
		return -1;
	if (flock(p->fd, LOCK_EX | LOCK_NB) == -1)
		return err_set(e, ERR_TRANSIENT,
		    "another restore into \"%s\" is running", p->path);
	if (fstat(p->fd, &st) == -1)
		return err_sys(e, "could not look up \"%s\"", p->path);
	return place_own(p, p->fd, p->path, 0700 | (p->mode_mask & 0070), e);
}

static int
leave_marker(struct restore_place *p, const struct root *root, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;

	buf_printf(&text,
	    "system %llu\nbackup %s\n"
	    "This restore is not finished; start it again with --delta.\n",
	    (unsigned long long)root->facts.system_id, root->id);
	return place_publish(p, PLACE_MARKER, text.data, text.len, e);
}

int
place_begin(struct restore_place *p, const struct root *root, struct err *e)
{
	if (enter(p, e) == -1 || leave_marker(p, root, e) == -1)
		return -1;
	/* An old pg_control would let a half changed directory start. */
	if (renameat(p->fd, PLACE_CONTROL, p->fd, PLACE_CONTROL_NEW) == 0)
		return file_sync_dir_at(p->fd, "global", e);
	if (errno != ENOENT)
		return err_sys(e, "could not put \"%s\" aside", PLACE_CONTROL);
	return 0;
}

/* ---- tablespaces ---- */

/* The folder of a tablespace outside: made when missing, kept open for
 * place_sync(). */
static int
open_location(
    struct restore_place *p, const struct place_link *l, struct err *e)
{
	int fd;

	if (file_mkdirs_at(AT_FDCWD, l->path, 0700, e) == -1)
		return -1;
	fd = file_open_dir(l->path, e);
	if (fd == -1)
		return -1;
	if (place_own(p, fd, l->path, 0700, e) == -1) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static int
make_link(const struct restore_place *p, const struct place_link *l,
    const char *name, struct err *e)
{
	if (l->was_ours)
		return 0;
	if (file_unlink_at(p->fd, name, e) == -1)
		return -1;
	if (symlinkat(l->path, p->fd, name) == -1)
		return err_sys(e, "could not create link \"%s\"", name);
	if (p->set_owner &&
	    fchownat(p->fd, name, p->uid, p->gid, AT_SYMLINK_NOFOLLOW) == -1)
		return err_sys(e, "could not set owner of \"%s\"", name);
	return 0;
}

int
place_link_tablespaces(struct restore_place *p, struct err *e)
{
	char name[64];
	size_t i;

	if (p->link_count == 0)
		return 0;
	if (place_mkdirs(p, "pg_tblspc", 0700, e) == -1)
		return -1;
	p->fs_fds = mem_array(p->link_count, sizeof(p->fs_fds[0]));
	for (i = 0; i < p->link_count; i++)
		p->fs_fds[i] = -1;
	for (i = 0; i < p->link_count; i++) {
		const struct place_link *l = &p->links[i];

		(void)snprintf(name, sizeof(name), "pg_tblspc/%u", l->oid);
		if (l->path == NULL) {
			if (place_mkdirs(p, name, 0700, e) == -1)
				return -1;
			continue;
		}
		p->fs_fds[i] = open_location(p, l, e);
		if (p->fs_fds[i] == -1 || make_link(p, l, name, e) == -1)
			return err_ctx(e, "tablespace %u", l->oid);
	}
	return 0;
}

/* ---- end ---- */

int
place_sync(const struct restore_place *p, struct err *e)
{
	size_t i;

	if (file_sync_fs(p->fd, p->path, e) == -1)
		return -1;
	for (i = 0; p->fs_fds != NULL && i < p->link_count; i++)
		if (p->fs_fds[i] != -1 &&
		    file_sync_fs(p->fs_fds[i], p->links[i].path, e) == -1)
			return -1;
	return 0;
}

int
place_finish(struct restore_place *p, struct err *e)
{
	if (file_unlink_at(p->fd, PLACE_MARKER, e) == -1)
		return -1;
	if (renameat(p->fd, PLACE_CONTROL_NEW, p->fd, PLACE_CONTROL) == -1)
		return err_sys(e, "could not name \"%s\"", PLACE_CONTROL);
	if (file_sync_dir_at(p->fd, "global", e) == -1)
		return -1;
	return file_sync_fd(p->fd, p->path, e);
}

void
place_close(struct restore_place *p)
{
	size_t i;

	for (i = 0; i < p->link_count; i++) {
		if (p->fs_fds != NULL && p->fs_fds[i] != -1)
			(void)close(p->fs_fds[i]);
		free(p->links[i].path);
	}
	free(p->fs_fds);
	free(p->links);
	free(p->path);
	if (p->fd != -1)
		(void)close(p->fd);
	(void)memset(p, 0, sizeof(*p));
	p->fd = -1;
}

/* ---- files and folders ---- */

int
place_own(const struct restore_place *p, int fd, const char *name, mode_t mode,
    struct err *e)
{
	struct stat st;

	mode &= p->mode_mask;
	if (fstat(fd, &st) == -1)
		return err_sys(e, "could not look up \"%s\"", name);
	if (p->set_owner && (st.st_uid != p->uid || st.st_gid != p->gid) &&
	    fchown(fd, p->uid, p->gid) == -1)
		return err_sys(e, "could not set owner of \"%s\"", name);
	if ((st.st_mode & 07777) != mode && fchmod(fd, mode) == -1)
		return err_sys(e, "could not set mode of \"%s\"", name);
	return 0;
}

int
place_publish(const struct restore_place *p, const char *name, const void *data,
    size_t len, struct err *e)
{
	AUTO_FD int fd = -1;

	if (file_publish_at(p->fd, name, data, len, 0600, FILE_REPLACE, e) ==
	    -1)
		return -1;
	fd = file_open_at(p->fd, name, O_RDONLY | O_NOFOLLOW, 0, e);
	if (fd == -1)
		return -1;
	return place_own(p, fd, name, 0640, e);
}

int
place_mkdirs(
    const struct restore_place *p, const char *path, mode_t mode, struct err *e)
{
	AUTO_FREE char *above = NULL;
	AUTO_FD int fd = -1;

	if (mkdirat(p->fd, path, 0700) == -1 && errno != EEXIST) {
		if (errno != ENOENT)
			return err_sys(
			    e, "could not create folder \"%s\"", path);
		above = file_parent(path);
		if (place_mkdirs(p, above, 0700 | (p->mode_mask & 0050), e) ==
		    -1)
			return -1;
		if (mkdirat(p->fd, path, 0700) == -1)
			return err_sys(
			    e, "could not create folder \"%s\"", path);
	}
	fd = file_open_at(p->fd, path, O_RDONLY | O_DIRECTORY, 0, e);
	if (fd == -1)
		return -1;
	return place_own(p, fd, path, mode, e);
}
