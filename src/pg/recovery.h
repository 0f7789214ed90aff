#ifndef PG_RECOVERY_H
#define PG_RECOVERY_H

/*
 * recovery: settings that make a restored directory recover as asked.
 * Source: runtime-config-wal.html "Recovery Target" 13 to 18.
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
	const char *target_text; /* value for recovery_target_...; NULL */
	bool inclusive;
	uint32_t timeline;     /* 0: "latest" */
	bool timeline_current; /* "current" */
	enum recovery_action action;
	const char *restore_command;
	bool standby; /* standby.signal instead */
	const char *primary_conninfo, *primary_slot; /* standby; NULL none */
	bool take_over; /* false: a copy: archive_mode=off, no
				    synchronous names, no conninfo, no slot */
};

/*
 * Lines for postgresql.auto.conf of a server of this major version, values
 * quoted, behind a comment that says who wrote them.
 */
void
recovery_format(const struct recovery_settings *r, int major, struct buf *out);

/*
 * old is a postgresql.auto.conf: out becomes it without any earlier line that
 * recovery_format() may write, and with the new lines at its end.
 */
void recovery_merge(const void *old, size_t len,
    const struct recovery_settings *r, int major, struct buf *out);

/* A value quoted for a configuration file: 'it''s'. */
void recovery_quote(const char *value, struct buf *out);

#endif /* !PG_RECOVERY_H */
