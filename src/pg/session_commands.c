#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pg/session.h"
#include "pg/session_io.h"

#define SLOT_NAME_BYTES_MAX 63

/* The value of a row, NULL when it is null or not there. */
static const char *
field(const PGresult *res, int row, int column)
{
	if (row >= PQntuples(res) || column >= PQnfields(res) ||
	    PQgetisnull(res, row, column))
		return NULL;
	return PQgetvalue(res, row, column);
}

static int
parse_number(const char *text, uint64_t max, uint64_t *value, struct err *e)
{
	char *end;

	errno = 0;
	*value = text == NULL ? 0 : strtoull(text, &end, 10);
	if (text == NULL || text[0] < '0' || text[0] > '9' || *end != '\0' ||
	    errno != 0 || *value > max)
		return err_set(e, ERR_CORRUPT,
		    "the server gave \"%s\" for a number",
		    text == NULL ? "" : text);
	return 0;
}

int
session_identify(struct session *s, struct session_identity *id, struct err *e)
{
	const char *doing = "could not identify the server";
	AUTO_PGRESULT PGresult *res = NULL;
	const char *lsn;
	uint64_t timeline;

	if (session_command(
		s, "IDENTIFY_SYSTEM", PGRES_TUPLES_OK, doing, &res, e) == -1)
		return -1;
	lsn = field(res, 0, 2);
	if (parse_number(field(res, 0, 0), UINT64_MAX, &id->system_id, e) ==
		-1 ||
	    parse_number(field(res, 0, 1), UINT32_MAX, &timeline, e) == -1 ||
	    lsn_parse(lsn == NULL ? "" : lsn, &id->flush_lsn, e) == -1)
		return err_ctx(e, "%s", doing);
	id->timeline = (uint32_t)timeline;
	return 0;
}

int
session_show(
    struct session *s, const char *name, struct buf *out, struct err *e)
{
	AUTO_PGRESULT PGresult *res = NULL;
	char command[128], doing[128];
	const char *value;

	(void)snprintf(command, sizeof(command), "SHOW %s", name);
	(void)snprintf(
	    doing, sizeof(doing), "could not read the setting \"%s\"", name);
	if (session_command(s, command, PGRES_TUPLES_OK, doing, &res, e) == -1)
		return -1;
	value = field(res, 0, 0);
	if (value == NULL)
		return err_set(
		    e, ERR_CORRUPT, "%s: the server gave none", doing);
	buf_put(out, value, strlen(value));
	(void)buf_str(out);
	return 0;
}

/* Units of bytes in utils/misc/guc.c, 13 to 18. */
static uint64_t
unit_bytes(const char *unit, uint64_t bare)
{
	static const struct {
		const char *name;
		uint64_t bytes;
	} units[] = { { "B", 1 }, { "kB", (uint64_t)1 << 10 },
		{ "MB", (uint64_t)1 << 20 }, { "GB", (uint64_t)1 << 30 },
		{ "TB", (uint64_t)1 << 40 } };
	size_t i;

	if (*unit == '\0')
		return bare;
	for (i = 0; i < COUNT_OF(units); i++)
		if (strcmp(unit, units[i].name) == 0)
			return units[i].bytes;
	return 0;
}

int
session_show_bytes(struct session *s, const char *name, uint64_t unit,
    uint64_t *bytes, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	uint64_t value, each;
	const char *t;
	char *end;

	if (session_show(s, name, &text, e) == -1)
		return -1;
	t = buf_str(&text);
	errno = 0;
	value = strtoull(t, &end, 10);
	each = unit_bytes(end, unit);
	if (*t < '0' || *t > '9' || errno != 0 || each == 0 ||
	    __builtin_mul_overflow(value, each, bytes))
		return err_set(e, ERR_CORRUPT,
		    "the server gave \"%s\" for the setting \"%s\"", t, name);
	return 0;
}

int
session_timeline_history(
    struct session *s, uint32_t timeline, struct buf *content, struct err *e)
{
	AUTO_PGRESULT PGresult *res = NULL;
	char command[64], doing[80];

	(void)snprintf(
	    command, sizeof(command), "TIMELINE_HISTORY %" PRIu32, timeline);
	(void)snprintf(doing, sizeof(doing),
	    "could not read the history of timeline %" PRIu32, timeline);
	if (session_command(s, command, PGRES_TUPLES_OK, doing, &res, e) == -1)
		return -1;
	if (field(res, 0, 1) == NULL)
		return err_set(
		    e, ERR_CORRUPT, "%s: the server gave none", doing);
	/* Raw bytes: sent as bytea but without its text form. */
	buf_put(content, PQgetvalue(res, 0, 1), (size_t)PQgetlength(res, 0, 1));
	return 0;
}

/* [a-z0-9_]{1,63}: ReplicationSlotValidateName(), slot.c. */
static int
check_slot_name(const char *name, struct err *e)
{
	size_t len = strlen(name);

	if (len > 0 && len <= SLOT_NAME_BYTES_MAX &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len)
		return 0;
	(void)err_set(
	    e, ERR_USAGE, "\"%s\" is no name for a replication slot", name);
	return err_hint(
	    e, "Use 1 to 63 lower case letters, digits and underscores.");
}

int
session_read_slot(struct session *s, const char *name,
    struct session_slot *slot, struct err *e)
{
	const char *doing = "could not read the replication slot";
	AUTO_PGRESULT PGresult *res = NULL;
	char command[128];
	uint64_t timeline = 0;

	(void)memset(slot, 0, sizeof(*slot));
	if (check_slot_name(name, e) == -1)
		return -1;
	if (session_version_num(s) < 150000)
		return 0;
	(void)snprintf(
	    command, sizeof(command), "READ_REPLICATION_SLOT \"%s\"", name);
	if (session_command(s, command, PGRES_TUPLES_OK, doing, &res, e) == -1)
		return -1;
	slot->known = true;
	slot->exists = field(res, 0, 0) != NULL;
	if (field(res, 0, 1) != NULL &&
	    lsn_parse(field(res, 0, 1), &slot->restart_lsn, e) == -1)
		return err_ctx(e, "%s", doing);
	if (field(res, 0, 2) != NULL &&
	    parse_number(field(res, 0, 2), UINT32_MAX, &timeline, e) == -1)
		return err_ctx(e, "%s", doing);
	slot->restart_timeline = (uint32_t)timeline;
	return 0;
}

int
session_create_slot(
    struct session *s, const char *name, bool temporary, struct err *e)
{
	AUTO_PGRESULT PGresult *res = NULL;
	char command[160];

	if (check_slot_name(name, e) == -1)
		return -1;
	(void)snprintf(command, sizeof(command),
	    "CREATE_REPLICATION_SLOT \"%s\"%s PHYSICAL %s", name,
	    temporary ? " TEMPORARY" : "",
	    session_version_num(s) < 150000 ? "RESERVE_WAL" : "(RESERVE_WAL)");
	return session_command(s, command, PGRES_TUPLES_OK,
	    "could not create the replication slot", &res, e);
}

int
session_drop_slot(struct session *s, const char *name, struct err *e)
{
	AUTO_PGRESULT PGresult *res = NULL;
	char command[128];

	if (check_slot_name(name, e) == -1)
		return -1;
	(void)snprintf(
	    command, sizeof(command), "DROP_REPLICATION_SLOT \"%s\"", name);
	return session_command(s, command, PGRES_COMMAND_OK,
	    "could not drop the replication slot", &res, e);
}

int
session_query_value(struct session *s, const char *sql, struct buf *out,
    bool *found, struct err *e)
{
	AUTO_PGRESULT PGresult *res = NULL;
	int bound_ms = s->command_ms, rc;

	*found = false;
	s->command_ms = -1; /* a query may take its time */
	rc = session_command(
	    s, sql, PGRES_TUPLES_OK, "could not query the server", &res, e);
	s->command_ms = bound_ms;
	if (rc == -1)
		return -1;
	if (field(res, 0, 0) == NULL)
		return 0;
	*found = true;
	buf_put(out, PQgetvalue(res, 0, 0), (size_t)PQgetlength(res, 0, 0));
	(void)buf_str(out);
	return 0;
}

int
session_execute(struct session *s, const char *sql, struct err *e)
{
	AUTO_PGRESULT PGresult *res = NULL;
	int bound_ms = s->command_ms, rc;

	s->command_ms = -1; /* a command may take its time */
	rc = session_command(s, sql, PGRES_COMMAND_OK,
	    "could not run a command on the server", &res, e);
	s->command_ms = bound_ms;
	return rc;
}
