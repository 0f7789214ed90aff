/*
 * leaf: up to 1,024 entries of a backup as bytes.
 *
 *	u8	1 (version)
 *	for each entry until the end
 *		u8	kind
 *		str	path (varint length, bytes)
 *		varint	mode
 *		varint	size_bytes
 *		varint	mtime_s, zigzag
 *		le32	crc32c
 *		u8	0: no map (size 0), 1: inline, 2: in a META frame
 *		1:	varint length, map bytes
 *		2:	str pack id, varint frame
 */

#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "repo/manifest.h"

#define LEAF_VERSION 1

enum map_form { MAP_NONE = 0, MAP_INLINE = 1, MAP_FRAME = 2 };

void
leaf_add(struct leaf_encoder *l, struct packset *ps, const struct entry *entry)
{
	struct buf *b = &l->bytes;

	if (l->count++ == 0)
		buf_put_u8(b, LEAF_VERSION);
	buf_put_u8(b, (uint8_t)entry->kind);
	buf_put_str(b, entry->path);
	buf_put_varint(b, entry->mode);
	buf_put_varint(b, entry->size_bytes);
	buf_put_varint(b,
	    (uint64_t)entry->mtime_s << 1 ^ (uint64_t)(entry->mtime_s >> 63));
	buf_put_le32(b, entry->crc32c);
	if (entry->size_bytes == 0) {
		buf_put_u8(b, MAP_NONE);
	} else if (entry->map != NULL) {
		buf_put_u8(b, MAP_INLINE);
		buf_put_varint(b, entry->map_len);
		buf_put(b, entry->map, entry->map_len);
	} else {
		buf_put_u8(b, MAP_FRAME);
		buf_put_str(b, packset_id(ps, entry->map_pack));
		buf_put_varint(b, entry->map_frame);
	}
}

static int
decode_map(struct cursor *c, struct packset *ps, struct entry *entry)
{
	char id[PACK_ID_BYTES];
	uint64_t v;

	switch (cursor_u8(c)) {
	case MAP_NONE:
		return entry->size_bytes == 0 ? 0 : -1;
	case MAP_INLINE:
		v = cursor_varint(c);
		if (c->failed || v > c->left || v == 0)
			return -1;
		entry->map_len = (size_t)v;
		entry->map = cursor_bytes(c, entry->map_len);
		return entry->size_bytes == 0 ? -1 : 0;
	case MAP_FRAME:
		cursor_str(c, id, sizeof(id) - 1);
		v = cursor_varint(c);
		if (c->failed || v >= PACK_FRAMES_MAX || id[0] == '\0')
			return -1;
		entry->map_pack = packset_intern(ps, id);
		entry->map_frame = (uint32_t)v;
		return entry->size_bytes == 0 ? -1 : 0;
	default:
		return -1;
	}
}

static int
decode_entry(struct cursor *c, struct packset *ps, struct entry *entry)
{
	uint64_t v;

	entry->map = NULL;
	entry->map_len = 0;
	v = cursor_u8(c);
	if (v > ENTRY_ATTACHMENT)
		return -1;
	entry->kind = (enum entry_kind)v;
	cursor_str(c, entry->path, LEAF_PATH_MAX);
	v = cursor_varint(c);
	if (c->failed || v > 07777 ||
	    (!file_path_is_safe(entry->path) &&
		!(entry->path[0] == '\0' && entry->kind == ENTRY_DIRECTORY)))
		return -1;
	entry->mode = (uint32_t)v;
	entry->size_bytes = cursor_varint(c);
	v = cursor_varint(c);
	entry->mtime_s = (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
	entry->crc32c = cursor_le32(c);
	if (c->failed ||
	    entry->size_bytes > (uint64_t)UINT32_MAX * PACK_BLOCK_BYTES)
		return -1;
	return decode_map(c, ps, entry);
}

int
leaf_decode(const uint8_t *in, size_t len, struct packset *ps, entry_fn *fn,
    void *arg, struct err *e)
{
	AUTO_FREE struct entry *entry = mem_zalloc(sizeof(*entry));
	struct cursor c;
	size_t count = 0;

	cursor_init(&c, in, len);
	if (cursor_u8(&c) != LEAF_VERSION)
		return err_set(e, ERR_CORRUPT, "leaf has another version");
	while (c.left > 0) {
		if (++count > LEAF_ENTRIES_MAX ||
		    decode_entry(&c, ps, entry) == -1)
			return err_set(e, ERR_CORRUPT,
			    "leaf is damaged at entry %zu", count);
		if (fn(arg, entry, e) == -1)
			return -1;
	}
	return 0;
}

int
entry_map(const struct entry *entry, struct packset *ps, struct filemap *map,
    struct err *e)
{
	uint32_t blocks = entry_blocks(entry->size_bytes);
	AUTO_BUF struct buf bytes = BUF_INIT;
	AUTO_ZCODEC struct zcodec *z = NULL;
	int rc;

	filemap_init(map);
	if (entry->size_bytes == 0)
		return 0;
	if (entry->map != NULL) {
		rc = filemap_decode(
		    map, ps, entry->map, entry->map_len, blocks, e);
	} else {
		z = zcodec_new();
		rc = packset_read_meta(
		    ps, entry->map_pack, entry->map_frame, z, &bytes, e);
		if (rc == 0)
			rc = filemap_decode(
			    map, ps, bytes.data, bytes.len, blocks, e);
	}
	if (rc == -1)
		return err_ctx(e, "map of \"%s\"", entry->path);
	return 0;
}

int
root_walk(const struct root *r, struct packset *ps, entry_fn *fn, void *arg,
    struct err *e)
{
	AUTO_ZCODEC struct zcodec *z = zcodec_new();
	AUTO_BUF struct buf leaf = BUF_INIT;
	size_t i;

	for (i = 0; i < r->leaf_count; i++) {
		uint32_t pack =
		    packset_intern(ps, r->packs[r->leaves[i].pack].id);

		buf_clear(&leaf);
		if (packset_read_meta(
			ps, pack, r->leaves[i].frame, z, &leaf, e) == -1 ||
		    leaf_decode(leaf.data, leaf.len, ps, fn, arg, e) == -1)
			return err_ctx(e, "backup \"%s\"", r->id);
	}
	return 0;
}
