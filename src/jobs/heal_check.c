#include "jobs/heal_check.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "repo/manifest.h"
#include "repo/walarchive.h"
#include "repo/walstored.h"

#define PIECE_BYTES    ((size_t)1 << 20)
#define MARK_BYTES_MAX ((size_t)1 << 20)
#define WITHDRAWN      "withdrawn/"

enum object_kind
heal_kind_of(const char *name, uint32_t segment_bytes)
{
	char as_backup[64];
	enum object_kind kind;

	if (strncmp(name, WITHDRAWN, strlen(WITHDRAWN)) == 0) {
		(void)snprintf(as_backup, sizeof(as_backup), "backups/%.40s",
		    name + strlen(WITHDRAWN));
		return object_kind_of(as_backup, segment_bytes);
	}
	kind = object_kind_of(name, segment_bytes);
	return kind == OBJECT_FACTS ? OBJECT_NONE : kind;
}

static const char *
base_of(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash == NULL ? name : slash + 1;
}

/* ---- packs ---- */

/* 1 when the root at key is sound and names the pack, else 0. */
static int
root_names(const struct lineage *l, const char *folder, const char *backup_id,
    const char *pack_id, uint8_t sha256[SHA256_BYTES])
{
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_ROOT struct root r;
	struct err e = ERR_INIT; /* damaged itself: it says nothing */
	char key[STORE_KEY_BYTES];
	size_t i;

	root_init(&r);
	(void)lineage_key(l, key, "%s/%s", folder, backup_id);
	if (store_get(repo_store(l->repo), key, ROOT_BYTES_MAX, &text, &e) ==
		-1 ||
	    lineage_check_signature(l, &text, key, &e) == -1 ||
	    root_decode(&r, text.data, text.len, &e) == -1)
		return 0;
	for (i = 0; i < r.pack_count; i++)
		if (strcmp(r.packs[i].id, pack_id) == 0) {
			(void)memcpy(sha256, r.packs[i].sha256, SHA256_BYTES);
			return 1;
		}
	return 0;
}

static int
search_folder(const struct lineage *l, const char *folder, const char *pack_id,
    uint8_t sha256[SHA256_BYTES], struct err *e)
{
	char key[STORE_KEY_BYTES];
	char **ids = NULL;
	size_t count, i;
	int found = 0;

	if (store_list(repo_store(l->repo), lineage_key(l, key, "%s", folder),
		&ids, &count, e) == -1)
		return -1;
	for (i = 0; found == 0 && i < count; i++)
		found = root_names(l, folder, ids[i], pack_id, sha256);
	store_names_free(ids);
	return found;
}

int
heal_pack_digest(const struct lineage *l, const char *pack_id,
    uint8_t sha256[SHA256_BYTES], struct err *e)
{
	static const char *const folders[] = { "backups", "withdrawn" };
	char maker[BACKUP_ID_BYTES]; /* the backup that wrote it */
	size_t i;
	int found;

	(void)snprintf(maker, sizeof(maker), "%.21s", pack_id);
	for (i = 0; i < COUNT_OF(folders); i++)
		if (root_names(l, folders[i], maker, pack_id, sha256) == 1)
			return 0;
	for (i = 0; i < COUNT_OF(folders); i++) {
		found = search_folder(l, folders[i], pack_id, sha256, e);
		if (found != 0)
			return found == 1 ? 0 : -1;
	}
	return err_set(e, ERR_NOT_FOUND,
	    "no backup that can be read here needs pack \"%s\"", pack_id);
}

/* ---- the others ---- */

static int
check_root(const struct lineage *l, const char *name, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_ROOT struct root r;
	char key[STORE_KEY_BYTES];

	root_init(&r);
	if (store_get(repo_store(l->repo), lineage_key(l, key, "%s", name),
		ROOT_BYTES_MAX, &text, e) == -1 ||
	    lineage_check_signature(l, &text, name, e) == -1 ||
	    root_decode(&r, text.data, text.len, e) == -1)
		return -1;
	if (strcmp(r.id, base_of(name)) != 0 ||
	    strcmp(r.lineage, l->name) != 0 ||
	    strcmp(r.cluster, l->cluster) != 0)
		return err_set(e, ERR_CORRUPT,
		    "\"%s\" is backup \"%s\" of another name", name, r.id);
	return 0;
}

static int
check_mark(const struct lineage *l, const char *name, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	char key[STORE_KEY_BYTES];

	if (store_get(repo_store(l->repo), lineage_key(l, key, "%s", name),
		MARK_BYTES_MAX, &text, e) == -1)
		return -1;
	return lineage_check_signature(l, &text, name, e);
}

static int
check_segment(const struct lineage *l, const char *name, struct err *e)
{
	AUTO_WALSTORED struct walstored *s = NULL;
	AUTO_FREE uint8_t *plain = NULL;
	uint8_t digest[WALFILE_DIGEST_BYTES];
	char key[STORE_KEY_BYTES];
	uint32_t len;

	s = walstored_open(l, lineage_key(l, key, "%s", name), e);
	if (s == NULL)
		return -1;
	len = walstored_header(s)->plain_bytes;
	plain = mem_alloc(len);
	if (walstored_read(s, 0, len, plain, e) == -1)
		return -1;
	walfile_digest_of(walstored_header(s)->version, plain, len, digest);
	if (memcmp(digest, walstored_trailer(s)->digest, sizeof(digest)) != 0 ||
	    len != l->facts.segment_bytes)
		return err_set(e, ERR_CORRUPT,
		    "WAL segment \"%s\" does not match its digest",
		    base_of(name));
	return 0;
}

static int
check_history(const struct lineage *l, const char *name, struct err *e)
{
	struct timeline_history h = { 0 };
	uint32_t timeline;

	if (!wal_name_is_history(base_of(name), &timeline))
		return err_set(e, ERR_BUG, "\"%s\" is no history", name);
	if (wal_read_history(l, timeline, &h, NULL, e) == -1)
		return -1;
	timeline_history_free(&h);
	return 0;
}

int
heal_check(const struct lineage *l, const char *name, const uint8_t *sha256,
    struct err *e)
{
	switch (heal_kind_of(name, l->facts.segment_bytes)) {
	case OBJECT_PACK:
		return pack_verify(l, base_of(name), false, sha256, e);
	case OBJECT_BACKUP:
		return check_root(l, name, e);
	case OBJECT_MARK:
		return check_mark(l, name, e);
	case OBJECT_SEGMENT:
		return check_segment(l, name, e);
	case OBJECT_PARTIAL:
		return wal_check_partial(l, base_of(name), e);
	case OBJECT_HISTORY:
		return check_history(l, name, e);
	case OBJECT_FACTS:
	case OBJECT_NONE:
		break;
	}
	return err_set(e, ERR_REFUSED, "\"%s\" is no object to heal", name);
}

int
heal_digest(const struct lineage *l, const char *name,
    uint8_t sha256[SHA256_BYTES], uint64_t *bytes, struct err *e)
{
	AUTO_SHA256 struct sha256 *sum = sha256_new();
	AUTO_FREE uint8_t *piece = mem_alloc(PIECE_BYTES);
	AUTO_STORE_READER struct store_reader *r = NULL;
	char key[STORE_KEY_BYTES];
	uint64_t at;

	r = store_read(repo_store(l->repo), lineage_key(l, key, "%s", name), e);
	if (r == NULL)
		return -1;
	*bytes = store_reader_bytes(r);
	for (at = 0; at < *bytes;) {
		size_t len = *bytes - at < PIECE_BYTES ? (size_t)(*bytes - at)
						       : PIECE_BYTES;

		if (store_pread(r, piece, len, at, e) == -1)
			return -1;
		sha256_update(sum, piece, len);
		at += len;
	}
	sha256_peek(sum, sha256);
	return 0;
}
