/*
 * ship_wal: the WAL of one timeline after the other, each a compressed stream
 * that begins where the peer's ends and goes on with the open segment.
 *
 * The peer decides where (wal_at), by the rules by which a receiver begins.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/accept_wal.h"
#include "jobs/ship_int.h"
#include "repo/waltail.h"

#define PIECE_BYTES ((size_t)256 << 10)
#define OUT_BYTES   ((size_t)1 << 20) /* read ahead of the link */
#define AGAIN_US    (2 * CLOCK_SECOND_US)
#define DIFFERS_US  (30 * CLOCK_SECOND_US)
#define GAP_US	    (5 * CLOCK_SECOND_US)
/* Less than a tick of the courier: it is the tick that ends it. */
#define GATHER_US (80 * (int64_t)1000)
/* With small matches it makes WAL no larger than 3 does, and its tables stay in
 * a processor's cache beside a busy server's. */
#define STREAM_LEVEL 1

static void
close_source(struct ship_wal *w)
{
	if (w->open_fd != -1)
		(void)close(w->open_fd);
	w->open_fd = -1;
	walstored_close(steal_ptr(&w->stored));
	w->segment[0] = '\0';
}

void
ship_wal_reset(struct ship *s)
{
	struct ship_wal *w = &s->wal;

	close_source(w);
	zdeflate_free(w->deflate);
	buf_free(&w->out);
	free(w->piece);
	*w = (struct ship_wal){ .open_fd = -1 };
}

/* ---- reading ---- */

/* Is what w->open_fd reads still the open segment, with more to come? */
static bool
is_open(const struct ship_wal *w, uint32_t segment_bytes)
{
	struct stat st;

	return w->open_fd != -1 && fstat(w->open_fd, &st) == 0 &&
	    st.st_nlink > 0 && st.st_size < (off_t)segment_bytes;
}

/* What is here at w->lsn: the open file first, as it becomes the stored one. */
static int
open_source(struct ship *s, struct err *e)
{
	struct ship_wal *w = &s->wal;
	const struct lineage *l = &s->lineage;
	AUTO_FREE char *path = NULL;
	char key[STORE_KEY_BYTES], name[WAL_NAME_BYTES];

	(void)wal_name(w->timeline, w->lsn, l->facts.segment_bytes, name);
	if (strcmp(name, w->segment) != 0) {
		close_source(w);
		(void)strcpy(w->segment, name);
	}
	if (w->stored != NULL || is_open(w, l->facts.segment_bytes))
		return 0;
	if (w->open_fd != -1)
		(void)close(steal_fd(&w->open_fd));
	w->stored = walstored_open(l, walstored_key(l, name, key), e);
	if (w->stored != NULL)
		return 0;
	if (e->kind != ERR_NOT_FOUND)
		return -1;
	err_clear(e);
	path = file_join(store_local_path(repo_store(l->repo)),
	    lineage_key(l, key, WAL_OPEN_FOLDER "/%s", name));
	w->open_fd = file_open_at(AT_FDCWD, path, O_RDONLY, 0, e);
	if (w->open_fd == -1 && e->kind == ERR_NOT_FOUND)
		err_clear(e);
	return e->kind == ERR_NONE ? 0 : -1;
}

/* Of a timeline that is over: its last segment is a partial. */
static ssize_t
read_partial(struct ship *s, size_t from, size_t len, struct err *e)
{
	AUTO_FREE uint8_t *all = mem_alloc(s->lineage.facts.segment_bytes);
	size_t valid;

	if (wal_read_tail(&s->lineage, s->wal.segment, all, &valid, e) == -1) {
		if (e->kind != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	if (valid <= from)
		return 0;
	len = valid - from < len ? valid - from : len;
	(void)memcpy(s->wal.piece, all + from, len);
	return (ssize_t)len;
}

/* Up to PIECE_BYTES at w->lsn, within its segment; 0 when there are none. */
static ssize_t
read_piece(struct ship *s, struct err *e)
{
	struct ship_wal *w = &s->wal;
	uint32_t segment_bytes = s->lineage.facts.segment_bytes;
	size_t from = (size_t)(w->lsn % segment_bytes), len = PIECE_BYTES;
	ssize_t n;

	if (segment_bytes - from < len)
		len = segment_bytes - from;
	if (w->end_lsn - w->lsn < len)
		len = (size_t)(w->end_lsn - w->lsn);
	if (len == 0)
		return 0;
	if (w->open_fd != -1 && w->segment[0] != '\0') {
		/* Cheap while the open segment grows. */
		char name[WAL_NAME_BYTES];

		(void)wal_name(w->timeline, w->lsn, segment_bytes, name);
		if (strcmp(name, w->segment) == 0) {
			n = file_pread_full(
			    w->open_fd, w->piece, len, from, name, e);
			if (n != 0)
				return n;
		}
	}
	if (open_source(s, e) == -1)
		return -1;
	if (w->stored != NULL)
		return walstored_read(w->stored, (uint32_t)from, (uint32_t)len,
			   w->piece, e) == -1
		    ? -1
		    : (ssize_t)len;
	if (w->open_fd != -1)
		return file_pread_full(
		    w->open_fd, w->piece, len, from, w->segment, e);
	return w->end_lsn == UINT64_MAX ? 0 : read_partial(s, from, len, e);
}

/* ---- the stream ---- */

/* May more be sent before the peer has taken what was? */
static bool
window_open(const struct ship_wal *w)
{
	return w->out_offset + w->out.len < w->consumed + ACCEPT_WAL_WINDOW;
}

/* All was read a moment ago: what comes then goes out together, unless commits
 * wait for it.  Each piece has its price, here, on the line and in the peer's
 * answers. */
static bool
gathers(const struct ship *s)
{
	return s->cluster->wal_ack != WAL_ACK_REMOTE &&
	    clock_boot_us() - s->wal.dry_us < GATHER_US;
}

/* Was the piece of n bytes before w->lsn all that the open segment has?  Where
 * commits wait, the next read tells. */
static bool
is_dry(const struct ship *s, size_t n)
{
	uint32_t segment_bytes = s->lineage.facts.segment_bytes;

	return s->cluster->wal_ack != WAL_ACK_REMOTE && n < PIECE_BYTES &&
	    s->wal.lsn % segment_bytes != 0 && is_open(&s->wal, segment_bytes);
}

static void
drop_sent(struct ship_wal *w)
{
	if (w->out_at == 0)
		return;
	(void)memmove(
	    w->out.data, w->out.data + w->out_at, w->out.len - w->out_at);
	w->out.len -= w->out_at;
	w->out_offset += w->out_at;
	w->out_at = 0;
}

static void
say_end(struct ship *s)
{
	struct ship_wal *w = &s->wal;
	json_t *m = courier_message("wal_end", s->journal);

	json_set_u64(m, "body", w->body);
	json_set_u64(m, "offset", w->out_offset + w->out.len);
	courier_send(s->courier, m);
	w->state = WAL_ENDING;
}

int
ship_wal_fill(struct ship *s, struct err *e)
{
	struct ship_wal *w = &s->wal;
	size_t before;
	ssize_t n;

	if (w->state != WAL_FLOWS)
		return 0;
	while (w->out.len - w->out_at < OUT_BYTES && window_open(w) &&
	    !gathers(s)) {
		n = read_piece(s, e);
		if (n == -1)
			return -1;
		if (n == 0) {
			w->dry_us = clock_boot_us();
			break;
		}
		drop_sent(w);
		before = w->out.len;
		zdeflate_put(w->deflate, w->piece, (size_t)n, &w->out);
		w->plain_bytes += (uint64_t)n;
		w->compressed_bytes += w->out.len - before;
		w->lsn += (uint64_t)n;
		if (w->lsn > w->source_lsn)
			w->source_lsn = w->lsn;
		if (is_dry(s, (size_t)n)) {
			w->dry_us = clock_boot_us();
			break;
		}
	}
	if (w->lsn == w->end_lsn)
		say_end(s);
	return 0;
}

bool
ship_wal_pending(const struct ship *s)
{
	return s->wal.out.len > s->wal.out_at;
}

bool
ship_wal_chunk(struct ship *s, struct link_chunk *c)
{
	struct ship_wal *w = &s->wal;
	size_t len = w->out.len - w->out_at;

	if (len == 0) {
		if (ship_wal_fill(s, &s->err) == -1) {
			ship_failed(s, &s->err);
			w->state = WAL_IDLE;
			w->again_us = clock_boot_us() + AGAIN_US;
			err_clear(&s->err);
			return false;
		}
		len = w->out.len - w->out_at;
		if (len == 0)
			return false;
	}
	if (len > LINK_CHUNK_MAX)
		len = LINK_CHUNK_MAX;
	*c = (struct link_chunk){ w->body, w->out_offset + w->out_at,
		w->out.data + w->out_at, len };
	w->out_at += len;
	return true;
}

/* ---- where ---- */

/* The last span of timeline. */
static const struct wal_span *
last_span(const struct wal_span *spans, size_t count, uint32_t timeline)
{
	const struct wal_span *last = NULL;
	size_t i;

	for (i = 0; i < count; i++)
		if (spans[i].timeline == timeline)
			last = &spans[i];
	return last;
}

static int
ask(struct ship *s, struct err *e)
{
	struct ship_wal *w = &s->wal;
	AUTO_FREE struct wal_span *spans = NULL;
	const struct wal_span *last;
	uint32_t timeline;
	uint64_t from = ship_objects_wal_from(s);
	size_t count;
	json_t *m;

	if (wal_newest_timeline(&s->lineage, &timeline, e) == -1 ||
	    wal_spans(&s->lineage, &spans, &count, e) == -1)
		return -1;
	last = last_span(spans, count, timeline);
	if (timeline == 0 || last == NULL)
		return 0;
	w->source_lsn = last->end_lsn;
	if (from == LSN_NONE || w->anew)
		from = last->start_lsn;
	m = courier_message("wal", s->journal);
	w->body = courier_new_body(s->courier, s->journal);
	w->state = WAL_ASKED;
	json_set_u64(m, "body", w->body);
	json_set_u64(m, "timeline", timeline);
	json_set_u64(m, "end", last->end_lsn);
	json_set_u64(m, "from", from);
	(void)json_object_set_new(m, "anew", json_boolean(w->anew));
	courier_send(s->courier, m);
	return 0;
}

/* Is there a newer timeline that ends ours? */
static int
look_for_end(struct ship *s, struct err *e)
{
	struct ship_wal *w = &s->wal;
	struct timeline_history h = { 0 };
	uint32_t newest;
	size_t i;

	if (wal_newest_timeline(&s->lineage, &newest, e) == -1)
		return -1;
	if (newest <= w->timeline)
		return 0;
	if (wal_read_history(&s->lineage, newest, &h, NULL, e) == -1) {
		if (e->kind != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	for (i = 0; i < h.count; i++) {
		if (h.entries[i].timeline != w->timeline)
			continue;
		if (h.entries[i].end_lsn >= w->lsn) {
			w->end_lsn = h.entries[i].end_lsn;
		} else {
			/* The server was brought back to before what the peer
			 * has: it is to choose where the new one begins. */
			w->state = WAL_IDLE;
			w->again_us = 0;
		}
	}
	timeline_history_free(&h);
	return 0;
}

/* Is the open segment being sent as it grows?  Then nothing is missing, and to
 * find out where all WAL here ends would be to check that segment again. */
static bool
follows_open(struct ship_wal *w, int64_t now_us)
{
	bool moved = w->lsn != w->looked_lsn;

	if (w->open_fd == -1 || (!moved && now_us - w->looked_us >= GAP_US)) {
		w->looked_us = now_us;
		return false;
	}
	if (moved)
		w->looked_us = now_us;
	w->looked_lsn = w->lsn;
	return true;
}

/* The peer wants what is not here any more: from where there is some again. */
static int
check_gap(struct ship *s, struct err *e)
{
	struct ship_wal *w = &s->wal;
	AUTO_FREE struct wal_span *spans = NULL;
	const struct wal_span *last;
	char from[LSN_TEXT_BYTES], to[LSN_TEXT_BYTES];
	size_t count;

	if (wal_spans(&s->lineage, &spans, &count, e) == -1)
		return -1;
	last = last_span(spans, count, w->timeline);
	if (last == NULL)
		return 0;
	if (last->end_lsn > w->source_lsn)
		w->source_lsn = last->end_lsn;
	if (w->lsn >= last->start_lsn || w->lsn == w->end_lsn)
		return 0;
	log_event(LOG_LEVEL_ERROR, "ship_gap",
	    "WAL that the other site lacks is not here any more", "cluster",
	    s->cluster->name, "peer", courier_peer(s->courier)->name, "from",
	    lsn_text(w->lsn, from), "to", lsn_text(last->start_lsn, to), NULL);
	w->anew = true;
	return ask(s, e);
}

int
ship_wal_scan(struct ship *s, int64_t now_us, struct err *e)
{
	struct ship_wal *w = &s->wal;

	if (w->state == WAL_IDLE && w->again_us <= now_us)
		return ask(s, e);
	if (w->state != WAL_FLOWS || w->out.len > w->out_at)
		return 0;
	if (look_for_end(s, e) == -1)
		return -1;
	if (w->end_lsn != UINT64_MAX && w->lsn < w->end_lsn &&
	    w->open_fd == -1 && w->stored == NULL) {
		/* Nothing more of it is here: it ends where ours ends. */
		ssize_t n = read_piece(s, e);

		if (n == -1)
			return -1;
		if (n == 0)
			w->end_lsn = w->lsn;
	}
	return follows_open(w, now_us) ? 0 : check_gap(s, e);
}

/* ---- what the peer says ---- */

/* Does the WAL here go on where the peer's ends?  A release that says nothing of
 * the seam is believed. */
static int
check_seam(struct ship *s, const json_t *m, uint32_t timeline, uint64_t lsn,
    struct err *e)
{
	struct wal_seam here, there;
	char at[LSN_TEXT_BYTES];

	if (json_need_u32(m, "seam_bytes", &there.bytes, NULL) == -1 ||
	    json_need_u32(m, "seam", &there.sum, NULL) == -1)
		return 0;
	if (wal_seam(&s->lineage, timeline, lsn, &here, e) == -1)
		return -1;
	if (wal_seam_fits(&here, &there))
		return 0;
	(void)err_set(e, ERR_CONFLICT,
	    "WAL of cluster \"%s\" up to %s on timeline %u is not the same at "
	    "site \"%s\" as here",
	    s->cluster->name, lsn_text(lsn, at), timeline,
	    courier_peer(s->courier)->name);
	return err_hint(e,
	    "Two servers have written one timeline. Decide which goes on: "
	    "doc/runbook-diverged.md.");
}

void
ship_wal_at(struct ship *s, const json_t *m)
{
	struct ship_wal *w = &s->wal;
	char at[LSN_TEXT_BYTES];
	uint64_t body, lsn;
	uint32_t timeline;

	if (json_need_u64(m, "body", &body, NULL) == -1 ||
	    json_need_u64(m, "lsn", &lsn, NULL) == -1 ||
	    json_need_u32(m, "timeline", &timeline, NULL) == -1 ||
	    body != w->body || w->state != WAL_ASKED || timeline == 0)
		return;
	if (check_seam(s, m, timeline, lsn, &s->err) == -1) {
		ship_failed(s, &s->err);
		(void)snprintf(s->why, sizeof(s->why), "%s", s->err.text);
		w->state = WAL_IDLE;
		w->again_us = clock_boot_us() + DIFFERS_US;
		return;
	}
	close_source(w);
	zdeflate_free(w->deflate);
	w->deflate = zdeflate_new(STREAM_LEVEL);
	if (w->piece == NULL)
		w->piece = mem_alloc(PIECE_BYTES);
	buf_clear(&w->out);
	w->out_at = 0;
	w->out_offset = w->consumed = 0;
	w->timeline = timeline;
	w->lsn = w->durable_lsn = lsn;
	w->end_lsn = UINT64_MAX;
	w->anew = false;
	w->state = WAL_FLOWS;
	s->why[0] = '\0';
	log_event(LOG_LEVEL_INFO, "ship_started", "WAL goes to the other site",
	    "cluster", s->cluster->name, "peer", courier_peer(s->courier)->name,
	    "from", lsn_text(lsn, at), NULL);
	if (look_for_end(s, &s->err) == -1)
		err_clear(&s->err);
}

void
ship_wal_no(struct ship *s, const json_t *m)
{
	const char *why = json_string_value(json_object_get(m, "why"));
	uint64_t body;

	if (json_need_u64(m, "body", &body, NULL) == -1 || body != s->wal.body)
		return;
	/* That site has its own WAL, or lacks a history still: no fault. */
	if (json_is_true(json_object_get(m, "later"))) {
		why = "";
		s->wal.timeline = 0; /* it is behind nothing of ours */
	}
	(void)snprintf(
	    s->why, sizeof(s->why), "%s", why == NULL ? "refused" : why);
	s->wal.state = WAL_IDLE;
	s->wal.again_us = clock_boot_us() + AGAIN_US;
}

void
ship_wal_taken(struct ship *s, const json_t *m)
{
	struct ship_wal *w = &s->wal;
	uint64_t body, consumed, durable;

	if (json_need_u64(m, "body", &body, NULL) == -1 ||
	    json_need_u64(m, "consumed", &consumed, NULL) == -1 ||
	    json_need_u64(m, "durable", &durable, NULL) == -1 ||
	    body != w->body || consumed > w->out_offset + w->out_at)
		return;
	if (consumed > w->consumed)
		w->consumed = consumed;
	if (durable > w->durable_lsn && durable <= w->lsn)
		w->durable_lsn = durable;
	if (json_is_true(json_object_get(m, "ended")) &&
	    w->state == WAL_ENDING) {
		w->state = WAL_IDLE; /* the next timeline */
		w->again_us = 0;
	}
}
