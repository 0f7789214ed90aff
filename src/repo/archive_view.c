#include "repo/archive_view.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "pg/lsn.h"

static void
add_timeline(struct archive_view *v, uint32_t timeline)
{
	size_t i;

	for (i = 0; i < v->timeline_count; i++)
		if (v->timelines[i] == timeline)
			return;
	v->timelines = mem_rearray(
	    v->timelines, v->timeline_count + 1, sizeof(v->timelines[0]));
	for (i = v->timeline_count; i > 0 && v->timelines[i - 1] < timeline;
	     i--)
		v->timelines[i] = v->timelines[i - 1];
	v->timelines[i] = timeline;
	v->timeline_count++;
}

static int
list_backups(struct archive_view *v, struct err *e)
{
	char **ids = NULL;
	size_t i;

	if (backup_list(v->lineage, &ids, &v->backup_count, e) == -1)
		return -1;
	v->backups = mem_zarray(v->backup_count, sizeof(v->backups[0]));
	for (i = 0; i < v->backup_count; i++)
		(void)snprintf(
		    v->backups[i].id, sizeof(v->backups[i].id), "%s", ids[i]);
	store_names_free(ids);
	return 0;
}

int
archive_view_open(
    struct archive_view *v, const struct lineage *l, struct err *e)
{
	const struct view_backup *b;
	uint32_t newest;
	size_t i;

	(void)memset(v, 0, sizeof(*v));
	v->lineage = l;
	/* Backups first: their WAL was there before them. */
	if (list_backups(v, e) == -1 ||
	    wal_spans(l, &v->spans, &v->span_count, e) == -1 ||
	    wal_newest_timeline(l, &newest, e) == -1) {
		archive_view_close(v);
		return -1;
	}
	for (i = 0; i < v->span_count; i++)
		add_timeline(v, v->spans[i].timeline);
	if (newest != 0)
		add_timeline(v, newest);
	if (v->timeline_count > 0 || v->backup_count == 0)
		return 0;
	/* No WAL at all: the newest backup's timeline, to say what is missing. */
	if (archive_view_backup(v, v->backup_count - 1, &b, e) == -1) {
		archive_view_close(v);
		return -1;
	}
	add_timeline(v, b->stop_timeline);
	return 0;
}

void
archive_view_close(struct archive_view *v)
{
	free(v->backups);
	free(v->spans);
	free(v->timelines);
	(void)memset(v, 0, sizeof(*v));
}

int
archive_view_backup(struct archive_view *v, size_t i,
    const struct view_backup **backup, struct err *e)
{
	struct view_backup *b = &v->backups[i];
	AUTO_ROOT struct root root;

	root_init(&root);
	*backup = b;
	if (b->loaded)
		return 0;
	if (root_read(v->lineage, b->id, &root, e) == -1)
		return -1;
	b->start_lsn = root.start_lsn;
	b->stop_lsn = root.stop_lsn;
	b->start_timeline = root.start_timeline;
	b->stop_timeline = root.stop_timeline;
	b->consistent_us =
	    root.consistent_us != 0 ? root.consistent_us : root.finished_us;
	b->loaded = true;
	return 0;
}

int
archive_view_path(const struct archive_view *v, uint32_t timeline,
    struct timeline_history *history, struct walpath *path, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;

	(void)memset(history, 0, sizeof(*history));
	if (wal_read_history(v->lineage, timeline, history, &text, e) == -1)
		return -1;
	path->history = history;
	path->spans = v->spans;
	path->span_count = v->span_count;
	path->segment_bytes = v->lineage->facts.segment_bytes;
	return 0;
}

bool
archive_view_range(const struct archive_view *v,
    const struct view_backup *backup, const struct walpath *path,
    struct find_range *range)
{
	const struct timeline_history *h = path->history;

	if (!timeline_contains(h, backup->start_timeline, backup->start_lsn) ||
	    !timeline_contains(h, backup->stop_timeline, backup->stop_lsn))
		return false;
	range->lineage = v->lineage;
	range->path = path;
	range->start_lsn = backup->start_lsn;
	range->stop_lsn = backup->stop_lsn;
	range->consistent_us = backup->consistent_us;
	range->end_lsn = walpath_end(path, backup->start_lsn, &range->open_end);
	return range->end_lsn >= backup->stop_lsn;
}
