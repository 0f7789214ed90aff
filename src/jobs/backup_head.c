#include "jobs/backup_head.h"

#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "pg/walstream.h"

#define WAIT_MS	 1000
#define STALL_US (60 * CLOCK_SECOND_US) /* nothing comes */

struct backup_head
backup_head_find(const struct wal_span *spans, size_t count,
    const struct timeline_history *h, uint32_t segment_bytes,
    uint64_t missing_lsn)
{
	struct backup_head head = { 0, 0, UINT64_MAX };
	size_t i;

	for (i = 0; i < count; i++)
		if (spans[i].start_lsn > missing_lsn &&
		    spans[i].start_lsn < head.end_lsn &&
		    timeline_at(h, spans[i].end_lsn - 1) == spans[i].timeline)
			head.end_lsn = spans[i].start_lsn;
	if (head.end_lsn == UINT64_MAX)
		return head;
	head.start_lsn = wal_segment_start(missing_lsn, segment_bytes);
	head.timeline = timeline_at(h, missing_lsn);
	for (i = 0; i < h->count; i++)
		if (h->entries[i].timeline == head.timeline &&
		    h->entries[i].end_lsn < head.end_lsn)
			head.end_lsn = h->entries[i].end_lsn;
	return head;
}

struct fetch {
	const struct backup *b;
	const struct backup_head *head;
	uint64_t lsn; /* of the next byte that comes */
	uint8_t *segment;
};

/* What is here of the segment that ends at f->lsn, or in which it lies. */
static int
store(const struct fetch *f, struct err *e)
{
	const struct lineage *l = &f->b->lineage;
	uint32_t bytes = l->facts.segment_bytes;
	uint64_t start = wal_segment_start(f->lsn - 1, bytes);
	char name[WAL_NAME_BYTES];
	bool existed;

	(void)wal_name(f->head->timeline, start, bytes, name);
	if (f->lsn - start < bytes)
		return wal_store_partial(
		    l, name, f->segment, (size_t)(f->lsn - start), e);
	return wal_store_segment(l, name, f->segment, bytes,
	    f->b->cluster->compress_level, &existed, e);
}

static int
take(struct fetch *f, const struct walstream_message *m, struct err *e)
{
	uint32_t bytes = f->b->lineage.facts.segment_bytes;
	char got[LSN_TEXT_BYTES], want[LSN_TEXT_BYTES];
	const uint8_t *data = m->data;
	size_t len = m->len, n;

	if (m->start_lsn != f->lsn)
		return err_set(e, ERR_CORRUPT,
		    "the server sent WAL at %s, expected %s",
		    lsn_text(m->start_lsn, got), lsn_text(f->lsn, want));
	if (len > f->head->end_lsn - f->lsn)
		len = (size_t)(f->head->end_lsn - f->lsn);
	for (; len > 0; data += n, len -= n) {
		n = bytes - f->lsn % bytes;
		n = n > len ? len : n;
		(void)memcpy(f->segment + f->lsn % bytes, data, n);
		f->lsn += n;
		if ((f->lsn % bytes == 0 || f->lsn == f->head->end_lsn) &&
		    store(f, e) == -1)
			return -1;
	}
	return 0;
}

/* 1: the timeline has ended. */
static int
on_message(struct fetch *f, struct walstream *w,
    const struct walstream_message *m, struct err *e)
{
	switch (m->what) {
	case WALSTREAM_DATA:
		return take(f, m, e);
	case WALSTREAM_KEEPALIVE:
		/* Who claims nothing is no synchronous standby. */
		if (m->reply_requested)
			return walstream_report(
			    w, LSN_NONE, LSN_NONE, false, e);
		return 0;
	case WALSTREAM_TIMELINE_END:
		return 1;
	case WALSTREAM_SHUTDOWN:
		return err_set(
		    e, ERR_TRANSIENT, "the server has ended the stream");
	case WALSTREAM_TIMEOUT:
		break;
	}
	return 0;
}

static int
stream(struct fetch *f, struct walstream *w, struct err *e)
{
	struct walstream_message m;
	int64_t moved_us = clock_boot_us();
	char at[LSN_TEXT_BYTES];
	int rc = 0;

	while (rc == 0 && f->lsn < f->head->end_lsn) {
		if (child_check_stop(e) == -1 ||
		    walstream_next(w, WAIT_MS, &m, e) == -1)
			return -1;
		if (m.what == WALSTREAM_DATA)
			moved_us = clock_boot_us();
		if (clock_boot_us() - moved_us > STALL_US)
			return err_set(e, ERR_TRANSIENT,
			    "the server sends no WAL from %s on",
			    lsn_text(f->lsn, at));
		rc = on_message(f, w, &m, e);
	}
	if (rc == -1)
		return -1;
	return rc == 1 ? 0 : walstream_stop(w, e);
}

static int
find(const struct backup *b, uint64_t missing_lsn, struct backup_head *head,
    struct err *e)
{
	const struct lineage *l = &b->lineage;
	AUTO_FREE struct wal_span *spans = NULL;
	struct timeline_history h = { 0 };
	size_t count;

	if (wal_spans(l, &spans, &count, e) == -1 ||
	    wal_read_history(l, b->root.stop_timeline, &h, NULL, e) == -1)
		return -1;
	*head = backup_head_find(
	    spans, count, &h, l->facts.segment_bytes, missing_lsn);
	timeline_history_free(&h);
	return 0;
}

static void
tell(const struct backup *b, const struct backup_head *head)
{
	char from[LSN_TEXT_BYTES], to[LSN_TEXT_BYTES];

	log_event(LOG_LEVEL_INFO, "backup_wal_fetched",
	    "WAL from before the receiver began has been fetched", "cluster",
	    b->cluster->name, "from", lsn_text(head->start_lsn, from), "to",
	    lsn_text(head->end_lsn, to), NULL);
}

int
backup_head_fetch(struct backup *b, uint64_t missing_lsn, struct err *e)
{
	const struct cluster_settings *c = b->cluster;
	AUTO_SESSION struct session *session = NULL;
	AUTO_WALSTREAM struct walstream *w = NULL;
	AUTO_FREE uint8_t *segment = NULL;
	struct backup_head head;
	struct fetch f = { .b = b, .head = &head };

	if (find(b, missing_lsn, &head, e) == -1)
		return -1;
	if (head.timeline == 0)
		return 0;
	/* The backup's own slot still holds it. */
	session = session_open(
	    c->backup_conninfo != NULL ? c->backup_conninfo : c->conninfo,
	    SESSION_REPLICATION, "pgkura_backup", e);
	if (session == NULL)
		return -1;
	w = walstream_start(session, NULL, head.start_lsn, head.timeline, e);
	if (w == NULL)
		return -1;
	f.lsn = head.start_lsn;
	f.segment = segment = mem_zalloc(b->lineage.facts.segment_bytes);
	if (stream(&f, w, e) == -1)
		return -1;
	tell(b, &head);
	return 0;
}
