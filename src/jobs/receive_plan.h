#ifndef JOBS_RECEIVE_PLAN_H
#define JOBS_RECEIVE_PLAN_H

/*
 * receive_plan: where to begin receiving, from what is here and what the server
 * says.  Pure.
 *
 *	what is here            the server's history
 *	1 ######|               1 ----+            go on with timeline 1
 *	                              2 ---->
 *	1 ##########|           1 ----+            begin timeline 2 at the
 *	                              2 ---->      segment of its start; ours
 *	                                           beyond that has diverged
 *	2 ####|                 1 ---->            conflict: an older server
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "pg/label.h"
#include "repo/walarchive.h"

struct receive_facts {
	const struct wal_span *spans; /* wal_spans() */
	size_t span_count;
	uint32_t segment_bytes;
	uint32_t server_timeline;
	uint64_t server_end_lsn;
	const struct timeline_history *history; /* of server_timeline */
	uint64_t slot_lsn;			/* restart_lsn; LSN_NONE */
	uint64_t from_lsn; /* LSN_NONE: at the server's end */
	bool after_gap;	   /* what follows ours is gone: begin anew */
};

struct receive_plan {
	uint32_t timeline;
	uint64_t start_lsn; /* a segment's start */
	/* End of what is here of that timeline; LSN_NONE nothing. */
	uint64_t have_lsn;
	/* The end of the WAL that is here, whatever timeline; LSN_NONE. */
	uint64_t end_lsn;
	/* Ours that is not in the server's history: LSN_NONE none. */
	uint32_t diverged_timeline;
	uint64_t diverged_lsn, diverged_end_lsn;
};

/*
 * ERR_CONFLICT, with what to do, when what is here is ahead of the server or of
 * a later timeline.
 */
int receive_plan_make(
    const struct receive_facts *f, struct receive_plan *p, struct err *e);

#endif /* !JOBS_RECEIVE_PLAN_H */
