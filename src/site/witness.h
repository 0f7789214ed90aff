#ifndef SITE_WITNESS_H
#define SITE_WITNESS_H

/*
 * witness: do both data sites ask the same witness?
 *
 * Two votes of three keep two primaries apart because two sets of two have a voter in
 * common.  Of two witnesses each could vote for another site, and nobody would know.  So
 * a data site counts the votes of its witness only
 *
 *	a primary	while the other site has it on record that this one is asked here
 *	a standby	... and the primary has said last that it asks the same
 *
 * Both at once are the same one: what the standby compares with is what the primary
 * said last, and that is what the primary knows to be on record there.  What a primary
 * changes while nobody hears it does not count until it is heard, and then it needs the
 * other site's vote.
 *
 *	A (primary)                             B (standby)
 *	witness is W ------- "W, telling 7" -->  peer_witness = W, durable
 *	witness = W, durable <-- "heard 7" ----
 *
 *	... is V now: witness = untold, durable
 *	    lease only of W's vote?  wait
 *	        ------------ "V, telling 8" -->  peer_witness = V, durable
 *	witness = V, durable <-- "heard 8" ----
 *
 * So that a lease that came by the old witness does not outlast the news of another
 * one, a site tells of it when it has no lease, or one that the other site voted for,
 * which binds that for longer.
 *
 * A witness is known by its key, as the one that the link authenticates.
 *
 * Pure: no clock, no I/O, no memory.
 */

#include <stdbool.h>
#include <stdint.h>

#include "site/record.h"
#include "site/voter.h"

/* In place of a key. */
#define WITNESS_NONE "none" /* there is none */
#define WITNESS_UNTOLD \
	"untold" /* of a record: the other site may know another */

/* Kept by the caller, never durable. */
struct witness {
	char own[RECORD_WITNESS_BYTES];	  /* "": not known yet */
	char tells[RECORD_WITNESS_BYTES]; /* to be told; "": nothing */
	uint64_t tells_id;		  /* which telling; never one twice */
	char heard[RECORD_WITNESS_BYTES]; /* what the other site told last */
	uint64_t heard_id;
	uint64_t answered_id; /* this telling it has on record */
};

/*
 * One look.  True: *next, which is *role with what is to be noted, has to be durable
 * before the next look.  Else what is to be told is brought up to date, under the number
 * id if it is new.
 */
bool witness_step(struct witness *w, const struct record_role_file *role,
    const struct voter *v, int64_t now_us, uint64_t id,
    struct record_role_file *next);
/* What to answer: the telling that is on record here; 0: none.  It goes with the
 * highest term that this site held. */
uint64_t
witness_answer(const struct witness *w, const struct record_role_file *role);
/* That answer, at the other site.  To a primary one that has held a later term than it
 * answers nothing: it votes by its own witness. */
void witness_answered(struct witness *w, const struct record_role_file *role,
    uint64_t id, uint64_t held);
/* Do its votes count now? */
bool
witness_counts(const struct witness *w, const struct record_role_file *role);
/* The one of this site, as far as it is known, is not the other's. */
bool
witness_differs(const struct witness *w, const struct record_role_file *role);
/* Of this site; "" when it is not known. */
const char *
witness_key(const struct witness *w, const struct record_role_file *role);

#endif /* !SITE_WITNESS_H */
