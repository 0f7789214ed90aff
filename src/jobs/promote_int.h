#ifndef JOBS_PROMOTE_INT_H
#define JOBS_PROMOTE_INT_H

/*
 * promote_int: what the files of the promotion share.
 */

#include <stdint.h>

#include "base/err.h"
#include "conf/settings.h"
#include "repo/repo.h"

/* The number that this site gives to the timeline behind `followed`, when `newest`
 * is the highest that its repository has. */
uint32_t promote_timeline_next(
    const struct cluster_settings *c, uint32_t followed, uint32_t newest);

/*
 * Before the server of that directory, which follows that timeline, ends recovery:
 * see to it that it takes promote_timeline_next().
 */
int
promote_timeline_keep(const struct cluster_settings *c, const struct lineage *l,
    const char *pgdata, uint32_t followed, struct err *e);

#endif /* !JOBS_PROMOTE_INT_H */
