/*
 * intake_encode: an encoder's work on one chunk: sums, comparison with the
 * parent, page checksums, compression.
 */

#include <string.h>

#include "base/mem.h"
#include "pg/page.h"
#include "repo/intake_int.h"

/* A higher level must make a frame smaller than this share of level 1's to be
 * worth its time. */
#define LEVEL_GAIN_PERCENT 98
#define LEVEL_LEARN_BLOCKS (64 * CHUNK_BLOCKS) /* learn anew so often */

static size_t
block_len(const struct chunk *c, uint32_t i)
{
	return i + 1 < c->count ? PACK_BLOCK_BYTES
				: c->raw_len - (size_t)i * PACK_BLOCK_BYTES;
}

static void
add_suspect(struct intake *in, const struct chunk *c, uint32_t i,
    uint32_t block, const uint8_t *page)
{
	struct intake_suspect *s;

	(void)pthread_mutex_lock(&in->lock);
	in->suspects_all++;
	if (in->suspect_count < INTAKE_SUSPECTS_MAX) {
		if ((in->suspect_count & (in->suspect_count - 1)) == 0)
			in->suspects = mem_rearray(in->suspects,
			    in->suspect_count == 0 ? 1 : 2 * in->suspect_count,
			    sizeof(in->suspects[0]));
		s = &in->suspects[in->suspect_count++];
		(void)memcpy(s->path, c->file->path, sizeof(s->path));
		s->relation = c->file->relation;
		s->block = block;
		s->page_lsn = page_lsn(page);
	}
	(void)pthread_mutex_unlock(&in->lock);
	(void)i;
}

static void
check_page(struct intake *in, const struct chunk *c, uint32_t i)
{
	const uint8_t *page = c->raw + (size_t)i * PACK_BLOCK_BYTES;
	uint32_t block =
	    c->file->relation.segment * in->options.segment_blocks +
	    c->first_block + i;

	if (block_len(c, i) == PAGE_BYTES && page_check(page, block) != PAGE_OK)
		add_suspect(in, c, i, block, page);
}

static void
classify(struct intake *in, struct chunk *c)
{
	uint32_t i;

	for (i = 0; i < c->count; i++) {
		const uint8_t *block = c->raw + (size_t)i * PACK_BLOCK_BYTES;
		size_t len = block_len(c, i);

		c->sums[i] = block_sum_of(in->block_key, block, len);
		if (bytes_are_zero(block, len)) {
			c->states[i] = BLOCK_ZERO;
			continue;
		}
		if (in->options.check_pages && c->file->is_relation)
			check_page(in, c, i);
		if (i < c->known_count && c->known[i].kind == EXTENT_STORED &&
		    c->known_sums[i].hash == c->sums[i].hash &&
		    c->known_sums[i].crc == c->sums[i].crc &&
		    !parent_carries(in->parent, c->known[i].pack)) {
			c->states[i] = BLOCK_SAME;
			continue;
		}
		c->states[i] = BLOCK_NEW;
		c->new_count++;
	}
}

/* Move the new blocks to the front of the chunk's bytes; their states stay. */
static size_t
gather_new(struct chunk *c)
{
	size_t at = 0, len;
	uint32_t i;

	for (i = 0; i < c->count; i++) {
		if (c->states[i] != BLOCK_NEW)
			continue;
		len = block_len(c, i);
		if (at != (size_t)i * PACK_BLOCK_BYTES)
			(void)memmove(c->raw + at,
			    c->raw + (size_t)i * PACK_BLOCK_BYTES, len);
		at += len;
	}
	return at;
}

size_t
intake_compress(struct zcodec *z, int level_max, atomic_int *learned,
    bool learn, const void *raw, size_t raw_len, void *out, bool *compressed)
{
	size_t cap = zcodec_bound(raw_len), low, high;
	int level = atomic_load(learned);

	*compressed = true;
	if (level == 0 || learn) {
		high = level_max == 1
		    ? SIZE_MAX
		    : zcodec_compress(z, level_max, raw, raw_len, out, cap);
		if (high != SIZE_MAX && high < raw_len / 64) {
			atomic_store(learned, level_max);
			return high; /* nearly nothing: do not ask again */
		}
		low = zcodec_compress(z, 1, raw, raw_len, out, cap);
		level = high < low / 100 * LEVEL_GAIN_PERCENT ? level_max : 1;
		atomic_store(learned, level);
		if (level == level_max && level_max != 1)
			low = zcodec_compress(
			    z, level_max, raw, raw_len, out, cap);
	} else {
		low = zcodec_compress(z, level, raw, raw_len, out, cap);
	}
	if (low >= raw_len) {
		(void)memcpy(out, raw, raw_len);
		*compressed = false;
		return raw_len;
	}
	return low;
}

static void
encode(struct intake *in, struct chunk *c, struct zcodec *z)
{
	size_t raw_len;

	classify(in, c);
	if (c->new_count == 0)
		return;
	raw_len = gather_new(c);
	c->encoded_raw_len = raw_len;
	if (c->new_count < CHUNK_OWN_FRAME_MIN)
		return; /* encoded_len 0: the collector's */
	c->encoded_len = intake_compress(z, in->options.level, &c->file->level,
	    c->first_block % LEVEL_LEARN_BLOCKS == 0, c->raw, raw_len,
	    c->encoded, &c->compressed);
}

void *
intake_encoder_main(void *arg)
{
	struct intake *in = arg;
	AUTO_ZCODEC struct zcodec *z = zcodec_new();
	struct chunk *c;

	while ((c = queue_get(in->work)) != NULL) {
		encode(in, c, z);
		(void)pthread_mutex_lock(&c->lock);
		c->ready = true;
		(void)pthread_cond_signal(&c->ready_cond);
		(void)pthread_mutex_unlock(&c->lock);
	}
	return NULL;
}
