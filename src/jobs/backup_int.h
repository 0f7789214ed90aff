#ifndef JOBS_BACKUP_INT_H
#define JOBS_BACKUP_INT_H

/*
 * backup_int: what the files of the backup job share.
 */

#include <sys/types.h>

#include "base/progress.h"
#include "base/rate.h"
#include "jobs/jobs.h"
#include "pg/basebackup.h"
#include "pg/session.h"
#include "pg/tarstream.h"
#include "repo/intake.h"

/* The server's manifest is compared with what went through, up to this size. */
#define BACKUP_MANIFEST_CHECK_MAX ((size_t)64 << 20)

struct backup {
	const struct settings *settings;
	const struct cluster_settings *cluster;
	struct repo *repo;
	struct session *session;
	struct session_identity identity;
	struct lineage lineage;
	struct packset *packset;
	struct root parent_root;
	bool has_parent;
	struct parent *parent;
	struct intent intent;
	uint32_t segment_blocks;
	struct intake *intake;
	struct progress *progress;
	struct rate rate;
	struct root root; /* being made */

	/* backup_stream.c */
	struct tarstream *tar;
	char prefix[40]; /* of the archive's members: "" or "pg_tblspc/1/" */
	struct buf *capture; /* a small file that the root keeps too */
	bool in_file;
	struct buf manifest;	/* the server's */
	int64_t clock_ahead_us; /* ours before the server's, to a second */

	/* backup_wal.c */
	char slot[64];	/* temporary, "" when none */
	pid_t receiver; /* our own, -1 when another runs */
	int receiver_pipe;
};

/* ---- backup_stream.c: BASE_BACKUP into the intake ---- */
extern const struct basebackup_ops backup_stream_ops;
int backup_store_manifest(struct backup *b, struct err *e);
/* What backup_label says of its origin. */
int backup_read_label(struct backup *b, struct err *e);
/* Configuration outside the data directory, kept as attachments. */
int backup_store_config(struct backup *b, struct err *e);
/* Sizes and CRCs of the server's manifest against what we stored. */
int backup_check_manifest(struct backup *b, struct err *e);

/* ---- backup_wal.c: the WAL that the backup needs ---- */
int backup_wal_reserve(struct backup *b, struct err *e);
/* Called when the start position is known and no thread runs yet. */
int backup_wal_start(struct backup *b, uint64_t start_lsn, struct err *e);
/* Wait until all WAL from start to stop is durable here; fills ranges. */
int backup_wal_wait(struct backup *b, struct err *e);
void backup_wal_stop(struct backup *b);
/* Which suspects are damage and not torn pages that replay heals. */
int backup_judge_pages(struct backup *b, struct err *e);

#endif /* !JOBS_BACKUP_INT_H */
