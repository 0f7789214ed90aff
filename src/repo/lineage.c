/*
 * lineage: one history of one cluster in a repository.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/le.h"
#include "base/mem.h"
#include "repo/keyset.h"
#include "repo/repo.h"

#define FACTS_BYTES_MAX	  ((size_t)1 << 16)
#define FACTS_RECORDS_MAX 10000
#define SEGMENT_BYTES_MAX ((uint32_t)1 << 30)
#define BLOCK_BYTES_MAX	  32768u
/* Of one cluster, from another site: pg_upgrade and wal fork make one each. */
#define LINEAGES_MAX 64

bool
cluster_name_valid(const char *name)
{
	size_t i, len = strlen(name);

	if (len == 0 || len >= CLUSTER_NAME_BYTES)
		return false;
	for (i = 0; i < len; i++) {
		bool alnum = (name[i] >= 'a' && name[i] <= 'z') ||
		    (name[i] >= '0' && name[i] <= '9');

		if (!alnum && (i == 0 || strchr("_.-", name[i]) == NULL))
			return false;
	}
	return strcmp(name, "keys") != 0 && strcmp(name, "repo") != 0 &&
	    strcmp(name, "incoming") != 0;
}

const char *
lineage_key(
    const struct lineage *l, char out[STORE_KEY_BYTES], const char *fmt, ...)
{
	int n = snprintf(out, STORE_KEY_BYTES, "%s/%s/", l->cluster, l->name);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(out + n, STORE_KEY_BYTES - (size_t)n, fmt, ap);
	va_end(ap);
	return out;
}

/* Keep the folders of names (they end in "/"), without the slash. */
static void
keep_folders(char **names, size_t *count)
{
	size_t i, kept = 0, len;

	for (i = 0; i < *count; i++) {
		len = strlen(names[i]);
		if (len == 0 || names[i][len - 1] != '/') {
			free(names[i]);
			continue;
		}
		names[i][len - 1] = '\0';
		names[kept++] = names[i];
	}
	if (names != NULL)
		names[kept] = NULL;
	*count = kept;
}

int
repo_clusters(const struct repo *r, char ***names, size_t *count, struct err *e)
{
	size_t i, kept = 0;

	if (store_list(repo_store(r), "", names, count, e) == -1)
		return -1;
	keep_folders(*names, count);
	for (i = 0; i < *count; i++) {
		if (!cluster_name_valid((*names)[i])) {
			free((*names)[i]);
			continue;
		}
		(*names)[kept++] = (*names)[i];
	}
	if (*names != NULL)
		(*names)[kept] = NULL;
	*count = kept;
	return 0;
}

/* "7361234567890123456-1": its parts, or false. */
static bool
lineage_name_parse(const char *name, uint64_t *system_id, unsigned int *number)
{
	unsigned long long id;
	char check[LINEAGE_NAME_BYTES];

	if (sscanf(name, "%20llu-%9u", &id, number) != 2 || *number == 0)
		return false;
	(void)snprintf(check, sizeof(check), "%llu-%u", id, *number);
	*system_id = id;
	return strcmp(check, name) == 0;
}

int
lineage_list(const struct repo *r, const char *cluster, char ***names,
    size_t *count, struct err *e)
{
	size_t i, kept = 0;
	uint64_t id;
	unsigned int number;

	if (store_list(repo_store(r), cluster, names, count, e) == -1)
		return -1;
	keep_folders(*names, count);
	for (i = 0; i < *count; i++) {
		if (!lineage_name_parse((*names)[i], &id, &number)) {
			free((*names)[i]);
			continue;
		}
		(*names)[kept++] = (*names)[i];
	}
	if (*names != NULL)
		(*names)[kept] = NULL;
	*count = kept;
	return 0;
}

static int
facts_decode(
    struct lineage *l, const struct buf *text, const char *name, struct err *e)
{
	struct cluster_facts *f = &l->facts;
	uint8_t key[8];
	AUTO_JSON json_t *j = json_parse(text->data, text->len, name, e);
	uint64_t major, version;

	if (j == NULL ||
	    json_need_u64(j, "system_id", &f->system_id, e) == -1 ||
	    json_need_u64(j, "major", &major, e) == -1 ||
	    json_need_u64(j, "version_num", &version, e) == -1 ||
	    json_need_u32(j, "segment_bytes", &f->segment_bytes, e) == -1 ||
	    json_need_u32(j, "block_bytes", &f->block_bytes, e) == -1 ||
	    json_need_bool(j, "checksums", &f->checksums, e) == -1 ||
	    json_need_hex(j, "block_key", key, sizeof(key), e) == -1)
		return -1;
	l->block_key = be64_get(key);
	f->major = (int)major;
	f->version_num = (int)version;
	if (f->major < 13 || f->major > 99 ||
	    f->segment_bytes < ((uint32_t)1 << 20) ||
	    f->segment_bytes > SEGMENT_BYTES_MAX ||
	    (f->segment_bytes & (f->segment_bytes - 1)) != 0 ||
	    f->block_bytes == 0 || f->block_bytes > BLOCK_BYTES_MAX)
		return err_set(e, ERR_CORRUPT,
		    "%s says version %d, WAL segments of %u bytes, blocks of "
		    "%u",
		    name, f->major, f->segment_bytes, f->block_bytes);
	return 0;
}

static void
facts_encode(const struct lineage *l, struct buf *out)
{
	const struct cluster_facts *f = &l->facts;
	uint8_t key[8];
	AUTO_JSON json_t *j = json_object();
	char when[CLOCK_TEXT_BYTES];

	json_set_u64(j, "system_id", f->system_id);
	json_set_u64(j, "major", (uint64_t)f->major);
	json_set_u64(j, "version_num", (uint64_t)f->version_num);
	json_set_u64(j, "segment_bytes", f->segment_bytes);
	json_set_u64(j, "block_bytes", f->block_bytes);
	(void)json_object_set_new(j, "checksums", json_boolean(f->checksums));
	be64_put(key, l->block_key);
	json_set_hex(j, "block_key", key, sizeof(key));
	json_set_str(j, "recorded", clock_utc(clock_now_us(), when));
	json_write(j, out);
	repo_seal_text(out);
}

/* The newest cluster/N into l->facts; *number is N, 0 when there is none. */
static int
facts_read(struct lineage *l, unsigned int *number, struct err *e)
{
	char key[STORE_KEY_BYTES];
	char **names = NULL;
	size_t count, i;
	unsigned long n;
	AUTO_BUF struct buf text = BUF_INIT;

	*number = 0;
	if (store_list(repo_store(l->repo), lineage_key(l, key, "cluster"),
		&names, &count, e) == -1)
		return -1;
	for (i = 0; i < count; i++) {
		n = strtoul(names[i], NULL, 10);
		if (n > *number && n <= FACTS_RECORDS_MAX)
			*number = (unsigned int)n;
	}
	store_names_free(names);
	if (*number == 0)
		return 0;
	if (store_get(repo_store(l->repo),
		lineage_key(l, key, "cluster/%u", *number), FACTS_BYTES_MAX,
		&text, e) == -1)
		return -1;
	if (repo_check_seal(&text, key, e) == -1)
		return -1;
	return facts_decode(l, &text, key, e);
}

static int
facts_write(struct lineage *l, unsigned int number, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	char key[STORE_KEY_BYTES];

	facts_encode(l, &text);
	if (store_put(repo_store(l->repo),
		lineage_key(l, key, "cluster/%u", number), text.data, text.len,
		e) == -1) {
		if (e->kind != ERR_CONFLICT)
			return -1;
		err_clear(e); /* another process recorded the same */
	}
	return 0;
}

static void
lineage_init(struct lineage *l, const struct repo *r, const char *cluster,
    const char *name)
{
	(void)memset(l, 0, sizeof(*l));
	l->repo = r;
	l->block_key = repo_block_key(r);
	(void)snprintf(l->cluster, sizeof(l->cluster), "%s", cluster);
	(void)snprintf(l->name, sizeof(l->name), "%s", name);
}

/* Highest number of a lineage with this system identifier, 0 when none. */
static int
lineage_number(const struct repo *r, const char *cluster, uint64_t system_id,
    unsigned int *number, struct err *e)
{
	char **names = NULL;
	size_t count, i;
	uint64_t id;
	unsigned int n;

	*number = 0;
	if (lineage_list(r, cluster, &names, &count, e) == -1)
		return -1;
	for (i = 0; i < count; i++)
		if (lineage_name_parse(names[i], &id, &n) && id == system_id &&
		    n > *number)
			*number = n;
	store_names_free(names);
	return 0;
}

int
lineage_fork(
    const struct repo *r, const char *cluster, struct lineage *l, struct err *e)
{
	struct lineage old;
	char name[LINEAGE_NAME_BYTES];
	unsigned int number;

	if (lineage_open(r, cluster, NULL, &old, e) == -1 ||
	    lineage_number(r, cluster, old.facts.system_id, &number, e) == -1)
		return -1;
	(void)snprintf(name, sizeof(name), "%llu-%u",
	    (unsigned long long)old.facts.system_id, number + 1);
	lineage_init(l, r, cluster, name);
	l->facts = old.facts;
	l->block_key = old.block_key;
	return facts_write(l, 1, e);
}

int
lineage_open_for(const struct repo *r, const char *cluster,
    const struct cluster_facts *facts, struct lineage *l, struct err *e)
{
	char name[LINEAGE_NAME_BYTES];
	unsigned int number, record;

	if (!cluster_name_valid(cluster))
		return err_set(
		    e, ERR_USAGE, "\"%s\" is not a cluster's name", cluster);
	if (lineage_number(r, cluster, facts->system_id, &number, e) == -1)
		return -1;
	(void)snprintf(name, sizeof(name), "%llu-%u",
	    (unsigned long long)facts->system_id, number == 0 ? 1 : number);
	lineage_init(l, r, cluster, name);
	if (facts_read(l, &record, e) == -1)
		return -1;
	if (record != 0 &&
	    (l->facts.major != facts->major ||
		l->facts.segment_bytes != facts->segment_bytes ||
		l->facts.block_bytes != facts->block_bytes)) {
		(void)err_set(e, ERR_CONFLICT,
		    "cluster \"%s\" was PostgreSQL %d with WAL segments of %u "
		    "bytes, the server is %d with %u",
		    cluster, l->facts.major, l->facts.segment_bytes,
		    facts->major, facts->segment_bytes);
		return err_hint(e,
		    "A server with the same system identifier must keep these. "
		    "Give this server another cluster name.");
	}
	if (record != 0 && l->facts.version_num == facts->version_num &&
	    l->facts.checksums == facts->checksums)
		return 0;
	l->facts = *facts;
	return facts_write(l, record + 1, e);
}

int
lineage_facts_text(const struct lineage *l, struct buf *out, struct err *e)
{
	struct lineage again = *l;
	char key[STORE_KEY_BYTES];
	unsigned int number;

	if (facts_read(&again, &number, e) == -1)
		return -1;
	return store_get(repo_store(l->repo),
	    lineage_key(l, key, "cluster/%u", number), FACTS_BYTES_MAX, out, e);
}

int
lineage_keys(const struct lineage *l, struct keyset *out, struct err *e)
{
	char folder[STORE_KEY_BYTES];

	return keyset_read(out, repo_store(l->repo),
	    lineage_key(l, folder, "keys"), LINEAGE_KEYS_MAX, e);
}

int
lineage_add_key(const struct lineage *l,
    const uint8_t public_key[SIGN_PUBLIC_BYTES], const char *whose,
    struct err *e)
{
	AUTO_KEYSET struct keyset known = { 0 };
	char folder[STORE_KEY_BYTES];

	if (keyset_has(repo_keys(l->repo), public_key))
		return 0;
	if (lineage_keys(l, &known, e) == -1)
		return -1;
	return keyset_add(&known, repo_store(l->repo),
	    lineage_key(l, folder, "keys"), LINEAGE_KEYS_MAX, public_key, whose,
	    e);
}

/* May one more be made? */
static int
check_room(const struct repo *r, const char *cluster, struct err *e)
{
	char **names = NULL;
	size_t count;

	if (lineage_list(r, cluster, &names, &count, e) == -1)
		return -1;
	store_names_free(names);
	if (count >= LINEAGES_MAX)
		return err_set(e, ERR_REFUSED,
		    "cluster \"%s\" has %zu lineages here, and no more are "
		    "taken from another site",
		    cluster, count);
	return 0;
}

int
lineage_adopt(const struct repo *r, const char *cluster, const char *name,
    const struct buf *facts, struct lineage *l, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	char key[STORE_KEY_BYTES];
	struct lineage there;
	unsigned int number, n;
	uint64_t id;

	if (!cluster_name_valid(cluster) || !lineage_name_parse(name, &id, &n))
		return err_set(e, ERR_USAGE, "\"%.64s\" is not a %s's name",
		    name, "lineage");
	lineage_init(l, r, cluster, name);
	buf_put(&text, facts->data, facts->len);
	if (repo_check_seal(&text, "record of the cluster", e) == -1 ||
	    facts_decode(l, &text, "record of the cluster", e) == -1)
		return -1;
	if (l->facts.system_id != id)
		return err_set(e, ERR_CORRUPT,
		    "lineage \"%s\" is not of system %llu", name,
		    (unsigned long long)l->facts.system_id);
	there = *l;
	if (facts_read(&there, &number, e) == -1)
		return -1;
	if (number == 0 && check_room(r, cluster, e) == -1)
		return -1;
	if (number == 0)
		return store_put(repo_store(r),
		    lineage_key(l, key, "cluster/1"), facts->data, facts->len,
		    e);
	if (there.facts.major != l->facts.major ||
	    there.facts.segment_bytes != l->facts.segment_bytes ||
	    there.block_key != l->block_key)
		return err_set(e, ERR_CONFLICT,
		    "lineage \"%s\" of cluster \"%s\" is here with another "
		    "version, segment size or block key",
		    name, cluster);
	*l = there;
	return 0;
}

/* What makes one lineage newer than another: its newest backup's id, else the
 * time it was first recorded, in the same form; one that holds no WAL either is
 * older than all: another site may have opened it and sent nothing. */
static int
lineage_age(const struct lineage *l, char out[CLOCK_TEXT_BYTES], struct err *e)
{
	char key[STORE_KEY_BYTES];
	char **ids = NULL;
	size_t count;
	struct store_info info;

	if (store_list(repo_store(l->repo), lineage_key(l, key, "backups"),
		&ids, &count, e) == -1)
		return -1;
	out[0] = '\0';
	if (count > 0)
		(void)snprintf(out, CLOCK_TEXT_BYTES, "%s", ids[count - 1]);
	store_names_free(ids);
	if (count > 0)
		return 0;
	if (store_list(repo_store(l->repo), lineage_key(l, key, "wal"), &ids,
		&count, e) == -1)
		return -1;
	store_names_free(ids);
	if (count == 0)
		return 0;
	if (store_stat(repo_store(l->repo), lineage_key(l, key, "cluster/1"),
		&info, e) == -1)
		return -1;
	(void)clock_compact(info.mtime_us, out);
	return 0;
}

static int
lineage_newest(const struct repo *r, const char *cluster,
    char name[LINEAGE_NAME_BYTES], struct err *e)
{
	char **names = NULL;
	char age[CLOCK_TEXT_BYTES], best[CLOCK_TEXT_BYTES] = "";
	size_t count, i;
	struct lineage l;
	int rc = 0;

	name[0] = '\0';
	if (lineage_list(r, cluster, &names, &count, e) == -1)
		return -1;
	for (i = 0; rc == 0 && i < count; i++) {
		lineage_init(&l, r, cluster, names[i]);
		rc = lineage_age(&l, age, e);
		if (rc == 0 && (name[0] == '\0' || strcmp(age, best) > 0)) {
			(void)strcpy(best, age);
			(void)snprintf(
			    name, LINEAGE_NAME_BYTES, "%s", names[i]);
		}
	}
	store_names_free(names);
	return rc;
}

int
lineage_open(const struct repo *r, const char *cluster, const char *name,
    struct lineage *l, struct err *e)
{
	char newest[LINEAGE_NAME_BYTES];
	unsigned int record, number;
	uint64_t id;

	if (!cluster_name_valid(cluster) ||
	    (name != NULL && !lineage_name_parse(name, &id, &number)))
		return err_set(e, ERR_USAGE, "\"%s\" is not a %s's name",
		    name == NULL ? cluster : name,
		    name == NULL ? "cluster" : "lineage");
	if (name == NULL) {
		if (lineage_newest(r, cluster, newest, e) == -1)
			return -1;
		name = newest;
	}
	lineage_init(l, r, cluster, name);
	if (name[0] == '\0') {
		(void)err_set(e, ERR_NOT_FOUND,
		    "nothing of cluster \"%s\" is in the repository", cluster);
		return err_hint(
		    e, "Take a backup with \"pgkura backup %s\".", cluster);
	}
	if (facts_read(l, &record, e) == -1)
		return -1;
	if (record == 0)
		return err_set(e, ERR_NOT_FOUND,
		    "lineage \"%s\" of cluster \"%s\" is not in the repository",
		    name, cluster);
	return 0;
}
