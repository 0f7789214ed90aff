#ifndef JOBS_CHECK_INT_H
#define JOBS_CHECK_INT_H

/*
 * check_int: what the files of the check share.
 */

#include "jobs/jobs.h"
#include "pg/session.h"

struct check {
	const struct settings *settings;
	const struct cluster_settings *cluster;
	struct check_result *result;
	struct repo *repo;	 /* NULL when it cannot be opened */
	struct session *session; /* check_server.c */
	int major;		 /* of the server, 0 unknown */
	bool daemon_runs;
};

/* Add one line; remedy NULL when all is well. */
void check_say(struct check *k, enum check_verdict verdict, const char *what,
    const char *remedy, const char *fmt, ...)
    __attribute__((__format__(__printf__, 5, 6)));
/* A fault whose cause and remedy are an error's text and hint. */
void check_fault(struct check *k, const char *what, const struct err *e);

/* ---- check_site.c: files and programs of this site ---- */
void check_conf(struct check *k);
void check_state(struct check *k);
void check_repository(struct check *k); /* opens k->repo */
void check_runtime(struct check *k);
void check_programs(struct check *k);

/* ---- check_connect.c ---- */
void check_connect(struct check *k); /* and what the server says */

/* ---- check_link.c: other sites ---- */
void check_link(struct check *k);

/* ---- check_fence.c: what keeps an old primary from writing.  run: run the test
 * of a hook, else say what the rule's last one said ---- */
void check_fence(struct check *k, bool run);

/* ---- check_server.c: over k->session ---- */
void check_server(struct check *k);
void check_slot_lost(struct check *k, struct session *sql);

#endif /* !JOBS_CHECK_INT_H */
