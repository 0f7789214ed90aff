#ifndef CLI_CHECKS_H
#define CLI_CHECKS_H

/*
 * checks: the commands that look and say what they found, check and ready.
 */

#include "cli/cli.h"
#include "jobs/jobs.h"

typedef int checks_fn(const struct settings *s,
    const struct cluster_settings *c, struct check_result *r, struct err *e);

/*
 * Run fn for the cluster that is named, without a name for every one, and print
 * what it found: a line each, then the remedies; or as JSON {"clusters"}.
 * ERR_REFUSED when there are faults: bad says what is not so then.
 */
int checks_run(struct cli *cli, int argc, char *argv[], checks_fn *fn,
    const char *bad, struct err *e);

#endif /* !CLI_CHECKS_H */
