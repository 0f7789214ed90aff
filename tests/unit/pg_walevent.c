/*
 * What single WAL records say, laid out by hand for each version; that the
 * layouts are those of real servers is the matter of the scripts.
 */

#include "tap.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "pg/walreader.h"

#define XLOG	   0
#define XACT	   1
#define SMGR	   2
#define DATABASE   4
#define TABLESPACE 5

#define HAS_PARTS 0x80

/* 2026-01-01 00:00:00 UTC since 2000 and since 1970. */
#define PG_TIME_US   (UINT64_C(820540800) * 1000000)
#define UNIX_TIME_US (INT64_C(1767225600) * 1000000)

static struct wal_event ev;

/*
 * Decode b as a record's main data into ev; and each shorter one, in memory of
 * just that length: those that say less than they should are nothing.
 */
static void
decode(const struct buf *b, int major, uint8_t rmid, uint8_t info)
{
	struct walreader_record r = { .lsn = 100,
		.end_lsn = 200,
		.xid = 700,
		.rmid = rmid,
		.info = info };
	uint32_t len;

	for (len = 0; len <= b->len; len++) {
		AUTO_FREE uint8_t *copy = mem_alloc(len);

		if (len > 0)
			(void)memcpy(copy, b->data, len);
		r.main_data = copy;
		r.main_bytes = len;
		wal_event_decode(&r, major, &ev);
		if (ev.kind == WAL_EVENT_NONE &&
		    (ev.lsn != 0 || ev.time_us != 0 || ev.xid != 0))
			tap_ok(false, "nothing says something");
	}
	if (ev.path != NULL)
		ev.path = "gone";
}

static void
put_relations(struct buf *b, uint32_t count)
{
	uint32_t i;

	buf_put_le32(b, count);
	for (i = 0; i < count; i++) {
		buf_put_le32(b, 1663 + i);
		buf_put_le32(b, 5 + i);
		buf_put_le32(b, 16384 + i);
	}
}

/* A commit with all its parts; items are those of statistics. */
static void
put_full_end(struct buf *b, size_t item_bytes, bool invalidations)
{
	uint32_t parts = 1 | 2 | 4 | 16 | 128 | (invalidations ? 8 : 0) |
	    (item_bytes > 0 ? 256 : 0);
	size_t i;

	buf_put_le64(b, PG_TIME_US);
	buf_put_le32(b, parts);
	buf_put_le32(b, 5);
	buf_put_le32(b, 1663);
	buf_put_le32(b, 2);
	buf_put_le64(b, 0x02bd02be);
	put_relations(b, 3);
	if (item_bytes > 0) {
		buf_put_le32(b, 2);
		for (i = 0; i < 2 * item_bytes; i++)
			buf_put_u8(b, 0xaa);
	}
	if (invalidations) {
		buf_put_le32(b, 1);
		buf_put_le64(b, 1);
		buf_put_le64(b, 2);
	}
	buf_put_le32(b, 701);
	buf_put(b, "gid", 4);
}

static void
transactions_end(void)
{
	AUTO_BUF struct buf b = BUF_INIT;
	int major;

	buf_put_le64(&b, PG_TIME_US);
	decode(&b, 13, XACT, 0x00);
	tap_ok(ev.kind == WAL_EVENT_COMMIT && ev.xid == 700 && ev.lsn == 100 &&
		ev.end_lsn == 200 && ev.time_us == UNIX_TIME_US &&
		ev.dropped_relations == 0 && wal_event_is_commit(&ev),
	    "a plain commit");
	decode(&b, 13, XACT, 0x20);
	tap_ok(ev.kind == WAL_EVENT_ABORT && ev.time_us == UNIX_TIME_US &&
		!wal_event_is_commit(&ev),
	    "a plain abort");
	for (major = 13; major <= 18; major++) {
		buf_clear(&b);
		put_full_end(&b, major < 15 ? 0 : major < 18 ? 12 : 16, true);
		decode(&b, major, XACT, 0x30 | HAS_PARTS);
		tap_ok(ev.kind == WAL_EVENT_DROP && ev.xid == 701 &&
			ev.time_us == UNIX_TIME_US &&
			ev.dropped_relations == 3 && ev.tablespace == 1663 &&
			ev.database == 5 && ev.relation == 16384 &&
			wal_event_is_commit(&ev),
		    "%d: COMMIT PREPARED with all parts", major);
		buf_clear(&b);
		put_full_end(&b, major < 15 ? 0 : major < 18 ? 12 : 16, false);
		decode(&b, major, XACT, 0x40 | HAS_PARTS);
		tap_ok(ev.kind == WAL_EVENT_ABORT && ev.xid == 701 &&
			ev.dropped_relations == 3,
		    "%d: ROLLBACK PREPARED with all parts", major);
	}
}

static void
transactions_are_prepared(void)
{
	int major, i;

	for (major = 13; major <= 18; major++) {
		AUTO_BUF struct buf b = BUF_INIT;

		buf_put_le64(&b, 0);
		buf_put_le32(&b, 701);
		buf_put_le32(&b, 5);
		buf_put_le64(&b, PG_TIME_US);
		for (i = 0; i < (major < 15 ? 5 : 7); i++)
			buf_put_le32(&b, 10);
		buf_put_le16(&b, 0);
		buf_put_le16(&b, 8);
		buf_put_le64(&b, 0);
		buf_put_le64(&b, 0);
		buf_put(&b, "the gid", 8);
		buf_put(&b, "more", 4);
		decode(&b, major, XACT, 0x10);
		tap_ok(ev.kind == WAL_EVENT_PREPARE && ev.xid == 701 &&
			ev.database == 5 && ev.time_us == UNIX_TIME_US,
		    "%d: PREPARE", major);
		tap_str(ev.name, "the gid", "its GID");
	}
}

static void
other_xact_records_say_nothing(void)
{
	AUTO_BUF struct buf b = BUF_INIT;

	buf_put_le64(&b, PG_TIME_US);
	decode(&b, 15, XACT, 0x50);
	tap_u64(ev.kind, WAL_EVENT_NONE, "assignment");
	decode(&b, 15, XACT, 0x60);
	tap_u64(ev.kind, WAL_EVENT_NONE, "invalidations");
}

/* ---- the log itself ---- */

static void
checkpoints(void)
{
	AUTO_BUF struct buf b = BUF_INIT;
	int i;

	buf_put_le64(&b, 0x12345678);
	buf_put_le32(&b, 3);
	buf_put_le32(&b, 2);
	for (i = 0; i < 6; i++)
		buf_put_le64(&b, UINT64_MAX);
	buf_put_le64(&b, UNIX_TIME_US / 1000000);
	buf_put_le64(&b, UINT64_MAX);
	decode(&b, 15, XLOG, 0x10);
	tap_ok(ev.kind == WAL_EVENT_CHECKPOINT && ev.redo_lsn == 0x12345678 &&
		ev.timeline == 3 && ev.previous_timeline == 2 &&
		ev.time_us == UNIX_TIME_US,
	    "online checkpoint");
	decode(&b, 15, XLOG, 0x00);
	tap_u64(ev.kind, WAL_EVENT_SHUTDOWN, "shutdown checkpoint");
	buf_clear(&b);
	for (i = 0; i < 10; i++)
		buf_put_le64(&b, INT64_MAX);
	decode(&b, 15, XLOG, 0x00);
	tap_u64((uint64_t)ev.time_us, 0, "no time beyond all times");
}

static void
restore_points(void)
{
	AUTO_BUF struct buf b = BUF_INIT;

	buf_put_le64(&b, PG_TIME_US);
	buf_put(&b, "before the release", 18);
	while (b.len < 8 + 64)
		buf_put_u8(&b, 0);
	decode(&b, 15, XLOG, 0x70);
	tap_ok(ev.kind == WAL_EVENT_RESTORE_POINT && ev.time_us == UNIX_TIME_US,
	    "a restore point");
	tap_str(ev.name, "before the release", "its name");
	(void)memset(b.data + 8, 'x', 64);
	decode(&b, 15, XLOG, 0x70);
	tap_u64(strlen(ev.name), WAL_EVENT_NAME_BYTES - 1,
	    "a name without an end is cut");
}

static void
other_marks_of_the_log(void)
{
	AUTO_BUF struct buf b = BUF_INIT;
	uint32_t i;

	buf_put_le64(&b, PG_TIME_US);
	buf_put_le32(&b, 4);
	buf_put_le32(&b, 3);
	decode(&b, 15, XLOG, 0x90);
	tap_ok(ev.kind == WAL_EVENT_END_OF_RECOVERY && ev.timeline == 4 &&
		ev.previous_timeline == 3 && ev.time_us == UNIX_TIME_US,
	    "end of recovery");
	decode(&b, 15, XLOG, 0x50);
	tap_ok(ev.kind == WAL_EVENT_BACKUP_END && ev.redo_lsn == PG_TIME_US,
	    "end of a backup");
	buf_clear(&b);
	decode(&b, 15, XLOG, 0x40);
	tap_u64(ev.kind, WAL_EVENT_SWITCH, "segment switch");
	for (i = 0; i < 7; i++)
		buf_put_le32(&b, 100 + i);
	decode(&b, 15, XLOG, 0x60);
	tap_ok(ev.kind == WAL_EVENT_PARAMETER_CHANGE && ev.wal_level == 105,
	    "parameter change");
	decode(&b, 15, XLOG, 0xb0);
	tap_u64(ev.kind, WAL_EVENT_NONE, "a page image is no event");
	decode(&b, 15, 10, 0x00);
	tap_u64(ev.kind, WAL_EVENT_NONE, "nor is a row");
}

/* ---- files ---- */

static void
files_are_cut_and_removed(void)
{
	AUTO_BUF struct buf b = BUF_INIT;

	buf_put_le32(&b, 17);
	buf_put_le32(&b, 1663);
	buf_put_le32(&b, 5);
	buf_put_le32(&b, 16384);
	buf_put_le32(&b, 7);
	decode(&b, 15, SMGR, 0x20);
	tap_ok(ev.kind == WAL_EVENT_TRUNCATE && ev.blocks == 17 &&
		ev.tablespace == 1663 && ev.database == 5 &&
		ev.relation == 16384,
	    "truncate");
	decode(&b, 15, SMGR, 0x10);
	tap_u64(ev.kind, WAL_EVENT_NONE, "a new file is no event");

	decode(&b, 14, DATABASE, 0x10);
	tap_ok(ev.kind == WAL_EVENT_DROP_DATABASE && ev.database == 17,
	    "DROP DATABASE to 14");
	decode(&b, 15, DATABASE, 0x10);
	tap_u64(ev.kind, WAL_EVENT_NONE, "which is a creation in 15");
	decode(&b, 15, DATABASE, 0x20);
	tap_ok(ev.kind == WAL_EVENT_DROP_DATABASE && ev.database == 17,
	    "DROP DATABASE from 15 on");

	decode(&b, 15, TABLESPACE, 0x10);
	tap_ok(ev.kind == WAL_EVENT_DROP_TABLESPACE && ev.tablespace == 17,
	    "DROP TABLESPACE");
	buf_clear(&b);
	buf_put_le32(&b, 17);
	buf_put(&b, "/srv/fast", 9);
	decode(&b, 15, TABLESPACE, 0x00);
	tap_u64(ev.kind, WAL_EVENT_NONE, "a path without an end is nothing");
	buf_put_u8(&b, 0);
	decode(&b, 15, TABLESPACE, 0x00);
	tap_ok(ev.kind == WAL_EVENT_CREATE_TABLESPACE && ev.tablespace == 17 &&
		ev.path != NULL,
	    "CREATE TABLESPACE");
}

static void
kinds_have_names(void)
{
	tap_str(wal_event_kind_name(WAL_EVENT_RESTORE_POINT), "restore_point",
	    "a kind");
	tap_str(wal_event_kind_name(WAL_EVENT_DROP_TABLESPACE),
	    "drop_tablespace", "the last kind");
	tap_str(wal_event_kind_name((enum wal_event_kind)99), "none",
	    "no kind at all");
}

int
main(void)
{
	transactions_end();
	transactions_are_prepared();
	other_xact_records_say_nothing();
	checkpoints();
	restore_points();
	other_marks_of_the_log();
	files_are_cut_and_removed();
	kinds_have_names();
	return tap_done();
}
