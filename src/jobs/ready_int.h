#ifndef JOBS_READY_INT_H
#define JOBS_READY_INT_H

/*
 * ready_int: what the files of ready share.
 */

#include "jobs/check_int.h"
#include "jobs/drill_chain.h"
#include "repo/manifest.h"
#include "repo/target.h"

struct ready {
	struct check k; /* its words: check_say() */
	struct lineage lineage;
	bool has_lineage;
	struct target target; /* where a failover would lead now */
	bool has_target;
	struct root root;
	struct chain chain;
	const struct report *drill; /* the last that passed here; NULL none */
};

/* ---- ready_data.c: what is there to be brought up ---- */
void ready_look_at_data(struct ready *r);

/* ---- ready_standby.c: the standby that would take over ---- */
void ready_look_at_standby(struct ready *r);

/* ---- ready_drill.c: what the last drill says ---- */
void ready_look_at_drill(struct ready *r);

/* ---- ready_machine.c: this machine ---- */
void ready_look_at_machine(struct ready *r);

#endif /* !JOBS_READY_INT_H */
