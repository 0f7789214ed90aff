#ifndef PG_SESSION_ERRORS_H
#define PG_SESSION_ERRORS_H

/*
 * session_errors: what a failure told by the server or by libpq means for the
 * operator: its kind and the next step.
 */

#include <stdbool.h>

#include "base/err.h"

struct session_failure {
	const char *doing;    /* "could not start the base backup"; NULL */
	const char *sqlstate; /* "" or NULL when none */
	const char *text;     /* primary message, or libpq's words */
	const char *detail;   /* NULL */
	const char *hint;     /* the server's own, NULL */
	const char *user;     /* of the connection, NULL */
	const char *where;    /* session_where(), NULL */
};

/* Fill *e; returns -1. */
int session_errors_describe(const struct session_failure *f, struct err *e);

/*
 * As above for a connection that failed: text is PQerrorMessage() under
 * PQERRORS_VERBOSE, which holds the SQLSTATE that no other call gives.
 * sqlstate (6 bytes) is filled, "" when there is none.
 */
int session_errors_describe_connect(
    const struct session_failure *f, char *sqlstate, struct err *e);

/* Is e of a server's refusal, described here, whose SQLSTATE begins so?  What is
 * not kept beyond e: the session is gone when it could not be opened. */
bool session_errors_tell(const struct err *e, const char *sqlstate);

#endif /* !PG_SESSION_ERRORS_H */
