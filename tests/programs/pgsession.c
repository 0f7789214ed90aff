/*
 * pgsession: src/pg/session.h for test scripts; see driver.h.
 *
 *	pgsession identify CONNINFO
 *	pgsession sql CONNINFO SQL
 *	pgsession show CONNINFO NAME
 *	pgsession bytes CONNINFO NAME UNIT
 *	pgsession history CONNINFO TIMELINE
 *	pgsession slot CONNINFO create|temporary|read|drop NAME
 */

#include <inttypes.h>
#include <stdlib.h>

#include "base/auto.h"
#include "pg/session.h"
#include "programs/driver.h"

static struct session *
open_replication(const char *conninfo, struct err *e)
{
	return session_open(conninfo, SESSION_REPLICATION, "driver", e);
}

static int
identify(int argc, char *argv[], struct err *e)
{
	AUTO_SESSION struct session *s = open_replication(argv[0], e);
	char lsn[LSN_TEXT_BYTES];
	struct session_identity id;

	(void)argc;
	if (s == NULL || session_identify(s, &id, e) == -1)
		return -1;
	(void)printf("version %d\nmajor %d\nwhere %s\n", session_version_num(s),
	    session_major(s), session_where(s));
	(void)printf("system_id %" PRIu64 "\ntimeline %" PRIu32
		     "\nflush_lsn %s\n",
	    id.system_id, id.timeline, lsn_text(id.flush_lsn, lsn));
	return 0;
}

static int
sql(int argc, char *argv[], struct err *e)
{
	AUTO_SESSION struct session *s =
	    session_open(argv[0], SESSION_SQL, NULL, e);
	AUTO_BUF struct buf out = BUF_INIT;
	bool found;

	(void)argc;
	if (s == NULL ||
	    session_query_value(s, argv[1], &out, &found, e) == -1) {
		if (s != NULL)
			(void)printf("sqlstate %s\n", session_sqlstate(s));
		return -1;
	}
	(void)printf("found %d\nvalue %s\n", found, buf_str(&out));
	return 0;
}

static int
show(int argc, char *argv[], struct err *e)
{
	AUTO_SESSION struct session *s = open_replication(argv[0], e);
	AUTO_BUF struct buf out = BUF_INIT;

	(void)argc;
	if (s == NULL || session_show(s, argv[1], &out, e) == -1)
		return -1;
	(void)printf("value %s\n", buf_str(&out));
	return 0;
}

static int
bytes(int argc, char *argv[], struct err *e)
{
	AUTO_SESSION struct session *s = open_replication(argv[0], e);
	uint64_t value;

	(void)argc;
	if (s == NULL ||
	    session_show_bytes(
		s, argv[1], strtoull(argv[2], NULL, 10), &value, e) == -1)
		return -1;
	(void)printf("value %" PRIu64 "\n", value);
	return 0;
}

static int
history(int argc, char *argv[], struct err *e)
{
	AUTO_SESSION struct session *s = open_replication(argv[0], e);
	AUTO_BUF struct buf out = BUF_INIT;

	(void)argc;
	if (s == NULL ||
	    session_timeline_history(
		s, (uint32_t)strtoul(argv[1], NULL, 10), &out, e) == -1) {
		if (s != NULL)
			(void)printf("sqlstate %s\n", session_sqlstate(s));
		return -1;
	}
	(void)printf("content %s\n", buf_str(&out));
	return 0;
}

static int
slot(int argc, char *argv[], struct err *e)
{
	AUTO_SESSION struct session *s = open_replication(argv[0], e);
	struct session_slot found;
	char lsn[LSN_TEXT_BYTES];

	(void)argc;
	if (s == NULL)
		return -1;
	if (strcmp(argv[1], "create") == 0)
		return session_create_slot(s, argv[2], false, e);
	if (strcmp(argv[1], "drop") == 0)
		return session_drop_slot(s, argv[2], e);
	if (strcmp(argv[1], "temporary") == 0 &&
	    session_create_slot(s, argv[2], true, e) == -1)
		return -1;
	if (session_read_slot(s, argv[2], &found, e) == -1)
		return -1;
	(void)printf("known %d\nexists %d\nrestart_lsn %s\n"
		     "restart_timeline %" PRIu32 "\n",
	    found.known, found.exists, lsn_text(found.restart_lsn, lsn),
	    found.restart_timeline);
	return 0;
}

int
main(int argc, char *argv[])
{
	static const struct driver_command commands[] = { { "identify", 1,
							      identify },
		{ "sql", 2, sql }, { "show", 2, show }, { "bytes", 3, bytes },
		{ "history", 2, history }, { "slot", 3, slot } };

	return driver_main(argc, argv, commands, COUNT_OF(commands));
}
