/*
 * walpartials: the partial segments that are stored, all of them.
 */

#include <string.h>

#include "base/mem.h"
#include "repo/walarchive.h"
#include "repo/walstored.h"

struct names {
	char **list;
	size_t count;
};

/* Of one folder wal/<timeline>/<log>; key is the folder's. */
static int
add_folder(
    const struct lineage *l, const char *key, struct names *out, struct err *e)
{
	char segment[WAL_NAME_BYTES];
	char **names = NULL;
	size_t count, i;
	uint64_t end;

	if (store_list(repo_store(l->repo), key, &names, &count, e) == -1)
		return -1;
	for (i = 0; i < count; i++) {
		if (!walstored_parse_partial(names[i], segment, &end))
			continue;
		out->list = mem_rearray(
		    out->list, out->count + 2, sizeof(out->list[0]));
		out->list[out->count++] = mem_strdup(names[i]);
		out->list[out->count] = NULL;
	}
	store_names_free(names);
	return 0;
}

static int
add_timeline(const struct lineage *l, const char *timeline, struct names *out,
    struct err *e)
{
	char key[STORE_KEY_BYTES];
	char **logs = NULL;
	size_t count, i;
	int rc;

	rc = store_list(repo_store(l->repo),
	    lineage_key(l, key, "wal/%.8s", timeline), &logs, &count, e);
	for (i = 0; rc == 0 && i < count; i++)
		if (strlen(logs[i]) == 9)
			rc = add_folder(l,
			    lineage_key(
				l, key, "wal/%.8s/%.8s", timeline, logs[i]),
			    out, e);
	store_names_free(logs);
	return rc;
}

int
wal_partials(
    const struct lineage *l, char ***names, size_t *count, struct err *e)
{
	char key[STORE_KEY_BYTES];
	struct names found = { 0 };
	char **timelines = NULL;
	size_t n, i;
	int rc;

	rc = store_list(
	    repo_store(l->repo), lineage_key(l, key, "wal"), &timelines, &n, e);
	/* "00000001/": histories have another length, wal/open too. */
	for (i = 0; rc == 0 && i < n; i++)
		if (strlen(timelines[i]) == 9 && timelines[i][8] == '/')
			rc = add_timeline(l, timelines[i], &found, e);
	store_names_free(timelines);
	if (rc == -1) {
		store_names_free(found.list);
		return -1;
	}
	*names = found.list;
	*count = found.count;
	return 0;
}

int
wal_check_partial(const struct lineage *l, const char *name, struct err *e)
{
	AUTO_WALSTORED struct walstored *s = NULL;
	AUTO_FREE uint8_t *plain = NULL;
	char key[STORE_KEY_BYTES], segment[WAL_NAME_BYTES],
	    want[WALSTORED_PARTIAL_NAME_BYTES];
	const struct walfile_header *h;
	uint8_t digest[WALFILE_DIGEST_BYTES];
	uint64_t end;

	if (!walstored_parse_partial(name, segment, &end))
		return err_set(e, ERR_USAGE,
		    "\"%s\" is not a partial WAL segment's name", name);
	s = walstored_open(l,
	    lineage_key(l, key, "wal/%.8s/%.8s/%s", name, name + 8, name), e);
	if (s == NULL)
		return -1;
	h = walstored_header(s);
	plain = mem_alloc(h->plain_bytes);
	if (walstored_read(s, 0, h->plain_bytes, plain, e) == -1)
		return -1;
	walfile_digest_of(h->version, plain, h->plain_bytes, digest);
	walstored_partial_name(
	    segment, h->start_lsn + h->plain_bytes, digest, want);
	if (strcmp(want, name) != 0)
		return err_set(e, ERR_CORRUPT,
		    "partial WAL segment \"%s\" holds what should be \"%s\"",
		    name, want);
	return 0;
}
