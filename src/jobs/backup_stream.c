/*
 * backup_stream: what the server sends, into the intake.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "jobs/backup_int.h"
#include "pg/label.h"
#include "pg/pgmanifest.h"

#define CAPTURE_BYTES_MAX ((size_t)16 << 20)
#define CONFIG_BYTES_MAX  ((size_t)1 << 20)

/* ---- members of a tar ---- */

static int
member_begin(void *arg, const struct tar_member *m, struct err *e)
{
	struct backup *b = arg;
	char path[PACK_PATH_BYTES + sizeof(b->prefix)];
	bool file = m->kind == TAR_FILE;

	if (m->kind == TAR_SYMLINK)
		return 0; /* a tablespace's: we know it from the server */
	(void)snprintf(path, sizeof(path), "%s%s", b->prefix, m->path);
	b->capture = NULL;
	if (strcmp(path, "backup_label") == 0) {
		b->capture = &b->root.backup_label;
		/* Made by the server just now. */
		b->clock_ahead_us =
		    clock_now_us() - m->mtime_s * CLOCK_SECOND_US;
	} else if (strcmp(path, "tablespace_map") == 0)
		b->capture = &b->root.tablespace_map;
	if (b->capture != NULL && m->size_bytes > CAPTURE_BYTES_MAX)
		return err_set(e, ERR_CORRUPT, "\"%s\" has %llu bytes", path,
		    (unsigned long long)m->size_bytes);
	b->in_file = true;
	return intake_begin(b->intake, file ? ENTRY_FILE : ENTRY_DIRECTORY,
	    path, m->mode, m->mtime_s, file ? m->size_bytes : 0, e);
}

static int
member_data(void *arg, const void *data, size_t len, struct err *e)
{
	struct backup *b = arg;

	if (b->capture != NULL)
		buf_put(b->capture, data, len);
	return intake_data(b->intake, data, len, e);
}

static int
member_end(void *arg, struct err *e)
{
	struct backup *b = arg;

	if (!b->in_file)
		return 0;
	b->in_file = false;
	b->capture = NULL;
	return intake_end(b->intake, e);
}

static const struct tarstream_ops member_ops = { member_begin, member_data,
	member_end };

/* ---- the stream ---- */

static int
keep_tablespaces(struct backup *b, const struct basebackup_start *start)
{
	struct root *r = &b->root;
	size_t i;

	r->tablespaces =
	    mem_zarray(start->tablespace_count, sizeof(r->tablespaces[0]));
	for (i = 0; i < start->tablespace_count; i++) {
		if (start->tablespaces[i].oid == 0)
			continue;
		r->tablespaces[r->tablespace_count++] =
		    (struct root_tablespace){ start->tablespaces[i].oid,
			    mem_strdup(start->tablespaces[i].location) };
	}
	return 0;
}

/* The data directory itself: its mode. */
static int
store_top(struct backup *b, struct err *e)
{
	const char *mode = strmap_get(b->root.settings, "data_directory_mode");

	if (intake_begin(b->intake, ENTRY_DIRECTORY, "",
		mode == NULL ? 0700 : (uint32_t)strtoul(mode, NULL, 8), 0, 0,
		e) == -1)
		return -1;
	return intake_end(b->intake, e);
}

static int
started(void *arg, const struct basebackup_start *start, struct err *e)
{
	struct backup *b = arg;
	struct intake_options options = { .backup_id = b->intent.id,
		.level = b->cluster->compress_level,
		.workers = b->cluster->workers,
		.parent_exists = b->has_parent,
		.check_pages =
		    b->cluster->verify_pages && b->lineage.facts.checksums,
		.segment_blocks = b->segment_blocks };

	b->root.start_lsn = start->start_lsn;
	b->root.start_timeline = start->timeline;
	progress_set_total(b->progress, start->total_bytes);
	progress_note(b->progress, "");
	if (keep_tablespaces(b, start) == -1 ||
	    backup_wal_start(b, start->start_lsn, e) == -1)
		return -1;
	b->intake = intake_new(&b->lineage, b->packset, b->parent, &options, e);
	return b->intake == NULL ? -1 : store_top(b, e);
}

static int
archive_begin(
    void *arg, const struct basebackup_tablespace *tablespace, struct err *e)
{
	struct backup *b = arg;

	(void)e;
	b->prefix[0] = '\0';
	if (tablespace->oid != 0)
		(void)snprintf(b->prefix, sizeof(b->prefix), "pg_tblspc/%u/",
		    tablespace->oid);
	b->tar = tarstream_new(&member_ops, b);
	return 0;
}

static int
archive_data(void *arg, const void *data, size_t len, struct err *e)
{
	struct backup *b = arg;

	rate_wait(&b->rate, len);
	progress_add(b->progress, len);
	return tarstream_write(b->tar, data, len, e);
}

static int
archive_end(void *arg, struct err *e)
{
	struct backup *b = arg;

	if (tarstream_finish(b->tar, e) == -1)
		return -1;
	tarstream_free(steal_ptr(&b->tar));
	return 0;
}

static int
manifest_data(void *arg, const void *data, size_t len, struct err *e)
{
	struct backup *b = arg;

	if (b->manifest.len + len > PGMANIFEST_BYTES_MAX)
		return err_set(e, ERR_CORRUPT, "backup manifest is too large");
	buf_put(&b->manifest, data, len);
	return 0;
}

static void
notice(void *arg, const char *severity, const char *text)
{
	struct backup *b = arg;

	log_event(LOG_LEVEL_WARNING, "server_notice", text, "cluster",
	    b->cluster->name, "severity", severity, NULL);
}

const struct basebackup_ops backup_stream_ops = {
	.started = started,
	.archive_begin = archive_begin,
	.archive_data = archive_data,
	.archive_end = archive_end,
	.manifest_data = manifest_data,
	.notice = notice,
};

int
backup_read_label(struct backup *b, struct err *e)
{
	const struct buf *text = &b->root.backup_label;
	struct backup_label label;

	if (backup_label_parse(&label, text->data, text->len, e) == -1)
		return err_ctx(e, "backup_label");
	if (label.start_lsn != b->root.start_lsn)
		return err_set(e, ERR_CORRUPT,
		    "backup_label is of another backup than the server began");
	b->root.from_standby = label.from_standby;
	return 0;
}

/* ---- attachments ---- */

static int
attach(struct backup *b, const char *name, const void *data, size_t len,
    uint32_t mode, struct err *e)
{
	if (intake_begin(b->intake, ENTRY_ATTACHMENT, name, mode, 0, len, e) ==
		-1 ||
	    (len > 0 && intake_data(b->intake, data, len, e) == -1))
		return -1;
	return intake_end(b->intake, e);
}

int
backup_store_manifest(struct backup *b, struct err *e)
{
	return attach(
	    b, "backup_manifest", b->manifest.data, b->manifest.len, 0600, e);
}

/* Regular files directly in config_dir; conf.d and the like one level down. */
static int
store_config_dir(struct backup *b, int dirfd, const char *path,
    const char *name, unsigned int depth, struct err *e)
{
	char **names = NULL;
	size_t count, i;
	int rc = 0;

	if (file_list_at(dirfd, path, &names, &count, e) == -1)
		return -1;
	for (i = 0; rc == 0 && i < count; i++) {
		AUTO_FREE char *from = file_join(path, names[i]);
		AUTO_FREE char *to = file_join(name, names[i]);
		AUTO_BUF struct buf text = BUF_INIT;
		struct stat st;

		if (fstatat(dirfd, from, &st, 0) == -1)
			rc = err_sys(e, "could not stat \"%s\"", from);
		else if (S_ISDIR(st.st_mode) && depth > 0)
			rc = store_config_dir(b, dirfd, from, to, depth - 1, e);
		else if (S_ISREG(st.st_mode)) {
			rc = file_slurp_at(
			    dirfd, from, CONFIG_BYTES_MAX, &text, e);
			if (rc == 0)
				rc = attach(b, to, text.data, text.len,
				    st.st_mode & 0777, e);
		}
	}
	file_names_free(names);
	return rc;
}

int
backup_store_config(struct backup *b, struct err *e)
{
	const char *dir = b->cluster->config_dir;
	AUTO_FD int fd = -1;

	if (dir == NULL)
		return 0;
	fd = file_open_dir(dir, e);
	if (fd == -1 || store_config_dir(b, fd, ".", "config", 1, e) == -1) {
		/* Not worth a failed backup, but worth knowing. */
		log_error("config_not_kept", e);
		err_clear(e);
	}
	return 0;
}

/* ---- the server's word against ours ---- */

static int
compare_file(void *arg, const struct pgmanifest_file *f, struct err *e)
{
	struct backup *b = arg;
	uint64_t bytes;
	uint32_t crc;

	if (!intake_known(b->intake, f->path, &bytes, &crc))
		return err_set(e, ERR_CORRUPT,
		    "the server's manifest names \"%s\", which it did not send",
		    f->path);
	if (bytes != f->size_bytes || (f->has_crc32c && crc != f->crc32c))
		return err_set(e, ERR_CORRUPT,
		    "\"%s\" arrived with other bytes than the server read",
		    f->path);
	return 0;
}

int
backup_check_manifest(struct backup *b, struct err *e)
{
	static const struct pgmanifest_reader_ops ops = { .file =
							      compare_file };

	if (b->manifest.len > BACKUP_MANIFEST_CHECK_MAX)
		return 0;
	if (pgmanifest_parse(b->manifest.data, b->manifest.len, &ops, b, e) ==
	    -1)
		return err_ctx(e, "backup manifest");
	buf_free(&b->manifest);
	return 0;
}
