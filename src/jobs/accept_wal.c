#include "jobs/accept_wal.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/queue.h"
#include "codec/zstream.h"
#include "jobs/receive_stream.h"
#include "repo/walknown.h"
#include "repo/waltail.h"

#define QUEUE_ITEMS	 65536
#define EARLY_PIECES_MAX 16384

/* Bytes of the compressed stream; without any: the end of the timeline. */
struct piece {
	struct piece *next;
	uint64_t offset;
	size_t len;
	uint8_t data[];
};

struct accept_wal {
	struct receiver receiver; /* what stream_take() wants to know */
	struct stream stream;
	struct zinflate *inflate;
	struct queue *queue;
	pthread_t thread;
	bool started;
	void (*notify)(void *arg);
	void *arg;
	/* Of the caller: what came too early, by offset. */
	struct piece *early;
	size_t early_count;
	uint64_t early_bytes;
	uint64_t next_offset; /* the first that is not queued */
	uint64_t end_offset;  /* of the timeline; UINT64_MAX: not known */
	pthread_mutex_t lock; /* guards: */
	struct accept_wal_state state;
};

/* ---- the thread ---- */

static int
take_plain(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	struct accept_wal *a = arg;
	struct walstream_message m = {
		.what = WALSTREAM_DATA,
		.start_lsn = a->stream.received_lsn,
		.data = data,
		.len = len,
	};

	return stream_take(&a->stream, &m, e);
}

static void
publish_state(struct accept_wal *a, uint64_t consumed, const struct err *e)
{
	(void)pthread_mutex_lock(&a->lock);
	a->state.consumed = consumed;
	a->state.durable_lsn = stream_durable(&a->stream);
	if (e != NULL)
		a->state.err = *e;
	(void)pthread_mutex_unlock(&a->lock);
	a->notify(a->arg);
}

static int
end_timeline(struct accept_wal *a, struct err *e)
{
	struct stream *s = &a->stream;

	/* The last one becomes a partial only behind those before it. */
	if (stream_release(s, e) == -1 || stream_sync(s, e) == -1 ||
	    publisher_reap(s->publisher, true, e) == -1)
		return -1;
	if (s->current != NULL) {
		if (wal_open_to_partial(s->current->open, e) == -1)
			return -1;
		receive_segment_free(steal_ptr(&s->current));
	}
	(void)pthread_mutex_lock(&a->lock);
	a->state.ended = true;
	(void)pthread_mutex_unlock(&a->lock);
	return 0;
}

static int
take_piece(struct accept_wal *a, const struct piece *p, struct err *e)
{
	if (p->len == 0)
		return end_timeline(a, e);
	if (zinflate_put(a->inflate, p->data, p->len, take_plain, a, e) == -1)
		return -1;
	return publisher_reap(a->stream.publisher, false, e);
}

/* Nothing more is waiting: what is here becomes durable. */
static int
pause_between(struct accept_wal *a, struct err *e)
{
	if (stream_is_pending(&a->stream) && stream_sync(&a->stream, e) == -1)
		return -1;
	return publisher_reap(a->stream.publisher, true, e);
}

static void *
run(void *arg)
{
	struct accept_wal *a = arg;
	struct err e = ERR_INIT;
	uint64_t consumed = 0;
	struct piece *p;
	bool failed = false;

	for (;;) {
		p = queue_try_get(a->queue);
		if (p == NULL) {
			if (!failed && pause_between(a, &e) == -1)
				failed = true;
			publish_state(a, consumed, failed ? &e : NULL);
			p = queue_get(a->queue);
		}
		if (p == NULL)
			break;
		if (!failed && take_piece(a, p, &e) == -1)
			failed = true;
		consumed = p->offset + p->len;
		free(p);
		if (!failed)
			publish_state(a, consumed, NULL);
	}
	if (stream_leave(&a->stream, failed ? NULL : &e) == -1 && !failed)
		publish_state(a, consumed, &e);
	return NULL;
}

/* ---- beginning ---- */

/* Feed what an earlier one left in the open segment, as if it came again: the
 * record checks go on from there. */
static int
take_what_is_here(struct accept_wal *a, struct err *e)
{
	const struct lineage *l = &a->receiver.lineage;
	AUTO_FREE uint8_t *data = mem_alloc(l->facts.segment_bytes);
	char name[WAL_NAME_BYTES];
	uint32_t valid = 0;
	int found;

	found = wal_tail_open(l,
	    wal_name(a->receiver.plan.timeline, a->receiver.plan.start_lsn,
		l->facts.segment_bytes, name),
	    data, &valid, e);
	if (found == -1)
		return -1;
	if (found == 1 && valid > 0 && take_plain(a, data, valid, e) == -1)
		return -1;
	return stream_sync(&a->stream, e);
}

struct accept_wal *
accept_wal_new(const struct lineage *l, const struct cluster_settings *c,
    uint32_t timeline, uint64_t start_lsn, void (*notify)(void *arg), void *arg,
    uint64_t *from_lsn, struct err *e)
{
	AUTO_ACCEPT_WAL struct accept_wal *a = mem_zalloc(sizeof(*a));

	(void)pthread_mutex_init(&a->lock, NULL);
	a->notify = notify;
	a->arg = arg;
	a->end_offset = UINT64_MAX;
	a->receiver.cluster = c;
	a->receiver.lineage = *l;
	a->receiver.plan.timeline = timeline;
	a->receiver.plan.start_lsn = start_lsn;
	if (receive_recover(l, c->compress_level, e) == -1 ||
	    receive_retire_others(l, timeline, e) == -1)
		return NULL;
	stream_begin(&a->stream, &a->receiver);
	a->inflate = zinflate_new();
	if (take_what_is_here(a, e) == -1)
		return NULL;
	*from_lsn = a->stream.received_lsn;
	a->state.durable_lsn = stream_durable(&a->stream);
	a->queue = queue_new(QUEUE_ITEMS);
	if (pthread_create(&a->thread, NULL, run, a) != 0)
		abort(); /* no thread: as no memory */
	a->started = true;
	return steal_ptr(&a);
}

void
accept_wal_free(struct accept_wal *a)
{
	struct piece *p;

	if (a == NULL)
		return;
	if (a->started) {
		queue_close(a->queue);
		(void)pthread_join(a->thread, NULL);
	}
	while ((p = a->early) != NULL) {
		a->early = p->next;
		free(p);
	}
	queue_free(a->queue);
	zinflate_free(a->inflate);
	stream_fini(&a->stream);
	(void)pthread_mutex_destroy(&a->lock);
	free(a);
}

/* ---- chunks ---- */

static struct piece *
piece_new(uint64_t offset, const uint8_t *data, size_t len)
{
	struct piece *p = mem_alloc(sizeof(*p) + len);

	p->next = NULL;
	p->offset = offset;
	p->len = len;
	if (len > 0)
		(void)memcpy(p->data, data, len);
	return p;
}

/* Hand on what has no hole before it. */
static void
hand_on(struct accept_wal *a)
{
	struct piece *p;

	while ((p = a->early) != NULL && p->offset <= a->next_offset) {
		a->early = p->next;
		a->early_count--;
		a->early_bytes -= p->len;
		if (p->offset < a->next_offset) {
			free(p); /* again */
			continue;
		}
		a->next_offset += p->len;
		if (!queue_put(a->queue, p))
			free(p);
	}
	if (a->next_offset == a->end_offset) {
		a->end_offset = UINT64_MAX;
		p = piece_new(a->next_offset, NULL, 0);
		if (!queue_put(a->queue, p))
			free(p);
	}
}

int
accept_wal_chunk(struct accept_wal *a, uint64_t offset, const uint8_t *data,
    size_t len, struct err *e)
{
	struct accept_wal_state st;
	struct piece **at, *p;

	accept_wal_state(a, &st);
	/* Pieces that lie over each other count too. */
	if (offset > st.consumed + 2 * ACCEPT_WAL_WINDOW || len == 0 ||
	    a->early_bytes > 2 * ACCEPT_WAL_WINDOW ||
	    a->early_count > EARLY_PIECES_MAX)
		return err_set(e, ERR_CORRUPT,
		    "the peer sends more WAL than it was told to");
	if (offset < a->next_offset)
		return 0; /* again */
	for (at = &a->early; *at != NULL && (*at)->offset < offset;
	     at = &(*at)->next)
		;
	if (*at != NULL && (*at)->offset == offset)
		return 0; /* again */
	p = piece_new(offset, data, len);
	p->next = *at;
	*at = p;
	a->early_count++;
	a->early_bytes += len;
	hand_on(a);
	return 0;
}

void
accept_wal_end(struct accept_wal *a, uint64_t offset)
{
	a->end_offset = offset;
	hand_on(a);
}

void
accept_wal_state(struct accept_wal *a, struct accept_wal_state *st)
{
	(void)pthread_mutex_lock(&a->lock);
	*st = a->state;
	(void)pthread_mutex_unlock(&a->lock);
}
