/*
 * Chunks that were sent: told once, sent again exactly when no lane that works
 * carries them, freed when nothing needs them (ASan sees to that).
 */
#include <string.h>

#include "link/held.h"
#include "tap.h"

static struct held_store store;

static struct held *
fresh(uint64_t offset, struct held_row *row)
{
	const struct link_chunk c = { 1, offset, (const uint8_t *)"data", 4 };
	struct held *h = held_new(&store, &c);

	held_push(row, h);
	return h;
}

static void
taken(struct held_row *row, bool first_time, const char *what)
{
	struct held *h = held_taken(&store, row);

	tap_ok((h != NULL) == first_time, "%s", what);
	if (h != NULL)
		held_drop(h);
}

/* The next one again is this one, and goes into row. */
static void
again(struct held_row *row, uint64_t offset, const char *what)
{
	struct held *h = held_again(&store);

	tap_ok(h != NULL && h->offset == offset, "%s", what);
	if (h != NULL)
		held_push(row, h);
}

static void
check_stalled(void)
{
	struct held_row a = { 0 }, b = { 0 }, c = { 0 };

	(void)fresh(1, &a);
	(void)fresh(2, &a);
	tap_ok(held_again(&store) == NULL, "what is carried is not sent again");
	held_row_stalled(&store, &a);
	again(&b, 1, "a stalled lane's is");
	held_row_revived(&store, &a);
	tap_ok(held_again(&store) == NULL, "unless it goes on");
	held_row_stalled(&store, &a);
	again(&b, 2, "the rest, when it stalls once more");
	tap_ok(held_again(&store) == NULL, "but not what another carries");
	held_row_stalled(&store, &b);
	again(&c, 1, "until that one stalls, too");
	held_row_dead(&store, &b);
	again(&c, 2, "or is dead");
	held_row_dead(&store, &c);
	tap_u64(store.wanted, 2, "while the first one still stalls");
	taken(&a, true, "which may have brought it after all");
	again(&b, 2, "then only the other is sent");
	taken(&b, true, "and taken");
	taken(&a, false, "once");
	held_row_dead(&store, &a);
	held_row_dead(&store, &b);
	tap_u64(store.bytes, 0, "nothing is kept");
	tap_ok(held_again(&store) == NULL, "nor to be sent");
	held_clear(&store);
}

static void
check_order(void)
{
	struct held_row a = { 0 }, b = { 0 };
	uint64_t i;
	bool ordered = true;
	struct held *h;

	for (i = 0; i < 1000; i++) {
		(void)fresh(i, &a);
		if (i % 3 == 0)
			held_drop(held_taken(&store, &a));
	}
	held_row_dead(&store, &a);
	for (i = 334; (h = held_again(&store)) != NULL; i++) {
		ordered = ordered && h->offset == i;
		held_push(&b, h);
	}
	tap_ok(ordered && i == 1000, "what a dead lane held keeps its order");
	held_row_dead(&store, &b);
	held_clear(&store);
	tap_u64(store.bytes, 0, "the end of a session forgets all");
}

int
main(void)
{
	check_stalled();
	check_order();
	return tap_done();
}
