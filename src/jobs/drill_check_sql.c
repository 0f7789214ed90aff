/*
 * drill_check_sql: the operator's own questions.
 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "jobs/drill_int.h"
#include "pg/session_script.h"

#define QUERY_MS 60000
#define SQL_MS	 (10 * 60 * 1000) /* of a file that names none */

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
	s = drill_connect(v, database, &e);
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

int
drill_check_files(const struct copy_server *v)
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
