#ifndef REPO_WALKNOWN_H
#define REPO_WALKNOWN_H

/*
 * walknown: until when the WAL that is here is known to be all there was.
 *
 * A quiet server writes no WAL, so its WAL does not tell that nothing happened.
 * Whoever has all of it and hears the server notes so: wal/known holds one line,
 * "<timeline> <position> <microseconds since 1970 by the server's clock>", and
 * the seal of repo_seal_text(): damaged, it counts as absent.  It is replaced every second or so and need not be durable: an older one claims
 * less.  Only where the repository is a directory.
 */

#include <stdint.h>

#include "base/err.h"
#include "repo/repo.h"

struct wal_known {
	uint32_t timeline;
	uint64_t lsn;	   /* the end of the server's WAL, and of ours ... */
	int64_t server_us; /* ... at this time */
};

/* 0 also when the repository is elsewhere: nothing is noted then. */
int wal_known_write(
    const struct lineage *l, const struct wal_known *k, struct err *e);
/* All zero when nothing is known. */
void wal_known_read(const struct lineage *l, struct wal_known *k);

#endif /* !REPO_WALKNOWN_H */
