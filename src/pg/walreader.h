#ifndef PG_WALREADER_H
#define PG_WALREADER_H

/*
 * walreader: WAL bytes as pages and records, checked.
 *
 * Fed with consecutive bytes of one timeline from any page start on; checks
 * page headers (magic of 13 to 18, address, timeline, system identifier,
 * segment size) and record CRCs over page and segment borders, and calls back
 * for each whole record.  Pure: no I/O.  Source: access/xlogrecord.h,
 * access/xlog_internal.h, xlogreader.c of 13 to 18.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "pg/lsn.h"

#define WALREADER_RECORD_BYTES_MAX ((uint32_t)1020 << 20)

struct walreader_block {
	uint32_t tablespace, database, relation;
	uint8_t fork;
	uint32_t block;
	bool has_image;	  /* a full-page image ... */
	bool apply_image; /* ... that replay restores */
	bool will_init;	  /* replay makes the page anew */
};

#define WALREADER_BLOCKS_MAX 33

struct walreader_record {
	uint64_t lsn;	  /* first byte */
	uint64_t end_lsn; /* first byte behind it, 8-aligned */
	uint64_t prev_lsn;
	uint32_t xid;
	uint8_t rmid;
	uint8_t info;
	uint32_t total_bytes;
	unsigned int block_count;
	struct walreader_block blocks[WALREADER_BLOCKS_MAX];
	const uint8_t *main_data; /* good during the callback */
	uint32_t main_bytes;
};

/* Facts of records that recovery targets and humans care about. */
enum wal_event_kind {
	WAL_EVENT_NONE,
	WAL_EVENT_COMMIT,	    /* time_us, xid (also COMMIT PREPARED) */
	WAL_EVENT_ABORT,	    /* time_us, xid */
	WAL_EVENT_RESTORE_POINT,    /* time_us, name */
	WAL_EVENT_CHECKPOINT,	    /* online or shutdown: redo_lsn, time_us */
	WAL_EVENT_SHUTDOWN,	    /* checkpoint of a clean stop */
	WAL_EVENT_END_OF_RECOVERY,  /* time_us, timeline */
	WAL_EVENT_SWITCH,	    /* rest of the segment is filler */
	WAL_EVENT_BACKUP_END,	    /* redo_lsn: start of that backup */
	WAL_EVENT_PARAMETER_CHANGE, /* wal_level */
	WAL_EVENT_TRUNCATE,	    /* a relation was truncated or dropped */
	WAL_EVENT_DROP		    /* commit that drops relations */
};

struct wal_event {
	enum wal_event_kind kind;
	uint64_t lsn, end_lsn;
	uint32_t xid;	 /* top-level transaction that ended */
	int64_t time_us; /* since 1970, 0 when the record has none */
	uint64_t redo_lsn;
	uint32_t timeline;
	uint32_t wal_level;
	unsigned int dropped_relations; /* of a commit */
	char name[64];			/* of a restore point */
};

/* What record r says, of major version 13 to 18. */
void wal_event_decode(
    const struct walreader_record *r, int major, struct wal_event *ev);

struct walreader_options {
	uint64_t start_lsn; /* a page start; records that began before it
				    are skipped unless it is known that one
				    begins exactly at first_record_lsn */
	uint32_t segment_bytes;
	uint64_t system_id; /* 0: do not check */
	uint32_t timeline;  /* pages must not be of a later one; 0: any */
};

typedef int
walreader_on_record(void *arg, const struct walreader_record *r, struct err *e);

struct walreader;

struct walreader *walreader_new(const struct walreader_options *options,
    walreader_on_record *on_record, void *arg);
void walreader_free(struct walreader *w);
AUTO_DEFINE(struct walreader, walreader_free);
#define AUTO_WALREADER AUTO(walreader_free_auto)

/*
 * The next len bytes.  ERR_CORRUPT with the LSN and the reason when they break
 * a rule.  Zero bytes where a record should begin mean "end of WAL so far": it
 * is remembered, and any later byte that is not zero is ERR_CORRUPT.
 */
int walreader_feed(
    struct walreader *w, const uint8_t *data, size_t len, struct err *e);

/* End of the last whole record: what is valid.  LSN_NONE before the first. */
uint64_t walreader_valid_end(const struct walreader *w);
/* Start of the last whole record. */
uint64_t walreader_last_record(const struct walreader *w);
/* True while the last bytes fed are inside a record that goes on. */
bool walreader_in_record(const struct walreader *w);
/* True after an XLOG_SWITCH or an end of WAL: the rest of the segment is
 * filler. */
bool walreader_at_end(const struct walreader *w);
/* Server major version by the page magic; 0 before the first page. */
int walreader_major(const struct walreader *w);
/* Bytes consumed so far as a position. */
uint64_t walreader_position(const struct walreader *w);

#endif /* !PG_WALREADER_H */
