#include "pg/walrecord.h"

#include <stdio.h>

#include "base/auto.h"
#include "base/le.h"
#include "codec/digest.h"

/* Of an id in front of a fragment. */
#define BLOCK_ID_MAX 32
#define TOPLEVEL_XID 252
#define ORIGIN	     253
#define MAIN_LONG    254
#define MAIN_SHORT   255

/* Of a block reference. */
#define FORK_MASK     0x0f
#define HAS_IMAGE     0x10
#define HAS_DATA      0x20
#define WILL_INIT     0x40
#define SAME_RELATION 0x80

/* Of an image; what the other bits mean depends on the version. */
#define IMAGE_HAS_HOLE	    0x01
#define IMAGE_COMPRESSED_13 0x02
#define IMAGE_APPLY_13	    0x04
#define IMAGE_APPLY_15	    0x02
#define IMAGE_COMPRESSED_15 0x1c /* pglz, lz4, zstd */

#define BLOCK_BYTES 8192u

/* The headers being read, and what they have promised so far. */
struct fragments {
	const uint8_t *p, *end;
	uint64_t data_bytes; /* promised to follow the headers */
	int major;
	int last_id; /* of a block; -1 before the first */
};

static size_t
left(const struct fragments *f)
{
	return (size_t)(f->end - f->p);
}

static int
cut_short(struct err *e)
{
	return err_set(e, ERR_CORRUPT, "a fragment header is cut short");
}

static bool
rmid_valid(uint8_t rmid, int major)
{
	return rmid <= WALRECORD_RMID_MAX_BUILTIN ||
	    (rmid >= WALRECORD_RMID_MIN_CUSTOM && major >= 15);
}

int
walrecord_check_length(uint32_t total_bytes, struct err *e)
{
	if (total_bytes < WALRECORD_HEADER_BYTES ||
	    total_bytes > WALREADER_RECORD_BYTES_MAX)
		return err_set(
		    e, ERR_CORRUPT, "length is %u bytes", total_bytes);
	return 0;
}

int
walrecord_decode_header(struct walreader_record *r, int major,
    const uint8_t header[WALRECORD_HEADER_BYTES], struct err *e)
{
	r->total_bytes = le32_get(header);
	r->xid = le32_get(header + 4);
	r->prev_lsn = le64_get(header + 8);
	r->info = header[16];
	r->rmid = header[17];
	if (walrecord_check_length(r->total_bytes, e) == -1)
		return -1;
	if (!rmid_valid(r->rmid, major))
		return err_set(e, ERR_CORRUPT,
		    "resource manager %u does not exist", r->rmid);
	return 0;
}

bool
walrecord_crc_valid(const uint8_t *data, uint32_t total_bytes)
{
	uint32_t crc;

	crc = crc32c(0, data + WALRECORD_HEADER_BYTES,
	    total_bytes - WALRECORD_HEADER_BYTES);
	return crc32c(crc, data, 20) == le32_get(data + 20);
}

/* The rules that tie an image's length, hole and compression together. */
static int
check_image(uint32_t bytes, uint32_t hole_at, uint32_t hole_bytes,
    bool has_hole, bool compressed, struct err *e)
{
	if (has_hole &&
	    (hole_at == 0 || hole_bytes == 0 || bytes == BLOCK_BYTES))
		return err_set(e, ERR_CORRUPT,
		    "image of %u bytes with a hole of %u at %u", bytes,
		    hole_bytes, hole_at);
	if (!has_hole && (hole_at != 0 || hole_bytes != 0))
		return err_set(e, ERR_CORRUPT,
		    "image without a hole says %u bytes at %u", hole_bytes,
		    hole_at);
	if (compressed && bytes == BLOCK_BYTES)
		return err_set(
		    e, ERR_CORRUPT, "compressed image of %u bytes", bytes);
	return 0;
}

/* u16 length, u16 hole offset, u8 flags, and u16 hole length if both. */
static int
decode_image(struct fragments *f, struct walreader_record *r,
    struct walreader_block *block, struct err *e)
{
	uint32_t bytes, hole_at, hole_bytes = 0;
	uint8_t flags;
	bool has_hole, compressed;

	if (left(f) < 5)
		return cut_short(e);
	bytes = le16_get(f->p);
	hole_at = le16_get(f->p + 2);
	flags = f->p[4];
	f->p += 5;
	has_hole = (flags & IMAGE_HAS_HOLE) != 0;
	compressed = (flags &
			 (f->major < 15 ? IMAGE_COMPRESSED_13
					: IMAGE_COMPRESSED_15)) != 0;
	if (compressed && has_hole) {
		if (left(f) < 2)
			return cut_short(e);
		hole_bytes = le16_get(f->p);
		f->p += 2;
	} else if (!compressed) {
		if (bytes > BLOCK_BYTES)
			return err_set(
			    e, ERR_CORRUPT, "image of %u bytes", bytes);
		hole_bytes = BLOCK_BYTES - bytes;
	}
	block->apply_image =
	    (flags & (f->major < 15 ? IMAGE_APPLY_13 : IMAGE_APPLY_15)) != 0;
	f->data_bytes += bytes;
	r->image_bytes += bytes;
	return check_image(bytes, hole_at, hole_bytes, has_hole, compressed, e);
}

/* The relation: three u32, or that of the block before. */
static int
decode_relation(struct fragments *f, const struct walreader_record *r,
    struct walreader_block *block, bool same, struct err *e)
{
	if (same) {
		if (r->block_count == 0)
			return err_set(e, ERR_CORRUPT,
			    "first block says \"same relation\"");
		block->tablespace = block[-1].tablespace;
		block->database = block[-1].database;
		block->relation = block[-1].relation;
	} else {
		if (left(f) < 12)
			return cut_short(e);
		block->tablespace = le32_get(f->p);
		block->database = le32_get(f->p + 4);
		block->relation = le32_get(f->p + 8);
		f->p += 12;
	}
	if (left(f) < 4)
		return cut_short(e);
	block->block = le32_get(f->p);
	f->p += 4;
	return 0;
}

/* u8 fork and flags, u16 data length, then image, relation, block number. */
static int
decode_block(
    struct fragments *f, struct walreader_record *r, int id, struct err *e)
{
	struct walreader_block *block = &r->blocks[r->block_count];
	uint32_t data_bytes;
	uint8_t flags;

	if (left(f) < 3)
		return cut_short(e);
	if (id <= f->last_id)
		return err_set(e, ERR_CORRUPT, "block %d follows block %d", id,
		    f->last_id);
	f->last_id = id;
	flags = f->p[0];
	data_bytes = le16_get(f->p + 1);
	f->p += 3;
	if (((flags & HAS_DATA) != 0) != (data_bytes > 0))
		return err_set(e, ERR_CORRUPT,
		    "block %d has flags %02X but %u bytes of data", id, flags,
		    data_bytes);
	f->data_bytes += data_bytes;
	block->id = (uint8_t)id;
	block->fork = flags & FORK_MASK;
	block->will_init = (flags & WILL_INIT) != 0;
	block->has_image = (flags & HAS_IMAGE) != 0;
	block->apply_image = false;
	if (block->has_image && decode_image(f, r, block, e) == -1)
		return -1;
	if (decode_relation(f, r, block, (flags & SAME_RELATION) != 0, e) == -1)
		return -1;
	r->block_count++;
	return 0;
}

/* Any fragment but a block's, of bytes behind its id. */
static int
decode_other(
    struct fragments *f, struct walreader_record *r, int id, struct err *e)
{
	size_t bytes;

	if (id == MAIN_SHORT)
		bytes = 1;
	else if (id == MAIN_LONG || (id == TOPLEVEL_XID && f->major >= 14))
		bytes = 4;
	else if (id == ORIGIN)
		bytes = 2;
	else
		return err_set(
		    e, ERR_CORRUPT, "fragment id %d does not exist", id);
	if (left(f) < bytes)
		return cut_short(e);
	if (id == MAIN_SHORT)
		r->main_bytes = f->p[0];
	else if (id == MAIN_LONG)
		r->main_bytes = le32_get(f->p);
	f->p += bytes;
	return 0;
}

int
walrecord_decode_body(
    struct walreader_record *r, int major, const uint8_t *data, struct err *e)
{
	struct fragments f = { data + WALRECORD_HEADER_BYTES,
		data + r->total_bytes, 0, major, -1 };
	int id = 0;

	r->block_count = 0;
	r->image_bytes = 0;
	r->main_bytes = 0;

	/* The headers end with main data, or where the data is all that is
	 * left. */
	while (id != MAIN_SHORT && id != MAIN_LONG && left(&f) > f.data_bytes) {
		id = *f.p++;
		if ((id <= BLOCK_ID_MAX ? decode_block(&f, r, id, e)
					: decode_other(&f, r, id, e)) == -1)
			return -1;
	}
	if (left(&f) != f.data_bytes + r->main_bytes)
		return err_set(e, ERR_CORRUPT,
		    "%zu bytes of data, its headers say %llu", left(&f),
		    (unsigned long long)(f.data_bytes + r->main_bytes));
	r->main_data = f.end - r->main_bytes;
	return 0;
}

const char *
walrecord_rmgr_name(uint8_t rmid, char out[16])
{
	static const char *const names[] = { "XLOG", "Transaction", "Storage",
		"CLOG", "Database", "Tablespace", "MultiXact", "RelMap",
		"Standby", "Heap2", "Heap", "Btree", "Hash", "Gin", "Gist",
		"Sequence", "SPGist", "BRIN", "CommitTs", "ReplicationOrigin",
		"Generic", "LogicalMessage" };

	if (rmid < COUNT_OF(names))
		return names[rmid];
	(void)snprintf(out, 16, "custom%03u", rmid);
	return out;
}
