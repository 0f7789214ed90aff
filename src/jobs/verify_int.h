#ifndef JOBS_VERIFY_INT_H
#define JOBS_VERIFY_INT_H

/*
 * verify_int: what verify.c and verify_wal.c share.
 */

#include "base/progress.h"
#include "base/strmap.h"
#include "jobs/jobs.h"
#include "repo/repo.h"

struct verify {
	const struct settings *settings;
	const struct cluster_settings *cluster;
	struct lineage lineage;
	struct verify_result *result;
	struct progress *progress;
	struct strmap *packs_done; /* id to (void *)1 good, (void *)2 bad */
	struct strmap *again;	   /* names that alone are read; NULL: all */
	unsigned int sample_percent;
	uint64_t dice;
	/* One backup's walk. */
	struct packset *ps;
	struct strmap *crcs; /* path to struct known * */
};

void verify_finding(struct verify *v, const char *object, const char *fmt, ...)
    __attribute__((__format__(__printf__, 3, 4)));
/* Is *e damage (a finding), or a reason to stop?  Clears what was a finding. */
int verify_finding_or_stop(struct verify *v, const char *object, struct err *e);
/* The last finding is of an object that another site may have. */
void verify_want(
    struct verify *v, const char *name, uint64_t bytes, const uint8_t *sha256);
/* The same of the segments that are not here between two positions. */
void verify_want_wal(
    struct verify *v, uint32_t timeline, uint64_t from_lsn, uint64_t to_lsn);
/* verify_finding_or_stop() and verify_want(). */
int verify_damaged(struct verify *v, const char *object, const char *name,
    uint64_t bytes, const uint8_t *sha256, struct err *e);
/* Is the next object in the share that is to be read? */
bool verify_in_sample(struct verify *v);

/* verify_wal.c: histories, segments, partials, and holes between them. */
int verify_wal(struct verify *v, struct err *e);

#endif /* !JOBS_VERIFY_INT_H */
