#ifndef JOBS_HEAL_CHECK_H
#define JOBS_HEAL_CHECK_H

/*
 * heal_check: is one object of a lineage whole?  By what is signed here, or by
 * its own sums: before it is sent to who lacks it, and before it gives way to
 * what came from elsewhere.
 *
 *	pack			SHA-256 that a signed root says
 *	root, mark		signature, and the names of its path
 *	segment, partial	every chunk, and the digest of its plain bytes
 *	history			its seal
 */

#include <stdint.h>

#include "codec/digest.h"
#include "repo/objects.h"
#include "repo/repo.h"

/* The kind of a name that can be healed, "withdrawn/ID" being a backup's root,
 * or OBJECT_NONE.  Pure. */
enum object_kind heal_kind_of(const char *name, uint32_t segment_bytes);

/* What a signed root of this repository says of a pack.  ERR_NOT_FOUND when none
 * names it. */
int heal_pack_digest(const struct lineage *l, const char *pack_id,
    uint8_t sha256[SHA256_BYTES], struct err *e);

/*
 * 0 when the object is whole.  sha256 is that of a pack, for others NULL.
 * ERR_NOT_FOUND it is missing, ERR_CORRUPT it is damaged; anything else: it
 * cannot be told.
 */
int heal_check(const struct lineage *l, const char *name, const uint8_t *sha256,
    struct err *e);

/* SHA-256 of the object's bytes as they lie there, and how many. */
int heal_digest(const struct lineage *l, const char *name,
    uint8_t sha256[SHA256_BYTES], uint64_t *bytes, struct err *e);

#endif /* !JOBS_HEAL_CHECK_H */
