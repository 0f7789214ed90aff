/*
 * walarchive: storing and reading whole segments, partials and histories.
 */

#include "repo/walarchive.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "repo/walcheck.h"
#include "repo/walstored.h"

#define PARTIAL_LEVEL 1

static int
parse_name(const struct lineage *l, const char *name, uint32_t *timeline,
    uint64_t *lsn, struct err *e)
{
	if (wal_name_parse(name, l->facts.segment_bytes, timeline, lsn))
		return 0;
	return err_set(
	    e, ERR_USAGE, "\"%.64s\" is not the name of a WAL segment", name);
}

static struct walfile_header
header_of(
    const struct lineage *l, uint32_t timeline, uint64_t lsn, uint32_t len)
{
	struct walfile_header h = {
		.version = WALFILE_VERSION,
		.timeline = timeline,
		.system_id = l->facts.system_id,
		.start_lsn = lsn,
		.segment_bytes = l->facts.segment_bytes,
		.plain_bytes = len,
		.chunk_bytes = WALFILE_CHUNK_BYTES,
	};

	return h;
}

/* ---- storing ---- */

int
wal_store_checked(struct wal_storer *w, const struct lineage *l,
    const struct walindex *x, const uint8_t *data, int level, bool *existed,
    struct err *e)
{
	const struct wal_summary *s = &x->summary;
	uint32_t bytes = l->facts.segment_bytes;
	struct walfile_header h =
	    header_of(l, s->timeline, s->start_lsn, bytes);
	char name[WAL_NAME_BYTES], key[STORE_KEY_BYTES];

	(void)wal_name(s->timeline, s->start_lsn, bytes, name);
	return wal_storer_put(
	    w, l, walstored_key(l, name, key), &h, data, level, x, existed, e);
}

void
wal_tell_border_broken(const struct lineage *l, const char *name)
{
	log_event(LOG_LEVEL_ERROR, "wal_border_broken",
	    "WAL segment is stored, but the record that crosses its start "
	    "does not check out: the segment before may be damaged",
	    "cluster", l->cluster, "segment", name, NULL);
}

int
wal_store_segment(const struct lineage *l, const char *name,
    const uint8_t *data, size_t len, int level, bool *existed, struct err *e)
{
	AUTO_WAL_STORER struct wal_storer *w = wal_storer_new();
	AUTO_WALINDEX struct walindex x = { 0 };
	uint32_t timeline;
	uint64_t lsn;
	bool fits_before;

	*existed = false;
	if (parse_name(l, name, &timeline, &lsn, e) == -1)
		return -1;
	if (len != l->facts.segment_bytes)
		return err_set(e, ERR_CORRUPT,
		    "WAL segment \"%s\" has %zu bytes, expected %u", name, len,
		    l->facts.segment_bytes);
	if (wal_check_segment(l, timeline, lsn, data, &x, &fits_before, e) ==
	    -1)
		return err_ctx(e, "WAL segment \"%s\"", name);
	if (wal_store_checked(w, l, &x, data, level, existed, e) == -1)
		return -1;
	if (!fits_before && !*existed)
		wal_tell_border_broken(l, name);
	return 0;
}

/* Index of the first len bytes of the segment, which are known to be WAL. */
static int
index_prefix(const struct lineage *l, uint32_t timeline, uint64_t lsn,
    const uint8_t *data, uint32_t len, struct walindex *x)
{
	AUTO_WALINDEXER struct walindexer *ix =
	    wal_indexer_at(l, timeline, lsn);

	/* What comes behind the last whole record may break a rule. */
	(void)walindexer_feed(ix, data, len, NULL);
	walindexer_cut(ix, x);
	x->summary.end_lsn = lsn + len;
	return 0;
}

int
wal_store_partial(const struct lineage *l, const char *segment,
    const uint8_t *data, size_t len, struct err *e)
{
	AUTO_WAL_STORER struct wal_storer *w = wal_storer_new();
	AUTO_WALINDEX struct walindex x = { 0 };
	char name[WALSTORED_PARTIAL_NAME_BYTES], key[STORE_KEY_BYTES];
	uint8_t digest[WALFILE_DIGEST_BYTES];
	struct walfile_header h;
	uint32_t timeline, valid;
	uint64_t lsn;
	bool existed;

	if (parse_name(l, segment, &timeline, &lsn, e) == -1)
		return -1;
	if (len > l->facts.segment_bytes)
		return err_set(e, ERR_CORRUPT,
		    "partial WAL segment \"%s\" has %zu bytes, at most %u are "
		    "possible",
		    segment, len, l->facts.segment_bytes);
	if (wal_check_prefix(
		l, timeline, lsn, data, (uint32_t)len, &valid, e) == -1)
		return err_ctx(e, "partial WAL segment \"%s\"", segment);
	if (valid == 0)
		return 0;
	(void)index_prefix(l, timeline, lsn, data, valid, &x);
	walfile_digest_of(WALFILE_VERSION, data, valid, digest);
	walstored_partial_name(segment, lsn + valid, digest, name);
	(void)lineage_key(
	    l, key, "wal/%.8s/%.8s/%s", segment, segment + 8, name);
	h = header_of(l, timeline, lsn, valid);
	h.flags = WALFILE_PARTIAL;
	return wal_storer_put(
	    w, l, key, &h, data, PARTIAL_LEVEL, &x, &existed, e);
}

/* ---- reading ---- */

int
wal_read_segment(
    const struct lineage *l, const char *name, uint8_t *out, struct err *e)
{
	char key[STORE_KEY_BYTES];
	AUTO_WALSTORED struct walstored *s = NULL;
	uint32_t timeline;
	uint64_t lsn;

	if (parse_name(l, name, &timeline, &lsn, e) == -1)
		return -1;
	s = walstored_open(l, walstored_key(l, name, key), e);
	if (s == NULL)
		return -1;
	return walstored_read(s, 0, l->facts.segment_bytes, out, e);
}

/* The index of a tail: it is read for it. */
static int
tail_index(const struct lineage *l, const char *name, uint32_t timeline,
    uint64_t lsn, struct walindex *x, struct err *e)
{
	AUTO_FREE uint8_t *data = mem_alloc(l->facts.segment_bytes);
	size_t valid;

	if (wal_read_tail(l, name, data, &valid, e) == -1)
		return -1;
	return index_prefix(l, timeline, lsn, data, (uint32_t)valid, x);
}

int
wal_read_index(const struct lineage *l, const char *name, struct walindex *x,
    struct err *e)
{
	char key[STORE_KEY_BYTES];
	AUTO_WALSTORED struct walstored *s = NULL;
	struct err local = ERR_INIT;
	uint32_t timeline;
	uint64_t lsn;

	if (parse_name(l, name, &timeline, &lsn, e) == -1)
		return -1;
	s = walstored_open(l, walstored_key(l, name, key), &local);
	if (s != NULL)
		return walstored_index(s, x, e);
	if (local.kind == ERR_NOT_FOUND)
		return tail_index(l, name, timeline, lsn, x, e);
	if (e != NULL)
		*e = local;
	return -1;
}

int
wal_read_summary(const struct lineage *l, const char *name,
    struct wal_summary *summary, struct err *e)
{
	AUTO_WALINDEX struct walindex x = { 0 };

	if (wal_read_index(l, name, &x, e) == -1)
		return -1;
	*summary = x.summary;
	return 0;
}
