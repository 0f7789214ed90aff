#ifndef JOBS_REJOIN_H
#define JOBS_REJOIN_H

/*
 * rejoin: an old primary's data directory becomes a standby that follows the
 * history of the new primary.
 *
 * Mechanics only: whether it may is decided elsewhere, before.  standby_dir is
 * the directory; its server is stopped.
 *
 *	salvage		WAL in it that the repository lacks, under its own
 *			timeline: what only the old primary committed is kept,
 *			and merged into nothing
 *	compare		where its history leaves the new one, and what lies
 *			behind that
 *	rewind		when it has gone beyond: the newest backup of the new
 *			history is restored over it; only blocks that differ are
 *			written
 *	convert		when it has not (a switchover): settings alone
 *
 * Interrupted, it is run again.  Once the rewind has begun, the duty that keeps
 * the standby completes it, as does another run of this: then there is nothing to
 * compare any more, and what was to be salvaged is.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/settings.h"
#include "pg/lsn.h"

struct rejoin_options {
	bool plan_only; /* compare what is known; nothing is changed */
	bool rewind;	/* also when settings alone would do */
};

struct rejoin_result {
	uint32_t old_timeline; /* of the directory */
	uint64_t old_end_lsn;  /* of its WAL, as far as it is in the repository
				* now; LSN_NONE unknown */
	uint32_t timeline;     /* the newest in the repository */
	uint64_t fork_lsn; /* where old_timeline ends in its history; LSN_NONE:
			    * it has no part in it */
	uint64_t diverged_bytes;   /* of WAL behind fork_lsn ... */
	uint64_t diverged_commits; /* ... and transactions in it */
	bool rewound;		   /* else converted */
	bool completed; /* a rewind that had begun: the fork is not known */
	uint64_t kept_blocks, written_blocks;
	char salvaged[64]; /* WAL taken over; "" none */
};

/* ERR_REFUSED while its server runs; ERR_CONFLICT for another cluster's.
 * options may be NULL. */
int rejoin_run(const struct settings *s, const struct cluster_settings *c,
    const struct rejoin_options *options, struct rejoin_result *result,
    struct err *e);

#endif /* !JOBS_REJOIN_H */
