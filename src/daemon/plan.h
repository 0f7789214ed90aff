#ifndef DAEMON_PLAN_H
#define DAEMON_PLAN_H

/*
 * plan: which job of a cluster is due.  Pure: settings, what is known and the
 * time in; a verdict out.  The daemon asks again whenever something changes,
 * so nothing is remembered here and a restart forgets nothing.
 *
 *	backup	when its schedule has come since the last one that was
 *		committed, by whom ever; or to heal a gap in WAL that was found
 *		after the last one began
 *	expire	after each backup
 *	verify	when its schedule has come since the last one that succeeded
 *	drill	when its schedule has come since the last one of which there is
 *		a report, by whom ever it was ordered
 *	drill_live when its schedule comes, and at no other time
 *
 * A job that failed is due again PLAN_RETRY_US after it ended, but for the last.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/schedule.h"
#include "conf/settings.h"

#define PLAN_RETRY_US	((int64_t)15 * 60 * 1000000)
#define PLAN_OVERDUE_US ((int64_t)60 * 60 * 1000000)

/* In order of importance. */
enum job { JOB_BACKUP, JOB_EXPIRE, JOB_VERIFY, JOB_DRILL, JOB_DRILL_LIVE };
#define JOB_COUNT 5

const char *job_name(enum job job);
/* false when there is no job of that name. */
bool job_from_name(const char *name, enum job *job);

/* When a cluster's jobs run. */
struct plan {
	bool has_server; /* else backups come from a peer only */
	bool has_backup, has_verify, has_drill, has_live, has_window;
	struct schedule backup, verify, drill, live;
	struct window_of_day window;
};

/* What settings_parse() has accepted fits. */
void plan_init(struct plan *p, const struct cluster_settings *c);

/* Wall clock times; 0 never. */
struct job_record {
	bool running;
	int64_t started_us;  /* of the last run */
	int64_t finished_us; /* its end; before started_us while it runs */
	int64_t success_us;  /* start of the last that succeeded */
	int64_t failure_us;  /* end of the last, when it failed */
};

struct plan_facts {
	bool repository_known; /* what follows was read from the repository */
	bool history_known;    /* job records before our start were read */
	uint64_t backups;
	int64_t newest_backup_us; /* its start */
	int64_t drill_us;	 /* start of the last drill with a report ... */
	int64_t drill_passed_us; /* ... and of the last that passed */
	int64_t live_us;	 /* when a live one was due last, run or not */
	int64_t gap_us;	  /* when a gap in WAL was found; 0 there is none */
	int64_t since_us; /* when the daemon began to care for the cluster */
	struct job_record jobs[JOB_COUNT];
};

struct plan_verdict {
	bool due;
	const char *why; /* "schedule", "missed", "wal_gap", ... */
	int64_t next_us; /* when it will be, if all goes well; 0 never */
	bool overdue;	 /* backups, drills: due for an hour, and still none */
};

struct plan_verdict plan_job(const struct plan *p, const struct plan_facts *f,
    enum job job, int64_t now_us);

#endif /* !DAEMON_PLAN_H */
