#ifndef JOBS_ALLOWANCE_H
#define JOBS_ALLOWANCE_H

/*
 * allowance: how much another site may still store here: [peer] quota, and the
 * site's min_free_bytes.
 *
 * What counts for the quota are the files of all clusters that are accepted from
 * that site, and what is on its way from it.  A thread counts them now and then;
 * between, what comes is added.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "conf/settings.h"

struct allowance;

/* Borrows both.  repository is its folder on this machine. */
struct allowance *allowance_new(const struct settings *s,
    const struct peer_settings *p, const char *repository);
void allowance_free(struct allowance *a);
AUTO_DEFINE(struct allowance, allowance_free);
#define AUTO_ALLOWANCE AUTO(allowance_free_auto)

/* The functions below may be called from any thread; a NULL allows all. */

/* Room for an object of so many bytes: kept for it until it has arrived or
 * failed.  ERR_REFUSED, with what to do; ERR_TRANSIENT before the first count. */
int allowance_reserve(struct allowance *a, uint64_t bytes, struct err *e);
/* Of what was reserved so many have been written, so many will not be. */
void allowance_arrived(struct allowance *a, uint64_t bytes);
void allowance_release(struct allowance *a, uint64_t bytes);
/* WAL may come: as long as the quota is not used up and the disk holds it. */
int allowance_check_wal(struct allowance *a, struct err *e);
void allowance_wal(struct allowance *a, uint64_t bytes);
/* Bytes that count now. */
uint64_t allowance_used(struct allowance *a);

#endif /* !JOBS_ALLOWANCE_H */
