#ifndef PG_BASEBACKUP_RUN_H
#define PG_BASEBACKUP_RUN_H

/*
 * basebackup_run: one base backup under way; for the files basebackup*.c only.
 */

#include <stdbool.h>
#include <stddef.h>

#include "pg/basebackup.h"
#include "pg/session_io.h"

struct basebackup_run {
	struct session *s;
	const struct basebackup_ops *ops;
	void *arg;
	PGresult *next; /* looked at, but not taken yet */
	struct basebackup_start start;
	struct basebackup_tablespace *tablespaces;
	size_t archives_done;
	bool in_archive, in_manifest;
};

/* "could not take the base backup": in front of each failure. */
extern const char basebackup_doing[];

/* Make sure that r->next is the next result, NULL after the last.  A failure of
 * the server is left in it. */
int basebackup_run_peek(struct basebackup_run *r, struct err *e);

/* Results 1 and the last but one: a position. */
int basebackup_run_position(
    struct basebackup_run *r, uint64_t *lsn, uint32_t *timeline, struct err *e);
/* Result 2: the tablespaces, into r->start. */
int basebackup_run_tablespaces(struct basebackup_run *r, struct err *e);

/* All archives and the manifest: 13 and 14, or later. */
int basebackup_run_copies(struct basebackup_run *r, struct err *e);
int basebackup_run_typed_copy(struct basebackup_run *r, struct err *e);

#endif /* !PG_BASEBACKUP_RUN_H */
