/*
 * receive_stream: messages of the server become segments.
 *
 *	server -> walindexer -> open segment in memory -+-> full: stored
 *	          (record CRCs)                         |   (receive_publish.c)
 *	                                                +-> synced to its file
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/receive_stream.h"
#include "pg/syncnames.h"
#include "repo/walknown.h"

#define IDLE_MS	      1000
#define REMOTE_MS     2 /* how soon another site's word is passed on */
#define REPORT_AGE_US (10 * CLOCK_SECOND_US)
/* Commits that nobody waits for are made durable together: syncing each as it
 * comes costs a busy server on this machine a good part of its transactions. */
#define REST_US (50 * (int64_t)1000)
/* A server that is silent for so long is asked for a sign of life, so that it is
 * known until when nothing happened on it. */
#define ASK_AGE_US (2 * CLOCK_SECOND_US)
/* So old may be what is known of whom the server waits for. */
#define ANEW_US (30 * CLOCK_SECOND_US)

/* ---- reports ---- */

/* How long to wait for the next message: not at all when all that the server
 * has is here and is to be made durable. */
static int
wait_ms(const struct stream *s)
{
	if (remote_ack_waits(&s->r->remote))
		return REMOTE_MS;
	if (!stream_is_pending(s))
		return IDLE_MS;
	return stream_behind(s) == 0 ? 0 : RECEIVE_SYNC_MS;
}

/* All that the server has is durable here: note until when by its clock, for
 * restores to a time when it was quiet. */
static int
note_known(struct stream *s, struct err *e)
{
	const struct receive_status *st = &s->r->status;
	struct wal_known k = { s->r->plan.timeline, st->server_end_lsn,
		st->server_us };

	/* An earlier time is one by a clock that was set back. */
	if (st->server_us == s->known_us || st->server_end_lsn == LSN_NONE ||
	    stream_durable(s) < st->server_end_lsn ||
	    (st->server_us > s->known_us &&
		st->server_us - s->known_us < CLOCK_SECOND_US / 2))
		return 0;
	s->known_us = st->server_us;
	return wal_known_write(&s->r->lineage, &k, e);
}

/* Is the server silent? */
static bool
is_silent(const struct stream *s)
{
	return clock_boot_us() - s->r->status.message_boot_us >= ASK_AGE_US;
}

/* With wal_ack = remote only what another site has too. */
static uint64_t
limit_remote(struct stream *s, uint64_t flushed)
{
	struct receive_status *st = &s->r->status;
	struct remote_ack *a = &s->r->remote;

	if (a->fd == -1)
		return flushed;
	flushed = remote_ack_limit(a, s->r->plan.timeline, flushed);
	st->ack = a->degraded ? "degraded" : "remote";
	st->remote_lsn = a->lsn;
	st->safe_until_us = a->safe_until_us;
	st->ack_wait = remote_ack_wait_text(a->wait);
	return flushed;
}

/* Report when the flush position has moved, when it is due, or now. */
static int
report(struct stream *s, bool now, struct err *e)
{
	uint64_t flushed = stream_durable(s);
	int64_t boot_us = clock_boot_us();

	s->r->status.received_lsn = s->received_lsn;
	s->r->status.flushed_lsn = flushed;
	if (flushed > s->r->plan.start_lsn) /* a gap lies behind us */
		s->r->after_gap = s->r->gap_told = false;
	/* What an earlier receiver left is only claimed once the server has
	 * sent it again and it was the same. */
	if (flushed > s->received_lsn)
		flushed = LSN_NONE;
	flushed = limit_remote(s, flushed);
	/* A primary that may not write acknowledges nothing. */
	if (!rule_ack_allowed(&s->r->ack))
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
	/* The last one becomes a partial only behind those before it. */
	if (stream_release(s, e) == -1 || stream_sync(s, e) == -1 ||
	    publisher_reap(s->publisher, true, e) == -1)
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
	if (stream_is_pending(s))
		return stream_sync(s, e);
	/* The server has been quiet for a while: the record that crosses the
	 * end of the held segment may never be finished. */
	return stream_release(s, e);
}

static int
on_message(struct stream *s, const struct walstream_message *m, struct err *e)
{
	struct receive_status *st = &s->r->status;

	if (m->what != WALSTREAM_TIMEOUT) {
		st->message_us = clock_now_us();
		st->message_boot_us = clock_boot_us();
		if (m->server_time_us != 0)
			st->server_us = m->server_time_us;
		if (m->server_end_lsn != LSN_NONE)
			st->server_end_lsn = m->server_end_lsn;
	}
	switch (m->what) {
	case WALSTREAM_DATA:
		if (stream_take(s, m, e) == -1)
			return -1;
		break;
	case WALSTREAM_TIMEOUT:
	case WALSTREAM_SHUTDOWN:
		if (on_pause(s, e) == -1)
			return -1;
		break;
	case WALSTREAM_KEEPALIVE:
		if (m->reply_requested && stream_sync(s, e) == -1)
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

/*
 * The server was told to wait for us while we were connected, and a proof of that is
 * wanted.  A walsender was seen that did not take that up, and commits hung: one that
 * begins now reads the setting.
 */
static bool
is_named_late(const struct receiver *r)
{
	return r->remote.fd != -1 && r->remote.wait == REMOTE_ACK_WAITS &&
	    !r->named &&
	    (r->anew_us == 0 || clock_boot_us() - r->anew_us > ANEW_US);
}

static int
run(struct stream *s, enum receive_end *end, struct err *e)
{
	uint64_t until = s->r->options->until_lsn;
	struct walstream_message m;
	bool pending;

	for (;;) {
		pending = stream_is_pending(s);
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
		if (is_named_late(s->r)) {
			s->r->anew_us = clock_boot_us();
			*end = RECEIVE_ANEW;
			return walstream_stop(s->w, e);
		}
		if (until != LSN_NONE && stream_durable(s) >= until) {
			*end = RECEIVE_DONE;
			return walstream_stop(s->w, e);
		}
		if (pending && m.what == WALSTREAM_TIMEOUT && !s->r->awaited &&
		    s->r->remote.fd == -1)
			clock_sleep_us(REST_US);
	}
}

/* May commits of the server wait for our word? */
static int
look_who_waits(struct receiver *r, struct err *e)
{
	AUTO_BUF struct buf names = BUF_INIT;

	if (session_show(r->session, "synchronous_standby_names", &names, e) ==
	    -1)
		return -1;
	r->awaited = names.len > 0;
	r->named = syncnames_judge(buf_str(&names),
		       remote_ack_name(r->cluster)) == SYNCNAMES_WAITS;
	return 0;
}

static int
stream_init(struct stream *s, struct receiver *r, struct err *e)
{
	const struct receive_plan *p = &r->plan;
	char from[LSN_TEXT_BYTES], timeline[16];

	if (look_who_waits(r, e) == -1)
		return -1;
	s->w = walstream_start(r->session, r->slot[0] == '\0' ? NULL : r->slot,
	    p->start_lsn, p->timeline, e);
	if (s->w == NULL)
		return -1;
	stream_begin(s, r);
	rule_ack_close(&r->ack);
	rule_ack_open(&r->ack, r->settings, r->cluster);
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
		return stream_leave(&s, e);
	/* The server says when it opens the segment that it is gone. */
	*gap = is_gone(e) && s.received_lsn == r->plan.start_lsn;
	if (stream_leave(&s, &last) == -1) {
		log_error("receive_leave_failed", &last);
	} else if (e->kind == ERR_CANCELED) {
		/* A last word, so that the server can let go. */
		(void)report(&s, true, &last);
		(void)walstream_stop(s.w, &last);
	}
	return -1;
}
