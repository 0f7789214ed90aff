#include "base/queue.h"

#include <assert.h>
#include <pthread.h>

#include "base/mem.h"

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t not_full, not_empty;
	void **ring;
	size_t count_max, count, first;
	bool closed, failed;
};

struct queue *
queue_new(size_t count_max)
{
	struct queue *q = mem_zalloc(sizeof(*q));

	assert(count_max > 0);
	(void)pthread_mutex_init(&q->lock, NULL);
	(void)pthread_cond_init(&q->not_full, NULL);
	(void)pthread_cond_init(&q->not_empty, NULL);
	q->ring = mem_zarray(count_max, sizeof(*q->ring));
	q->count_max = count_max;
	return q;
}

void
queue_free(struct queue *q)
{
	if (q == NULL)
		return;
	(void)pthread_cond_destroy(&q->not_empty);
	(void)pthread_cond_destroy(&q->not_full);
	(void)pthread_mutex_destroy(&q->lock);
	free(q->ring);
	free(q);
}

bool
queue_put(struct queue *q, void *item)
{
	bool taken;

	assert(item != NULL);
	(void)pthread_mutex_lock(&q->lock);
	while (q->count == q->count_max && !q->closed && !q->failed)
		(void)pthread_cond_wait(&q->not_full, &q->lock);
	taken = !q->closed && !q->failed;
	if (taken) {
		q->ring[(q->first + q->count) % q->count_max] = item;
		q->count++;
		(void)pthread_cond_signal(&q->not_empty);
	}
	(void)pthread_mutex_unlock(&q->lock);
	return taken;
}

/* The oldest item or NULL; the lock is held. */
static void *
take(struct queue *q)
{
	void *item;

	if (q->count == 0 || q->failed)
		return NULL;
	item = q->ring[q->first];
	q->first = (q->first + 1) % q->count_max;
	q->count--;
	(void)pthread_cond_signal(&q->not_full);
	return item;
}

void *
queue_get(struct queue *q)
{
	void *item;

	(void)pthread_mutex_lock(&q->lock);
	while (q->count == 0 && !q->closed && !q->failed)
		(void)pthread_cond_wait(&q->not_empty, &q->lock);
	item = take(q);
	(void)pthread_mutex_unlock(&q->lock);
	return item;
}

void *
queue_try_get(struct queue *q)
{
	void *item;

	(void)pthread_mutex_lock(&q->lock);
	item = take(q);
	(void)pthread_mutex_unlock(&q->lock);
	return item;
}

static void
end(struct queue *q, bool *how)
{
	(void)pthread_mutex_lock(&q->lock);
	*how = true;
	(void)pthread_cond_broadcast(&q->not_full);
	(void)pthread_cond_broadcast(&q->not_empty);
	(void)pthread_mutex_unlock(&q->lock);
}

void
queue_close(struct queue *q)
{
	end(q, &q->closed);
}

void
queue_fail(struct queue *q)
{
	end(q, &q->failed);
}

bool
queue_failed(struct queue *q)
{
	bool failed;

	(void)pthread_mutex_lock(&q->lock);
	failed = q->failed;
	(void)pthread_mutex_unlock(&q->lock);
	return failed;
}

void
queue_drain(struct queue *q, void (*fn)(void *item))
{
	for (; q->count > 0; q->count--) {
		fn(q->ring[q->first]);
		q->first = (q->first + 1) % q->count_max;
	}
}
