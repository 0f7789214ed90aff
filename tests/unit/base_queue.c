/*
 * queue: nothing is lost or doubled between threads, and everybody wakes up.
 */

#include "base/queue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

#include "tap.h"

#define THREADS 4
#define EACH	20000
#define ALL	(THREADS * EACH)

static unsigned char seen[ALL + 1];
static atomic_bool closing; /* a get may come back with nothing */
static atomic_uint early;

struct worker {
	struct queue *q;
	uintptr_t first;
	uint64_t sum;
	atomic_uint count;
	pthread_t thread;
};

static void *
produce(void *arg)
{
	struct worker *w = arg;
	uintptr_t i;

	for (i = 0; i < EACH; i++) {
		if (!queue_put(w->q, (void *)(w->first + i)))
			break;
		w->count++;
	}
	return NULL;
}

static void *
consume(void *arg)
{
	struct worker *w = arg;
	uintptr_t item;

	while ((item = (uintptr_t)queue_get(w->q)) != 0) {
		seen[item]++; /* each is one thread's alone */
		w->count++;
	}
	if (!atomic_load(&closing))
		(void)atomic_fetch_add(&early, 1);
	return NULL;
}

static void
check_many_threads(size_t room)
{
	AUTO_QUEUE struct queue *q = queue_new(room);
	struct worker from[THREADS] = { 0 }, to[THREADS] = { 0 };
	unsigned int i, wrong = 0;
	uint64_t got = 0;

	for (i = 0; i <= ALL; i++)
		seen[i] = 0;
	atomic_store(&closing, false);
	atomic_store(&early, 0);
	for (i = 0; i < THREADS; i++) {
		from[i].q = to[i].q = q;
		from[i].first = 1 + (uintptr_t)i * EACH;
		(void)pthread_create(&from[i].thread, NULL, produce, &from[i]);
		(void)pthread_create(&to[i].thread, NULL, consume, &to[i]);
	}
	for (i = 0; i < THREADS; i++)
		(void)pthread_join(from[i].thread, NULL);
	atomic_store(&closing, true);
	queue_close(q);
	for (i = 0; i < THREADS; i++) {
		(void)pthread_join(to[i].thread, NULL);
		got += to[i].count;
	}
	for (i = 1; i <= ALL; i++)
		if (seen[i] != 1)
			wrong++;
	tap_u64(got, ALL, "room %zu: all items come out", room);
	tap_u64(wrong, 0, "room %zu: each once", room);
	tap_u64(atomic_load(&early), 0, "room %zu: nobody leaves early", room);
}

static void
check_order(void)
{
	AUTO_QUEUE struct queue *q = queue_new(3);
	int items[4];

	tap_ok(queue_try_get(q) == NULL, "nothing is there at once");
	(void)queue_put(q, &items[0]);
	(void)queue_put(q, &items[1]);
	tap_ok(queue_get(q) == &items[0], "first in, first out");
	(void)queue_put(q, &items[2]);
	(void)queue_put(q, &items[3]);
	tap_ok(queue_try_get(q) == &items[1], "in order over the end");
	queue_close(q);
	tap_ok(!queue_put(q, &items[0]), "closed it takes nothing more");
	tap_ok(queue_get(q) == &items[2] && queue_get(q) == &items[3],
	    "but gives what it holds");
	tap_ok(queue_get(q) == NULL && !queue_failed(q),
	    "then nothing, with no failure");
}

static unsigned int drained;

static void
count_item(void *item)
{
	if (*(int *)item == 7)
		drained++;
}

static void
check_drain(void)
{
	AUTO_QUEUE struct queue *q = queue_new(3);
	int items[] = { 0, 7, 7, 7 }, i;

	for (i = 0; i < 3; i++)
		(void)queue_put(q, &items[i]);
	(void)queue_get(q);
	(void)queue_put(q, &items[3]);
	queue_fail(q);
	queue_drain(q, count_item);
	tap_u64(drained, 3, "what a failed queue holds can be taken out");
	queue_drain(q, count_item);
	tap_u64(drained, 3, "once");
}

static void
check_fail(void)
{
	AUTO_QUEUE struct queue *q = queue_new(2);
	struct worker from = { .q = q, .first = 1 }, to[2] = { 0 };
	int item;

	(void)pthread_create(&from.thread, NULL, produce, &from);
	while (atomic_load(&from.count) < 2)
		(void)usleep(1000);
	(void)usleep(20000); /* let it wait for room */
	queue_fail(q);
	(void)pthread_join(from.thread, NULL);
	tap_u64(from.count, 2, "a failed queue wakes who waits to put");
	tap_ok(queue_failed(q), "it says that it failed");
	tap_ok(queue_get(q) == NULL && queue_try_get(q) == NULL,
	    "and gives nothing of what it holds");
	tap_ok(!queue_put(q, &item), "nor takes more");

	{
		AUTO_QUEUE struct queue *empty = queue_new(2);

		to[0].q = to[1].q = empty;
		(void)pthread_create(&to[0].thread, NULL, consume, &to[0]);
		(void)pthread_create(&to[1].thread, NULL, consume, &to[1]);
		(void)usleep(20000);
		queue_fail(empty);
		(void)pthread_join(to[0].thread, NULL);
		(void)pthread_join(to[1].thread, NULL);
		tap_u64(to[0].count + to[1].count, 0,
		    "a failed queue wakes all who wait to get");
	}
	queue_free(NULL);
}

int
main(void)
{
	check_order();
	check_many_threads(1);
	check_many_threads(64);
	check_fail();
	check_drain();
	return tap_done();
}
