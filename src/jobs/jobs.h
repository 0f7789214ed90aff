#ifndef JOBS_JOBS_H
#define JOBS_JOBS_H

/*
 * jobs: what pgkura does, one file a job, named by its verb.
 *
 * A job takes settings and plain options, runs in the calling process under
 * the locks it needs, and is the same for the daemon's children and for
 * commands in the foreground.  Results that people read come back in structs;
 * jobs print nothing but events and progress.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/settings.h"
#include "repo/manifest.h"
#include "repo/target.h"

/* ---- backup.c ---- */
struct backup_result {
	char id[BACKUP_ID_BYTES];
	uint64_t files, bytes, new_bytes, stored_bytes;
	uint64_t damaged_pages;
	int64_t elapsed_us;
};
/*
 * Take one base backup and commit it.  ERR_CORRUPT is never returned for
 * damaged pages: the backup is kept and damaged_pages says how many.
 */
int backup_run(const struct settings *s, const struct cluster_settings *c,
    struct backup_result *result, struct err *e);

/* ---- receive.c ---- */
struct receive_options {
	uint64_t until_lsn; /* stop when this is durable; LSN_NONE: for ever */
	bool no_slot;	    /* a temporary one: for a backup's own WAL */
	uint64_t from_lsn; /* begin here when nothing is there; LSN_NONE: now */
	int parent_fd;	   /* ends when this reaches end of file; -1 none */
};
/* Stream WAL into the repository until a stop is requested or until_lsn.
 * Reconnects by itself unless until_lsn is given.  ERR_TRANSIENT when another
 * receiver of this cluster runs. */
int receive_run(const struct settings *s, const struct cluster_settings *c,
    const struct receive_options *options, struct err *e);

/* ---- archive.c: archive_command's side in the daemon ---- */
/* Serve `pgkura-wal push` on runtime_dir/wal.sock for all clusters. */
int archive_serve(const struct settings *s, struct err *e);
/* Store one file that archive_command offers, in this process: the cluster is
 * found by the system identifier in the segment.  path is %p. */
int archive_push(const struct settings *s, const char *path, struct err *e);

/* ---- fetch.c: restore_command's side ---- */
struct fetch_options {
	const char *cluster, *lineage; /* NULL: newest */
	const char *name;	       /* %f */
	const char *path;	       /* %p: made when found */
	bool standby;		       /* "not now" is "not there" */
	unsigned int ahead;	       /* segments to read ahead; 0 none */
	int64_t wait_us; /* for a hole to fill; 0: 30 s, standby 2 s */
};
/* *found false: it does not exist and nothing later does (exit 1).  -1: a hole
 * or an unreachable store (exit above 125). */
int fetch_run(const struct settings *s, const struct fetch_options *options,
    bool *found, struct err *e);

/* ---- restore.c ---- */
struct restore_options {
	struct target_request target;
	const char *directory; /* NULL: plan_only, without a place */
	enum recovery_action action;
	bool plan_only, delta, force_delta;
	bool take_over; /* else a copy that neither archives nor replicates */
	bool standby;
	const char *const *tablespace_map; /* "OLD=NEW" pairs, NULL-ended */
	const char *config_dir; /* Debian: where configuration goes */
	unsigned int workers;	/* 0: the cluster's */
	bool start;
	const char *log_path;
	bool no_recovery_settings; /* only files */
	/* "name=value" for postgresql.auto.conf, NULL-ended: another port... */
	const char *const *server_settings;
	/* A standby that jobs/follow.h keeps: with follow_marker's text in it. */
	const char *follow_marker; /* NULL: none */
	bool no_salvage;	   /* the old WAL all came from here */
	bool settings_only; /* recovery settings and signal file, and no file of
			       a backup */
	bool salvage_only;  /* take over the old WAL, restore nothing */
	const char *owner;  /* "user" or "user:group"; NULL: as the place */
	const char *lineage; /* NULL: newest, or the one with the backup */
};
struct restore_result {
	struct target target;
	uint64_t files, bytes; /* to be there */
	uint64_t read_bytes;   /* stored bytes read or to be read */
	uint64_t written_bytes;
	uint64_t kept_blocks, written_blocks; /* delta */
	uint64_t wal_bytes;
	int64_t elapsed_us, estimate_us;
	char salvaged[64]; /* WAL taken from the old directory */
};
int restore_run(const struct settings *s, const struct cluster_settings *c,
    const struct restore_options *options, struct restore_result *result,
    struct err *e);
void restore_result_free(struct restore_result *r);

/* ---- verify.c ---- */
struct verify_finding {
	char *object; /* key in the repository */
	char *what;
};
/* An object that another site may have whole. */
struct verify_want {
	char lineage[LINEAGE_NAME_BYTES];
	char *name; /* in the lineage */
	char *what;
	uint64_t bytes; /* 0 unknown */
	bool has_sha256;
	uint8_t sha256[SHA256_BYTES]; /* of a pack */
};
struct verify_result {
	uint64_t objects, bytes;
	struct verify_finding *findings;
	size_t finding_count;
	struct verify_want *wants;
	size_t want_count;
	size_t others; /* findings that no object of another site would mend */
	struct strmap *packs; /* that were looked at; for verify_again() */
	/* Of roots that are sound: lineage/name to SHA-256, in hex: char *. */
	struct strmap *roots;
};
/* backup_id NULL: all.  Damage is in findings, not an error. */
int verify_run(const struct settings *s, const struct cluster_settings *c,
    const char *backup_id, unsigned int sample_percent,
    struct verify_result *result, struct err *e);
/* The same, but of packs and segments only those that before wants, and what it
 * could not know of. */
int verify_again(const struct settings *s, const struct cluster_settings *c,
    const char *backup_id, const struct verify_result *before,
    struct verify_result *result, struct err *e);
void verify_result_free(struct verify_result *r);

/* ---- verify_heal.c ---- */
/* Write down what is damaged (jobs/damage.h): the couriers ask other sites for
 * it.  complete: all was looked at, and what is not in r is not damaged. */
int verify_record(const struct settings *s, const struct cluster_settings *c,
    const struct verify_result *r, bool complete, struct err *e);
struct verify_heal_result {
	size_t healed;
	/* What is damaged still: why, one each; NULL-ended. */
	char **left;
	size_t left_count;
	char *waits; /* why nothing more comes now; NULL: it was waited for */
};
/*
 * verify_record(), then wait until each of them is whole or nobody is left to
 * ask, and look again.  r is what was found, and becomes what is found still.
 */
int verify_heal(const struct settings *s, const struct cluster_settings *c,
    const char *backup_id, bool complete, struct verify_result *r,
    struct verify_heal_result *result, struct err *e);
void verify_heal_result_free(struct verify_heal_result *r);

/* ---- courier.c ---- */
/* Serve one peer: all connections to it, clusters that go there and come from
 * there.  Runs until a stop is requested. */
int courier_run(
    const struct settings *s, const struct peer_settings *p, struct err *e);

/* ---- expire.c ---- */
struct expire_item {
	char *object; /* "backup 2026...", "pack ...", "wal main 1 up to ..." */
	bool removed;
	char *why;
};
struct expire_result {
	struct expire_item *items;
	size_t count;
	uint64_t backups, packs, wal_segments, bytes; /* removed */
};
int expire_run(const struct settings *s, const struct cluster_settings *c,
    bool dry_run, struct expire_result *result, struct err *e);
void expire_result_free(struct expire_result *r);

/* ---- check.c ---- */
enum check_verdict { CHECK_OK, CHECK_NOTE, CHECK_WARNING, CHECK_FAULT };
struct check_item {
	enum check_verdict verdict;
	char *what;   /* "replication connection" */
	char *found;  /* "role kura at host db1" */
	char *remedy; /* NULL when ok */
};
struct check_result {
	struct check_item *items;
	size_t count;
	unsigned int faults, warnings;
};
int check_run(const struct settings *s, const struct cluster_settings *c,
    struct check_result *result, struct err *e);
void check_result_free(struct check_result *r);

/* ---- listen.c: connections of other sites ---- */
/* Serve settings->listen until a stop is requested. */
int listen_run(const struct settings *s, struct err *e);

#endif /* !JOBS_JOBS_H */
