/*
 * receive_stream: messages of the server become segments.
 *
 *	server -> walindexer -> open segment in memory -+-> full: stored
 *	          (record CRCs)                         |   (receive_publish.c)
 *	                                                +-> synced to its file
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

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/receive_int.h"
#include "repo/walknown.h"

#define IDLE_MS 1000
/* So long bytes may wait to be made durable while more keeps coming; the second
 * when the server is a segment ahead: then few wait for the last of them. */
#define SYNC_AGE_US   (50 * (int64_t)1000)
#define SYNC_BULK_US  (1000 * (int64_t)1000)
#define REPORT_AGE_US (10 * CLOCK_SECOND_US)
/* A server that is silent for so long is asked for a sign of life, so that it is
 * known until when nothing happened on it. */
#define ASK_AGE_US (2 * CLOCK_SECOND_US)

struct stream {
	struct receiver *r;
	struct walstream *w;
	struct walindexer *ix;
	struct publisher *publisher;
	struct receive_segment *current; /* NULL between two */
	struct receive_segment *held;	 /* full, before current; NULL */
	uint64_t received_lsn;
	int64_t unsynced_us; /* since when something is not durable; 0 */
	uint64_t reported_lsn;
	int64_t reported_us;
	int64_t known_us; /* by the server's clock: what was noted last */
	bool spoiled;	  /* the last bytes are not WAL */
};

/* ---- durable ---- */

static uint64_t
durable_lsn(const struct stream *s)
{
	uint64_t lsn = publisher_durable(s->publisher), synced;

	if (!publisher_idle(s->publisher))
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
static int
make_durable(struct stream *s, struct err *e)
{
	s->unsynced_us = 0;
	if (publisher_reap(s->publisher, true, e) == -1 ||
	    (s->held != NULL && wal_open_sync(s->held->open, e) == -1) ||
	    (s->current != NULL && wal_open_sync(s->current->open, e) == -1))
		return -1;
	return 0;
}

/* Is there anything that is not durable yet? */
static bool
is_pending(const struct stream *s)
{
	return s->received_lsn > durable_lsn(s);
}

/* How far the server is ahead. */
static uint64_t
behind_bytes(const struct stream *s)
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
	    (behind_bytes(s) > s->r->lineage.facts.segment_bytes ? SYNC_BULK_US
								 : SYNC_AGE_US);
}

/* How long to wait for the next message: not at all when all that the server
 * has is here and is to be made durable. */
static int
wait_ms(const struct stream *s)
{
	if (!is_pending(s))
		return IDLE_MS;
	return behind_bytes(s) == 0 ? 0 : SYNC_AGE_US / 1000;
}

/* All that the server has is durable here: note until when by its clock, for
 * restores to a time when it was quiet. */
static int
note_known(struct stream *s, struct err *e)
{
	const struct receive_status *st = &s->r->status;
	struct wal_known k = { s->r->plan.timeline, st->server_end_lsn,
		st->server_us };

	if (st->server_us == s->known_us || st->server_end_lsn == LSN_NONE ||
	    durable_lsn(s) < st->server_end_lsn ||
	    st->server_us - s->known_us < CLOCK_SECOND_US / 2)
		return 0;
	s->known_us = st->server_us;
	return wal_known_write(&s->r->lineage, &k, e);
}

/* Is the server silent? */
static bool
is_silent(const struct stream *s)
{
	return clock_now_us() - s->r->status.message_us >= ASK_AGE_US;
}

/* Report when the flush position has moved, when it is due, or now. */
static int
report(struct stream *s, bool now, struct err *e)
{
	uint64_t flushed = durable_lsn(s);
	int64_t boot_us = clock_boot_us();

	s->r->status.received_lsn = s->received_lsn;
	s->r->status.flushed_lsn = flushed;
	if (flushed > s->r->plan.start_lsn) /* a gap lies behind us */
		s->r->after_gap = s->r->gap_told = false;
	/* What an earlier receiver left is only claimed once the server has
	 * sent it again and it was the same. */
	if (flushed > s->received_lsn)
		flushed = LSN_NONE;
	if (!now && flushed <= s->reported_lsn &&
	    boot_us - s->reported_us <
		(is_silent(s) ? ASK_AGE_US : REPORT_AGE_US))
		return 0;
	if (flushed > s->reported_lsn)
		s->reported_lsn = flushed;
	s->reported_us = boot_us;
	return walstream_report(
	    s->w, s->received_lsn, s->reported_lsn, is_silent(s), e);
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

static int
release_held(struct stream *s, struct err *e)
{
	if (s->held == NULL)
		return 0;
	return publisher_put(s->publisher, steal_ptr(&s->held), e);
}

static int
end_segment(struct stream *s, struct err *e)
{
	struct wal_open *o = s->current->open;

	/* Of one that has a file, only a little is left to sync. */
	if (wal_open_synced_end(o) > s->current->start_lsn &&
	    wal_open_sync(o, e) == -1)
		return -1;
	walindexer_cut(s->ix, &s->current->index);
	if (release_held(s, e) == -1)
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
	    release_held(s, e) == -1)
		return -1;
	return s->received_lsn == s->current->end_lsn ? end_segment(s, e) : 0;
}

static int
take_data(struct stream *s, const struct walstream_message *m, struct err *e)
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
	return is_overdue(s) ? make_durable(s, e) : 0;
}

/* ---- the end of a timeline ---- */

static void
tell_switch(const struct stream *s, const struct walstream_message *m)
{
	uint64_t valid_end = walindexer_valid_end(s->ix);
	char timeline[16], at[LSN_TEXT_BYTES], to[LSN_TEXT_BYTES];

	(void)snprintf(
	    timeline, sizeof(timeline), "%" PRIu32, m->next_timeline);
	log_event(LOG_LEVEL_WARNING, "timeline_switch",
	    "the server is on a new timeline", "cluster", s->r->cluster->name,
	    "timeline", timeline, "at", lsn_text(m->next_start_lsn, at), NULL);
	if (valid_end != LSN_NONE && valid_end > m->next_start_lsn)
		log_event(LOG_LEVEL_ERROR, "wal_diverged",
		    "WAL that was received lies behind the start of the new "
		    "timeline and is not part of it; it is kept",
		    "cluster", s->r->cluster->name, "from",
		    lsn_text(m->next_start_lsn, at), "to",
		    lsn_text(valid_end, to), NULL);
}

/* Keep the old one's last segment, plan to go on with the new one. */
static int
end_timeline(struct stream *s, const struct walstream_message *m, struct err *e)
{
	struct receiver *r = s->r;

	tell_switch(s, m);
	if (release_held(s, e) == -1 || make_durable(s, e) == -1)
		return -1;
	if (s->current != NULL) {
		if (wal_open_to_partial(s->current->open, e) == -1)
			return -1;
		receive_segment_free(steal_ptr(&s->current));
	}
	if (receive_histories(r, m->next_timeline, &r->history, e) == -1)
		return -1;
	r->plan = (struct receive_plan){
		.timeline = m->next_timeline,
		.start_lsn = wal_segment_start(
		    m->next_start_lsn, r->lineage.facts.segment_bytes),
	};
	return 0;
}

/* ---- the loop ---- */

/* Nothing is waiting: the moment to sync. */
static int
on_pause(struct stream *s, struct err *e)
{
	if (s->received_lsn > durable_lsn(s) || !publisher_idle(s->publisher))
		return make_durable(s, e);
	/* The server has been quiet for a while: the record that crosses the
	 * end of the held segment may never be finished. */
	return release_held(s, e);
}

static int
on_message(struct stream *s, const struct walstream_message *m, struct err *e)
{
	struct receive_status *st = &s->r->status;

	if (m->what != WALSTREAM_TIMEOUT) {
		st->message_us = clock_now_us();
		if (m->server_time_us != 0)
			st->server_us = m->server_time_us;
		if (m->server_end_lsn != LSN_NONE)
			st->server_end_lsn = m->server_end_lsn;
	}
	switch (m->what) {
	case WALSTREAM_DATA:
		if (take_data(s, m, e) == -1)
			return -1;
		break;
	case WALSTREAM_TIMEOUT:
	case WALSTREAM_SHUTDOWN:
		if (on_pause(s, e) == -1)
			return -1;
		break;
	case WALSTREAM_KEEPALIVE:
		if (m->reply_requested && make_durable(s, e) == -1)
			return -1;
		break;
	case WALSTREAM_TIMELINE_END:
		if (end_timeline(s, m, e) == -1)
			return -1;
		break;
	}
	if (publisher_reap(s->publisher, false, e) == -1)
		return -1;
	if (report(s, m->reply_requested, e) == -1)
		return -1;
	return note_known(s, e);
}

static int
run(struct stream *s, enum receive_end *end, struct err *e)
{
	uint64_t until = s->r->options->until_lsn;
	struct walstream_message m;

	for (;;) {
		if (receive_check_stop(s->r, e) == -1 ||
		    walstream_next(s->w, wait_ms(s), &m, e) == -1 ||
		    on_message(s, &m, e) == -1)
			return -1;
		receive_status_show(&s->r->status, false);
		if (m.what == WALSTREAM_SHUTDOWN ||
		    m.what == WALSTREAM_TIMELINE_END) {
			*end = m.what == WALSTREAM_SHUTDOWN ? RECEIVE_SHUTDOWN
							    : RECEIVE_TIMELINE;
			return 0;
		}
		if (until != LSN_NONE && durable_lsn(s) >= until) {
			*end = RECEIVE_DONE;
			return walstream_stop(s->w, e);
		}
	}
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
static int
leave(struct stream *s, struct err *e)
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
	return make_durable(s, e);
}

static void
stream_fini(struct stream *s)
{
	receive_segment_free(s->current);
	receive_segment_free(s->held);
	publisher_free(s->publisher);
	walindexer_free(s->ix);
	walstream_free(s->w);
}

static int
stream_init(struct stream *s, struct receiver *r, struct err *e)
{
	const struct receive_plan *p = &r->plan;
	char from[LSN_TEXT_BYTES], timeline[16];

	s->r = r;
	s->received_lsn = p->start_lsn;
	s->w = walstream_start(r->session, r->slot[0] == '\0' ? NULL : r->slot,
	    p->start_lsn, p->timeline, e);
	if (s->w == NULL)
		return -1;
	s->ix = wal_indexer_at(&r->lineage, p->timeline, p->start_lsn);
	s->publisher = publisher_new(
	    &r->lineage, r->cluster->compress_level, p->start_lsn);
	s->reported_us = clock_boot_us();
	(void)snprintf(timeline, sizeof(timeline), "%" PRIu32, p->timeline);
	log_event(LOG_LEVEL_INFO, "receive_started", "receiving WAL", "cluster",
	    r->cluster->name, "server", session_where(r->session), "timeline",
	    timeline, "from", lsn_text(p->start_lsn, from), NULL);
	r->status.timeline = p->timeline;
	r->status.state = "streaming";
	(void)snprintf(r->status.lineage, sizeof(r->status.lineage), "%s",
	    r->lineage.name);
	err_clear(&r->status.err);
	receive_status_show(&r->status, true);
	return 0;
}

/* The WAL is gone, and not the slot (undefined_object). */
static bool
is_gone(const struct err *e)
{
	return e->kind == ERR_NOT_FOUND && strstr(e->text, "42704") == NULL;
}

int
receive_stream(
    struct receiver *r, enum receive_end *end, bool *gap, struct err *e)
{
	AUTO(stream_fini) struct stream s = { 0 };
	struct err last = ERR_INIT;

	*gap = false;
	if (stream_init(&s, r, e) == -1) {
		*gap = is_gone(e);
		return -1;
	}
	if (run(&s, end, e) == 0)
		return leave(&s, e);
	/* The server says when it opens the segment that it is gone. */
	*gap = is_gone(e) && s.received_lsn == r->plan.start_lsn;
	if (leave(&s, &last) == -1) {
		log_error("receive_leave_failed", &last);
	} else if (e->kind == ERR_CANCELED) {
		/* A last word, so that the server can let go. */
		(void)report(&s, true, &last);
		(void)walstream_stop(s.w, &last);
	}
	return -1;
}
