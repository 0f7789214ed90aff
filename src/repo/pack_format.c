#include "repo/pack_format.h"

#include <string.h>

#include "base/le.h"
#include "base/mem.h"

#define PACK_VERSION 1

static const uint8_t header_magic[8] = { 'P', 'G', 'K', 'P', 'A', 'C', 'K',
	'\n' };
static const uint8_t footer_magic[8] = { 'P', 'G', 'K', 'I', 'N', 'D', 'E',
	'X' };

void
pack_header_encode(const char *pack_id, uint8_t out[PACK_HEADER_BYTES])
{
	(void)memset(out, 0, PACK_HEADER_BYTES);
	(void)memcpy(out, header_magic, sizeof(header_magic));
	le16_put(out + 8, PACK_VERSION);
	(void)memcpy(out + 12, pack_id, strnlen(pack_id, PACK_ID_BYTES));
	le32_put(out + 60, crc32c(0, out, 60));
}

int
pack_header_check(
    const uint8_t in[PACK_HEADER_BYTES], const char *pack_id, struct err *e)
{
	uint8_t want[PACK_HEADER_BYTES];

	if (memcmp(in, header_magic, sizeof(header_magic)) != 0 ||
	    le32_get(in + 60) != crc32c(0, in, 60))
		return err_set(e, ERR_CORRUPT, "pack header is damaged");
	if (le16_get(in + 8) != PACK_VERSION)
		return err_set(e, ERR_CORRUPT,
		    "pack version %u is not supported", le16_get(in + 8));
	pack_header_encode(pack_id, want);
	if (memcmp(in, want, PACK_HEADER_BYTES) != 0)
		return err_set(e, ERR_CORRUPT, "pack header is another pack's");
	return 0;
}

void
pack_footer_encode(const struct pack_footer *f, uint8_t out[PACK_FOOTER_BYTES])
{
	(void)memset(out, 0, PACK_FOOTER_BYTES);
	(void)memcpy(out, footer_magic, sizeof(footer_magic));
	le64_put(out + 8, f->index_offset);
	le64_put(out + 16, f->index_bytes);
	le32_put(out + 24, f->frame_count);
	le32_put(out + 28, f->sum_count);
	le32_put(out + 32, f->run_count);
	le32_put(out + 36, f->path_bytes);
	(void)memcpy(out + 40, f->index_sha256, SHA256_BYTES);
	le32_put(out + 92, crc32c(0, out, 92));
}

int
pack_footer_decode(struct pack_footer *f, const uint8_t in[PACK_FOOTER_BYTES],
    uint64_t file_bytes, struct err *e)
{
	static const uint8_t zero[20];
	uint64_t want;

	if (memcmp(in, footer_magic, sizeof(footer_magic)) != 0 ||
	    le32_get(in + 92) != crc32c(0, in, 92))
		return err_set(
		    e, ERR_CORRUPT, "pack footer is damaged or missing");
	if (memcmp(in + 72, zero, sizeof(zero)) != 0)
		return err_set(
		    e, ERR_CORRUPT, "pack footer has bits of a later version");
	f->index_offset = le64_get(in + 8);
	f->index_bytes = le64_get(in + 16);
	f->frame_count = le32_get(in + 24);
	f->sum_count = le32_get(in + 28);
	f->run_count = le32_get(in + 32);
	f->path_bytes = le32_get(in + 36);
	(void)memcpy(f->index_sha256, in + 40, SHA256_BYTES);
	if (f->frame_count > PACK_FRAMES_MAX || f->sum_count > PACK_SUMS_MAX ||
	    f->run_count > PACK_SUMS_MAX || f->path_bytes > PACK_PATHS_MAX)
		return err_set(e, ERR_CORRUPT, "pack index is too large");
	want = (uint64_t)f->frame_count * PACK_FRAME_ROW +
	    (uint64_t)f->sum_count * PACK_SUM_ROW +
	    (uint64_t)f->run_count * PACK_RUN_ROW + f->path_bytes;
	if (f->index_bytes != want || f->index_offset < PACK_HEADER_BYTES ||
	    f->index_offset > file_bytes ||
	    file_bytes - f->index_offset != want + PACK_FOOTER_BYTES)
		return err_set(
		    e, ERR_CORRUPT, "pack index does not fit the pack's size");
	return 0;
}

static void
frame_row_decode(struct frame_info *fi, const uint8_t *p)
{
	fi->offset = le64_get(p);
	fi->stored_len = le32_get(p + 8);
	fi->raw_len = le32_get(p + 12);
	fi->stored_crc = le32_get(p + 16);
	fi->first_sum = le32_get(p + 20);
	fi->block_count = le16_get(p + 24);
	fi->kind = p[26];
	fi->stored = p[27];
}

/* One frame's row against the bounds of its pack. */
static bool
frame_row_sound(const struct frame_info *fi, const struct pack_footer *f)
{
	if (fi->offset < PACK_HEADER_BYTES || fi->offset > f->index_offset ||
	    fi->stored_len > f->index_offset - fi->offset || fi->raw_len == 0 ||
	    fi->stored > 1 || fi->kind > FRAME_META ||
	    (fi->stored == 0 && fi->stored_len != fi->raw_len))
		return false;
	if (fi->first_sum > f->sum_count ||
	    fi->block_count > f->sum_count - fi->first_sum)
		return false;
	if (fi->kind == FRAME_META)
		return fi->block_count == 1 && fi->raw_len <= PACK_META_RAW_MAX;
	return fi->block_count >= 1 &&
	    fi->block_count <= PACK_FRAME_BLOCKS_MAX &&
	    fi->raw_len <= (uint32_t)fi->block_count * PACK_BLOCK_BYTES;
}

/* The runs of a BLOCKS frame must cover its blocks and bytes exactly. */
static bool
frame_runs_sound(const struct pack_index *x, uint32_t frame)
{
	const struct frame_info *fi = &x->frames[frame];
	uint32_t i, blocks = 0;
	uint64_t bytes = 0;

	if (fi->kind == FRAME_META)
		return x->first_run[frame] == x->first_run[frame + 1];
	for (i = x->first_run[frame]; i < x->first_run[frame + 1]; i++) {
		const uint8_t *p = x->runs + (size_t)i * PACK_RUN_ROW;
		uint16_t count = le16_get(p + 8), tail = le16_get(p + 10);

		if (le32_get(p) >= x->footer.path_bytes || count == 0 ||
		    tail == 0 || tail > PACK_BLOCK_BYTES)
			return false;
		blocks += count;
		bytes += (uint64_t)(count - 1) * PACK_BLOCK_BYTES + tail;
	}
	return blocks == fi->block_count && bytes == fi->raw_len;
}

static int
index_fill(struct pack_index *x, struct err *e)
{
	const struct pack_footer *f = &x->footer;
	uint32_t i, run = 0;

	for (i = 0; i < f->frame_count; i++) {
		const uint8_t *p = x->bytes + (size_t)i * PACK_FRAME_ROW;
		uint32_t runs = le32_get(p + 28);

		frame_row_decode(&x->frames[i], p);
		x->first_run[i] = run;
		if (!frame_row_sound(&x->frames[i], f) ||
		    runs > f->run_count - run)
			return err_set(e, ERR_CORRUPT,
			    "pack index: frame %u makes no sense", i);
		run += runs;
		x->first_run[i + 1] = run;
	}
	if (run != f->run_count ||
	    (f->path_bytes > 0 && x->paths[f->path_bytes - 1] != '\0'))
		return err_set(
		    e, ERR_CORRUPT, "pack index: runs or paths do not fit");
	for (i = 0; i < f->frame_count; i++)
		if (!frame_runs_sound(x, i))
			return err_set(e, ERR_CORRUPT,
			    "pack index: runs of frame %u make no sense", i);
	return 0;
}

struct pack_index *
pack_index_decode(const struct pack_footer *f, uint8_t *bytes, struct err *e)
{
	AUTO_PACK_INDEX struct pack_index *x = mem_zalloc(sizeof(*x));
	uint8_t digest[SHA256_BYTES];

	x->footer = *f;
	x->bytes = bytes;
	sha256_of(bytes, f->index_bytes, digest);
	if (memcmp(digest, f->index_sha256, SHA256_BYTES) != 0) {
		(void)err_set(e, ERR_CORRUPT, "pack index is damaged");
		return NULL;
	}
	x->frames = mem_array(f->frame_count, sizeof(x->frames[0]));
	x->first_run =
	    mem_zarray((size_t)f->frame_count + 1, sizeof(x->first_run[0]));
	x->sums = bytes + (size_t)f->frame_count * PACK_FRAME_ROW;
	x->runs = x->sums + (size_t)f->sum_count * PACK_SUM_ROW;
	x->paths = (const char *)x->runs + (size_t)f->run_count * PACK_RUN_ROW;
	if (index_fill(x, e) == -1)
		return NULL;
	return steal_ptr(&x);
}

void
pack_index_free(struct pack_index *x)
{
	if (x == NULL)
		return;
	free(x->bytes);
	free(x->frames);
	free(x->first_run);
	free(x);
}

size_t
pack_index_bytes(const struct pack_index *x)
{
	return sizeof(*x) + x->footer.index_bytes +
	    x->footer.frame_count *
	    (sizeof(x->frames[0]) + sizeof(x->first_run[0]));
}

uint32_t
pack_index_frames(const struct pack_index *x)
{
	return x->footer.frame_count;
}

uint64_t
pack_index_blocks(const struct pack_index *x)
{
	return x->footer.sum_count;
}

const struct frame_info *
pack_index_frame(const struct pack_index *x, uint32_t frame)
{
	return frame < x->footer.frame_count ? &x->frames[frame] : NULL;
}

struct block_sum
pack_index_sum(const struct pack_index *x, uint32_t frame, uint16_t index)
{
	const uint8_t *p = x->sums +
	    ((size_t)x->frames[frame].first_sum + index) * PACK_SUM_ROW;

	return (struct block_sum){ le64_get(p), le32_get(p + 8) };
}

bool
pack_index_run(const struct pack_index *x, uint32_t i, uint32_t *frame,
    struct frame_run *run)
{
	const uint8_t *p = x->runs + (size_t)i * PACK_RUN_ROW;
	uint32_t lo = 0, hi = x->footer.frame_count, mid, j;

	if (i >= x->footer.run_count)
		return false;
	while (hi - lo > 1) { /* the last frame whose first run is <= i */
		mid = lo + (hi - lo) / 2;
		if (x->first_run[mid] <= i)
			lo = mid;
		else
			hi = mid;
	}
	*frame = lo;
	run->path = x->paths + le32_get(p);
	run->first_block = le32_get(p + 4);
	run->count = le16_get(p + 8);
	run->tail_len = le16_get(p + 10);
	run->index = 0;
	for (j = x->first_run[lo]; j < i; j++)
		run->index = (uint16_t)(run->index +
		    le16_get(x->runs + (size_t)j * PACK_RUN_ROW + 8));
	return true;
}

/* Bytes in front of a block: only the last block of a run may be short. */
uint32_t
pack_index_block_offset(
    const struct pack_index *x, uint32_t frame, uint16_t index)
{
	const struct frame_info *fi = &x->frames[frame];
	uint32_t i, offset = 0, blocks = 0;

	if (fi->kind == FRAME_META ||
	    fi->raw_len == (uint32_t)fi->block_count * PACK_BLOCK_BYTES)
		return index * PACK_BLOCK_BYTES;
	for (i = x->first_run[frame]; i < x->first_run[frame + 1]; i++) {
		const uint8_t *p = x->runs + (size_t)i * PACK_RUN_ROW;
		uint16_t count = le16_get(p + 8);

		if (index < blocks + count)
			return offset + (index - blocks) * PACK_BLOCK_BYTES;
		blocks += count;
		offset +=
		    (uint32_t)(count - 1) * PACK_BLOCK_BYTES + le16_get(p + 10);
	}
	return offset;
}

uint32_t
pack_index_block_len(const struct pack_index *x, uint32_t frame, uint16_t index)
{
	const struct frame_info *fi = &x->frames[frame];
	uint32_t at = pack_index_block_offset(x, frame, index), next;

	if (fi->kind == FRAME_META)
		return fi->raw_len;
	next = index + 1 == fi->block_count
	    ? fi->raw_len
	    : pack_index_block_offset(x, frame, (uint16_t)(index + 1));
	return next - at;
}
