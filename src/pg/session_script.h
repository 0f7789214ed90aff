#ifndef PG_SESSION_SCRIPT_H
#define PG_SESSION_SCRIPT_H

/*
 * session_script: SQL text of any number of statements, sent as one.
 */

#include <stdint.h>

#include "base/buf.h"
#include "pg/session.h"

/* Of all rows, so much is kept as text. */
#define SCRIPT_OUTPUT_MAX ((size_t)4096)

struct script_result {
	uint64_t statements, rows;
	uint64_t false_rows; /* whose first column is a false boolean */
	struct buf output;   /* "a | b" lines, the first of them */
};
void script_result_free(struct script_result *r);
#define AUTO_SCRIPT_RESULT AUTO(script_result_free)

/*
 * Run sql (SESSION_SQL).  It has timeout_ms in all (-1: any): ERR_TRANSIENT,
 * and the session can only be closed.  A statement that fails ends it, with its
 * error.  COPY from or to us is refused.
 */
int session_script(struct session *s, const char *sql, int timeout_ms,
    struct script_result *r, struct err *e);

#endif /* !PG_SESSION_SCRIPT_H */
