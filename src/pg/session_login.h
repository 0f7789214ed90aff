#ifndef PG_SESSION_LOGIN_H
#define PG_SESSION_LOGIN_H

/*
 * session_login: how a server lets us in, for people who set it up.
 */

#include <stdbool.h>

#include "base/buf.h"
#include "pg/session.h"

/* "with a password, over TLS": what is known on this side. */
const char *session_login_text(const struct session *s);

enum session_password {
	PASSWORD_IN_CONNINFO,
	PASSWORD_IN_ENVIRONMENT, /* PGPASSWORD */
	PASSWORD_IN_FILE	 /* passfile=, PGPASSFILE or ~/.pgpass */
};

/*
 * Where libpq looks for the password of these settings; *file gets the path of
 * the password file in any case, nothing when it cannot be told.
 */
enum session_password
session_login_password(const char *conninfo, struct buf *file);

/* The role that these settings name, appended; false when they name none. */
bool session_login_user(const char *conninfo, struct buf *user);

#endif /* !PG_SESSION_LOGIN_H */
