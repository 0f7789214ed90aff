#ifndef PG_WALSTREAM_H
#define PG_WALSTREAM_H

/*
 * walstream: START_REPLICATION PHYSICAL, from the client's side.
 * Source: protocol.sgml; walsender.c, receivelog.c of 13 to 18.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "pg/session.h"

struct walstream;

/* slot NULL: none.  start_lsn should be a segment's start.  The session must
 * outlive the stream.  ERR_NOT_FOUND: that WAL has been removed already;
 * ERR_CONFLICT: the start is ahead of the server's WAL. */
struct walstream *walstream_start(struct session *s, const char *slot,
    uint64_t start_lsn, uint32_t timeline, struct err *e);
void walstream_free(struct walstream *w);
AUTO_DEFINE(struct walstream, walstream_free);
#define AUTO_WALSTREAM AUTO(walstream_free_auto)

enum walstream_what {
	WALSTREAM_DATA,		/* start_lsn, data, len */
	WALSTREAM_KEEPALIVE,	/* server_end_lsn, reply_requested */
	WALSTREAM_TIMEOUT,	/* nothing came within timeout_ms */
	WALSTREAM_TIMELINE_END, /* next_timeline, next_start_lsn */
	WALSTREAM_SHUTDOWN	/* the server ends the stream */
};

struct walstream_message {
	enum walstream_what what;
	uint64_t start_lsn;
	const uint8_t *data; /* good until the next call */
	size_t len;
	uint64_t server_end_lsn; /* what the server has flushed */
	int64_t server_time_us;	 /* since 1970 */
	bool reply_requested;
	uint32_t next_timeline;
	uint64_t next_start_lsn;
};

/* The next message, waiting at most timeout_ms (0: only what is there). */
int walstream_next(struct walstream *w, int timeout_ms,
    struct walstream_message *m, struct err *e);

/* Report write and flush positions ("apply" is never claimed: 0). */
int walstream_report(struct walstream *w, uint64_t write_lsn,
    uint64_t flush_lsn, bool reply_requested, struct err *e);

/* End the stream in order (the session can be used again). */
int walstream_stop(struct walstream *w, struct err *e);

#endif /* !PG_WALSTREAM_H */
