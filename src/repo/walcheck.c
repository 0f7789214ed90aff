/*
 * walcheck: WAL bytes against the rules and against what is in front of them.
 */

#include "repo/walcheck.h"

#include <string.h>

#include "repo/walstored.h"

/* A record that began more than so many segments earlier is not looked for. */
#define SEED_SEGMENTS_MAX 4

/* ---- what is in front ---- */

int
wal_timeline_before(const struct lineage *l, uint32_t timeline, uint64_t lsn,
    uint32_t *out, struct err *e)
{
	struct timeline_history h = { 0 };
	struct err local = ERR_INIT;

	*out = 0;
	if (wal_read_history(l, timeline, &h, NULL, &local) == -1) {
		if (local.kind == ERR_NOT_FOUND)
			return 0;
		if (e != NULL)
			*e = local;
		return -1;
	}
	*out = timeline_at(&h, lsn - 1);
	timeline_history_free(&h);
	return 0;
}

/*
 * *take: bytes of s from the start of the page in which its last record ends:
 * all of it when none ends there (*whole), 0 when no record can cross its end.
 */
static int
seed_bytes(const struct walstored *s, uint32_t *take, bool *whole)
{
	struct walindex x;
	uint64_t end;
	uint32_t bytes = walstored_header(s)->segment_bytes;

	*whole = false;
	*take = 0;
	if (walstored_index(s, &x, NULL) == -1)
		return -1;
	end = x.summary.last_record_end_lsn;
	if (!x.summary.has_switch) {
		*whole = end <= x.summary.start_lsn;
		*take = *whole ? bytes
			       : (uint32_t)(x.summary.end_lsn - end +
				     (end - 1) % WAL_PAGE_BYTES + 1);
	}
	walindex_free(&x);
	return 0;
}

static void
prepend(struct buf *b, const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf old = *b;

	*b = (struct buf)BUF_INIT;
	buf_put(b, data, len);
	buf_put(b, old.data, old.len);
}

/* Put what the segment before start_lsn has in front of seed.  1: there must be
 * more in front of that; 0: it is complete; -1: it cannot be had. */
static int
seed_from(const struct lineage *l, uint32_t *timeline, uint64_t start_lsn,
    struct buf *seed)
{
	uint32_t take, bytes = l->facts.segment_bytes;
	AUTO_WALSTORED struct walstored *s = NULL;
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[WAL_NAME_BYTES], key[STORE_KEY_BYTES];
	bool whole;

	if (start_lsn < bytes ||
	    wal_timeline_before(l, *timeline, start_lsn, timeline, NULL) ==
		-1 ||
	    *timeline == 0)
		return -1;
	(void)wal_name(*timeline, start_lsn - bytes, bytes, name);
	s = walstored_open(l, walstored_key(l, name, key), NULL);
	if (s == NULL)
		return -1;
	if (seed_bytes(s, &take, &whole) == -1)
		return -1;
	if (take == 0)
		return 0; /* a record begins behind it */
	if (walstored_read(
		s, bytes - take, take, buf_reserve(&plain, take), NULL) == -1)
		return -1;
	prepend(seed, plain.data, take);
	return whole ? 1 : 0;
}

void
wal_seed(const struct lineage *l, uint32_t timeline, uint64_t start_lsn,
    struct buf *seed)
{
	unsigned int i;
	int more = 1;

	for (i = 0; i < SEED_SEGMENTS_MAX && more == 1; i++) {
		more = seed_from(l, &timeline, start_lsn, seed);
		start_lsn -= l->facts.segment_bytes;
	}
	if (more != 0)
		buf_clear(seed);
}

static struct walindexer *
indexer_after(const struct lineage *l, uint32_t timeline, uint64_t start_lsn,
    const struct buf *seed, struct err *e)
{
	struct walindexer_options options = {
		.start_lsn = start_lsn,
		.segment_bytes = l->facts.segment_bytes,
		.system_id = l->facts.system_id,
		.timeline = timeline,
		.seed = seed == NULL ? NULL : seed->data,
		.seed_len = seed == NULL ? 0 : seed->len,
	};

	return walindexer_new(&options, e);
}

struct walindexer *
wal_indexer_at(const struct lineage *l, uint32_t timeline, uint64_t start_lsn)
{
	AUTO_BUF struct buf seed = BUF_INIT;
	struct walindexer *ix;

	wal_seed(l, timeline, start_lsn, &seed);
	ix = indexer_after(l, timeline, start_lsn, &seed, NULL);
	return ix != NULL ? ix
			  : indexer_after(l, timeline, start_lsn, NULL, NULL);
}

/* ---- whole segments ---- */

static int
check_with(struct walindexer *ix, const struct lineage *l, const uint8_t *data,
    struct walindex *x, struct err *e)
{
	char at[LSN_TEXT_BYTES];

	if (walindexer_feed(ix, data, l->facts.segment_bytes, e) == -1)
		return -1;
	if (walindexer_at_zeros(ix))
		return err_set(e, ERR_CORRUPT,
		    "WAL ends at %s inside the segment, without a switch",
		    lsn_text(walindexer_valid_end(ix), at));
	walindexer_cut(ix, x);
	return 0;
}

int
wal_check_segment(const struct lineage *l, uint32_t timeline,
    uint64_t start_lsn, const uint8_t *data, struct walindex *x,
    bool *fits_before, struct err *e)
{
	AUTO_BUF struct buf seed = BUF_INIT;
	AUTO_WALINDEXER struct walindexer *ix = NULL;

	*fits_before = true;
	wal_seed(l, timeline, start_lsn, &seed);
	ix = indexer_after(l, timeline, start_lsn, &seed, NULL);
	if (ix != NULL && check_with(ix, l, data, x, e) == 0)
		return 0;
	if (ix != NULL && seed.len == 0)
		return -1;
	/* Is it sound when the segment before is forgotten? */
	walindexer_free(ix);
	ix = indexer_after(l, timeline, start_lsn, NULL, NULL);
	*fits_before = false;
	return check_with(ix, l, data, x, e);
}

/* ---- prefixes ---- */

bool
wal_fits_before(const struct lineage *l, uint32_t timeline, uint64_t start_lsn,
    const uint8_t *data, uint32_t len)
{
	AUTO_BUF struct buf seed = BUF_INIT;
	AUTO_WALINDEXER struct walindexer *ix = NULL;
	struct err e = ERR_INIT;

	wal_seed(l, timeline, start_lsn, &seed);
	if (seed.len == 0)
		return true;
	ix = indexer_after(l, timeline, start_lsn, &seed, NULL);
	if (ix == NULL || !walindexer_in_record(ix))
		return true;
	return walindexer_feed(ix, data, len, &e) == 0 ||
	    e.kind == ERR_CONFLICT || walindexer_valid_end(ix) > start_lsn;
}

/* len without the zeros at the end, up to the next multiple of 8. */
static uint32_t
without_zeros(const uint8_t *data, uint32_t len)
{
	uint32_t n = len;

	while (n > 0 && data[n - 1] == 0)
		n--;
	n = (n + 7) & ~7u;
	return n < len ? n : len;
}

/* As wal_check_prefix(), by one indexer. */
static int
prefix_by(struct walindexer *ix, uint64_t start_lsn, const uint8_t *data,
    uint32_t len, uint32_t *valid_len, struct err *e)
{
	struct err local = ERR_INIT;
	uint64_t end;

	if (walindexer_feed(ix, data, len, &local) == -1 &&
	    local.kind == ERR_CONFLICT) {
		if (e != NULL)
			*e = local;
		return -1;
	}
	end = walindexer_valid_end(ix);
	if (end == LSN_NONE || end <= start_lsn)
		len = without_zeros(
		    data, (uint32_t)(walindexer_position(ix) - start_lsn));
	else if (end - start_lsn < len)
		len = (uint32_t)(end - start_lsn);
	*valid_len = len;
	return 0;
}

int
wal_check_prefix(const struct lineage *l, uint32_t timeline, uint64_t start_lsn,
    const uint8_t *data, uint32_t len, uint32_t *valid_len, struct err *e)
{
	AUTO_WALINDEXER struct walindexer *ix =
	    wal_indexer_at(l, timeline, start_lsn);
	uint32_t alone;

	if (prefix_by(ix, start_lsn, data, len, valid_len, e) == -1)
		return -1;
	if (walindexer_valid_end(ix) != LSN_NONE &&
	    walindexer_valid_end(ix) > start_lsn)
		return 0;
	/* What is in front may be what is wrong: then it does not count. */
	walindexer_free(ix);
	ix = indexer_after(l, timeline, start_lsn, NULL, NULL);
	if (prefix_by(ix, start_lsn, data, len, &alone, e) == -1)
		return -1;
	if (alone > *valid_len)
		*valid_len = alone;
	return 0;
}
