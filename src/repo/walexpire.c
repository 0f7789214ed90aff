/*
 * walexpire: removing WAL that nothing needs any more.
 */

#include <string.h>

#include "repo/walarchive.h"
#include "repo/walstored.h"

struct expire {
	const struct lineage *l;
	bool dry_run;
	uint32_t timeline;
	uint64_t keep_lsn;
	const struct wal_expire_limits *limits;
	uint64_t pin_lsn;
	bool stays; /* one was met in this timeline, and all behind it stays */
	uint64_t segments, bytes;
};

/* End of the segment or partial name; 0 when it is of something else. */
static uint64_t
end_of(const struct expire *x, const char *name)
{
	uint32_t bytes = x->l->facts.segment_bytes, timeline;
	char segment[WAL_NAME_BYTES];
	uint64_t lsn, end;

	if (wal_name_parse(name, bytes, &timeline, &lsn))
		return timeline == x->timeline ? lsn + bytes : 0;
	if (walstored_parse_partial(name, segment, &end) &&
	    wal_name_parse(segment, bytes, &timeline, &lsn) &&
	    timeline == x->timeline)
		return end;
	return 0;
}

static int
expire_object(
    struct expire *x, const char *key, uint64_t end_lsn, struct err *e)
{
	const struct wal_expire_limits *m = x->limits;
	struct store_info info;

	if (store_stat(repo_store(x->l->repo), key, &info, e) == -1)
		return -1;
	if (!info.exists)
		return 0;
	x->stays = info.mtime_us >= m->protect_since_us ||
	    (end_lsn > x->pin_lsn && info.mtime_us >= m->pin_since_us);
	if (x->stays)
		return 0;
	if (!x->dry_run && store_remove(repo_store(x->l->repo), key, e) == -1)
		return -1;
	x->segments++;
	x->bytes += info.bytes;
	return 0;
}

/* One folder of segments; log is its name. */
static int
expire_log(struct expire *x, const char *log, struct err *e)
{
	char key[STORE_KEY_BYTES];
	char **names = NULL;
	size_t count, i;
	uint64_t end;
	int rc;

	rc = store_list(repo_store(x->l->repo),
	    lineage_key(x->l, key, "wal/%08X/%.8s", x->timeline, log), &names,
	    &count, e);
	for (i = 0; rc == 0 && !x->stays && i < count; i++) {
		end = end_of(x, names[i]);
		if (end == 0 || end > x->keep_lsn)
			continue;
		rc = expire_object(x,
		    lineage_key(x->l, key, "wal/%08X/%.8s/%s", x->timeline, log,
			names[i]),
		    end, e);
	}
	store_names_free(names);
	/* Temporary files that a killed process left here. */
	if (rc == 0 && !x->dry_run)
		rc = store_sweep(repo_store(x->l->repo),
		    lineage_key(x->l, key, "wal/%08X/%.8s", x->timeline, log),
		    e);
	return rc;
}

static int
expire_timeline(struct expire *x, struct err *e)
{
	char key[STORE_KEY_BYTES];
	char **logs = NULL;
	size_t count, i;
	int rc;

	rc = store_list(repo_store(x->l->repo),
	    lineage_key(x->l, key, "wal/%08X", x->timeline), &logs, &count, e);
	for (i = 0; rc == 0 && i < count; i++) {
		/* A folder of 4 GiB that begins behind keep_lsn stays whole. */
		if (x->stays || strtoull(logs[i], NULL, 16) > x->keep_lsn >> 32)
			break;
		rc = expire_log(x, logs[i], e);
	}
	store_names_free(logs);
	return rc;
}

int
wal_expire(const struct lineage *l, const struct wal_expire_limits *m,
    bool dry_run, uint64_t *segments, uint64_t *bytes, struct err *e)
{
	struct expire x = { .l = l, .dry_run = dry_run, .limits = m };
	char key[STORE_KEY_BYTES];
	char **names = NULL;
	size_t count, i;
	int rc;

	rc = store_list(
	    repo_store(l->repo), lineage_key(l, key, "wal"), &names, &count, e);
	for (i = 0; rc == 0 && i < count; i++) {
		if (strspn(names[i], "0123456789ABCDEF") != 8 ||
		    strcmp(names[i] + 8, "/") != 0)
			continue;
		x.timeline = (uint32_t)strtoul(names[i], NULL, 16);
		x.keep_lsn = m->keep(m->arg, x.timeline);
		x.pin_lsn =
		    m->pin == NULL ? UINT64_MAX : m->pin(m->arg, x.timeline);
		x.stays = false;
		rc = expire_timeline(&x, e);
	}
	store_names_free(names);
	*segments = x.segments;
	*bytes = x.bytes;
	return rc;
}
