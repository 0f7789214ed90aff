#ifndef LINK_HELD_H
#define LINK_HELD_H

/*
 * held: chunks that were sent and are kept until the peer has taken them.
 *
 * Each lane has a row of those that it carries, oldest first.  What must go
 * out again stands in the store's queue.  A chunk may be in several rows (a
 * stalled lane's and the one that sent it again); the first acknowledgement
 * counts.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "link/link.h"

struct held {
	uint64_t stream, offset;
	size_t len;
	unsigned int rows; /* that list it */
	unsigned int live; /* of them, those of lanes that do not stall */
	bool acked;
	bool wanted;   /* to be sent again */
	bool in_queue; /* wanted or not */
	struct held *next;
	uint8_t data[];
};

struct held_row {
	struct held **ring;
	size_t first, count, cap;
	bool stalled;
};

struct held_store {
	struct held *first, *last; /* the queue */
	size_t bytes;		   /* not acknowledged */
	size_t wanted;		   /* chunks to be sent again */
};

/* Room for one more chunk of any size? */
bool held_room(const struct held_store *s);
/* A copy of c, which is in no row yet. */
struct held *held_new(struct held_store *s, const struct link_chunk *c);
/* The next one to be sent again, or NULL; it goes into a row next. */
struct held *held_again(struct held_store *s);
void held_push(struct held_row *row, struct held *h);
/* The oldest of the row was taken.  Returns it while it is new that it was, to
 * be told and then given to held_drop(); else NULL. */
struct held *held_taken(struct held_store *s, struct held_row *row);
void held_drop(struct held *h);
/* The lane stalls: what no other lane carries is wanted. */
void held_row_stalled(struct held_store *s, struct held_row *row);
/* It goes on after all. */
void held_row_revived(struct held_store *s, struct held_row *row);
/* The lane is dead: the row is emptied, and freed. */
void held_row_dead(struct held_store *s, struct held_row *row);
/* The session is over; rows were emptied. */
void held_clear(struct held_store *s);

#endif /* !LINK_HELD_H */
