#include "pg/session_login.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

const char *
session_login_text(const struct session *s)
{
	const PGconn *c = session_conn((struct session *)(uintptr_t)s);
	bool password = PQconnectionUsedPassword(c) != 0;

	if (PQsslInUse((PGconn *)(uintptr_t)c) != 0)
		return password ? "with a password, over TLS"
				: "without a password, over TLS";
	return password ? "with a password" : "without a password";
}

/* libpq/fe-connect.c, 13 to 18: passfile=, else PGPASSFILE, else in HOME. */
static void
default_file(struct buf *file)
{
	const char *named = getenv("PGPASSFILE"), *home = getenv("HOME");

	if (named != NULL && named[0] != '\0')
		buf_printf(file, "%s", named);
	else if (home != NULL && home[0] != '\0')
		buf_printf(file, "%s/.pgpass", home);
}

enum session_password
session_login_password(const char *conninfo, struct buf *file)
{
	PQconninfoOption *all = PQconninfoParse(conninfo, NULL), *o;
	enum session_password where = PASSWORD_IN_FILE;

	if (getenv("PGPASSWORD") != NULL)
		where = PASSWORD_IN_ENVIRONMENT;
	for (o = all; o != NULL && o->keyword != NULL; o++) {
		if (o->val == NULL || o->val[0] == '\0')
			continue;
		if (strcmp(o->keyword, "password") == 0)
			where = PASSWORD_IN_CONNINFO;
		else if (strcmp(o->keyword, "passfile") == 0)
			buf_printf(file, "%s", o->val);
	}
	PQconninfoFree(all);
	if (file->len == 0)
		default_file(file);
	return where;
}

bool
session_login_user(const char *conninfo, struct buf *user)
{
	PQconninfoOption *all = PQconninfoParse(conninfo, NULL), *o;
	bool found = false;

	for (o = all; o != NULL && o->keyword != NULL; o++) {
		if (strcmp(o->keyword, "user") != 0 || o->val == NULL ||
		    o->val[0] == '\0')
			continue;
		buf_printf(user, "%s", o->val);
		found = true;
	}
	PQconninfoFree(all);
	return found;
}
