#ifndef CLI_CHECKS_H
#define CLI_CHECKS_H

/*
 * checks: what check and ready have found, for people and for programs.
 */

#include "base/json.h"
#include "jobs/jobs.h"

/* A line each, then the remedies. */
void checks_print(const char *cluster, const struct check_result *r);
/* {"cluster", "faults", "warnings", "items"} */
json_t *checks_json(const char *cluster, const struct check_result *r);

#endif /* !CLI_CHECKS_H */
