#ifndef JOBS_EXPIRE_INT_H
#define JOBS_EXPIRE_INT_H

/*
 * expire_int: between the files of expire: one lineage that is looked through.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/strmap.h"
#include "jobs/jobs.h"
#include "jobs/pin.h"
#include "repo/walarchive.h"

struct expiry {
	struct pin pin;
	const struct settings *settings;
	const struct cluster_settings *cluster;
	struct lineage lineage;
	bool dry_run;
	int64_t now_us;
	struct expire_result *result;
	struct intent *intents;
	size_t intent_count;
	struct strmap *packs; /* id to who needs it: char * */
	/* Backups that are kept or withdrawn: where their WAL begins. */
	struct wal_span *starts;
	size_t start_count;
	int64_t
	    newer_us; /* when the backup behind the judged one ended; 0 none */
};

/* One line of what is found; takes object. */
void expire_item(struct expiry *x, bool removed, char *object, const char *fmt,
    ...) __attribute__((__format__(__printf__, 4, 5)));
/* Is it so young that what it stands for may still be wanted? */
bool expire_is_fresh(const struct expiry *x, const struct intent *i);
/* What another site sends is protected from it, and from us, for a time that
 * counts from its arrival by our clock. */
int64_t expire_protect_us(const struct expiry *x);

/* What no backup that is kept or withdrawn can use, and no other site lacks. */
int expire_wal(struct expiry *x, struct err *e);
/* Those that no root names.  No backup may run. */
int expire_packs(struct expiry *x, struct err *e);
/* Damaged bodies that were healed. */
int expire_damaged(struct expiry *x, struct err *e);

#endif /* !JOBS_EXPIRE_INT_H */
