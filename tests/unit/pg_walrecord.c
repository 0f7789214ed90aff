/*
 * The inside of WAL records: block references, images, the other fragments,
 * and what of it no server writes.
 */

#include "tap.h"
#include "walmaker.h"

#include "base/mem.h"
#include "pg/walimages.h"
#include "pg/walrecord.h"

#define HAS_IMAGE 0x10
#define HAS_DATA  0x20
#define WILL_INIT 0x40
#define SAME_REL  0x80

/*
 * A record made of body, decoded; the bytes stay in raw until the next, in
 * memory of just their length.
 */
static uint8_t *raw;
static uint32_t raw_bytes;

static int
decode(struct walreader_record *r, int major, uint8_t rmid,
    const struct buf *body, struct err *e)
{
	(void)memset(r, 0x55, sizeof(*r));
	free(raw);
	raw_bytes = 24 + (uint32_t)body->len;
	raw = mem_zalloc(raw_bytes);
	le32_put(raw, raw_bytes);
	le32_put(raw + 4, 4711);
	raw[16] = 0x30;
	raw[17] = rmid;
	if (body->len > 0)
		(void)memcpy(raw + 24, body->data, body->len);
	walmaker_seal(raw, raw_bytes, 77);
	if (walrecord_decode_header(r, major, raw, e) == -1)
		return -1;
	return walrecord_decode_body(r, major, raw, e);
}

static void
put_bytes(struct buf *b, size_t len)
{
	while (len-- > 0)
		buf_put_u8(b, (uint8_t)len);
}

static void
put_relation(struct buf *b, uint32_t relation, uint32_t block)
{
	buf_put_le32(b, 1663);
	buf_put_le32(b, 5);
	buf_put_le32(b, relation);
	buf_put_le32(b, block);
}

/* A block with an image of these properties, and 4 bytes of main data. */
static void
put_image(struct buf *b, uint16_t bytes, uint16_t hole_at, uint8_t flags,
    int hole_bytes)
{
	buf_put_u8(b, 0);
	buf_put_u8(b, HAS_IMAGE);
	buf_put_le16(b, 0);
	buf_put_le16(b, bytes);
	buf_put_le16(b, hole_at);
	buf_put_u8(b, flags);
	if (hole_bytes >= 0)
		buf_put_le16(b, (uint16_t)hole_bytes);
	put_relation(b, 99, 7);
	buf_put_u8(b, 255);
	buf_put_u8(b, 4);
	put_bytes(b, bytes);
	put_bytes(b, 4);
}

/* Two blocks, one "same relation", an origin, a top-level xid, main data. */
static void
put_everything(struct buf *b)
{
	buf_put_u8(b, 1);
	buf_put_u8(b, 2 | HAS_DATA);
	buf_put_le16(b, 10);
	put_relation(b, 16384, 8);
	buf_put_u8(b, 3);
	buf_put_u8(b, WILL_INIT | SAME_REL);
	buf_put_le16(b, 0);
	buf_put_le32(b, 9);
	buf_put_u8(b, 253);
	buf_put_le16(b, 12);
	buf_put_u8(b, 252);
	buf_put_le32(b, 4700);
	buf_put_u8(b, 254);
	buf_put_le32(b, 300);
	put_bytes(b, 10);
	put_bytes(b, 300);
}

static void
everything_is_read(void)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct walreader_record r;
	struct err e = ERR_INIT;

	put_everything(&b);
	tap_u64((uint64_t)decode(&r, 14, 10, &b, &e), 0, "decoded: %s", e.text);
	tap_ok(r.total_bytes == 24 + b.len && r.xid == 4711 &&
		r.prev_lsn == 77 && r.info == 0x30 && r.rmid == 10,
	    "header");
	tap_u64(r.block_count, 2, "two blocks");
	tap_ok(r.blocks[0].id == 1 && r.blocks[0].tablespace == 1663 &&
		r.blocks[0].database == 5 && r.blocks[0].relation == 16384 &&
		r.blocks[0].block == 8 && r.blocks[0].fork == 2 &&
		!r.blocks[0].has_image && !r.blocks[0].apply_image &&
		!r.blocks[0].will_init,
	    "the first is of a visibility map");
	tap_ok(r.blocks[1].id == 3 && r.blocks[1].tablespace == 1663 &&
		r.blocks[1].database == 5 && r.blocks[1].relation == 16384 &&
		r.blocks[1].block == 9 && r.blocks[1].fork == 0 &&
		r.blocks[1].will_init,
	    "the second of the same relation, made anew");
	tap_ok(r.main_bytes == 300 && r.main_data == raw + raw_bytes - 300 &&
		r.image_bytes == 0,
	    "main data");
	tap_ok(walrecord_crc_valid(raw, raw_bytes), "checksum");
	tap_ok(decode(&r, 13, 10, &b, &e) == -1 &&
		strcmp(e.text, "fragment id 252 does not exist") == 0,
	    "13 knows no top-level xid: %s", e.text);
}

/*
 * Without some of its last bytes no record with main data adds up, but for
 * four lengths: behind each of the headers before the main data's, what is
 * left can be just the 10 bytes of the first block's data.
 */
static void
no_shorter_record_is_read(void)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct walreader_record r;
	unsigned int accepted = 0;
	size_t len;

	put_everything(&b);
	for (len = b.len; b.len-- > 1;)
		if (decode(&r, 15, 10, &b, NULL) == 0)
			accepted++;
	tap_u64(accepted, 4, "four of %zu shorter records", len - 1);

	buf_clear(&b);
	put_image(&b, 700, 40, 1 | 2 | 4, 7000);
	accepted = 0;
	for (len = b.len; b.len-- > 1;)
		if (decode(&r, 15, 10, &b, NULL) == 0)
			accepted++;
	tap_u64(accepted, 1, "one of %zu with an image", len - 1);
	b.len = 0;
	tap_u64((uint64_t)decode(&r, 15, 10, &b, NULL), 0, "a bare header is");
	tap_ok(r.block_count == 0 && r.main_bytes == 0, "and it is empty");
}

/* ---- images ---- */

struct image_case {
	int major, hole_bytes;
	uint16_t bytes, hole_at;
	uint8_t flags;
	bool apply;
	const char *error; /* NULL: none */
};

static const struct image_case images[] = {
	/* 13 and 14: 1 hole, 2 compressed, 4 apply */
	{ 13, -1, 8192, 0, 4, true, NULL },
	{ 14, -1, 8192, 0, 0, false, NULL },
	{ 14, -1, 1000, 40, 1 | 4, true, NULL },
	{ 14, 7000, 700, 40, 1 | 2 | 4, true, NULL },
	{ 13, -1, 700, 0, 2, false, NULL },
	{ 14, -1, 700, 0, 4, true,
	    "image without a hole says 7492 bytes at 0" },
	/* 15 and later: 1 hole, 2 apply, 4 pglz, 8 lz4, 16 zstd */
	{ 15, -1, 8192, 0, 2, true, NULL },
	{ 18, -1, 8192, 0, 0, false, NULL },
	{ 16, -1, 1000, 40, 1 | 2, true, NULL },
	{ 15, 7000, 700, 40, 1 | 2 | 4, true, NULL },
	{ 17, 7000, 700, 40, 1 | 8, false, NULL },
	{ 18, -1, 700, 0, 2 | 16, true, NULL },
	/* and never */
	{ 15, -1, 8192, 40, 1 | 2, false,
	    "image of 8192 bytes with a hole of 0 at 40" },
	{ 15, -1, 1000, 0, 1 | 2, false,
	    "image of 1000 bytes with a hole of 7192 at 0" },
	{ 15, 0, 1000, 40, 1 | 2 | 4, false,
	    "image of 1000 bytes with a hole of 0 at 40" },
	{ 15, -1, 8192, 40, 2, false,
	    "image without a hole says 0 bytes at 40" },
	{ 15, -1, 8192, 0, 2 | 8, false, "compressed image of 8192 bytes" },
	{ 15, -1, 8193, 0, 2, false, "image of 8193 bytes" },
	{ 15, -1, 1000, 0, 2, false,
	    "image without a hole says 7192 bytes at 0" },
};

static void
images_are_read_as_their_version_means(void)
{
	const struct image_case *c;
	struct walreader_record r;
	unsigned int i;

	for (i = 0; i < COUNT_OF(images); i++) {
		AUTO_BUF struct buf b = BUF_INIT;
		struct err e = ERR_INIT;
		int rc;

		c = &images[i];
		put_image(&b, c->bytes, c->hole_at, c->flags, c->hole_bytes);
		rc = decode(&r, c->major, 10, &b, &e);
		if (c->error != NULL)
			tap_str(e.text, c->error, "refused");
		else
			tap_ok(rc == 0 && r.blocks[0].has_image &&
				r.blocks[0].apply_image == c->apply &&
				r.blocks[0].block == 7 &&
				r.image_bytes == c->bytes && r.main_bytes == 4,
			    "%d: image of %u bytes, flags %02X %s", c->major,
			    c->bytes, c->flags, e.text);
	}
}

/* ---- what cannot be ---- */

static void
refuses(const struct buf *b, const char *words)
{
	struct walreader_record r;
	struct err e = ERR_INIT;

	(void)decode(&r, 15, 10, b, &e);
	tap_str(e.text, words, "refused");
}

static void
wrong_fragments_are_refused(void)
{
	AUTO_BUF struct buf b = BUF_INIT;

	buf_put_u8(&b, 0);
	buf_put_u8(&b, SAME_REL);
	buf_put_le16(&b, 0);
	buf_put_le32(&b, 9);
	refuses(&b, "first block says \"same relation\"");

	buf_clear(&b);
	buf_put_u8(&b, 2);
	buf_put_u8(&b, 0);
	buf_put_le16(&b, 0);
	put_relation(&b, 1, 1);
	buf_put_u8(&b, 2);
	buf_put_u8(&b, 0);
	buf_put_le16(&b, 0);
	put_relation(&b, 1, 2);
	refuses(&b, "block 2 follows block 2");

	buf_clear(&b);
	buf_put_u8(&b, 2);
	buf_put_u8(&b, HAS_DATA);
	buf_put_le16(&b, 0);
	put_relation(&b, 1, 1);
	refuses(&b, "block 2 has flags 20 but 0 bytes of data");

	buf_clear(&b);
	buf_put_u8(&b, 33);
	put_bytes(&b, 30);
	refuses(&b, "fragment id 33 does not exist");

	buf_clear(&b);
	buf_put_u8(&b, 255);
	buf_put_u8(&b, 3);
	put_bytes(&b, 4);
	refuses(&b, "4 bytes of data, its headers say 3");

	buf_clear(&b);
	buf_put_u8(&b, 254);
	buf_put_le32(&b, UINT32_MAX);
	put_bytes(&b, 4);
	refuses(&b, "4 bytes of data, its headers say 4294967295");
}

static void
the_last_block_id_is_32(void)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct walreader_record r;

	buf_put_u8(&b, 32);
	buf_put_u8(&b, 0);
	buf_put_le16(&b, 0);
	put_relation(&b, 1, 1);
	tap_ok(decode(&r, 15, 10, &b, NULL) == 0 && r.blocks[0].id == 32,
	    "block 32");
}

/* A header of main data that ends with the record. */
static void
cut_headers_are_refused(void)
{
	AUTO_BUF struct buf b = BUF_INIT;

	buf_put_u8(&b, 255);
	refuses(&b, "a fragment header is cut short");
	b.data[0] = 254;
	refuses(&b, "a fragment header is cut short");
	buf_put_le16(&b, 0);
	refuses(&b, "a fragment header is cut short");
	b.data[0] = 253;
	b.len = 2;
	refuses(&b, "a fragment header is cut short");
}

static void
resource_managers_exist(void)
{
	static const struct {
		int major;
		uint8_t rmid;
		bool valid;
		const char *name;
	} rmgrs[] = {
		{ 13, 0, true, "XLOG" },
		{ 13, 9, true, "Heap2" },
		{ 18, 21, true, "LogicalMessage" },
		{ 13, 22, false, "custom022" },
		{ 18, 127, false, "custom127" },
		{ 14, 128, false, "custom128" },
		{ 15, 128, true, "custom128" },
		{ 18, 255, true, "custom255" },
	};
	struct walreader_record r;
	struct buf none = BUF_INIT;
	char name[16];
	unsigned int i;

	for (i = 0; i < COUNT_OF(rmgrs); i++) {
		tap_ok((decode(&r, rmgrs[i].major, rmgrs[i].rmid, &none,
			    NULL) == 0) == rmgrs[i].valid,
		    "%d: resource manager %u", rmgrs[i].major, rmgrs[i].rmid);
		tap_str(walrecord_rmgr_name(rmgrs[i].rmid, name), rmgrs[i].name,
		    "its name");
	}
}

int
main(void)
{
	everything_is_read();
	no_shorter_record_is_read();
	images_are_read_as_their_version_means();
	wrong_fragments_are_refused();
	the_last_block_id_is_32();
	cut_headers_are_refused();
	resource_managers_exist();
	free(raw);
	return tap_done();
}
