#ifndef JOBS_FOLLOW_H
#define JOBS_FOLLOW_H

/*
 * follow: a standby at this site that is kept in recovery from the repository,
 * up to the last byte that is durable here.  It never connects to the primary.
 *
 *	         create                    start
 *	ABSENT ----------> UNFINISHED -> STOPPED --> STARTING --> RUNNING
 *	  ^                    ^            ^                     |  |
 *	  | drop               | made anew  | crash, stop         |  | promotion
 *	  +--------------------+------------+---------------------+  v
 *							    PROMOTED
 *
 * FOLLOW_MARKER in the directory says that it is a standby of ours, of which
 * cluster, and where it lies: what is not ours is never touched.
 *
 *	follow.c	 the duty: keep it running
 *	follow_build.c	 make it, make it anew
 *	follow_drop.c	 remove it
 *	follow_server.c	 start it, reach it
 *	follow_look.c	 how far it is
 *	follow_wal.c	 how far the repository is
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "conf/settings.h"
#include "jobs/jobs.h"
#include "pg/session.h"
#include "repo/walarchive.h"

#define FOLLOW_MARKER "pgkura.standby"

enum follow_state {
	FOLLOW_ABSENT,	   /* no directory, or an empty one */
	FOLLOW_FOREIGN,	   /* something that is not ours */
	FOLLOW_UNFINISHED, /* being made, or that was interrupted */
	FOLLOW_STOPPED,
	FOLLOW_STARTING, /* it runs; no word yet of how far it is */
	FOLLOW_RUNNING,
	FOLLOW_PROMOTED /* no standby any more; it may be stopped */
};

/* "absent", "foreign", ... */
const char *follow_state_name(enum follow_state state);

/* ---- follow_wal.c ---- */

/* The end of the newest timeline's WAL here.  All zero before the first call;
 * later calls only look at what is new. */
struct follow_end {
	uint32_t timeline; /* 0: no WAL */
	uint64_t lsn;
};
int follow_end(const struct lineage *l, struct follow_end *end, struct err *e);
/*
 * Is there a whole record at or behind lsn in the history of timeline?  *end_lsn
 * is the end of the first one; LSN_NONE when there is none.  ERR_NOT_FOUND where
 * a segment is missing.
 */
int follow_next_record(const struct lineage *l, uint32_t timeline, uint64_t lsn,
    uint64_t *end_lsn, struct err *e);

/* ---- follow_look.c ---- */

/* How things are. */
struct follow_view {
	enum follow_state state;
	pid_t pid; /* 0: it does not run */
	uint32_t timeline;
	uint64_t replayed_lsn; /* LSN_NONE unknown; when exact is false, at
				  least so far */
	bool exact;	       /* its server said so */
	bool paused;	       /* somebody has paused replay */
	bool writable;	       /* its server says that it is no standby */
	int64_t replayed_us;   /* last transaction replayed; 0 unknown */
	struct follow_end end; /* of what is durable here */
	int64_t known_us; /* all that the primary had at this time is here; by
			   * its clock; 0 unknown */
	uint64_t behind_bytes; /* replay, behind what is here */
	int64_t behind_us;     /* replay, behind the primary; -1 unknown */
	int64_t look_us;       /* wall clock of this */
	struct err err;	       /* why its server does not answer */
};

struct follow {
	const struct settings *settings;
	const struct cluster_settings *cluster;
	struct repo *repo;
	struct lineage lineage;
	struct follow_end end;
	struct session *session; /* kept open, so that full connection slots do
				  * not look like a fault */
	pid_t session_pid;
};

/* standby_dir must be set: ERR_USAGE. */
int follow_open(struct follow *f, const struct settings *s,
    const struct cluster_settings *c, struct err *e);
void follow_close(struct follow *f);
#define AUTO_FOLLOW AUTO(follow_close)

/* -1: the directory or the repository cannot be read. */
int follow_look(struct follow *f, struct follow_view *v, struct err *e);
/* The directory alone. */
int follow_look_state(const struct settings *s,
    const struct cluster_settings *c, struct follow_view *v, struct err *e);
/* For status, and people who read JSON. */
json_t *follow_json(const struct follow_view *v);

/* ---- follow_server.c ---- */

/* Start it and wait, by its progress, until it takes sessions (a hot one) or is
 * up.  progress may be NULL. */
int follow_start(const struct settings *s, const struct cluster_settings *c,
    void (*progress)(void *arg, const char *line), void *arg, struct err *e);
/* Where its server logs when we start it; the caller frees. */
char *
follow_log_path(const struct settings *s, const struct cluster_settings *c);
/* Append how it is reached.  ERR_NOT_FOUND when it does not run. */
int follow_conninfo(
    const struct cluster_settings *c, struct buf *out, struct err *e);

/* ---- follow_build.c ---- */

/* ERR_USAGE when the cluster has no standby here. */
int follow_need(const struct cluster_settings *c, struct err *e);

struct follow_build {
	bool delta;	 /* over what is there: a directory of this cluster */
	bool convert;	 /* settings alone: it stands on the new history */
	bool no_salvage; /* its WAL all came from here */
};
/* Make the directory from the newest backup; it must not run. */
int follow_build(const struct settings *s, const struct cluster_settings *c,
    const struct follow_build *how, struct restore_result *result,
    struct err *e);
/* The operator's order that it is not to run: durable, in the state directory.
 */
int follow_is_off(
    const struct settings *s, const struct cluster_settings *c, struct err *e);
int follow_set_off(const struct settings *s, const struct cluster_settings *c,
    bool off, struct err *e);

/* ---- follow_drop.c ---- */

/* Stop it, also when it is being made, and remove the directory; it is off then.
 * Refuses what is not ours, and what was promoted.  Folders of tablespaces stay. */
int follow_drop(
    const struct settings *s, const struct cluster_settings *c, struct err *e);

/* ---- follow.c ---- */

/* The duty: until a stop is requested.  The server goes on without us. */
int follow_run(
    const struct settings *s, const struct cluster_settings *c, struct err *e);

#endif /* !JOBS_FOLLOW_H */
