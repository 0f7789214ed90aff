#ifndef JOBS_DRILL_CHAIN_H
#define JOBS_DRILL_CHAIN_H

/*
 * drill_chain: the reports of a lineage, as marks/<id>/1, written once.
 *
 * Those of one site are numbered from 1, and each names the one before it with
 * its digest: a report that was changed, or taken away, is missed by the next.
 * What was taken from the end is missed by <state_dir>/<cluster>/reports.head.
 */

#include <jansson.h>

#include "conf/settings.h"
#include "jobs/drill_report.h"

/* A report, and what is wrong with it or before it; fault NULL: nothing. */
struct chain_link {
	struct report report; /* report.json NULL: it cannot be read */
	char id[BACKUP_ID_BYTES];
	char sha256[SHA256_HEX_BYTES];
	char *fault;
};

struct chain {
	struct chain_link *links; /* by id, so about by time */
	size_t count;
	unsigned int faults;
};

int chain_read(const struct settings *s, const struct lineage *l,
    struct chain *c, struct err *e);
void chain_free(struct chain *c);
#define AUTO_CHAIN AUTO(chain_free)

/* NULL when there is none of this id. */
const struct chain_link *chain_find(const struct chain *c, const char *id);
/* The sign-offs of a report; the caller frees the array alone. */
struct report *
chain_sign_offs(const struct chain *c, const char *id, size_t *count);

/* Give report its place in the chain of this site, sign it, keep it.  The
 * lineage's repository is open for writing.  *id is its id, made when it has
 * none. */
int chain_put(const struct settings *s, const struct lineage *l, json_t *report,
    char id[BACKUP_ID_BYTES], struct err *e);

/* Keep that somebody has read report id and stands for it. */
int chain_sign_off(const struct settings *s, const struct lineage *l,
    const char *id, const char *by, const char *note,
    char sign_off_id[BACKUP_ID_BYTES], struct err *e);

#endif /* !JOBS_DRILL_CHAIN_H */
