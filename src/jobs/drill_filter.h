#ifndef JOBS_DRILL_FILTER_H
#define JOBS_DRILL_FILTER_H

/*
 * drill_filter: takes from a process, and all that it starts, what leads out
 * of a network namespace: sockets of other families than IP, and io_uring,
 * which makes sockets past the filter.  Its capabilities go as well.
 */

#include "base/err.h"

/* For ever.  ERR_REFUSED where it is not possible. */
int filter_enter(struct err *e);

#endif /* !JOBS_DRILL_FILTER_H */
