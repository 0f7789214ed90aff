#include "cli/checks.h"
#include "jobs/ready.h"

int
cmd_ready(struct cli *cli, int argc, char *argv[], struct err *e)
{
	return checks_run(cli, argc, argv, ready_run, "not ready", e);
}
