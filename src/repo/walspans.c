/*
 * walspans: what WAL is there, as spans without a hole.
 */

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "repo/walarchive.h"
#include "repo/walstored.h"
#include "repo/waltail.h"

struct spans {
	struct wal_span *list;
	size_t count, cap;
};

/* [start, end) of timeline, joined to the last span when it follows it. */
static void
add(struct spans *s, uint32_t timeline, uint64_t start_lsn, uint64_t end_lsn,
    bool open_end)
{
	struct wal_span *last = s->count == 0 ? NULL : &s->list[s->count - 1];

	if (last != NULL && last->timeline == timeline &&
	    last->end_lsn == start_lsn) {
		last->end_lsn = end_lsn;
		last->open_end = open_end;
		return;
	}
	if (s->count == s->cap) {
		s->cap = s->cap == 0 ? 16 : 2 * s->cap;
		s->list = mem_rearray(s->list, s->cap, sizeof(*s->list));
	}
	s->list[s->count++] = (struct wal_span){
		.timeline = timeline,
		.start_lsn = start_lsn,
		.end_lsn = end_lsn,
		.open_end = open_end,
	};
}

/* ---- one timeline ---- */

/* What is known of one segment: whole, or up to where. */
struct seen {
	uint64_t lsn;
	uint64_t end_lsn;
	bool whole;
};

struct seen_list {
	struct seen *list;
	size_t count, cap;
};

static void
see(struct seen_list *s, uint64_t lsn, uint64_t end_lsn, bool whole)
{
	if (s->count == s->cap) {
		s->cap = s->cap == 0 ? 256 : 2 * s->cap;
		s->list = mem_rearray(s->list, s->cap, sizeof(*s->list));
	}
	s->list[s->count++] = (struct seen){ lsn, end_lsn, whole };
}

static void
see_name(
    struct seen_list *s, const char *name, uint32_t timeline, uint32_t bytes)
{
	char segment[WAL_NAME_BYTES];
	uint32_t of;
	uint64_t lsn, end;

	if (wal_name_parse(name, bytes, &of, &lsn)) {
		if (of == timeline)
			see(s, lsn, lsn + bytes, true);
	} else if (walstored_parse_partial(name, segment, &end) &&
	    wal_name_parse(segment, bytes, &of, &lsn) && of == timeline &&
	    end > lsn && end <= lsn + bytes)
		see(s, lsn, end, false);
}

/* All stored segments and partials of a timeline's folder. */
static int
see_folder(const struct lineage *l, uint32_t timeline, struct seen_list *s,
    struct err *e)
{
	char key[STORE_KEY_BYTES];
	char **logs = NULL, **names = NULL;
	size_t log_count, count, i, j;
	int rc;

	rc = store_list(repo_store(l->repo),
	    lineage_key(l, key, "wal/%08X", timeline), &logs, &log_count, e);
	for (i = 0; rc == 0 && i < log_count; i++) {
		rc = store_list(repo_store(l->repo),
		    lineage_key(l, key, "wal/%08X/%.8s", timeline, logs[i]),
		    &names, &count, e);
		for (j = 0; rc == 0 && j < count; j++)
			see_name(s, names[j], timeline, l->facts.segment_bytes);
		store_names_free(steal_ptr(&names));
	}
	store_names_free(logs);
	return rc;
}

static int
see_open(const struct lineage *l, uint32_t timeline, struct seen_list *s,
    struct err *e)
{
	char **names = NULL;
	size_t count, i;
	uint32_t of, valid;
	uint64_t lsn;
	int rc = wal_tail_open_names(l, &names, &count, e);

	/* The newest first: while it is read the one before only grows, and is
	 * full when that has begun. */
	for (i = count; rc == 0 && i-- > 0;) {
		if (!wal_name_parse(
			names[i], l->facts.segment_bytes, &of, &lsn) ||
		    of != timeline)
			continue;
		switch (wal_tail_open(l, names[i], NULL, &valid, e)) {
		case 1:
			if (valid > 0)
				see(s, lsn, lsn + valid, false);
			break;
		case 0: /* it was stored meanwhile */
			break;
		default:
			rc = -1;
		}
	}
	store_names_free(names);
	return rc;
}

/* By position; what reaches further first. */
static int
seen_order(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	if (x->lsn != y->lsn)
		return x->lsn < y->lsn ? -1 : 1;
	if (x->whole != y->whole)
		return x->whole ? -1 : 1;
	return x->end_lsn == y->end_lsn ? 0 : x->end_lsn > y->end_lsn ? -1 : 1;
}

static int
spans_of_timeline(const struct lineage *l, uint32_t timeline, struct spans *out,
    struct err *e)
{
	struct seen_list s = { 0 };
	size_t i;
	int rc;

	/* Open first: what is stored meanwhile is then seen as whole. */
	rc = see_open(l, timeline, &s, e) == -1 ||
		see_folder(l, timeline, &s, e) == -1
	    ? -1
	    : 0;
	if (rc == 0 && s.count > 0)
		qsort(s.list, s.count, sizeof(*s.list), seen_order);
	for (i = 0; rc == 0 && i < s.count; i++)
		if (i == 0 || s.list[i].lsn != s.list[i - 1].lsn)
			add(out, timeline, s.list[i].lsn, s.list[i].end_lsn,
			    !s.list[i].whole);
	free(s.list);
	return rc;
}

/* ---- all timelines ---- */

struct timelines {
	uint32_t *list;
	size_t count, cap;
};

static void
note_timeline(struct timelines *t, uint32_t timeline)
{
	size_t i;

	for (i = 0; i < t->count; i++)
		if (t->list[i] == timeline)
			return;
	if (t->count == t->cap) {
		t->cap = t->cap == 0 ? 16 : 2 * t->cap;
		t->list = mem_rearray(t->list, t->cap, sizeof(*t->list));
	}
	t->list[t->count++] = timeline;
}

static bool
is_timeline_folder(const char *name, uint32_t *timeline)
{
	if (strspn(name, "0123456789ABCDEF") != 8 || strcmp(name + 8, "/") != 0)
		return false;
	*timeline = (uint32_t)strtoul(name, NULL, 16);
	return *timeline != 0;
}

static int
timeline_order(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x == *y ? 0 : *x < *y ? -1 : 1;
}

/* Every timeline with WAL here, ascending; of histories too when wanted. */
static int
timelines_list(
    const struct lineage *l, bool histories, struct timelines *t, struct err *e)
{
	char key[STORE_KEY_BYTES];
	char **names = NULL;
	size_t count, i;
	uint32_t timeline;
	uint64_t lsn;

	if (store_list(repo_store(l->repo), lineage_key(l, key, "wal"), &names,
		&count, e) == -1)
		return -1;
	for (i = 0; i < count; i++)
		if (is_timeline_folder(names[i], &timeline) ||
		    (histories && wal_name_is_history(names[i], &timeline)))
			note_timeline(t, timeline);
	store_names_free(steal_ptr(&names));
	if (wal_tail_open_names(l, &names, &count, e) == -1)
		return -1;
	for (i = 0; i < count; i++)
		if (wal_name_parse(
			names[i], l->facts.segment_bytes, &timeline, &lsn))
			note_timeline(t, timeline);
	store_names_free(names);
	if (t->count > 0)
		qsort(t->list, t->count, sizeof(*t->list), timeline_order);
	return 0;
}

static int
look(const struct lineage *l, struct spans *s, struct err *e)
{
	struct timelines t = { 0 };
	size_t i;
	int rc;

	rc = timelines_list(l, false, &t, e);
	for (i = 0; rc == 0 && i < t.count; i++)
		rc = spans_of_timeline(l, t.list[i], s, e);
	free(t.list);
	return rc;
}

static bool
has_hole(const struct spans *s)
{
	size_t i;

	for (i = 1; i < s->count; i++)
		if (s->list[i].timeline == s->list[i - 1].timeline)
			return true;
	return false;
}

/* Behind each hole WAL begins where it did. */
static bool
same_holes(const struct spans *a, const struct spans *b)
{
	size_t i;

	for (i = 0; i < a->count && i < b->count; i++)
		if (a->list[i].timeline != b->list[i].timeline ||
		    a->list[i].start_lsn != b->list[i].start_lsn)
			return false;
	return a->count == b->count;
}

/*
 * A folder that is read while files come and go need not show one that came between
 * two that it shows: a hole is one that a second look finds as well.
 */
#define LOOKS_MAX 5

int
wal_spans(const struct lineage *l, struct wal_span **spans, size_t *count,
    struct err *e)
{
	struct spans s = { 0 }, before = { 0 };
	int rc = look(l, &s, e), looks = 1;

	while (rc == 0 && has_hole(&s) && looks < LOOKS_MAX &&
	    (looks == 1 || !same_holes(&before, &s))) {
		free(before.list);
		before = s;
		s = (struct spans){ 0 };
		rc = look(l, &s, e);
		looks++;
	}
	free(before.list);
	if (rc == -1) {
		free(s.list);
		return -1;
	}
	*spans = s.list;
	*count = s.count;
	return 0;
}

int
wal_newest_timeline(const struct lineage *l, uint32_t *timeline, struct err *e)
{
	struct timelines t = { 0 };
	int rc = timelines_list(l, true, &t, e);

	*timeline = rc == 0 && t.count > 0 ? t.list[t.count - 1] : 0;
	free(t.list);
	return rc;
}
