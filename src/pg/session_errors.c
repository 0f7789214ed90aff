#include "pg/session_errors.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/buf.h"

/*
 * First match wins.  A SQLSTATE of two characters is a class.  Texts are
 * English: a server with other lc_messages is known by SQLSTATE alone.
 */
struct rule {
	const char *sqlstate; /* NULL: any */
	const char *text;     /* in the message or its detail; NULL: any */
	enum err_kind kind;
	const char *hint; /* %s, at most once: the user; NULL: the server's */
};

static const struct rule rules[] = {
	/* Who may come in. */
	{ "28000", "pg_hba.conf rejects", ERR_USAGE,
	    "A \"reject\" line of the server's pg_hba.conf matches this client; put a line that allows it in front." },
	{ "28000", "is not permitted to log in", ERR_USAGE,
	    "Run on the server: ALTER ROLE \"%s\" LOGIN REPLICATION;" },
	{ "28000", "does not exist", ERR_USAGE,
	    "Run on the server: CREATE ROLE \"%s\" LOGIN REPLICATION; or name another user= in the connection settings." },
	{ "28000", "Peer authentication failed", ERR_USAGE,
	    "Method \"peer\" wants an operating system user named \"%s\"; add a map to pg_ident.conf, or choose scram-sha-256 in pg_hba.conf." },
	{ "28000", "Ident authentication failed", ERR_USAGE,
	    "Choose another method than \"ident\" for user \"%s\" in pg_hba.conf." },
	{ "28P01", NULL, ERR_USAGE,
	    "Check the password of user \"%s\": in ~/.pgpass of the user that runs this program, in a line HOST:PORT:replication:USER:PASSWORD, mode 0600." },
	{ NULL, "no password supplied", ERR_USAGE,
	    "Put a line HOST:PORT:replication:%s:PASSWORD into ~/.pgpass of the user that runs this program, mode 0600." },
	{ "42501", "replication slot", ERR_USAGE,
	    "Run on the server: ALTER ROLE \"%s\" REPLICATION;" },
	{ "42501", "walsender", ERR_USAGE,
	    "Run on the server: ALTER ROLE \"%s\" REPLICATION;" },
	{ "42501", "WAL sender", ERR_USAGE,
	    "Run on the server: ALTER ROLE \"%s\" REPLICATION;" },
	{ "28", NULL, ERR_USAGE,
	    "Check user \"%s\" and the line of pg_hba.conf for it on the server." },
	{ "42501", NULL, ERR_USAGE,
	    "Grant user \"%s\" what the message names." },
	{ "3D000", NULL, ERR_USAGE,
	    "Name a database that exists by dbname= in the connection settings." },

	/* Room on the server. */
	{ "53300", "connections for role", ERR_TRANSIENT,
	    "Raise it on the server: ALTER ROLE \"%s\" CONNECTION LIMIT -1;" },
	{ "53300", NULL, ERR_TRANSIENT,
	    "All connections of the server are in use: end idle ones (pg_stat_activity), or raise max_connections and restart it." },
	{ "53400", "replication slots are in use", ERR_USAGE,
	    "Drop slots that nobody needs (pg_replication_slots), or raise max_replication_slots and restart the server." },
	{ "53100", NULL, ERR_IO, "Free space on the server's file system." },

	/* The server's state. */
	{ "57P03", "starting up", ERR_TRANSIENT,
	    "The server replays WAL before it accepts connections; its log says how far it is." },
	{ "57P03", "shutting down", ERR_TRANSIENT,
	    "Wait for the server to come back, or start it." },
	{ "57P03", "Hot standby mode is disabled", ERR_USAGE,
	    "Set hot_standby = on on this standby, or connect to another server." },
	{ "57P03", NULL, ERR_TRANSIENT,
	    "The server's log says what it is doing; this passes by itself." },
	{ "57P", NULL, ERR_TRANSIENT,
	    "The server ended the session; its log says why." },
	{ "55006", "is active for PID", ERR_TRANSIENT,
	    "Another receiver uses this slot, or the server has not yet noticed that an old one is gone (wal_sender_timeout)." },
	{ "55000", "WAL level not sufficient", ERR_USAGE,
	    "Set wal_level = replica on the server and restart it." },
	{ "55000", "promoted during online backup", ERR_TRANSIENT,
	    "Take the backup again: the standby has become a primary." },
	{ "55000", "full_page_writes=off", ERR_USAGE,
	    "Set full_page_writes = on on the primary, run CHECKPOINT there, and take the backup again." },
	{ "55000", "max_replication_slots", ERR_USAGE,
	    "Set max_replication_slots = 10 on the server and restart it." },
	{ "55000", "invalidated", ERR_NOT_FOUND,
	    "The slot's WAL went beyond max_slot_wal_keep_size and is gone: drop the slot, create it anew, and take a backup." },
	{ "25006", NULL, ERR_USAGE,
	    "This server is a standby: connect to the primary for this." },

	/* What was asked for. */
	{ "58P01", "has already been removed", ERR_NOT_FOUND,
	    "The server no longer has this WAL: it must come from an archive, or a new backup is needed." },
	{ "58P01", NULL, ERR_NOT_FOUND, NULL },
	{ "42704", NULL, ERR_NOT_FOUND, NULL },
	{ "42P01", NULL, ERR_NOT_FOUND, NULL },
	{ "42710", NULL, ERR_CONFLICT, NULL },
	{ NULL, "is ahead of the WAL flush position", ERR_CONFLICT,
	    "The server has less WAL than was received from it before: it is another server, was restored, or a standby that lags." },
	{ NULL, "is not in this server's history", ERR_CONFLICT,
	    "The server is on another timeline: was another server promoted?" },
	{ "0A000", NULL, ERR_USAGE, NULL },
	{ "22", NULL, ERR_USAGE, NULL },
	{ "42", NULL, ERR_BUG, NULL },
	{ "08", NULL, ERR_TRANSIENT, NULL },
	{ "53", NULL, ERR_TRANSIENT, NULL },
	{ "55", NULL, ERR_TRANSIENT, NULL },
	{ "57", NULL, ERR_TRANSIENT, NULL },
	{ "40", NULL, ERR_TRANSIENT, NULL },
	{ "XX001", NULL, ERR_CORRUPT,
	    "The server found damaged data; its log names the file." },
	{ "XX002", NULL, ERR_CORRUPT,
	    "The server found a damaged index; its log names it." },

	/* libpq's own words, without SQLSTATE. */
	{ NULL, "invalid connection option", ERR_USAGE,
	    "See \"Parameter Key Words\" in PostgreSQL's manual of libpq." },
	{ NULL, "after \"", ERR_USAGE,
	    "Connection settings are written as host=db1 port=5432 user=kura, or postgresql://kura@db1:5432." },
	{ NULL, "expected authentication request", ERR_USAGE,
	    "What listens there is no PostgreSQL server: check host= and port=." },
	{ NULL, "Connection refused", ERR_TRANSIENT,
	    "Nothing listens there: start the server, or check port= and the server's listen_addresses." },
	{ NULL, "socket \"", ERR_TRANSIENT,
	    "Start the server, or give host= the folder of its socket (SHOW unix_socket_directories) and port= its port." },
	{ NULL, "could not translate host name", ERR_TRANSIENT,
	    "Check host= in the connection settings and this machine's name service." },
	{ NULL, "No route to host", ERR_TRANSIENT,
	    "Check that the server's machine is up and that no firewall stands between." },
	{ NULL, "Network is unreachable", ERR_TRANSIENT,
	    "Check this machine's network and routes." },
	{ NULL, "timed out", ERR_TRANSIENT,
	    "Check that the server's machine is up and that no firewall drops the packets." },
	{ NULL, "timeout expired", ERR_TRANSIENT,
	    "Check that the server's machine is up and that no firewall drops the packets." },
	{ NULL, "certificate", ERR_USAGE,
	    "Check sslmode=, sslrootcert= and the certificate of the server." },
	{ NULL, "server does not support SSL", ERR_USAGE,
	    "Switch on ssl in the server, or set sslmode=prefer." },
	{ NULL, "session is read-only", ERR_TRANSIENT,
	    "No host of the connection settings fits target_session_attrs." },
	{ NULL, "server closed the connection", ERR_TRANSIENT,
	    "The server or the network ended the session; the server's log may say why." },
};

static bool
holds(const char *text, const char *part)
{
	return text != NULL && strstr(text, part) != NULL;
}

static const struct rule *
rule_find(const struct session_failure *f)
{
	const struct rule *r;

	for (r = rules; r < rules + COUNT_OF(rules); r++) {
		if (r->sqlstate != NULL &&
		    (f->sqlstate == NULL || f->sqlstate[0] == '\0' ||
			strncmp(r->sqlstate, f->sqlstate,
			    strlen(r->sqlstate)) != 0))
			continue;
		if (r->text == NULL || holds(f->text, r->text) ||
		    holds(f->detail, r->text))
			return r;
	}
	return NULL;
}

/* The words between the quotes that follow name in text, into out. */
static bool
quoted_after(const char *text, const char *name, char *out, size_t out_bytes)
{
	const char *from = strstr(text, name), *to;

	if (from == NULL || (from = strchr(from, '"')) == NULL ||
	    (to = strchr(++from, '"')) == NULL ||
	    (size_t)(to - from) >= out_bytes)
		return false;
	(void)memcpy(out, from, (size_t)(to - from));
	out[to - from] = '\0';
	return true;
}

/*
 * 'no pg_hba.conf entry for replication connection from host "10.0.0.5", user
 * "kura", no encryption': the line that is missing.  libpq/auth.c, 13 to 18.
 */
static int
hint_pg_hba(const char *text, struct err *e)
{
	char host[128], user[128], database[128] = "replication";
	bool replication = holds(text, "for replication connection");
	bool ssl = holds(text, "SSL encryption") || holds(text, "SSL on");

	if (!quoted_after(text, "host ", host, sizeof(host)) ||
	    !quoted_after(text, "user ", user, sizeof(user)))
		return err_hint(e,
		    "Add a line for this client to the server's pg_hba.conf and reload it.");
	if (!replication)
		(void)quoted_after(
		    text, "database ", database, sizeof(database));
	if (strcmp(host, "[local]") == 0)
		return err_hint(e,
		    "Add to the server's pg_hba.conf: \"local %s %s peer\", then run SELECT pg_reload_conf();",
		    database, user);
	return err_hint(e,
	    "Add to the server's pg_hba.conf: \"%s %s %s %s/%d scram-sha-256\", then run SELECT pg_reload_conf();",
	    ssl ? "hostssl" : "host", database, user, host,
	    strchr(host, ':') != NULL ? 128 : 32);
}

/* "... exceeds max_wal_senders (currently 10)": storage/lmgr/proc.c, 13-18. */
static int
hint_wal_senders(const char *text, struct err *e)
{
	const char *now = strstr(text, "(currently ");

	if (now == NULL || atoi(now + strlen("(currently ")) > 0)
		return err_hint(e,
		    "See who holds them in pg_stat_replication, or raise max_wal_senders and restart the server.");
	e->kind = ERR_USAGE;
	return err_hint(e,
	    "Set max_wal_senders = 10 and wal_level = replica on the server and restart it.");
}

static void
set_hint(const struct session_failure *f, const struct rule *r, struct err *e)
{
	const char *hint = r == NULL ? NULL : r->hint;

	if (holds(f->text, "no pg_hba.conf entry"))
		(void)hint_pg_hba(f->text, e);
	else if (holds(f->text, "max_wal_senders"))
		(void)hint_wal_senders(f->text, e);
	else if (hint == NULL)
		(void)err_hint(e, "%s", f->hint == NULL ? "" : f->hint);
	else if (strstr(hint, "%s") == NULL)
		(void)err_hint(e, "%s", hint);
	else {
		const char *at = strstr(hint, "%s");

		(void)err_hint(e, "%.*s%s%s", (int)(at - hint), hint,
		    f->user == NULL ? "" : f->user, at + 2);
	}
}

#define TELLS ", SQLSTATE "

bool
session_errors_tell(const struct err *e, const char *sqlstate)
{
	const char *at = e->text, *next;

	/* The last one: the server's own words may hold another. */
	while ((next = strstr(at, TELLS)) != NULL)
		at = next + strlen(TELLS);
	return at != e->text && strncmp(at, sqlstate, strlen(sqlstate)) == 0;
}

int
session_errors_describe(const struct session_failure *f, struct err *e)
{
	const struct rule *r = rule_find(f);
	bool told = f->sqlstate != NULL && f->sqlstate[0] != '\0';
	enum err_kind kind = told ? ERR_IO : ERR_TRANSIENT;

	if (e == NULL)
		return -1;
	(void)err_set(e, r != NULL ? r->kind : kind, "%s%s%s%s%s%s%s%s",
	    f->doing == NULL ? "" : f->doing, f->doing == NULL ? "" : ": ",
	    f->text, f->detail == NULL ? "" : " (",
	    f->detail == NULL ? "" : f->detail, f->detail == NULL ? "" : ")",
	    told ? TELLS : "", told ? f->sqlstate : "");
	set_hint(f, r, e);
	return -1;
}

/* Is p the SQLSTATE of "FATAL:  28000: text"? */
static bool
is_sqlstate(const char *line, const char *p)
{
	int i;

	if (p < line + 3 || strncmp(p - 3, ":  ", 3) != 0)
		return false;
	for (i = 0; i < 5; i++)
		if (!isdigit((unsigned char)p[i]) &&
		    !isupper((unsigned char)p[i]))
			return false;
	return strncmp(p + 5, ": ", 2) == 0;
}

/*
 * One line of PQerrorMessage() appended to out: without "FATAL:  28000: ",
 * whose SQLSTATE is kept, and not at all when it is only for developers.
 */
static void
take_line(const char *line, size_t len, char *sqlstate, struct buf *out)
{
	const char *severity, *p;

	while (len > 0 && isspace((unsigned char)*line)) {
		line++;
		len--;
	}
	if (len == 0 || strncmp(line, "LOCATION:", 9) == 0)
		return;
	if (out->len > 0)
		buf_put(out, "; ", 2);
	for (p = line; p + 7 <= line + len; p++)
		if (is_sqlstate(line, p))
			break;
	if (p + 7 > line + len) {
		buf_put(out, line, len);
		return;
	}
	(void)memcpy(sqlstate, p, 5);
	sqlstate[5] = '\0';
	severity = p - 3;
	while (severity > line && severity[-1] != ' ')
		severity--;
	buf_put(out, line, (size_t)(severity - line));
	p += 7;
	buf_put(out, p, (size_t)(line + len - p));
}

int
session_errors_describe_connect(
    const struct session_failure *f, char *sqlstate, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct session_failure g = *f;
	const char *line, *end;

	sqlstate[0] = '\0';
	for (line = f->text; *line != '\0'; line = end + (*end == '\n')) {
		end = line + strcspn(line, "\n");
		take_line(line, (size_t)(end - line), sqlstate, &text);
	}
	g.text = buf_str(&text);
	g.sqlstate = sqlstate;
	return session_errors_describe(&g, e);
}
