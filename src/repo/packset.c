/*
 * packset: the packs that a work reads, by number, with their indexes cached
 * within a bound.
 */

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/strmap.h"
#include "repo/pack_format.h"

#define PACKSET_OPEN_MAX 64

struct packset_entry {
	char id[PACK_ID_BYTES];
	struct pack_index *index; /* NULL when not loaded */
	struct store_reader *reader;
	unsigned int users;
	uint64_t used_at; /* for eviction: a counter */
};

struct packset {
	struct lineage lineage;
	uint64_t block_key;
	size_t cache_bytes_max, cache_bytes, open_count;
	pthread_mutex_t lock;
	struct strmap *numbers; /* id to number + 1 */
	struct packset_entry **entries;
	uint32_t count;
	uint64_t clock;
};

struct packset *
packset_new(const struct lineage *l, size_t index_cache_bytes)
{
	struct packset *ps = mem_zalloc(sizeof(*ps));

	ps->lineage = *l;
	ps->block_key = l->block_key;
	ps->cache_bytes_max = index_cache_bytes;
	(void)pthread_mutex_init(&ps->lock, NULL);
	ps->numbers = strmap_new();
	return ps;
}

static void
entry_unload(struct packset *ps, struct packset_entry *p)
{
	if (p->index == NULL)
		return;
	ps->cache_bytes -= pack_index_bytes(p->index);
	ps->open_count--;
	pack_index_free(steal_ptr(&p->index));
	store_reader_close(steal_ptr(&p->reader));
}

void
packset_free(struct packset *ps)
{
	uint32_t i;

	if (ps == NULL)
		return;
	for (i = 0; i < ps->count; i++) {
		entry_unload(ps, ps->entries[i]);
		free(ps->entries[i]);
	}
	free(ps->entries);
	strmap_free(ps->numbers);
	(void)pthread_mutex_destroy(&ps->lock);
	free(ps);
}

uint32_t
packset_intern(struct packset *ps, const char *pack_id)
{
	struct packset_entry *p;
	uint32_t number;
	uintptr_t known;

	(void)pthread_mutex_lock(&ps->lock);
	known = (uintptr_t)strmap_get(ps->numbers, pack_id);
	if (known != 0) {
		(void)pthread_mutex_unlock(&ps->lock);
		return (uint32_t)(known - 1);
	}
	p = mem_zalloc(sizeof(*p));
	(void)snprintf(p->id, sizeof(p->id), "%s", pack_id);
	number = ps->count++;
	ps->entries =
	    mem_rearray(ps->entries, ps->count, sizeof(struct packset_entry *));
	ps->entries[number] = p;
	(void)strmap_put(ps->numbers, pack_id, (void *)((uintptr_t)number + 1));
	(void)pthread_mutex_unlock(&ps->lock);
	return number;
}

static struct packset_entry *
entry_of(struct packset *ps, uint32_t pack)
{
	struct packset_entry *p;

	(void)pthread_mutex_lock(&ps->lock);
	p = ps->entries[pack];
	(void)pthread_mutex_unlock(&ps->lock);
	return p;
}

const char *
packset_id(struct packset *ps, uint32_t pack)
{
	return entry_of(ps, pack)->id;
}

/* Read header, footer and index of a pack. */
static struct pack_index *
load_index(struct store_reader *r, const char *pack_id, struct err *e)
{
	uint8_t header[PACK_HEADER_BYTES], raw[PACK_FOOTER_BYTES];
	uint64_t bytes = store_reader_bytes(r);
	struct pack_footer footer;
	AUTO_FREE uint8_t *index = NULL;

	if (bytes < PACK_HEADER_BYTES + PACK_FOOTER_BYTES) {
		(void)err_set(e, ERR_CORRUPT, "pack is cut off");
		return NULL;
	}
	if (store_pread(r, header, sizeof(header), 0, e) == -1 ||
	    pack_header_check(header, pack_id, e) == -1 ||
	    store_pread(r, raw, sizeof(raw), bytes - sizeof(raw), e) == -1 ||
	    pack_footer_decode(&footer, raw, bytes, e) == -1)
		return NULL;
	index = mem_alloc(footer.index_bytes);
	if (store_pread(r, index, footer.index_bytes, footer.index_offset, e) ==
	    -1)
		return NULL;
	return pack_index_decode(&footer, steal_ptr(&index), e);
}

/* Make room: unload what nobody uses, oldest use first. */
static void
evict(struct packset *ps)
{
	struct packset_entry *oldest;
	uint32_t i;

	while (ps->cache_bytes > ps->cache_bytes_max ||
	    ps->open_count > PACKSET_OPEN_MAX) {
		oldest = NULL;
		for (i = 0; i < ps->count; i++) {
			struct packset_entry *p = ps->entries[i];

			if (p->index != NULL && p->users == 0 &&
			    (oldest == NULL || p->used_at < oldest->used_at))
				oldest = p;
		}
		if (oldest == NULL)
			return;
		entry_unload(ps, oldest);
	}
}

static int
entry_load(
    struct packset *ps, struct packset_entry *p, uint32_t pack, struct err *e)
{
	char key[STORE_KEY_BYTES];
	AUTO_STORE_READER struct store_reader *r =
	    store_read(repo_store(ps->lineage.repo),
		pack_key(&ps->lineage, p->id, key), e);

	if (r == NULL)
		return err_ctx(e, "pack \"%s\"", p->id);
	p->index = load_index(r, p->id, e);
	if (p->index == NULL)
		return err_ctx(e, "pack \"%s\"", p->id);
	p->index->pack = pack;
	p->reader = steal_ptr(&r);
	ps->cache_bytes += pack_index_bytes(p->index);
	ps->open_count++;
	return 0;
}

const struct pack_index *
packset_index_get(struct packset *ps, uint32_t pack, struct err *e)
{
	struct packset_entry *p;
	const struct pack_index *x = NULL;

	(void)pthread_mutex_lock(&ps->lock);
	p = ps->entries[pack];
	if (p->index != NULL || entry_load(ps, p, pack, e) == 0) {
		p->users++;
		p->used_at = ++ps->clock;
		x = p->index;
		evict(ps);
	}
	(void)pthread_mutex_unlock(&ps->lock);
	return x;
}

void
packset_index_put(struct packset *ps, const struct pack_index *x)
{
	(void)pthread_mutex_lock(&ps->lock);
	ps->entries[x->pack]->users--;
	(void)pthread_mutex_unlock(&ps->lock);
}

/* Plain bytes of a frame against the sums of its blocks. */
static int
check_sums(const struct packset *ps, const struct pack_index *x, uint32_t frame,
    const uint8_t *plain, struct err *e)
{
	const struct frame_info *fi = pack_index_frame(x, frame);
	uint32_t offset = 0, len;
	uint16_t i;

	for (i = 0; i < fi->block_count; i++) {
		struct block_sum want = pack_index_sum(x, frame, i), got;

		len = pack_index_block_len(x, frame, i);
		got = block_sum_of(ps->block_key, plain + offset, len);
		if (got.hash != want.hash || got.crc != want.crc)
			return err_set(e, ERR_CORRUPT,
			    "block %u of frame %u is damaged", i, frame);
		offset += len;
	}
	return 0;
}

static int
read_checked(struct packset *ps, struct packset_entry *p,
    const struct pack_index *x, uint32_t frame, struct zcodec *z, void *out,
    struct err *e)
{
	const struct frame_info *fi = pack_index_frame(x, frame);
	AUTO_FREE uint8_t *stored = mem_alloc(fi->stored_len);

	if (store_pread(p->reader, stored, fi->stored_len, fi->offset, e) == -1)
		return -1;
	if (crc32c(0, stored, fi->stored_len) != fi->stored_crc)
		return err_set(e, ERR_CORRUPT, "frame %u is damaged", frame);
	if (fi->stored == 0)
		(void)memcpy(out, stored, fi->raw_len);
	else if (zcodec_decompress(
		     z, stored, fi->stored_len, out, fi->raw_len, e) == -1)
		return err_ctx(e, "frame %u", frame);
	return check_sums(ps, x, frame, out, e);
}

int
packset_read_frame(struct packset *ps, uint32_t pack, uint32_t frame,
    struct zcodec *z, void *out, struct err *e)
{
	const struct pack_index *x = packset_index_get(ps, pack, e);
	struct packset_entry *p = entry_of(ps, pack);
	int rc;

	if (x == NULL)
		return -1;
	if (pack_index_frame(x, frame) == NULL)
		rc = err_set(e, ERR_CORRUPT, "there is no frame %u", frame);
	else
		rc = read_checked(ps, p, x, frame, z, out, e);
	packset_index_put(ps, x);
	if (rc == -1)
		(void)err_ctx(e, "pack \"%s\"", p->id);
	return rc;
}

int
packset_read_meta(struct packset *ps, uint32_t pack, uint32_t frame,
    struct zcodec *z, struct buf *out, struct err *e)
{
	const struct pack_index *x = packset_index_get(ps, pack, e);
	struct packset_entry *p = entry_of(ps, pack);
	const struct frame_info *fi;
	int rc;

	if (x == NULL)
		return -1;
	fi = pack_index_frame(x, frame);
	if (fi == NULL || fi->kind != FRAME_META) {
		rc = err_set(
		    e, ERR_CORRUPT, "frame %u is not a map or leaf", frame);
	} else {
		rc = read_checked(
		    ps, p, x, frame, z, buf_reserve(out, fi->raw_len), e);
		if (rc == 0)
			out->len += fi->raw_len;
	}
	packset_index_put(ps, x);
	if (rc == -1)
		(void)err_ctx(e, "pack \"%s\"", p->id);
	return rc;
}

struct block_sum
block_sum_of(uint64_t key, const void *data, size_t len)
{
	return (struct block_sum){ xxh3_keyed(key, data, len),
		crc32c(0, data, len) };
}

struct block_sum
block_sum_zero(uint64_t key, size_t len)
{
	static const uint8_t zero[PACK_BLOCK_BYTES];
	static _Thread_local struct block_sum sum;
	static _Thread_local uint64_t sum_key;
	static _Thread_local bool known;

	if (len != PACK_BLOCK_BYTES)
		return block_sum_of(key, zero, len);
	if (!known || sum_key != key) {
		sum = block_sum_of(key, zero, len);
		sum_key = key;
		known = true;
	}
	return sum;
}
