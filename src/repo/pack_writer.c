/*
 * pack_writer: making a pack.
 */

#include <stdio.h>
#include <string.h>

#include "base/le.h"
#include "base/mem.h"
#include "repo/pack_format.h"

struct pack_writer {
	struct store_writer *out;
	struct sha256 *digest;
	char id[PACK_ID_BYTES];
	uint64_t bytes; /* header and frames written */
	uint32_t frames, filled;
	struct buf table; /* frame rows; all zero while only reserved */
	struct buf *runs; /* rows of each frame, joined at the end */
	struct buf sums, paths;
	char last_path[PACK_PATH_BYTES];
	uint32_t last_path_at;
};

const char *
pack_key(
    const struct lineage *l, const char *pack_id, char out[STORE_KEY_BYTES])
{
	uint64_t h = xxh3_keyed(0, pack_id, strlen(pack_id));

	return lineage_key(
	    l, out, "packs/%02x/%s", (unsigned int)(h & 0xff), pack_id);
}

static int
emit(struct pack_writer *w, const void *data, size_t len, struct err *e)
{
	sha256_update(w->digest, data, len);
	w->bytes += len;
	return store_write(w->out, data, len, e);
}

struct pack_writer *
pack_writer_new(const struct lineage *l, const char *pack_id, struct err *e)
{
	AUTO_PACK_WRITER struct pack_writer *w = mem_zalloc(sizeof(*w));
	char key[STORE_KEY_BYTES];
	uint8_t header[PACK_HEADER_BYTES];

	(void)snprintf(w->id, sizeof(w->id), "%s", pack_id);
	w->digest = sha256_new();
	w->out =
	    store_create(repo_store(l->repo), pack_key(l, pack_id, key), e);
	if (w->out == NULL)
		return NULL;
	pack_header_encode(w->id, header);
	if (emit(w, header, sizeof(header), e) == -1)
		return NULL;
	return steal_ptr(&w);
}

void
pack_writer_free(struct pack_writer *w)
{
	uint32_t i;

	if (w == NULL)
		return;
	store_writer_close(w->out);
	sha256_free(w->digest);
	for (i = 0; i < w->frames; i++)
		buf_free(&w->runs[i]);
	free(w->runs);
	buf_free(&w->table);
	buf_free(&w->sums);
	buf_free(&w->paths);
	free(w);
}

uint32_t
pack_writer_reserve(struct pack_writer *w)
{
	if ((w->frames & (w->frames - 1)) == 0) /* 0 and powers of two */
		w->runs = mem_rearray(w->runs,
		    w->frames == 0 ? 1 : 2 * (size_t)w->frames,
		    sizeof(w->runs[0]));
	w->runs[w->frames] = (struct buf)BUF_INIT;
	(void)memset(buf_reserve(&w->table, PACK_FRAME_ROW), 0, PACK_FRAME_ROW);
	w->table.len += PACK_FRAME_ROW;
	return w->frames++;
}

/* Offset of path in the paths; the one before is remembered, which is enough
 * for frames in file order. */
static uint32_t
path_ref(struct pack_writer *w, const char *path)
{
	if (w->paths.len > 0 && strcmp(w->last_path, path) == 0)
		return w->last_path_at;
	w->last_path_at = (uint32_t)w->paths.len;
	(void)snprintf(w->last_path, sizeof(w->last_path), "%s", path);
	buf_put(&w->paths, w->last_path, strlen(w->last_path) + 1);
	return w->last_path_at;
}

static void
put_runs(struct pack_writer *w, uint32_t frame, const struct frame_run *runs,
    size_t run_count)
{
	size_t i;

	for (i = 0; i < run_count; i++) {
		buf_put_le32(&w->runs[frame], path_ref(w, runs[i].path));
		buf_put_le32(&w->runs[frame], runs[i].first_block);
		buf_put_le16(&w->runs[frame], runs[i].count);
		buf_put_le16(&w->runs[frame], runs[i].tail_len);
	}
}

int
pack_writer_put(struct pack_writer *w, uint32_t frame, enum frame_kind kind,
    bool compressed, const void *stored, size_t stored_len, size_t raw_len,
    const struct block_sum *sums, size_t block_count,
    const struct frame_run *runs, size_t run_count, struct err *e)
{
	uint8_t *row = w->table.data + (size_t)frame * PACK_FRAME_ROW;
	size_t i;

	le64_put(row, w->bytes);
	le32_put(row + 8, (uint32_t)stored_len);
	le32_put(row + 12, (uint32_t)raw_len);
	le32_put(row + 16, crc32c(0, stored, stored_len));
	le32_put(row + 20, (uint32_t)(w->sums.len / PACK_SUM_ROW));
	le16_put(row + 24, (uint16_t)block_count);
	row[26] = (uint8_t)kind;
	row[27] = compressed ? 1 : 0;
	le32_put(row + 28, (uint32_t)run_count);
	for (i = 0; i < block_count; i++) {
		buf_put_le64(&w->sums, sums[i].hash);
		buf_put_le32(&w->sums, sums[i].crc);
	}
	put_runs(w, frame, runs, run_count);
	w->filled++;
	return emit(w, stored, stored_len, e);
}

uint64_t
pack_writer_bytes(const struct pack_writer *w)
{
	return w->bytes;
}

uint32_t
pack_writer_frames(const struct pack_writer *w)
{
	return w->frames;
}

uint64_t
pack_writer_blocks(const struct pack_writer *w)
{
	return w->sums.len / PACK_SUM_ROW;
}

/* The four tables behind one another. */
static void
join_index(struct pack_writer *w, struct buf *index, struct pack_footer *f)
{
	uint32_t i;
	size_t before;

	buf_put(index, w->table.data, w->table.len);
	buf_put(index, w->sums.data, w->sums.len);
	before = index->len;
	for (i = 0; i < w->frames; i++)
		buf_put(index, w->runs[i].data, w->runs[i].len);
	f->run_count = (uint32_t)((index->len - before) / PACK_RUN_ROW);
	buf_put(index, w->paths.data, w->paths.len);
	f->index_offset = w->bytes;
	f->index_bytes = index->len;
	f->frame_count = w->frames;
	f->sum_count = (uint32_t)(w->sums.len / PACK_SUM_ROW);
	f->path_bytes = (uint32_t)w->paths.len;
	sha256_of(index->data, index->len, f->index_sha256);
}

int
pack_writer_finish(
    struct pack_writer *w, struct pack_result *result, struct err *e)
{
	AUTO_BUF struct buf index = BUF_INIT;
	struct pack_footer footer;
	uint8_t raw[PACK_FOOTER_BYTES];

	if (w->filled != w->frames)
		return err_set(e, ERR_BUG,
		    "pack \"%s\": %u frames of %u were filled", w->id,
		    w->filled, w->frames);
	join_index(w, &index, &footer);
	pack_footer_encode(&footer, raw);
	if (emit(w, index.data, index.len, e) == -1 ||
	    emit(w, raw, sizeof(raw), e) == -1)
		return -1;
	(void)memset(result, 0, sizeof(*result));
	(void)memcpy(result->id, w->id, sizeof(result->id));
	result->bytes = w->bytes;
	result->blocks = footer.sum_count;
	sha256_peek(w->digest, result->sha256);
	return store_commit(w->out, e);
}
