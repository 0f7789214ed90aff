/*
 * pgkura-wal: archive_command and restore_command.
 *
 *	archive_command = 'pgkura-wal push %p'
 *	restore_command = 'pgkura-wal get --cluster=main %f %p'
 */

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "wal-client/client.h"

static const char usage_text[] =
    "pgkura-wal hands WAL files from and to a PostgreSQL server.\n"
    "\n"
    "Usage: pgkura-wal push [OPTIONS] %p\n"
    "       pgkura-wal get [OPTIONS] %f %p\n"
    "\n"
    "Options:\n"
    "  --config=FILE    configuration (default $PGKURA_CONF, then pgkura's)\n"
    "  --socket=PATH    push: socket of the daemon (default\n"
    "                   $PGKURA_WAL_SOCKET, then /run/pgkura/wal.sock)\n"
    "  --cluster=NAME   get: the cluster (default: the only one)\n"
    "  --lineage=NAME   get: one of its histories (default: the newest)\n"
    "  --standby        get: for a standby, which asks again\n"
    "  --ahead=N        get: segments to keep ready (default 8, 0 none)\n"
    "  --wait=SECONDS   get: how long to wait for a hole to fill (default 30)\n"
    "  --pgkura=PATH    that program (default: beside this one, then PATH)\n"
    "  --help, --version\n"
    "\n"
    "Exit status of push: 0 the file is durable in the repository, 1 not now.\n"
    "Exit status of get: 0 done, 1 there is no such file and none later,\n"
    "above 125 it could not be told.\n";

enum {
	OPT_CONFIG = 1000,
	OPT_SOCKET,
	OPT_CLUSTER,
	OPT_LINEAGE,
	OPT_STANDBY,
	OPT_AHEAD,
	OPT_WAIT,
	OPT_PGKURA,
	OPT_HELP,
	OPT_VERSION
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "cluster", required_argument, NULL, OPT_CLUSTER },
	{ "lineage", required_argument, NULL, OPT_LINEAGE },
	{ "standby", no_argument, NULL, OPT_STANDBY },
	{ "ahead", required_argument, NULL, OPT_AHEAD },
	{ "wait", required_argument, NULL, OPT_WAIT },
	{ "pgkura", required_argument, NULL, OPT_PGKURA },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

static bool
set_option(struct options *o, int option)
{
	switch (option) {
	case OPT_CONFIG:
		o->config = optarg;
		return true;
	case OPT_SOCKET:
		o->socket = optarg;
		return true;
	case OPT_CLUSTER:
		o->cluster = optarg;
		return true;
	case OPT_LINEAGE:
		o->lineage = optarg;
		return true;
	case OPT_STANDBY:
		o->standby = true;
		return true;
	case OPT_AHEAD:
		o->ahead = optarg;
		return true;
	case OPT_WAIT:
		o->wait = optarg;
		return true;
	case OPT_PGKURA:
		o->pgkura = optarg;
		return true;
	default:
		return false;
	}
}

/* Options may stand before and after the arguments. */
static int
parse(struct options *o, int argc, char *argv[])
{
	int option;

	while (
	    (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == OPT_HELP) {
			(void)fputs(usage_text, stdout);
			return 0;
		}
		if (option == OPT_VERSION) {
			(void)printf("pgkura-wal %s\n", PACKAGE_VERSION);
			return 0;
		}
		if (!set_option(o, option))
			return EXIT_USAGE; /* getopt has said why */
	}
	for (; optind < argc && o->count < 2; optind++)
		o->args[o->count++] = argv[optind];
	return optind < argc ? EXIT_USAGE : -1;
}

int
main(int argc, char *argv[])
{
	struct options o = { 0 };
	const char *command = argc < 2 ? "" : argv[1];
	bool is_get = strcmp(command, "get") == 0;
	int status;

	if (!is_get && strcmp(command, "push") != 0) {
		if (strcmp(command, "--help") != 0 &&
		    strcmp(command, "--version") != 0) {
			(void)fputs(usage_text, stderr);
			return EXIT_USAGE;
		}
		return parse(&o, argc, argv);
	}
	status = parse(&o, argc - 1, argv + 1);
	if (status == 0)
		return 0;
	if (status != -1 || o.count != (is_get ? 2 : 1)) {
		(void)fputs(usage_text, stderr);
		/* A wrong restore_command is not the end of WAL. */
		return is_get ? EXIT_FAULT : EXIT_USAGE;
	}
	return is_get ? get(&o) : push(&o);
}
