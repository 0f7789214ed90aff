#ifndef JOBS_PIN_H
#define JOBS_PIN_H

/*
 * pin: how far a peer has got with a cluster of ours, for expire: what it still
 * lacks stays here, for keep_lacking of its [peer] section at most.
 *
 * One file a cluster and peer, <state>/<cluster>/pin.<peer>, written by the
 * courier when it has moved.  A peer that was never there pins nothing: it begins
 * with the newest backup.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/settings.h"
#include "repo/repo.h"

#define PIN_WHY_BYTES 160

struct pin {
	char peer[64]; /* the one that is farthest behind; "" none */
	uint32_t timeline;
	uint64_t lsn;
	int64_t keep_us;
};

/* What the peer has: WAL of timeline up to lsn, and backups up to newest ("":
 * none). */
int pin_write(const struct settings *s, const char *cluster, const char *peer,
    const char *lineage, uint32_t timeline, uint64_t lsn, const char *newest,
    struct err *e);
/* What one of them has; false: not known. */
bool
pin_of_peer(const struct settings *s, const char *cluster, const char *peer,
    const struct lineage *l, uint32_t *timeline, uint64_t *lsn);
/* The farthest behind of all to whom the cluster goes. */
void pin_read(const struct settings *s, const struct cluster_settings *c,
    const struct lineage *l, struct pin *out);
/* Is there one who lacks this backup, and is still given time at this age? */
bool pin_lacks(const struct settings *s, const struct cluster_settings *c,
    const struct lineage *l, const char *backup_id, int64_t age_us,
    char why[PIN_WHY_BYTES]);

#endif /* !JOBS_PIN_H */
