/*
 * check_connect: the connection to the server, and why there is none.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "jobs/check_int.h"
#include "jobs/rule.h"
#include "pg/server_pidfile.h"
#include "pg/session_login.h"

#define SKEW_US	    (2 * CLOCK_SECOND_US)
#define APPLICATION "pgkura_check"

/* libpq passes over a password file that others can read. */
static void
check_password_file(struct check *k, const char *path)
{
	struct stat st;

	if (path[0] == '\0' || stat(path, &st) == -1)
		return;
	if ((st.st_mode & 077) != 0)
		check_say(k, CHECK_FAULT, "password file",
		    "Others can read it, so it is not used: \"chmod 600\" it.",
		    "\"%s\" has mode %04o", path,
		    (unsigned int)(st.st_mode & 07777));
}

static void
say_password(struct check *k, const struct err *e)
{
	AUTO_BUF struct buf file = BUF_INIT;
	AUTO_FREE char *remedy = NULL;
	enum session_password where =
	    session_login_password(k->cluster->conninfo, &file);

	if (where == PASSWORD_IN_CONNINFO)
		remedy = mem_printf(
		    "Put the role's password into password= of conninfo in "
		    "\"%s\", better into a password file; then run \"pgkura "
		    "reload\".",
		    k->settings->path);
	else if (where == PASSWORD_IN_ENVIRONMENT)
		remedy = mem_strdup(
		    "It was taken from PGPASSWORD: correct it there.");
	else
		remedy = mem_printf(
		    "Put the role's password into \"%s\", in a line "
		    "HOST:PORT:replication:USER:PASSWORD, mode 0600. If it is "
		    "right, look at the role's VALID UNTIL. No reload is "
		    "needed.",
		    buf_str(&file));
	check_say(k, CHECK_FAULT, "password", remedy, "%s", e->text);
	if (where == PASSWORD_IN_FILE)
		check_password_file(k, buf_str(&file));
}

/* "all" in pg_hba.conf does not mean replication: is that what is missing? */
static void
say_rule(struct check *k, const struct err *e)
{
	struct err ignored = ERR_INIT;
	AUTO_SESSION struct session *s = session_open(
	    k->cluster->conninfo, SESSION_SQL, APPLICATION, &ignored);

	check_fault(k, "pg_hba.conf", e);
	if (s != NULL)
		check_say(k, CHECK_NOTE, "pg_hba.conf, all", NULL,
		    "a line with database \"all\" lets %s in; for "
		    "replication it must say \"replication\"",
		    session_where(s));
}

/* Where a server on this machine listens; nobody has to name its port. */
static void
say_pidfile(struct check *k)
{
	struct server_pidfile f;
	struct err e = ERR_INIT;

	if (k->cluster->pgdata == NULL ||
	    server_pidfile_read(k->cluster->pgdata, &f, &e) == -1)
		return;
	if (f.pid == 0)
		check_say(k, CHECK_NOTE, "server",
		    "Start it, or correct pgdata.", "none runs on \"%s\"",
		    k->cluster->pgdata);
	else
		check_say(k, CHECK_NOTE, "server",
		    "Compare with host= and port= in conninfo.",
		    "the one on \"%s\" listens at \"host=%s port=%d\" (%s)",
		    k->cluster->pgdata,
		    f.socket_dir[0] != '\0' ? f.socket_dir : f.address, f.port,
		    f.status);
}

static void
say_failure(struct check *k, const struct err *e)
{
	if (strstr(e->text, "password authentication failed") != NULL ||
	    strstr(e->text, "no password supplied") != NULL)
		say_password(k, e);
	else if (strstr(e->text, "pg_hba.conf") != NULL)
		say_rule(k, e);
	else
		check_fault(k, "connection", e);
	say_pidfile(k);
}

/* Times that people give to a restore are the server's. */
static void
check_clock(struct check *k, struct session *sql)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	char by[CLOCK_TEXT_BYTES];
	int64_t before_us = clock_now_us(), skew_us;
	bool found;

	if (session_query_value(sql,
		"SELECT (extract(epoch FROM clock_timestamp()) * "
		"1000000)::bigint",
		&text, &found, &e) == -1 ||
	    !found)
		return;
	skew_us = strtoll(buf_str(&text), NULL, 10) -
	    (before_us + (clock_now_us() - before_us) / 2);
	(void)clock_interval(skew_us < 0 ? -skew_us : skew_us, by);
	if (skew_us > SKEW_US || skew_us < -SKEW_US)
		check_say(k, CHECK_WARNING, "clock",
		    "Set both machines' clocks by NTP: --time of a restore is "
		    "compared with the server's.",
		    "the server's is %s %s of this machine's", by,
		    skew_us > 0 ? "ahead" : "behind");
	else
		check_say(
		    k, CHECK_OK, "clock", NULL, "agrees with the server's");
}

/* What the replication protocol does not tell; a role without CONNECT loses
 * nothing but these. */
static void
check_by_sql(struct check *k)
{
	struct err e = ERR_INIT;
	AUTO_SESSION struct session *sql =
	    session_open(k->cluster->conninfo, SESSION_SQL, APPLICATION, &e);

	if (sql == NULL) {
		check_say(k, CHECK_NOTE, "clock", NULL,
		    "not compared with the server's: this role is let in for "
		    "replication only");
		return;
	}
	check_clock(k, sql);
	check_slot_lost(k, sql);
}

/* Open k->session. */
static int
open_session(struct check *k, struct session_identity *id, struct err *e)
{
	AUTO_BUF struct buf super = BUF_INIT;

	k->session = session_open(
	    k->cluster->conninfo, SESSION_REPLICATION, APPLICATION, e);
	if (k->session == NULL || session_identify(k->session, id, e) == -1)
		return -1;
	check_say(k, CHECK_OK, "connection", NULL, "%s, %s",
	    session_where(k->session), session_login_text(k->session));
	check_say(k, CHECK_OK, "system identifier", NULL, "%llu",
	    (unsigned long long)id->system_id);
	if (session_show(k->session, "is_superuser", &super, e) == 0 &&
	    strcmp(buf_str(&super), "on") == 0)
		check_say(k, CHECK_NOTE, "role", NULL,
		    "it is a superuser; REPLICATION is all that is needed");
	err_clear(e);
	return 0;
}

/* By its role; what conninfo names may be an old primary, which nobody is to start. */
static bool
is_standby_site(const struct check *k)
{
	AUTO_JSON json_t *shown = rule_wanted(k->cluster)
	    ? rule_shown(k->settings, k->cluster)
	    : NULL;

	return strcmp(json_get_str(shown, "role"), "standby") == 0;
}

void
check_connect(struct check *k)
{
	struct session_identity id;
	struct err e = ERR_INIT;

	if (is_standby_site(k)) {
		check_say(k, CHECK_OK, "connection", NULL,
		    "this site is a standby: backups and WAL come from the "
		    "primary's site");
		return;
	}

	if (k->cluster->conninfo == NULL) {
		check_say(k, CHECK_OK, "connection", NULL,
		    "no server at this site: backups and WAL come from %s",
		    k->cluster->accept_from);
		return;
	}
	if (open_session(k, &id, &e) == -1) {
		say_failure(k, &e);
		session_close(steal_ptr(&k->session));
		return;
	}
	check_server(k);
	check_by_sql(k);
	session_close(steal_ptr(&k->session));
}
