/*
 * windows: the spans of time to which a cluster can be restored.
 *
 * On one history, backups whose WAL ends at the same place share a window: the
 * oldest of them opens it.  A window whose end lies on a newer history too is
 * part of that history's window.
 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "pg/lsn.h"
#include "repo/archive_view.h"
#include "repo/target.h"

struct list {
	struct window *windows;
	size_t count;
	struct timeline_history *newer; /* histories done */
	size_t newer_count;
};

static void
list_free(struct list *list)
{
	size_t i;

	for (i = 0; i < list->newer_count; i++)
		timeline_history_free(&list->newer[i]);
	free(list->newer);
	free(list->windows);
}

/* Is there a window with this end already, of this history (from first on) or
 * of a newer one that goes through it? */
static bool
is_known(const struct list *list, size_t first, const struct find_range *range)
{
	uint32_t timeline =
	    timeline_at(range->path->history, range->end_lsn - 1);
	size_t i;

	for (i = first; i < list->count; i++)
		if (list->windows[i].to_lsn == range->end_lsn)
			return true;
	for (i = 0; i < list->newer_count; i++)
		if (timeline_contains(
			&list->newer[i], timeline, range->end_lsn))
			return true;
	return false;
}

static int
add_window(struct list *list, const struct view_backup *b, uint32_t timeline,
    const struct find_range *range, struct err *e)
{
	struct window *w;
	int64_t commit_us;

	list->windows = mem_rearray(
	    list->windows, list->count + 1, sizeof(list->windows[0]));
	w = &list->windows[list->count];
	(void)memset(w, 0, sizeof(*w));
	(void)memcpy(w->backup_id, b->id, sizeof(w->backup_id));
	w->timeline = timeline;
	w->from_lsn = range->stop_lsn;
	w->to_lsn = range->end_lsn;
	w->from_us = range->consistent_us;
	w->live = range->open_end && list->newer_count == 0;
	w->hole_behind = walpath_goes_on(range->path, range->end_lsn);
	if (find_known_us(range, &w->to_us, &commit_us, e) == -1)
		return -1;
	list->count++;
	return 0;
}

static int
add_timeline(
    struct list *list, struct archive_view *v, uint32_t timeline, struct err *e)
{
	struct timeline_history history;
	struct walpath path;
	struct find_range range;
	const struct view_backup *b;
	size_t i, first = list->count;
	int rc = 0;

	if (archive_view_path(v, timeline, &history, &path, e) == -1) {
		if (e->kind != ERR_NOT_FOUND)
			return -1;
		err_clear(e); /* without its history nothing leads there */
		return 0;
	}
	for (i = 0; rc == 0 && i < v->backup_count; i++) {
		rc = archive_view_backup(v, i, &b, e);
		if (rc == 0 && archive_view_range(v, b, &path, &range) &&
		    !is_known(list, first, &range))
			rc = add_window(list, b, timeline, &range, e);
	}
	list->newer = mem_rearray(
	    list->newer, list->newer_count + 1, sizeof(list->newer[0]));
	list->newer[list->newer_count++] = history;
	return rc;
}

static int
compare_windows(const void *pa, const void *pb)
{
	const struct window *a = pa, *b = pb;

	if (a->from_us != b->from_us)
		return a->from_us < b->from_us ? -1 : 1;
	if (a->from_lsn != b->from_lsn)
		return a->from_lsn < b->from_lsn ? -1 : 1;
	return a->timeline < b->timeline ? -1 : a->timeline > b->timeline;
}

int
windows_list(const struct lineage *l, struct window **windows, size_t *count,
    struct err *e)
{
	AUTO_ARCHIVE_VIEW struct archive_view v = { 0 };
	AUTO(list_free) struct list list = { 0 };
	struct err own = ERR_INIT;
	size_t i;

	*windows = NULL;
	*count = 0;
	if (e == NULL)
		e = &own;
	if (archive_view_open(&v, l, e) == -1)
		return -1;
	for (i = 0; i < v.timeline_count; i++)
		if (add_timeline(&list, &v, v.timelines[i], e) == -1)
			return -1;
	if (list.count > 0)
		qsort(list.windows, list.count, sizeof(list.windows[0]),
		    compare_windows);
	*count = list.count;
	*windows = steal_ptr(&list.windows);
	return 0;
}

void
windows_describe(
    const struct window *windows, size_t count, char *out, size_t bytes)
{
	char from[CLOCK_TEXT_BYTES], to[CLOCK_TEXT_BYTES], one[160];
	size_t i, len = 0, n;

	out[0] = '\0';
	for (i = count; i-- > 0;) {
		(void)snprintf(one, sizeof(one), "%s to %s (timeline %u)%s",
		    clock_local(windows[i].from_us, from),
		    clock_local(windows[i].to_us, to), windows[i].timeline,
		    len == 0 ? "" : " or ");
		n = strlen(one);
		if (len + n >= bytes)
			return;
		(void)memmove(out + n, out, len + 1);
		(void)memcpy(out, one, n);
		len += n;
	}
}
