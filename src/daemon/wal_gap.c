#include "daemon/wal_gap.h"

#include <string.h>

#include "base/json.h"
#include "pg/label.h"
#include "repo/walarchive.h"

/* Where the backup starts: read once. */
static int
remember(struct wal_gap_memory *m, const struct lineage *l, const char *backup,
    struct err *e)
{
	AUTO_ROOT struct root root;

	root_init(&root);
	if (strcmp(m->backup, backup) == 0)
		return 0;
	if (root_read(l, backup, &root, e) == -1)
		return -1;
	*m = (struct wal_gap_memory){ .timeline = root.start_timeline,
		.start_lsn = root.start_lsn };
	(void)strncpy(m->backup, backup, sizeof(m->backup) - 1);
	return 0;
}

/* Where WAL begins again behind a hole. */
static uint64_t
next_start(const struct wal_span *spans, size_t count, uint64_t missing_lsn)
{
	uint64_t next = UINT64_MAX;
	size_t i;

	for (i = 0; i < count; i++)
		if (spans[i].start_lsn > missing_lsn &&
		    spans[i].start_lsn < next)
			next = spans[i].start_lsn;
	return next;
}

static void
set_gap(json_t *seen, uint32_t timeline, uint64_t from_lsn, uint64_t to_lsn)
{
	char text[LSN_TEXT_BYTES];
	json_t *gap = json_object();

	json_set_u64(gap, "timeline", timeline);
	json_set_str(gap, "from", lsn_text(from_lsn, text));
	json_set_str(gap, "to", lsn_text(to_lsn, text));
	(void)json_object_set_new(seen, "gap", gap);
}

/* The first hole on the way from the backup to end_lsn of a timeline; end_lsn
 * itself when there is none, or when the backup is on another branch. */
static int
first_hole(const struct wal_gap_memory *m, const struct lineage *l,
    uint32_t timeline, uint64_t end_lsn, uint64_t *missing_lsn, struct err *e)
{
	struct timeline_history h = { 0 };
	int rc = 0;

	*missing_lsn = end_lsn;
	if (wal_read_history(l, timeline, &h, NULL, e) == -1)
		return -1;
	if (timeline_contains(&h, m->timeline, m->start_lsn))
		rc = wal_covered(l, &h, m->start_lsn, end_lsn, missing_lsn, e);
	timeline_history_free(&h);
	return rc;
}

int
wal_gap_look(struct wal_gap_memory *m, const struct lineage *l,
    const char *backup, json_t *seen, struct err *e)
{
	AUTO_FREE struct wal_span *spans = NULL;
	uint64_t missing_lsn, seen_before;
	const struct wal_span *last;
	size_t count;

	if (remember(m, l, backup, e) == -1 ||
	    wal_spans(l, &spans, &count, e) == -1)
		return -1;
	if (count == 0)
		return 0;
	last = &spans[count - 1];
	if (first_hole(m, l, last->timeline, last->end_lsn, &missing_lsn, e) ==
	    -1)
		return -1;
	seen_before = m->missing_lsn;
	m->missing_lsn = missing_lsn < last->end_lsn ? missing_lsn : LSN_NONE;
	if (m->missing_lsn != LSN_NONE && m->missing_lsn == seen_before)
		set_gap(seen, last->timeline, missing_lsn,
		    next_start(spans, count, missing_lsn));
	return 0;
}
