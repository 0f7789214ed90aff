/*
 * What a failure of the server or of libpq is to the operator: its kind, which
 * decides whether to try again, its words, and the next step.
 */

#include "pg/session_errors.h"

#include <string.h>

#include "base/auto.h"
#include "tap.h"

struct sample {
	const char *sqlstate, *text, *detail;
	enum err_kind kind;
	const char *hint; /* a part of it */
};

/* Words of servers that only the right moment brings about. */
static const struct sample samples[] = {
	{ "55000", "WAL level not sufficient for making an online backup", NULL,
	    ERR_USAGE, "wal_level = replica" },
	{ "55000",
	    "WAL generated with full_page_writes=off was replayed since last restartpoint",
	    NULL, ERR_USAGE, "full_page_writes = on" },
	{ "55000", "can no longer access replication slot \"a\"",
	    "This replication slot has been invalidated due to \"wal_removed\".",
	    ERR_NOT_FOUND, "create it anew" },
	{ "57P03", "the database system is starting up", NULL, ERR_TRANSIENT,
	    "replays WAL" },
	{ "57P03", "the database system is shutting down", NULL, ERR_TRANSIENT,
	    "come back" },
	{ "57P03", "the database system is not accepting connections",
	    "Hot standby mode is disabled.", ERR_USAGE, "hot_standby = on" },
	{ "57P01", "terminating connection due to administrator command", NULL,
	    ERR_TRANSIENT, "its log" },
	{ "53100", "could not extend file: No space left on device", NULL,
	    ERR_IO, "Free space" },
	{ "53200", "out of memory", NULL, ERR_TRANSIENT, "" },
	{ "58P01",
	    "requested WAL segment 000000010000000000000001 has already been removed",
	    NULL, ERR_NOT_FOUND, "archive" },
	{ "XX001", "invalid page in block 3 of relation base/5/1259", NULL,
	    ERR_CORRUPT, "log names the file" },
	{ "XX000",
	    "requested starting point 0/9000000 is ahead of the WAL flush position of this server 0/5000000",
	    NULL, ERR_CONFLICT, "another server" },
	{ "25006", "cannot execute INSERT in a read-only transaction", NULL,
	    ERR_USAGE, "primary" },
	{ "42601", "syntax error", NULL, ERR_BUG, "" },
	{ "99999", "something nobody has seen", NULL, ERR_IO, "" },
	/* Another language: the SQLSTATE is enough. */
	{ "28P01", "Passwort-Authentifizierung fehlgeschlagen", NULL, ERR_USAGE,
	    ".pgpass" },
	{ "57P03", "das Datenbanksystem startet", NULL, ERR_TRANSIENT, "log" },
	{ "", "could not connect: No route to host", NULL, ERR_TRANSIENT,
	    "firewall" },
	{ "", "server closed the connection unexpectedly", NULL, ERR_TRANSIENT,
	    "log" },
	{ "", "something of libpq", NULL, ERR_TRANSIENT, "" },
};

static void
check_samples(void)
{
	struct session_failure f = { .doing = "could not work",
		.user = "kura" };
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; i < COUNT_OF(samples); i++) {
		const struct sample *s = &samples[i];

		f.sqlstate = s->sqlstate;
		f.text = s->text;
		f.detail = s->detail;
		tap_u64((uint64_t)-session_errors_describe(&f, &e), 1, "-1");
		tap_str(err_kind_name(e.kind), err_kind_name(s->kind),
		    "kind of %s %s", s->sqlstate, s->text);
		if (!tap_ok(strstr(e.hint, s->hint) != NULL, "hint of %s %s",
			s->sqlstate, s->text))
			tap_diag("%s", e.hint);
		tap_ok(strstr(e.text, s->text) != NULL &&
			strstr(e.text, s->sqlstate) != NULL,
		    "text: %s", e.text);
	}
}

static void
check_own_hint(void)
{
	const struct session_failure f = { .doing = "could not drop it",
		.sqlstate = "0A000",
		.text = "this is not done",
		.detail = "Why not.",
		.hint = "Do that." };
	struct err e = ERR_INIT;

	(void)session_errors_describe(&f, &e);
	tap_str(e.text,
	    "could not drop it: this is not done (Why not.), SQLSTATE 0A000",
	    "all that the server says is in the text");
	tap_str(e.hint, "Do that.", "its hint stands where we have none");
	tap_u64(
	    (uint64_t)-session_errors_describe(&f, NULL), 1, "no place for it");
}

static void
check_connect(const char *text, const char *want_state, const char *want_text,
    const char *want_hint)
{
	const struct session_failure f = { .text = text, .user = "kura" };
	struct err e = ERR_INIT;
	char sqlstate[6];

	(void)session_errors_describe_connect(&f, sqlstate, &e);
	tap_str(sqlstate, want_state, "SQLSTATE");
	tap_str(e.text, want_text, "text");
	tap_str(e.hint, want_hint, "hint");
}

static void
check_connects(void)
{
	check_connect(
	    "connection to server on socket \"/run/.s.PGSQL.5432\" failed: FATAL:  28000: no pg_hba.conf entry for replication connection from host \"[local]\", user \"kura\", no encryption\nLOCATION:  ClientAuthentication, auc.c:521\n",
	    "28000",
	    "connection to server on socket \"/run/.s.PGSQL.5432\" failed: no pg_hba.conf entry for replication connection from host \"[local]\", user \"kura\", no encryption, SQLSTATE 28000",
	    "Add to the server's pg_hba.conf: \"local replication kura peer\", then run SELECT pg_reload_conf();");
	check_connect(
	    "FATAL:  28000: no pg_hba.conf entry for replication connection from host \"2001:db8::5\", user \"kura\", SSL encryption\n",
	    "28000",
	    "no pg_hba.conf entry for replication connection from host \"2001:db8::5\", user \"kura\", SSL encryption, SQLSTATE 28000",
	    "Add to the server's pg_hba.conf: \"hostssl replication kura 2001:db8::5/128 scram-sha-256\", then run SELECT pg_reload_conf();");
	check_connect(
	    "FATAL:  28000: no pg_hba.conf entry for host \"10.0.0.5\", user \"kura\", database \"shop\", SSL off\n",
	    "28000",
	    "no pg_hba.conf entry for host \"10.0.0.5\", user \"kura\", database \"shop\", SSL off, SQLSTATE 28000",
	    "Add to the server's pg_hba.conf: \"host shop kura 10.0.0.5/32 scram-sha-256\", then run SELECT pg_reload_conf();");
	check_connect("FATAL:  28000: no pg_hba.conf entry for something odd\n",
	    "28000", "no pg_hba.conf entry for something odd, SQLSTATE 28000",
	    "Add a line for this client to the server's pg_hba.conf and reload it.");
	check_connect(
	    "connection to server at \"a\" failed: FATAL:  42501: permission denied to start WAL sender\nDETAIL:  Only roles with the REPLICATION attribute may start a WAL sender process.\nLOCATION:  InitPostgres, postinit.c:954\n",
	    "42501",
	    "connection to server at \"a\" failed: permission denied to start WAL sender; DETAIL:  Only roles with the REPLICATION attribute may start a WAL sender process., SQLSTATE 42501",
	    "Run on the server: ALTER ROLE \"kura\" REPLICATION;");
	/* Two hosts: both are told, the last one's SQLSTATE counts. */
	check_connect(
	    "connection to server at \"a\" (10.0.0.1), port 5432 failed: Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?\nconnection to server at \"b\" failed: FATAL:  57P03: the database system is starting up\n",
	    "57P03",
	    "connection to server at \"a\" (10.0.0.1), port 5432 failed: Connection refused; Is the server running on that host and accepting TCP/IP connections?; connection to server at \"b\" failed: the database system is starting up, SQLSTATE 57P03",
	    "The server replays WAL before it accepts connections; its log says how far it is.");
	check_connect("", "", "", "");
	check_connect("FATAL:  28000", "", "FATAL:  28000", "");
	check_connect(":  28000: x", "28000", "x, SQLSTATE 28000",
	    "Check user \"kura\" and the line of pg_hba.conf for it on the server.");
}

static void
check_tell(void)
{
	const struct session_failure f = { .text = "says \"x, SQLSTATE 42501\"",
		.sqlstate = "57P03" };
	const struct session_failure none = { .text = "no answer" };
	struct err e = ERR_INIT;

	(void)session_errors_describe(&f, &e);
	(void)err_ctx(&e, "could not ask");
	tap_ok(
	    session_errors_tell(&e, "57P03"), "what the server said is told");
	tap_ok(session_errors_tell(&e, "57"), "by its class, too");
	tap_ok(!session_errors_tell(&e, "42501"),
	    "what stands in its words is not it");
	(void)session_errors_describe(&none, &e);
	tap_ok(!session_errors_tell(&e, ""), "libpq's own words have none");
}

int
main(void)
{
	check_samples();
	check_own_hint();
	check_connects();
	check_tell();
	return tap_done();
}
