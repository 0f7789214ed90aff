#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H

/*
 * queue: the one bounded queue of pointers between threads.
 *
 * Any number of producers and consumers.  Closing says that nothing more will
 * come; failing wakes everybody at once with "give up".
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/auto.h"

struct queue;

struct queue *queue_new(size_t count_max);
void queue_free(struct queue *q); /* items left inside are not freed */
AUTO_DEFINE(struct queue, queue_free);
#define AUTO_QUEUE AUTO(queue_free_auto)

/* Waits while full.  false when the queue was failed or closed: the item is
 * still the caller's. */
bool queue_put(struct queue *q, void *item);
/* Waits while empty.  NULL when closed and drained, or failed. */
void *queue_get(struct queue *q);
/* NULL at once when empty. */
void *queue_try_get(struct queue *q);
void queue_close(struct queue *q);
void queue_fail(struct queue *q);
bool queue_failed(struct queue *q);
/* Hand every item left to fn, of a failed queue too.  No thread uses it any
 * more. */
void queue_drain(struct queue *q, void (*fn)(void *item));

#endif /* !BASE_QUEUE_H */
