/*
 * backup: take one base backup of a cluster and commit it.
 *
 *	locks, open repository and server, find the parent
 *	intent: expire keeps what we may reuse
 *	BASE_BACKUP: tar members into the intake (sums, frames, packs)
 *	wait for the WAL from start to stop
 *	judge pages whose checksum failed
 *	root: the backup appears
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/size.h"
#include "base/strmap.h"
#include "jobs/backup_int.h"
#include "pg/label.h"

#define INDEX_CACHE_BYTES ((size_t)24 << 20)
#define PAGE_BLOCK_BYTES  8192
#define WAIT_STEP_US	  (CLOCK_SECOND_US / 20)
#define WAIT_TELL_US	  (2 * CLOCK_SECOND_US)

/* What a server that recovers from this backup must be given, or a reader may
 * ask.  Those that a role may not see are left out. */
static const char *const kept_settings[] = { "max_connections",
	"max_worker_processes", "max_wal_senders", "max_prepared_transactions",
	"max_locks_per_transaction", "server_encoding", "wal_level",
	"server_version", "data_directory_mode", "port", "TimeZone",
	"wal_log_hints", "integer_datetimes", "lc_messages", "shared_buffers",
	"huge_pages", "shared_preload_libraries" };

static int
check_space(const struct settings *s, struct err *e)
{
	uint64_t bytes;
	char have[SIZE_TEXT_BYTES], need[SIZE_TEXT_BYTES];

	if (strstr(s->repository, "://") != NULL || s->min_free_bytes == 0)
		return 0;
	if (file_free_bytes(s->repository, &bytes, e) == -1)
		return -1;
	if (bytes >= s->min_free_bytes)
		return 0;
	(void)err_set(e, ERR_REFUSED,
	    "repository \"%s\" has %s free, min_free_bytes is %s",
	    s->repository, size_text(bytes, have),
	    size_text(s->min_free_bytes, need));
	return err_hint(e,
	    "Make room, let \"pgkura expire\" remove old backups, or lower "
	    "min_free_bytes.");
}

static int
read_facts(struct backup *b, struct cluster_facts *f, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	uint64_t segment, block, relation;

	if (session_identify(b->session, &b->identity, e) == -1 ||
	    session_show_bytes(
		b->session, "wal_segment_size", 1, &segment, e) == -1 ||
	    session_show_bytes(b->session, "block_size", 1, &block, e) == -1 ||
	    session_show_bytes(b->session, "segment_size", PAGE_BLOCK_BYTES,
		&relation, e) == -1 ||
	    session_show(b->session, "data_checksums", &text, e) == -1)
		return -1;
	if (block != PAGE_BLOCK_BYTES) {
		(void)err_set(e, ERR_REFUSED,
		    "the server has pages of %llu bytes, pgkura knows 8192",
		    (unsigned long long)block);
		return -1;
	}
	b->segment_blocks = (uint32_t)(relation / PAGE_BLOCK_BYTES);
	*f = (struct cluster_facts){ b->identity.system_id,
		session_major(b->session), session_version_num(b->session),
		(uint32_t)segment, (uint32_t)block,
		strcmp(buf_str(&text), "on") == 0 };
	return 0;
}

static void
keep_settings(struct backup *b)
{
	size_t i;

	b->root.settings = strmap_new();
	for (i = 0; i < COUNT_OF(kept_settings); i++) {
		AUTO_BUF struct buf text = BUF_INIT;
		struct err ignored = ERR_INIT;

		if (session_show(
			b->session, kept_settings[i], &text, &ignored) == 0)
			(void)strmap_put(b->root.settings, kept_settings[i],
			    mem_strdup(buf_str(&text)));
	}
}

static int
connect_source(struct backup *b, struct err *e)
{
	const struct cluster_settings *c = b->cluster;
	struct cluster_facts facts;

	b->session = session_open(
	    c->backup_conninfo != NULL ? c->backup_conninfo : c->conninfo,
	    SESSION_REPLICATION, "pgkura_backup", e);
	if (b->session == NULL)
		return -1;
	if (read_facts(b, &facts, e) == -1 ||
	    lineage_open_for(b->repo, c->name, &facts, &b->lineage, e) == -1)
		return -1;
	keep_settings(b);
	return 0;
}

/* The newest backup that can be read becomes the parent; a damaged one is
 * reported and passed over: then more is stored, nothing is lost. */
static int
find_parent(struct backup *b, struct err *e)
{
	char **ids = NULL;
	size_t count;

	if (backup_list(&b->lineage, &ids, &count, e) == -1)
		return -1;
	while (count > 0 && !b->has_parent) {
		if (root_read(&b->lineage, ids[--count], &b->parent_root, e) ==
		    0) {
			b->parent = parent_new(&b->parent_root, b->packset, e);
			b->has_parent = b->parent != NULL;
			if (!b->has_parent)
				root_free(&b->parent_root);
		}
		if (!b->has_parent) {
			log_error("parent_unusable", e);
			err_clear(e);
		}
	}
	store_names_free(ids);
	if (!b->has_parent)
		b->parent = parent_new(NULL, b->packset, e);
	return b->parent == NULL ? -1 : 0;
}

/* Packs of backups that were cut off are reused. */
static int
find_interrupted(struct backup *b, struct err *e)
{
	AUTO_FREE struct intent *intents = NULL;
	char text[32];
	size_t count, i;
	unsigned int packs;

	if (intent_list(&b->lineage, &intents, &count, e) == -1)
		return -1;
	for (i = 0; i < count; i++) {
		if (strcmp(intents[i].kind, "backup") != 0 ||
		    intent_is_alive(&intents[i]))
			continue;
		if (parent_add_interrupted(
			b->parent, &b->lineage, intents[i].id, &packs, e) == -1)
			return -1;
		if (packs == 0)
			continue;
		(void)snprintf(text, sizeof(text), "%u", packs);
		log_event(LOG_LEVEL_INFO, "backup_resumed",
		    "packs of an interrupted backup are reused", "cluster",
		    b->cluster->name, "interrupted", intents[i].id, "packs",
		    text, NULL);
	}
	return 0;
}

/*
 * An id that sorts behind those of all backups, also when two begin within one
 * second or the clock was set back: what is newest is told by ids.
 */
static int
make_id(const struct backup *b, char out[BACKUP_ID_BYTES], struct err *e)
{
	int64_t now_us = clock_now_us(), newest_us;
	char newest[BACKUP_ID_BYTES] = "";
	char **ids = NULL;
	size_t count;

	if (backup_list(&b->lineage, &ids, &count, e) == -1)
		return -1;
	if (count > 0)
		(void)snprintf(newest, sizeof(newest), "%.16s", ids[count - 1]);
	store_names_free(ids);
	if (newest[0] != '\0' &&
	    clock_parse(newest, now_us, &newest_us, NULL) == 0 &&
	    newest_us + CLOCK_SECOND_US > now_us)
		now_us = newest_us + CLOCK_SECOND_US;
	backup_id_new(now_us, out);
	return 0;
}

static int
begin_intent(struct backup *b, struct err *e)
{
	struct intent *i = &b->intent;

	if (make_id(b, i->id, e) == -1)
		return -1;
	(void)strcpy(i->kind, "backup");
	if (b->has_parent)
		(void)strcpy(i->backup, b->parent_root.id);
	return intent_begin(&b->lineage, i, e);
}

/* Intents of processes that are gone: their packs are ours now or garbage. */
static int
sweep_intents(struct backup *b, struct err *e)
{
	AUTO_FREE struct intent *intents = NULL;
	size_t count, i;

	if (intent_list(&b->lineage, &intents, &count, e) == -1)
		return -1;
	for (i = 0; i < count; i++)
		if (strcmp(intents[i].kind, INTENT_RECOVERY) != 0 &&
		    !intent_is_alive(&intents[i]) &&
		    intent_end(&b->lineage, &intents[i], e) == -1)
			return -1;
	return 0;
}

static int
stream(struct backup *b, struct err *e)
{
	const struct cluster_settings *c = b->cluster;
	struct basebackup_options options = { .label = b->intent.id,
		/* What is not protected yet should not wait. */
		.fast_checkpoint = c->fast_checkpoint || !b->has_parent };
	struct basebackup_end end = { 0 };

	if (backup_wal_reserve(b, e) == -1)
		return -1;
	rate_init(&b->rate, c->max_rate_bytes_s);
	progress_note(b->progress, "waiting for the server's checkpoint");
	if (basebackup_run(
		b->session, &options, &backup_stream_ops, b, &end, e) == -1)
		return -1;
	b->root.stop_lsn = end.stop_lsn;
	b->root.stop_timeline = end.timeline;
	/* Targets are times of the server. */
	b->root.consistent_us = clock_now_us() - b->clock_ahead_us;
	if (backup_read_label(b, e) == -1 ||
	    backup_store_manifest(b, e) == -1 ||
	    backup_store_config(b, e) == -1 ||
	    intake_finish(b->intake, &b->root, e) == -1)
		return -1;
	return backup_check_manifest(b, e);
}

static int
fill_root(struct backup *b, struct err *e)
{
	struct root *r = &b->root;
	struct backup_label label;

	if (backup_label_parse(
		&label, r->backup_label.data, r->backup_label.len, e) == -1)
		return err_ctx(e, "the server's backup_label");
	r->from_standby = label.from_standby;

	(void)strcpy(r->id, b->intent.id);
	(void)strcpy(r->cluster, b->lineage.cluster);
	(void)strcpy(r->lineage, b->lineage.name);
	if (b->has_parent)
		(void)strcpy(r->parent, b->parent_root.id);
	r->facts = b->lineage.facts;
	r->started_us = b->intent.started_us;
	r->manifest_version = r->facts.major >= 17 ? 2 : 1;
	return 0;
}

static void
report(const struct backup *b, struct backup_result *result)
{
	const struct root *r = &b->root;
	char size[SIZE_TEXT_BYTES], stored[SIZE_TEXT_BYTES], damaged[24],
	    took[CLOCK_TEXT_BYTES];

	(void)strcpy(result->id, r->id);
	result->files = r->files;
	result->bytes = r->bytes;
	result->new_bytes = r->new_bytes;
	result->stored_bytes = r->stored_bytes;
	result->damaged_pages = r->damaged_pages;
	result->elapsed_us = r->finished_us - r->started_us;
	(void)snprintf(damaged, sizeof(damaged), "%llu",
	    (unsigned long long)r->damaged_pages);
	log_event(r->damaged_pages > 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
	    "backup_done",
	    r->damaged_pages > 0 ? "backup is complete, with damaged pages"
				 : "backup is complete",
	    "cluster", r->cluster, "backup", r->id, "size",
	    size_text(r->bytes, size), "stored",
	    size_text(r->stored_bytes, stored), "took",
	    clock_interval(result->elapsed_us, took), "damaged_pages",
	    r->damaged_pages > 0 ? damaged : NULL, NULL);
}

static int
run_locked(struct backup *b, struct backup_result *result, struct err *e)
{
	const struct settings *s = b->settings;
	AUTO_FREE char *progress_path =
	    mem_printf("%s/%s/backup.progress", s->state_dir, b->cluster->name);

	if (check_space(s, e) == -1)
		return -1;
	b->repo = repo_open(s->repository, s->state_dir, true, e);
	if (b->repo == NULL || connect_source(b, e) == -1)
		return -1;
	b->packset = packset_new(&b->lineage, INDEX_CACHE_BYTES);
	b->progress = progress_new("backup", 0);
	progress_publish(b->progress, progress_path);
	if (begin_intent(b, e) == -1 || find_parent(b, e) == -1 ||
	    find_interrupted(b, e) == -1)
		return -1;
	if (stream(b, e) == -1 || backup_wal_wait(b, e) == -1 ||
	    backup_judge_pages(b, e) == -1 || child_check_stop(e) == -1)
		return -1;
	if (fill_root(b, e) == -1)
		return -1;
	b->root.finished_us = clock_now_us();
	if (root_commit(&b->lineage, &b->root, e) == -1)
		return -1;
	report(b, result);
	if (intent_end(&b->lineage, &b->intent, e) == -1)
		return -1;
	return sweep_intents(b, e);
}

/* A backup that failed before anything of it became durable leaves no intent;
 * otherwise the intent stays, so that the next one finds the packs. */
static void
drop_useless_intent(struct backup *b)
{
	char id[PACK_ID_BYTES], key[STORE_KEY_BYTES];
	struct store_info info;
	struct err ignored = ERR_INIT;

	if (b->intent.started_us == 0)
		return;
	(void)snprintf(id, sizeof(id), "%.22s.00000", b->intent.id);
	if (store_stat(repo_store(b->repo), pack_key(&b->lineage, id, key),
		&info, &ignored) == 0 &&
	    !info.exists)
		(void)intent_end(&b->lineage, &b->intent, &ignored);
}

static void
backup_free(struct backup *b)
{
	tarstream_free(b->tar);
	intake_free(b->intake);
	backup_wal_stop(b);
	progress_free(b->progress);
	parent_free(b->parent);
	root_free(&b->parent_root);
	root_free(&b->root);
	buf_free(&b->manifest);
	packset_free(b->packset);
	session_close(b->session);
	repo_close(b->repo);
}

/*
 * Packs stay while a backup runs, as it may reuse them.  Expire is quickly done
 * with what is not too much: it is waited for.
 */
static int
lock_packs(
    const struct settings *s, const struct cluster_settings *c, struct err *e)
{
	int64_t tell_us = clock_boot_us() + WAIT_TELL_US;
	int fd;

	for (;;) {
		fd = cluster_lock(s->state_dir, c->name, "packs", e);
		if (fd != -1 || e->kind != ERR_TRANSIENT)
			return fd;
		if (clock_boot_us() >= tell_us) {
			log_event(LOG_LEVEL_WARNING, "backup_waits",
			    "the backup begins when expire is done", "cluster",
			    c->name, NULL);
			tell_us = INT64_MAX;
		}
		if (child_check_stop(e) == -1)
			return -1;
		clock_sleep_us(WAIT_STEP_US);
	}
}

int
backup_run(const struct settings *s, const struct cluster_settings *c,
    struct backup_result *result, struct err *e)
{
	AUTO_FREE char *folder = file_join(s->state_dir, c->name);
	AUTO_FD int lock = -1, packs = -1;
	struct backup b;
	int rc;

	(void)memset(result, 0, sizeof(*result));
	if (c->backup_conninfo == NULL && settings_need_server(c, e) == -1)
		return -1;
	lock = cluster_lock(s->state_dir, c->name, "backup", e);
	if (lock == -1 || file_mkdirs_at(AT_FDCWD, folder, 0700, e) == -1)
		return -1;
	packs = lock_packs(s, c, e);
	if (packs == -1)
		return -1;
	err_clear(e);
	(void)memset(&b, 0, sizeof(b));
	b.settings = s;
	b.cluster = c;
	b.receiver = b.receiver_pipe = -1;
	root_init(&b.root);
	root_init(&b.parent_root);
	rc = run_locked(&b, result, e);
	if (rc == -1) {
		tarstream_free(steal_ptr(&b.tar));
		intake_free(steal_ptr(&b.intake));
		drop_useless_intent(&b);
	}
	backup_free(&b);
	return rc;
}
