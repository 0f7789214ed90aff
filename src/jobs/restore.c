/*
 * restore: a backup and the WAL behind it into a directory.
 *
 *	lineage, directory: may this be done at all?
 *	salvage: WAL of the old directory into the archive
 *	target: which backup, which timeline, where to stop
 *	plan: all there?
 *	prune, files, settings: durable
 *	pg_control gets its name: now it can start
 *	start, if asked for
 *
 * Whatever interrupts this leaves a directory that no server starts on and that
 * the same command with --delta completes.
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
#include "jobs/restore_job.h"

#define INDEX_CACHE_BYTES ((size_t)32 << 20)

/* The lineage asked for; else the newest, or the one that has the backup. */
static int
open_lineage(struct restore *r, struct err *e)
{
	const struct restore_options *o = r->options;
	struct store_info info = { 0 };
	char key[STORE_KEY_BYTES];
	char **names = NULL;
	size_t count, i;
	int rc;

	rc =
	    lineage_open(r->repo, r->cluster->name, o->lineage, &r->lineage, e);
	if (rc == -1 || o->lineage != NULL || o->target.backup_id == NULL)
		return rc;
	if (lineage_list(r->repo, r->cluster->name, &names, &count, e) == -1)
		return -1;
	for (i = 0; rc == 0 && !info.exists && i < count; i++) {
		struct lineage l;

		rc = lineage_open(r->repo, r->cluster->name, names[i], &l, e);
		if (rc == -1)
			break;
		(void)lineage_key(&l, key, "backups/%s", o->target.backup_id);
		rc = store_stat(repo_store(r->repo), key, &info, e);
		if (rc == 0 && info.exists)
			r->lineage = l;
	}
	store_names_free(names);
	return rc;
}

static int
choose(struct restore *r, struct err *e)
{
	struct target *t = &r->result->target;

	if (target_resolve(&r->lineage, &r->options->target, t, e) == -1)
		return -1;
	return root_read(&r->lineage, t->backup_id, &r->root, e);
}

/* All that may be refused.  Only salvage writes, and only to the archive:
 * what it saves may reach the target. */
static int
prepare(struct restore *r, struct err *e)
{
	const struct restore_options *o = r->options;

	if (restore_check_settings(r, e) == -1 || open_lineage(r, e) == -1)
		return -1;
	if (o->directory == NULL) /* a plan of WAL and backup alone */
		return choose(r, e) == -1 ? -1 : restore_plan(r, e);
	if (place_look(&r->place, o, r->lineage.facts.system_id, e) == -1)
		return -1;
	if (!o->plan_only && !o->no_salvage && restore_salvage(r, e) == -1)
		return -1;
	if (o->salvage_only)
		return 0;
	if (choose(r, e) == -1 || place_check(&r->place, o, &r->root, e) == -1)
		return -1;
	return restore_plan(r, e);
}

/* The restored server fetches WAL as the directory's owner. */
static void
warn_unreadable(const struct restore *r)
{
	const char *repository = store_local_path(repo_store(r->repo));
	const char *paths[] = { r->settings->path, repository };
	size_t i;

	for (i = 0; i < COUNT_OF(paths); i++)
		if (paths[i] != NULL && !r->options->no_recovery_settings &&
		    !place_owner_reads(&r->place, paths[i]))
			log_event(LOG_LEVEL_WARNING, "restore_unreadable",
			    "the owner of the restored directory cannot read "
			    "what its restore_command needs",
			    "cluster", r->cluster->name, "path", paths[i],
			    NULL);
}

/* From here on the directory changes. */
static int
write_all(struct restore *r, struct err *e)
{
	if (r->options->settings_only)
		return restore_convert(r, e);
	if (place_begin(&r->place, &r->root, e) == -1 ||
	    restore_prune(r, e) == -1 ||
	    place_link_tablespaces(&r->place, e) == -1 ||
	    restore_walk(r, e) == -1 || restore_write_settings(r, e) == -1 ||
	    child_check_stop(e) == -1 || place_sync(&r->place, e) == -1)
		return err_ctx(
		    e, "restore into \"%s\" is not complete", r->place.path);
	return place_finish(&r->place, e);
}

/* Hold the restored backup and its WAL for expire_grace from now on.  What has
 * been restored is right all the same when that cannot be said. */
static void
hold_for_recovery(struct restore *r)
{
	struct intent recovery = { .kind = INTENT_RECOVERY };
	struct err e = ERR_INIT;

	(void)memcpy(recovery.backup, r->root.id, sizeof(recovery.backup));
	if (intent_begin(&r->lineage, &recovery, &e) == -1)
		log_error("recovery_not_held", &e);
}

/* The backup is read under a lease, so that nothing of it expires, and held a
 * while longer: the restored server fetches WAL after we are gone. */
static int
write_leased(struct restore *r, struct err *e)
{
	struct intent lease = { .kind = "read" };
	struct err end = ERR_INIT;
	int rc;

	(void)memcpy(lease.backup, r->root.id, sizeof(lease.backup));
	if (intent_begin(&r->lineage, &lease, e) == -1)
		return -1;
	rc = write_all(r, e);
	if (rc == 0)
		hold_for_recovery(r);
	/* A lease that stays is stale when this process has gone. */
	if (intent_end(&r->lineage, &lease, &end) == -1)
		log_error("lease_left", &end);
	return rc;
}

static void
report(const struct restore *r)
{
	const struct restore_result *result = r->result;
	char size[SIZE_TEXT_BYTES], written[SIZE_TEXT_BYTES],
	    took[CLOCK_TEXT_BYTES], stop[LSN_TEXT_BYTES];

	log_event(LOG_LEVEL_INFO, "restore_done", "files are restored",
	    "cluster", r->cluster->name, "backup", r->root.id, "directory",
	    r->place.path, "size", size_text(result->bytes, size), "written",
	    size_text(result->written_bytes, written), "stop",
	    lsn_text(result->target.stop_lsn, stop), "took",
	    clock_interval(result->elapsed_us, took), NULL);
}

static int
run(struct restore *r, struct err *e)
{
	const struct settings *s = r->settings;
	AUTO_FREE char *folder = file_join(s->state_dir, r->cluster->name);
	AUTO_FREE char *progress_path = file_join(folder, "restore.progress");
	int64_t began_us = clock_boot_us();

	r->repo = repo_open(s->repository, s->state_dir, false, e);
	if (r->repo == NULL || prepare(r, e) == -1)
		return -1;
	if (r->place.path != NULL)
		warn_unreadable(r);
	if (r->options->plan_only || r->options->salvage_only)
		return 0;
	r->packs = packset_new(&r->lineage, INDEX_CACHE_BYTES);
	if (file_mkdirs_at(AT_FDCWD, folder, 0700, e) == -1)
		return -1;
	r->progress = progress_new("restore", r->root.bytes);
	progress_publish(r->progress, progress_path);
	if (write_leased(r, e) == -1)
		return -1;
	r->result->elapsed_us = clock_boot_us() - began_us;
	if (r->options->settings_only)
		return 0;
	restore_remember_rate(r, r->result->bytes, r->result->elapsed_us);
	report(r);
	return r->options->start ? restore_start(r, e) : 0;
}

static void
restore_free(struct restore *r)
{
	size_t i;

	progress_free(r->progress);
	for (i = 0; i < r->config_count; i++) {
		free(r->configs[i].name);
		buf_free(&r->configs[i].text);
	}
	free(r->configs);
	place_close(&r->place);
	packset_free(r->packs);
	root_free(&r->root);
	repo_close(r->repo);
}

int
restore_run(const struct settings *s, const struct cluster_settings *c,
    const struct restore_options *options, struct restore_result *result,
    struct err *e)
{
	AUTO(restore_free) struct restore r = { 0 };

	(void)memset(result, 0, sizeof(*result));
	r.settings = s;
	r.cluster = c;
	r.options = options;
	r.result = result;
	r.place.fd = -1;
	root_init(&r.root);
	if (options->directory == NULL && !options->plan_only)
		return err_set(e, ERR_USAGE, "no directory to restore into");
	if (run(&r, e) == 0)
		return 0;
	restore_result_free(result);
	return -1;
}

void
restore_result_free(struct restore_result *r)
{
	target_free(&r->target);
}
