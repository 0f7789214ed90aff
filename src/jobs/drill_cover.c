/*
 * drill_cover: tablespaces that are made by the WAL behind the backup.
 *
 * Source: create_tablespace_directories() of commands/tablespace.c, 13 to 18:
 * in recovery the folder must be there, and what is in it for this version of
 * the server is removed.
 */

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "jobs/drill_box.h"
#include "jobs/drill_int.h"
#include "repo/walarchive.h"

#define TABLESPACES_MAX 1000

static bool
is_known(const struct drill *d, const char *path)
{
	size_t i;

	for (i = 0; i < d->covered_count; i++)
		if (strcmp(d->covered[i], path) == 0)
			return true;
	return false;
}

static int
add(struct drill *d, const char *path, struct err *e)
{
	struct stat st;

	if (path == NULL || path[0] != '/' || is_known(d, path))
		return 0; /* one in the data directory */
	if (d->covered_count == TABLESPACES_MAX)
		return err_set(e, ERR_REFUSED,
		    "WAL makes more than %d tablespaces", TABLESPACES_MAX);
	if (stat(path, &st) == -1 || !S_ISDIR(st.st_mode)) {
		(void)err_set(e, ERR_REFUSED,
		    "WAL behind the backup makes a tablespace at \"%s\", and "
		    "there is no such folder here",
		    path);
		return err_hint(e,
		    "Make an empty one (a drill writes elsewhere, but the name "
		    "must be there), or take a new backup.");
	}
	d->covered =
	    mem_rearray(d->covered, d->covered_count + 2, sizeof(char *));
	d->covered[d->covered_count++] = mem_strdup(path);
	d->covered[d->covered_count] = NULL;
	(void)json_object_set_new(d->facts, "tablespaces",
	    json_integer((json_int_t)d->covered_count));
	return 0;
}

/* What of the segment that holds lsn is replayed. */
static int
look_at_segment(struct drill *d, uint64_t lsn, struct err *e)
{
	AUTO_WALINDEX struct walindex x = { 0 };
	char name[WAL_NAME_BYTES];
	size_t i;
	int rc = 0;

	(void)wal_name(timeline_at(&d->target.history, lsn), lsn,
	    d->lineage.facts.segment_bytes, name);
	if (wal_read_index(&d->lineage, name, &x, e) == -1)
		return -1;
	for (i = 0; rc == 0 && i < x.count; i++)
		if (x.moments[i].event.kind == WAL_EVENT_CREATE_TABLESPACE &&
		    x.moments[i].event.lsn >= d->target.wal_from_lsn)
			rc = add(d, x.moments[i].path, e);
	return rc;
}

int
drill_find_tablespaces(struct drill *d, struct err *e)
{
	uint32_t bytes = d->lineage.facts.segment_bytes;
	uint64_t lsn = wal_segment_start(d->target.wal_from_lsn, bytes);

	for (; lsn < d->target.wal_to_lsn; lsn += bytes)
		if (look_at_segment(d, lsn, e) == -1)
			return -1;
	if (d->open && d->covered_count > 0) {
		(void)err_set(e, ERR_REFUSED,
		    "WAL behind the backup makes a tablespace at \"%s\", which "
		    "a copy that is not isolated would empty here",
		    d->covered[0]);
		return err_hint(e, "Take a new backup first.");
	}
	return 0;
}

int
drill_make_covers(const struct drill *d, struct err *e)
{
	size_t i;

	for (i = 0; i < d->covered_count; i++) {
		AUTO_FREE char *path =
		    mem_printf("%s/" BOX_COVERED "%zu", d->folder, i);

		if (file_mkdirs_at(AT_FDCWD, path, 0700, e) == -1)
			return -1;
		if (geteuid() == 0 && chown(path, d->uid, d->gid) == -1)
			return err_sys(e, "could not give away \"%s\"", path);
	}
	return 0;
}
