/*
 * drill_check: is the promoted copy what it should be?  One step each.
 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "jobs/drill_int.h"
#include "pg/session_script.h"

#define QUERY_MS	60000
#define PAGE_HEADER_MAX 40 /* of a WAL page, before its first record */

/* ---- asking ---- */

static void
put_quoted(struct buf *out, const char *value)
{
	const char *p;

	buf_put_u8(out, '\'');
	for (p = value; *p != '\0'; p++) {
		if (*p == '\'' || *p == '\\')
			buf_put_u8(out, '\\');
		buf_put_u8(out, (uint8_t)*p);
	}
	buf_put_u8(out, '\'');
}

static void
put_conninfo(const struct copy_server *v, const char *database, struct buf *out)
{
	buf_printf(out, "host=");
	put_quoted(out, v->host);
	buf_printf(out, " port=%d user=", v->port);
	put_quoted(out, v->user);
	buf_printf(out, " dbname=");
	put_quoted(out, database);
	buf_printf(out, " sslmode=disable gssencmode=disable");
}

struct session *
drill_connect(const struct copy_server *v, const char *database, struct err *e)
{
	AUTO_BUF struct buf conninfo = BUF_INIT;

	put_conninfo(v, database, &conninfo);
	return session_open(buf_str(&conninfo), SESSION_SQL, "pgkura drill", e);
}

int
drill_ask(const struct copy_server *v, const char *database, const char *sql,
    struct buf *out, struct err *e)
{
	AUTO_SESSION struct session *s = drill_connect(v, database, e);
	bool found;

	return s == NULL ? -1 : session_query_value(s, sql, out, &found, e);
}

int
drill_find_user(struct copy_server *v, struct err *e)
{
	AUTO_BUF struct buf out = BUF_INIT;

	(void)snprintf(
	    v->user, sizeof(v->user), "%s", v->copy->cluster->drill_user);
	if (drill_ask(v, "postgres",
		"SELECT rolsuper FROM pg_roles WHERE rolname = current_user",
		&out, e) == -1)
		return err_hint(e,
		    "drill_user names a superuser of the cluster, and there "
		    "must be a database \"postgres\".");
	if (strcmp(buf_str(&out), "t") == 0)
		return 0;
	(void)err_set(e, ERR_USAGE, "role \"%s\" is no superuser", v->user);
	return err_hint(e, "Name one in drill_user.");
}

/* ---- the target ---- */

/* A position right behind a page's header and the page's start are the same
 * place. */
static uint64_t
without_header(uint64_t lsn)
{
	return lsn % WAL_PAGE_BYTES <= PAGE_HEADER_MAX
	    ? lsn - lsn % WAL_PAGE_BYTES
	    : lsn;
}

static int
check_position(
    const struct copy_server *v, char *detail, size_t bytes, struct err *e)
{
	const struct target *t = v->copy->target;
	AUTO_BUF struct buf got = BUF_INIT;
	char want[LSN_TEXT_BYTES];
	uint64_t lsn;

	if (drill_ask(v, "postgres", "SELECT pg_last_wal_replay_lsn()", &got,
		e) == -1 ||
	    lsn_parse(buf_str(&got), &lsn, e) == -1)
		return -1;
	tell_fact(&v->copy->teller, "replayed_lsn", buf_str(&got));
	(void)lsn_text(t->stop_lsn, want);
	if (without_header(lsn) < without_header(t->stop_lsn))
		return err_set(e, ERR_CORRUPT,
		    "recovery ended at %s, before the target, %s",
		    buf_str(&got), want);
	(void)snprintf(
	    detail, bytes, "recovered to %s (target %s)", buf_str(&got), want);
	return 0;
}

/* In microseconds since 1970. */
#define LAST_COMMIT                                                      \
	"SELECT (extract(epoch FROM pg_last_xact_replay_timestamp()) * " \
	"1000000)::bigint"

static int
check_commit(
    const struct copy_server *v, char *detail, size_t bytes, struct err *e)
{
	const struct target *t = v->copy->target;
	AUTO_BUF struct buf got = BUF_INIT;
	char when[CLOCK_TEXT_BYTES];
	size_t len = strlen(detail);
	int64_t us;

	if (drill_ask(v, "postgres", LAST_COMMIT, &got, e) == -1)
		return -1;
	us = strtoll(buf_str(&got), NULL, 10);
	if (us == 0) {
		(void)snprintf(detail + len, bytes - len,
		    "; no transaction was in the WAL behind the backup");
		return 0;
	}
	tell_fact(&v->copy->teller, "last_commit", clock_utc(us, when));
	(void)snprintf(detail + len, bytes - len, "; last transaction %s",
	    clock_utc(us, when));
	/* extract() goes through no floating point only from 14 on. */
	if (t->stop_us != 0 && us < t->stop_us - CLOCK_SECOND_US / 1000)
		return err_set(e, ERR_CORRUPT,
		    "the last transaction replayed is of %s, the target's is "
		    "later",
		    clock_utc(us, when));
	return 0;
}

static int
check_target(const struct copy_server *v)
{
	const struct teller *t = &v->copy->teller;
	struct err e = ERR_INIT;
	char detail[400] = "";

	tell_begin(t, "target", "It has recovered what it was to recover");
	if (check_position(v, detail, sizeof(detail), &e) == -1 ||
	    check_commit(v, detail, sizeof(detail), &e) == -1) {
		tell_failure(t, &e);
		return 1;
	}
	tell_end(t, STEP_PASSED, NULL, "%s", detail);
	return 0;
}

/* ---- writing ---- */

static const char write_probe[] =
    "CREATE TABLE public.pgkura_drill_probe (n int);\n"
    "INSERT INTO public.pgkura_drill_probe SELECT generate_series(1, 1000);\n"
    "SELECT count(*) = 1000 FROM public.pgkura_drill_probe;\n"
    "DROP TABLE public.pgkura_drill_probe;\n"
    "SELECT NOT pg_is_in_recovery();\n";

/* Statements of one text are one transaction: it commits, or fails. */
static int
check_write(const struct copy_server *v)
{
	const struct teller *t = &v->copy->teller;
	AUTO_SCRIPT_RESULT struct script_result r = { 0 };
	AUTO_SESSION struct session *s = NULL;
	struct err e = ERR_INIT;

	tell_begin(t, "write", "It takes writes");
	s = drill_connect(v, "postgres", &e);
	if (s == NULL ||
	    session_script(s, "CREATE SCHEMA IF NOT EXISTS public", QUERY_MS,
		&r, &e) == -1) {
		tell_failure(t, &e);
		return 1;
	}
	script_result_free(&r);
	if (session_script(s, write_probe, QUERY_MS, &r, &e) == -1) {
		tell_failure(t, &e);
		return 1;
	}
	if (r.false_rows > 0) {
		tell_end(t, STEP_FAILED, NULL,
		    "what was written does not come back");
		return 1;
	}
	tell_end(t, STEP_PASSED, NULL,
	    "a table was made, filled, read and dropped, and committed");
	return 0;
}

int
drill_check_running(const struct copy_server *server)
{
	struct copy_server v = *server;
	struct err e = ERR_INIT;
	int failed;

	if (drill_find_user(&v, &e) == -1) {
		tell_begin(&v.copy->teller, "connect", "It can be asked");
		tell_failure(&v.copy->teller, &e);
		return 1;
	}
	failed = check_target(&v);
	failed |= check_write(&v);
	failed |= drill_check_contents(&v);
	failed |= drill_check_collations(&v);
	failed |= drill_check_extensions(&v);
	failed |= drill_check_amcheck(&v);
	return drill_check_files(&v) | failed;
}
