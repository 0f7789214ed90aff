#include "base/strmap.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

/*
 * Open addressing with linear probing: a key lies at its home slot or behind
 * it with no hole between.  At most three quarters are full; removing moves
 * later keys up, so there are no tombstones.
 */
struct slot {
	char *key; /* NULL: free */
	void *value;
	uint64_t hash;
};

struct strmap {
	struct slot *slots;
	size_t room; /* a power of two */
	size_t count;
};

#define ROOM_MIN ((size_t)16)

/* FNV-1a, mixed so that the low bits depend on all of it. */
static uint64_t
hash_of(const char *key)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (; *key != '\0'; key++)
		h = (h ^ (unsigned char)*key) * UINT64_C(1099511628211);
	return h ^ h >> 32;
}

struct strmap *
strmap_new(void)
{
	struct strmap *m = mem_zalloc(sizeof(*m));

	m->room = ROOM_MIN;
	m->slots = mem_zarray(m->room, sizeof(*m->slots));
	return m;
}

void
strmap_free(struct strmap *m)
{
	size_t i;

	if (m == NULL)
		return;
	for (i = 0; i < m->room; i++)
		free(m->slots[i].key);
	free(m->slots);
	free(m);
}

/* The slot of key, or the free one where it would go. */
static struct slot *
find(const struct strmap *m, const char *key, uint64_t hash)
{
	size_t i = hash & (m->room - 1);

	while (m->slots[i].key != NULL &&
	    (m->slots[i].hash != hash || strcmp(m->slots[i].key, key) != 0))
		i = (i + 1) & (m->room - 1);
	return &m->slots[i];
}

static void
grow(struct strmap *m)
{
	struct slot *old = m->slots;
	size_t i, old_room = m->room;

	m->room *= 2;
	m->slots = mem_zarray(m->room, sizeof(*m->slots));
	for (i = 0; i < old_room; i++)
		if (old[i].key != NULL)
			*find(m, old[i].key, old[i].hash) = old[i];
	free(old);
}

void *
strmap_get(const struct strmap *m, const char *key)
{
	return find(m, key, hash_of(key))->value;
}

void *
strmap_put(struct strmap *m, const char *key, void *value)
{
	uint64_t hash = hash_of(key);
	struct slot *slot = find(m, key, hash);
	void *older = slot->value;

	if (slot->key == NULL) {
		if ((m->count + 1) * 4 > m->room * 3) {
			grow(m);
			slot = find(m, key, hash);
		}
		slot->key = mem_strdup(key);
		slot->hash = hash;
		m->count++;
	}
	slot->value = value;
	return older;
}

void *
strmap_remove(struct strmap *m, const char *key)
{
	struct slot *slot = find(m, key, hash_of(key));
	void *value = slot->value;
	size_t hole = (size_t)(slot - m->slots), i = hole, home;

	if (slot->key == NULL)
		return NULL;
	free(slot->key);
	m->count--;
	for (;;) {
		i = (i + 1) & (m->room - 1);
		if (m->slots[i].key == NULL)
			break;
		/* Move up what would not be found past the hole. */
		home = m->slots[i].hash & (m->room - 1);
		if (((i - home) & (m->room - 1)) >=
		    ((i - hole) & (m->room - 1))) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	(void)memset(&m->slots[hole], 0, sizeof(m->slots[hole]));
	return value;
}

size_t
strmap_count(const struct strmap *m)
{
	return m->count;
}

bool
strmap_next(const struct strmap *m, size_t *pos, const char **key, void **value)
{
	for (; *pos < m->room; (*pos)++) {
		if (m->slots[*pos].key == NULL)
			continue;
		*key = m->slots[*pos].key;
		*value = m->slots[*pos].value;
		(*pos)++;
		return true;
	}
	return false;
}
