#include "repo/filemap.h"

#include <string.h>

#include "base/mem.h"

/*
 * Stored form:
 *	u8	1 (version)
 *	varint	number of packs; then their ids as strings, in order of first use
 *	varint	number of extents; for each
 *		varint	count << 1 | kind
 *		varint	pack (index into the ids), frame, index: when stored
 */
#define FILEMAP_VERSION 1

void
filemap_init(struct filemap *m)
{
	(void)memset(m, 0, sizeof(*m));
}

void
filemap_free(struct filemap *m)
{
	free(m->extents);
	filemap_init(m);
}

static struct extent *
push(struct filemap *m)
{
	if (m->count == m->cap) {
		m->cap = m->cap < 8 ? 8 : m->cap * 2;
		m->extents =
		    mem_rearray(m->extents, m->cap, sizeof(m->extents[0]));
	}
	return &m->extents[m->count++];
}

static bool
follows(const struct block_place *last, const struct block_place *p)
{
	if (last->kind != p->kind)
		return false;
	if (p->kind == EXTENT_ZERO)
		return true;
	if (last->pack != p->pack)
		return false;
	if (last->frame == p->frame)
		return p->index == last->index + 1;
	return last->last_in_frame && p->frame == last->frame + 1 &&
	    p->index == 0;
}

void
filemap_add(struct filemap *m, const struct block_place *p)
{
	if (m->count == 0 || !follows(&m->last, p))
		*push(m) = (struct extent){ m->blocks, 0, p->pack, p->frame,
			p->index, p->kind };
	m->extents[m->count - 1].count++;
	m->blocks++;
	m->last = *p;
}

/* Local numbers of packs in order of first use.  Few packs in most maps. */
struct local_packs {
	uint32_t *packs;
	size_t count;
};

static size_t
local_pack(struct local_packs *lp, uint32_t pack)
{
	size_t i;

	for (i = lp->count; i > 0; i--)
		if (lp->packs[i - 1] == pack)
			return i - 1;
	lp->packs = mem_rearray(lp->packs, lp->count + 1, sizeof(uint32_t));
	lp->packs[lp->count] = pack;
	return lp->count++;
}

void
filemap_encode(const struct filemap *m, struct packset *ps, struct buf *out)
{
	AUTO_BUF struct buf rows = BUF_INIT;
	struct local_packs lp = { NULL, 0 };
	size_t i;

	for (i = 0; i < m->count; i++) {
		const struct extent *x = &m->extents[i];

		buf_put_varint(&rows, (uint64_t)x->count << 1 | x->kind);
		if (x->kind == EXTENT_ZERO)
			continue;
		buf_put_varint(&rows, local_pack(&lp, x->pack));
		buf_put_varint(&rows, x->frame);
		buf_put_varint(&rows, x->index);
	}
	buf_put_u8(out, FILEMAP_VERSION);
	buf_put_varint(out, lp.count);
	for (i = 0; i < lp.count; i++)
		buf_put_str(out, packset_id(ps, lp.packs[i]));
	buf_put_varint(out, m->count);
	buf_put(out, rows.data, rows.len);
	free(lp.packs);
}

static int
decode_extent(struct filemap *m, struct cursor *c, const uint32_t *packs,
    size_t pack_count)
{
	uint64_t head = cursor_varint(c), pack = 0, frame = 0, index = 0;
	uint64_t count = head >> 1;
	struct extent *x;

	if ((head & 1) == EXTENT_STORED) {
		pack = cursor_varint(c);
		frame = cursor_varint(c);
		index = cursor_varint(c);
		if (c->failed || pack >= pack_count ||
		    frame >= PACK_FRAMES_MAX || index >= PACK_FRAME_BLOCKS_MAX)
			return -1;
	}
	if (c->failed || count == 0 || count > UINT32_MAX - m->blocks)
		return -1;
	x = push(m);
	*x = (struct extent){ m->blocks, (uint32_t)count,
		pack_count == 0 ? 0 : packs[pack], (uint32_t)frame,
		(uint16_t)index, (uint8_t)(head & 1) };
	m->blocks += (uint32_t)count;
	return 0;
}

int
filemap_decode(struct filemap *m, struct packset *ps, const uint8_t *in,
    size_t len, uint32_t blocks, struct err *e)
{
	struct cursor c;
	char id[PACK_ID_BYTES];
	AUTO_FREE uint32_t *packs = NULL;
	uint64_t i, count;
	size_t pack_count;

	filemap_init(m);
	cursor_init(&c, in, len);
	if (cursor_u8(&c) != FILEMAP_VERSION)
		return err_set(e, ERR_CORRUPT, "file map has another version");
	count = cursor_varint(&c);
	if (c.failed || count > c.left)
		return err_set(e, ERR_CORRUPT, "file map is damaged");
	pack_count = (size_t)count;
	packs = mem_array(pack_count, sizeof(packs[0]));
	for (i = 0; i < pack_count; i++) {
		cursor_str(&c, id, sizeof(id) - 1);
		if (c.failed)
			return err_set(e, ERR_CORRUPT, "file map is damaged");
		packs[i] = packset_intern(ps, id);
	}
	count = cursor_varint(&c);
	if (c.failed || count > FILEMAP_EXTENTS_MAX || count > c.left)
		return err_set(e, ERR_CORRUPT, "file map is damaged");
	for (i = 0; i < count; i++)
		if (decode_extent(m, &c, packs, pack_count) == -1) {
			filemap_free(m);
			return err_set(e, ERR_CORRUPT, "file map is damaged");
		}
	if (c.left != 0 || m->blocks != blocks) {
		filemap_free(m);
		return err_set(
		    e, ERR_CORRUPT, "file map does not fit the file's size");
	}
	return 0;
}

/* The extent that holds block. */
static size_t
find_extent(const struct filemap *m, uint32_t block)
{
	size_t lo = 0, hi = m->count, mid;

	while (hi - lo > 1) {
		mid = lo + (hi - lo) / 2;
		if (m->extents[mid].block <= block)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* Fill out for up to count blocks of a stored extent from its block skip on;
 * returns how many, 0 on a bad address. */
static uint32_t
extent_places(const struct pack_index *x, const struct extent *ex,
    uint32_t skip, uint32_t count, struct block_place *out)
{
	const struct frame_info *fi = pack_index_frame(x, ex->frame);
	uint32_t frame = ex->frame, index = ex->index, done = 0, here;

	while (
	    fi != NULL && fi->kind == FRAME_BLOCKS && index < fi->block_count) {
		here = fi->block_count - index;
		if (skip >= here) {
			skip -= here;
		} else {
			for (index += skip, skip = 0;
			     index < fi->block_count && done < count; index++)
				out[done++] = (struct block_place){ ex->pack,
					frame, (uint16_t)index, EXTENT_STORED,
					index + 1 == fi->block_count };
			if (done == count)
				return done;
		}
		index = 0;
		fi = pack_index_frame(x, ++frame);
	}
	return 0;
}

int
filemap_places(const struct filemap *m, struct packset *ps, uint32_t first,
    uint32_t count, struct block_place *out, struct err *e)
{
	size_t at;
	uint32_t done = 0, skip, here, i;

	if (first > m->blocks || count > m->blocks - first)
		return err_set(e, ERR_BUG, "file map has no block %u", first);
	for (at = count == 0 ? m->count : find_extent(m, first); done < count;
	     at++) {
		const struct extent *ex = &m->extents[at];

		skip = first + done - ex->block;
		here = ex->count - skip;
		if (here > count - done)
			here = count - done;
		if (ex->kind == EXTENT_ZERO) {
			for (i = 0; i < here; i++)
				out[done + i] = (struct block_place){ 0, 0, 0,
					EXTENT_ZERO, false };
		} else {
			const struct pack_index *x =
			    packset_index_get(ps, ex->pack, e);
			uint32_t got;

			if (x == NULL)
				return -1;
			got = extent_places(x, ex, skip, here, out + done);
			packset_index_put(ps, x);
			if (got != here)
				return err_set(e, ERR_CORRUPT,
				    "file map points behind pack \"%s\"",
				    packset_id(ps, ex->pack));
		}
		done += here;
	}
	return 0;
}

int
filemap_place_sums(const struct block_place *places, struct packset *ps,
    uint64_t key, uint64_t file_bytes, uint32_t first, uint32_t count,
    struct block_sum *out, struct err *e)
{
	const struct pack_index *x = NULL;
	uint64_t at;
	uint32_t i;

	for (i = 0; i < count; i++) {
		const struct block_place *p = &places[i];

		if (p->kind == EXTENT_ZERO) {
			at = (uint64_t)(first + i) * PACK_BLOCK_BYTES;
			out[i] = block_sum_zero(key,
			    file_bytes - at < PACK_BLOCK_BYTES
				? (size_t)(file_bytes - at)
				: PACK_BLOCK_BYTES);
			continue;
		}
		if (i == 0 || x == NULL || places[i - 1].kind == EXTENT_ZERO ||
		    places[i - 1].pack != p->pack) {
			if (x != NULL)
				packset_index_put(ps, x);
			x = packset_index_get(ps, p->pack, e);
			if (x == NULL)
				return -1;
		}
		out[i] = pack_index_sum(x, p->frame, p->index);
	}
	if (x != NULL)
		packset_index_put(ps, x);
	return 0;
}

int
filemap_sums(const struct filemap *m, struct packset *ps, uint64_t key,
    uint64_t file_bytes, uint32_t first, uint32_t count, struct block_sum *out,
    struct err *e)
{
	AUTO_FREE struct block_place *places =
	    mem_array(count, sizeof(places[0]));

	if (filemap_places(m, ps, first, count, places, e) == -1)
		return -1;
	return filemap_place_sums(
	    places, ps, key, file_bytes, first, count, out, e);
}
