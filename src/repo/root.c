/*
 * root: what backups/<id> says, as JSON and back.
 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "pg/lsn.h"
#include "repo/manifest.h"

#define ROOT_FORMAT   1
#define ROOT_TEXT_MAX ((size_t)16 << 20)

void
root_init(struct root *r)
{
	(void)memset(r, 0, sizeof(*r));
}

void
root_free(struct root *r)
{
	size_t i, pos = 0;
	const char *key;
	void *value;

	for (i = 0; i < r->tablespace_count; i++)
		free(r->tablespaces[i].path);
	for (i = 0; i < r->damage_count; i++) {
		free(r->damage[i].path);
		free(r->damage[i].reason);
	}
	while (
	    r->settings != NULL && strmap_next(r->settings, &pos, &key, &value))
		free(value);
	strmap_free(r->settings);
	free(r->ranges);
	free(r->tablespaces);
	free(r->damage);
	free(r->packs);
	free(r->leaves);
	buf_free(&r->backup_label);
	buf_free(&r->tablespace_map);
	root_init(r);
}

/* ---- writing ---- */

static void
set_lsn(json_t *o, const char *key, uint64_t lsn)
{
	char text[LSN_TEXT_BYTES];

	json_set_str(o, key, lsn_text(lsn, text));
}

static void
encode_ranges(const struct root *r, json_t *j)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < r->range_count; i++) {
		json_t *o = json_object();

		json_set_u64(o, "timeline", r->ranges[i].timeline);
		set_lsn(o, "start", r->ranges[i].start_lsn);
		set_lsn(o, "end", r->ranges[i].end_lsn);
		(void)json_array_append_new(a, o);
	}
	(void)json_object_set_new(j, "wal_ranges", a);
}

static void
encode_tablespaces(const struct root *r, json_t *j)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < r->tablespace_count; i++) {
		json_t *o = json_object();

		json_set_u64(o, "oid", r->tablespaces[i].oid);
		json_set_hex(o, "path_hex",
		    (const uint8_t *)r->tablespaces[i].path,
		    strlen(r->tablespaces[i].path));
		(void)json_array_append_new(a, o);
	}
	(void)json_object_set_new(j, "tablespaces", a);
}

static void
encode_damage(const struct root *r, json_t *j)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < r->damage_count; i++) {
		json_t *o = json_object();

		json_set_str(o, "path", r->damage[i].path);
		json_set_u64(o, "block", r->damage[i].block);
		json_set_str(o, "reason", r->damage[i].reason);
		(void)json_array_append_new(a, o);
	}
	json_set_u64(j, "damaged_pages", r->damaged_pages);
	(void)json_object_set_new(j, "damage", a);
}

static void
encode_settings(const struct root *r, json_t *j)
{
	json_t *o = json_object();
	size_t pos = 0;
	const char *key;
	void *value;

	while (
	    r->settings != NULL && strmap_next(r->settings, &pos, &key, &value))
		json_set_str(o, key, value);
	(void)json_object_set_new(j, "settings", o);
}

static void
encode_packs(const struct root *r, json_t *j)
{
	json_t *packs = json_array(), *leaves = json_array();
	size_t i;

	for (i = 0; i < r->pack_count; i++) {
		const struct root_pack *p = &r->packs[i];
		json_t *o = json_object();

		json_set_str(o, "id", p->id);
		json_set_u64(o, "bytes", p->bytes);
		json_set_u64(o, "blocks", p->blocks);
		json_set_u64(o, "live", p->live);
		json_set_hex(o, "sha256", p->sha256, SHA256_BYTES);
		(void)json_array_append_new(packs, o);
	}
	for (i = 0; i < r->leaf_count; i++)
		(void)json_array_append_new(leaves,
		    json_pack("[iii]", (int)r->leaves[i].pack,
			(int)r->leaves[i].frame, (int)r->leaves[i].entries));
	(void)json_object_set_new(j, "packs", packs);
	(void)json_object_set_new(j, "leaves", leaves);
}

static void
encode_facts(const struct root *r, json_t *j)
{
	json_set_u64(j, "system_id", r->facts.system_id);
	json_set_u64(j, "major", (uint64_t)r->facts.major);
	json_set_u64(j, "version_num", (uint64_t)r->facts.version_num);
	json_set_u64(j, "segment_bytes", r->facts.segment_bytes);
	json_set_u64(j, "block_bytes", r->facts.block_bytes);
	(void)json_object_set_new(
	    j, "checksums", json_boolean(r->facts.checksums));
	json_set_u64(j, "catalog_version", r->catalog_version);
	(void)json_object_set_new(
	    j, "from_standby", json_boolean(r->from_standby));
}

void
root_encode(const struct root *r, struct buf *out)
{
	AUTO_JSON json_t *j = json_object();

	json_set_u64(j, "format", ROOT_FORMAT);
	json_set_str(j, "backup", r->id);
	json_set_str(j, "cluster", r->cluster);
	json_set_str(j, "lineage", r->lineage);
	json_set_str(j, "parent", r->parent);
	encode_facts(r, j);
	(void)json_object_set_new(j, "started_us", json_integer(r->started_us));
	(void)json_object_set_new(
	    j, "finished_us", json_integer(r->finished_us));
	(void)json_object_set_new(
	    j, "consistent_us", json_integer(r->consistent_us));
	set_lsn(j, "start_lsn", r->start_lsn);
	json_set_u64(j, "start_timeline", r->start_timeline);
	set_lsn(j, "stop_lsn", r->stop_lsn);
	json_set_u64(j, "stop_timeline", r->stop_timeline);
	encode_ranges(r, j);
	json_set_u64(j, "manifest_version", (uint64_t)r->manifest_version);
	json_set_u64(j, "files", r->files);
	json_set_u64(j, "bytes", r->bytes);
	json_set_u64(j, "new_blocks", r->new_blocks);
	json_set_u64(j, "new_bytes", r->new_bytes);
	json_set_u64(j, "stored_bytes", r->stored_bytes);
	json_set_hex(
	    j, "backup_label_hex", r->backup_label.data, r->backup_label.len);
	json_set_hex(j, "tablespace_map_hex", r->tablespace_map.data,
	    r->tablespace_map.len);
	encode_tablespaces(r, j);
	encode_damage(r, j);
	encode_settings(r, j);
	encode_packs(r, j);
	json_write(j, out);
}

/* ---- reading ---- */

static int
need_lsn(const json_t *o, const char *key, uint64_t *lsn, struct err *e)
{
	const char *text;

	if (json_need_str(o, key, &text, e) == -1)
		return -1;
	if (lsn_parse(text, lsn, NULL) == -1)
		return err_set(e, ERR_CORRUPT, "\"%s\" is not an LSN", key);
	return 0;
}

static int
need_hex_buf(const json_t *o, const char *key, struct buf *out, struct err *e)
{
	const char *text;
	size_t len;

	if (json_need_str(o, key, &text, e) == -1)
		return -1;
	len = strlen(text) / 2;
	if (len > ROOT_TEXT_MAX)
		return err_set(e, ERR_CORRUPT, "\"%s\" is too long", key);
	if (json_need_hex(o, key, buf_reserve(out, len + 1), len, e) == -1)
		return -1;
	out->len += len;
	return 0;
}

static int
decode_facts(struct root *r, const json_t *j, struct err *e)
{
	uint32_t major, version;

	if (json_need_u64(j, "system_id", &r->facts.system_id, e) == -1 ||
	    json_need_u32(j, "major", &major, e) == -1 ||
	    json_need_u32(j, "version_num", &version, e) == -1 ||
	    json_need_u32(j, "segment_bytes", &r->facts.segment_bytes, e) ==
		-1 ||
	    json_need_u32(j, "block_bytes", &r->facts.block_bytes, e) == -1 ||
	    json_need_bool(j, "checksums", &r->facts.checksums, e) == -1 ||
	    json_need_u32(j, "catalog_version", &r->catalog_version, e) == -1 ||
	    json_need_bool(j, "from_standby", &r->from_standby, e) == -1)
		return -1;
	r->facts.major = (int)(major & 0xffff);
	r->facts.version_num = (int)(version & 0xffffff);
	if (!wal_segment_bytes_valid(r->facts.segment_bytes) ||
	    r->facts.block_bytes != PACK_BLOCK_BYTES)
		return err_set(e, ERR_CORRUPT, "sizes make no sense");
	return 0;
}

static int
decode_ranges(struct root *r, const json_t *j, struct err *e)
{
	const json_t *a;
	size_t i;

	if (json_need_array(j, "wal_ranges", &a, e) == -1)
		return -1;
	r->range_count = json_array_size(a);
	r->ranges = mem_zarray(r->range_count, sizeof(r->ranges[0]));
	for (i = 0; i < r->range_count; i++) {
		const json_t *o = json_array_get(a, i);

		if (json_need_u32(o, "timeline", &r->ranges[i].timeline, e) ==
			-1 ||
		    need_lsn(o, "start", &r->ranges[i].start_lsn, e) == -1 ||
		    need_lsn(o, "end", &r->ranges[i].end_lsn, e) == -1)
			return -1;
	}
	return 0;
}

static int
decode_tablespaces(struct root *r, const json_t *j, struct err *e)
{
	const json_t *a;
	size_t i;

	if (json_need_array(j, "tablespaces", &a, e) == -1)
		return -1;
	r->tablespaces =
	    mem_zarray(json_array_size(a), sizeof(r->tablespaces[0]));
	for (i = 0; i < json_array_size(a); i++) {
		const json_t *o = json_array_get(a, i);
		AUTO_BUF struct buf path = BUF_INIT;

		if (json_need_u32(o, "oid", &r->tablespaces[i].oid, e) == -1 ||
		    need_hex_buf(o, "path_hex", &path, e) == -1)
			return -1;
		if (memchr(path.data, '\0', path.len) != NULL)
			return err_set(e, ERR_CORRUPT,
			    "a tablespace's path has a zero byte");
		r->tablespaces[i].path = mem_strdup(buf_str(&path));
		r->tablespace_count++;
	}
	return 0;
}

static int
decode_damage(struct root *r, const json_t *j, struct err *e)
{
	const json_t *a;
	size_t i;

	if (json_need_u64(j, "damaged_pages", &r->damaged_pages, e) == -1 ||
	    json_need_array(j, "damage", &a, e) == -1)
		return -1;
	r->damage = mem_zarray(json_array_size(a), sizeof(r->damage[0]));
	for (i = 0; i < json_array_size(a); i++) {
		const json_t *o = json_array_get(a, i);
		struct root_damage *d = &r->damage[i];
		const char *path, *reason;

		if (json_need_str(o, "path", &path, e) == -1 ||
		    json_need_u32(o, "block", &d->block, e) == -1 ||
		    json_need_str(o, "reason", &reason, e) == -1)
			return -1;
		d->path = mem_strdup(path);
		d->reason = mem_strdup(reason);
		r->damage_count++;
	}
	return 0;
}

static int
decode_settings(struct root *r, const json_t *j, struct err *e)
{
	const json_t *o = json_object_get(j, "settings");
	const char *key;
	json_t *value;

	if (!json_is_object(o))
		return err_set(e, ERR_CORRUPT, "\"settings\" is missing");
	r->settings = strmap_new();
	for (void *it = json_object_iter((json_t *)(uintptr_t)o); it != NULL;
	     it = json_object_iter_next((json_t *)(uintptr_t)o, it)) {
		key = json_object_iter_key(it);
		value = json_object_iter_value(it);
		if (!json_is_string(value))
			return err_set(e, ERR_CORRUPT,
			    "setting \"%s\" is not a string", key);
		(void)strmap_put(
		    r->settings, key, mem_strdup(json_string_value(value)));
	}
	return 0;
}

static int
decode_pack(struct root_pack *p, const json_t *o, struct err *e)
{
	if (json_need_text(o, "id", p->id, sizeof(p->id), e) == -1 ||
	    json_need_u64(o, "bytes", &p->bytes, e) == -1 ||
	    json_need_u64(o, "blocks", &p->blocks, e) == -1 ||
	    json_need_u64(o, "live", &p->live, e) == -1)
		return -1;
	return json_need_hex(o, "sha256", p->sha256, SHA256_BYTES, e);
}

static int
decode_packs(struct root *r, const json_t *j, struct err *e)
{
	const json_t *packs, *leaves;
	size_t i;

	if (json_need_array(j, "packs", &packs, e) == -1 ||
	    json_need_array(j, "leaves", &leaves, e) == -1)
		return -1;
	r->pack_count = json_array_size(packs);
	r->packs = mem_zarray(r->pack_count, sizeof(r->packs[0]));
	for (i = 0; i < r->pack_count; i++)
		if (decode_pack(&r->packs[i], json_array_get(packs, i), e) ==
		    -1)
			return -1;
	r->leaf_count = json_array_size(leaves);
	r->leaves = mem_zarray(r->leaf_count, sizeof(r->leaves[0]));
	for (i = 0; i < r->leaf_count; i++) {
		const json_t *a = json_array_get(leaves, i);
		json_int_t pack = json_integer_value(json_array_get(a, 0)),
			   frame = json_integer_value(json_array_get(a, 1)),
			   n = json_integer_value(json_array_get(a, 2));

		if (json_array_size(a) != 3 || pack < 0 ||
		    (uint64_t)pack >= r->pack_count || frame < 0 ||
		    frame >= (json_int_t)PACK_FRAMES_MAX || n < 0 ||
		    n > LEAF_ENTRIES_MAX)
			return err_set(
			    e, ERR_CORRUPT, "leaf %zu makes no sense", i);
		r->leaves[i] = (struct root_leaf){ (uint32_t)pack,
			(uint32_t)frame, (uint32_t)n };
	}
	return 0;
}

static int
decode_numbers(struct root *r, const json_t *j, struct err *e)
{
	uint32_t version;

	if (json_need_i64(j, "started_us", &r->started_us, e) == -1 ||
	    json_need_i64(j, "finished_us", &r->finished_us, e) == -1 ||
	    json_need_i64(j, "consistent_us", &r->consistent_us, e) == -1 ||
	    need_lsn(j, "start_lsn", &r->start_lsn, e) == -1 ||
	    json_need_u32(j, "start_timeline", &r->start_timeline, e) == -1 ||
	    need_lsn(j, "stop_lsn", &r->stop_lsn, e) == -1 ||
	    json_need_u32(j, "stop_timeline", &r->stop_timeline, e) == -1 ||
	    json_need_u32(j, "manifest_version", &version, e) == -1 ||
	    json_need_u64(j, "files", &r->files, e) == -1 ||
	    json_need_u64(j, "bytes", &r->bytes, e) == -1 ||
	    json_need_u64(j, "new_blocks", &r->new_blocks, e) == -1 ||
	    json_need_u64(j, "new_bytes", &r->new_bytes, e) == -1)
		return -1;
	r->manifest_version = (int)(version & 0xff);
	return json_need_u64(j, "stored_bytes", &r->stored_bytes, e);
}

int
root_decode(struct root *r, const void *text, size_t len, struct err *e)
{
	AUTO_JSON json_t *j = json_parse(text, len, "backup", e);
	uint64_t format;

	root_init(r);
	if (j == NULL || json_need_u64(j, "format", &format, e) == -1)
		return -1;
	if (format != ROOT_FORMAT)
		return err_set(e, ERR_USAGE,
		    "backup has format %llu, this pgkura knows %d",
		    (unsigned long long)format, ROOT_FORMAT);
	if (json_need_text(j, "backup", r->id, sizeof(r->id), e) == -1 ||
	    json_need_text(j, "cluster", r->cluster, sizeof(r->cluster), e) ==
		-1 ||
	    json_need_text(j, "lineage", r->lineage, sizeof(r->lineage), e) ==
		-1 ||
	    json_need_text(j, "parent", r->parent, sizeof(r->parent), e) ==
		-1 ||
	    decode_facts(r, j, e) == -1 || decode_numbers(r, j, e) == -1 ||
	    decode_ranges(r, j, e) == -1 ||
	    need_hex_buf(j, "backup_label_hex", &r->backup_label, e) == -1 ||
	    need_hex_buf(j, "tablespace_map_hex", &r->tablespace_map, e) ==
		-1 ||
	    decode_tablespaces(r, j, e) == -1 || decode_damage(r, j, e) == -1 ||
	    decode_settings(r, j, e) == -1 || decode_packs(r, j, e) == -1) {
		root_free(r);
		return -1;
	}
	return 0;
}
