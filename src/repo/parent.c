#include "repo/parent.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

/* A pack of which less than this share is used is carried forward, as long as
 * all that is carried stays below a share of the backup. */
#define CARRY_LIVE_PERCENT   25
#define CARRY_BUDGET_PERCENT 5
#define LEAVES_CACHED	     4
#define INTERRUPTED_RUNS_MAX ((size_t)4 << 20)

/* One file of the parent: hash of its path, and where its entry is. */
struct slot {
	uint64_t hash; /* 0: free */
	uint32_t leaf;
	uint32_t ordinal;
};

struct leaf_sum {
	struct block_sum sum;
	uint32_t len;
	uint32_t pack, frame;
};

struct cached_entry {
	char *path;
	uint64_t size_bytes;
	uint8_t *map;
	size_t map_len;
	uint32_t map_pack, map_frame;
};

struct cached_leaf {
	uint32_t leaf; /* + 1; 0: free */
	uint64_t used_at;
	struct cached_entry *entries;
	size_t count;
};

/* A run of blocks of an interrupted backup. */
struct salvage_run {
	uint64_t hash; /* of the path */
	uint32_t first_block;
	uint32_t pack, frame;
	uint16_t index, count;
};

struct parent {
	const struct root *root;
	struct packset *ps;
	struct slot *slots;
	size_t slot_count, used; /* slot_count is a power of two */
	struct leaf_sum *leaf_sums;
	struct cached_leaf cache[LEAVES_CACHED];
	uint64_t clock;
	struct salvage_run *runs; /* by hash, first_block */
	size_t run_count, run_cap;
	struct root_pack *packs; /* by packset number; id "" when not ours */
	bool *carry;
	uint32_t pack_count;
};

static uint64_t
path_hash(const char *path)
{
	uint64_t h = xxh3_keyed(0, path, strlen(path));

	return h == 0 ? 1 : h;
}

static void
slots_put(struct parent *p, uint64_t hash, uint32_t leaf, uint32_t ordinal)
{
	size_t i, old = p->slot_count;
	struct slot *before = p->slots;

	if (p->used * 3 >= p->slot_count * 2) {
		p->slot_count = old == 0 ? 1024 : old * 2;
		p->slots = mem_zarray(p->slot_count, sizeof(p->slots[0]));
		p->used = 0;
		for (i = 0; i < old; i++)
			if (before[i].hash != 0)
				slots_put(p, before[i].hash, before[i].leaf,
				    before[i].ordinal);
		free(before);
	}
	for (i = hash & (p->slot_count - 1); p->slots[i].hash != 0;
	     i = (i + 1) & (p->slot_count - 1))
		continue;
	p->slots[i] = (struct slot){ hash, leaf, ordinal };
	p->used++;
}

static void
own_pack(struct parent *p, uint32_t number, const struct root_pack *pack)
{
	if (number >= p->pack_count) {
		p->packs = mem_rearray(
		    p->packs, (size_t)number + 1, sizeof(p->packs[0]));
		p->carry = mem_rearray(
		    p->carry, (size_t)number + 1, sizeof(p->carry[0]));
		for (; p->pack_count <= number; p->pack_count++) {
			p->packs[p->pack_count].id[0] = '\0';
			p->carry[p->pack_count] = false;
		}
	}
	p->packs[number] = *pack;
}

/* Which packs to carry forward: the emptiest that the budget allows. */
static void
choose_carried(struct parent *p)
{
	const struct root *r = p->root;
	uint64_t budget =
	    r->bytes / PACK_BLOCK_BYTES * CARRY_BUDGET_PERCENT / 100;
	size_t i;

	for (i = 0; i < r->pack_count; i++) {
		const struct root_pack *k = &r->packs[i];

		if (k->live * 100 >= k->blocks * CARRY_LIVE_PERCENT ||
		    k->live > budget || k->blocks < PACK_FRAME_BLOCKS_MAX)
			continue;
		budget -= k->live;
		p->carry[packset_intern(p->ps, k->id)] = true;
	}
}

struct index_walk {
	struct parent *p;
	uint32_t leaf, ordinal;
};

static int
index_entry(void *arg, const struct entry *entry, struct err *e)
{
	struct index_walk *w = arg;

	(void)e;
	if (entry->kind == ENTRY_FILE)
		slots_put(w->p, path_hash(entry->path), w->leaf, w->ordinal);
	w->ordinal++;
	return 0;
}

static int
read_leaf(struct parent *p, uint32_t leaf, struct buf *out, struct err *e)
{
	const struct root_leaf *rl = &p->root->leaves[leaf];
	AUTO_ZCODEC struct zcodec *z = zcodec_new();

	return packset_read_meta(p->ps,
	    packset_intern(p->ps, p->root->packs[rl->pack].id), rl->frame, z,
	    out, e);
}

static int
index_leaves(struct parent *p, struct err *e)
{
	const struct root *r = p->root;
	uint32_t i;

	p->leaf_sums = mem_zarray(r->leaf_count, sizeof(p->leaf_sums[0]));
	for (i = 0; i < r->leaf_count; i++) {
		AUTO_BUF struct buf bytes = BUF_INIT;
		struct index_walk w = { p, i, 0 };
		struct leaf_sum *s = &p->leaf_sums[i];

		if (read_leaf(p, i, &bytes, e) == -1 ||
		    leaf_decode(
			bytes.data, bytes.len, p->ps, index_entry, &w, e) == -1)
			return -1;
		s->sum = block_sum_of(0, bytes.data, bytes.len);
		s->len = (uint32_t)bytes.len;
		s->pack = packset_intern(p->ps, r->packs[r->leaves[i].pack].id);
		s->frame = r->leaves[i].frame;
	}
	return 0;
}

struct parent *
parent_new(const struct root *root, struct packset *ps, struct err *e)
{
	AUTO_PARENT struct parent *p = mem_zalloc(sizeof(*p));
	size_t i;

	p->root = root;
	p->ps = ps;
	if (root == NULL)
		return steal_ptr(&p);
	for (i = 0; i < root->pack_count; i++)
		own_pack(
		    p, packset_intern(ps, root->packs[i].id), &root->packs[i]);
	choose_carried(p);
	if (index_leaves(p, e) == -1)
		return NULL;
	return steal_ptr(&p);
}

static void
cached_leaf_clear(struct cached_leaf *c)
{
	size_t i;

	for (i = 0; i < c->count; i++) {
		free(c->entries[i].path);
		free(c->entries[i].map);
	}
	free(c->entries);
	(void)memset(c, 0, sizeof(*c));
}

void
parent_free(struct parent *p)
{
	size_t i;

	if (p == NULL)
		return;
	for (i = 0; i < LEAVES_CACHED; i++)
		cached_leaf_clear(&p->cache[i]);
	free(p->slots);
	free(p->leaf_sums);
	free(p->runs);
	free(p->packs);
	free(p->carry);
	free(p);
}

static int
cache_entry(void *arg, const struct entry *entry, struct err *e)
{
	struct cached_leaf *c = arg;
	struct cached_entry *x = &c->entries[c->count++];

	(void)e;
	x->path = mem_strdup(entry->path);
	x->size_bytes = entry->size_bytes;
	x->map = NULL;
	x->map_len = entry->map_len;
	if (entry->map != NULL) {
		x->map = mem_alloc(entry->map_len);
		(void)memcpy(x->map, entry->map, entry->map_len);
	}
	x->map_pack = entry->map_pack;
	x->map_frame = entry->map_frame;
	return 0;
}

static struct cached_leaf *
cached_leaf_get(struct parent *p, uint32_t leaf, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT;
	struct cached_leaf *c = &p->cache[0];
	size_t i;

	for (i = 0; i < LEAVES_CACHED; i++) {
		if (p->cache[i].leaf == leaf + 1) {
			p->cache[i].used_at = ++p->clock;
			return &p->cache[i];
		}
		if (p->cache[i].used_at < c->used_at)
			c = &p->cache[i];
	}
	cached_leaf_clear(c);
	c->entries = mem_array(LEAF_ENTRIES_MAX, sizeof(c->entries[0]));
	if (read_leaf(p, leaf, &bytes, e) == -1 ||
	    leaf_decode(bytes.data, bytes.len, p->ps, cache_entry, c, e) ==
		-1) {
		cached_leaf_clear(c);
		return NULL;
	}
	c->leaf = leaf + 1;
	c->used_at = ++p->clock;
	return c;
}

/* The parent's entry of path: 1 found, 0 none, -1 error. */
static int
find_entry(struct parent *p, const char *path, uint64_t hash,
    const struct cached_entry **found, struct err *e)
{
	size_t i;

	if (p->slot_count == 0)
		return 0;
	for (i = hash & (p->slot_count - 1); p->slots[i].hash != 0;
	     i = (i + 1) & (p->slot_count - 1)) {
		struct cached_leaf *c;

		if (p->slots[i].hash != hash)
			continue;
		c = cached_leaf_get(p, p->slots[i].leaf, e);
		if (c == NULL)
			return -1;
		*found = &c->entries[p->slots[i].ordinal];
		if (strcmp((*found)->path, path) == 0)
			return 1;
	}
	return 0;
}

/* First run of a path, run_count when none. */
static size_t
find_run(const struct parent *p, uint64_t hash)
{
	size_t lo = 0, hi = p->run_count, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (p->runs[mid].hash < hash)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Lay the runs of an interrupted backup over what the parent has. */
static int
overlay_runs(
    struct parent *p, uint64_t hash, struct parent_file *f, struct err *e)
{
	size_t at = find_run(p, hash), i;
	uint32_t blocks = f->map.blocks, end, b;
	struct filemap map;
	AUTO_FREE struct block_place *places = NULL;

	if (at == p->run_count || p->runs[at].hash != hash)
		return 0;
	for (i = at; i < p->run_count && p->runs[i].hash == hash; i++) {
		end = p->runs[i].first_block + p->runs[i].count;
		if (end > blocks)
			blocks = end;
	}
	places = mem_zarray(blocks, sizeof(places[0]));
	for (b = f->map.blocks; b < blocks; b++)
		places[b].kind = EXTENT_ZERO;
	if (filemap_places(&f->map, p->ps, 0, f->map.blocks, places, e) == -1)
		return -1;
	for (i = at; i < p->run_count && p->runs[i].hash == hash; i++)
		for (b = 0; b < p->runs[i].count; b++)
			places[p->runs[i].first_block + b] =
			    (struct block_place){ p->runs[i].pack,
				    p->runs[i].frame,
				    (uint16_t)(p->runs[i].index + b),
				    EXTENT_STORED, false };
	filemap_init(&map);
	for (b = 0; b < blocks; b++)
		filemap_add(&map, &places[b]);
	filemap_free(&f->map);
	f->map = map;
	f->interrupted = true;
	return 0;
}

/* What the parent has of path, into f. */
static int
take_cached(struct parent *p, const char *path, const struct cached_entry *c,
    struct parent_file *f, struct err *e)
{
	AUTO_FREE struct entry *entry = mem_zalloc(sizeof(*entry));

	(void)snprintf(entry->path, sizeof(entry->path), "%s", path);
	entry->size_bytes = c->size_bytes;
	entry->map = c->map;
	entry->map_len = c->map_len;
	entry->map_pack = c->map_pack;
	entry->map_frame = c->map_frame;
	if (entry_map(entry, p->ps, &f->map, e) == -1)
		return -1;
	f->in_parent = true;
	f->size_bytes = c->size_bytes;
	f->map_len = c->map_len;
	f->map_pack = c->map_pack;
	f->map_frame = c->map_frame;
	if (c->map != NULL) {
		f->map_bytes = mem_alloc(c->map_len);
		(void)memcpy(f->map_bytes, c->map, c->map_len);
	}
	return 0;
}

struct parent_file *
parent_find(struct parent *p, const char *path, struct err *e)
{
	AUTO_PARENT_FILE struct parent_file *f = mem_zalloc(sizeof(*f));
	uint64_t hash = path_hash(path);
	const struct cached_entry *c = NULL;
	int found = find_entry(p, path, hash, &c, e);

	if (found == -1 || (found == 1 && take_cached(p, path, c, f, e) == -1))
		return NULL;
	if (overlay_runs(p, hash, f, e) == -1)
		return NULL;
	return steal_ptr(&f);
}

void
parent_file_free(struct parent_file *f)
{
	if (f == NULL)
		return;
	filemap_free(&f->map);
	free(f->map_bytes);
	free(f);
}

bool
parent_find_leaf(const struct parent *p, const struct block_sum *sum,
    size_t len, uint32_t *pack, uint32_t *frame)
{
	size_t i, n = p->root == NULL ? 0 : p->root->leaf_count;

	for (i = 0; i < n; i++) {
		const struct leaf_sum *s = &p->leaf_sums[i];

		if (s->len == len && s->sum.hash == sum->hash &&
		    s->sum.crc == sum->crc && !parent_carries(p, s->pack)) {
			*pack = s->pack;
			*frame = s->frame;
			return true;
		}
	}
	return false;
}

const struct root_pack *
parent_pack(const struct parent *p, uint32_t pack)
{
	if (pack >= p->pack_count || p->packs[pack].id[0] == '\0')
		return NULL;
	return &p->packs[pack];
}

bool
parent_carries(const struct parent *p, uint32_t pack)
{
	return pack < p->pack_count && p->carry[pack];
}

/* ---- interrupted backups ---- */

static int
by_hash(const void *a, const void *b)
{
	const struct salvage_run *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	if (x->first_block != y->first_block)
		return x->first_block < y->first_block ? -1 : 1;
	return 0;
}

static void
add_runs(struct parent *p, uint32_t pack, const struct pack_index *x)
{
	struct frame_run run;
	uint32_t i, frame;

	for (i = 0; p->run_count < INTERRUPTED_RUNS_MAX &&
	     pack_index_run(x, i, &frame, &run);
	     i++) {
		if (p->run_count == p->run_cap) {
			p->run_cap = p->run_cap == 0 ? 1024 : p->run_cap * 2;
			p->runs = mem_rearray(
			    p->runs, p->run_cap, sizeof(p->runs[0]));
		}
		p->runs[p->run_count++] =
		    (struct salvage_run){ path_hash(run.path), run.first_block,
			    pack, frame, run.index, run.count };
	}
}

/* One durable pack of an interrupted backup: 1 taken, 0 not there. */
static int
take_pack(
    struct parent *p, const struct lineage *l, const char *id, struct err *e)
{
	char key[STORE_KEY_BYTES];
	struct store_info info;
	struct root_pack pack = { 0 };
	const struct pack_index *x;
	uint32_t number;

	if (store_stat(repo_store(l->repo), pack_key(l, id, key), &info, e) ==
	    -1)
		return -1;
	if (!info.exists)
		return 0;
	if (pack_digest(l, id, pack.sha256, e) == -1)
		return -1;
	(void)snprintf(pack.id, sizeof(pack.id), "%s", id);
	pack.bytes = info.bytes;
	number = packset_intern(p->ps, id);
	x = packset_index_get(p->ps, number, e);
	if (x == NULL)
		return -1;
	pack.blocks = pack_index_blocks(x);
	own_pack(p, number, &pack);
	add_runs(p, number, x);
	packset_index_put(p->ps, x);
	return 1;
}

int
parent_add_interrupted(struct parent *p, const struct lineage *l,
    const char *backup_id, unsigned int *count, struct err *e)
{
	char id[PACK_ID_BYTES];
	int taken;

	for (*count = 0; *count < 100000; (*count)++) {
		(void)snprintf(id, sizeof(id), "%s.%05u", backup_id, *count);
		taken = take_pack(p, l, id, e);
		if (taken == -1 && e->kind == ERR_CORRUPT) {
			log_error("interrupted_pack_unusable", e);
			err_clear(e);
			continue;
		}
		if (taken == -1)
			return -1;
		if (taken == 0)
			break;
	}
	if (p->run_count > 0)
		qsort(p->runs, p->run_count, sizeof(p->runs[0]), by_hash);
	return 0;
}
