/*
 * walopen: the segment that is being received.
 *
 *	           start_lsn        synced    written         end
 *	memory     |################################## ........|
 *	the file   |########################|                    grows
 *
 * Bytes are kept in memory and go to the file when they are to be durable, so
 * a segment that fills up before anybody asks for that never needs a file.
 * The file holds no more than WAL bytes; after a crash what counts of it is
 * what checks out.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "repo/walarchive.h"
#include "repo/walcheck.h"
#include "repo/waltail.h"

#define OPEN_MODE 0600

struct wal_open {
	struct lineage lineage;
	uint32_t timeline;
	uint64_t start_lsn;
	char name[WAL_NAME_BYTES];
	uint8_t *data;	 /* segment_bytes */
	uint32_t len;	 /* of these received */
	uint32_t synced; /* of these durable in the file */
	int dirfd;
	int fd;	     /* -1: there is no file yet */
	bool broken; /* the file cannot be relied on: to be written anew */
};

/* ---- memory ---- */

/*
 * Buffers of segments are kept: fresh pages cost more than what is done with
 * them.
 */
#define SPARE_MAX 4
static pthread_mutex_t spare_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	uint8_t *data;
	uint32_t bytes;
} spares[SPARE_MAX];

static uint8_t *
buffer_get(uint32_t bytes)
{
	uint8_t *data = NULL;
	size_t i;

	(void)pthread_mutex_lock(&spare_lock);
	for (i = 0; i < SPARE_MAX && data == NULL; i++)
		if (spares[i].bytes == bytes)
			data = steal_ptr(&spares[i].data);
	if (data != NULL)
		spares[i - 1].bytes = 0;
	(void)pthread_mutex_unlock(&spare_lock);
	return data != NULL ? data : mem_pages(bytes);
}

static void
buffer_put(uint8_t *data, uint32_t bytes)
{
	size_t i;

	(void)pthread_mutex_lock(&spare_lock);
	for (i = 0; i < SPARE_MAX && data != NULL; i++)
		if (spares[i].data == NULL) {
			spares[i].data = steal_ptr(&data);
			spares[i].bytes = bytes;
		}
	(void)pthread_mutex_unlock(&spare_lock);
	free(data);
}

/* ---- opening ---- */

static int
open_folder(const struct lineage *l, struct err *e)
{
	const char *root = store_local_path(repo_store(l->repo));
	char key[STORE_KEY_BYTES];
	AUTO_FD int rootfd = -1;

	if (root == NULL) {
		(void)err_set(e, ERR_REFUSED,
		    "WAL cannot be received into repository \"%s\"",
		    repo_url(l->repo));
		return err_hint(e,
		    "A receiver needs a repository in a directory of this "
		    "machine.  Set \"receive = no\" for cluster \"%s\" and use "
		    "archive_command.",
		    l->cluster);
	}
	rootfd = file_open_dir(root, e);
	if (rootfd == -1)
		return -1;
	(void)lineage_key(l, key, WAL_OPEN_FOLDER);
	if (faccessat(rootfd, key, F_OK, 0) == -1 &&
	    file_mkdirs_at(rootfd, key, 0700, e) == -1)
		return -1;
	return file_open_at(rootfd, key, O_RDONLY | O_DIRECTORY, 0, e);
}

/* Read what an earlier receiver left and keep what of it is WAL. */
static int
take_over(struct wal_open *o, struct err *e)
{
	uint32_t bytes = o->lineage.facts.segment_bytes;
	ssize_t got;

	o->fd = openat(o->dirfd, o->name, O_RDWR | O_CLOEXEC);
	if (o->fd == -1)
		return errno == ENOENT
		    ? 0
		    : err_sys(e, "could not open \"%s\"", o->name);
	got = file_pread_full(o->fd, o->data, bytes, 0, o->name, e);
	if (got == -1)
		return -1;
	if (wal_check_prefix(&o->lineage, o->timeline, o->start_lsn, o->data,
		(uint32_t)got, &o->len, e) == -1)
		return err_ctx(e, "open WAL segment \"%s\"", o->name);
	if (ftruncate(o->fd, o->len) == -1)
		return err_sys(e, "could not truncate \"%s\"", o->name);
	/* What another process wrote may not be durable yet. */
	if (file_sync_fd(o->fd, o->name, e) == -1 ||
	    file_sync_dir_at(o->dirfd, ".", e) == -1)
		return -1;
	o->synced = o->len;
	return 0;
}

struct wal_open *
wal_open_segment(const struct lineage *l, uint32_t timeline, uint64_t lsn,
    uint64_t *valid_lsn, struct err *e)
{
	AUTO_WAL_OPEN struct wal_open *o = mem_zalloc(sizeof(*o));
	uint32_t bytes = l->facts.segment_bytes;

	o->lineage = *l;
	o->timeline = timeline;
	o->start_lsn = wal_segment_start(lsn, bytes);
	o->fd = -1;
	(void)wal_name(timeline, lsn, bytes, o->name);
	o->dirfd = open_folder(l, e);
	if (o->dirfd == -1)
		return NULL;
	o->data = buffer_get(bytes);
	if (take_over(o, e) == -1)
		return NULL;
	*valid_lsn = o->start_lsn + o->len;
	return steal_ptr(&o);
}

void
wal_open_close(struct wal_open *o)
{
	if (o == NULL)
		return;
	if (o->fd != -1)
		(void)close(o->fd);
	if (o->dirfd != -1)
		(void)close(o->dirfd);
	buffer_put(o->data, o->lineage.facts.segment_bytes);
	free(o);
}

/* ---- bytes ---- */

int
wal_open_write(struct wal_open *o, uint64_t lsn, const uint8_t *data,
    size_t len, struct err *e)
{
	uint32_t bytes = o->lineage.facts.segment_bytes;
	char at[LSN_TEXT_BYTES], end[LSN_TEXT_BYTES];
	size_t offset, known;

	if (lsn < o->start_lsn || lsn > wal_open_end(o) ||
	    len > o->start_lsn + bytes - lsn)
		return err_set(e, ERR_BUG,
		    "%zu bytes of WAL at %s do not belong at %s of segment "
		    "\"%s\"",
		    len, lsn_text(lsn, at), lsn_text(wal_open_end(o), end),
		    o->name);
	offset = (size_t)(lsn - o->start_lsn);
	known = o->len - offset < len ? o->len - offset : len;
	if (memcmp(o->data + offset, data, known) != 0)
		return err_set(e, ERR_CONFLICT,
		    "WAL at %s of timeline %u differs from what was received "
		    "before",
		    lsn_text(lsn, at), o->timeline);
	(void)memcpy(o->data + offset + known, data + known, len - known);
	o->len += (uint32_t)(len - known);
	return 0;
}

/* Write the file anew: what a failed fsync left of it nobody knows. */
static int
write_anew(struct wal_open *o, struct err *e)
{
	if (o->fd != -1)
		(void)close(steal_fd(&o->fd));
	if (file_publish_at(o->dirfd, o->name, o->data, o->len, OPEN_MODE,
		FILE_REPLACE, e) == -1)
		return -1;
	o->fd = file_open_at(o->dirfd, o->name, O_RDWR, 0, e);
	if (o->fd == -1)
		return -1;
	o->broken = false;
	o->synced = o->len;
	return 0;
}

static int
append(struct wal_open *o, struct err *e)
{
	if (file_pwrite_all(o->fd, o->data + o->synced, o->len - o->synced,
		o->synced, o->name, e) == -1)
		return -1;
	if (fdatasync(o->fd) == -1)
		return err_sys(e, "could not flush \"%s\"", o->name);
	o->synced = o->len;
	return 0;
}

int
wal_open_sync(struct wal_open *o, struct err *e)
{
	if (o->synced == o->len && !o->broken)
		return 0;
	/* Until it succeeds the file is not what we think. */
	if (o->fd == -1 || o->broken)
		return write_anew(o, e);
	o->broken = true;
	if (append(o, e) == -1)
		return -1;
	o->broken = false;
	return 0;
}

int
wal_open_cut(struct wal_open *o, uint64_t lsn, struct err *e)
{
	uint32_t len = lsn <= o->start_lsn ? 0 : (uint32_t)(lsn - o->start_lsn);

	if (len >= o->len)
		return 0;
	o->len = len;
	if (o->synced <= len)
		return 0;
	o->synced = len;
	if (ftruncate(o->fd, len) == -1)
		return err_sys(e, "could not truncate \"%s\"", o->name);
	return file_sync_fd(o->fd, o->name, e);
}

uint64_t
wal_open_end(const struct wal_open *o)
{
	return o->start_lsn + o->len;
}

uint64_t
wal_open_synced_end(const struct wal_open *o)
{
	return o->start_lsn + o->synced;
}

bool
wal_open_full(const struct wal_open *o)
{
	return o->len == o->lineage.facts.segment_bytes;
}

const uint8_t *
wal_open_data(const struct wal_open *o)
{
	return o->data;
}

const char *
wal_open_name(const struct wal_open *o)
{
	return o->name;
}

/* ---- the end ---- */

int
wal_open_discard(struct wal_open *o, struct err *e)
{
	if (o->fd != -1)
		(void)close(steal_fd(&o->fd));
	return file_unlink_at(o->dirfd, o->name, e);
}

int
wal_open_to_partial(struct wal_open *o, struct err *e)
{
	if (wal_store_partial(&o->lineage, o->name, o->data, o->len, e) == -1)
		return -1;
	return wal_open_discard(o, e);
}
