#ifndef REPO_WALINDEXER_H
#define REPO_WALINDEXER_H

/*
 * walindexer: consecutive WAL of one timeline, checked, as one index a segment.
 *
 *	seed      | segment N         | segment N+1       |
 *	   [record a]  [record b] [record c]
 *	              ^ walindexer_cut()  ^ walindexer_cut()
 *	              index of N: a, b
 *	                                  index of N+1: c
 *
 * A record belongs to the segment in which it ends.  The seed is the end of
 * what stands in front: without it, a record that began there is skipped
 * unchecked and its segment's index says head_unseen.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "repo/walindex.h"

struct walindexer_options {
	uint64_t start_lsn; /* a segment's start */
	uint32_t segment_bytes;
	uint64_t system_id;
	uint32_t timeline; /* of the segments' names; pages may be of earlier
			      ones */
	/* What ends at start_lsn, from a page's start on; NULL none. */
	const uint8_t *seed;
	size_t seed_len;
};

struct walindexer;

/* NULL when the seed is not sound (ERR_CORRUPT). */
struct walindexer *
walindexer_new(const struct walindexer_options *options, struct err *e);
void walindexer_free(struct walindexer *ix);
AUTO_DEFINE(struct walindexer, walindexer_free);
#define AUTO_WALINDEXER AUTO(walindexer_free_auto)

/* The next len bytes, which must not cross the end of a segment that has not
 * been cut.  Errors as walreader_feed(); final. */
int walindexer_feed(
    struct walindexer *ix, const uint8_t *data, size_t len, struct err *e);

/* The index of what was fed since the last cut, handed over: x need not be
 * initialised and is to be freed. */
void walindexer_cut(struct walindexer *ix, struct walindex *x);

uint64_t walindexer_position(const struct walindexer *ix);
/* End of the last whole record, LSN_NONE before the first. */
uint64_t walindexer_valid_end(const struct walindexer *ix);
bool walindexer_in_record(const struct walindexer *ix);
/* The bytes since the last cut hold an XLOG_SWITCH. */
bool walindexer_has_switch(const struct walindexer *ix);
/* Zeros stand where the next record should begin: WAL ends there so far. */
bool walindexer_at_zeros(const struct walindexer *ix);

#endif /* !REPO_WALINDEXER_H */
