/*
 * pgkurad: the daemon.  Without --duty it is the supervisor, which starts
 * itself again, with --duty, for each thing that there is to do.
 */

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "config.h"
#include "daemon/duty_run.h"
#include "daemon/supervisor.h"

static const char usage_text[] =
    "usage: pgkurad [--config FILE]\n"
    "       pgkurad --duty DUTY [--cluster NAME] [--config FILE]\n"
    "\n"
    "  --config FILE   settings, instead of $PGKURA_CONF or\n"
    "                  /etc/pgkura/pgkura.conf\n"
    "  --duty DUTY     do one thing only, in the foreground: receive, archive,\n"
    "                  watch, follow, listen, courier, backup, expire or\n"
    "                  verify\n"
    "  --cluster NAME  the cluster, or for a courier the peer, that it is for\n"
    "  --help          show this\n"
    "  --version       show the version\n";

enum { OPT_CONFIG = 256, OPT_DUTY, OPT_CLUSTER, OPT_SUPERVISED };

static const struct option options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "duty", required_argument, NULL, OPT_DUTY },
	{ "cluster", required_argument, NULL, OPT_CLUSTER },
	{ "supervised", no_argument, NULL, OPT_SUPERVISED },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static int
print(FILE *to, const char *text, int status)
{
	return fputs(text, to) == EOF || fflush(to) == EOF ? 1 : status;
}

int
main(int argc, char *argv[])
{
	struct duty_call call = { 0 };
	int opt;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case OPT_CONFIG:
			call.config_path = optarg;
			break;
		case OPT_DUTY:
			call.name = optarg;
			break;
		case OPT_CLUSTER:
			call.cluster = optarg;
			break;
		case OPT_SUPERVISED:
			call.supervised = true;
			break;
		case 'h':
			return print(stdout, usage_text, 0);
		case 'V':
			return print(
			    stdout, "pgkurad " PACKAGE_VERSION "\n", 0);
		default:
			return print(stderr, usage_text, 2);
		}
	}
	if (optind < argc || (call.name == NULL && call.cluster != NULL))
		return print(stderr, usage_text, 2);
	log_setup(LOG_PEOPLE, LOG_LEVEL_INFO);
	if (call.name != NULL)
		return duty_run(&call);
	return supervisor_run(call.config_path);
}
