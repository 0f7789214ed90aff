/*
 * restore of a small backup, under a failing kernel: the Nth call fails, for
 * every N there is; then no server would start on what is there, and --delta
 * completes it.  And what a wrong map or a wrong sum does.
 */

#include <pwd.h>

#include "base/log.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "jobs/jobs.h"
#include "jobs/restore_pipe.h"
#include "repo/intake.h"
#include "unit/wal_scratch.h"

#define FAULTS (FAULTS_STORE & ~(FAULT_FSYNC | FAULT_FDATASYNC))
#include "unit/faults.h"

/* ---- calls that fail ---- */

int __real_fchmod(int fd, mode_t mode);
int __real_symlinkat(const char *to, int dirfd, const char *path);

int
__wrap_fchmod(int fd, mode_t mode)
{
	return faults_due("fchmod") ? -1 : __real_fchmod(fd, mode);
}

int
__wrap_fsync(int fd)
{
	(void)fd; /* nothing here survives the test: no time for the disk */
	return faults_due("fsync") ? -1 : 0;
}

int
__wrap_syncfs(int fd)
{
	(void)fd;
	return faults_due("syncfs") ? -1 : 0;
}

int
__wrap_symlinkat(const char *to, int dirfd, const char *path)
{
	return faults_due("symlinkat") ? -1 : __real_symlinkat(to, dirfd, path);
}

/* ---- a backup ---- */

#define ID "20261121T030405Z-0001"

static const struct {
	const char *path;
	size_t len;
} models[] = {
	{ "PG_VERSION", 3 },
	{ "postgresql.auto.conf", 30 },
	{ "global/1262", 8192 },
	{ "base/5/1259", 65536 },
	{ "base/5/1259_fsm", 24576 },
	{ "base/5/empty", 0 },
	{ "base/5/odd", 8193 },
	{ "base/5/16384", 3 * 1048576 + 4096 },
	{ "base/5/16385", 700001 },
	{ "pg_tblspc/16400/PG_15_202209061/5/16401", 300000 },
	{ "pg_xact/0000", 8192 },
	{ "global/pg_control", 8192 },
};

static struct repo *repo;
static struct lineage lineage;
static struct settings *settings;
static char tablespace_map[600], owner[64];
static const char *const map[] = { tablespace_map, NULL };

/* A pg_control that says whose directory this is. */
static void
make_control(uint8_t *p)
{
	(void)memset(p, 0, 8192);
	le64_put(p, WALMAKER_SYSTEM_ID);
	le32_put(p + 8, 1300);
	le32_put(p + 12, 202209061);
	le32_put(p + 16, 6);
	le64_put(p + 32, SEGMENT_BYTES + 40);
	le64_put(p + 40, SEGMENT_BYTES + 40);
	le32_put(p + 48, 1);
	le32_put(p + 52, 1);
	le32_put(p + 216, 8192);
	le32_put(p + 220, 131072);
	le32_put(p + 224, 8192);
	le32_put(p + 228, SEGMENT_BYTES);
	le32_put(p + 288, crc32c(0, p, 288));
}

/* Bytes of a file: some blocks are zero. */
static uint8_t *
content_of(size_t i)
{
	uint8_t *p = mem_zalloc(models[i].len + 1);
	uint64_t dice = 88172645463325252u + i;
	size_t at;

	for (at = 0; at < models[i].len; at++) {
		dice ^= dice << 13;
		dice ^= dice >> 7;
		dice ^= dice << 17;
		if (at / 8192 % 7 != 3 && (at / 8192 < 100 || at / 8192 > 200))
			p[at] = (uint8_t)dice;
	}
	if (strcmp(models[i].path, "postgresql.auto.conf") == 0)
		(void)snprintf(
		    (char *)p, 31, "# written by a person's hand\n\n");
	if (strcmp(models[i].path, PLACE_CONTROL) == 0)
		make_control(p);
	return p;
}

static int
put_entry(struct intake *in, enum entry_kind kind, const char *path,
    const void *data, size_t len, struct err *e)
{
	if (intake_begin(in, kind, path, kind == ENTRY_DIRECTORY ? 0700 : 0600,
		12345, len, e) == -1 ||
	    (len > 0 && intake_data(in, data, len, e) == -1))
		return -1;
	return intake_end(in, e);
}

static int
put_all(struct intake *in, struct err *e)
{
	static const char *const folders[] = { "global", "base", "base/5",
		"pg_wal", "pg_wal/archive_status", "pg_tblspc", "pg_xact" };
	size_t i;

	for (i = 0; i < COUNT_OF(folders); i++)
		if (put_entry(in, ENTRY_DIRECTORY, folders[i], NULL, 0, e) ==
		    -1)
			return -1;
	for (i = 0; i < COUNT_OF(models); i++) {
		AUTO_FREE uint8_t *p = content_of(i);

		if (put_entry(in, ENTRY_FILE, models[i].path, p, models[i].len,
			e) == -1)
			return -1;
	}
	return put_entry(
	    in, ENTRY_ATTACHMENT, "config/pg_hba.conf", "local\n", 6, e);
}

static void
make_root(struct root *r, uint64_t start, uint64_t stop)
{
	(void)strcpy(r->id, ID);
	(void)memcpy(r->cluster, lineage.cluster, sizeof(r->cluster));
	(void)memcpy(r->lineage, lineage.name, sizeof(r->lineage));
	r->facts = lineage.facts;
	r->manifest_version = 1;
	r->start_lsn = start;
	r->stop_lsn = stop;
	r->start_timeline = r->stop_timeline = 1;
	r->consistent_us = r->started_us = r->finished_us = 1;
	buf_printf(&r->backup_label, "START WAL LOCATION: 0/100028 (file x)\n");
	r->tablespaces = mem_zarray(1, sizeof(r->tablespaces[0]));
	r->tablespaces[0] =
	    (struct root_tablespace){ 16400, mem_strdup("/nowhere/ts") };
	r->tablespace_count = 1;
}

static void
make_backup(void)
{
	AUTO_WALMAKER struct walmaker m;
	AUTO_PACKSET struct packset *ps = packset_new(&lineage, 1 << 20);
	AUTO_PARENT struct parent *parent = NULL;
	AUTO_INTAKE struct intake *in = NULL;
	AUTO_ROOT struct root root;
	struct intake_options o = { .backup_id = ID,
		.level = 3,
		.workers = 2,
		.segment_blocks = 131072 };
	struct err e = ERR_INIT;
	uint64_t start, stop;

	root_init(&root);
	walmaker_init(&m, 15, SEGMENT_BYTES);
	start = wal_noop(&m, 500);
	(void)wal_noop(&m, 500);
	stop = walmaker_next(&m);
	wal_fill(&m, 2 * (uint64_t)SEGMENT_BYTES);
	parent = parent_new(NULL, ps, &e);
	in = intake_new(&lineage, ps, parent, &o, &e);
	if (in == NULL || put_all(in, &e) == -1 ||
	    intake_finish(in, &root, &e) == -1 ||
	    !wal_scratch_store(&lineage, &m, 0, &e))
		tap_bail("%s", e.text);
	make_root(&root, start, stop);
	if (root_commit(&lineage, &root, &e) == -1)
		tap_bail("%s", e.text);
}

static void
make_settings(void)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	buf_printf(&text,
	    "[pgkura]\nrepository = %s/repo\nstate_dir = %s\n"
	    "runtime_dir = %s\n[cluster main]\nconninfo = host=/nowhere\n",
	    scratch_path, scratch_path, scratch_path);
	settings = settings_parse("test", buf_str(&text), text.len, &e);
	if (settings == NULL)
		tap_bail("%s", e.text);
}

/* ---- restoring ---- */

static int
restore(
    const char *to, bool delta, struct restore_result *result, struct err *e)
{
	struct restore_options o = { .directory = to,
		.delta = delta,
		.tablespace_map = map,
		.workers = 2,
		.owner = owner };
	int rc = restore_run(settings, &settings->clusters[0], &o, result, e);

	if (rc == 0)
		restore_result_free(result);
	return rc;
}

static bool
is_there(const char *to, const char *name)
{
	AUTO_FREE char *path = file_join(to, name);

	return file_exists_at(AT_FDCWD, path, NULL) == 1;
}

/* Every file as it was put in, and what belongs to a restored directory. */
static bool
is_whole(const char *to)
{
	size_t i;

	for (i = 0; i < COUNT_OF(models); i++) {
		AUTO_FREE char *path = file_join(to, models[i].path);
		AUTO_FREE uint8_t *want = content_of(i);
		AUTO_BUF struct buf got = BUF_INIT;

		if (file_slurp_at(AT_FDCWD, path, 1 << 24, &got, NULL) == -1)
			return false;
		if (strcmp(models[i].path, "postgresql.auto.conf") == 0
			? memcmp(got.data, want, 28) != 0
			: got.len != models[i].len ||
			    memcmp(got.data, want, got.len) != 0)
			return false;
	}
	return is_there(to, "backup_label") &&
	    is_there(to, "recovery.signal") &&
	    is_there(to, "backup_manifest") && !is_there(to, PLACE_MARKER) &&
	    !is_there(to, PLACE_CONTROL_NEW) &&
	    is_there(to, "pgkura.config/pg_hba.conf") &&
	    is_there(to, "pg_wal/archive_status");
}

static void
clear(const char *to)
{
	if (file_rmtree_at(AT_FDCWD, to, NULL) == -1 ||
	    file_rmtree_at(AT_FDCWD, "ts", NULL) == -1)
		tap_bail("could not clear \"%s\"", to);
}

static void
check_plain(void)
{
	struct restore_result r;
	struct err e = ERR_INIT;
	AUTO_BUF struct buf conf = BUF_INIT;

	(void)tap_ok(
	    restore("plain", false, &r, &e) == 0, "a restore (%s)", e.text);
	(void)tap_ok(is_whole("plain"), "brings every file");
	(void)tap_ok(
	    restore("plain", false, &r, &e) == -1 && e.kind == ERR_REFUSED,
	    "not again over it: %s", e.text);
	(void)tap_ok(
	    restore("plain", true, &r, &e) == 0, "but by delta (%s)", e.text);
	/* Recovery settings made one file another one, and longer. */
	(void)tap_ok(r.written_blocks <= 1 && r.kept_blocks > 400,
	    "which writes nothing that is there: %llu, %llu",
	    (unsigned long long)r.written_blocks,
	    (unsigned long long)r.kept_blocks);
	(void)tap_ok(is_whole("plain"), "and leaves every file");
	if (file_slurp_at(AT_FDCWD, "plain/postgresql.auto.conf", 1 << 16,
		&conf, &e) == -1)
		tap_bail("%s", e.text);
	(void)tap_ok(strstr(buf_str(&conf), "archive_mode = 'off'") != NULL &&
		strstr(buf_str(&conf), " get --config ") != NULL,
	    "a copy's settings");
	clear("plain");
}

/* Spoil a block, so that a delta restore has something to do. */
static void
spoil(const char *to)
{
	AUTO_FREE char *path = file_join(to, "base/5/16384");
	AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd != -1 && __real_pwrite64(fd, "spoiled", 7, 9000) != 7)
		tap_bail("could not spoil \"%s\"", path);
}

static bool
is_spoiled(const char *to)
{
	AUTO_FREE char *path = file_join(to, "base/5/16384");
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	char got[7] = "";

	return fd != -1 && pread(fd, got, 7, 9000) == 7 &&
	    memcmp(got, "spoiled", 7) == 0;
}

/* One run with the nth call failing.  False when there was no such call. */
static bool
fail_nth(unsigned int n, bool delta)
{
	struct restore_result r;
	struct err e = ERR_INIT, e2 = ERR_INIT;
	bool more;
	int rc;

	if (delta)
		spoil("faulty");
	faults_arm(n);
	rc = restore("faulty", delta, &r, &e);
	more = faults_disarm();
	if (rc == 0 && !is_whole("faulty"))
		(void)tap_ok(false, "call %u (%s): success, but not whole", n,
		    faults.failed_call);
	/* It may start as it was, or when all is there. */
	if (rc == -1 && is_there("faulty", PLACE_CONTROL) &&
	    !(delta && is_spoiled("faulty")) && !is_whole("faulty"))
		(void)tap_ok(false, "call %u (%s): a server would start: %s", n,
		    faults.failed_call, e.text);
	if (restore("faulty", true, &r, &e2) == -1 || !is_whole("faulty"))
		(void)tap_ok(false, "call %u (%s): not completed: %s / %s", n,
		    faults.failed_call, e.text, e2.text);
	return more;
}

static void
check_faults(void)
{
	unsigned int n;

	for (n = 1; fail_nth(n, false); n++)
		clear("faulty");
	(void)tap_ok(n > 100, "%u calls of a restore failed, each once", n - 1);
	for (n = 1; fail_nth(n, true); n++)
		;
	(void)tap_ok(
	    n > 100, "%u calls of a delta restore failed, each once", n - 1);
	clear("faulty");
}

/* ---- wrong maps and sums ---- */

struct twist {
	struct restore_place place;
	struct rpipe *pipe;
	struct packset *ps;
	int (*change)(struct rfile *f);
};

static int
only_one(void *arg, const struct entry *entry, struct err *e)
{
	struct twist *t = arg;
	struct rfile *f;

	if (entry->kind != ENTRY_FILE ||
	    strcmp(entry->path, "base/5/16385") != 0)
		return 0;
	f = rfile_new(&t->place, entry, t->ps, e);
	if (f == NULL || t->change(f) == -1)
		return -1;
	return rpipe_add(t->pipe, f, e);
}

static int
nothing(struct rfile *f)
{
	(void)f;
	return 0;
}

static int
wrong_sum(struct rfile *f)
{
	f->crc32c ^= 1;
	return 0;
}

/* Each block's place is its neighbour's. */
static int
wrong_block(struct rfile *f)
{
	f->map.extents[0].index++;
	return 0;
}

static int
behind_pack(struct rfile *f)
{
	f->map.extents[0].frame += 1000;
	return 0;
}

static void
check_twist(
    int (*change)(struct rfile *f), enum err_kind want, const char *what)
{
	AUTO_ROOT struct root root;
	AUTO_PACKSET struct packset *ps = packset_new(&lineage, 1 << 20);
	struct twist t = {
		.place = { .mode_mask = 0700 }, .ps = ps, .change = change
	};
	struct progress *progress = progress_new("test", 0);
	struct rpipe_counts counts;
	struct err e = ERR_INIT;
	int rc;

	if (mkdir("twist", 0700) == -1 ||
	    (t.place.fd = open("twist", O_RDONLY | O_DIRECTORY)) == -1 ||
	    root_read(&lineage, ID, &root, &e) == -1)
		tap_bail("%s", e.text);
	t.pipe = rpipe_new(ps, repo_block_key(repo), 2, progress, &e);
	rc = root_walk(&root, ps, only_one, &t, &e);
	if (rc == 0)
		rc = rpipe_finish(t.pipe, &counts, &e);
	(void)tap_ok(want == ERR_NONE ? rc == 0 : rc == -1 && e.kind == want,
	    "%s: %s", what, e.text);
	rpipe_free(t.pipe);
	progress_free(progress);
	(void)close(t.place.fd);
	clear("twist");
}

int
main(void)
{
	int dir = scratch_enter();
	const struct passwd *pw = getpwuid(geteuid());

	faults.error = EIO;
	log_setup(LOG_PEOPLE, LOG_LEVEL_ERROR);
	(void)snprintf(owner, sizeof(owner), "%s", pw->pw_name);
	(void)snprintf(tablespace_map, sizeof(tablespace_map), "16400=%s/ts",
	    scratch_path);
	repo = wal_scratch_repo(&lineage);
	make_backup();
	make_settings();
	check_plain();
	check_faults();
	check_twist(nothing, ERR_NONE, "one file alone");
	check_twist(wrong_sum, ERR_CORRUPT, "a wrong sum of the file");
	check_twist(wrong_block, ERR_CORRUPT, "a map to another block");
	check_twist(behind_pack, ERR_CORRUPT, "a map behind the pack's end");
	settings_free(settings);
	repo_close(repo);
	(void)close(dir);
	return tap_done();
}
