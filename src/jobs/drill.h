#ifndef JOBS_DRILL_H
#define JOBS_DRILL_H

/*
 * drill: prove that a cluster can be brought back from this repository: a copy
 * is restored into a folder of its own, started in a box out of which it cannot
 * reach, promoted, checked and removed.  Receiving and replication go on
 * meanwhile.  What was seen is kept in the repository as a signed report.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/settings.h"
#include "repo/manifest.h"
#include "repo/target.h"

enum drill_outcome {
	DRILL_PASSED,
	DRILL_FAILED, /* something that was tested is not as it should be */
	DRILL_STOPPED /* by a limit, a signal or a crash: nothing is proved */
};
const char *drill_outcome_name(enum drill_outcome outcome);

struct drill_options {
	struct target_request target;
	const char *lineage;	   /* NULL: newest */
	const char *const *checks; /* files of SQL, NULL-ended; NULL none */
	const char *directory;	   /* NULL: drill_dir of the settings */
	const char *ordered_by;	   /* NULL: the user who runs this */
	bool keep;		   /* the restored directory stays */
	bool allow_open;	   /* go on where no box is possible */
};

struct drill_result {
	enum drill_outcome outcome;
	char id[BACKUP_ID_BYTES];
	json_t *report; /* as it is in the repository */
};

/*
 * 0 also when the drill has failed: the result says so and a report is kept.
 * -1 when it could not begin (nothing to restore, another drill runs, no box)
 * or its report could not be kept.
 */
int drill_run(const struct settings *s, const struct cluster_settings *c,
    const struct drill_options *options, struct drill_result *result,
    struct err *e);
void drill_result_free(struct drill_result *r);
/* 0 when it has passed; else -1 and *e says what it has found: ERR_CORRUPT, or
 * ERR_CANCELED when it was stopped. */
int drill_verdict(const struct drill_result *r, struct err *e);

/*
 * Remove what a drill that was killed has left, and keep a report of it.
 * *swept: there was something.  ERR_TRANSIENT while a drill runs.
 */
int drill_sweep(const struct settings *s, const struct cluster_settings *c,
    bool *swept, struct err *e);

#endif /* !JOBS_DRILL_H */
