#include "pg/walimages.h"

#include "base/mem.h"

#define SLOTS_FIRST ((size_t)64)

struct slot {
	struct walimages_key key;
	bool used, restored;
};

/* A hash table with linear probing, at most half full. */
struct walimages {
	struct slot *slots;
	size_t slot_count; /* a power of two */
	size_t count, restored_count;
};

struct walimages *
walimages_new(void)
{
	struct walimages *w = mem_zalloc(sizeof(*w));

	w->slot_count = SLOTS_FIRST;
	w->slots = mem_zarray(w->slot_count, sizeof(*w->slots));
	return w;
}

void
walimages_free(struct walimages *w)
{
	if (w == NULL)
		return;
	free(w->slots);
	free(w);
}

/* One step of mixing; the multiplier is 2^64 divided by the golden ratio. */
static uint64_t
mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 32;
}

static bool
same(const struct walimages_key *a, const struct walimages_key *b)
{
	return a->block == b->block && a->relation == b->relation &&
	    a->database == b->database && a->tablespace == b->tablespace &&
	    a->fork == b->fork;
}

/* The slot of key, or the free one where it would go. */
static struct slot *
find(const struct walimages *w, const struct walimages_key *key)
{
	size_t mask = w->slot_count - 1, i;
	uint64_t h;

	h = mix(0, (uint64_t)key->relation << 32 | key->block);
	h = mix(h, (uint64_t)key->tablespace << 32 | key->database);
	h = mix(h, key->fork);
	for (i = h & mask; w->slots[i].used; i = (i + 1) & mask)
		if (same(&w->slots[i].key, key))
			break;
	return &w->slots[i];
}

static void
grow(struct walimages *w)
{
	AUTO_FREE struct slot *old = w->slots;
	size_t old_count = w->slot_count, i;

	w->slot_count = 2 * old_count;
	w->slots = mem_zarray(w->slot_count, sizeof(*w->slots));
	for (i = 0; i < old_count; i++)
		if (old[i].used)
			*find(w, &old[i].key) = old[i];
}

int
walimages_want(
    struct walimages *w, const struct walimages_key *key, struct err *e)
{
	struct slot *slot = find(w, key);

	if (slot->used)
		return 0;
	if (w->count == WALIMAGES_MAX)
		return err_set(e, ERR_CORRUPT,
		    "more than %zu blocks may be torn", WALIMAGES_MAX);
	if (2 * (w->count + 1) > w->slot_count) {
		grow(w);
		slot = find(w, key);
	}
	slot->key = *key;
	slot->used = true;
	w->count++;
	return 0;
}

int
walimages_on_record(void *arg, const struct walreader_record *r, struct err *e)
{
	struct walimages *w = arg;
	struct walimages_key key;
	struct slot *slot;
	unsigned int i;

	(void)e;
	for (i = 0; i < r->block_count; i++) {
		if (!r->blocks[i].apply_image && !r->blocks[i].will_init)
			continue;
		key.tablespace = r->blocks[i].tablespace;
		key.database = r->blocks[i].database;
		key.relation = r->blocks[i].relation;
		key.fork = r->blocks[i].fork;
		key.block = r->blocks[i].block;
		slot = find(w, &key);
		if (!slot->used || slot->restored)
			continue;
		slot->restored = true;
		w->restored_count++;
	}
	return 0;
}

bool
walimages_restored(const struct walimages *w, const struct walimages_key *key)
{
	const struct slot *slot = find(w, key);

	return slot->used && slot->restored;
}

size_t
walimages_count(const struct walimages *w)
{
	return w->count;
}

size_t
walimages_restored_count(const struct walimages *w)
{
	return w->restored_count;
}
