#ifndef JOBS_FETCH_INT_H
#define JOBS_FETCH_INT_H

/*
 * fetch_int: what the files of the fetch job share.
 *
 *	fetch.c		one file for restore_command
 *	fetch_ahead.c	the process that keeps the next segments ready
 */

#include "jobs/jobs.h"
#include "repo/repo.h"
#include "repo/walarchive.h"

/*
 * Write len bytes to name in the folder dirfd, under name.pgkura first; synced
 * when sync is set.
 */
int fetch_put_file(int dirfd, const char *name, const void *data, size_t len,
    bool sync, struct err *e);

/* How much of a segment lies on the way to the newest timeline: all of it, what
 * is before the fork, or nothing (0). */
uint32_t fetch_limit(const struct lineage *l, uint32_t timeline, uint64_t lsn);

/*
 * The segment at lsn was fetched into the folder dirfd: see to it that a process
 * keeps the next ones ready there.  Best effort.
 */
void fetch_ahead_begin(const struct fetch_options *options,
    const struct lineage *l, int dirfd, uint32_t timeline, uint64_t lsn);

#endif /* !JOBS_FETCH_INT_H */
