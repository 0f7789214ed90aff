#ifndef JOBS_FOLLOW_INT_H
#define JOBS_FOLLOW_INT_H

/*
 * follow_int: what the files of the follow job share.
 */

#include "jobs/follow.h"

/* ---- follow_look.c ---- */
void follow_hang_up(struct follow *f);
/* Open the repository and its newest lineage.  ERR_NOT_FOUND. */
int follow_repository(struct follow *f, struct err *e);

/* ---- follow_build.c ---- */
/* While it is there, the directory that it names is being made. */
char *follow_building_path(
    const struct settings *s, const struct cluster_settings *c);
int follow_publish_building(
    const struct settings *s, const struct cluster_settings *c, struct err *e);

#endif /* !JOBS_FOLLOW_INT_H */
