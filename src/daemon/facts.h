#ifndef DAEMON_FACTS_H
#define DAEMON_FACTS_H

/*
 * facts: what the supervisor knows of the site and its clusters.  It only
 * listens: to the watcher, to the history, to events, to jobs that end.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "conf/settings.h"
#include "daemon/plan.h"

/* A time of the repository: one ahead of the clock, which was set back, counts as
 * when that was noticed. */
struct facts_past {
	int64_t said_us, us;
};

struct cluster_view {
	char *name;
	struct plan plan;
	struct plan_facts known;
	json_t *seen;	      /* the watcher's last message; NULL: none yet */
	int64_t seen_gap_us;  /* since the watcher sees one; 0 it does not */
	int64_t event_gap_us; /* of an event, until a backup begins behind it */
	/* CLOCK_BOOTTIME: a wall clock may be set meanwhile. */
	int64_t contact_boot_us; /* we heard of the receiver's last contact with
				  * the server, or began to wait for it */
	int64_t behind_boot_us; /* since when WAL the server has does not become
				 * durable here; 0 it does */
	struct facts_past newest_backup, drill, drill_passed;
	char *job_error[JOB_COUNT]; /* of the last run; NULL: it went well */
	bool damage;	 /* the last verification found some: its job_error */
	json_t *problem; /* the last event of level warning or error; NULL */
};

struct facts {
	struct cluster_view *clusters;
	size_t count;
	int64_t since_us; /* wall clock: start of the daemon */
	int64_t
	    watched_boot_us; /* CLOCK_BOOTTIME of the watcher's last word, or of
				  * that start */
	bool free_known;
	uint64_t free_bytes;
	bool history_known;
	char *settings_error; /* of the last reload; NULL: it went well */
};

struct facts *facts_new(int64_t now_us);
void facts_free(struct facts *f);
AUTO_DEFINE(struct facts, facts_free);
#define AUTO_FACTS AUTO(facts_free_auto)

/* Make the clusters those of s; what is known of those that stay is kept. */
void
facts_set_settings(struct facts *f, const struct settings *s, int64_t now_us);
/* NULL when there is none. */
struct cluster_view *facts_cluster(const struct facts *f, const char *name);

/* A message of any type.  What does not concern us is passed over. */
void facts_take(struct facts *f, const json_t *message);
/* What was before our start is as known as it will be. */
void facts_history_known(struct facts *f);

void facts_job_started(struct cluster_view *c, enum job job, int64_t now_us);
/* exit_status: err_exit_status().  A verification that found damage has done
 * its work. */
void facts_job_ended(
    struct cluster_view *c, enum job job, int exit_status, int64_t now_us);

#endif /* !DAEMON_FACTS_H */
