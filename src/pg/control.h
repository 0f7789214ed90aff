#ifndef PG_CONTROL_H
#define PG_CONTROL_H

/*
 * control: PostgreSQL's global/pg_control, read from its 8,192 bytes.
 * Source: catalog/pg_control.h; offsets are equal in 13 to 18 on 64-bit
 * machines but for the place of the CRC.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CONTROL_BYTES 8192

enum control_state {
	CONTROL_STARTUP = 0,
	CONTROL_SHUTDOWNED = 1,
	CONTROL_SHUTDOWNED_IN_RECOVERY = 2,
	CONTROL_SHUTDOWNING = 3,
	CONTROL_CRASH_RECOVERY = 4,
	CONTROL_ARCHIVE_RECOVERY = 5,
	CONTROL_IN_PRODUCTION = 6
};

struct control {
	uint64_t system_id;
	uint32_t control_version; /* 1300, 1700, 1800 */
	uint32_t catalog_version;
	enum control_state state;
	int64_t time_us; /* of the last write */
	uint64_t checkpoint_lsn, redo_lsn;
	uint32_t timeline, previous_timeline;
	int64_t checkpoint_time_us;
	uint64_t min_recovery_lsn;
	uint32_t min_recovery_timeline;
	uint64_t backup_start_lsn, backup_end_lsn;
	uint32_t wal_level;
	int max_connections, max_worker_processes, max_wal_senders,
	    max_prepared_xacts, max_locks_per_xact;
	uint32_t block_bytes, relation_segment_blocks, wal_block_bytes,
	    wal_segment_bytes;
	uint32_t checksum_version; /* 0: page checksums are off */
};

/*
 * The len bytes at in, trusting none of them.  ERR_CORRUPT, with *c untouched:
 * too short, CRC wrong, unknown version, other byte order, or sizes that no
 * server has (what is decoded has a timeline and a possible segment size).
 */
int
control_decode(struct control *c, const uint8_t *in, size_t len, struct err *e);
/* Of a data directory; read again when torn.  As control_decode(), ERR_IO,
 * ERR_NOT_FOUND. */
int control_read(struct control *c, const char *pgdata, struct err *e);
/* As pg_controldata says it: "shut down". */
const char *control_state_name(enum control_state state);
/* 13 to 18 from the catalog version; 0 when unknown. */
int control_major(const struct control *c);

#endif /* !PG_CONTROL_H */
