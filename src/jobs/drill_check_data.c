/*
 * drill_check_data: what a database holds, and whether this machine sorts and
 * runs it as the one did that it came from.
 */

#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "jobs/drill_int.h"

#define DATABASES_MAX 1000

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
	if (drill_ask(v, "postgres", LIST_DATABASES, &names, e) == -1)
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

	if (drill_ask(v, name, COUNT_TABLES, &got, e) == -1)
		return -1;
	buf_printf(out, "%s: %s\n", name, buf_str(&got));
	return 0;
}

int
drill_check_contents(const struct copy_server *v)
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

	if (drill_ask(v, name, OLD_COLLATIONS, &of_indexes, e) == -1)
		return -1;
	if (v->copy->root->facts.major >= 15 &&
	    drill_ask(v, name, OLD_DATABASE, &of_database, e) == -1)
		return -1;
	if (of_indexes.len > 0)
		buf_printf(out, "%s: %s\n", name, buf_str(&of_indexes));
	if (of_database.len > 0)
		buf_printf(out, "%s: default collation, version %s\n", name,
		    buf_str(&of_database));
	return 0;
}

int
drill_check_collations(const struct copy_server *v)
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

	if (drill_ask(v, name, LIST_LIBRARIES, &got, e) == -1)
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

	if (drill_ask(v, name, LIST_EXTENSIONS, &there, e) == -1 ||
	    drill_ask(v, name, LOST_EXTENSIONS, &lost, e) == -1)
		return -1;
	tell_fact(&v->copy->teller, key, buf_str(&there));
	if (lost.len > 0)
		buf_printf(out, "%s: %s\n", name, buf_str(&lost));
	return look_for_libraries(v, name, out, e);
}

int
drill_check_extensions(const struct copy_server *v)
{
	const struct teller *t = &v->copy->teller;
	AUTO_BUF struct buf out = BUF_INIT, share = BUF_INIT;
	struct err e = ERR_INIT;
	size_t count;

	tell_begin(
	    t, "extensions", "Everything that it uses is installed here");
	if (drill_ask(v, "postgres", SHARE_FOLDER, &share, &e) == -1 ||
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
