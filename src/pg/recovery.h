#ifndef PG_RECOVERY_H
#define PG_RECOVERY_H

/*
 * recovery: settings that make a restored directory recover as asked.
 *
 * What earlier settings in the directory say cannot get in the way: every
 * recovery target is written, those not asked for as '', so a target left over
 * in postgresql.conf neither stops this recovery short nor makes a second
 * target, which the server refuses; recovery_min_apply_delay of a backup of a
 * delayed standby is 0 unless this is a standby again.
 *
 * A copy (take_over is false) is one that must leave the cluster it came from
 * alone.  Beside that it gets
 *
 *	archive_mode = off		nothing goes to that cluster's archive
 *	archive_command = ''		... nor if someone turns it on again
 *	archive_library = ''		15 and later
 *	archive_cleanup_command = ''	would prune that cluster's archive
 *	recovery_end_command = ''	runs what a take-over is to run
 *	synchronous_standby_names = ''	commits wait for nobody
 *	primary_conninfo = ''		unless a standby with one of its own
 *	primary_slot_name = ''		the same
 *	sync_replication_slots = off	17 and later: connects to the primary
 *	max_logical_replication_workers = 0
 *					subscriptions would take the changes
 *					from the publisher's slots
 *	external_pid_file = 'external.pid'
 *					on the same machine it would take that
 *					cluster's file, and remove it at the end
 *	stats_temp_directory = 'pg_stat_tmp'
 *					13 and 14: the same
 *
 * Not ours to judge: libraries of shared_preload_libraries that start workers
 * (a scheduler of jobs runs them in the copy too), what users ask of foreign
 * servers, absolute paths of log_directory, and CREATE TABLESPACE in the WAL,
 * which makes its folder where it was.
 *
 * Source: runtime-config-wal.html "Archive Recovery" and "Recovery Target",
 * guc-file.l, guc_tables.c (guc.c before 16), xlogrecovery.c, 13 to 18.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum recovery_target {
	TARGET_LATEST,
	TARGET_IMMEDIATE,
	TARGET_TIME,
	TARGET_LSN,
	TARGET_XID,
	TARGET_NAME
};

enum recovery_action { ACTION_PAUSE, ACTION_PROMOTE, ACTION_SHUTDOWN };

struct recovery_settings {
	enum recovery_target target;
	/* Value of recovery_target_...; NULL for TARGET_LATEST, _IMMEDIATE. */
	const char *target_text;
	bool inclusive;	       /* stop behind the target, not before it */
	uint32_t timeline;     /* 0: "latest" */
	bool timeline_current; /* "current": of the backup; timeline is 0 */
	enum recovery_action action;
	const char *restore_command; /* NULL: none, '' */
	bool standby;		     /* standby.signal instead */
	const char *primary_conninfo, *primary_slot; /* standby; NULL none */
	bool take_over; /* false: a copy, see above ... */
	bool successor; /* ... which is promoted when the primary is lost: its
			 * subscriptions stay */
};

/*
 * Appends lines for postgresql.auto.conf of a server of this major version (13
 * to 18), values quoted, behind a comment that says who wrote them.  Which
 * signal file to make is up to the caller.
 */
void
recovery_format(const struct recovery_settings *r, int major, struct buf *out);

/*
 * old is a postgresql.auto.conf of any content: appends it without the lines
 * that set a name which recovery_format() sets, and then those.  All else is
 * kept byte for byte; include directives stand before our lines, which count.
 */
void recovery_merge(const void *old, size_t len,
    const struct recovery_settings *r, int major, struct buf *out);

/*
 * Appends old as it is, without an earlier block, and then a block: what
 * recovery_format() says and more, lines of other settings.  Settings of the
 * place where a server runs, not of its cluster: recovery_merge() takes the
 * block out of a backup of it, and what old said counts again.
 */
void
recovery_block(const void *old, size_t len, const struct recovery_settings *r,
    int major, const struct buf *more, struct buf *out);

/* Appends value quoted for a configuration file, on one line: 'it''s'. */
void recovery_quote(const char *value, struct buf *out);

#endif /* !PG_RECOVERY_H */
