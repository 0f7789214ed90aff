#ifndef JOBS_FENCE_TEST_H
#define JOBS_FENCE_TEST_H

/*
 * fence_test: does the fence hook work, without fencing anything?
 *
 * The hook is run as for a failover, with PGKURA_FENCE=test in its environment
 * (else "fence"): it does all but the deed (it logs in to the power switch and
 * asks for the state of the outlet) and returns 0 when the deed would succeed.  A
 * hook that does not know of that would do the deed: one in whose file
 * the word PGKURA_FENCE does not stand is never run for a test.
 */

#include "base/buf.h"
#include "base/err.h"
#include "conf/settings.h"

#define FENCE_TEST_VARIABLE "PGKURA_FENCE"

/* ERR_USAGE: not there, not a program, knows no test. */
int fence_test_file(const struct cluster_settings *c, struct err *e);
/* Run it: test, or the deed.  peer: the site to fence. */
int fence_hook_run(const struct cluster_settings *c, const char *peer,
    bool test, struct err *e);

#endif /* !JOBS_FENCE_TEST_H */
