/*
 * archive_push: what the daemon does for `pgkura-wal push`, without a daemon.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/archive_int.h"

/* pg_control of the data directory in whose pg_wal path lies; -1. */
static int
open_control(const char *path)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *control = mem_printf("%.*s/../global/pg_control",
	    slash == NULL ? 1 : (int)(slash - path),
	    slash == NULL ? "." : path);

	return open(control, O_RDONLY | O_CLOEXEC);
}

int
archive_push(const struct settings *s, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	AUTO_ARCHIVER struct archiver *a = NULL;
	AUTO_ARCHIVE_MEMBER struct archive_member *r = NULL;
	AUTO_WAL_STORER struct wal_storer *storer = wal_storer_new();
	AUTO_BUF struct buf plain = BUF_INIT;
	struct archive_file f = { .fd = -1 };
	AUTO_FD int fd = file_open_at(AT_FDCWD, path, O_RDONLY, 0, e);
	AUTO_FD int control = open_control(path);
	int rc;

	if (fd == -1 || (a = archiver_new(s, e)) == NULL)
		return -1;
	(void)snprintf(
	    f.name, sizeof(f.name), "%s", slash == NULL ? path : slash + 1);
	f.fd = fd;
	f.control_fd = control;
	r = archive_member_read(a, &f, &plain, e);
	if (r == NULL)
		return e->kind == ERR_NONE ? 0 : -1;
	rc = archive_store_read(r, storer, &f.existed, e);
	if (rc == -1 && e->kind == ERR_CONFLICT)
		log_event(LOG_LEVEL_ERROR, "wal_conflict", e->text, "cluster",
		    f.cluster, "file", f.name, NULL);
	return rc;
}
