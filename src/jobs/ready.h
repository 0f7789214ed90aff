#ifndef JOBS_READY_H
#define JOBS_READY_H

/*
 * ready: could the cluster be brought up here, now?  Everything that a failover
 * to this machine needs, looked at without touching anything.
 *
 * What only a running server knows (collation versions, extensions) is taken
 * from the report of the last drill here, and compared with what has changed
 * since.
 */

#include "jobs/jobs.h"

int ready_run(const struct settings *s, const struct cluster_settings *c,
    struct check_result *result, struct err *e);

#endif /* !JOBS_READY_H */
