#ifndef JOBS_DRILL_INT_H
#define JOBS_DRILL_INT_H

/*
 * drill_int: what the files of the drill share.
 *
 * The director (drill.c) is the process that was started.  It restores and
 * tries the copy in processes of their own, which tell it of each step through
 * a pipe, so that it can watch limits and take samples all the time, and end
 * them by SIGKILL without further ado.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "jobs/drill.h"
#include "repo/repo.h"

#define DRILL_DATA   "data"
#define DRILL_LOG    "server.log"
#define DRILL_TMP    "tmp"
#define DRILL_HBA    "pg_hba.conf"
#define DRILL_RECORD "drill.json"

/* ---- drill_tell.c: what a process of the drill says to the director ---- */

enum step_result { STEP_PASSED, STEP_FAILED, STEP_SKIPPED };

struct teller {
	int fd;
};

/* name is for programs ("restore"), what for people. */
void tell_begin(const struct teller *t, const char *name, const char *what);
/* Of the step that was begun last.  output NULL none. */
void
tell_end(const struct teller *t, enum step_result result, const char *output,
    const char *fmt, ...) __attribute__((__format__(__printf__, 4, 5)));
/* The step has failed for this reason. */
void tell_failure(const struct teller *t, const struct err *e);
/* A value for the report's "facts". */
void tell_fact(const struct teller *t, const char *key, const char *value);
/* What was not tested, and why. */
void tell_untested(const struct teller *t, const char *what);

/* ---- drill_copy.c: in the box ---- */

struct drill_copy {
	const struct settings *settings;
	const struct cluster_settings *cluster;
	const struct drill_options *options;
	const struct target *target;
	const struct root *root;
	const char *folder;
	char *const *checks; /* paths of SQL, NULL-ended */
	struct buf *sql;     /* of each, read outside */
	bool open;	     /* in no box */
	struct teller teller;
};
/* A process: ends with 0 when all passed. */
int drill_copy_main(void *arg);

/* ---- drill_check.c: the promoted copy ---- */

struct copy_server {
	const struct drill_copy *copy;
	const char *bindir, *pgdata;
	char host[4096], user[64];
	int port;
};
/* Everything that is asked of a running copy.  0 all passed, 1 something has
 * failed. */
int drill_check_running(const struct copy_server *v);
int drill_check_stopped(const struct copy_server *v);
struct session *
drill_connect(const struct copy_server *v, const char *database, struct err *e);
/* A value of one row and column; "" for NULL. */
int drill_ask(const struct copy_server *v, const char *database,
    const char *sql, struct buf *out, struct err *e);

/* One step each: told; 1 when it failed. */
int drill_check_contents(const struct copy_server *v);
int drill_check_collations(const struct copy_server *v);
int drill_check_extensions(const struct copy_server *v);
int drill_check_amcheck(const struct copy_server *v);
int drill_check_files(const struct copy_server *v);
/* The user to connect as, into v->user. */
int drill_find_user(struct copy_server *v, struct err *e);

/* ---- drill_watch.c: the director's eye on a process ---- */

struct drill {
	const struct settings *settings;
	const struct cluster_settings *cluster;
	const struct drill_options *options;
	struct drill_result *result;
	struct repo *repo;
	struct lineage lineage;
	struct target target;
	struct root root;
	struct intent lease;
	int lock_fd;
	char *folder; /* <drill_dir>/<id> */
	uid_t uid;
	gid_t gid;
	bool made;	/* the folder is there */
	char **covered; /* folders that WAL makes tablespaces in */
	size_t covered_count;
	bool open; /* in no box */
	const char *open_why;
	char **checks;	 /* paths of SQL, NULL-ended ... */
	struct buf *sql; /* ... and what they hold */

	json_t *steps, *facts, *untested, *samples; /* samples NULL: none */
	json_t *step; /* the one that is open; borrowed */
	int64_t step_began_us;
	enum drill_outcome outcome;
	struct buf verdict; /* one sentence, why it is not passed */

	int64_t started_us, began_us; /* wall, boot */
	int64_t known_us; /* source's time of the last WAL at the start */
	int64_t skew_us;  /* the source's clock minus ours then ... */
	bool skew_known;  /* ... or 0 */
	int64_t sample_us, sample_every_us, space_us;
	uint64_t space_most_bytes;
	char phase[32]; /* what samples are taken during */
};

void drill_begin_step(struct drill *d, const char *name, const char *what);
void drill_end_step(struct drill *d, enum step_result result, const char *fmt,
    ...) __attribute__((__format__(__printf__, 3, 4)));
/* Follow the process pid, which tells through fd, to its end within the limits.
 * 0 it has ended by itself with 0, 1 it has failed or was ended: d->outcome and
 * d->verdict say so. */
int drill_follow(struct drill *d, pid_t pid, int fd);
/* It cannot be passed any more; the first word stays. */
void drill_spoil(struct drill *d, enum drill_outcome outcome, const char *fmt,
    ...) __attribute__((__format__(__printf__, 3, 4)));
int64_t drill_left_us(const struct drill *d);

/* ---- drill_sample.c: did replication go on? ---- */

void drill_sample(struct drill *d, const char *phase, bool now);
/* {"samples", "verdict", "went_on"} */
json_t *drill_replication(const struct drill *d);
/* The source's time of the last WAL that is here, 0 unknown. */
int64_t drill_known_us(const struct drill *d);

/* ---- drill_cover.c ---- */

/*
 * Fill d->covered: replaying CREATE TABLESPACE empties the folder that it names
 * and writes there, so another one has to be there instead.  ERR_REFUSED where
 * that is not possible.
 */
int drill_find_tablespaces(struct drill *d, struct err *e);
/* Make the folders that are to be there instead. */
int drill_make_covers(const struct drill *d, struct err *e);

/* ---- drill_clean.c ---- */

/* Leave word of the folder before it is made. */
int drill_record_write(const struct drill *d, struct err *e);
/* Remove folder and word.  The report's "cleanup" into *cleanup. */
int drill_clean(struct drill *d, json_t **cleanup, struct err *e);
/* What is on the disk below path. */
uint64_t drill_disk_bytes(const char *path);

/* ---- drill_write.c ---- */

/* What reports of all kinds of drills have. */
json_t *
drill_write_head(const struct drill *d, const char *kind, const char *scenario);
/* "rpo" and "rto"; us -1: it was not achieved. */
json_t *drill_measure(int64_t target_us, int64_t us, json_t *parts);
void
drill_add_part(json_t *parts, const char *what, int64_t us, const char *how);
/* The report of what is known of d, without signature and place in a chain. */
json_t *drill_write_report(const struct drill *d, json_t *cleanup);

#endif /* !JOBS_DRILL_INT_H */
