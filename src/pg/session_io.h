#ifndef PG_SESSION_IO_H
#define PG_SESSION_IO_H

/*
 * session_io: libpq without its own waiting, for the files of this room that
 * speak the protocol.  Every wait is a poll() that ends on a stop request.
 */

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "pg/session.h"

struct session {
	PGconn *conn;
	enum session_kind kind;
	bool ignore_stop; /* while a stream is ended in order */
	int command_ms;	  /* time for a short command, -1: any */
	char sqlstate[6]; /* of the last failure */
	char where[320];
};

static inline void
session_result_clear(PGresult **res)
{
	PQclear(*res);
}
#define AUTO_PGRESULT AUTO(session_result_clear)

/* poll() on fd for events.  1 ready, 0 after timeout_ms (-1: no bound), -1. */
int session_poll(
    struct session *s, int fd, short events, int timeout_ms, struct err *e);

/* Wait for bytes of the server and read them in, sending what is still to be
 * sent.  1 something came, 0 after timeout_ms (-1: no bound), -1. */
int session_wait_input(struct session *s, int timeout_ms, struct err *e);

/* Send a command; its results are still to be taken. */
int session_send(struct session *s, const char *command, struct err *e);

/* The next result of the command, NULL in *res after the last.  The caller
 * clears it; it may be a failure: see session_fail(). */
int session_next_result(
    struct session *s, int timeout_ms, PGresult **res, struct err *e);

/* Take and drop all results up to the last; a failure among them is one. */
int session_drain(struct session *s, int timeout_ms, struct err *e);

/* A short command with one result of the status wanted; doing is for messages:
 * "could not read the timeline's history". */
int session_command(struct session *s, const char *command,
    ExecStatusType wanted, const char *doing, PGresult **res, struct err *e);

/*
 * The next CopyData message into *data, to be freed by PQfreemem().  Returns
 * its length, 0 at the end of the copy (a failure comes as the next result),
 * SESSION_COPY_TIMEOUT when none came in timeout_ms (-1: no bound), or -1.
 */
#define SESSION_COPY_TIMEOUT (-2)
int session_next_copy(
    struct session *s, char **data, int timeout_ms, struct err *e);

/* Describe the failure res, or an unexpected status; remembers its SQLSTATE. */
int session_fail(
    struct session *s, const PGresult *res, const char *doing, struct err *e);
/* Describe the connection's own failure (lost, could not send). */
int session_fail_conn(struct session *s, const char *doing, struct err *e);

#endif /* !PG_SESSION_IO_H */
