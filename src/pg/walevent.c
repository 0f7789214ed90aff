#include "pg/walevent.h"

#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "pg/lsn.h"
#include "pg/walrecord.h"

/* Seconds from 1970 to 2000, where PostgreSQL's timestamps begin. */
#define EPOCH_2000_S 946684800

/* WALRECORD_XLOG */
#define XLOG_CHECKPOINT_SHUTDOWN 0x00
#define XLOG_CHECKPOINT_ONLINE	 0x10
#define XLOG_BACKUP_END		 0x50
#define XLOG_PARAMETER_CHANGE	 0x60
#define XLOG_RESTORE_POINT	 0x70
#define XLOG_END_OF_RECOVERY	 0x90

/* WALRECORD_XACT */
#define XACT_OPERATION_MASK  0x70
#define XACT_COMMIT	     0x00
#define XACT_PREPARE	     0x10
#define XACT_ABORT	     0x20
#define XACT_COMMIT_PREPARED 0x30
#define XACT_ABORT_PREPARED  0x40
#define XACT_HAS_PARTS	     0x80

/* Parts of a commit or abort, in this order but for STATISTICS, which
 * stands behind RELATIONS. */
#define PART_DATABASE	     (1u << 0)
#define PART_SUBTRANSACTIONS (1u << 1)
#define PART_RELATIONS	     (1u << 2)
#define PART_INVALIDATIONS   (1u << 3)
#define PART_PREPARED	     (1u << 4)
#define PART_STATISTICS	     (1u << 8) /* 15 and later */

/* WALRECORD_SMGR, WALRECORD_TABLESPACE */
#define SMGR_TRUNCATE	  0x20
#define TABLESPACE_CREATE 0x00
#define TABLESPACE_DROP	  0x10

static int64_t
cursor_time_us(struct cursor *c)
{
	uint64_t us = cursor_le64(c);

	return c->failed ? 0 : (int64_t)(us + (uint64_t)EPOCH_2000_S * 1000000);
}

/* At most max bytes up to the first NUL, cut to what the event holds. */
static void
take_name(struct cursor *c, size_t max, struct wal_event *ev)
{
	const uint8_t *p = cursor_bytes(c, max);
	size_t len;

	if (p == NULL)
		return;
	len = strnlen((const char *)p, max);
	if (len >= sizeof(ev->name))
		len = sizeof(ev->name) - 1;
	(void)memcpy(ev->name, p, len);
	ev->name[len] = '\0';
}

/* ---- transactions ---- */

/* A u32 count and so many items of item_bytes each. */
static uint32_t
take_array(struct cursor *c, size_t item_bytes, const uint8_t **items)
{
	uint32_t count = cursor_le32(c);

	*items = cursor_bytes(c, count * item_bytes);
	return c->failed ? 0 : count;
}

static void
take_relations(struct cursor *c, struct wal_event *ev)
{
	const uint8_t *items;
	struct cursor first;

	ev->dropped_relations = take_array(c, 12, &items);
	if (ev->dropped_relations == 0)
		return;
	cursor_init(&first, items, 12);
	ev->tablespace = cursor_le32(&first);
	ev->database = cursor_le32(&first);
	ev->relation = cursor_le32(&first);
}

/*
 * time, then if info says so a mask of the parts that follow.  What is behind
 * the prepared transaction's xid (GID, origin) is of no interest.
 */
static void
decode_end(struct cursor *c, uint8_t info, int major, struct wal_event *ev)
{
	const uint8_t *unused;
	uint32_t parts;

	ev->time_us = cursor_time_us(c);
	parts = info & XACT_HAS_PARTS ? cursor_le32(c) : 0;
	if ((parts & PART_DATABASE) != 0) {
		ev->database = cursor_le32(c);
		(void)cursor_le32(c);
	}
	if ((parts & PART_SUBTRANSACTIONS) != 0)
		(void)take_array(c, 4, &unused);
	if ((parts & PART_RELATIONS) != 0)
		take_relations(c, ev);
	if ((parts & PART_STATISTICS) != 0 && major >= 15)
		(void)take_array(c, major >= 18 ? 16 : 12, &unused);
	if ((parts & PART_INVALIDATIONS) != 0)
		(void)take_array(c, 16, &unused);
	if ((parts & PART_PREPARED) != 0)
		ev->xid = cursor_le32(c);
}

/*
 *	offset	size	field
 *	     8	   4	xid
 *	    12	   4	database
 *	    16	   8	time
 *	    28	   4	of each of four counts; 15 and later six
 *	      	   1	bool, then 1 of padding
 *	      	   2	length of the GID
 *	      	  16	origin (8-aligned)
 *	      	  	the GID, 8-aligned
 */
static void
decode_prepare(struct cursor *c, int major, struct wal_event *ev)
{
	uint16_t gid_bytes;

	(void)cursor_bytes(c, 8);
	ev->xid = cursor_le32(c);
	ev->database = cursor_le32(c);
	ev->time_us = cursor_time_us(c);
	(void)cursor_bytes(c, 4 + (major >= 15 ? 6 : 4) * 4 + 2);
	gid_bytes = cursor_le16(c);
	(void)cursor_bytes(c, 16);
	take_name(c, gid_bytes, ev);
}

static void
decode_xact(struct cursor *c, uint8_t info, int major, struct wal_event *ev)
{
	switch (info & XACT_OPERATION_MASK) {
	case XACT_COMMIT:
	case XACT_COMMIT_PREPARED:
		decode_end(c, info, major, ev);
		ev->kind = ev->dropped_relations > 0 ? WAL_EVENT_DROP
						     : WAL_EVENT_COMMIT;
		break;
	case XACT_ABORT:
	case XACT_ABORT_PREPARED:
		decode_end(c, info, major, ev);
		ev->kind = WAL_EVENT_ABORT;
		break;
	case XACT_PREPARE:
		decode_prepare(c, major, ev);
		ev->kind = WAL_EVENT_PREPARE;
		break;
	}
}

/* ---- the log itself ---- */

/* redo u64, timeline u32, previous u32, then fields up to the time, in whole
 * seconds since 1970, at 64. */
static void
decode_checkpoint(struct cursor *c, struct wal_event *ev)
{
	int64_t seconds;

	ev->redo_lsn = cursor_le64(c);
	ev->timeline = cursor_le32(c);
	ev->previous_timeline = cursor_le32(c);
	(void)cursor_bytes(c, 48);
	seconds = (int64_t)cursor_le64(c);
	if (__builtin_mul_overflow(seconds, 1000000, &ev->time_us))
		ev->time_us = 0;
}

static void
decode_xlog(struct cursor *c, uint8_t info, struct wal_event *ev)
{
	switch (info) {
	case XLOG_CHECKPOINT_SHUTDOWN:
	case XLOG_CHECKPOINT_ONLINE:
		decode_checkpoint(c, ev);
		ev->kind = info == XLOG_CHECKPOINT_ONLINE ? WAL_EVENT_CHECKPOINT
							  : WAL_EVENT_SHUTDOWN;
		break;
	case WALRECORD_XLOG_SWITCH:
		ev->kind = WAL_EVENT_SWITCH;
		break;
	case XLOG_BACKUP_END:
		ev->redo_lsn = cursor_le64(c);
		ev->kind = WAL_EVENT_BACKUP_END;
		break;
	case XLOG_PARAMETER_CHANGE:
		(void)cursor_bytes(c, 20);
		ev->wal_level = cursor_le32(c);
		ev->kind = WAL_EVENT_PARAMETER_CHANGE;
		break;
	case XLOG_RESTORE_POINT:
		ev->time_us = cursor_time_us(c);
		take_name(c, 64, ev);
		ev->kind = WAL_EVENT_RESTORE_POINT;
		break;
	case XLOG_END_OF_RECOVERY:
		ev->time_us = cursor_time_us(c);
		ev->timeline = cursor_le32(c);
		ev->previous_timeline = cursor_le32(c);
		ev->kind = WAL_EVENT_END_OF_RECOVERY;
		break;
	}
}

/* ---- files ---- */

static void
decode_smgr(struct cursor *c, uint8_t info, struct wal_event *ev)
{
	if (info != SMGR_TRUNCATE)
		return;
	ev->blocks = cursor_le32(c);
	ev->tablespace = cursor_le32(c);
	ev->database = cursor_le32(c);
	ev->relation = cursor_le32(c);
	ev->kind = WAL_EVENT_TRUNCATE;
}

/* 15 put a second way of creation in front of the drop. */
static void
decode_database(struct cursor *c, uint8_t info, int major, struct wal_event *ev)
{
	if (info != (major < 15 ? 0x10 : 0x20))
		return;
	ev->database = cursor_le32(c);
	ev->kind = WAL_EVENT_DROP_DATABASE;
}

static void
decode_tablespace(struct cursor *c, uint8_t info, struct wal_event *ev)
{
	if (info != TABLESPACE_CREATE && info != TABLESPACE_DROP)
		return;
	ev->tablespace = cursor_le32(c);
	ev->kind = WAL_EVENT_DROP_TABLESPACE;
	if (info == TABLESPACE_DROP)
		return;
	ev->kind = WAL_EVENT_CREATE_TABLESPACE;
	if (c->failed || memchr(c->p, '\0', c->left) == NULL)
		c->failed = true;
	else
		ev->path = (const char *)c->p;
}

void
wal_event_decode(
    const struct walreader_record *r, int major, struct wal_event *ev)
{
	struct wal_event found = { 0 };
	uint8_t info = r->info & WALRECORD_INFO_MASK;
	struct cursor c;

	*ev = found;
	cursor_init(&c, r->main_data, r->main_bytes);
	found.lsn = r->lsn;
	found.end_lsn = r->end_lsn;
	found.xid = r->xid;
	switch (r->rmid) {
	case WALRECORD_XLOG:
		decode_xlog(&c, info, &found);
		break;
	case WALRECORD_XACT:
		decode_xact(&c, info, major, &found);
		break;
	case WALRECORD_SMGR:
		decode_smgr(&c, info, &found);
		break;
	case WALRECORD_DATABASE:
		decode_database(&c, info, major, &found);
		break;
	case WALRECORD_TABLESPACE:
		decode_tablespace(&c, info, &found);
		break;
	}
	if (!c.failed && found.kind != WAL_EVENT_NONE)
		*ev = found;
}

bool
wal_event_is_commit(const struct wal_event *ev)
{
	return ev->kind == WAL_EVENT_COMMIT || ev->kind == WAL_EVENT_DROP;
}

const char *
wal_event_kind_name(enum wal_event_kind kind)
{
	static const char *const names[] = {
		[WAL_EVENT_NONE] = "none",
		[WAL_EVENT_COMMIT] = "commit",
		[WAL_EVENT_ABORT] = "abort",
		[WAL_EVENT_RESTORE_POINT] = "restore_point",
		[WAL_EVENT_CHECKPOINT] = "checkpoint",
		[WAL_EVENT_SHUTDOWN] = "shutdown",
		[WAL_EVENT_END_OF_RECOVERY] = "end_of_recovery",
		[WAL_EVENT_SWITCH] = "switch",
		[WAL_EVENT_BACKUP_END] = "backup_end",
		[WAL_EVENT_PARAMETER_CHANGE] = "parameter_change",
		[WAL_EVENT_TRUNCATE] = "truncate",
		[WAL_EVENT_DROP] = "drop",
		[WAL_EVENT_PREPARE] = "prepare",
		[WAL_EVENT_DROP_DATABASE] = "drop_database",
		[WAL_EVENT_CREATE_TABLESPACE] = "create_tablespace",
		[WAL_EVENT_DROP_TABLESPACE] = "drop_tablespace",
	};

	return (size_t)kind < COUNT_OF(names) ? names[kind] : "none";
}
