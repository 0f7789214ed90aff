#ifndef PG_WALEVENT_H
#define PG_WALEVENT_H

/*
 * walevent: the facts of WAL records that recovery targets and people care
 * about.
 *
 * Source: access/xact.h, access/xlog_internal.h, catalog/pg_control.h,
 * catalog/storage_xlog.h, commands/dbcommands_xlog.h, commands/tablespace.h of
 * 13 to 18.
 */

#include <stdbool.h>
#include <stdint.h>

struct walreader_record;

enum wal_event_kind {
	WAL_EVENT_NONE,
	WAL_EVENT_COMMIT,	     /* time_us, xid (also COMMIT PREPARED) */
	WAL_EVENT_ABORT,	     /* time_us, xid (also ROLLBACK PREPARED) */
	WAL_EVENT_RESTORE_POINT,     /* time_us, name */
	WAL_EVENT_CHECKPOINT,	     /* online: redo_lsn, timeline, time_us */
	WAL_EVENT_SHUTDOWN,	     /* checkpoint of a clean stop or of an end
					of recovery: as CHECKPOINT */
	WAL_EVENT_END_OF_RECOVERY,   /* time_us, timeline, previous_timeline */
	WAL_EVENT_SWITCH,	     /* rest of the segment is filler */
	WAL_EVENT_BACKUP_END,	     /* redo_lsn: start of that backup */
	WAL_EVENT_PARAMETER_CHANGE,  /* wal_level */
	WAL_EVENT_TRUNCATE,	     /* relation was cut to blocks */
	WAL_EVENT_DROP,		     /* a COMMIT with dropped_relations > 0 */
	WAL_EVENT_PREPARE,	     /* xid, time_us, name: the GID's start */
	WAL_EVENT_DROP_DATABASE,     /* database; its files are removed */
	WAL_EVENT_CREATE_TABLESPACE, /* tablespace, path */
	WAL_EVENT_DROP_TABLESPACE    /* tablespace */
};

#define WAL_EVENT_NAME_BYTES 64 /* with the NUL */

struct wal_event {
	enum wal_event_kind kind;
	uint64_t lsn, end_lsn;
	uint32_t xid;	   /* top-level transaction that ended */
	int64_t time_us;   /* since 1970, 0 when the record has none */
	uint64_t redo_lsn; /* LSN_NONE when the record has none */
	uint32_t timeline, previous_timeline;
	uint32_t wal_level; /* 0 minimal, 1 replica, 2 logical */
	/* Relations whose files a commit or an abort removes. */
	unsigned int dropped_relations;
	/* The relation truncated, or the first one removed; a commit's
	 * database when it says one. */
	uint32_t tablespace, database, relation;
	uint32_t blocks; /* what a truncated relation keeps */
	/* Of a restore point; the start of a prepared transaction's GID. */
	char name[WAL_EVENT_NAME_BYTES];
	const char *path; /* of a tablespace; good during the callback */
};

/*
 * What record r of major version 13 to 18 says.  A record that is of no
 * interest, or shorter than what it should say, gives WAL_EVENT_NONE.
 */
void wal_event_decode(
    const struct walreader_record *r, int major, struct wal_event *ev);

/* True for the kinds that commit transaction xid: COMMIT and DROP. */
bool wal_event_is_commit(const struct wal_event *ev);

/* "commit", "restore_point": a stable word for indexes, logs and JSON. */
const char *wal_event_kind_name(enum wal_event_kind kind);

#endif /* !PG_WALEVENT_H */
