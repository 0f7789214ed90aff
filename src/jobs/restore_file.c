#include "jobs/restore_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "codec/digest.h"

/* What O_DIRECT asks of lengths, at most. */
#define DIRECT_BYTES ((size_t)4096)

struct rfile *
rfile_new(const struct restore_place *place, const struct entry *entry,
    struct packset *ps, struct err *e)
{
	struct rfile *f = mem_zalloc(sizeof(*f));

	f->place = place;
	f->path = mem_strdup(entry->path);
	f->size_bytes = entry->size_bytes;
	f->crc32c = entry->crc32c;
	f->mode = entry->mode;
	f->fd = f->direct_fd = -1;
	f->holders = 1;
	(void)pthread_mutex_init(&f->lock, NULL);
	filemap_init(&f->map);
	f->part_count = (uint32_t)((f->size_bytes + RFILE_PART_BYTES - 1) /
	    RFILE_PART_BYTES);
	f->parts = mem_zarray(f->part_count, sizeof(f->parts[0]));
	if (entry_map(entry, ps, &f->map, e) == -1) {
		(void)err_ctx(e, "file \"%s\"", f->path);
		rfile_free(f);
		return NULL;
	}
	return f;
}

void
rfile_free(struct rfile *f)
{
	if (f == NULL)
		return;
	if (f->fd != -1)
		(void)close(f->fd);
	if (f->direct_fd != -1)
		(void)close(f->direct_fd);
	(void)pthread_mutex_destroy(&f->lock);
	filemap_free(&f->map);
	free(f->parts);
	free(f->path);
	free(f);
}

void
rfile_hold(struct rfile *f)
{
	(void)atomic_fetch_add(&f->holders, 1);
}

bool
rfile_let_go(struct rfile *f)
{
	return atomic_fetch_sub(&f->holders, 1) == 1;
}

/* ---- open ---- */

/* A second descriptor past the page cache, where the file system has that.
 * Set on the open file: an open() that is refused says less. */
static void
open_direct(struct rfile *f)
{
	int fd =
	    openat(f->place->fd, f->path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd == -1)
		return;
	if (fcntl(fd, F_SETFL, O_WRONLY | O_DIRECT) == -1) {
		(void)close(fd);
		return;
	}
	f->direct_fd = fd;
}

static int
open_old(struct rfile *f, struct err *e)
{
	struct stat st;

	f->fd = openat(f->place->fd, f->path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (f->fd == -1)
		return errno == ENOENT
		    ? 0
		    : err_sys(e, "could not open \"%s\"", f->path);
	if (fstat(f->fd, &st) == -1)
		return err_sys(e, "could not look up \"%s\"", f->path);
	f->existed = true;
	f->old_bytes = (uint64_t)st.st_size;
	return 0;
}

static int
open_new(struct rfile *f, struct err *e)
{
	int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
	AUTO_FREE char *above = NULL;

	f->fd = file_open_at(f->place->fd, f->path, flags, 0600, e);
	if (f->fd != -1 || e->kind != ERR_NOT_FOUND)
		return f->fd == -1 ? -1 : 0;
	/* A folder that no entry named. */
	above = file_parent(f->path);
	if (place_mkdirs(
		f->place, above, 0700 | (f->place->mode_mask & 0050), e) == -1)
		return -1;
	f->fd = file_open_at(f->place->fd, f->path, flags, 0600, e);
	return f->fd == -1 ? -1 : 0;
}

static int
open_once(struct rfile *f, struct err *e)
{
	if (f->place->delta && open_old(f, e) == -1)
		return -1;
	if (f->fd == -1 && open_new(f, e) == -1)
		return -1;
	/* Its length first: parts are written in any order, runs of zeros not
	 * at all. */
	if ((!f->existed || f->old_bytes != f->size_bytes) &&
	    f->size_bytes > RFILE_SMALL_BYTES &&
	    ftruncate(f->fd, (off_t)f->size_bytes) == -1)
		return err_sys(e, "could not set length of \"%s\"", f->path);
	if (f->size_bytes > RFILE_SMALL_BYTES)
		open_direct(f);
	return 0;
}

int
rfile_open(struct rfile *f, struct err *e)
{
	int rc = 0;

	(void)pthread_mutex_lock(&f->lock);
	if (!f->opened) {
		rc = open_once(f, e);
		f->opened = rc == 0;
	}
	(void)pthread_mutex_unlock(&f->lock);
	return rc;
}

/* ---- write ---- */

int
rfile_write(struct rfile *f, const uint8_t *data, size_t len, uint64_t offset,
    struct err *e)
{
	return file_pwrite_all(f->fd, data, len, offset, f->path, e);
}

int
rfile_write_direct(
    struct rfile *f, uint8_t *data, size_t len, uint64_t offset, struct err *e)
{
	size_t whole = (len + DIRECT_BYTES - 1) / DIRECT_BYTES * DIRECT_BYTES;

	if (f->direct_fd == -1)
		return rfile_write(f, data, len, offset, e);
	/* Past the end: rfile_finish() cuts it. */
	(void)memset(data + len, 0, whole - len);
	if (file_pwrite_all(f->direct_fd, data, whole, offset, f->path, e) == 0)
		return 0;
	/* Some file systems take the flag but not the write. */
	if (e->sys_errno != EINVAL)
		return -1;
	err_clear(e);
	return rfile_write(f, data, len, offset, e);
}

/* ---- finish ---- */

/* The sum of all parts against what the backup says. */
static int
check_crc(const struct rfile *f, struct err *e)
{
	uint64_t left = f->size_bytes, len;
	uint32_t crc = 0, i;

	for (i = 0; i < f->part_count; i++, left -= len) {
		len = left < RFILE_PART_BYTES ? left : RFILE_PART_BYTES;
		if (!f->parts[i].done)
			return err_set(e, ERR_BUG,
			    "part %u of \"%s\" was not restored", i, f->path);
		crc = crc32c_combine(crc, f->parts[i].crc, len);
	}
	if (crc == f->crc32c)
		return 0;
	return err_set(e, ERR_CORRUPT,
	    "blocks of file \"%s\" do not make up its sum", f->path);
}

int
rfile_finish(struct rfile *f, struct err *e)
{
	int fd = f->fd;

	if (check_crc(f, e) == -1)
		return -1;
	if ((f->size_bytes % DIRECT_BYTES != 0 ||
		(f->existed && f->old_bytes != f->size_bytes)) &&
	    ftruncate(f->fd, (off_t)f->size_bytes) == -1)
		return err_sys(e, "could not set length of \"%s\"", f->path);
	if (place_own(f->place, f->fd, f->path, f->mode, e) == -1)
		return -1;
	f->fd = -1;
	if (close(fd) == -1)
		return err_sys(e, "could not close \"%s\"", f->path);
	fd = f->direct_fd;
	f->direct_fd = -1;
	if (fd != -1 && close(fd) == -1)
		return err_sys(e, "could not close \"%s\"", f->path);
	return 0;
}
