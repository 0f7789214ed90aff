#include "link/held.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* What a chunk counts in memory: small ones have their price. */
static size_t
cost(size_t len)
{
	return len + sizeof(struct held);
}

bool
held_room(const struct held_store *s)
{
	return s->bytes + cost(LINK_CHUNK_MAX) <= LINK_IN_FLIGHT_MAX;
}

struct held *
held_new(struct held_store *s, const struct link_chunk *c)
{
	struct held *h = mem_alloc(sizeof(*h) + c->len);

	(void)memset(h, 0, sizeof(*h));
	h->stream = c->stream;
	h->offset = c->offset;
	h->len = c->len;
	if (c->len > 0)
		(void)memcpy(h->data, c->data, c->len);
	s->bytes += cost(h->len);
	return h;
}

void
held_drop(struct held *h)
{
	if (h->rows == 0 && !h->in_queue)
		free(h);
}

static void
want(struct held_store *s, struct held *h)
{
	if (h->acked || h->wanted)
		return;
	h->wanted = true;
	s->wanted++;
	if (h->in_queue)
		return;
	h->in_queue = true;
	h->next = NULL;
	if (s->last != NULL)
		s->last->next = h;
	else
		s->first = h;
	s->last = h;
}

static void
unwant(struct held_store *s, struct held *h)
{
	if (h->wanted) {
		h->wanted = false;
		s->wanted--;
	}
}

struct held *
held_again(struct held_store *s)
{
	struct held *h;

	while ((h = s->first) != NULL) {
		s->first = h->next;
		if (s->first == NULL)
			s->last = NULL;
		h->in_queue = false;
		if (h->wanted) {
			unwant(s, h);
			return h;
		}
		held_drop(h);
	}
	return NULL;
}

void
held_push(struct held_row *row, struct held *h)
{
	if (row->count == row->cap) {
		size_t cap = row->cap == 0 ? 64 : 2 * row->cap, i;
		struct held **ring = mem_array(cap, sizeof(struct held *));

		for (i = 0; i < row->count; i++)
			ring[i] = row->ring[(row->first + i) % row->cap];
		free(row->ring);
		row->ring = ring;
		row->first = 0;
		row->cap = cap;
	}
	row->ring[(row->first + row->count++) % row->cap] = h;
	h->rows++;
	h->live += !row->stalled;
}

static struct held *
shift(struct held_row *row)
{
	struct held *h = row->ring[row->first];

	row->first = (row->first + 1) % row->cap;
	row->count--;
	h->rows--;
	h->live -= !row->stalled;
	return h;
}

struct held *
held_taken(struct held_store *s, struct held_row *row)
{
	struct held *h = shift(row);

	if (h->acked) {
		held_drop(h);
		return NULL;
	}
	h->acked = true;
	unwant(s, h);
	s->bytes -= cost(h->len);
	return h;
}

void
held_row_stalled(struct held_store *s, struct held_row *row)
{
	size_t i;

	row->stalled = true;
	for (i = 0; i < row->count; i++) {
		struct held *h = row->ring[(row->first + i) % row->cap];

		if (--h->live == 0)
			want(s, h);
	}
}

void
held_row_revived(struct held_store *s, struct held_row *row)
{
	size_t i;

	row->stalled = false;
	for (i = 0; i < row->count; i++) {
		struct held *h = row->ring[(row->first + i) % row->cap];

		h->live++;
		unwant(s, h);
	}
}

void
held_row_dead(struct held_store *s, struct held_row *row)
{
	while (row->count > 0) {
		struct held *h = shift(row);

		if (h->live == 0)
			want(s, h);
		held_drop(h);
	}
	free(row->ring);
	(void)memset(row, 0, sizeof(*row));
}

void
held_clear(struct held_store *s)
{
	struct held *h;

	while ((h = held_again(s)) != NULL)
		held_drop(h);
	(void)memset(s, 0, sizeof(*s));
}
