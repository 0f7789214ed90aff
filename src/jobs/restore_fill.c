#include "jobs/restore_fill.h"

#include <string.h>

#include "base/mem.h"
#include "codec/zcodec.h"

#define FILL_SLOTS_MAX 64

struct slot {
	uint32_t pack, frame;
	uint8_t *plain; /* NULL: free */
	size_t bytes;
	uint64_t used_at;
};

struct fill {
	struct packset *ps;
	struct zcodec *z;
	struct slot slots[FILL_SLOTS_MAX];
	size_t cache_bytes, cache_bytes_max;
	uint64_t clock;
	uint64_t read_bytes;
};

struct fill *
fill_new(struct packset *ps, size_t cache_bytes)
{
	struct fill *f = mem_zalloc(sizeof(*f));

	f->ps = ps;
	f->z = zcodec_new();
	f->cache_bytes_max = cache_bytes;
	return f;
}

void
fill_free(struct fill *f)
{
	size_t i;

	if (f == NULL)
		return;
	for (i = 0; i < FILL_SLOTS_MAX; i++)
		free(f->slots[i].plain);
	zcodec_free(f->z);
	free(f);
}

uint64_t
fill_read_bytes(const struct fill *f)
{
	return f->read_bytes;
}

static void
drop(struct fill *f, struct slot *s)
{
	free(s->plain);
	f->cache_bytes -= s->bytes;
	(void)memset(s, 0, sizeof(*s));
}

/* A slot for so many bytes: what was not used for longest gives way. */
static struct slot *
make_room(struct fill *f, size_t bytes)
{
	struct slot *oldest, *empty;
	size_t i;

	for (;;) {
		oldest = empty = NULL;
		for (i = 0; i < FILL_SLOTS_MAX; i++) {
			struct slot *s = &f->slots[i];

			if (s->plain == NULL)
				empty = s;
			else if (oldest == NULL || s->used_at < oldest->used_at)
				oldest = s;
		}
		if (oldest == NULL ||
		    (empty != NULL &&
			f->cache_bytes + bytes <= f->cache_bytes_max))
			break;
		drop(f, oldest);
	}
	empty->plain = mem_alloc(bytes);
	empty->bytes = bytes;
	f->cache_bytes += bytes;
	return empty;
}

static struct slot *
find_slot(struct fill *f, uint32_t pack, uint32_t frame)
{
	size_t i;

	for (i = 0; i < FILL_SLOTS_MAX; i++) {
		struct slot *s = &f->slots[i];

		if (s->plain != NULL && s->pack == pack && s->frame == frame) {
			s->used_at = ++f->clock;
			return s;
		}
	}
	return NULL;
}

/* The plain bytes of a frame, decoded now if need be.  Borrowed until the next
 * call. */
static const uint8_t *
cached_frame(struct fill *f, const struct frame_info *fi,
    const struct block_place *p, struct err *e)
{
	struct slot *s = find_slot(f, p->pack, p->frame);

	if (s != NULL)
		return s->plain;
	s = make_room(f, fi->raw_len);
	if (packset_read_frame(f->ps, p->pack, p->frame, f->z, s->plain, e) ==
	    -1) {
		drop(f, s);
		return NULL;
	}
	s->pack = p->pack;
	s->frame = p->frame;
	s->used_at = ++f->clock;
	f->read_bytes += fi->stored_len;
	return s->plain;
}

/* How many of the places lie in one frame, one behind the other. */
static uint32_t
run_in_frame(const struct block_place *places, uint32_t count)
{
	uint32_t n = 1;

	while (n < count && places[n].kind == places[0].kind &&
	    (places[0].kind == EXTENT_ZERO ||
		(places[n].pack == places[0].pack &&
		    places[n].frame == places[0].frame &&
		    places[n].index == places[n - 1].index + 1)))
		n++;
	return n;
}

/* count blocks of one frame from places[0] on, len bytes in all. */
static int
fill_run(struct fill *f, const struct pack_index *x,
    const struct block_place *places, uint32_t count, uint8_t *out, size_t len,
    struct err *e)
{
	const struct frame_info *fi = pack_index_frame(x, places[0].frame);
	const uint8_t *plain;
	uint32_t from, to;

	if (fi == NULL || places[0].index + count > fi->block_count)
		return err_set(
		    e, ERR_CORRUPT, "file map points behind a frame");
	from = pack_index_block_offset(x, places[0].frame, places[0].index);
	to = pack_index_block_offset(
		 x, places[0].frame, places[count - 1].index) +
	    pack_index_block_len(x, places[0].frame, places[count - 1].index);
	if (to - from != len)
		return err_set(e, ERR_CORRUPT,
		    "stored blocks do not have the length of the file's");
	/* All of a frame goes straight to where it is wanted. */
	if (len == fi->raw_len &&
	    find_slot(f, places[0].pack, places[0].frame) == NULL) {
		f->read_bytes += fi->stored_len;
		return packset_read_frame(
		    f->ps, places[0].pack, places[0].frame, f->z, out, e);
	}
	plain = cached_frame(f, fi, &places[0], e);
	if (plain == NULL)
		return -1;
	(void)memcpy(out, plain + from, len);
	return 0;
}

int
fill_blocks(struct fill *f, const struct block_place *places, uint32_t count,
    uint8_t *out, size_t len, struct err *e)
{
	const struct pack_index *x;
	uint32_t n;
	size_t bytes;
	int rc;

	for (; count > 0; places += n, count -= n, out += bytes, len -= bytes) {
		n = run_in_frame(places, count);
		bytes = n == count ? len : (size_t)n * PACK_BLOCK_BYTES;
		if (places[0].kind == EXTENT_ZERO) {
			(void)memset(out, 0, bytes);
			continue;
		}
		x = packset_index_get(f->ps, places[0].pack, e);
		if (x == NULL)
			return -1;
		rc = fill_run(f, x, places, n, out, bytes, e);
		packset_index_put(f->ps, x);
		if (rc == -1)
			return -1;
	}
	return 0;
}
