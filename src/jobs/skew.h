#ifndef JOBS_SKEW_H
#define JOBS_SKEW_H

/*
 * skew: by how much the clock of a cluster's server differs from ours, as measured by
 * the receiver, or by the link to the site that the cluster comes from (whose clock
 * is taken for its server's).
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/settings.h"

/* *us: theirs minus ours; peer: the site whose link says so, "" for the receiver.
 * false, and 0: nobody is in contact. */
bool skew_of_server(const struct settings *s, const struct cluster_settings *c,
    int64_t *us, char peer[64]);

/* How old what is here is: of what the courier says of a link, and one of its
 * "accepts". */
int64_t skew_late_us(const json_t *link, const json_t *accept);

#endif /* !JOBS_SKEW_H */
