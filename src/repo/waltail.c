/*
 * waltail: reading open segments and partials.
 */

#include "repo/waltail.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "repo/walcheck.h"
#include "repo/walstored.h"

/* Error *local goes up through e, or, when nothing was found, is 0. */
static int
unless_missing(const struct err *local, struct err *e)
{
	if (local->kind == ERR_NOT_FOUND)
		return 0;
	if (e != NULL)
		*e = *local;
	return -1;
}

/* As long as it was when it was opened.  1, 0 when it is not there, -1. */
static int
read_open(const struct lineage *l, const char *name, uint8_t *data,
    uint32_t *len, struct err *e)
{
	AUTO_STORE_READER struct store_reader *r = NULL;
	char key[STORE_KEY_BYTES];
	struct err local = ERR_INIT;
	uint64_t size;

	*len = 0;
	r = store_read(repo_store(l->repo),
	    lineage_key(l, key, WAL_OPEN_FOLDER "/%.24s", name), &local);
	if (r == NULL)
		return unless_missing(&local, e);
	size = store_reader_bytes(r);
	*len = size < l->facts.segment_bytes ? (uint32_t)size
					     : l->facts.segment_bytes;
	return store_pread(r, data, *len, 0, e) == -1 ? -1 : 1;
}

/*
 * A receiver cuts off what it could not write whole, or what is to be received
 * again: a file that has become shorter under the reader is read again.
 */
int
wal_tail_raw(const struct lineage *l, const char *name, uint8_t *data,
    uint32_t *len, struct err *e)
{
	uint32_t was = UINT32_MAX;
	int found = -1;

	while (found == -1) {
		struct err local = ERR_INIT;

		found = read_open(l, name, data, len, &local);
		if (found == -1 && *len == was) {
			if (e != NULL)
				*e = local;
			return -1;
		}
		was = *len;
	}
	if (found == 1)
		(void)memset(data + *len, 0, l->facts.segment_bytes - *len);
	return found;
}

/*
 * The full open segment in data ends in a record that goes on behind it: does
 * that record end, right, in the open segments that follow?
 */
static bool
ends_behind(const struct lineage *l, uint32_t timeline, uint64_t lsn,
    const uint8_t *data)
{
	uint32_t bytes = l->facts.segment_bytes, len = bytes;
	AUTO_WALINDEXER struct walindexer *ix =
	    wal_indexer_at(l, timeline, lsn);
	AUTO_FREE uint8_t *next = mem_alloc(bytes);
	uint64_t end_lsn = lsn + bytes;
	char name[WAL_NAME_BYTES];

	if (walindexer_feed(ix, data, bytes, NULL) == -1)
		return false;
	for (lsn = end_lsn; len == bytes; lsn += bytes) {
		AUTO_WALINDEX struct walindex x = { 0 };
		int rc;

		walindexer_cut(ix, &x);
		(void)wal_name(timeline, lsn, bytes, name);
		if (wal_tail_raw(l, name, next, &len, NULL) != 1)
			return false;
		rc = walindexer_feed(ix, next, len, NULL);
		if (walindexer_valid_end(ix) > end_lsn)
			return true;
		if (rc == -1)
			return false;
	}
	return false;
}

int
wal_tail_open(const struct lineage *l, const char *name, uint8_t *out,
    uint32_t *valid_len, struct err *e)
{
	uint32_t bytes = l->facts.segment_bytes, timeline, len;
	AUTO_FREE uint8_t *own = out == NULL ? mem_alloc(bytes) : NULL;
	uint8_t *data = out == NULL ? own : out;
	uint64_t lsn;
	int found;

	if (!wal_name_parse(name, bytes, &timeline, &lsn))
		return 0;
	found = wal_tail_raw(l, name, data, &len, e);
	if (found != 1)
		return found;
	if (wal_check_prefix(l, timeline, lsn, data, len, valid_len, e) == -1)
		return err_ctx(e, "open WAL segment \"%s\"", name);
	if (len == bytes && *valid_len < bytes &&
	    ends_behind(l, timeline, lsn, data))
		*valid_len = bytes;
	(void)memset(data + *valid_len, 0, bytes - *valid_len);
	return 1;
}

int
wal_tail_open_names(
    const struct lineage *l, char ***names, size_t *count, struct err *e)
{
	char key[STORE_KEY_BYTES];
	uint32_t timeline;
	uint64_t lsn;
	size_t i, kept = 0;

	if (store_list(repo_store(l->repo),
		lineage_key(l, key, WAL_OPEN_FOLDER), names, count, e) == -1)
		return -1;
	for (i = 0; i < *count; i++) {
		if (wal_name_parse(
			(*names)[i], l->facts.segment_bytes, &timeline, &lsn))
			(*names)[kept++] = (*names)[i];
		else
			free((*names)[i]);
	}
	if (*names != NULL)
		(*names)[kept] = NULL;
	*count = kept;
	return 0;
}

/* The name of the longest partial of segment; "" when there is none. */
static int
longest_partial(const struct lineage *l, const char *segment,
    char out[WALSTORED_PARTIAL_NAME_BYTES], struct err *e)
{
	char key[STORE_KEY_BYTES], of[WAL_NAME_BYTES];
	char **names = NULL;
	size_t count, i;
	uint64_t end, best = 0;

	out[0] = '\0';
	if (store_list(repo_store(l->repo),
		lineage_key(l, key, "wal/%.8s/%.8s", segment, segment + 8),
		&names, &count, e) == -1)
		return -1;
	for (i = 0; i < count; i++) {
		if (!walstored_parse_partial(names[i], of, &end) ||
		    strncmp(of, segment, 24) != 0 || end <= best)
			continue;
		best = end;
		(void)snprintf(
		    out, WALSTORED_PARTIAL_NAME_BYTES, "%s", names[i]);
	}
	store_names_free(names);
	return 0;
}

int
wal_tail_partial(const struct lineage *l, const char *name, uint8_t *out,
    uint32_t *valid_len, struct err *e)
{
	char partial[WALSTORED_PARTIAL_NAME_BYTES], key[STORE_KEY_BYTES];
	AUTO_WALSTORED struct walstored *s = NULL;
	const struct walfile_header *h;

	if (longest_partial(l, name, partial, e) == -1)
		return -1;
	if (partial[0] == '\0')
		return 0;
	s = walstored_open(l,
	    lineage_key(l, key, "wal/%.8s/%.8s/%s", name, name + 8, partial),
	    e);
	if (s == NULL)
		return -1;
	h = walstored_header(s);
	*valid_len = h->plain_bytes;
	if (out == NULL)
		return 1;
	if (walstored_read(s, 0, h->plain_bytes, out, e) == -1)
		return -1;
	(void)memset(
	    out + h->plain_bytes, 0, h->segment_bytes - h->plain_bytes);
	return 1;
}

/* The longer of the open segment and the longest partial, 1, 0 or -1. */
static int
read_unfinished(const struct lineage *l, const char *name, uint8_t *out,
    size_t *valid_len, struct err *e)
{
	uint32_t open_len = 0, partial_len = 0;
	int open = wal_tail_open(l, name, out, &open_len, e), partial;

	if (open == -1)
		return -1;
	partial =
	    wal_tail_partial(l, name, open == 1 ? NULL : out, &partial_len, e);
	if (partial == -1)
		return -1;
	if (open == 1 && partial_len > open_len)
		partial = wal_tail_partial(l, name, out, &partial_len, e);
	*valid_len = partial_len > open_len ? partial_len : open_len;
	return partial == -1 ? -1 : open == 1 || partial == 1;
}

int
wal_read_tail(const struct lineage *l, const char *name, uint8_t *out,
    size_t *valid_len, struct err *e)
{
	struct err local = ERR_INIT;
	int round, found = 0;

	/* Between two looks the open segment may have become a whole one, or
	 * those behind it, in which its last record ends. */
	for (round = 0; round < 2; round++) {
		if (wal_read_segment(l, name, out, &local) == 0) {
			*valid_len = l->facts.segment_bytes;
			return 0;
		}
		if (local.kind != ERR_NOT_FOUND) {
			if (e != NULL)
				*e = local;
			return -1;
		}
		if (found == 1)
			return 0;
		found = read_unfinished(l, name, out, valid_len, e);
		if (found == -1)
			return -1;
		if (*valid_len == l->facts.segment_bytes)
			return 0;
	}
	if (found == 1)
		return 0;
	return err_set(e, ERR_NOT_FOUND,
	    "WAL segment \"%.64s\" of cluster \"%s\" is not in the repository",
	    name, l->cluster);
}
