/*
 * walfile and walindex: what is encoded decodes to the same, and no damaged
 * byte passes.
 */

#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "repo/walfile.h"
#include "repo/walindex.h"
#include "tap.h"

static const struct walfile_header sample = {
	.version = WALFILE_VERSION,
	.flags = WALFILE_PARTIAL,
	.timeline = 3,
	.system_id = UINT64_C(7000000000000000001),
	.start_lsn = UINT64_C(0x1B000000),
	.segment_bytes = 16 << 20,
	.plain_bytes = (9 << 20) + 17,
	.chunk_bytes = WALFILE_CHUNK_BYTES,
};

static void
check_header(void)
{
	uint8_t raw[WALFILE_HEADER_BYTES];
	struct walfile_header h = { 0 };
	struct err e = ERR_INIT;
	unsigned int bit, missed = 0;

	walfile_header_encode(&sample, raw);
	tap_ok(walfile_header_decode(&h, raw, &e) == 0, "a header decodes");
	tap_u64(h.plain_bytes, sample.plain_bytes, "its length is kept");
	tap_u64(h.system_id, sample.system_id, "its system identifier is kept");
	tap_u64(walfile_chunks(&h), 3, "it has three chunks");
	tap_u64(walfile_chunk_plain(&h, 2), (1 << 20) + 17,
	    "the last of them is what is left");

	(void)memset(&h, 0, sizeof(h));
	for (bit = 0; bit < 8 * sizeof(raw); bit++) {
		walfile_header_encode(&sample, raw);
		raw[bit / 8] ^= (uint8_t)(1 << bit % 8);
		missed += walfile_header_decode(&h, raw, &e) == 0;
	}
	tap_u64(missed, 0, "no single-bit flip of a header passes");
	tap_u64(h.timeline, 0, "a refused header is left untouched");
}

/* A header with one value changed and a right checksum is refused. */
static void
check_header_values(void)
{
	static const struct {
		const char *what;
		unsigned int offset, bytes;
		uint32_t value;
	} faults[] = {
		{ "a later version", 16, 2, 3 },
		{ "version 0", 16, 2, 0 },
		{ "unknown flags", 18, 2, 3 },
		{ "timeline 0", 20, 4, 0 },
		{ "a start inside a segment", 32, 4, 0x1B000008 },
		{ "a segment size that is no power of two", 40, 4, 17 << 20 },
		{ "a length above the segment's", 44, 4, (16 << 20) + 1 },
		{ "no length", 44, 4, 0 },
		{ "a chunk size that is too small", 48, 4, 4096 },
		{ "a chunk size that is no power of two", 48, 4, 3 << 20 },
		{ "reserved bits", 52, 4, 1 },
		{ "reserved bits behind", 56, 4, 1 },
	};
	uint8_t raw[WALFILE_HEADER_BYTES];
	struct walfile_header h;
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		walfile_header_encode(&sample, raw);
		if (faults[i].bytes == 2)
			le16_put(
			    raw + faults[i].offset, (uint16_t)faults[i].value);
		else
			le32_put(raw + faults[i].offset, faults[i].value);
		le32_put(raw + 60, crc32c(0, raw, 60));
		tap_ok(walfile_header_decode(&h, raw, &e) == -1 &&
			e.kind == ERR_CORRUPT,
		    "a header with %s is refused: %s", faults[i].what, e.text);
	}
}

static void
check_footer(void)
{
	struct walfile_trailer t = { .body_bytes = 3000, .index_bytes = 5 };
	uint8_t raw[WALFILE_FRAME_BYTES + 3 * WALFILE_CHUNK_ENTRY_BYTES + 5] = {
		0
	};
	const struct walfile_chunk c = { 1000, 7 };
	struct err e = ERR_INIT;
	size_t i;

	walfile_footer_begin(raw, sizeof(raw) + WALFILE_TRAILER_BYTES);
	for (i = 0; i < 3; i++)
		walfile_chunk_encode(&c,
		    raw + WALFILE_FRAME_BYTES + i * WALFILE_CHUNK_ENTRY_BYTES);
	t.footer_crc = crc32c(0, raw, sizeof(raw));
	tap_ok(walfile_footer_check(&sample, &t, raw, sizeof(raw), &e) == 0,
	    "a footer is accepted (%s)", e.text);
	tap_ok(
	    walfile_footer_check(&sample, &t, raw, sizeof(raw) - 1, &e) == -1,
	    "not a shorter one: %s", e.text);
	t.body_bytes = 3001;
	tap_ok(walfile_footer_check(&sample, &t, raw, sizeof(raw), &e) == -1,
	    "nor one of other chunks: %s", e.text);
	t.body_bytes = 3000;
	raw[9] ^= 1;
	tap_ok(walfile_footer_check(&sample, &t, raw, sizeof(raw), &e) == -1,
	    "nor a damaged one: %s", e.text);
	raw[9] ^= 1;
	raw[0] ^= 1;
	t.footer_crc = crc32c(0, raw, sizeof(raw));
	tap_ok(walfile_footer_check(&sample, &t, raw, sizeof(raw), &e) == -1,
	    "nor one that is no frame: %s", e.text);
}

static void
check_trailer_values(void)
{
	const struct walfile_trailer t = { .body_bytes = 1 };
	uint8_t raw[WALFILE_TRAILER_BYTES];
	struct walfile_trailer got;
	struct err e = ERR_INIT;

	walfile_trailer_encode(&t, raw);
	le32_put(raw + 40, WALFILE_INDEX_BYTES_MAX + 1);
	le32_put(raw + 60, crc32c(0, raw, 60));
	tap_ok(walfile_trailer_decode(&got, raw, &e) == -1,
	    "a trailer with a huge index is refused: %s", e.text);
	walfile_trailer_encode(&t, raw);
	le32_put(raw + 52, 1);
	le32_put(raw + 60, crc32c(0, raw, 60));
	tap_ok(walfile_trailer_decode(&got, raw, &e) == -1,
	    "and one with reserved bits: %s", e.text);
}

static void
check_trailer(void)
{
	const struct walfile_trailer t = {
		.body_bytes = 12345, .index_bytes = 80, .footer_crc = 1
	};
	uint8_t raw[WALFILE_TRAILER_BYTES];
	struct walfile_trailer got = { 0 };
	struct err e = ERR_INIT;
	unsigned int bit, missed = 0;

	for (bit = 0; bit < 8 * sizeof(raw); bit++) {
		walfile_trailer_encode(&t, raw);
		raw[bit / 8] ^= (uint8_t)(1 << bit % 8);
		missed += walfile_trailer_decode(&got, raw, &e) == 0;
	}
	tap_u64(missed, 0, "no single-bit flip of a trailer passes");
	tap_u64(got.body_bytes, 0, "a refused trailer is left untouched");
	walfile_trailer_encode(&t, raw);
	tap_ok(walfile_trailer_decode(&got, raw, &e) == 0, "a trailer decodes");
	tap_u64(got.body_bytes, 12345, "its length is kept");
}

static void
add(struct walindex *x, enum wal_event_kind kind, uint64_t lsn, uint32_t xid,
    int64_t us)
{
	struct wal_event ev = {
		.kind = kind,
		.lsn = lsn,
		.end_lsn = lsn + 64,
		.xid = xid,
		.time_us = us,
	};

	if (kind == WAL_EVENT_CREATE_TABLESPACE)
		ev.path = "/srv/fast";
	if (kind == WAL_EVENT_RESTORE_POINT)
		(void)strcpy(ev.name, "before the upgrade");
	walindex_add(x, &ev);
}

static void
fill_index(struct walindex *x, uint64_t start)
{
	walindex_init(x, 1, start);
	x->summary.end_lsn = start + (1 << 20);
	x->summary.first_record_lsn = start + 40;
	x->summary.last_record_end_lsn = start + (1 << 20);
	x->summary.major = 16;
	add(x, WAL_EVENT_COMMIT, start + 100, 0xfffffffe, 500);
	add(x, WAL_EVENT_ABORT, start + 200, 3, 400);
	add(x, WAL_EVENT_RESTORE_POINT, start + 300, 0, 450);
	add(x, WAL_EVENT_DROP, start + 400, 5, 300);
	add(x, WAL_EVENT_CREATE_TABLESPACE, start + 500, 6, 0);
	add(x, WAL_EVENT_CHECKPOINT, start + 600, 0, 460);
}

static void
check_index(void)
{
	const uint64_t start = UINT64_C(0x40000000);
	AUTO_WALINDEX struct walindex x;
	AUTO_WALINDEX struct walindex got = { 0 };
	AUTO_BUF struct buf raw = BUF_INIT;
	AUTO_BUF struct buf again = BUF_INIT;
	struct err e = ERR_INIT;
	size_t len;
	unsigned int whole = 0;

	fill_index(&x, start);
	walindex_encode(&x, &raw);
	if (!tap_ok(walindex_decode(&got, 1, start, start + (1 << 20), raw.data,
			raw.len, &e) == 0,
		"an index decodes"))
		return;
	walindex_encode(&got, &again);
	tap_ok(
	    again.len == raw.len && memcmp(again.data, raw.data, raw.len) == 0,
	    "and encodes to the same bytes");
	tap_u64(got.summary.commits, 2, "a drop is a commit");
	tap_u64((uint64_t)got.summary.first_commit_us, 500, "first commit");
	tap_u64((uint64_t)got.summary.last_commit_us, 300, "last commit");
	tap_u64((uint64_t)got.summary.min_commit_us, 300, "earliest commit");
	tap_u64((uint64_t)got.summary.max_commit_us, 500, "latest commit");
	tap_u64(got.summary.min_xid, 0xfffffffe, "xids wrap around: least");
	tap_u64(got.summary.max_xid, 5, "xids wrap around: greatest");
	tap_u64(got.count, 4, "four are moments");
	tap_str(got.moments[0].event.name, "before the upgrade", "a name");
	tap_str(got.moments[2].path, "/srv/fast", "a tablespace's path");
	tap_u64(got.moments[3].event.end_lsn, start + 664, "a position");

	for (len = 0; len < raw.len; len++) {
		AUTO_WALINDEX struct walindex cut = { 0 };

		whole += walindex_decode(&cut, 1, start, start + (1 << 20),
			     raw.data, len, &e) == 0;
	}
	tap_u64(whole, 0, "no prefix of an index passes for one");
}

static void
check_index_is_bounded(void)
{
	AUTO_WALINDEX struct walindex x;
	AUTO_BUF struct buf raw = BUF_INIT;
	AUTO_WALINDEX struct walindex got = { 0 };
	struct err e = ERR_INIT;
	unsigned int i;

	walindex_init(&x, 1, 1 << 20);
	for (i = 0; i < 6000; i++)
		add(&x, WAL_EVENT_TRUNCATE, (1 << 20) + 100 * i, 0, 0);
	tap_u64(
	    x.count, WALINDEX_COMMON_MAX, "only so many truncates are kept");
	tap_ok(x.summary.moments_cut, "and that is told");
	add(&x, WAL_EVENT_RESTORE_POINT, (1 << 20) + 100 * i, 0, 0);
	tap_u64(x.count, WALINDEX_COMMON_MAX + 1,
	    "they leave room for restore points");
	for (i++; i < 12000; i++)
		add(&x, WAL_EVENT_CHECKPOINT, (1 << 20) + 100 * i, 0, 0);
	tap_u64(x.count, WALINDEX_MOMENTS_MAX, "the whole is bounded");
	walindex_encode(&x, &raw);
	tap_ok(raw.len < WALFILE_INDEX_BYTES_MAX &&
		walindex_decode(&got, 1, 1 << 20, (1 << 20) + (4 << 20),
		    raw.data, raw.len, &e) == 0,
	    "the longest index can be read");
}

int
main(void)
{
	check_header();
	check_header_values();
	check_footer();
	check_trailer();
	check_trailer_values();
	check_index();
	check_index_is_bounded();
	return tap_done();
}
