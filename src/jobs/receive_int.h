#ifndef JOBS_RECEIVE_INT_H
#define JOBS_RECEIVE_INT_H

/*
 * receive_int: what the files of the receive job share.
 *
 *	receive.c          lock, connect again and again, what to do about errors
 *	receive_start.c    one connection: checks, slot, histories, the plan
 *	receive_recover.c  what an earlier receiver left open
 *	receive_stream.c   messages; reports; the end of a timeline
 *	receive_take.c	   bytes to segments; when they are made durable
 *	receive_publish.c  full segments to stored ones, on other threads
 *	receive_status.c   receiver.json
 */

#include "jobs/jobs.h"
#include "jobs/receive_plan.h"
#include "jobs/remote_ack.h"
#include "jobs/rule_ack.h"
#include "pg/session.h"
#include "pg/walstream.h"
#include "repo/repo.h"
#include "repo/walcheck.h"
#include "repo/walstored.h"

/* ---- receive_publish.c ---- */

/* A segment on its way from open to stored. */
struct receive_segment {
	struct wal_open *open;
	struct walindex index; /* once it is full */
	uint64_t start_lsn, end_lsn;
	/* Of the publisher: */
	bool done;
	struct err err; /* ERR_NONE: it is stored */
	struct receive_segment *next;
};

struct receive_segment *receive_segment_new(
    struct wal_open *open, uint64_t start_lsn, uint32_t segment_bytes);
void receive_segment_free(struct receive_segment *s); /* its file stays */
AUTO_DEFINE(struct receive_segment, receive_segment_free);
#define AUTO_RECEIVE_SEGMENT AUTO(receive_segment_free_auto)

/* Threads that store full segments, and the row of those on their way. */
struct publisher;

/* durable_lsn: what is durable before the first segment. */
struct publisher *
publisher_new(const struct lineage *l, int level, uint64_t durable_lsn);
/* Waits for the threads; what was not stored keeps its file. */
void publisher_free(struct publisher *p);
AUTO_DEFINE(struct publisher, publisher_free);
#define AUTO_PUBLISHER AUTO(publisher_free_auto)

/* Hand over a full segment; waits while too many are on their way. */
int
publisher_put(struct publisher *p, struct receive_segment *s, struct err *e);
/* Take out what is stored, its open files removed; all of it when wait.  -1: one
 * could not be stored; the row stays as it is. */
int publisher_reap(struct publisher *p, bool wait, struct err *e);
/* Up to where everything is stored, or synced in open files. */
uint64_t publisher_durable(struct publisher *p);
/* Is everything that was put? */
bool publisher_all_durable(const struct publisher *p);
/* After a failure: make what is not stored durable in its open file, in order.
 */
int publisher_save(struct publisher *p, struct err *e);

/* ---- receive_status.c ---- */

struct receive_status {
	char path[1024]; /* "" none */
	const char *cluster;
	const char *state; /* "connecting", "streaming", "waiting" */
	char lineage[LINEAGE_NAME_BYTES];
	uint32_t timeline;
	uint64_t received_lsn, flushed_lsn, server_end_lsn;
	int64_t message_us;	 /* when the server was last heard ... */
	int64_t message_boot_us; /* ... by CLOCK_BOOTTIME */
	int64_t server_us;	 /* its clock then */
	int64_t connected_us;	 /* 0: not connected */
	struct err err;		 /* why not */
	const char *ack;	 /* "local", "remote", "degraded" */
	uint64_t remote_lsn;	 /* durable at another site; LSN_NONE */
	int64_t safe_until_us;	 /* remote_ack.h */
	const char *ack_wait;	 /* does the server wait for it */
	int64_t written_us;	 /* CLOCK_BOOTTIME */
};

int receive_status_begin(struct receive_status *st, const struct settings *s,
    const struct cluster_settings *c, struct err *e);
/* Replace the file when a second has passed, or now. */
void receive_status_show(struct receive_status *st, bool now);
void receive_status_end(struct receive_status *st); /* removes it */

/* ---- one connection ---- */

struct receiver {
	const struct settings *settings;
	const struct cluster_settings *cluster;
	const struct receive_options *options;
	struct repo *repo;
	struct receive_status status;
	struct remote_ack remote;
	bool after_gap; /* the server no longer has what follows ours */
	bool gap_told;
	struct rule_ack ack; /* what the rule of the cluster allows */
	bool standby;	     /* this site has become one: it ends */

	/* Of one connection: */
	struct lineage lineage;
	char slot[64]; /* "" none */
	struct session *session;
	struct session_identity identity;
	struct timeline_history history;
	struct receive_plan plan;
	bool awaited;	 /* it has synchronous standbys, perhaps us */
	bool named;	 /* ... us, when it was connected to */
	int64_t anew_us; /* when it was connected to anew because of that */
};

/* Connect, check the server, prepare the slot, fetch histories, make the plan. */
int receive_start(struct receiver *r, struct err *e);
void receive_disconnect(struct receiver *r);
/* The server's history of timeline: stored with those before it, and read into
 * h. */
int receive_histories(struct receiver *r, uint32_t timeline,
    struct timeline_history *h, struct err *e);

/* Store what is full of the open segments; the rest of other timelines becomes
 * partials. */
int receive_recover(const struct lineage *l, int level, struct err *e);
int receive_retire_others(
    const struct lineage *l, uint32_t timeline, struct err *e);

enum receive_end {
	RECEIVE_SHUTDOWN, /* the server ended it */
	RECEIVE_TIMELINE, /* plan says where it goes on */
	RECEIVE_ANEW,	  /* connect anew, at once */
	RECEIVE_DONE	  /* options->until_lsn is durable */
};

/* Stream from r->plan on until something ends it.  *gap is set when it fails as
 * the server no longer has the WAL.  All that was received is durable, or was
 * never acknowledged, when it returns. */
int receive_stream(
    struct receiver *r, enum receive_end *end, bool *gap, struct err *e);

/* ERR_CANCELED when a stop is requested or the parent is gone. */
int receive_check_stop(const struct receiver *r, struct err *e);

#endif /* !JOBS_RECEIVE_INT_H */
