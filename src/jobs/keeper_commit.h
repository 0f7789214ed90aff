#ifndef JOBS_KEEPER_COMMIT_H
#define JOBS_KEEPER_COMMIT_H

/*
 * keeper_commit: the last step of an object that came from another site.
 */

#include "base/err.h"
#include "repo/objects.h"

/*
 * Check what is in the staging object by its kind and give it its name.  0 also
 * when the same is there.  ERR_TRANSIENT: a backup that needs packs or WAL that
 * are not here yet; ERR_CORRUPT, ERR_CONFLICT: it is not to be kept.
 */
int keeper_commit(const struct lineage *l, enum object_kind kind,
    const char *name, const char *staging, struct err *e);

#endif /* !JOBS_KEEPER_COMMIT_H */
