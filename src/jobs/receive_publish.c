/*
 * receive_publish: full segments are compressed and stored on threads of their
 * own, so that the receiver goes on.
 *
 *	receiver --put--> [ row, in order of LSN ] --reap--> receiver
 *	                     |            ^
 *	                   queue        done
 *	                     v            |
 *	                  thread       thread
 *
 * The receiver owns the row and the open segments; threads read the bytes and
 * say when they are stored.  A segment appears in the repository only after the
 * one before it: there is never a hole, whenever we are killed.
 */

#include <pthread.h>

#include "base/mem.h"
#include "base/queue.h"
#include "jobs/receive_int.h"

#define THREADS 2
/* Segments on their way, within so many bytes; but always two. */
#define ROW_MAX	      3
#define ROW_BYTES_MAX ((uint64_t)64 << 20)

struct publisher {
	struct lineage lineage;
	int level;
	struct queue *queue;
	pthread_t threads[THREADS];
	struct receive_segment *first, *last;
	unsigned int count, max;
	uint64_t durable_lsn;
	pthread_mutex_t lock; /* guards done and err of segments, and ... */
	pthread_cond_t done;
	uint64_t stored_lsn; /* ... up to where all is stored */
	uint64_t failed_lsn; /* ... the first that could not be; UINT64_MAX */
};

/* What a thread works on. */
struct work {
	struct publisher *p;
	const struct receive_segment *s;
};

struct receive_segment *
receive_segment_new(
    struct wal_open *open, uint64_t start_lsn, uint32_t segment_bytes)
{
	struct receive_segment *s = mem_zalloc(sizeof(*s));

	s->open = open;
	s->start_lsn = start_lsn;
	s->end_lsn = start_lsn + segment_bytes;
	return s;
}

void
receive_segment_free(struct receive_segment *s)
{
	if (s == NULL)
		return;
	wal_open_close(s->open);
	walindex_free(&s->index);
	free(s);
}

/* Wait until all segments before ours are stored. */
static int
wait_turn(void *arg, struct err *e)
{
	const struct work *w = arg;
	struct publisher *p = w->p;
	bool failed;

	(void)pthread_mutex_lock(&p->lock);
	while (
	    p->failed_lsn > w->s->start_lsn && p->stored_lsn < w->s->start_lsn)
		(void)pthread_cond_wait(&p->done, &p->lock);
	failed = p->failed_lsn < w->s->start_lsn;
	(void)pthread_mutex_unlock(&p->lock);
	return failed ? err_set(e, ERR_TRANSIENT,
			    "an earlier WAL segment could not be stored")
		      : 0;
}

/* How it went with s. */
static void
finish(struct publisher *p, struct receive_segment *s, const struct err *e)
{
	(void)pthread_mutex_lock(&p->lock);
	s->err = *e;
	s->done = true;
	if (e->kind == ERR_NONE)
		p->stored_lsn = s->end_lsn;
	else if (s->start_lsn < p->failed_lsn)
		p->failed_lsn = s->start_lsn;
	(void)pthread_cond_broadcast(&p->done);
	(void)pthread_mutex_unlock(&p->lock);
}

static void *
run(void *arg)
{
	struct publisher *p = arg;
	AUTO_WAL_STORER struct wal_storer *storer = wal_storer_new();
	struct receive_segment *s;
	struct work work = { p, NULL };
	struct err e;
	bool existed;

	wal_storer_set_turn(storer, wait_turn, &work);
	while ((s = queue_get(p->queue)) != NULL) {
		err_clear(&e);
		work.s = s;
		(void)wal_store_checked(storer, &p->lineage, &s->index,
		    wal_open_data(s->open), p->level, &existed, &e);
		if (existed && e.kind == ERR_NONE)
			(void)wait_turn(&work, &e);
		finish(p, s, &e);
	}
	return NULL;
}

struct publisher *
publisher_new(const struct lineage *l, int level, uint64_t durable_lsn)
{
	struct publisher *p = mem_zalloc(sizeof(*p));
	uint64_t fit = ROW_BYTES_MAX / l->facts.segment_bytes;
	size_t i;

	p->lineage = *l;
	p->level = level;
	p->durable_lsn = p->stored_lsn = durable_lsn;
	p->failed_lsn = UINT64_MAX;
	p->max = fit > ROW_MAX ? ROW_MAX : fit < 2 ? 2 : (unsigned int)fit;
	p->queue = queue_new(p->max);
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->done, NULL);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&p->threads[i], NULL, run, p) != 0)
			abort(); /* no thread: as no memory */
	return p;
}

void
publisher_free(struct publisher *p)
{
	struct receive_segment *s;
	size_t i;

	if (p == NULL)
		return;
	queue_close(p->queue);
	for (i = 0; i < THREADS; i++)
		(void)pthread_join(p->threads[i], NULL);
	while ((s = p->first) != NULL) {
		p->first = s->next;
		receive_segment_free(s);
	}
	queue_free(p->queue);
	(void)pthread_cond_destroy(&p->done);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

/* Is it through?  Waits for that when wait.  *err is then how it went. */
static bool
is_done(
    struct publisher *p, struct receive_segment *s, bool wait, struct err *err)
{
	bool done;

	(void)pthread_mutex_lock(&p->lock);
	while (wait && !s->done)
		(void)pthread_cond_wait(&p->done, &p->lock);
	done = s->done;
	*err = s->err;
	(void)pthread_mutex_unlock(&p->lock);
	return done;
}

static void
move_durable(struct publisher *p, uint64_t lsn)
{
	if (lsn > p->durable_lsn)
		p->durable_lsn = lsn;
}

bool
publisher_all_durable(const struct publisher *p)
{
	const struct receive_segment *s;

	for (s = p->first; s != NULL; s = s->next)
		if (wal_open_synced_end(s->open) < s->end_lsn)
			return false;
	return true;
}

uint64_t
publisher_durable(struct publisher *p)
{
	const struct receive_segment *s;

	/* Behind what is stored, what is synced without a gap. */
	for (s = p->first; s != NULL; s = s->next) {
		move_durable(p, wal_open_synced_end(s->open));
		if (wal_open_synced_end(s->open) < s->end_lsn)
			break;
	}
	return p->durable_lsn;
}

/* Take out the first of the row if it is stored: 1, 0 not yet, -1 failed. */
static int
reap_first(struct publisher *p, bool wait, struct err *e)
{
	AUTO_RECEIVE_SEGMENT struct receive_segment *s = NULL;
	struct err how;

	if (!is_done(p, p->first, wait, &how))
		return 0;
	if (how.kind != ERR_NONE) {
		if (e != NULL)
			*e = how;
		return -1;
	}
	s = p->first;
	p->first = s->next;
	if (p->first == NULL)
		p->last = NULL;
	p->count--;
	move_durable(p, s->end_lsn);
	return wal_open_discard(s->open, e) == -1 ? -1 : 1;
}

int
publisher_reap(struct publisher *p, bool wait, struct err *e)
{
	int rc = 1;

	while (p->first != NULL && rc == 1)
		rc = reap_first(p, wait, e);
	return rc == -1 ? -1 : 0;
}

int
publisher_put(struct publisher *p, struct receive_segment *s, struct err *e)
{
	AUTO_RECEIVE_SEGMENT struct receive_segment *mine = s;

	while (p->count >= p->max)
		if (reap_first(p, true, e) == -1)
			return -1;
	if (!queue_put(p->queue, s))
		return err_set(e, ERR_BUG, "the publisher has been stopped");
	if (p->last == NULL)
		p->first = s;
	else
		p->last->next = s;
	p->last = s;
	p->count++;
	(void)steal_ptr(&mine);
	return 0;
}

int
publisher_save(struct publisher *p, struct err *e)
{
	struct receive_segment *s;
	struct err how;

	for (s = p->first; s != NULL; s = s->next) {
		(void)is_done(p, s, true, &how);
		if (wal_open_sync(s->open, e) == -1)
			return -1;
	}
	return 0;
}
