/*
 * A backup under a failing kernel: the Nth call fails, for every N there is,
 * while files go through the intake into packs and the root is committed.
 * Nothing half is visible, and the next try succeeds.  What of the store can
 * fail for WAL is in repo_wal_faults.c.
 */

#include "base/mem.h"
#include "repo/intake.h"
#include "repo_scratch.h"

#define FAULTS (FAULTS_STORE & ~FAULT_UNLINKAT)
#include "unit/faults.h"

/* ---- a backup of a few files ---- */

#define FILES	   6
#define FILE_BYTES ((size_t)1300000) /* more than a buffer of dio */
#define ID	   "20260101T000000Z-0001"
#define AGAIN_ID   "20260101T000001Z-0002"

static struct repo_scratch s;
static uint8_t *data;

static int
put_file(struct intake *in, unsigned int i, struct err *e)
{
	size_t len = i % 2 == 0 ? FILE_BYTES : 100 * i;
	char path[32];

	(void)snprintf(path, sizeof(path), "base/5/%u", 1000 + i);
	if (intake_begin(in, ENTRY_FILE, path, 0600, 12345, len, e) == -1 ||
	    intake_data(in, data + 8192 * i, len, e) == -1)
		return -1;
	return intake_end(in, e);
}

/* What backup_run() does of it. */
static int
back_up(
    const char *id, const char *interrupted, struct root *root, struct err *e)
{
	AUTO_PACKSET struct packset *ps = packset_new(&s.lineage, 1 << 20);
	AUTO_PARENT struct parent *parent = NULL;
	AUTO_INTAKE struct intake *in = NULL;
	struct intake_options o = { .backup_id = id,
		.level = 1,
		.workers = 2,
		.segment_blocks = 131072 };
	unsigned int i, packs;

	root_init(root);
	parent = parent_new(NULL, ps, e);
	if (parent == NULL ||
	    (interrupted != NULL &&
		parent_add_interrupted(
		    parent, &s.lineage, interrupted, &packs, e) == -1))
		return -1;
	in = intake_new(&s.lineage, ps, parent, &o, e);
	for (i = 0; in != NULL && i < FILES; i++)
		if (put_file(in, i, e) == -1)
			return -1;
	if (in == NULL || intake_finish(in, root, e) == -1)
		return -1;
	(void)strcpy(root->id, id);
	(void)strcpy(root->cluster, s.lineage.cluster);
	(void)strcpy(root->lineage, s.lineage.name);
	root->facts = s.lineage.facts;
	root->start_timeline = root->stop_timeline = 1;
	root->start_lsn = 0x1000028;
	root->stop_lsn = 0x1000100;
	root->started_us = root->finished_us = 1;
	root->manifest_version = 1;
	return root_commit(&s.lineage, root, e);
}

static int
check_entry(void *arg, const struct entry *entry, struct err *e)
{
	struct packset *ps = arg;
	AUTO_FILEMAP struct filemap map;
	AUTO_FREE struct block_sum *sums = mem_array(256, sizeof(sums[0]));
	uint32_t blocks = (uint32_t)((entry->size_bytes + 8191) / 8192);

	if (entry_map(entry, ps, &map, e) == -1)
		return -1;
	return filemap_sums(&map, ps, repo_block_key(s.repo), entry->size_bytes,
	    0, blocks, sums, e);
}

/* Is the backup, when it is visible, whole to the last byte? */
static bool
is_whole(const char *id, struct err *e)
{
	AUTO_PACKSET struct packset *ps = packset_new(&s.lineage, 1 << 20);
	AUTO_ROOT struct root r;
	size_t i;

	if (root_read(&s.lineage, id, &r, e) == -1)
		return false;
	for (i = 0; i < r.pack_count; i++)
		if (pack_verify(&s.lineage, r.packs[i].id, true,
			r.packs[i].sha256, e) == -1)
			return false;
	return r.files == FILES && root_walk(&r, ps, check_entry, ps, e) == 0;
}

static bool
is_absent(const char *id)
{
	AUTO_ROOT struct root r;
	struct err e = ERR_INIT;

	return root_read(&s.lineage, id, &r, &e) == -1 &&
	    e.kind == ERR_NOT_FOUND;
}

/* Packs that have their name are whole; nothing else is in their folders. */
static unsigned int
half_packs(void)
{
	char key[STORE_KEY_BYTES], path[1024];
	unsigned int folder, half = 0;

	for (folder = 0; folder < 256; folder++) {
		char **names = NULL;
		struct err e = ERR_INIT;
		uint8_t sha256[SHA256_BYTES];
		size_t count, i;

		(void)snprintf(path, sizeof(path), "%s/%s", s.url,
		    lineage_key(&s.lineage, key, "packs/%02x", folder));
		if (file_list_at(AT_FDCWD, path, &names, &count, &e) == -1)
			tap_bail("%s", e.text);
		for (i = 0; i < count; i++)
			if (names[i][0] == '.' ||
			    pack_digest(&s.lineage, names[i], sha256, &e) ==
				-1 ||
			    pack_verify(
				&s.lineage, names[i], true, sha256, &e) == -1) {
				tap_diag("%s: %s", names[i], e.text);
				half++;
			}
		file_names_free(names);
	}
	return half;
}

static void
forget_all(void)
{
	static const char *const folders[] = { "packs", "backups" };
	char key[STORE_KEY_BYTES], path[1024];
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; i < COUNT_OF(folders); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", s.url,
		    lineage_key(&s.lineage, key, "%s", folders[i]));
		if (file_rmtree_at(AT_FDCWD, path, &e) == -1)
			tap_bail("%s", e.text);
	}
}

static void
check_every_call(const char *what)
{
	unsigned int n, failures = 0;
	int rc;

	for (n = 1;; n++) {
		AUTO_ROOT struct root r, again;
		struct err e = ERR_INIT;

		forget_all();
		root_init(&again);
		faults_arm(n);
		rc = back_up(ID, NULL, &r, &e);
		if (!faults_disarm())
			break; /* every call has had its turn */
		failures += rc == -1;
		tap_ok(rc == 0 || (e.kind == ERR_IO && e.sys_errno == ENOSPC),
		    "%s: %s fails: %s", what, faults.failed_call, e.text);
		/* A root whose folder could not be flushed may be there. */
		tap_ok(rc == 0 ? is_whole(ID, &e)
			       : is_absent(ID) || is_whole(ID, &e),
		    "%s: %s: the backup is whole or not there: %s", what,
		    faults.failed_call, e.text);
		tap_u64(half_packs(), 0, "no pack is half");
		err_clear(&e);
		tap_ok(back_up(AGAIN_ID, ID, &again, &e) == 0 &&
			is_whole(AGAIN_ID, &e),
		    "%s: %s: the next one succeeds: %s", what,
		    faults.failed_call, e.text);
	}
	tap_ok(rc == 0, "%s: with no failure it succeeds", what);
	tap_ok(
	    failures > 8, "%s: %u of %u calls matter", what, failures, n - 1);
}

int
main(void)
{
	size_t i;

	repo_scratch_init(&s);
	faults.spare_reads = true;
	data = mem_alloc(FILE_BYTES + 8192 * FILES);
	for (i = 0; i < FILE_BYTES + 8192 * FILES; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	check_every_call("once");
	faults.for_ever = true;
	check_every_call("from then on");
	free(data);
	repo_scratch_fini(&s);
	return tap_done();
}
