/*
 * drill_check_tools: what PostgreSQL's own tools say of the copy.
 */

#include <stdlib.h>
#include <unistd.h>

#include "base/child.h"
#include "base/file.h"
#include "base/mem.h"
#include "jobs/drill_int.h"

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

int
drill_check_amcheck(const struct copy_server *v)
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
