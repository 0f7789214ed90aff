#include "pg/session_io.h"

#include <errno.h>
#include <limits.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "pg/session_errors.h"

/* A stop request that comes between the look at it and poll() waits so long. */
#define POLL_SLICE_MS 250

/* Until until_us, rounded up. */
static int
left_ms(int64_t until_us)
{
	int64_t left = (until_us - clock_boot_us() + 999) / 1000;

	if (left < 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

int
session_poll(
    struct session *s, int fd, short events, int timeout_ms, struct err *e)
{
	int64_t until_us = clock_boot_us() + (int64_t)timeout_ms * 1000;
	struct pollfd p = { fd, events, 0 };
	int wait_ms, ready;
	bool last;

	for (;;) {
		if (!s->ignore_stop && child_check_stop(e) == -1)
			return -1;
		wait_ms = timeout_ms < 0 ? INT_MAX : left_ms(until_us);
		last = wait_ms <= POLL_SLICE_MS;
		ready = poll(&p, 1, last ? wait_ms : POLL_SLICE_MS);
		if (ready > 0)
			return 1;
		if (ready == -1 && errno != EINTR)
			return err_sys(e, "could not wait for the server");
		if (ready == 0 && last)
			return 0;
	}
}

int
session_fail(
    struct session *s, const PGresult *res, const char *doing, struct err *e)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	struct session_failure f = { 0 };

	s->sqlstate[0] = '\0';
	if (res == NULL || PQresultStatus(res) != PGRES_FATAL_ERROR)
		return err_set(e, ERR_BUG, "%s: the server answered %s", doing,
		    res == NULL ? "nothing" : PQresStatus(PQresultStatus(res)));
	f.text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	if (f.text == NULL) /* libpq's own: the connection is lost */
		return session_fail_conn(s, doing, e);
	if (state != NULL && strlen(state) == 5)
		(void)memcpy(s->sqlstate, state, 6);
	f.doing = doing;
	f.sqlstate = s->sqlstate;
	f.detail = PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL);
	f.hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);
	f.user = PQuser(s->conn);
	f.where = s->where;
	return session_errors_describe(&f, e);
}

int
session_fail_conn(struct session *s, const char *doing, struct err *e)
{
	struct session_failure f = { 0 };

	f.doing = doing;
	f.text = PQerrorMessage(s->conn);
	f.user = PQuser(s->conn);
	f.where = s->where;
	return session_errors_describe_connect(&f, s->sqlstate, e);
}

/*
 * Has TLS taken bytes from the socket that libpq has not taken from it?  poll()
 * knows nothing of them.  libpq makes sure of room for 8 KiB before it reads; a
 * record may have 16, and from 17 on servers send such.
 */
static bool
has_pending(struct session *s)
{
	SSL *ssl = PQsslStruct(s->conn, "OpenSSL");

	return ssl != NULL && SSL_pending(ssl) > 0;
}

int
session_wait_input(struct session *s, int timeout_ms, struct err *e)
{
	short events = POLLIN;
	int rc = PQflush(s->conn);

	if (rc == -1)
		return session_fail_conn(s, "could not send to the server", e);
	if (rc == 1)
		events = POLLIN | POLLOUT;
	if (!has_pending(s)) {
		rc = session_poll(s, PQsocket(s->conn), events, timeout_ms, e);
		if (rc <= 0)
			return rc;
	}
	if (PQconsumeInput(s->conn) == 0)
		return session_fail_conn(s, "lost the server", e);
	return 1;
}

int
session_send(struct session *s, const char *command, struct err *e)
{
	s->sqlstate[0] = '\0';
	if (PQsendQuery(s->conn, command) == 0)
		return session_fail_conn(s, "could not send a command", e);
	return 0;
}

int
session_next_result(
    struct session *s, int timeout_ms, PGresult **res, struct err *e)
{
	int64_t until_us = clock_boot_us() + (int64_t)timeout_ms * 1000;
	int got;

	*res = NULL;
	while (PQisBusy(s->conn)) {
		got = session_wait_input(
		    s, timeout_ms < 0 ? -1 : left_ms(until_us), e);
		if (got == -1)
			return -1;
		if (got == 0) {
			(void)err_set(e, ERR_TRANSIENT,
			    "the server at %s gave no answer in %d s", s->where,
			    timeout_ms / 1000);
			return err_hint(e,
			    "The server may be overloaded or its disk may hang; see its log and pg_stat_activity.");
		}
	}
	*res = PQgetResult(s->conn);
	return 0;
}

int
session_drain(struct session *s, int timeout_ms, struct err *e)
{
	struct err first = ERR_INIT;

	for (;;) {
		AUTO_PGRESULT PGresult *res = NULL;

		if (session_next_result(s, timeout_ms, &res, e) == -1)
			return -1;
		if (res == NULL)
			break;
		if (PQresultStatus(res) == PGRES_FATAL_ERROR &&
		    first.kind == ERR_NONE)
			(void)session_fail(
			    s, res, "could not end a command", &first);
	}
	if (first.kind == ERR_NONE)
		return 0;
	*e = first;
	return -1;
}

int
session_command(struct session *s, const char *command, ExecStatusType wanted,
    const char *doing, PGresult **res, struct err *e)
{
	AUTO_PGRESULT PGresult *r = NULL;
	struct err drain = ERR_INIT;

	*res = NULL;
	if (session_send(s, command, e) == -1 ||
	    session_next_result(s, s->command_ms, &r, e) == -1)
		return err_ctx(e, "%s", doing);
	if (r == NULL || PQresultStatus(r) != wanted) {
		(void)session_fail(s, r, doing, e);
		/* The session goes on after an error, or says so again. */
		(void)session_drain(s, s->command_ms, &drain);
		return -1;
	}
	if (session_drain(s, s->command_ms, e) == -1)
		return err_ctx(e, "%s", doing);
	*res = steal_ptr(&r);
	return 0;
}

int
session_next_copy(struct session *s, char **data, int timeout_ms, struct err *e)
{
	int64_t until_us = 0;
	int len, got;

	for (;;) {
		len = PQgetCopyData(s->conn, data, 1);
		if (len > 0)
			return len;
		if (len == -1)
			return 0;
		if (len < -1)
			return session_fail_conn(s, "lost the stream", e);
		/* Pieces of a message do not make the wait longer. */
		if (timeout_ms > 0 && until_us == 0)
			until_us = clock_boot_us() + (int64_t)timeout_ms * 1000;
		got = session_wait_input(
		    s, timeout_ms > 0 ? left_ms(until_us) : timeout_ms, e);
		if (got == -1)
			return -1;
		if (got == 0)
			return SESSION_COPY_TIMEOUT;
	}
}
