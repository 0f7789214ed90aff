#ifndef CLI_STATUS_HISTORY_H
#define CLI_STATUS_HISTORY_H

/*
 * status_history: what the couriers have noted minute by minute (jobs/trail.h),
 * as a table, JSON or CSV.  The daemon is not asked.
 */

#include "cli/cli.h"

struct status_history {
	const char *since; /* an interval or a time; NULL: an hour */
	bool csv;
};

int status_history(
    const struct cli *cli, const struct status_history *h, struct err *e);

#endif /* !CLI_STATUS_HISTORY_H */
