#include "pg/relpath.h"

#include <string.h>

#include "pg/scan.h"

#define TABLESPACE_DEFAULT 1663 /* pg_default: base/ */
#define TABLESPACE_GLOBAL  1664 /* pg_global: global/ */

/* "pg_tblspc/OID/PG_major_catalog/", without its first part. */
static bool
scan_tablespace(struct scan *s, uint32_t *oid)
{
	uint32_t major, catalog;

	return scan_oid(s, oid) && scan_word(s, "/PG_") &&
	    scan_oid(s, &major) && scan_word(s, "_") && scan_oid(s, &catalog) &&
	    scan_word(s, "/");
}

static bool
scan_folder(struct scan *s, struct relpath *r)
{
	r->database = 0;
	if (scan_word(s, "global/")) {
		r->tablespace = TABLESPACE_GLOBAL;
		return true;
	}
	if (scan_word(s, "base/"))
		r->tablespace = TABLESPACE_DEFAULT;
	else if (!scan_word(s, "pg_tblspc/") ||
	    !scan_tablespace(s, &r->tablespace))
		return false;
	return scan_oid(s, &r->database) && scan_word(s, "/");
}

static enum relpath_fork
scan_fork(struct scan *s)
{
	if (scan_word(s, "_fsm"))
		return FORK_FSM;
	if (scan_word(s, "_vm"))
		return FORK_VM;
	if (scan_word(s, "_init"))
		return FORK_INIT;
	return FORK_MAIN;
}

bool
relpath_parse(const char *path, struct relpath *r)
{
	struct scan s = { path, strlen(path) };
	struct relpath found;

	if (!scan_folder(&s, &found) || !scan_oid(&s, &found.relation))
		return false;
	found.fork = scan_fork(&s);
	found.segment = 0;
	if (scan_word(&s, ".") && !scan_oid(&s, &found.segment))
		return false;
	if (s.left > 0)
		return false;
	*r = found;
	return true;
}
