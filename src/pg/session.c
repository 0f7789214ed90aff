#include "pg/session.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "pg/session_errors.h"
#include "pg/session_io.h"
#include "pg/session_params.h"

#define COMMAND_TIMEOUT_MS 60000

/* "host=db1 port=5432 user=kura" */
static void
set_where(struct session *s)
{
	const char *host = PQhost(s->conn), *port = PQport(s->conn),
		   *user = PQuser(s->conn);

	(void)snprintf(s->where, sizeof(s->where), "host=%s port=%s user=%s",
	    host == NULL ? "" : host, port == NULL ? "" : port,
	    user == NULL ? "" : user);
}

static int
fail_connect(struct session *s, struct err *e)
{
	struct session_failure f = { 0 };

	set_where(s);
	f.text = PQerrorMessage(s->conn);
	f.user = PQuser(s->conn);
	f.where = s->where;
	(void)session_errors_describe_connect(&f, s->sqlstate, e);
	if (PQconnectionNeedsPassword(s->conn) && s->sqlstate[0] == '\0')
		e->kind = ERR_USAGE;
	return -1;
}

/*
 * Until the connection stands.  0, -1 with *e, or 1 when the host that libpq
 * was talking to gave no answer within its time.
 */
static int
connect_wait(struct session *s, int timeout_ms, struct err *e)
{
	PostgresPollingStatusType next = PGRES_POLLING_WRITING;
	int64_t until_us = clock_boot_us() + (int64_t)timeout_ms * 1000;
	int64_t left_us = 0;
	const char *host = PQhost(s->conn);
	int ready;

	for (;;) {
		/* Each host has its own time.  libpq gives one pointer each. */
		if (PQhost(s->conn) != host) {
			host = PQhost(s->conn);
			until_us = clock_boot_us() + (int64_t)timeout_ms * 1000;
		}
		if (timeout_ms >= 0) {
			left_us = until_us - clock_boot_us();
			if (left_us <= 0)
				return 1;
		}
		ready = session_poll(s, PQsocket(s->conn),
		    next == PGRES_POLLING_READING ? POLLIN : POLLOUT,
		    timeout_ms < 0 ? -1 : (int)(left_us / 1000), e);
		if (ready == -1)
			return -1;
		if (ready == 0)
			continue;
		next = PQconnectPoll(s->conn);
		if (next == PGRES_POLLING_OK)
			return 0;
		if (next == PGRES_POLLING_FAILED)
			return fail_connect(s, e);
	}
}

static int
connect_timed_out(struct session *s, int timeout_ms, struct err *e)
{
	set_where(s);
	(void)err_set(e, ERR_TRANSIENT,
	    "connection to server at %s timed out after %d s", s->where,
	    timeout_ms / 1000);
	return err_hint(e,
	    "Check that the server's machine is up and that no firewall drops the packets.");
}

/* Connect with p; a host that does not answer is left out of the next try. */
static int
connect_any(struct session *s, struct session_params *p, struct err *e)
{
	const int timeout_ms = session_params_timeout_ms(p);
	int rc;

	for (;;) {
		s->conn = PQconnectStartParams(
		    session_params_keywords(p), session_params_values(p), 0);
		if (s->conn == NULL)
			return err_set(e, ERR_TRANSIENT, "out of memory");
		if (PQstatus(s->conn) == CONNECTION_BAD)
			return fail_connect(s, e);
		/* So that a refusal tells its SQLSTATE. */
		(void)PQsetErrorVerbosity(s->conn, PQERRORS_VERBOSE);
		rc = connect_wait(s, timeout_ms, e);
		if (rc <= 0)
			return rc;
		if (!session_params_drop_host(
			p, PQhost(s->conn), PQport(s->conn)))
			return connect_timed_out(s, timeout_ms, e);
		PQfinish(steal_ptr(&s->conn));
	}
}

/* What the server says goes to the callers, not to standard error. */
static void
ignore_notice(void *arg, const PGresult *res)
{
	(void)arg;
	(void)res;
}

/* An attacker's function in schema public must not be called by our SQL. */
static int
set_up_sql(struct session *s, struct err *e)
{
	AUTO_PGRESULT PGresult *res = NULL;

	return session_command(s,
	    "SELECT pg_catalog.set_config('search_path', '', false)",
	    PGRES_TUPLES_OK, "could not set up the session", &res, e);
}

static int
set_up(struct session *s, struct err *e)
{
	set_where(s);
	(void)PQsetErrorVerbosity(s->conn, PQERRORS_DEFAULT);
	(void)PQsetNoticeReceiver(s->conn, ignore_notice, NULL);
	if (PQsetnonblocking(s->conn, 1) == -1)
		return session_fail_conn(s, "could not set up the session", e);
	if (session_version_num(s) < SESSION_SERVER_VERSION_MIN) {
		(void)err_set(e, ERR_USAGE,
		    "server at %s is PostgreSQL %s, older than 13", s->where,
		    PQparameterStatus(s->conn, "server_version"));
		return err_hint(e, "Versions 13 to 18 are supported.");
	}
	return s->kind == SESSION_SQL ? set_up_sql(s, e) : 0;
}

struct session *
session_open(const char *conninfo, enum session_kind kind,
    const char *application_name, struct err *e)
{
	AUTO_SESSION struct session *s = mem_zalloc(sizeof(*s));
	AUTO_SESSION_PARAMS struct session_params *p = NULL;

	s->kind = kind;
	s->command_ms = COMMAND_TIMEOUT_MS;
	p = session_params_new(conninfo, kind, application_name, e);
	if (p == NULL)
		return NULL;
	if (connect_any(s, p, e) == -1 || set_up(s, e) == -1)
		return NULL;
	return steal_ptr(&s);
}

void
session_close(struct session *s)
{
	if (s == NULL)
		return;
	PQfinish(s->conn);
	free(s);
}

int
session_version_num(const struct session *s)
{
	return PQserverVersion(s->conn);
}

int
session_major(const struct session *s)
{
	return session_version_num(s) / 10000;
}

const char *
session_where(const struct session *s)
{
	return s->where;
}

struct pg_conn *
session_conn(struct session *s)
{
	return s->conn;
}

const char *
session_sqlstate(const struct session *s)
{
	return s->sqlstate;
}
