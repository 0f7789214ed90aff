/*
 * receive_recover: what an earlier receiver left in wal/open.
 *
 * Open segments of a timeline follow each other.  All but the last were full,
 * and so may be the last: they are stored.  A full one is right when the
 * record that crosses its end goes on in the next; the last one waits until
 * the server has sent that again.  One that begins with the broken end of a
 * record is dropped: it comes again.
 */

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "jobs/receive_int.h"
#include "repo/waltail.h"

struct left {
	const struct lineage *l;
	int level;
	char **names;
	size_t count;
	uint8_t *data, *next; /* a segment each */
};

static int
remove_open(const struct left *f, const char *name, struct err *e)
{
	char key[STORE_KEY_BYTES];

	return store_remove(repo_store(f->l->repo),
	    lineage_key(f->l, key, WAL_OPEN_FOLDER "/%s", name), e);
}

/* 1 when the segment is stored: then what is open of it must be the same. */
static int
is_stored(const struct left *f, const char *name, struct err *e)
{
	struct err local = ERR_INIT;
	uint32_t valid;
	int found;

	if (wal_read_segment(f->l, name, f->next, &local) == -1) {
		if (local.kind == ERR_NOT_FOUND)
			return 0;
		*e = local;
		return -1;
	}
	found = wal_tail_open(f->l, name, f->data, &valid, e);
	if (found != 1)
		return found == 0 ? 1 : -1;
	if (memcmp(f->data, f->next, valid) == 0)
		return 1;
	(void)err_set(e, ERR_CONFLICT,
	    "WAL segment \"%s\" was received with other bytes than those in "
	    "the repository",
	    name);
	return err_hint(e,
	    "Two servers write the same timeline: one streams, the other uses "
	    "archive_command.  What was received is kept in wal/open.  \"pgkura "
	    "wal fork %s\" begins a new history.",
	    f->l->cluster);
}

/* Are both names open segments, the second right behind the first? */
static bool
is_next(const struct left *f, size_t i)
{
	uint32_t bytes = f->l->facts.segment_bytes, timeline, next_timeline;
	uint64_t lsn, next_lsn;

	return i + 1 < f->count &&
	    wal_name_parse(f->names[i], bytes, &timeline, &lsn) &&
	    wal_name_parse(f->names[i + 1], bytes, &next_timeline, &next_lsn) &&
	    timeline == next_timeline && next_lsn == lsn + bytes;
}

/*
 * Does the record that crosses the end of the full segment in data go on as it
 * should in what is open of the next one, as far as that is here?
 */
static bool
goes_on(const struct left *f, size_t i)
{
	uint32_t bytes = f->l->facts.segment_bytes, timeline, len;
	AUTO_WALINDEXER struct walindexer *ix = NULL;
	AUTO_WALINDEX struct walindex x = { 0 };
	uint64_t lsn;

	if (!wal_name_parse(f->names[i], bytes, &timeline, &lsn) ||
	    wal_tail_raw(f->l, f->names[i + 1], f->next, &len, NULL) != 1)
		return false;
	ix = wal_indexer_at(f->l, timeline, lsn);
	if (walindexer_feed(ix, f->data, bytes, NULL) == -1)
		return false;
	walindexer_cut(ix, &x);
	return walindexer_feed(ix, f->next, len, NULL) == 0 ||
	    walindexer_valid_end(ix) > lsn + bytes;
}

/* Forget open segments behind segment i of its timeline: they begin with a
 * broken record, so no whole one is in them. */
static int
drop_behind(const struct left *f, size_t i, struct err *e)
{
	for (; is_next(f, i); i++)
		if (remove_open(f, f->names[i + 1], e) == -1)
			return -1;
	return 0;
}

static int
store_full(const struct left *f, const char *name, struct err *e)
{
	bool existed;

	if (wal_store_segment(f->l, name, f->data, f->l->facts.segment_bytes,
		f->level, &existed, e) == -1)
		return -1;
	return remove_open(f, name, e);
}

/* Does segment i begin with the broken end of a record?  Then that is damage, as
 * the segment before was stored when its last record was seen to its end, or the
 * server said nothing more: whoever sends WAL sends all of it again. */
static bool
begins_broken(const struct left *f, size_t i)
{
	uint32_t timeline, len;
	uint64_t lsn;

	return wal_name_parse(
		   f->names[i], f->l->facts.segment_bytes, &timeline, &lsn) &&
	    wal_tail_raw(f->l, f->names[i], f->data, &len, NULL) == 1 &&
	    !wal_fits_before(f->l, timeline, lsn, f->data, len);
}

/* Forget segment i and what is behind it. */
static int
drop_broken(const struct left *f, size_t i, struct err *e)
{
	log_event(LOG_LEVEL_WARNING, "wal_open_damaged",
	    "the WAL segment that was being received begins with a broken "
	    "record; it is received again",
	    "cluster", f->l->cluster, "segment", f->names[i], NULL);
	if (remove_open(f, f->names[i], e) == -1)
		return -1;
	return drop_behind(f, i, e);
}

/* Store segment i if it is full and right. */
static int
recover_one(const struct left *f, size_t i, struct err *e)
{
	uint32_t bytes = f->l->facts.segment_bytes, len, valid = 0;
	const char *name = f->names[i];
	int stored = is_stored(f, name, e), found;

	if (stored != 0)
		return stored == 1 ? remove_open(f, name, e) : -1;
	if (begins_broken(f, i))
		return drop_broken(f, i, e);
	found = wal_tail_open(f->l, name, NULL, &valid, e);
	if (found == 1)
		found = wal_tail_raw(f->l, name, f->data, &len, e);
	if (found != 1)
		return found;
	if (len == bytes &&
	    (valid == bytes || (is_next(f, i) && goes_on(f, i))))
		return store_full(f, name, e);
	return drop_behind(f, i, e);
}

static int
each(const struct lineage *l, struct left *f,
    int (*one)(const struct left *f, size_t i, struct err *e), struct err *e)
{
	AUTO_FREE uint8_t *data = mem_alloc(l->facts.segment_bytes);
	AUTO_FREE uint8_t *next = mem_alloc(l->facts.segment_bytes);
	size_t i;
	int rc = 0;

	f->l = l;
	f->data = data;
	f->next = next;
	if (wal_tail_open_names(l, &f->names, &f->count, e) == -1)
		return -1;
	for (i = 0; rc == 0 && i < f->count; i++)
		rc = one(f, i, e);
	store_names_free(f->names);
	return rc;
}

int
receive_recover(const struct lineage *l, int level, struct err *e)
{
	struct left f = { .level = level };
	char key[STORE_KEY_BYTES];

	if (store_sweep(repo_store(l->repo),
		lineage_key(l, key, WAL_OPEN_FOLDER), e) == -1)
		return -1;
	return each(l, &f, recover_one, e);
}

/* ---- timelines that are over ---- */

static int
retire(const struct lineage *l, const char *name, uint32_t timeline,
    uint64_t lsn, struct err *e)
{
	AUTO_WAL_OPEN struct wal_open *o = NULL;
	uint64_t valid;

	o = wal_open_segment(l, timeline, lsn, &valid, e);
	if (o == NULL)
		return -1;
	if (wal_open_to_partial(o, e) == -1)
		return -1;
	log_event(LOG_LEVEL_INFO, "wal_partial",
	    "an unfinished WAL segment is kept as a partial one", "cluster",
	    l->cluster, "segment", name, NULL);
	return 0;
}

int
receive_retire_others(const struct lineage *l, uint32_t timeline, struct err *e)
{
	char **names = NULL;
	size_t count, i;
	uint32_t of;
	uint64_t lsn;
	int rc = wal_tail_open_names(l, &names, &count, e);

	for (i = 0; rc == 0 && i < count; i++)
		if (wal_name_parse(
			names[i], l->facts.segment_bytes, &of, &lsn) &&
		    of != timeline)
			rc = retire(l, names[i], of, lsn, e);
	store_names_free(names);
	return rc;
}
