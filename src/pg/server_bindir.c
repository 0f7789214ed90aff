#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/child.h"
#include "base/file.h"
#include "base/mem.h"
#include "pg/server.h"

#define VERSION_TIMEOUT_MS 20000

/* Major version of dir/postgres: "postgres (PostgreSQL) 15.20 (Debian...)". */
static int
version_of(const char *dir, int *major, struct err *e)
{
	AUTO_FREE char *program = file_join(dir, "postgres");
	const char *const argv[] = { program, "--version", NULL };
	AUTO_BUF struct buf out = BUF_INIT;
	const char *at;
	int status;

	if (access(program, X_OK) == -1)
		return err_set(
		    e, ERR_NOT_FOUND, "there is no program \"%s\"", program);
	status = child_run(argv, VERSION_TIMEOUT_MS, &out, e);
	if (status == -1)
		return -1;
	at = strstr(buf_str(&out), "(PostgreSQL) ");
	if (status != 0 || at == NULL)
		return err_set(e, ERR_NOT_FOUND,
		    "\"%s --version\" ended with status %d", program, status);
	*major = atoi(at + strlen("(PostgreSQL) "));
	return 0;
}

static int
take_configured(int major, const char *dir, struct buf *out, struct err *e)
{
	int found = 0;

	if (version_of(dir, &found, e) == -1) {
		return err_hint(e,
		    "Name the folder that holds postgres of PostgreSQL %d.",
		    major);
	}
	if (found != major) {
		(void)err_set(e, ERR_USAGE,
		    "\"%s\" holds PostgreSQL %d, but the data directory is of %d",
		    dir, found, major);
		return err_hint(e,
		    "Name the folder that holds postgres of PostgreSQL %d.",
		    major);
	}
	buf_printf(out, "%s", dir);
	return 0;
}

/* Is dir what is looked for?  Then it is appended to out. */
static bool
take_if(int major, const char *dir, struct buf *out)
{
	struct err ignored = ERR_INIT;
	int found = 0;

	if (dir[0] != '/' || version_of(dir, &found, &ignored) == -1 ||
	    found != major)
		return false;
	buf_printf(out, "%s", dir);
	return true;
}

static bool
search_path(int major, struct buf *out)
{
	const char *path = getenv("PATH");
	AUTO_FREE char *copy = mem_strdup(path == NULL ? "" : path);
	char *save = NULL, *dir;

	for (dir = strtok_r(copy, ":", &save); dir != NULL;
	     dir = strtok_r(NULL, ":", &save))
		if (take_if(major, dir, out))
			return true;
	return false;
}

int
server_find_bindir(
    int major, const char *configured, struct buf *out, struct err *e)
{
	char dir[64];

	if (configured != NULL && configured[0] != '\0')
		return take_configured(major, configured, out, e);
	(void)snprintf(dir, sizeof(dir), "/usr/lib/postgresql/%d/bin", major);
	if (take_if(major, dir, out))
		return 0;
	(void)snprintf(dir, sizeof(dir), "/usr/pgsql-%d/bin", major);
	if (take_if(major, dir, out) || search_path(major, out))
		return 0;
	(void)err_set(e, ERR_NOT_FOUND,
	    "PostgreSQL %d is not installed on this machine", major);
	return err_hint(e,
	    "Install it (package postgresql-%d), or name the folder that holds its postgres program.",
	    major);
}
