#ifndef DAEMON_WAL_GAP_H
#define DAEMON_WAL_GAP_H

/*
 * wal_gap: is WAL missing between the newest backup and the newest WAL?  From
 * there on nothing can be restored until there is a newer backup.
 */

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/manifest.h"

/* Between two looks: a hole counts when it is seen twice, for segments of
 * archive_command may come in another order. */
struct wal_gap_memory {
	char backup[BACKUP_ID_BYTES]; /* whose start this is; "" none */
	uint32_t timeline;
	uint64_t start_lsn;
	uint64_t missing_lsn; /* the hole seen last; LSN_NONE none */
};

/* Sets "gap" (timeline, from, to) in seen when there is one. */
int wal_gap_look(struct wal_gap_memory *m, const struct lineage *l,
    const char *backup, json_t *seen, struct err *e);

#endif /* !DAEMON_WAL_GAP_H */
