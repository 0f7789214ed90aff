/*
 * receive_take: bytes of a stream become segments.
 *
 * Nothing is acknowledged before it is durable: synced in wal/open, or stored.
 * While the server has more to send, bytes stay in memory: a segment that fills
 * up soon enough is stored without ever being written to wal/open.  When the
 * server has sent all it has, what is here is synced and reported at once.  A
 * later segment is never synced before the earlier ones are durable, so what is
 * durable has no hole at any instant.
 *
 * A full segment is held until the record that crosses its end has been
 * checked, so that what is stored is right up to its last byte.
 */

#include <string.h>

#include "base/clock.h"
#include "jobs/receive_stream.h"

/* So long bytes may wait to be made durable while more keeps coming; the second
 * when the server is a segment ahead: then few wait for the last of them. */
#define SYNC_AGE_US  (RECEIVE_SYNC_MS * (int64_t)1000)
#define SYNC_BULK_US (1000 * (int64_t)1000)

void
stream_begin(struct stream *s, struct receiver *r)
{
	s->r = r;
	s->received_lsn = r->plan.start_lsn;
	s->ix =
	    wal_indexer_at(&r->lineage, r->plan.timeline, r->plan.start_lsn);
	s->publisher = publisher_new(
	    &r->lineage, r->cluster->compress_level, r->plan.start_lsn);
}

void
stream_fini(struct stream *s)
{
	receive_segment_free(s->current);
	receive_segment_free(s->held);
	publisher_free(s->publisher);
	walindexer_free(s->ix);
	walstream_free(s->w);
}

/* ---- durable ---- */

uint64_t
stream_durable(const struct stream *s)
{
	uint64_t lsn = publisher_durable(s->publisher), synced;

	if (!publisher_all_durable(s->publisher))
		return lsn;
	if (s->held != NULL) {
		synced = wal_open_synced_end(s->held->open);
		lsn = synced > lsn ? synced : lsn;
		if (synced < s->held->end_lsn)
			return lsn;
	}
	if (s->current != NULL) {
		synced = wal_open_synced_end(s->current->open);
		lsn = synced > lsn ? synced : lsn;
	}
	return lsn;
}

/* Make all that was received durable, the earlier before the later. */
int
stream_sync(struct stream *s, struct err *e)
{
	bool wait = !publisher_all_durable(s->publisher);

	s->unsynced_us = 0;
	if (publisher_reap(s->publisher, wait, e) == -1 ||
	    (s->held != NULL && wal_open_sync(s->held->open, e) == -1) ||
	    (s->current != NULL && wal_open_sync(s->current->open, e) == -1))
		return -1;
	return 0;
}

/* Is there anything that is not durable yet? */
bool
stream_is_pending(const struct stream *s)
{
	return s->received_lsn > stream_durable(s);
}

/* How far the server is ahead. */
uint64_t
stream_behind(const struct stream *s)
{
	uint64_t server_lsn = s->r->status.server_end_lsn;

	return server_lsn > s->received_lsn ? server_lsn - s->received_lsn : 0;
}

/* Have the first bytes that are not durable waited too long? */
static bool
is_overdue(const struct stream *s)
{
	return s->unsynced_us != 0 &&
	    clock_boot_us() - s->unsynced_us >=
	    (stream_behind(s) > s->r->lineage.facts.segment_bytes
		    ? SYNC_BULK_US
		    : SYNC_AGE_US);
}

/* ---- segments ---- */

static int
begin_segment(struct stream *s, struct err *e)
{
	const struct lineage *l = &s->r->lineage;
	struct wal_open *o;
	uint64_t valid;

	o = wal_open_segment(
	    l, s->r->plan.timeline, s->received_lsn, &valid, e);
	if (o == NULL)
		return -1;
	s->current =
	    receive_segment_new(o, s->received_lsn, l->facts.segment_bytes);
	return 0;
}

int
stream_release(struct stream *s, struct err *e)
{
	if (s->held == NULL)
		return 0;
	return publisher_put(s->publisher, steal_ptr(&s->held), e);
}

static int
end_segment(struct stream *s, struct err *e)
{
	struct wal_open *o = s->current->open;
	char at[LSN_TEXT_BYTES];

	/* A server sends what was written: zeros only behind a switch. */
	if (walindexer_at_zeros(s->ix)) {
		s->spoiled = true;
		return err_set(e, ERR_CORRUPT,
		    "WAL ends at %s, and what was sent behind it is none",
		    lsn_text(walindexer_valid_end(s->ix), at));
	}
	/* Of one that has a file, only a little is left to sync. */
	if (wal_open_synced_end(o) > s->current->start_lsn &&
	    wal_open_sync(o, e) == -1)
		return -1;
	walindexer_cut(s->ix, &s->current->index);
	if (stream_release(s, e) == -1)
		return -1;
	if (!walindexer_in_record(s->ix))
		return publisher_put(s->publisher, steal_ptr(&s->current), e);
	s->held = steal_ptr(&s->current);
	return 0;
}

/* len bytes that lie in one segment. */
static int
take_piece(struct stream *s, const uint8_t *data, size_t len, struct err *e)
{
	if (s->current == NULL && begin_segment(s, e) == -1)
		return -1;
	if (walindexer_feed(s->ix, data, len, e) == -1) {
		s->spoiled = true;
		return -1;
	}
	if (wal_open_write(s->current->open, s->received_lsn, data, len, e) ==
	    -1)
		return -1;
	s->received_lsn += len;
	if (s->held != NULL && walindexer_valid_end(s->ix) > s->held->end_lsn &&
	    stream_release(s, e) == -1)
		return -1;
	return s->received_lsn == s->current->end_lsn ? end_segment(s, e) : 0;
}

int
stream_take(struct stream *s, const struct walstream_message *m, struct err *e)
{
	uint32_t bytes = s->r->lineage.facts.segment_bytes;
	const uint8_t *data = m->data;
	char got[LSN_TEXT_BYTES], want[LSN_TEXT_BYTES];
	size_t len = m->len, n;

	if (m->start_lsn != s->received_lsn)
		return err_set(e, ERR_CORRUPT,
		    "the server sent WAL at %s, expected %s",
		    lsn_text(m->start_lsn, got),
		    lsn_text(s->received_lsn, want));
	while (len > 0) {
		n = bytes - s->received_lsn % bytes;
		if (n > len)
			n = len;
		if (take_piece(s, data, n, e) == -1)
			return -1;
		data += n;
		len -= n;
	}
	if (s->unsynced_us == 0)
		s->unsynced_us = clock_boot_us();
	return is_overdue(s) ? stream_sync(s, e) : 0;
}

/* ---- leaving ---- */

/* Forget the bytes that have turned out not to be WAL. */
static int
drop_spoiled(struct stream *s, struct err *e)
{
	uint64_t valid_end = walindexer_valid_end(s->ix);

	if (valid_end == LSN_NONE)
		return 0;
	if (s->held == NULL || valid_end > s->held->end_lsn)
		return s->current == NULL
		    ? 0
		    : wal_open_cut(s->current->open, valid_end, e);
	/* The broken record began in the held segment. */
	if (s->current != NULL && wal_open_discard(s->current->open, e) == -1)
		return -1;
	receive_segment_free(steal_ptr(&s->current));
	return wal_open_cut(s->held->open, valid_end, e);
}

/* Make durable what was received, whatever ended the stream. */
int
stream_leave(struct stream *s, struct err *e)
{
	if (s->spoiled && drop_spoiled(s, e) == -1)
		return -1;
	if (publisher_reap(s->publisher, true, e) == -1) {
		struct err save = ERR_INIT;

		/* In order, as far as it goes. */
		if (publisher_save(s->publisher, &save) == 0 &&
		    (s->held == NULL ||
			wal_open_sync(s->held->open, &save) == 0) &&
		    s->current != NULL)
			(void)wal_open_sync(s->current->open, &save);
		return -1;
	}
	return stream_sync(s, e);
}
