#include "jobs/keeper_commit.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "codec/digest.h"
#include "repo/manifest.h"
#include "repo/walarchive.h"
#include "repo/walstored.h"

#define SEGMENT_LEVEL  3
#define MARK_BYTES_MAX ((size_t)1 << 20)
#define SEAL_BYTES     (sizeof("# crc32c 01234567\n") - 1)

static int
slurp(const struct lineage *l, const char *staging, size_t max, struct buf *out,
    struct err *e)
{
	return store_get(repo_store(l->repo), staging, max, out, e);
}

static int
move(const struct lineage *l, const char *staging, const char *name,
    struct err *e)
{
	char key[STORE_KEY_BYTES];

	return store_rename(
	    repo_store(l->repo), staging, lineage_key(l, key, "%s", name), e);
}

static int
commit_facts(const struct lineage *l, const char *name, const char *staging,
    struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct lineage same;

	if (slurp(l, staging, (size_t)1 << 16, &text, e) == -1 ||
	    lineage_adopt(l->repo, l->cluster, l->name, &text, &same, e) == -1)
		return -1;
	return move(l, staging, name, e);
}

static int
commit_history(const struct lineage *l, const char *name, const char *staging,
    struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	char seal[SEAL_BYTES + 1];
	const char *base = strrchr(name, '/') + 1;
	uint32_t timeline;
	size_t len;

	if (slurp(l, staging, (size_t)1 << 20, &text, e) == -1)
		return -1;
	if (text.len < SEAL_BYTES || !wal_name_is_history(base, &timeline))
		return err_set(e, ERR_CORRUPT, "\"%s\" is no history", name);
	len = text.len - SEAL_BYTES;
	(void)snprintf(
	    seal, sizeof(seal), "# crc32c %08x\n", crc32c(0, text.data, len));
	if (memcmp(text.data + len, seal, SEAL_BYTES) != 0)
		return err_set(
		    e, ERR_CORRUPT, "\"%s\" does not match its checksum", name);
	return wal_store_history(l, timeline, text.data, len, e);
}

/* The plain bytes of a stored segment or partial in staging; the caller frees. */
static uint8_t *
plain_of(
    const struct lineage *l, const char *staging, uint32_t *len, struct err *e)
{
	AUTO_WALSTORED struct walstored *s = walstored_open(l, staging, e);
	AUTO_FREE uint8_t *plain = NULL;

	if (s == NULL)
		return NULL;
	*len = walstored_header(s)->plain_bytes;
	plain = mem_alloc(*len);
	if (walstored_read(s, 0, *len, plain, e) == -1)
		return NULL;
	return steal_ptr(&plain);
}

/* As if it had been received here: checked, and stored by us. */
static int
commit_segment(const struct lineage *l, const char *name, const char *staging,
    bool partial, struct err *e)
{
	const char *base = strrchr(name, '/') + 1;
	AUTO_FREE uint8_t *plain = NULL;
	char segment[WAL_NAME_BYTES];
	uint32_t len;
	bool existed;

	plain = plain_of(l, staging, &len, e);
	if (plain == NULL)
		return -1;
	(void)snprintf(segment, sizeof(segment), "%.24s", base);
	return partial ? wal_store_partial(l, segment, plain, len, e)
		       : wal_store_segment(l, segment, plain, len,
			     SEGMENT_LEVEL, &existed, e);
}

/* ---- backups ---- */

static int
check_packs(const struct lineage *l, const struct root *r, struct err *e)
{
	struct store_info info;
	char key[STORE_KEY_BYTES];
	size_t i;

	for (i = 0; i < r->pack_count; i++) {
		const struct root_pack *p = &r->packs[i];

		if (store_stat(repo_store(l->repo), pack_key(l, p->id, key),
			&info, e) == -1)
			return -1;
		if (!info.exists)
			return err_set(e, ERR_TRANSIENT,
			    "backup \"%s\" needs pack \"%s\"", r->id, p->id);
		if (info.bytes != p->bytes)
			return err_set(e, ERR_CORRUPT,
			    "backup \"%s\" needs pack \"%s\" of %llu bytes, it "
			    "has %llu",
			    r->id, p->id, (unsigned long long)p->bytes,
			    (unsigned long long)info.bytes);
	}
	return 0;
}

static int
check_wal(const struct lineage *l, const struct root *r, struct err *e)
{
	struct timeline_history h = { 0 };
	char at[LSN_TEXT_BYTES];
	uint64_t missing;
	int rc;

	if (wal_read_history(l, r->stop_timeline, &h, NULL, e) == -1) {
		if (e->kind == ERR_NOT_FOUND)
			e->kind = ERR_TRANSIENT;
		return -1;
	}
	rc = wal_covered(l, &h, r->start_lsn, r->stop_lsn, &missing, e);
	timeline_history_free(&h);
	if (rc == 0 && missing < r->stop_lsn)
		return err_set(e, ERR_TRANSIENT,
		    "backup \"%s\" needs WAL from %s on", r->id,
		    lsn_text(missing, at));
	return rc;
}

static int
commit_backup(const struct lineage *l, const char *name, const char *staging,
    struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_ROOT struct root r;

	root_init(&r);
	if (slurp(l, staging, ROOT_BYTES_MAX, &text, e) == -1 ||
	    lineage_check_signature(l, &text, name, e) == -1 ||
	    root_decode(&r, text.data, text.len, e) == -1)
		return -1;
	if (strcmp(r.id, name + strlen("backups/")) != 0 ||
	    strcmp(r.lineage, l->name) != 0 ||
	    strcmp(r.cluster, l->cluster) != 0)
		return err_set(e, ERR_CORRUPT,
		    "\"%s\" is backup \"%s\" of another name", name, r.id);
	if (check_packs(l, &r, e) == -1 || check_wal(l, &r, e) == -1)
		return -1;
	return move(l, staging, name, e);
}

/* Reports of drills and what was said of them: signed, as backups are. */
static int
commit_mark(const struct lineage *l, const char *name, const char *staging,
    struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;

	if (slurp(l, staging, MARK_BYTES_MAX, &text, e) == -1 ||
	    lineage_check_signature(l, &text, name, e) == -1)
		return -1;
	return move(l, staging, name, e);
}

static int
commit(const struct lineage *l, enum object_kind kind, const char *name,
    const char *staging, struct err *e)
{
	switch (kind) {
	case OBJECT_FACTS:
		return commit_facts(l, name, staging, e);
	case OBJECT_HISTORY:
		return commit_history(l, name, staging, e);
	case OBJECT_SEGMENT:
	case OBJECT_PARTIAL:
		return commit_segment(
		    l, name, staging, kind == OBJECT_PARTIAL, e);
	case OBJECT_BACKUP:
		return commit_backup(l, name, staging, e);
	case OBJECT_MARK:
		return commit_mark(l, name, staging, e);
	case OBJECT_PACK:
		return move(l, staging, name, e);
	case OBJECT_NONE:
		break;
	}
	return err_set(e, ERR_REFUSED, "\"%s\" is no object to keep", name);
}

int
keeper_commit(const struct lineage *l, enum object_kind kind, const char *name,
    const char *staging, struct err *e)
{
	if (commit(l, kind, name, staging, e) == 0)
		return 0;
	return err_ctx(e, "from the other site");
}
