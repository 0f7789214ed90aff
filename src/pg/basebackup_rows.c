#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "pg/basebackup_run.h"

const char basebackup_doing[] = "could not take the base backup";

int
basebackup_run_peek(struct basebackup_run *r, struct err *e)
{
	if (r->next != NULL)
		return 0;
	/* No bound: the server makes a checkpoint first. */
	if (session_next_result(r->s, -1, &r->next, e) == -1)
		return err_ctx(e, "%s", basebackup_doing);
	return 0;
}

/* Take the next result, which has to be rows. */
static int
take_rows(struct basebackup_run *r, int columns, PGresult **res, struct err *e)
{
	if (basebackup_run_peek(r, e) == -1)
		return -1;
	*res = steal_ptr(&r->next);
	if (PQresultStatus(*res) != PGRES_TUPLES_OK)
		return session_fail(r->s, *res, basebackup_doing, e);
	if (PQntuples(*res) < 1 || PQnfields(*res) < columns)
		return err_set(e, ERR_CORRUPT,
		    "%s: the server's answer has %d rows of %d columns",
		    basebackup_doing, PQntuples(*res), PQnfields(*res));
	return 0;
}

static int
number(const char *text, uint64_t max, uint64_t *value, struct err *e)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
	    *value > max)
		return err_set(e, ERR_CORRUPT, "%s: \"%s\" is no number",
		    basebackup_doing, text);
	return 0;
}

int
basebackup_run_position(
    struct basebackup_run *r, uint64_t *lsn, uint32_t *timeline, struct err *e)
{
	AUTO_PGRESULT PGresult *res = NULL;
	uint64_t value;

	if (take_rows(r, 2, &res, e) == -1)
		return -1;
	if (lsn_parse(PQgetvalue(res, 0, 0), lsn, e) == -1)
		return err_ctx(e, "%s", basebackup_doing);
	if (number(PQgetvalue(res, 0, 1), UINT32_MAX, &value, e) == -1)
		return -1;
	*timeline = (uint32_t)value;
	return 0;
}

/* A row of (spcoid, spclocation, size in KiB); the first two are null for the
 * data directory itself. */
static int
take_tablespace(const PGresult *res, int row, struct basebackup_tablespace *out,
    struct err *e)
{
	uint64_t oid = 0, kib = 0;

	if (!PQgetisnull(res, row, 0) &&
	    number(PQgetvalue(res, row, 0), UINT32_MAX, &oid, e) == -1)
		return -1;
	if (!PQgetisnull(res, row, 2) &&
	    number(PQgetvalue(res, row, 2), UINT64_MAX >> 20, &kib, e) == -1)
		return -1;
	if (PQgetlength(res, row, 1) >= (int)sizeof(out->location))
		return err_set(e, ERR_CORRUPT,
		    "%s: location of tablespace %u is too long",
		    basebackup_doing, (unsigned int)oid);
	out->oid = (uint32_t)oid;
	(void)strcpy(out->location, PQgetvalue(res, row, 1));
	out->size_bytes = kib * 1024;
	return 0;
}

int
basebackup_run_tablespaces(struct basebackup_run *r, struct err *e)
{
	AUTO_PGRESULT PGresult *res = NULL;
	size_t count, i;

	if (take_rows(r, 3, &res, e) == -1)
		return -1;
	count = (size_t)PQntuples(res);
	if (count > BASEBACKUP_TABLESPACES_MAX)
		return err_set(e, ERR_REFUSED,
		    "%s: the server has %zu tablespaces, more than %d",
		    basebackup_doing, count, BASEBACKUP_TABLESPACES_MAX);
	r->tablespaces = mem_zarray(count, sizeof(*r->tablespaces));
	for (i = 0; i < count; i++) {
		if (take_tablespace(res, (int)i, &r->tablespaces[i], e) == -1)
			return -1;
		r->start.total_bytes += r->tablespaces[i].size_bytes;
	}
	r->start.tablespaces = r->tablespaces;
	r->start.tablespace_count = count;
	return 0;
}
