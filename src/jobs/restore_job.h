#ifndef JOBS_RESTORE_JOB_H
#define JOBS_RESTORE_JOB_H

/*
 * restore_job: what the files of the restore job share.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/progress.h"
#include "jobs/jobs.h"
#include "jobs/restore_pipe.h"
#include "jobs/restore_place.h"
#include "repo/manifest.h"
#include "repo/repo.h"

/* Where the kept copy of a configuration outside PGDATA goes when nothing else
 * is said. */
#define RESTORE_CONFIG_FOLDER "pgkura.config"

/* A configuration file that the backup has kept beside the data. */
struct restore_config {
	char *name; /* "postgresql.conf", "conf.d/x.conf" */
	struct buf text;
};

struct restore {
	const struct settings *settings;
	const struct cluster_settings *cluster;
	const struct restore_options *options;
	struct restore_result *result;
	struct repo *repo;
	struct lineage lineage;
	struct root root;
	struct packset *packs;
	struct restore_place place;
	struct progress *progress;
	struct restore_config *configs;
	size_t config_count;
	bool has_main_config; /* the data directory holds postgresql.conf */
};

/* ---- restore_plan.c ---- */
/* All packs there?  Fills bytes and estimate.  ERR_CORRUPT when one is not. */
int restore_plan(struct restore *r, struct err *e);
/* Remember how fast it went, for the next estimate. */
void restore_remember_rate(
    const struct restore *r, uint64_t bytes, int64_t elapsed_us);

/* ---- restore_salvage.c ---- */
/*
 * WAL in the old directory's pg_wal that continues what the archive has is
 * stored there.  What cannot be stored is reported and passed over; the error
 * is of reading or of the repository.
 */
int restore_salvage(struct restore *r, struct err *e);

/* ---- restore_prune.c ---- */
/* Remove what is in the directory but not in the backup, and old WAL. */
int restore_prune(struct restore *r, struct err *e);

/* ---- restore_walk.c ---- */
/* All folders, files and the manifest. */
int restore_walk(struct restore *r, struct err *e);

/* ---- restore_settings.c ---- */
/* backup_label, recovery settings, signal file, kept configuration. */
int restore_write_settings(struct restore *r, struct err *e);
/* Of a directory that is not restored: all of these but backup_label. */
int restore_convert(struct restore *r, struct err *e);
/* Are the server's settings that were asked for such?  ERR_USAGE. */
int restore_check_settings(const struct restore *r, struct err *e);
/* backup_label's effective bytes. */
void restore_label(const struct restore *r, struct buf *out);

/* ---- restore_start.c ---- */
int restore_start(struct restore *r, struct err *e);
/* Append options for a server on pgdata whose postgresql.conf, and other
 * configuration, lies in folder. */
int restore_config_options(
    const char *pgdata, const char *folder, struct buf *out, struct err *e);

#endif /* !JOBS_RESTORE_JOB_H */
