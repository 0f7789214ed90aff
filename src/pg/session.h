#ifndef PG_SESSION_H
#define PG_SESSION_H

/*
 * session: one connection to a PostgreSQL server by libpq, of the kind that
 * speaks the replication protocol (physical) or SQL.
 *
 * Errors carry the server's message and SQLSTATE, and a hint that says what to
 * do: no pg_hba entry, authentication failed, too many clients, starting up,
 * role without REPLICATION, wal_level minimal...  Kinds: ERR_TRANSIENT for what
 * passes by itself (no server, starting up, shutting down, too many clients),
 * ERR_USAGE for what the operator must change (authentication, privileges,
 * settings), ERR_NOT_FOUND for 58P01 and undefined objects.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "pg/lsn.h"

struct session;
struct pg_conn; /* libpq's PGconn */

#define SESSION_SERVER_VERSION_MIN 130000

enum session_kind {
	SESSION_REPLICATION, /* replication=true */
	SESSION_SQL	     /* an ordinary session */
};

/*
 * conninfo is libpq's (keyword=value or URI).  application_name (NULL:
 * "pgkura") and dbname (replication, or postgres for SESSION_SQL) are added
 * unless given; keepalives and tcp_user_timeout notice a dead network within
 * about a minute; connect_timeout is 10 s for each host unless given.
 *
 * Every wait ends with ERR_CANCELED soon after child_stop_requested(), but for
 * the look-up of a host name, which is the C library's.  After ERR_CANCELED or
 * a time-out the session can only be closed.
 */
struct session *session_open(const char *conninfo, enum session_kind kind,
    const char *application_name, struct err *e);
void session_close(struct session *s);
AUTO_DEFINE(struct session, session_close);
#define AUTO_SESSION AUTO(session_close_auto)

int session_version_num(const struct session *s); /* 150018 */
int session_major(const struct session *s);	  /* 15 */
/* "host=... port=... user=..." for messages; no password. */
const char *session_where(const struct session *s);
struct pg_conn *session_conn(struct session *s);
/* Of the last failure the server told ("58P01"), "" when it was none of its. */
const char *session_sqlstate(const struct session *s);

struct session_identity {
	uint64_t system_id;
	uint32_t timeline;
	uint64_t flush_lsn; /* a standby: what it has replayed or received */
};
int
session_identify(struct session *s, struct session_identity *id, struct err *e);

/* SHOW name (works in both kinds); appended as text. */
int session_show(
    struct session *s, const char *name, struct buf *out, struct err *e);
/* "16MB", "8192", "1GB" of SHOW as bytes; a bare number is that many times
 * unit bytes. */
int session_show_bytes(struct session *s, const char *name, uint64_t unit,
    uint64_t *bytes, struct err *e);

/* TIMELINE_HISTORY tli.  ERR_NOT_FOUND for timeline 1. */
int session_timeline_history(
    struct session *s, uint32_t timeline, struct buf *content, struct err *e);

struct session_slot {
	bool exists;
	uint64_t restart_lsn; /* LSN_NONE when it reserves nothing */
	uint32_t restart_timeline;
	bool known; /* false on 13 and 14 over a replication session */
};
/* READ_REPLICATION_SLOT (15+).  On 13-14 sets known = false. */
int session_read_slot(struct session *s, const char *name,
    struct session_slot *slot, struct err *e);
/* Physical, RESERVE_WAL.  ERR_CONFLICT when it is there already. */
int session_create_slot(
    struct session *s, const char *name, bool temporary, struct err *e);
int session_drop_slot(struct session *s, const char *name, struct err *e);

/* One SQL query (SESSION_SQL) giving at most one row and column, as text; NULL
 * or no row leaves *found false. */
int session_query_value(struct session *s, const char *sql, struct buf *out,
    bool *found, struct err *e);

/* One SQL command that gives no rows (SESSION_SQL).  Its transaction is committed
 * when this returns 0. */
int session_execute(struct session *s, const char *sql, struct err *e);

#endif /* !PG_SESSION_H */
