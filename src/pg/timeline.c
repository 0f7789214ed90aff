#include <stdlib.h>

#include "base/mem.h"
#include "pg/label.h"
#include "pg/scan.h"

static void
history_drop(struct timeline_history *h)
{
	timeline_history_free(h);
}

void
timeline_history_free(struct timeline_history *h)
{
	free(h->entries);
	h->entries = NULL;
	h->count = 0;
}

/* One more, which begins where the one before ends. */
static void
history_add(struct timeline_history *h, uint32_t timeline, uint64_t end_lsn)
{
	struct timeline_entry *entry;

	h->entries = mem_rearray(h->entries, h->count + 1, sizeof(*h->entries));
	entry = &h->entries[h->count];
	entry->timeline = timeline;
	entry->begin_lsn = h->count == 0 ? 0 : entry[-1].end_lsn;
	entry->end_lsn = end_lsn;
	h->count++;
}

/* "parent TLI, switch point, reason"; blank lines and comments say nothing. */
static int
take_line(struct timeline_history *h, struct scan *line, struct err *e)
{
	const struct timeline_entry *last;
	uint32_t timeline;
	uint64_t end_lsn;
	size_t left;

	scan_blanks(line);
	if (line->left == 0 || *line->p == '#')
		return 0;
	if (!scan_u32(line, &timeline) || timeline == 0)
		return err_set(e, ERR_CORRUPT,
		    "timeline history: a line has no timeline number");
	left = line->left;
	scan_blanks(line);
	if (line->left == left || !scan_lsn(line, &end_lsn))
		return err_set(e, ERR_CORRUPT,
		    "timeline history: timeline %u has no switch point",
		    timeline);
	last = h->count == 0 ? NULL : &h->entries[h->count - 1];
	if (last != NULL && timeline <= last->timeline)
		return err_set(e, ERR_CORRUPT,
		    "timeline history: timeline %u follows timeline %u",
		    timeline, last->timeline);
	if (last != NULL && end_lsn < last->end_lsn)
		return err_set(e, ERR_CORRUPT,
		    "timeline history: timeline %u ends before it begins",
		    timeline);
	history_add(h, timeline, end_lsn);
	return 0;
}

int
timeline_history_parse(struct timeline_history *h, uint32_t timeline,
    const void *text, size_t len, struct err *e)
{
	AUTO(history_drop) struct timeline_history found = { NULL, 0 };
	struct scan s = { text, len }, line;

	while (scan_line(&s, &line))
		if (take_line(&found, &line, e) == -1)
			return -1;
	if (timeline == 0 ||
	    (found.count > 0 &&
		timeline <= found.entries[found.count - 1].timeline))
		return err_set(e, ERR_CORRUPT,
		    "timeline history: timeline %u is not a child of its "
		    "parents",
		    timeline);
	history_add(&found, timeline, UINT64_MAX);
	*h = found;
	found.entries = NULL;
	return 0;
}

uint32_t
timeline_at(const struct timeline_history *h, uint64_t lsn)
{
	size_t i;

	/* The last one has no end, whatever lsn is. */
	for (i = 0; i + 1 < h->count; i++)
		if (lsn < h->entries[i].end_lsn)
			break;
	return h->entries[i].timeline;
}

bool
timeline_contains(
    const struct timeline_history *h, uint32_t timeline, uint64_t lsn)
{
	size_t i;

	for (i = 0; i < h->count; i++)
		if (h->entries[i].timeline == timeline)
			return lsn >= h->entries[i].begin_lsn &&
			    lsn <= h->entries[i].end_lsn;
	return false;
}
