#ifndef HEAL_SCRATCH_H
#define HEAL_SCRATCH_H

/*
 * heal_scratch: a lineage with one object of each kind, to be damaged and
 * healed.
 */

#include "base/json.h"
#include "base/log.h"
#include "jobs/damage.h"
#include "jobs/heal_check.h"
#include "jobs/heal_commit.h"
#include "repo/intake.h"
#include "repo/walstored.h"
#include "unit/wal_scratch.h"

/* ---- a lineage with one of each ---- */

#define ID	"20260101T000000Z-0001"
#define STAGING "incoming/far/heal/x/"
#define START	((uint64_t)SEGMENT_BYTES)

static struct repo *repository, *key2;
static struct lineage lineage;
static struct settings settings;
static struct walmaker maker;

static const char *const histories[] = { "1\t0/200000\tno recovery target\n",
	"1\t0/200000\tno recovery target\n4\t0/300000\tagain\n" };

/* Whole, and how it lay there. */
static struct object {
	char name[STORE_KEY_BYTES];
	struct buf bytes;
	uint8_t sha256[SHA256_BYTES];
} objects[8];
static size_t object_count;
enum { PACK, ROOT, MARK, SEGMENT, PARTIAL, HISTORY };

static inline const char *
key_of(const char *name)
{
	static char keys[4][STORE_KEY_BYTES];
	static unsigned int turn;

	return lineage_key(&lineage, keys[turn++ % 4], "%s", name);
}

/* The keeper's name for what has come: a segment says what it is. */
static inline const char *
staging_of(const struct object *o)
{
	static char key[STORE_KEY_BYTES];

	(void)snprintf(
	    key, sizeof(key), STAGING "%.200s", strrchr(o->name, '/') + 1);
	return key;
}

static inline const char *
path_of(const char *key)
{
	static char paths[4][STORE_KEY_BYTES + 8];
	static unsigned int turn;
	char *path = paths[turn++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "repo/%s", key);
	return path;
}

static inline void
slurp(const char *key, struct buf *out)
{
	struct err e = ERR_INIT;

	buf_clear(out);
	if (file_slurp_at(AT_FDCWD, path_of(key), (size_t)16 << 20, out, &e) ==
	    -1)
		tap_bail("%s", e.text);
}

static inline void
spill(const char *key, const void *data, size_t len)
{
	AUTO_FREE char *folder = file_parent(path_of(key));
	struct err e = ERR_INIT;
	FILE *f;

	if (file_mkdirs_at(AT_FDCWD, folder, 0700, &e) == -1)
		tap_bail("%s", e.text);
	(void)unlink(path_of(key));
	f = fopen(path_of(key), "we");
	if (f == NULL || fwrite(data, 1, len, f) != len || fclose(f) != 0)
		tap_bail("could not write \"%s\"", key);
}

static inline void
take_note(const char *name)
{
	struct object *o = &objects[object_count++];

	(void)snprintf(o->name, sizeof(o->name), "%s", name);
	slurp(key_of(name), &o->bytes);
	sha256_of(o->bytes.data, o->bytes.len, o->sha256);
}

static inline void
sign(struct buf *text)
{
	struct err e = ERR_INIT;

	if (repo_sign(lineage.repo, text, &e) == -1)
		tap_bail("%s", e.text);
}

static inline void
make_backup(void)
{
	AUTO_PACKSET struct packset *ps = packset_new(&lineage, 1 << 20);
	AUTO_PARENT struct parent *parent = NULL;
	AUTO_INTAKE struct intake *in = NULL;
	AUTO_ROOT struct root r;
	struct intake_options o = { .backup_id = ID,
		.level = 1,
		.workers = 1,
		.segment_blocks = 131072 };
	struct err e = ERR_INIT;
	char key[STORE_KEY_BYTES];
	size_t prefix = strlen(key_of(""));

	root_init(&r);
	parent = parent_new(NULL, ps, &e);
	in = intake_new(&lineage, ps, parent, &o, &e);
	if (in == NULL ||
	    intake_begin(in, ENTRY_FILE, "base/5/1", 0600, 1, 300000, &e) ==
		-1 ||
	    intake_data(in, maker.out.data, 300000, &e) == -1 ||
	    intake_end(in, &e) == -1 || intake_finish(in, &r, &e) == -1)
		tap_bail("%s", e.text);
	(void)strcpy(r.id, ID);
	(void)strcpy(r.cluster, lineage.cluster);
	(void)strcpy(r.lineage, lineage.name);
	r.facts = lineage.facts;
	r.start_timeline = r.stop_timeline = 1;
	r.start_lsn = START + 40;
	r.stop_lsn = START + 400;
	r.started_us = r.finished_us = 1;
	r.manifest_version = 1;
	if (root_commit(&lineage, &r, &e) == -1)
		tap_bail("%s", e.text);
	take_note(pack_key(&lineage, r.packs[0].id, key) + prefix);
	take_note("backups/" ID);
}

static inline void
make_mark(void)
{
	AUTO_BUF struct buf text = BUF_INIT;

	buf_printf(&text, "{\"it\":\"works\"}\n");
	sign(&text);
	spill(key_of("marks/" ID "/1"), text.data, text.len);
	take_note("marks/" ID "/1");
}

static inline void
make_wal(void)
{
	char name[STORE_KEY_BYTES], path[STORE_KEY_BYTES], **partials = NULL;
	struct err e = ERR_INIT;
	unsigned int i;
	size_t count;

	for (i = 0; i < 3; i++)
		if (!wal_scratch_store(&lineage, &maker, i, &e))
			tap_bail("%s", e.text);
	(void)wal_name(1, START + 3 * START, SEGMENT_BYTES, name);
	if (wal_store_partial(
		&lineage, name, wal_segment_of(&maker, 3), 200000, &e) == -1 ||
	    wal_partials(&lineage, &partials, &count, &e) == -1 || count != 1)
		tap_bail("%s", e.text);
	(void)wal_name(1, START + START, SEGMENT_BYTES, name);
	(void)snprintf(
	    path, sizeof(path), "wal/%.8s/%.8s/%.24s", name, name + 8, name);
	take_note(path);
	(void)snprintf(path, sizeof(path), "wal/%.8s/%.8s/%.80s", partials[0],
	    partials[0] + 8, partials[0]);
	take_note(path);
	store_names_free(partials);
	for (i = 0; i < 2; i++)
		if (wal_store_history(&lineage, 4 + i, histories[i],
			strlen(histories[i]), &e) == -1)
			tap_bail("%s", e.text);
	take_note("wal/00000005.history");
}

/* ---- one try ---- */

static inline const uint8_t *
digest_in_list(const struct object *o)
{
	return o == &objects[PACK] ? o->sha256 : NULL;
}

static bool know_roots = true;

/* One item in the list, and what roots were. */
static inline void
want(const struct object *o)
{
	AUTO_DAMAGE struct damage d = { .lock = -1 };
	AUTO_FREE char *root =
	    mem_printf("%s/%s", lineage.name, objects[ROOT].name);
	struct err e = ERR_INIT;

	if (damage_open(&d, &settings, "main", true, &e) == -1)
		tap_bail("%s", e.text);
	(void)json_array_clear(json_object_get(d.json, "items"));
	if (know_roots)
		json_set_hex(json_object_get(d.json, "roots"), root,
		    objects[ROOT].sha256, SHA256_BYTES);
	if (o != NULL)
		(void)damage_add(d.json, lineage.name, o->name, "damaged",
		    o->bytes.len, digest_in_list(o), 1);
	if (damage_save(&d, &e) == -1)
		tap_bail("%s", e.text);
}

static inline bool
is_wanted(const struct object *o)
{
	AUTO_JSON json_t *list = damage_read(&settings, "main");

	return damage_find(list, lineage.name, o->name) != NULL;
}

/* Does the list say that verification need not miss it? */
static inline bool
is_noted_gone(const struct object *o)
{
	AUTO_JSON json_t *list = damage_read(&settings, "main");

	return json_is_true(
	    json_object_get(damage_find(list, lineage.name, o->name), "gone"));
}

enum how { FLIPPED, CUT, LOST, WHOLE };
static const char *const hows[] = { "flipped", "cut", "lost", "whole" };

static inline void
forget_aside(void)
{
	(void)file_rmtree_at(AT_FDCWD, path_of(key_of("damaged")), NULL);
}

static inline void
restore_all(void)
{
	size_t i;

	for (i = 0; i < object_count; i++)
		spill(key_of(objects[i].name), objects[i].bytes.data,
		    objects[i].bytes.len);
}

/* As it is when healing begins; what is there then goes to was. */
static inline void
damage(const struct object *o, enum how how, struct buf *was)
{
	const char *key;

	forget_aside();
	restore_all();
	key = key_of(o->name);
	buf_clear(was);
	buf_put(was, o->bytes.data, o->bytes.len);
	if (how == FLIPPED)
		was->data[o->bytes.len / 2] ^= 1;
	if (how == CUT)
		was->len = o->bytes.len / 3;
	spill(key, was->data, was->len);
	if (how == LOST && unlink(path_of(key)) == -1)
		tap_bail("unlink");
	want(o);
}

static inline int
try_with(const struct object *o, const void *bytes, size_t len, struct err *e)
{
	uint8_t sha256[SHA256_BYTES];

	sha256_of(bytes, len, sha256);
	spill(staging_of(o), bytes, len);
	err_clear(e);
	return heal_commit(
	    &lineage, &settings, "far", o->name, staging_of(o), sha256, e);
}

static inline bool
is_whole(const struct object *o)
{
	AUTO_BUF struct buf now = BUF_INIT;
	struct err e = ERR_INIT;

	if (heal_check(&lineage, o->name, digest_in_list(o), &e) == -1)
		return false;
	slurp(key_of(o->name), &now);
	/* WAL is stored anew. */
	return o == &objects[SEGMENT] || o == &objects[PARTIAL] ||
	    (now.len == o->bytes.len &&
		memcmp(now.data, o->bytes.data, now.len) == 0);
}

/* How often the bytes are aside; other things there count as 100. */
static inline unsigned int
aside(const struct buf *was)
{
	AUTO_BUF struct buf now = BUF_INIT;
	char **names = NULL;
	unsigned int found = 0;
	struct err e = ERR_INIT;
	size_t count, i;

	if (store_list(repo_store(lineage.repo), key_of("damaged"), &names,
		&count, &e) == -1)
		tap_bail("%s", e.text);
	for (i = 0; i < count; i++) {
		AUTO_FREE char *name = mem_printf("damaged/%s", names[i]);

		slurp(key_of(name), &now);
		found += now.len == was->len &&
			memcmp(now.data, was->data, now.len) == 0
		    ? 1
		    : 100;
	}
	store_names_free(names);
	return found;
}

static inline bool
is_there(const struct object *o)
{
	return access(path_of(key_of(o->name)), F_OK) == 0;
}

static inline bool
is_as_it_was(const struct object *o, const struct buf *was)
{
	AUTO_BUF struct buf now = BUF_INIT;

	if (!is_there(o))
		return false;
	slurp(key_of(o->name), &now);
	return now.len == was->len && memcmp(now.data, was->data, now.len) == 0;
}

/* Enter a scratch folder and make it all there; the folder goes with the test. */
static inline void
heal_scratch_init(void)
{
	struct err e = ERR_INIT;
	struct repo *r;

	(void)scratch_enter();
	log_setup(LOG_PEOPLE, LOG_LEVEL_ERROR + 1);
	r = wal_scratch_repo(&lineage);
	/* Another key of the same site. */
	key2 = repo_open(repo_url(r), "other", true, &e);
	if (key2 == NULL)
		tap_bail("%s", e.text);
	repo_close(r);
	r = repo_open(repo_url(key2), scratch_path, true, &e);
	if (r == NULL || lineage_open(r, "main", NULL, &lineage, &e) == -1)
		tap_bail("%s", e.text);
	repository = r;
	settings.state_dir = settings.runtime_dir = scratch_path;
	walmaker_init(&maker, 15, START);
	wal_fill(&maker, 5 * START);
	make_backup();
	make_mark();
	make_wal();
}

static inline void
heal_scratch_fini(void)
{
	size_t i;

	for (i = 0; i < object_count; i++)
		buf_free(&objects[i].bytes);
	walmaker_fini(&maker);
	repo_close(repository);
	repo_close(key2);
}

#endif /* !HEAL_SCRATCH_H */
