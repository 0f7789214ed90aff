/*
 * restore_walk: every entry of the backup in stored order: folders are made,
 * files go into the pipe, and each file gets its line in backup_manifest.
 */

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/child.h"
#include "base/file.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "jobs/restore_job.h"
#include "pg/pgmanifest.h"

#define CONFIG_FILE_BYTES_MAX ((uint64_t)16 << 20)
#define CONFIG_FILES_MAX      1000
#define EMIT_BYTES	      ((size_t)1 << 18)

struct walk {
	struct restore *r;
	struct rpipe *pipe;
	struct fill *fill; /* for configuration */
	struct pgmanifest_writer *manifest;
	int manifest_fd;
	struct buf pending; /* manifest bytes not written yet */
};

/* ---- the manifest ---- */

static int
flush_manifest(struct walk *w, struct err *e)
{
	if (file_write_all(w->manifest_fd, w->pending.data, w->pending.len,
		"backup_manifest", e) == -1)
		return -1;
	buf_clear(&w->pending);
	return 0;
}

static int
emit(void *arg, const void *data, size_t len, struct err *e)
{
	struct walk *w = arg;

	buf_put(&w->pending, data, len);
	return w->pending.len < EMIT_BYTES ? 0 : flush_manifest(w, e);
}

static int
manifest_add(struct walk *w, const char *path, uint64_t bytes, int64_t mtime_s,
    uint32_t crc, struct err *e)
{
	struct pgmanifest_file f = { path, bytes, mtime_s, true, crc };

	return pgmanifest_add_file(w->manifest, &f, e);
}

static int
manifest_begin(struct walk *w, struct err *e)
{
	const struct root *root = &w->r->root;
	int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW;

	w->manifest_fd =
	    file_open_at(w->r->place.fd, "backup_manifest", flags, 0600, e);
	if (w->manifest_fd == -1)
		return -1;
	w->manifest = pgmanifest_writer_new(
	    root->manifest_version, root->facts.system_id, emit, w);
	return 0;
}

static int
manifest_end(struct walk *w, struct err *e)
{
	const struct root *root = &w->r->root;
	int fd = w->manifest_fd;

	if (pgmanifest_finish(
		w->manifest, root->ranges, root->range_count, e) == -1 ||
	    flush_manifest(w, e) == -1 ||
	    place_own(&w->r->place, fd, "backup_manifest", 0640, e) == -1)
		return -1;
	w->manifest_fd = -1;
	if (close(fd) == -1)
		return err_sys(e, "could not close \"backup_manifest\"");
	return 0;
}

/* The label that is written is not the one that was stored: no lines of an
 * incremental backup. */
static int
manifest_add_label(struct walk *w, int64_t mtime_s, struct err *e)
{
	AUTO_BUF struct buf label = BUF_INIT;

	restore_label(w->r, &label);
	return manifest_add(w, "backup_label", label.len, mtime_s,
	    crc32c(0, label.data, label.len), e);
}

/* ---- entries ---- */

static int
on_directory(struct walk *w, const struct entry *entry, struct err *e)
{
	if (entry->path[0] == '\0')
		return 0; /* the data directory itself */
	return place_mkdirs(&w->r->place, entry->path, entry->mode, e);
}

static int
on_file(struct walk *w, const struct entry *entry, struct err *e)
{
	struct restore *r = w->r;
	struct entry named;
	struct rfile *f;

	if (strcmp(entry->path, "backup_label") == 0)
		return manifest_add_label(w, entry->mtime_s, e);
	/* We make the links ourselves. */
	if (strcmp(entry->path, "tablespace_map") == 0)
		return 0;
	if (strcmp(entry->path, "postgresql.conf") == 0)
		r->has_main_config = true;
	if (manifest_add(w, entry->path, entry->size_bytes, entry->mtime_s,
		entry->crc32c, e) == -1)
		return -1;
	if (strcmp(entry->path, PLACE_CONTROL) != 0) {
		f = rfile_new(&r->place, entry, r->packs, e);
	} else {
		named = *entry;
		(void)strcpy(named.path, PLACE_CONTROL_NEW);
		f = rfile_new(&r->place, &named, r->packs, e);
	}
	return f == NULL ? -1 : rpipe_add(w->pipe, f, e);
}

/* Configuration is small and few: kept in memory until it is known where it
 * goes. */
static int
on_config(struct walk *w, const struct entry *entry, struct err *e)
{
	struct restore *r = w->r;
	AUTO_FILEMAP struct filemap map;
	struct restore_config *c;
	uint32_t count = entry_blocks(entry->size_bytes);
	AUTO_FREE struct block_place *places = NULL;

	filemap_init(&map);
	if (entry->size_bytes > CONFIG_FILE_BYTES_MAX ||
	    r->config_count == CONFIG_FILES_MAX)
		return err_set(e, ERR_CORRUPT,
		    "kept configuration \"%s\" is too large", entry->path);
	if (entry_map(entry, r->packs, &map, e) == -1)
		return -1;
	r->configs =
	    mem_rearray(r->configs, r->config_count + 1, sizeof(r->configs[0]));
	c = &r->configs[r->config_count++];
	(void)memset(c, 0, sizeof(*c));
	c->name = mem_strdup(entry->path + strlen("config/"));
	places = mem_array(count, sizeof(places[0]));
	if (filemap_places(&map, r->packs, 0, count, places, e) == -1 ||
	    fill_blocks(w->fill, places, count,
		buf_reserve(&c->text, (size_t)entry->size_bytes),
		(size_t)entry->size_bytes, e) == -1)
		return -1;
	c->text.len = (size_t)entry->size_bytes;
	return 0;
}

static int
on_entry(void *arg, const struct entry *entry, struct err *e)
{
	struct walk *w = arg;

	if (child_check_stop(e) == -1)
		return -1;
	switch (entry->kind) {
	case ENTRY_DIRECTORY:
		return on_directory(w, entry, e);
	case ENTRY_FILE:
		return on_file(w, entry, e);
	case ENTRY_ATTACHMENT:
		if (strncmp(entry->path, "config/", strlen("config/")) == 0)
			return on_config(w, entry, e);
		return 0;
	}
	return err_set(e, ERR_CORRUPT, "entry of an unknown kind");
}

/* Kept configuration that goes into the data directory is part of it, also for
 * pg_verifybackup. */
static int
manifest_add_config(struct walk *w, struct err *e)
{
	const struct restore *r = w->r;
	size_t i;

	if (r->has_main_config || r->options->config_dir != NULL)
		return 0;
	for (i = 0; i < r->config_count; i++) {
		const struct restore_config *c = &r->configs[i];
		AUTO_FREE char *path =
		    file_join(RESTORE_CONFIG_FOLDER, c->name);

		if (manifest_add(w, path, c->text.len, 0,
			crc32c(0, c->text.data, c->text.len), e) == -1)
			return -1;
	}
	return 0;
}

static void
walk_free(struct walk *w)
{
	rpipe_free(w->pipe);
	fill_free(w->fill);
	pgmanifest_writer_free(w->manifest);
	buf_free(&w->pending);
	if (w->manifest_fd != -1)
		(void)close(w->manifest_fd);
}

static unsigned int
worker_count(const struct restore *r)
{
	return r->options->workers != 0 ? r->options->workers
					: r->cluster->workers;
}

int
restore_walk(struct restore *r, struct err *e)
{
	AUTO(walk_free) struct walk w = { r, NULL, NULL, NULL, -1, BUF_INIT };
	struct rpipe_counts counts;

	w.fill = fill_new(r->packs, PACK_FRAME_RAW_MAX);
	w.pipe = rpipe_new(
	    r->packs, r->lineage.block_key, worker_count(r), r->progress, e);
	if (w.pipe == NULL || manifest_begin(&w, e) == -1 ||
	    root_walk(&r->root, r->packs, on_entry, &w, e) == -1 ||
	    manifest_add_config(&w, e) == -1 || manifest_end(&w, e) == -1)
		return -1;
	if (rpipe_finish(w.pipe, &counts, e) == -1)
		return -1;
	r->result->read_bytes = counts.read_bytes;
	r->result->written_bytes = counts.written_bytes;
	r->result->kept_blocks = counts.kept_blocks;
	r->result->written_blocks = counts.written_blocks;
	return 0;
}
