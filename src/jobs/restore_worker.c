/*
 * restore_worker: what one thread does with one part of a file.
 */

#include "base/child.h"
#include "codec/digest.h"
#include "jobs/restore_pipe.h"

/* So many zero blocks in a row are left as a hole. */
#define HOLE_BLOCKS ((uint32_t)32)

size_t
worker_bytes(const struct rfile *f, uint32_t first, uint32_t count)
{
	uint64_t from = (uint64_t)first * PACK_BLOCK_BYTES;
	uint64_t to = from + (uint64_t)count * PACK_BLOCK_BYTES;

	return (size_t)((to < f->size_bytes ? to : f->size_bytes) - from);
}

int
worker_look_up(struct rpipe_worker *w, const struct rfile *f, uint32_t first,
    uint32_t count, struct err *e)
{
	if (child_check_stop(e) == -1)
		return -1;
	if (filemap_places(&f->map, w->ps, first, count, w->places, e) == -1)
		return -1;
	return filemap_place_sums(w->places, w->ps, w->block_key, f->size_bytes,
	    first, count, w->sums, e);
}

void
worker_join_crc(const struct rpipe_worker *w, const struct rfile *f,
    uint32_t first, uint32_t count, uint32_t *crc)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		*crc = crc32c_combine(
		    *crc, w->sums[i].crc, worker_bytes(f, first + i, 1));
}

static uint32_t
zero_run(const struct block_place *places, uint32_t count)
{
	uint32_t n = 0;

	while (n < count && places[n].kind == EXTENT_ZERO)
		n++;
	return n;
}

/* How many of count blocks go into one window: up to a hole; else, when more
 * follow, up to the end of a frame, so that no frame is decoded twice. */
static uint32_t
window_blocks(const struct block_place *places, uint32_t count, bool more)
{
	uint32_t n, end = 0;

	for (n = 0; n < count; n++) {
		if (zero_run(places + n, count - n) >= HOLE_BLOCKS)
			return n;
		if (places[n].kind == EXTENT_ZERO || places[n].last_in_frame)
			end = n + 1;
	}
	return more && end > count / 2 ? end : count;
}

static int
send_window(struct rpipe_worker *w, struct rfile *f, uint32_t first,
    uint32_t count, struct err *e)
{
	struct rpipe_window *window = rpipe_window_get(w->pipe);

	if (window == NULL)
		return err_set(e, ERR_CANCELED, "another thread failed");
	window->offset = (uint64_t)first * PACK_BLOCK_BYTES;
	window->len = worker_bytes(f, first, count);
	rfile_hold(f);
	window->file = f;
	if (fill_blocks(
		w->fill, w->places, count, window->data, window->len, e) == -1)
		return -1;
	if (!rpipe_window_put(w->pipe, window))
		return err_set(e, ERR_CANCELED, "another thread failed");
	return 0;
}

/* A file that is new here. */
static int
worker_fresh(struct rpipe_worker *w, struct rfile *f, uint32_t first,
    uint32_t count, uint32_t *crc, struct err *e)
{
	uint32_t n, zeros;

	for (; count > 0; first += n, count -= n) {
		n = count < RPIPE_WINDOW_BLOCKS ? count : RPIPE_WINDOW_BLOCKS;
		if (worker_look_up(w, f, first, n, e) == -1)
			return -1;
		zeros = zero_run(w->places, n);
		if (zeros >= HOLE_BLOCKS || zeros == count) {
			n = zeros;
		} else {
			n = window_blocks(w->places, n, n < count);
			if (send_window(w, f, first, n, e) == -1)
				return -1;
		}
		worker_join_crc(w, f, first, n, crc);
		progress_add(w->progress, worker_bytes(f, first, n));
	}
	return 0;
}

/* A small file at once, by this thread. */
static int
worker_small(
    struct rpipe_worker *w, struct rfile *f, uint32_t *crc, struct err *e)
{
	uint32_t count = entry_blocks(f->size_bytes);
	size_t len = (size_t)f->size_bytes;

	if (worker_look_up(w, f, 0, count, e) == -1)
		return -1;
	worker_join_crc(w, f, 0, count, crc);
	if (fill_blocks(w->fill, w->places, count, w->bytes, len, e) == -1 ||
	    rfile_write(f, w->bytes, len, 0, e) == -1)
		return -1;
	w->counts.written_bytes += len;
	w->counts.written_blocks += count;
	progress_add(w->progress, len);
	return 0;
}

int
worker_part(
    struct rpipe_worker *w, struct rfile *f, uint32_t part, struct err *e)
{
	uint32_t first = part * RFILE_PART_BLOCKS;
	uint32_t count = entry_blocks(f->size_bytes) - first;
	uint32_t crc = 0;
	int rc;

	if (count > RFILE_PART_BLOCKS)
		count = RFILE_PART_BLOCKS;
	if (rfile_open(f, e) == -1)
		return -1;
	if (f->part_count == 0)
		return 0;
	if (f->existed)
		rc = worker_delta(w, f, first, count, &crc, e);
	else if (f->size_bytes <= RFILE_SMALL_BYTES)
		rc = worker_small(w, f, &crc, e);
	else
		rc = worker_fresh(w, f, first, count, &crc, e);
	f->parts[part].crc = crc;
	f->parts[part].done = rc == 0;
	return rc == 0 ? 0 : err_ctx(e, "file \"%s\"", f->path);
}
