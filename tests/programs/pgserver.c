/*
 * pgserver: src/pg/server.h for test scripts; see driver.h.
 *
 *	pgserver running PGDATA
 *	pgserver conninfo PGDATA
 *	pgserver bindir MAJOR [CONFIGURED]
 *	pgserver start PGDATA BINDIR LOG STALL_MS [OPTIONS]
 *	pgserver stop PGDATA MODE
 */

#include <stdlib.h>

#include "base/auto.h"
#include "pg/server.h"
#include "programs/driver.h"

static int
running(int argc, char *argv[], struct err *e)
{
	pid_t pid = 0;
	int rc = server_is_running(argv[0], &pid, e);

	(void)argc;
	if (rc == -1)
		return -1;
	(void)printf("running %d\npid %ld\n", rc, (long)pid);
	return 0;
}

static int
conninfo(int argc, char *argv[], struct err *e)
{
	AUTO_BUF struct buf out = BUF_INIT;

	(void)argc;
	if (server_conninfo(argv[0], &out, e) == -1)
		return -1;
	(void)printf("conninfo %s\n", buf_str(&out));
	return 0;
}

static int
bindir(int argc, char *argv[], struct err *e)
{
	AUTO_BUF struct buf out = BUF_INIT;

	if (server_find_bindir(
		atoi(argv[0]), argc > 1 ? argv[1] : NULL, &out, e) == -1)
		return -1;
	(void)printf("bindir %s\n", buf_str(&out));
	return 0;
}

static void
progress(void *arg, const char *line)
{
	(void)arg;
	(void)printf("progress %s\n", line);
}

static int
start(int argc, char *argv[], struct err *e)
{
	static const char *const outcomes[] = { "accepts", "paused",
		"shut_down" };
	const struct server_start s = { .pgdata = argv[0],
		.bindir = argv[1],
		.log_path = argv[2],
		.stall_us = strtoll(argv[3], NULL, 10) * 1000,
		.options = argc > 4 ? argv[4] : NULL };
	int rc = server_start_wait(&s, progress, NULL, e);

	if (rc == -1)
		return -1;
	(void)printf("outcome %s\n", outcomes[rc]);
	return 0;
}

static int
stop(int argc, char *argv[], struct err *e)
{
	(void)argc;
	return server_stop(argv[0], argv[1], e);
}

int
main(int argc, char *argv[])
{
	static const struct driver_command commands[] = { { "running", 1,
							      running },
		{ "conninfo", 1, conninfo }, { "bindir", 1, bindir },
		{ "start", 4, start }, { "stop", 2, stop } };

	return driver_main(argc, argv, commands, COUNT_OF(commands));
}
