/*
 * The WAL reader must survive any bytes, see the same in pieces of any size,
 * and take again what it has called valid.
 *
 * The first bytes say how the others are used:
 *
 *	offset	size	meaning
 *	     0	   1	version: 13 to 18
 *	     1	   1	0: the rest is WAL as it is; else it is records one
 *			behind the other without page headers, whose lengths,
 *			links and checksums are put right before they are laid
 *			out in pages, so that the fuzzer gets behind those
 *	     2	   1	in which of the 128 pages of a segment it begins
 *	     3	   1	how many bytes of the pages are changed at last
 *	     4	   2	bytes of a piece
 *	     6		the changes: where (u16), by what (u8); then the WAL
 */

#include "walmaker.h"

#include <stdlib.h>

#include "pg/walimages.h"
#include "pg/walreader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define HEADER_BYTES 6
#define CHANGES_MAX  8
/* Each segment switch adds filler: enough is enough. */
#define WAL_BYTES_MAX ((size_t)2 << 20)
/* A record with this in its xid's high byte breaks off with its page. */
#define XID_BREAK 0xee

static void
check(bool held)
{
	if (!held)
		abort();
}

struct seen {
	struct walreader *w;
	struct walimages *images;
	unsigned int count;
	uint64_t last_lsn, last_end_lsn;
	uint32_t sum;
};

/* What there is to say of an event must be readable. */
static void
check_event(struct seen *s, const struct walreader_record *r)
{
	struct wal_event ev;

	wal_event_decode(r, walreader_major(s->w), &ev);
	check(memchr(ev.name, '\0', sizeof(ev.name)) != NULL);
	if (ev.path != NULL)
		s->sum = crc32c(s->sum, ev.path, strlen(ev.path));
	if (ev.kind != WAL_EVENT_NONE)
		check(strcmp(wal_event_kind_name(ev.kind), "none") != 0);
	s->sum = crc32c(s->sum, &ev.time_us, sizeof(ev.time_us));
}

static int
see(void *arg, const struct walreader_record *r, struct err *e)
{
	struct seen *s = arg;
	struct walimages_key key;
	unsigned int i;

	check(r->lsn % 8 == 0 && r->lsn >= s->last_end_lsn);
	check(r->end_lsn % 8 == 0 && r->end_lsn >= r->lsn + r->total_bytes);
	check(r->prev_lsn < r->lsn);
	check(s->count == 0 || r->prev_lsn == s->last_lsn);
	check(r->block_count <= WALREADER_BLOCKS_MAX);
	check((uint64_t)r->main_bytes + r->image_bytes < r->total_bytes);
	check(walreader_last_record(s->w) == r->lsn);
	s->sum = crc32c(s->sum, r->main_data, r->main_bytes);
	for (i = 0; i < r->block_count; i++) {
		check(r->blocks[i].has_image || !r->blocks[i].apply_image);
		s->sum = crc32c(s->sum, &r->blocks[i].block, 4);
		key.tablespace = r->blocks[i].tablespace;
		key.database = r->blocks[i].database;
		key.relation = r->blocks[i].relation;
		key.fork = r->blocks[i].fork;
		key.block = r->blocks[i].block;
		if (s->count % 2 == 0)
			check(walimages_want(s->images, &key, e) == 0);
	}
	check(walimages_on_record(s->images, r, e) == 0);
	check_event(s, r);
	s->count++;
	s->last_lsn = r->lsn;
	s->last_end_lsn = r->end_lsn;
	return 0;
}

/* Read all in pieces; returns where the valid end is. */
static uint64_t
read_pieces(struct seen *s, const struct walreader_options *o,
    const struct buf *wal, size_t piece_bytes, struct err *e)
{
	AUTO_WALREADER struct walreader *w = walreader_new(o, see, s);
	AUTO_WALIMAGES struct walimages *images = walimages_new();
	uint64_t end;
	size_t at, n;
	int rc = 0;

	*s = (struct seen){ .w = w, .images = images };
	for (at = 0; at < wal->len && rc == 0; at += n) {
		n = wal->len - at < piece_bytes ? wal->len - at : piece_bytes;
		rc = walreader_feed(w, wal->data + at, n, e);
	}
	if (rc == 0)
		check(walreader_position(w) == o->start_lsn + wal->len);
	else
		check(e->kind == ERR_CORRUPT || e->kind == ERR_CONFLICT);
	end = walreader_valid_end(w);
	check(walreader_last_record(w) == s->last_lsn);
	check(end == s->last_end_lsn || end % o->segment_bytes == 0);
	check(end <= o->start_lsn + ((wal->len + 7) & ~(size_t)7));
	check(walimages_restored_count(images) <= walimages_count(images));
	return end;
}

static void
check_wal(
    const struct walreader_options *o, struct buf *wal, size_t piece_bytes)
{
	struct err e = ERR_INIT, f = ERR_INIT;
	struct seen s, t;
	uint64_t end;

	end = read_pieces(&s, o, wal, SIZE_MAX, &e);
	check(read_pieces(&t, o, wal, piece_bytes, &f) == end);
	check(s.count == t.count && s.sum == t.sum);
	check(e.kind == f.kind && strcmp(e.text, f.text) == 0);
	check(walreader_valid_prefix(o, wal->data, wal->len) ==
	    (end == LSN_NONE ? o->start_lsn : end));
	if (end == LSN_NONE || end - o->start_lsn > wal->len)
		return;
	wal->len = end - o->start_lsn;
	check(read_pieces(&t, o, wal, piece_bytes, NULL) == end);
	check(s.count == t.count && s.sum == t.sum);
}

/*
 * Lay out the record at the start of the len bytes at p, put right.  Returns
 * how many were used, 0 when there is no more.
 */
static size_t
put_record(struct walmaker *m, uint8_t *p, size_t len)
{
	uint32_t total_bytes, room;
	uint64_t lsn;

	if (len < 24 || le32_get(p) == 0)
		return 0;
	total_bytes = le32_get(p);
	if (total_bytes < 24 || total_bytes > len)
		le32_put(p, total_bytes = (uint32_t)len);
	lsn = walmaker_next(m);
	walmaker_seal(p, total_bytes, m->prev_lsn);
	room = WAL_PAGE_BYTES - (uint32_t)(lsn % WAL_PAGE_BYTES);
	if (p[7] == XID_BREAK && room < total_bytes) {
		walmaker_put(m, p, room, total_bytes);
		m->page_flags = 8;
		return total_bytes;
	}
	walmaker_put(m, p, total_bytes, total_bytes);
	m->prev_lsn = lsn;
	if (p[17] == 0 && (p[16] & 0xf0) == 0x40)
		walmaker_zeros(m, m->segment_bytes);
	return total_bytes;
}

static void
put_records(struct walmaker *m, const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf copy = BUF_INIT;
	size_t at = 0, used;

	buf_put(&copy, data, len);
	while (at < len && m->out.len < WAL_BYTES_MAX) {
		used = put_record(m, copy.data + at, len - at);
		if (used == 0)
			break;
		at += (used + 7) & ~(size_t)7;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct walreader_options o = { .segment_bytes = WAL_SEGMENT_BYTES_MIN };
	AUTO_WALMAKER struct walmaker m = { 0 };
	unsigned int changes, i;
	size_t piece_bytes, at;

	if (len < HEADER_BYTES + 3 * CHANGES_MAX)
		return 0;
	changes = data[3] % CHANGES_MAX;
	piece_bytes = (size_t)le16_get(data + 4) + 1;
	at = HEADER_BYTES + 3 * changes;
	o.start_lsn = ((uint64_t)3 << 20) + (data[2] % 128) * WAL_PAGE_BYTES;
	walmaker_init(&m, 13 + data[0] % 6, o.start_lsn);
	if (data[1] != 0)
		put_records(&m, data + at, len - at);
	else {
		buf_put(&m.out, data + at, len - at);
		if (len - at >= 16)
			o.start_lsn = le64_get(data + at + 8) & 0xffffffffe000;
		if (len - at >= 40 &&
		    wal_segment_bytes_valid(le32_get(data + at + 32)))
			o.segment_bytes = le32_get(data + at + 32);
	}
	for (i = 0; i < changes && m.out.len > 0; i++)
		m.out.data[le16_get(data + HEADER_BYTES + 3 * i) % m.out.len] ^=
		    data[HEADER_BYTES + 3 * i + 2];
	check_wal(&o, &m.out, piece_bytes);
	return 0;
}
