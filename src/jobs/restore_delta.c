/*
 * restore_delta: a file that is there already.  Its blocks are read and summed;
 * only those that differ from the backup's are decoded and written.
 */

#include "base/file.h"
#include "codec/digest.h"
#include "jobs/restore_pipe.h"

/* So many different blocks in a row are worth a direct write. */
#define DIRECT_BLOCKS ((uint32_t)32)

static bool
is_same(const struct rpipe_worker *w, const uint8_t *data, size_t len,
    const struct block_sum *sum)
{
	return xxh3_keyed(w->block_key, data, len) == sum->hash &&
	    crc32c(0, data, len) == sum->crc;
}

/* same[i] for count blocks from first on, at most RPIPE_WINDOW_BLOCKS. */
static int
compare(struct rpipe_worker *w, struct rfile *f, uint32_t first, uint32_t count,
    bool *same, struct err *e)
{
	uint32_t i, k, n;
	size_t len;
	ssize_t got;

	for (i = 0; i < count; i += n) {
		n = count - i < RPIPE_PIECE_BLOCKS ? count - i
						   : RPIPE_PIECE_BLOCKS;
		got = file_pread_full(f->fd, w->old,
		    worker_bytes(f, first + i, n),
		    (uint64_t)(first + i) * PACK_BLOCK_BYTES, f->path, e);
		if (got == -1)
			return -1;
		for (k = 0; k < n; k++) {
			len = worker_bytes(f, first + i + k, 1);
			same[i + k] =
			    (size_t)k * PACK_BLOCK_BYTES + len <= (size_t)got &&
			    is_same(w, w->old + (size_t)k * PACK_BLOCK_BYTES,
				len, &w->sums[i + k]);
		}
	}
	return 0;
}

/* Blocks [at, at + count) of the window that begins at first. */
static int
rewrite(struct rpipe_worker *w, struct rfile *f, uint32_t first, uint32_t at,
    uint32_t count, struct err *e)
{
	size_t len = worker_bytes(f, first + at, count);
	uint64_t offset = (uint64_t)(first + at) * PACK_BLOCK_BYTES;

	if (fill_blocks(w->fill, w->places + at, count, w->bytes, len, e) == -1)
		return -1;
	w->counts.written_bytes += len;
	w->counts.written_blocks += count;
	return count >= DIRECT_BLOCKS
	    ? rfile_write_direct(f, w->bytes, len, offset, e)
	    : rfile_write(f, w->bytes, len, offset, e);
}

static int
rewrite_different(struct rpipe_worker *w, struct rfile *f, uint32_t first,
    uint32_t count, const bool *same, struct err *e)
{
	uint32_t i, n;

	for (i = 0; i < count; i += n) {
		for (n = 0; i + n < count && same[i + n]; n++)
			;
		w->counts.kept_blocks += n;
		if (n > 0)
			continue;
		for (; i + n < count && !same[i + n]; n++)
			;
		if (rewrite(w, f, first, i, n, e) == -1)
			return -1;
	}
	return 0;
}

int
worker_delta(struct rpipe_worker *w, struct rfile *f, uint32_t first,
    uint32_t count, uint32_t *crc, struct err *e)
{
	bool same[RPIPE_WINDOW_BLOCKS];
	uint32_t n;

	for (; count > 0; first += n, count -= n) {
		n = count < RPIPE_WINDOW_BLOCKS ? count : RPIPE_WINDOW_BLOCKS;
		if (worker_look_up(w, f, first, n, e) == -1 ||
		    compare(w, f, first, n, same, e) == -1 ||
		    rewrite_different(w, f, first, n, same, e) == -1)
			return -1;
		worker_join_crc(w, f, first, n, crc);
		progress_add(w->progress, worker_bytes(f, first, n));
	}
	return 0;
}
