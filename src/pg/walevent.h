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

/* The numbers stand in stored indexes of WAL: they stay. */
enum wal_event_kind {
	WAL_EVENT_NONE = 0,
	WAL_EVENT_COMMIT = 1,	     /* time_us, xid; also COMMIT PREPARED */
	WAL_EVENT_ABORT = 2,	     /* the same of ROLLBACK */
	WAL_EVENT_RESTORE_POINT = 3, /* time_us, name */
	WAL_EVENT_CHECKPOINT = 4,    /* redo_lsn, timeline, time_us */
	WAL_EVENT_SHUTDOWN = 5, /* the same, of a clean stop or at the end of
				   a recovery */
	WAL_EVENT_END_OF_RECOVERY = 6,	  /* time_us, timelines */
	WAL_EVENT_SWITCH = 7,		  /* rest of the segment is filler */
	WAL_EVENT_BACKUP_END = 8,	  /* redo_lsn: start of that backup */
	WAL_EVENT_PARAMETER_CHANGE = 9,	  /* wal_level */
	WAL_EVENT_TRUNCATE = 10,	  /* relation was cut to blocks */
	WAL_EVENT_DROP = 11,		  /* a COMMIT that drops relations */
	WAL_EVENT_PREPARE = 12,		  /* xid, time_us, name: GID's start */
	WAL_EVENT_DROP_DATABASE = 13,	  /* database */
	WAL_EVENT_CREATE_TABLESPACE = 14, /* tablespace, path */
	WAL_EVENT_DROP_TABLESPACE = 15	  /* tablespace */
};

#define WAL_EVENT_NAME_BYTES 64 /* with the NUL */

struct wal_event {
	enum wal_event_kind kind;
	uint64_t lsn, end_lsn;
	uint32_t xid;	   /* that ended; an abort's may be a subtransaction */
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
 * interest, or shorter than what it should say, gives WAL_EVENT_NONE and
 * zeros.
 */
void wal_event_decode(
    const struct walreader_record *r, int major, struct wal_event *ev);

/* True for the kinds that commit transaction xid: COMMIT and DROP. */
bool wal_event_is_commit(const struct wal_event *ev);

/* "commit", "restore_point": a stable word for indexes, logs and JSON. */
const char *wal_event_kind_name(enum wal_event_kind kind);

#endif /* !PG_WALEVENT_H */
