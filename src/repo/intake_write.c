/*
 * intake_write: the writer: chunks in order into packs, maps and leaves.
 */

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "repo/intake_int.h"

#define COLLECT_BLOCKS_FIRST  PACK_FRAME_BLOCKS_MAX
#define COLLECT_BLOCKS_CHANGE 32
/* A leaf may end where a path's hash says so, that leaves stay equal when a
 * file comes or goes. */
#define LEAF_CUT_MASK 0x1ffu
#define LEAF_CUT_MIN  64

static void
count_live(struct intake *in, uint32_t pack)
{
	if (pack >= in->live_count) {
		in->live = mem_rearray(
		    in->live, (size_t)pack + 1, sizeof(in->live[0]));
		while (in->live_count <= pack)
			in->live[in->live_count++] = 0;
	}
	in->live[pack]++;
}

/* ---- packs ---- */

static int
open_pack(struct intake *in, struct err *e)
{
	char id[PACK_ID_BYTES];

	if (in->pack != NULL)
		return 0;
	(void)snprintf(id, sizeof(id), "%.22s.%05u", in->options.backup_id,
	    in->pack_serial++);
	in->pack = pack_writer_new(in->lineage, id, e);
	if (in->pack == NULL)
		return -1;
	in->pack_number = packset_intern(in->ps, id);
	return 0;
}

static void
collector_clear(struct collector *k)
{
	uint32_t i;

	for (i = 0; i < k->run_count; i++)
		free(k->paths[i]);
	k->open = false;
	k->raw_len = 0;
	k->count = k->run_count = 0;
}

static int
collector_flush(struct intake *in, struct err *e)
{
	struct collector *k = &in->collector;
	atomic_int level = 0;
	bool compressed;
	size_t len;
	int rc;

	if (!k->open)
		return 0;
	len = intake_compress(in->z, in->options.level, &level, true, k->raw,
	    k->raw_len, k->encoded, &compressed);
	rc = pack_writer_put(in->pack, k->frame, FRAME_BLOCKS, compressed,
	    k->encoded, len, k->raw_len, k->sums, k->count, k->runs,
	    k->run_count, e);
	collector_clear(k);
	return rc;
}

static int
close_pack(struct intake *in, struct err *e)
{
	if (in->pack == NULL)
		return 0;
	if (collector_flush(in, e) == -1)
		return -1;
	in->packs =
	    mem_rearray(in->packs, in->pack_count + 1, sizeof(in->packs[0]));
	in->pack_numbers = mem_rearray(
	    in->pack_numbers, in->pack_count + 1, sizeof(in->pack_numbers[0]));
	if (pack_writer_finish(in->pack, &in->packs[in->pack_count], e) == -1)
		return -1;
	in->pack_numbers[in->pack_count++] = in->pack_number;
	pack_writer_free(steal_ptr(&in->pack));
	return 0;
}

static int
close_full_pack(struct intake *in, struct err *e)
{
	if (in->pack == NULL ||
	    (pack_writer_bytes(in->pack) < PACK_BYTES_TARGET &&
		pack_writer_blocks(in->pack) < PACK_BLOCKS_TARGET))
		return 0;
	return close_pack(in, e);
}

/* ---- blocks ---- */

/* The run that the collector's next block belongs to. */
static void
collector_run(struct collector *k, const char *path, uint32_t block, size_t len)
{
	struct frame_run *r =
	    k->run_count == 0 ? NULL : &k->runs[k->run_count - 1];

	if (r == NULL || r->tail_len != PACK_BLOCK_BYTES ||
	    r->first_block + r->count != block || strcmp(r->path, path) != 0) {
		k->paths[k->run_count] = mem_strdup(path);
		r = &k->runs[k->run_count];
		*r = (struct frame_run){ k->paths[k->run_count], block,
			(uint16_t)k->count, 0, PACK_BLOCK_BYTES };
		k->run_count++;
	}
	r->count++;
	r->tail_len = (uint16_t)len;
}

static int
collect(struct intake *in, const struct chunk *c, uint32_t i,
    const uint8_t *data, size_t len, struct block_place *place, struct err *e)
{
	struct collector *k = &in->collector;

	if (!k->open) {
		if (open_pack(in, e) == -1)
			return -1;
		k->frame = pack_writer_reserve(in->pack);
		k->open = true;
	}
	*place = (struct block_place){ in->pack_number, k->frame,
		(uint16_t)k->count, EXTENT_STORED, false };
	(void)memcpy(k->raw + k->raw_len, data, len);
	k->raw_len += len;
	k->sums[k->count] = c->sums[i];
	collector_run(k, c->file->path, c->first_block + i, len);
	k->count++;
	if (k->count == k->count_max)
		return collector_flush(in, e);
	return 0;
}

/* A chunk whose new blocks make a frame of their own: put it, *frame is its
 * number. */
static int
put_own_frame(
    struct intake *in, const struct chunk *c, uint32_t *frame, struct err *e)
{
	struct block_sum sums[CHUNK_BLOCKS];
	struct frame_run runs[CHUNK_BLOCKS];
	size_t n = 0, run_count = 0;
	uint32_t i;

	for (i = 0; i < c->count; i++) {
		if (c->states[i] != BLOCK_NEW)
			continue;
		if (i == 0 || c->states[i - 1] != BLOCK_NEW)
			runs[run_count++] = (struct frame_run){ c->file->path,
				c->first_block + i, (uint16_t)n, 0,
				PACK_BLOCK_BYTES };
		runs[run_count - 1].count++;
		if (i + 1 == c->count && c->raw_len % PACK_BLOCK_BYTES != 0)
			runs[run_count - 1].tail_len =
			    (uint16_t)(c->raw_len % PACK_BLOCK_BYTES);
		sums[n++] = c->sums[i];
	}
	if (open_pack(in, e) == -1)
		return -1;
	*frame = pack_writer_reserve(in->pack);
	return pack_writer_put(in->pack, *frame, FRAME_BLOCKS, c->compressed,
	    c->encoded, c->encoded_len, c->encoded_raw_len, sums, n, runs,
	    run_count, e);
}

static size_t
chunk_block_len(const struct chunk *c, uint32_t i)
{
	return i + 1 < c->count ? PACK_BLOCK_BYTES
				: c->raw_len - (size_t)i * PACK_BLOCK_BYTES;
}

/* Where block i of the chunk now lies; new ones were gathered at the front. */
static int
place_block(struct intake *in, const struct chunk *c, uint32_t i,
    uint32_t own_frame, uint32_t *new_index, struct block_place *place,
    struct err *e)
{
	size_t len = chunk_block_len(c, i);
	uint32_t n;

	switch ((enum block_state)c->states[i]) {
	case BLOCK_ZERO:
		*place = (struct block_place){ 0, 0, 0, EXTENT_ZERO, false };
		if (i >= c->known_count || c->known[i].kind != EXTENT_ZERO)
			c->file->changed = true;
		return 0;
	case BLOCK_SAME:
		*place = c->known[i];
		return 0;
	case BLOCK_NEW:
		break;
	}
	c->file->changed = true;
	in->new_blocks++;
	in->new_bytes += len;
	n = (*new_index)++;
	if (c->encoded_len == 0)
		return collect(in, c, i, c->raw + (size_t)n * PACK_BLOCK_BYTES,
		    len, place, e);
	*place = (struct block_place){ in->pack_number, own_frame, (uint16_t)n,
		EXTENT_STORED, n + 1 == c->new_count };
	return 0;
}

static int
write_blocks(struct intake *in, const struct chunk *c, struct err *e)
{
	struct intake_file *f = c->file;
	struct block_place place;
	uint32_t i, own_frame = 0, new_index = 0;

	if (c->encoded_len > 0 && put_own_frame(in, c, &own_frame, e) == -1)
		return -1;
	for (i = 0; i < c->count; i++) {
		if (place_block(in, c, i, own_frame, &new_index, &place, e) ==
		    -1)
			return -1;
		if (place.kind == EXTENT_STORED)
			count_live(in, place.pack);
		filemap_add(&f->map, &place);
		f->crc32c = crc32c_combine(
		    f->crc32c, c->sums[i].crc, chunk_block_len(c, i));
	}
	return 0;
}

/* ---- maps and leaves ---- */

static int
put_meta(struct intake *in, const void *raw, size_t len, uint32_t *frame,
    struct err *e)
{
	struct block_sum sum = block_sum_of(in->block_key, raw, len);
	AUTO_FREE uint8_t *out = mem_alloc(zcodec_bound(len));
	size_t n;
	bool compressed;

	if (len > PACK_META_RAW_MAX)
		return err_set(
		    e, ERR_REFUSED, "a file's map takes %zu bytes", len);
	if (open_pack(in, e) == -1)
		return -1;
	n = zcodec_compress(
	    in->z, in->options.level, raw, len, out, zcodec_bound(len));
	compressed = n < len;
	*frame = pack_writer_reserve(in->pack);
	return pack_writer_put(in->pack, *frame, FRAME_META, compressed,
	    compressed ? (const void *)out : raw, compressed ? n : len, len,
	    &sum, 1, NULL, 0, e);
}

static int
close_leaf(struct intake *in, struct err *e)
{
	struct leaf_encoder *l = &in->leaf;
	struct block_sum sum;
	struct root_leaf *rl;
	uint32_t pack, frame;

	if (l->count == 0)
		return 0;
	sum = block_sum_of(0, l->bytes.data, l->bytes.len);
	if (!parent_find_leaf(in->parent, &sum, l->bytes.len, &pack, &frame)) {
		if (put_meta(in, l->bytes.data, l->bytes.len, &frame, e) == -1)
			return -1;
		pack = in->pack_number;
	}
	count_live(in, pack);
	in->leaves =
	    mem_rearray(in->leaves, in->leaf_count + 1, sizeof(in->leaves[0]));
	rl = &in->leaves[in->leaf_count++];
	*rl = (struct root_leaf){ pack, frame, (uint32_t)l->count };
	buf_clear(&l->bytes);
	l->count = 0;
	return 0;
}

/* May the parent's map be used as it is? */
static bool
map_is_parents(const struct intake *in, const struct intake_file *f)
{
	const struct parent_file *p = f->parent;

	return p != NULL && p->in_parent && !p->interrupted && !f->changed &&
	    p->size_bytes == f->size_bytes &&
	    (p->map_bytes != NULL || !parent_carries(in->parent, p->map_pack));
}

static int
entry_set_map(struct intake *in, struct intake_file *f, struct entry *entry,
    struct err *e)
{
	if (f->size_bytes == 0)
		return 0;
	if (map_is_parents(in, f)) {
		entry->map = f->parent->map_bytes;
		entry->map_len = f->parent->map_len;
		entry->map_pack = f->parent->map_pack;
		entry->map_frame = f->parent->map_frame;
	} else {
		buf_clear(&in->scratch);
		filemap_encode(&f->map, in->ps, &in->scratch);
		if (in->scratch.len <= LEAF_INLINE_MAP_MAX) {
			entry->map = in->scratch.data;
			entry->map_len = in->scratch.len;
		} else {
			if (put_meta(in, in->scratch.data, in->scratch.len,
				&entry->map_frame, e) == -1)
				return -1;
			entry->map_pack = in->pack_number;
		}
	}
	if (entry->map == NULL)
		count_live(in, entry->map_pack);
	return 0;
}

static void
remember_known(struct intake *in, const struct intake_file *f, uint64_t hash)
{
	if (in->known_count == in->known_cap) {
		in->known_cap = in->known_cap == 0 ? 1024 : in->known_cap * 2;
		in->known =
		    mem_rearray(in->known, in->known_cap, sizeof(in->known[0]));
	}
	in->known[in->known_count++] =
	    (struct known_file){ hash, f->size_bytes, f->crc32c };
}

static int
end_file(struct intake *in, struct intake_file *f, struct err *e)
{
	AUTO_FREE struct entry *entry = mem_zalloc(sizeof(*entry));
	uint64_t hash = xxh3_keyed(0, f->path, strlen(f->path));

	entry->kind = f->kind;
	(void)memcpy(entry->path, f->path, sizeof(entry->path));
	entry->mode = f->mode;
	entry->mtime_s = f->kind == ENTRY_DIRECTORY ? 0 : f->mtime_s;
	entry->size_bytes = f->size_bytes;
	entry->crc32c = f->crc32c;
	if (entry_set_map(in, f, entry, e) == -1)
		return -1;
	leaf_add(&in->leaf, in->ps, entry);
	if (f->kind == ENTRY_FILE) {
		in->files++;
		in->bytes += f->size_bytes;
		remember_known(in, f, hash);
	}
	if (in->leaf.count == LEAF_ENTRIES_MAX ||
	    in->leaf.bytes.len >= LEAF_BYTES_TARGET ||
	    (in->leaf.count >= LEAF_CUT_MIN && (hash & LEAF_CUT_MASK) == 0))
		return close_leaf(in, e);
	return 0;
}

/* ---- the thread ---- */

static int
write_chunk(struct intake *in, struct chunk *c, struct err *e)
{
	int rc = write_blocks(in, c, e);

	if (rc == 0 && c->ends_file)
		rc = end_file(in, c->file, e);
	if (c->ends_file) {
		intake_file_free(c->file);
		c->ends_file = false;
	}
	c->file = NULL;
	return rc == 0 ? close_full_pack(in, e) : -1;
}

static void
wait_ready(struct chunk *c)
{
	(void)pthread_mutex_lock(&c->lock);
	while (!c->ready)
		(void)pthread_cond_wait(&c->ready_cond, &c->lock);
	(void)pthread_mutex_unlock(&c->lock);
}

void *
intake_writer_main(void *arg)
{
	struct intake *in = arg;
	size_t bound = zcodec_bound(PACK_FRAME_RAW_MAX);
	struct err e = ERR_INIT;
	struct chunk *c;

	in->z = zcodec_new();
	in->collector.raw = mem_alloc(PACK_FRAME_RAW_MAX);
	in->collector.encoded = mem_alloc(bound);
	in->collector.count_max = in->options.parent_exists
	    ? COLLECT_BLOCKS_CHANGE
	    : COLLECT_BLOCKS_FIRST;
	while ((c = queue_get(in->order)) != NULL) {
		wait_ready(c);
		if (queue_failed(in->order))
			break;
		if (write_chunk(in, c, &e) == -1) {
			intake_fail(in, &e);
			break;
		}
		if (!queue_put(in->free_chunks, c))
			break;
	}
	return NULL;
}

static int
by_hash(const void *a, const void *b)
{
	const struct known_file *x = a, *y = b;

	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

int
intake_write_finish(struct intake *in, struct err *e)
{
	if (close_leaf(in, e) == -1 || close_pack(in, e) == -1)
		return -1;
	if (in->known_count > 0)
		qsort(
		    in->known, in->known_count, sizeof(in->known[0]), by_hash);
	return 0;
}

void
intake_writer_free(struct intake *in)
{
	collector_clear(&in->collector);
	free(in->collector.raw);
	free(in->collector.encoded);
	pack_writer_free(in->pack);
	zcodec_free(in->z);
	buf_free(&in->leaf.bytes);
	buf_free(&in->scratch);
	free(in->leaves);
	free(in->packs);
	free(in->pack_numbers);
	free(in->live);
	free(in->known);
}
