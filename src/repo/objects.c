#include "repo/objects.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "pg/lsn.h"
#include "repo/manifest.h"
#include "repo/walstored.h"

static bool
is_of(const char *s, size_t len, const char *set)
{
	return strlen(s) == len && strspn(s, set) == len;
}

#define UPPER_HEX "0123456789ABCDEF"
#define LOWER_HEX "0123456789abcdef"
#define DIGITS	  "0123456789"

/* "20261121T030405Z-7f3a" and nothing else. */
static bool
is_backup_id(const char *s)
{
	size_t i;

	if (strlen(s) != BACKUP_ID_BYTES - 3)
		return false;
	for (i = 0; s[i] != '\0'; i++) {
		const char *set = i == 8 ? "T"
		    : i == 15		 ? "Z"
		    : i == 16		 ? "-"
		    : i > 16		 ? LOWER_HEX
					 : DIGITS;

		if (strchr(set, s[i]) == NULL)
			return false;
	}
	return true;
}

static bool
is_number(const char *s)
{
	size_t len = strlen(s);

	return len > 0 && len < 10 && s[0] != '0' && strspn(s, DIGITS) == len;
}

/* "packs/xx/<backup id>.NNNNN" */
static bool
is_pack(const char *rest)
{
	char id[BACKUP_ID_BYTES], key[STORE_KEY_BYTES];
	struct lineage nowhere = { 0 };
	const char *name;

	if (strlen(rest) != 3 + 27 || rest[2] != '/')
		return false;
	name = rest + 3;
	(void)snprintf(id, sizeof(id), "%.21s", name);
	if (!is_backup_id(id) || name[21] != '.' ||
	    !is_of(name + 22, 5, DIGITS))
		return false;
	(void)pack_key(&nowhere, name, key);
	return strcmp(key + strlen("//packs/"), rest) == 0;
}

/* "TTTTTTTT/LLLLLLLL/<segment or partial>" or "TTTTTTTT.history" */
static enum object_kind
wal_kind(const char *rest, uint32_t segment_bytes)
{
	char segment[WAL_NAME_BYTES], folder[32];
	enum object_kind kind = OBJECT_SEGMENT;
	const char *name;
	uint32_t timeline;
	uint64_t lsn;

	if (wal_name_is_history(rest, &timeline))
		return timeline > 1 ? OBJECT_HISTORY : OBJECT_NONE;
	if (strlen(rest) < 18 || rest[8] != '/' || rest[17] != '/')
		return OBJECT_NONE;
	name = rest + 18;
	if (walstored_parse_partial(name, segment, &lsn))
		kind = OBJECT_PARTIAL;
	else
		(void)snprintf(segment, sizeof(segment), "%.24s", name);
	if ((kind == OBJECT_SEGMENT && strcmp(segment, name) != 0) ||
	    !wal_name_parse(segment, segment_bytes, &timeline, &lsn))
		return OBJECT_NONE;
	(void)snprintf(
	    folder, sizeof(folder), "%.8s/%.8s/", segment, segment + 8);
	return strncmp(folder, rest, 18) == 0 ? kind : OBJECT_NONE;
}

enum object_kind
object_kind_of(const char *name, uint32_t segment_bytes)
{
	if (strlen(name) > 200)
		return OBJECT_NONE;
	if (strncmp(name, "cluster/", 8) == 0)
		return is_number(name + 8) ? OBJECT_FACTS : OBJECT_NONE;
	if (strncmp(name, "backups/", 8) == 0)
		return is_backup_id(name + 8) ? OBJECT_BACKUP : OBJECT_NONE;
	if (strncmp(name, "packs/", 6) == 0)
		return is_pack(name + 6) ? OBJECT_PACK : OBJECT_NONE;
	if (strncmp(name, "wal/", 4) == 0)
		return wal_kind(name + 4, segment_bytes);
	if (strncmp(name, "marks/", 6) == 0) {
		char id[BACKUP_ID_BYTES];

		(void)snprintf(id, sizeof(id), "%.21s", name + 6);
		return is_backup_id(id) && name[27] == '/' &&
			is_number(name + 28)
		    ? OBJECT_MARK
		    : OBJECT_NONE;
	}
	return OBJECT_NONE;
}

static const struct {
	const char *prefix;
	unsigned int depth; /* of folders below it */
} places[] = {
	[OBJECT_FACTS] = { "cluster", 0 },
	[OBJECT_HISTORY] = { "wal", 0 },
	[OBJECT_SEGMENT] = { "wal", 2 },
	[OBJECT_PARTIAL] = { "wal", 2 },
	[OBJECT_PACK] = { "packs", 1 },
	[OBJECT_BACKUP] = { "backups", 0 },
	[OBJECT_MARK] = { "marks", 1 },
};

static int
walk(const struct lineage *l, const char *prefix, unsigned int depth,
    enum object_kind kind, object_fn *fn, void *arg, struct err *e)
{
	char key[STORE_KEY_BYTES], name[STORE_KEY_BYTES];
	char **names = NULL;
	size_t count, i, len;
	int rc;

	if (store_list(repo_store(l->repo), lineage_key(l, key, "%s", prefix),
		&names, &count, e) == -1)
		return -1;
	for (i = 0, rc = 0; rc == 0 && i < count; i++) {
		len = strlen(names[i]);
		if (len == 0 || len + strlen(prefix) + 2 > sizeof(name) ||
		    (names[i][len - 1] == '/') != (depth > 0))
			continue;
		if (depth > 0)
			names[i][len - 1] = '\0';
		(void)snprintf(
		    name, sizeof(name), "%.200s/%.200s", prefix, names[i]);
		if (depth > 0)
			rc = walk(l, name, depth - 1, kind, fn, arg, e);
		else if (object_kind_of(name, l->facts.segment_bytes) == kind)
			rc = fn(arg, name, e);
	}
	store_names_free(names);
	return rc;
}

int
objects_each(const struct lineage *l, enum object_kind kind, object_fn *fn,
    void *arg, struct err *e)
{
	return walk(
	    l, places[kind].prefix, places[kind].depth, kind, fn, arg, e);
}
