/*
 * The operator's connection settings keep what they say and get what they leave
 * out; a silent host is left out of the next try.
 */

#include "pg/session_params.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tap.h"

static const char *
value(const struct session_params *p, const char *keyword)
{
	const char *const *k = session_params_keywords(p);
	const char *const *v = session_params_values(p);
	const char *found = NULL;

	for (; *k != NULL; k++, v++)
		if (strcmp(*k, keyword) == 0) {
			if (found != NULL)
				return "twice";
			found = *v;
		}
	return found;
}

static struct session_params *
params(const char *conninfo, enum session_kind kind)
{
	struct err e = ERR_INIT;
	struct session_params *p = session_params_new(conninfo, kind, NULL, &e);

	if (p == NULL)
		tap_bail("%s: %s", conninfo, e.text);
	return p;
}

static void
check_defaults(void)
{
	AUTO_SESSION_PARAMS struct session_params *p =
	    params("host=db1", SESSION_REPLICATION);
	AUTO_SESSION_PARAMS struct session_params *sql =
	    params("host=db1 replication=database", SESSION_SQL);
	AUTO_SESSION_PARAMS struct session_params *service =
	    params("service=main", SESSION_SQL);

	tap_str(value(p, "host"), "db1", "what was given");
	tap_str(value(p, "replication"), "true", "replication");
	tap_str(value(p, "dbname"), "replication", "dbname, for .pgpass");
	tap_str(value(p, "application_name"), "pgkura", "application_name");
	tap_str(value(p, "keepalives"), "1", "keepalives");
	tap_u64((uint64_t)session_params_timeout_ms(p), 10000, "time-out");
	tap_str(value(sql, "replication"), NULL, "SQL is no replication");
	tap_str(value(sql, "dbname"), "postgres", "and has a database");
	tap_str(value(service, "dbname"), NULL, "but not beside a service");
}

static void
check_given(void)
{
	AUTO_SESSION_PARAMS struct session_params *p = params(
	    "postgresql://kura:pw@db1:5433/shop?application_name=me&connect_timeout=3&keepalives=0",
	    SESSION_REPLICATION);
	AUTO_SESSION_PARAMS struct session_params *none =
	    params("connect_timeout=0", SESSION_SQL);
	AUTO_SESSION_PARAMS struct session_params *one =
	    params("connect_timeout=1", SESSION_SQL);

	tap_str(value(p, "user"), "kura", "user of a URI");
	tap_str(value(p, "password"), "pw", "password");
	tap_str(value(p, "port"), "5433", "port");
	tap_str(value(p, "dbname"), "shop", "dbname stays");
	tap_str(value(p, "application_name"), "me", "application_name stays");
	tap_str(value(p, "keepalives"), "0", "keepalives stay off");
	tap_u64((uint64_t)session_params_timeout_ms(p), 3000, "time-out");
	tap_ok(session_params_timeout_ms(none) == -1, "0 is no bound");
	tap_u64((uint64_t)session_params_timeout_ms(one), 2000,
	    "1 is 2, as for libpq");
}

/* Drop host and port from the lists; what is left. */
static void
check_drop(const char *conninfo, const char *host, const char *port,
    bool dropped, const char *hosts, const char *addresses, const char *ports)
{
	AUTO_SESSION_PARAMS struct session_params *p =
	    params(conninfo, SESSION_REPLICATION);

	tap_ok(session_params_drop_host(p, host, port) == dropped,
	    "%s %s of \"%s\"", host, port, conninfo);
	tap_str(value(p, "host"), hosts, "hosts");
	tap_str(value(p, "hostaddr"), addresses, "addresses");
	tap_str(value(p, "port"), ports, "ports");
}

int
main(void)
{
	check_defaults();
	check_given();
	check_drop("host=a", "a", "5432", false, "a", NULL, NULL);
	check_drop("dbname=x", "a", "5432", false, NULL, NULL, NULL);
	check_drop("host=a,b,c", "a", "5432", true, "b,c", NULL, NULL);
	check_drop("host=a,b,c", "b", "5432", true, "a,c", NULL, NULL);
	check_drop("host=a,b,c", "c", "5432", true, "a,b", NULL, NULL);
	check_drop("host=a,b", "d", "5432", false, "a,b", NULL, NULL);
	check_drop("host=a,b port=1", "b", "1", true, "a", NULL, "1");
	check_drop("host=a,a port=1,2", "a", "2", true, "a", NULL, "1");
	check_drop("host=a,b hostaddr=10.0.0.1,10.0.0.2 port=1,2", "b", "2",
	    true, "a", "10.0.0.1", "1");
	check_drop("hostaddr=10.0.0.1,10.0.0.2", "10.0.0.1", "5432", true, NULL,
	    "10.0.0.2", NULL);
	return tap_done();
}
