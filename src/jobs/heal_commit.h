#ifndef JOBS_HEAL_COMMIT_H
#define JOBS_HEAL_COMMIT_H

/*
 * heal_commit: what came from another site takes the place of what is damaged
 * or missing here.
 *
 *	asked for?	it stands in the list of damage (damage.h)
 *	damaged still?	our own check, now; what is whole stays
 *	vouched for?	by what is signed or summed here, below
 *	aside		the damaged one moves to damaged/<name>.<time>
 *	in place	and the whole one gets its name
 *
 * A kill between the last two leaves it missing: it is asked for again, and
 * what has arrived is still there.  Roots and marks are never missing: a copy
 * goes aside.
 *
 *	pack		the SHA-256 that our signed roots say
 *	root, mark	the signature of a key that is trusted here already, and
 *			of the same one when the damaged body still says which;
 *			a root is what it was at the last verification
 *	segment		the digest that the damaged body says of itself; where
 *			that is lost, its records and those of both
 *			neighbours fit together
 *	partial		the digest in its name
 *	history		it goes on from its parent's, and from where its
 *			timeline's WAL begins
 */

#include "codec/digest.h"
#include "conf/settings.h"
#include "repo/repo.h"

/* Why a healer would not be asked for the object any more: it is whole here.
 * 1 so, 0 it is damaged or missing; -1 it cannot be told. */
int heal_is_whole(const struct lineage *l, const struct settings *s,
    const char *name, struct err *e);

/*
 * The staged object, of this digest, becomes name.  0 also when name was whole.
 * ERR_TRANSIENT try again; ERR_CORRUPT, ERR_CONFLICT, ERR_REFUSED: it is not
 * taken, and nothing has changed.
 */
int heal_commit(const struct lineage *l, const struct settings *s,
    const char *peer, const char *name, const char *staging,
    const uint8_t sha256[SHA256_BYTES], struct err *e);

#endif /* !JOBS_HEAL_COMMIT_H */
