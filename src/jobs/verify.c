/*
 * verify: read back and check what is stored.
 *
 *	roots: signature and sense
 *	packs: SHA-256 of all bytes, every frame decoded, every block's sums
 *	leaves and maps: every file's blocks are there and make its CRC
 *	WAL: every segment decoded and checked; no hole where a backup needs it
 *
 * What is found wrong is a finding and not an error; the work goes on.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/strmap.h"
#include "jobs/damage.h"
#include "jobs/drill_chain.h"
#include "jobs/heal_check.h"
#include "jobs/verify_int.h"
#include "repo/intake.h"
#include "repo/walarchive.h"

#define INDEX_CACHE_BYTES ((size_t)24 << 20)
#define SUMS_AT_ONCE	  4096u
#define WANTS_MAX	  DAMAGE_ITEMS_MAX

void
verify_finding(struct verify *v, const char *object, const char *fmt, ...)
{
	struct verify_result *r = v->result;
	struct verify_finding *f;
	va_list ap;

	r->findings = mem_rearray(
	    r->findings, r->finding_count + 1, sizeof(r->findings[0]));
	f = &r->findings[r->finding_count++];
	f->object = mem_strdup(object);
	va_start(ap, fmt);
	f->what = mem_vprintf(fmt, ap);
	va_end(ap);
	r->others++;
	log_event(LOG_LEVEL_ERROR, "damage_found", f->what, "cluster",
	    v->cluster->name, "object", f->object, NULL);
}

static void
free_roots(struct verify_result *r)
{
	const char *name;
	void *hex;
	size_t pos = 0;

	if (r->roots == NULL)
		return;
	while (strmap_next(r->roots, &pos, &name, &hex))
		free(hex);
	strmap_free(r->roots);
}

void
verify_result_free(struct verify_result *r)
{
	size_t i;

	for (i = 0; i < r->finding_count; i++) {
		free(r->findings[i].object);
		free(r->findings[i].what);
	}
	free(r->findings);
	for (i = 0; i < r->want_count; i++) {
		free(r->wants[i].name);
		free(r->wants[i].what);
	}
	free(r->wants);
	strmap_free(r->packs);
	free_roots(r);
	(void)memset(r, 0, sizeof(*r));
}

/* ---- what another site may have ---- */

static void
add_want(
    struct verify *v, const char *name, uint64_t bytes, const uint8_t *sha256)
{
	struct verify_result *r = v->result;
	struct verify_want *w;
	size_t i;

	for (i = 0; i < r->want_count; i++)
		if (strcmp(r->wants[i].name, name) == 0 &&
		    strcmp(r->wants[i].lineage, v->lineage.name) == 0)
			return;
	if (r->want_count >= WANTS_MAX)
		return; /* found again when these are whole */
	r->wants =
	    mem_rearray(r->wants, r->want_count + 1, sizeof(r->wants[0]));
	w = &r->wants[r->want_count++];
	(void)memset(w, 0, sizeof(*w));
	(void)snprintf(w->lineage, sizeof(w->lineage), "%s", v->lineage.name);
	w->name = mem_strdup(name);
	w->what = mem_strdup(r->findings[r->finding_count - 1].what);
	w->bytes = bytes;
	w->has_sha256 = sha256 != NULL;
	if (sha256 != NULL)
		(void)memcpy(w->sha256, sha256, SHA256_BYTES);
}

void
verify_want(
    struct verify *v, const char *name, uint64_t bytes, const uint8_t *sha256)
{
	v->result->others--;
	add_want(v, name, bytes, sha256);
}

void
verify_want_wal(
    struct verify *v, uint32_t timeline, uint64_t from_lsn, uint64_t to_lsn)
{
	uint32_t bytes = v->lineage.facts.segment_bytes;
	char name[WAL_NAME_BYTES], key[STORE_KEY_BYTES];
	struct store_info info;
	uint64_t at = wal_segment_start(from_lsn, bytes);
	size_t n;

	v->result->others--;
	for (n = 0; at < to_lsn && n < WANTS_MAX; at += bytes, n++) {
		(void)wal_name(timeline, at, bytes, name);
		(void)lineage_key(
		    &v->lineage, key, "wal/%.8s/%.8s/%s", name, name + 8, name);
		if (store_stat(repo_store(v->lineage.repo), key, &info, NULL) ==
			-1 ||
		    info.exists)
			continue;
		(void)snprintf(
		    key, sizeof(key), "wal/%.8s/%.8s/%s", name, name + 8, name);
		add_want(v, key, bytes, NULL);
	}
}

int
verify_damaged(struct verify *v, const char *object, const char *name,
    uint64_t bytes, const uint8_t *sha256, struct err *e)
{
	if (verify_finding_or_stop(v, object, e) == -1)
		return -1;
	verify_want(v, name, bytes, sha256);
	return 0;
}

int
verify_finding_or_stop(struct verify *v, const char *object, struct err *e)
{
	if (e->kind != ERR_CORRUPT && e->kind != ERR_NOT_FOUND &&
	    !(e->kind == ERR_IO && e->sys_errno == EIO))
		return -1;
	verify_finding(v, object, "%s", e->text);
	err_clear(e);
	return 0;
}

bool
verify_in_sample(struct verify *v)
{
	if (v->sample_percent == 0 || v->sample_percent >= 100)
		return true;
	v->dice = v->dice * 6364136223846793005u + 1442695040888963407u;
	return (v->dice >> 33) % 100 < v->sample_percent;
}

/* ---- packs ---- */

static int
check_pack(struct verify *v, const struct root_pack *p, struct err *e)
{
	char key[STORE_KEY_BYTES];

	if (strmap_get(v->packs_done, p->id) != NULL)
		return 0;
	(void)strmap_put(v->packs_done, p->id, (void *)1);
	if (!verify_in_sample(v))
		return 0;
	v->result->objects++;
	v->result->bytes += p->bytes;
	progress_add(v->progress, p->bytes);
	if (pack_verify(&v->lineage, p->id, true, p->sha256, e) == 0)
		return child_check_stop(e);
	(void)strmap_put(v->packs_done, p->id, (void *)2);
	(void)pack_key(&v->lineage, p->id, key);
	return verify_damaged(
	    v, key, strstr(key, "/packs/") + 1, p->bytes, p->sha256, e);
}

/* ---- entries ---- */

static int
entry_crc(
    struct verify *v, const struct entry *entry, uint32_t *crc, struct err *e)
{
	AUTO_FILEMAP struct filemap map;
	AUTO_FREE struct block_sum *sums =
	    mem_array(SUMS_AT_ONCE, sizeof(sums[0]));
	uint32_t first, n, i, blocks = entry_blocks(entry->size_bytes);
	uint64_t left;

	*crc = 0;
	if (entry_map(entry, v->ps, &map, e) == -1)
		return -1;
	for (first = 0; first < blocks; first += n) {
		n = blocks - first < SUMS_AT_ONCE ? blocks - first
						  : SUMS_AT_ONCE;
		if (filemap_sums(&map, v->ps, v->lineage.block_key,
			entry->size_bytes, first, n, sums, e) == -1)
			return -1;
		for (i = 0; i < n; i++) {
			left = entry->size_bytes -
			    (uint64_t)(first + i) * PACK_BLOCK_BYTES;
			*crc = crc32c_combine(*crc, sums[i].crc,
			    left < PACK_BLOCK_BYTES ? left : PACK_BLOCK_BYTES);
		}
	}
	return 0;
}

static int
check_entry(void *arg, const struct entry *entry, struct err *e)
{
	struct verify *v = arg;
	uint32_t crc;

	if (entry_crc(v, entry, &crc, e) == -1)
		return verify_finding_or_stop(v, entry->path, e);
	if (crc != entry->crc32c)
		verify_finding(v, entry->path,
		    "the file's blocks do not make its checksum");
	return child_check_stop(e);
}

/* ---- backups ---- */

static int
check_wal_of(
    struct verify *v, const struct root *r, const char *key, struct err *e)
{
	char lsn[LSN_TEXT_BYTES];
	size_t i;

	for (i = 0; i < r->range_count; i++) {
		struct timeline_entry entry = { r->ranges[i].timeline, 0,
			UINT64_MAX };
		struct timeline_history h = { &entry, 1 };
		uint64_t missing;

		if (wal_covered(&v->lineage, &h, r->ranges[i].start_lsn,
			r->ranges[i].end_lsn, &missing, e) == -1)
			return verify_finding_or_stop(v, key, e);
		if (missing >= r->ranges[i].end_lsn)
			continue;
		verify_finding(v, key,
		    "WAL that it needs is missing: timeline %u from %s on",
		    r->ranges[i].timeline, lsn_text(missing, lsn));
		verify_want_wal(
		    v, r->ranges[i].timeline, missing, r->ranges[i].end_lsn);
	}
	return 0;
}

static int
check_root(
    struct verify *v, const struct root *r, const char *key, struct err *e)
{
	size_t i, before = v->result->finding_count, others;
	bool follows = false;
	int rc;

	for (i = 0; i < r->pack_count; i++)
		if (check_pack(v, &r->packs[i], e) == -1)
			return -1;
	if (check_wal_of(v, r, key, e) == -1)
		return -1;
	others = v->result->others;
	v->ps = packset_new(&v->lineage, INDEX_CACHE_BYTES);
	rc = root_walk(r, v->ps, check_entry, v, e);
	packset_free(steal_ptr(&v->ps));
	if (rc == -1)
		rc = verify_finding_or_stop(v, key, e);
	for (i = 0; rc == 0 && i < r->pack_count; i++) {
		if (strmap_get(v->packs_done, r->packs[i].id) != (void *)2)
			continue;
		follows = true;
		if (v->result->finding_count == before)
			verify_finding(v, key, "it needs the damaged pack %s",
			    r->packs[i].id);
	}
	/* What a damaged pack brings with it goes with it. */
	if (follows)
		v->result->others = others;
	return rc;
}

/* What the root is now is what it has to be when it is damaged later. */
static void
note_root(struct verify *v, const char *name)
{
	AUTO_FREE char *key = mem_printf("%s/%s", v->lineage.name, name);
	uint8_t sha256[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES];
	struct err e = ERR_INIT;
	uint64_t bytes;

	if (heal_digest(&v->lineage, name, sha256, &bytes, &e) == -1)
		return;
	sha256_hex(sha256, hex);
	free(strmap_put(v->result->roots, key, mem_strdup(hex)));
}

static int
check_backup(struct verify *v, const char *id, struct err *e)
{
	AUTO_ROOT struct root r;
	char key[STORE_KEY_BYTES], name[STORE_KEY_BYTES];

	(void)lineage_key(&v->lineage, key, "backups/%s", id);
	(void)snprintf(name, sizeof(name), "backups/%s", id);
	v->result->objects++;
	if (root_read(&v->lineage, id, &r, e) == -1)
		return verify_damaged(v, key, name, 0, NULL, e);
	note_root(v, name);
	return check_root(v, &r, key, e);
}

static int
check_backups(struct verify *v, const char *only, struct err *e)
{
	char **ids = NULL;
	size_t count, i;
	int rc = 0;

	if (only != NULL)
		return check_backup(v, only, e);
	if (backup_list(&v->lineage, &ids, &count, e) == -1)
		return -1;
	for (i = 0; rc == 0 && i < count; i++)
		rc = check_backup(v, ids[i], e);
	store_names_free(ids);
	return rc;
}

/* ---- what expire and the next backup read ---- */

static int
check_intents(struct verify *v, struct err *e)
{
	AUTO_FREE struct intent *intents = NULL;
	size_t count;

	if (intent_list(&v->lineage, &intents, &count, e) == -1)
		return verify_finding_or_stop(v, "intents", e);
	v->result->objects += count;
	return 0;
}

static int
check_withdrawn(struct verify *v, struct err *e)
{
	struct store *s = repo_store(v->lineage.repo);
	char key[STORE_KEY_BYTES], name[STORE_KEY_BYTES];
	char **ids = NULL;
	size_t count, i;
	int rc = 0;

	if (store_list(s, lineage_key(&v->lineage, key, "withdrawn"), &ids,
		&count, e) == -1)
		return -1;
	for (i = 0; rc == 0 && i < count; i++) {
		AUTO_BUF struct buf text = BUF_INIT;

		(void)lineage_key(&v->lineage, key, "withdrawn/%s", ids[i]);
		v->result->objects++;
		if (store_get(s, key, ROOT_BYTES_MAX, &text, e) == -1 ||
		    lineage_check_signature(&v->lineage, &text, key, e) == -1) {
			(void)snprintf(
			    name, sizeof(name), "withdrawn/%.40s", ids[i]);
			rc = verify_damaged(v, key, name, 0, NULL, e);
		}
	}
	store_names_free(ids);
	return rc;
}

/* Reports of drills, and what each says of the one before it. */
static int
check_reports(struct verify *v, struct err *e)
{
	AUTO_CHAIN struct chain c = { 0 };
	char key[STORE_KEY_BYTES], name[STORE_KEY_BYTES];
	size_t i;

	if (chain_read(v->settings, &v->lineage, &c, e) == -1)
		return verify_finding_or_stop(v, "marks", e);
	for (i = 0; i < c.count; i++) {
		v->result->objects++;
		if (c.links[i].fault == NULL)
			continue;
		verify_finding(v,
		    lineage_key(&v->lineage, key, "marks/%s/1", c.links[i].id),
		    "%s", c.links[i].fault);
		(void)snprintf(name, sizeof(name), "marks/%s/1", c.links[i].id);
		/* It may be sound, and one before it lacking. */
		if (heal_check(&v->lineage, name, NULL, e) == -1)
			verify_want(v, name, 0, NULL);
		err_clear(e);
	}
	return 0;
}

static int
verify_lineage(struct verify *v, const char *backup_id, struct err *e)
{
	if (check_backups(v, backup_id, e) == -1)
		return -1;
	if (backup_id != NULL)
		return 0;
	if (check_intents(v, e) == -1 || check_withdrawn(v, e) == -1 ||
	    check_reports(v, e) == -1)
		return -1;
	return verify_wal(v, e);
}

static int
verify_all(
    struct verify *v, struct repo *r, const char *backup_id, struct err *e)
{
	char **names = NULL;
	size_t count, i;
	int rc = 0;

	if (backup_id != NULL) {
		if (lineage_open(r, v->cluster->name, NULL, &v->lineage, e) ==
		    -1)
			return -1;
		return verify_lineage(v, backup_id, e);
	}
	if (lineage_list(r, v->cluster->name, &names, &count, e) == -1)
		return -1;
	for (i = 0; rc == 0 && i < count; i++) {
		rc =
		    lineage_open(r, v->cluster->name, names[i], &v->lineage, e);
		rc = rc == 0 ? verify_lineage(v, NULL, e)
			     : verify_finding_or_stop(v, names[i], e);
	}
	store_names_free(names);
	return rc;
}

static int
run(struct verify *v, const char *backup_id, struct err *e)
{
	AUTO_PROGRESS struct progress *progress = progress_new("verify", 0);
	AUTO_REPO struct repo *r = NULL;

	v->progress = progress;
	v->dice = (uint64_t)clock_now_us();
	v->packs_done = v->result->packs;
	r = repo_open(
	    v->settings->repository, v->settings->state_dir, false, e);
	if (r == NULL) {
		if (e->kind == ERR_CORRUPT)
			return verify_finding_or_stop(v, "repo", e);
		return -1;
	}
	return verify_all(v, r, backup_id, e);
}

int
verify_run(const struct settings *s, const struct cluster_settings *c,
    const char *backup_id, unsigned int sample_percent,
    struct verify_result *result, struct err *e)
{
	struct verify v = { .settings = s,
		.cluster = c,
		.result = result,
		.sample_percent = sample_percent };

	(void)memset(result, 0, sizeof(*result));
	result->packs = strmap_new();
	result->roots = strmap_new();
	return run(&v, backup_id, e);
}

int
verify_again(const struct settings *s, const struct cluster_settings *c,
    const char *backup_id, const struct verify_result *before,
    struct verify_result *result, struct err *e)
{
	AUTO_STRMAP struct strmap *names = strmap_new();
	struct verify v = {
		.settings = s, .cluster = c, .result = result, .again = names
	};
	const char *id;
	void *verdict;
	size_t i, pos = 0;

	(void)memset(result, 0, sizeof(*result));
	result->packs = strmap_new();
	result->roots = strmap_new();
	while (strmap_next(before->packs, &pos, &id, &verdict))
		if (verdict == (void *)1)
			(void)strmap_put(result->packs, id, verdict);
	for (i = 0; i < before->want_count; i++)
		(void)strmap_put(names, before->wants[i].name, (void *)1);
	return run(&v, backup_id, e);
}
