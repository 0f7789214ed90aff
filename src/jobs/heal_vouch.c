/*
 * heal_vouch: what is signed or summed here says what an object was; the table is
 * in heal_commit.h.
 */

#include <stdio.h>

#include "base/mem.h"
#include "jobs/damage.h"
#include "jobs/heal_check.h"
#include "jobs/heal_int.h"
#include "pg/label.h"
#include "repo/manifest.h"
#include "repo/walarchive.h"
#include "repo/walcheck.h"
#include "repo/walstored.h"

#define SEAL_BYTES (sizeof("# crc32c 01234567\n") - 1)

/* The name of the key in the last line of a signed text; "" when none can be
 * read. */
static void
signer_of(const struct lineage *l, const char *key, char out[32])
{
	AUTO_BUF struct buf text = BUF_INIT;
	const char *line;

	out[0] = '\0';
	if (store_get(repo_store(l->repo), key, ROOT_BYTES_MAX, &text, NULL) ==
		-1 ||
	    text.len < 2)
		return;
	text.data[text.len - 1] = '\0';
	line = memrchr(text.data, '\n', text.len - 1);
	if (line != NULL && sscanf(line, "\ned25519 %16[0-9a-f] ", out) != 1)
		out[0] = '\0';
}

static int
vouch_signed(const struct healing *h, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_ROOT struct root r;
	char key[STORE_KEY_BYTES], before[32], now[32];
	uint8_t was[SHA256_BYTES];

	root_init(&r);
	(void)lineage_key(h->l, key, "%s", h->name);
	if (store_get(heal_store_of(h), h->staging, ROOT_BYTES_MAX, &text, e) ==
		-1 ||
	    lineage_check_signature(h->l, &text, h->name, e) == -1)
		return -1;
	signer_of(h->l, key, before);
	signer_of(h->l, h->staging, now);
	if (before[0] != '\0' && strcmp(before, now) != 0)
		return err_set(e, ERR_REFUSED,
		    "\"%s\" was signed by key %s, what came by %s", h->name,
		    before, now);
	if (h->kind != OBJECT_BACKUP)
		return 0;
	/* Even who has signed it once signs no other now. */
	if (damage_root(h->list, h->l->name, h->name, was) &&
	    memcmp(was, h->sha256, SHA256_BYTES) != 0)
		return err_set(e, ERR_REFUSED,
		    "\"%s\" is not what it was when it was verified last",
		    h->name);
	if (root_decode(&r, text.data, text.len, e) == -1)
		return -1;
	if (strcmp(r.id, heal_base_of(h->name)) != 0 ||
	    strcmp(r.lineage, h->l->name) != 0 ||
	    strcmp(r.cluster, h->l->cluster) != 0)
		return err_set(e, ERR_CORRUPT,
		    "\"%s\" is backup \"%s\" of another name", h->name, r.id);
	return 0;
}

static int
vouch_pack(const struct healing *h, struct err *e)
{
	uint8_t want[SHA256_BYTES];

	if (heal_pack_digest(h->l, heal_base_of(h->name), want, e) == -1)
		return -1;
	if (memcmp(want, h->sha256, SHA256_BYTES) != 0)
		return err_set(e, ERR_CORRUPT,
		    "\"%s\" came with another digest than the backups here "
		    "say",
		    h->name);
	return 0;
}

/* Do the records of a segment go on into the one behind it, if that is here? */
static int
check_next(const struct healing *h, uint32_t timeline, uint64_t lsn,
    const uint8_t *plain, struct err *e)
{
	uint32_t bytes = h->l->facts.segment_bytes;
	AUTO_WALINDEXER struct walindexer *ix =
	    wal_indexer_at(h->l, timeline, lsn);
	AUTO_FREE uint8_t *next = mem_alloc(bytes);
	AUTO_WALINDEX struct walindex x = { 0 };
	char name[WAL_NAME_BYTES];

	(void)wal_name(timeline, lsn + bytes, bytes, name);
	if (wal_read_segment(h->l, name, next, NULL) == -1)
		return 0;
	if (ix == NULL || walindexer_feed(ix, plain, bytes, e) == -1)
		return -1;
	walindexer_cut(ix, &x);
	if (walindexer_feed(ix, next, bytes, e) == -1)
		return err_ctx(e, "it does not go on into \"%s\"", name);
	return 0;
}

/* Nothing here says what its bytes were: then they must fit what lies around. */
static int
check_around(const struct healing *h, const uint8_t *plain, struct err *e)
{
	AUTO_WALINDEX struct walindex x = { 0 };
	uint32_t timeline;
	uint64_t lsn;
	bool fits;

	if (!wal_name_parse(heal_base_of(h->name), h->l->facts.segment_bytes,
		&timeline, &lsn))
		return err_set(e, ERR_BUG, "\"%s\" is no segment", h->name);
	if (wal_check_segment(h->l, timeline, lsn, plain, &x, &fits, e) == -1)
		return -1;
	if (!fits)
		return err_set(e, ERR_CORRUPT,
		    "\"%s\" does not go on from the segment before it",
		    h->name);
	return check_next(h, timeline, lsn, plain, e);
}

/* The plain bytes of staged WAL, never more than a segment. */
static int
read_staged(const struct healing *h, uint8_t **plain,
    struct walfile_header *header, struct err *e)
{
	AUTO_WALSTORED struct walstored *s =
	    walstored_open(h->l, h->staging, e);

	if (s == NULL)
		return -1;
	*header = *walstored_header(s);
	if (header->plain_bytes > h->l->facts.segment_bytes)
		return err_set(
		    e, ERR_CORRUPT, "\"%s\" is longer than a segment", h->name);
	*plain = mem_alloc(header->plain_bytes);
	return walstored_read(s, 0, header->plain_bytes, *plain, e);
}

/*
 * A digest of WAL is no proof against somebody who forges.  What can be read of
 * the damaged object, checked piece by piece, leaves little to forge.
 */
static int
check_pieces(const struct healing *h, const uint8_t *plain, uint32_t plain_len,
    struct err *e)
{
	AUTO_WALSTORED struct walstored *s = NULL;
	AUTO_FREE uint8_t *was = NULL;
	const struct walfile_header *header;
	char key[STORE_KEY_BYTES];
	uint32_t i, at, len;

	s = walstored_open(h->l, lineage_key(h->l, key, "%s", h->name), NULL);
	if (s == NULL)
		return 0;
	header = walstored_header(s);
	if (header->plain_bytes != plain_len)
		return err_set(e, ERR_CORRUPT,
		    "\"%s\" came with another length than what was here",
		    h->name);
	was = mem_alloc(header->chunk_bytes);
	for (i = 0; i < walfile_chunks(header); i++) {
		at = i * header->chunk_bytes;
		len = walfile_chunk_plain(header, i);
		if (walstored_read(s, at, len, was, NULL) == 0 &&
		    memcmp(was, plain + at, len) != 0)
			return err_set(e, ERR_CORRUPT,
			    "\"%s\" came with other WAL than what can be read "
			    "here",
			    h->name);
	}
	return 0;
}

static int
vouch_segment(const struct healing *h, struct err *e)
{
	AUTO_FREE uint8_t *plain = NULL;
	struct err why = ERR_INIT;
	struct walfile_header staged;
	char key[STORE_KEY_BYTES];
	uint32_t len;

	if (read_staged(h, &plain, &staged, e) == -1)
		return -1;
	len = staged.plain_bytes;
	if (len != h->l->facts.segment_bytes)
		return err_set(
		    e, ERR_CORRUPT, "\"%s\" is no whole segment", h->name);
	(void)lineage_key(h->l, key, "%s", h->name);
	if (walstored_compare(h->l, key, plain, len, &why) == 1)
		return check_pieces(h, plain, len, e);
	if (why.kind == ERR_CONFLICT)
		return err_set(e, ERR_CORRUPT,
		    "\"%s\" came with other WAL than what was here", h->name);
	return check_around(h, plain, e);
}

static int
vouch_partial(const struct healing *h, struct err *e)
{
	AUTO_FREE uint8_t *plain = NULL;
	char segment[WAL_NAME_BYTES], want[WALSTORED_PARTIAL_NAME_BYTES];
	uint8_t is[WALFILE_DIGEST_BYTES];
	struct walfile_header staged;
	uint64_t end;

	if (read_staged(h, &plain, &staged, e) == -1)
		return -1;
	walfile_digest_of(staged.version, plain, staged.plain_bytes, is);
	if (walstored_parse_partial(heal_base_of(h->name), segment, &end))
		walstored_partial_name(
		    segment, staged.start_lsn + staged.plain_bytes, is, want);
	else
		want[0] = '\0';
	if (strcmp(want, heal_base_of(h->name)) != 0)
		return err_set(e, ERR_CORRUPT,
		    "\"%s\" came with what should be \"%s\"", h->name, want);
	return check_pieces(h, plain, staged.plain_bytes, e);
}

/* Where the WAL of a timeline begins here; UINT64_MAX when none of it is. */
static uint64_t
begin_of(const struct lineage *l, uint32_t timeline)
{
	AUTO_FREE struct wal_span *spans = NULL;
	struct err e = ERR_INIT;
	size_t count, i;

	if (wal_spans(l, &spans, &count, &e) == -1)
		return UINT64_MAX;
	for (i = 0; i < count; i++)
		if (spans[i].timeline == timeline)
			return spans[i].start_lsn;
	return UINT64_MAX;
}

static int
check_ancestry(const struct healing *h, const struct timeline_history *now,
    uint32_t timeline, struct err *e)
{
	const struct timeline_entry *last = &now->entries[now->count - 1];
	struct timeline_history parent = { 0 };
	uint64_t begin = begin_of(h->l, timeline);
	size_t i;
	int rc = 0;

	if (begin != UINT64_MAX &&
	    wal_segment_start(last->begin_lsn, h->l->facts.segment_bytes) >
		begin)
		return err_set(e, ERR_CORRUPT,
		    "\"%s\" says that the timeline begins behind its WAL",
		    h->name);
	if (now->count < 2 ||
	    wal_read_history(h->l, now->entries[now->count - 2].timeline,
		&parent, NULL, NULL) == -1)
		return 0; /* the parent's is not here either */
	if (parent.count != now->count - 1)
		rc = -1;
	for (i = 0; rc == 0 && i + 1 < parent.count; i++)
		if (parent.entries[i].timeline != now->entries[i].timeline ||
		    parent.entries[i].end_lsn != now->entries[i].end_lsn)
			rc = -1;
	timeline_history_free(&parent);
	if (rc == -1)
		return err_set(e, ERR_CORRUPT,
		    "\"%s\" does not go on from the history of its parent",
		    h->name);
	return 0;
}

static int
vouch_history(const struct healing *h, struct err *e)
{
	struct timeline_history now = { 0 };
	AUTO_BUF struct buf text = BUF_INIT;
	uint32_t timeline;
	int rc;

	if (store_get(
		heal_store_of(h), h->staging, (size_t)1 << 20, &text, e) == -1)
		return -1;
	if (text.len < SEAL_BYTES ||
	    !wal_name_is_history(heal_base_of(h->name), &timeline))
		return err_set(e, ERR_CORRUPT, "\"%s\" is no history", h->name);
	if (timeline_history_parse(
		&now, timeline, text.data, text.len - SEAL_BYTES, e) == -1)
		return -1;
	rc = check_ancestry(h, &now, timeline, e);
	timeline_history_free(&now);
	return rc;
}

int
heal_vouch(const struct healing *h, struct err *e)
{
	switch (h->kind) {
	case OBJECT_PACK:
		return vouch_pack(h, e);
	case OBJECT_BACKUP:
	case OBJECT_MARK:
		return vouch_signed(h, e);
	case OBJECT_SEGMENT:
		return vouch_segment(h, e);
	case OBJECT_PARTIAL:
		return vouch_partial(h, e);
	case OBJECT_HISTORY:
		return vouch_history(h, e);
	case OBJECT_FACTS:
	case OBJECT_NONE:
		break;
	}
	return err_set(e, ERR_REFUSED, "\"%s\" is no object to heal", h->name);
}
