/*
 * verify_wal: every stored segment and partial decoded, every history there
 * and sound, no hole within a timeline nor where one leaves another.
 *
 * The open segment is not judged: what its records' checksums do not confirm
 * does not count as WAL yet, and the receiver asks the server for it again.
 */

#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/mem.h"
#include "jobs/verify_int.h"
#include "repo/walarchive.h"

static int
check_segment(struct verify *v, uint32_t timeline, uint64_t lsn, uint8_t *plain,
    struct err *e)
{
	uint32_t bytes = v->lineage.facts.segment_bytes;
	char name[WAL_NAME_BYTES], object[STORE_KEY_BYTES];

	(void)wal_name(timeline, lsn, bytes, name);
	(void)snprintf(
	    object, sizeof(object), "wal/%.8s/%.8s/%s", name, name + 8, name);
	if (!verify_in_sample(v) ||
	    (v->again != NULL && strmap_get(v->again, object) == NULL))
		return 0;
	v->result->objects++;
	progress_add(v->progress, bytes);
	v->result->bytes += bytes;
	if (wal_read_segment(&v->lineage, name, plain, e) == 0)
		return child_check_stop(e);
	return verify_damaged(v, name, object, bytes, NULL, e);
}

static int
check_segments(
    struct verify *v, const struct wal_span *spans, size_t count, struct err *e)
{
	uint32_t bytes = v->lineage.facts.segment_bytes;
	AUTO_FREE uint8_t *plain = mem_pages(bytes);
	char from[LSN_TEXT_BYTES], to[LSN_TEXT_BYTES];
	size_t i;
	uint64_t at;

	for (i = 0; i < count; i++) {
		if (i > 0 && spans[i].timeline == spans[i - 1].timeline) {
			verify_finding(v, "wal",
			    "timeline %u: %s to %s is missing",
			    spans[i].timeline,
			    lsn_text(spans[i - 1].end_lsn, from),
			    lsn_text(spans[i].start_lsn, to));
			verify_want_wal(v, spans[i].timeline,
			    spans[i - 1].end_lsn, spans[i].start_lsn);
		}
		for (at = spans[i].start_lsn; at + bytes <= spans[i].end_lsn;
		     at += bytes)
			if (check_segment(v, spans[i].timeline, at, plain, e) ==
			    -1)
				return -1;
	}
	return 0;
}

static int
check_histories(struct verify *v, struct err *e)
{
	uint32_t newest, timeline;

	if (wal_newest_timeline(&v->lineage, &newest, e) == -1)
		return -1;
	for (timeline = 2; timeline <= newest && timeline < 10000; timeline++) {
		struct timeline_history h = { 0 };
		AUTO_BUF struct buf text = BUF_INIT;
		char name[32], object[40];

		(void)snprintf(name, sizeof(name), "%08X.history", timeline);
		(void)snprintf(object, sizeof(object), "wal/%s", name);
		if (wal_read_history(&v->lineage, timeline, &h, &text, e) ==
		    -1) {
			/* Timelines may be skipped; the newest may not. */
			if (e->kind == ERR_NOT_FOUND && timeline < newest)
				err_clear(e);
			else if (verify_damaged(v, name, object, 0, NULL, e) ==
			    -1)
				return -1;
		}
		timeline_history_free(&h);
	}
	return 0;
}

static int
check_partials(struct verify *v, struct err *e)
{
	char **names = NULL, object[STORE_KEY_BYTES];
	size_t count, i;
	int rc = 0;

	if (wal_partials(&v->lineage, &names, &count, e) == -1)
		return -1;
	for (i = 0; rc == 0 && i < count; i++) {
		if (!verify_in_sample(v))
			continue;
		v->result->objects++;
		(void)snprintf(object, sizeof(object), "wal/%.8s/%.8s/%.200s",
		    names[i], names[i] + 8, names[i]);
		if (wal_check_partial(&v->lineage, names[i], e) == -1)
			rc = verify_damaged(v, names[i], object, 0, NULL, e);
		if (rc == 0)
			rc = child_check_stop(e);
	}
	store_names_free(names);
	return rc;
}

/* Does the WAL of timeline lead up to lsn? */
static bool
leads_to(
    const struct wal_span *spans, size_t count, uint32_t timeline, uint64_t lsn)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (spans[i].timeline == timeline && spans[i].start_lsn < lsn)
			return true;
	return false;
}

/*
 * A timeline's first segment is the one in which it leaves its parent.  When
 * there is WAL of the parent, recovery goes over that border.
 */
static int
check_border(struct verify *v, const struct wal_span *spans, size_t count,
    const struct wal_span *first, struct err *e)
{
	struct timeline_history h = { 0 };
	const struct timeline_entry *parent;
	char name[32], object[40], from[LSN_TEXT_BYTES], to[LSN_TEXT_BYTES];
	uint64_t begin;

	(void)snprintf(name, sizeof(name), "%08X.history", first->timeline);
	(void)snprintf(object, sizeof(object), "wal/%s", name);
	if (wal_read_history(&v->lineage, first->timeline, &h, NULL, e) == -1)
		return verify_damaged(v, name, object, 0, NULL, e);
	if (h.count > 1) {
		parent = &h.entries[h.count - 2];
		begin = wal_segment_start(
		    parent->end_lsn, v->lineage.facts.segment_bytes);
		if (first->start_lsn > begin &&
		    leads_to(spans, count, parent->timeline, parent->end_lsn)) {
			verify_finding(v, "wal",
			    "timeline %u: %s to %s is missing", first->timeline,
			    lsn_text(begin, from),
			    lsn_text(first->start_lsn, to));
			verify_want_wal(
			    v, first->timeline, begin, first->start_lsn);
		}
	}
	timeline_history_free(&h);
	return 0;
}

int
verify_wal(struct verify *v, struct err *e)
{
	AUTO_FREE struct wal_span *spans = NULL;
	size_t count, i;

	if (wal_spans(&v->lineage, &spans, &count, e) == -1)
		return -1;
	if (check_histories(v, e) == -1 ||
	    check_segments(v, spans, count, e) == -1 ||
	    check_partials(v, e) == -1)
		return -1;
	for (i = 0; i < count; i++)
		if (spans[i].timeline > 1 &&
		    (i == 0 || spans[i].timeline != spans[i - 1].timeline) &&
		    check_border(v, spans, count, &spans[i], e) == -1)
			return -1;
	return 0;
}
