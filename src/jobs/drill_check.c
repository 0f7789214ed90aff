/*
 * drill_check: is the promoted copy what it should be?  One step each.
 */

#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"
#include "jobs/drill_int.h"
#include "pg/session_script.h"

#define QUERY_MS	60000
#define SQL_MS		(10 * 60 * 1000) /* of a file that names none */
#define DATABASES_MAX	1000
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

static struct session *
connect_to(const struct copy_server *v, const char *database, struct err *e)
{
	AUTO_BUF struct buf conninfo = BUF_INIT;

	put_conninfo(v, database, &conninfo);
	return session_open(buf_str(&conninfo), SESSION_SQL, "pgkura drill", e);
}

/* A value of one row and column; "" for NULL. */
static int
ask(const struct copy_server *v, const char *database, const char *sql,
    struct buf *out, struct err *e)
{
	AUTO_SESSION struct session *s = connect_to(v, database, e);
	bool found;

	return s == NULL ? -1 : session_query_value(s, sql, out, &found, e);
}

int
drill_find_user(struct copy_server *v, struct err *e)
{
	AUTO_BUF struct buf out = BUF_INIT;

	(void)snprintf(
	    v->user, sizeof(v->user), "%s", v->copy->cluster->drill_user);
	if (ask(v, "postgres",
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

	if (ask(v, "postgres", "SELECT pg_last_wal_replay_lsn()", &got, e) ==
		-1 ||
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

	if (ask(v, "postgres", LAST_COMMIT, &got, e) == -1)
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
	s = connect_to(v, "postgres", &e);
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

/* ---- what is there ---- */

#define LIST_DATABASES                                              \
	"SELECT string_agg(datname, E'\\n' ORDER BY datname) FROM " \
	"pg_database WHERE datallowconn AND datname <> 'template0'"
#define COUNT_TABLES                                                            \
	"SELECT count(*) FILTER (WHERE relkind IN ('r', 'p')) || ' tables, ' "  \
	"|| count(*) FILTER (WHERE relkind IN ('i', 'I')) || ' indexes, ' || "  \
	"pg_size_pretty(pg_database_size(current_database())) FROM pg_class c " \
	"JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname NOT IN "     \
	"('pg_catalog', 'information_schema', 'pg_toast')"

/* Call fn for each database; stops at the first -1. */
static int
each_database(const struct copy_server *v,
    int (*fn)(const struct copy_server *v, const char *name, struct buf *out,
	struct err *e),
    struct buf *out, size_t *count, struct err *e)
{
	AUTO_BUF struct buf names = BUF_INIT;
	AUTO_FREE char *copy = NULL;
	char *save = NULL, *name;

	*count = 0;
	if (ask(v, "postgres", LIST_DATABASES, &names, e) == -1)
		return -1;
	copy = mem_strdup(buf_str(&names));
	for (name = strtok_r(copy, "\n", &save);
	     name != NULL && *count < DATABASES_MAX;
	     name = strtok_r(NULL, "\n", &save)) {
		if (fn(v, name, out, e) == -1)
			return err_ctx(e, "database \"%s\"", name);
		(*count)++;
	}
	return 0;
}

static int
count_tables(const struct copy_server *v, const char *name, struct buf *out,
    struct err *e)
{
	AUTO_BUF struct buf got = BUF_INIT;

	if (ask(v, name, COUNT_TABLES, &got, e) == -1)
		return -1;
	buf_printf(out, "%s: %s\n", name, buf_str(&got));
	return 0;
}

static int
check_contents(const struct copy_server *v)
{
	const struct teller *t = &v->copy->teller;
	AUTO_BUF struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	size_t count;

	tell_begin(t, "contents", "Every database can be entered and counted");
	if (each_database(v, count_tables, &out, &count, &e) == -1) {
		tell_failure(t, &e);
		return 1;
	}
	tell_end(t, STEP_PASSED, buf_str(&out), "%zu databases", count);
	return 0;
}

/* ---- collations ---- */

/* Those that an index depends on; a difference means that the index may be in
 * another order than this machine's library has. */
#define OLD_COLLATIONS                                                      \
	"SELECT string_agg(quote_ident(collname) || ' ' || collversion || " \
	"' here ' || pg_collation_actual_version(oid), ', ') FROM "         \
	"pg_collation WHERE collversion IS NOT NULL AND "                   \
	"collversion <> pg_collation_actual_version(oid) AND oid IN "       \
	"(SELECT unnest(indcollation) FROM pg_index)"
#define OLD_DATABASE                                                        \
	"SELECT datcollversion || ' here ' || "                             \
	"pg_database_collation_actual_version(oid) FROM pg_database WHERE " \
	"datname = current_database() AND datcollversion <> "               \
	"pg_database_collation_actual_version(oid)"

static int
compare_collations(const struct copy_server *v, const char *name,
    struct buf *out, struct err *e)
{
	AUTO_BUF struct buf of_indexes = BUF_INIT, of_database = BUF_INIT;

	if (ask(v, name, OLD_COLLATIONS, &of_indexes, e) == -1)
		return -1;
	if (v->copy->root->facts.major >= 15 &&
	    ask(v, name, OLD_DATABASE, &of_database, e) == -1)
		return -1;
	if (of_indexes.len > 0)
		buf_printf(out, "%s: %s\n", name, buf_str(&of_indexes));
	if (of_database.len > 0)
		buf_printf(out, "%s: default collation, version %s\n", name,
		    buf_str(&of_database));
	return 0;
}

static int
check_collations(const struct copy_server *v)
{
	const struct teller *t = &v->copy->teller;
	AUTO_BUF struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	size_t count;

	tell_begin(t, "collations",
	    "Text is sorted here as where the indexes were made");
	if (each_database(v, compare_collations, &out, &count, &e) == -1) {
		tell_failure(t, &e);
		return 1;
	}
	if (out.len > 0) {
		tell_fact(t, "collations", buf_str(&out));
		tell_end(t, STEP_FAILED, buf_str(&out),
		    "collation versions differ: indexes on text may be wrong "
		    "here until they are rebuilt (REINDEX)");
		return 1;
	}
	tell_fact(t, "collations", "equal");
	tell_end(t, STEP_PASSED, NULL,
	    v->copy->root->facts.major >= 15
		? "no version differs"
		: "no version of a collation with a recorded one differs");
	return 0;
}

/* ---- extensions ---- */

#define LIST_EXTENSIONS                                                  \
	"SELECT string_agg(extname || ' ' || extversion, ', ' ORDER BY " \
	"extname) FROM pg_extension"
#define LOST_EXTENSIONS                                                       \
	"SELECT string_agg('extension ' || extname, ', ') FROM pg_extension " \
	"WHERE extname NOT IN (SELECT name FROM pg_available_extensions)"
#define LIST_LIBRARIES                                                     \
	"SELECT string_agg(DISTINCT replace(probin, '$libdir', (SELECT "   \
	"setting FROM pg_config WHERE name = 'PKGLIBDIR')), E'\\n') FROM " \
	"pg_proc WHERE probin LIKE '%/%'"
#define SHARE_FOLDER "SELECT setting FROM pg_config WHERE name = 'SHAREDIR'"

/* Libraries of functions that are not there, to out. */
static int
look_for_libraries(const struct copy_server *v, const char *name,
    struct buf *out, struct err *e)
{
	AUTO_BUF struct buf got = BUF_INIT;
	AUTO_FREE char *copy = NULL;
	char *save = NULL, *path;

	if (ask(v, name, LIST_LIBRARIES, &got, e) == -1)
		return -1;
	copy = mem_strdup(buf_str(&got));
	for (path = strtok_r(copy, "\n", &save); path != NULL;
	     path = strtok_r(NULL, "\n", &save)) {
		AUTO_FREE char *file = mem_printf("%s.so", path);

		if (access(path, R_OK) == -1 && access(file, R_OK) == -1)
			buf_printf(out, "%s: library %.300s\n", name, path);
	}
	return 0;
}

static int
look_for_extensions(const struct copy_server *v, const char *name,
    struct buf *out, struct err *e)
{
	AUTO_BUF struct buf lost = BUF_INIT, there = BUF_INIT;
	AUTO_FREE char *key = mem_printf("extensions of %.63s", name);

	if (ask(v, name, LIST_EXTENSIONS, &there, e) == -1 ||
	    ask(v, name, LOST_EXTENSIONS, &lost, e) == -1)
		return -1;
	tell_fact(&v->copy->teller, key, buf_str(&there));
	if (lost.len > 0)
		buf_printf(out, "%s: %s\n", name, buf_str(&lost));
	return look_for_libraries(v, name, out, e);
}

static int
check_extensions(const struct copy_server *v)
{
	const struct teller *t = &v->copy->teller;
	AUTO_BUF struct buf out = BUF_INIT, share = BUF_INIT;
	struct err e = ERR_INIT;
	size_t count;

	tell_begin(
	    t, "extensions", "Everything that it uses is installed here");
	if (ask(v, "postgres", SHARE_FOLDER, &share, &e) == -1 ||
	    each_database(v, look_for_extensions, &out, &count, &e) == -1) {
		tell_failure(t, &e);
		return 1;
	}
	tell_fact(t, "sharedir", buf_str(&share));
	tell_fact(t, "libc", gnu_get_libc_version());
	if (out.len > 0) {
		tell_end(t, STEP_FAILED, buf_str(&out),
		    "extensions or their libraries are not installed here");
		return 1;
	}
	tell_end(t, STEP_PASSED, NULL,
	    "extensions and libraries of %zu databases are there", count);
	return 0;
}

/* ---- tools ---- */

/* Of this version, or of a newer one in PATH; NULL: none. */
static char *
find_tool(const struct copy_server *v, const char *name)
{
	AUTO_FREE char *path = file_join(v->bindir, name);

	return access(path, X_OK) == 0 ? steal_ptr(&path) : NULL;
}

/* Run a tool: passed when it ends with 0. */
static int
run_tool(const struct copy_server *v, const char *const *argv,
    const char *passed, const char *failed)
{
	const struct teller *t = &v->copy->teller;
	AUTO_BUF struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	int status = child_run(argv, 0, &out, &e);

	if (status == -1) {
		tell_failure(t, &e);
		return 1;
	}
	if (status != 0) {
		tell_end(t, STEP_FAILED, buf_str(&out), "%s", failed);
		return 1;
	}
	tell_end(t, STEP_PASSED, buf_str(&out), "%s", passed);
	return 0;
}

static int
check_amcheck(const struct copy_server *v)
{
	const struct teller *t = &v->copy->teller;
	AUTO_FREE char *tool = find_tool(v, "pg_amcheck");
	AUTO_FREE char *port = mem_printf("%d", v->port);
	const char *argv[] = { tool, "--all", "--install-missing", "-h",
		v->host, "-p", port, "-U", v->user, "--no-password",
		"--maintenance-db=postgres", NULL };

	tell_begin(t, "amcheck", "Tables and indexes are sound (pg_amcheck)");
	if (tool == NULL || v->copy->root->facts.major < 14) {
		tell_untested(t,
		    "The structure of tables and indexes: there is no "
		    "pg_amcheck for this version here");
		tell_end(t, STEP_SKIPPED, NULL, "pg_amcheck is not there");
		return 0;
	}
	(void)setenv("PGSSLMODE", "disable", 1);
	(void)setenv("PGGSSENCMODE", "disable", 1);
	return run_tool(v, argv, "pg_amcheck found nothing",
	    "pg_amcheck found damage, or could not look");
}

int
drill_check_stopped(const struct copy_server *v)
{
	const struct teller *t = &v->copy->teller;
	AUTO_FREE char *tool = find_tool(v, "pg_checksums");
	const char *argv[] = { tool, "--check", "-D", v->pgdata, NULL };

	tell_begin(
	    t, "checksums", "Every page has its checksum (pg_checksums)");
	if (!v->copy->root->facts.checksums) {
		tell_untested(
		    t, "Page checksums: the cluster was made without them");
		tell_end(t, STEP_SKIPPED, NULL, "the cluster has none");
		return 0;
	}
	if (tool == NULL) {
		tell_untested(t, "Page checksums: there is no pg_checksums");
		tell_end(t, STEP_SKIPPED, NULL, "pg_checksums is not there");
		return 0;
	}
	return run_tool(
	    v, argv, "pg_checksums found nothing", "pages are damaged");
}

/* ---- the operator's own ---- */

/*
 * What a file may say in its first lines:
 *	-- pgkura: database=NAME
 *	-- pgkura: timeout=30s
 */
static void
read_heading(const char *sql, char *database, size_t bytes, int *timeout_ms)
{
	static const char word[] = "-- pgkura: ";
	char value[128];
	int64_t us;

	while (strncmp(sql, word, strlen(word)) == 0) {
		sql += strlen(word);
		if (sscanf(sql, "database=%127[^\n]", value) == 1)
			(void)snprintf(database, bytes, "%.63s", value);
		else if (sscanf(sql, "timeout=%127[^\n]", value) == 1 &&
		    clock_parse_interval(value, &us, NULL) == 0 && us > 0 &&
		    us / 1000 < INT32_MAX)
			*timeout_ms = (int)(us / 1000);
		sql += strcspn(sql, "\n");
		sql += *sql == '\n' ? 1 : 0;
	}
}

/* Our own sessions have an empty search_path. */
static int
as_users_are(struct session *s, struct err *e)
{
	AUTO_SCRIPT_RESULT struct script_result r = { 0 };

	return session_script(s, "RESET search_path", QUERY_MS, &r, e);
}

static int
check_sql(const struct copy_server *v, const char *path, struct buf *sql)
{
	const struct teller *t = &v->copy->teller;
	AUTO_FREE char *what = mem_printf("Check \"%s\"", path);
	AUTO_SCRIPT_RESULT struct script_result r = { 0 };
	AUTO_SESSION struct session *s = NULL;
	struct err e = ERR_INIT;
	char database[64] = "postgres";
	int timeout_ms = SQL_MS;

	tell_begin(t, "sql", what);
	read_heading(buf_str(sql), database, sizeof(database), &timeout_ms);
	s = connect_to(v, database, &e);
	if (s == NULL || as_users_are(s, &e) == -1 ||
	    session_script(s, buf_str(sql), timeout_ms, &r, &e) == -1) {
		tell_failure(t, &e);
		return 1;
	}
	if (r.false_rows > 0) {
		tell_end(t, STEP_FAILED, buf_str(&r.output),
		    "%llu of %llu rows say false",
		    (unsigned long long)r.false_rows,
		    (unsigned long long)r.rows);
		return 1;
	}
	tell_end(t, STEP_PASSED, buf_str(&r.output),
	    "%llu statements, %llu rows, none says false",
	    (unsigned long long)r.statements, (unsigned long long)r.rows);
	return 0;
}

static int
check_files(const struct copy_server *v)
{
	char *const *path = v->copy->checks;
	int failed = 0;
	size_t i;

	if (path == NULL || path[0] == NULL)
		tell_untested(&v->copy->teller,
		    "What the data mean: no SQL of the operator's was run "
		    "(--check, drill_checks)");
	for (i = 0; path != NULL && path[i] != NULL; i++)
		failed |= check_sql(v, path[i], &v->copy->sql[i]);
	return failed;
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
	failed |= check_contents(&v);
	failed |= check_collations(&v);
	failed |= check_extensions(&v);
	failed |= check_amcheck(&v);
	return check_files(&v) | failed;
}
