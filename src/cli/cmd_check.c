#include "cli/checks.h"

int
cmd_check(struct cli *cli, int argc, char *argv[], struct err *e)
{
	return checks_run(cli, argc, argv, check_run, "not in order", e);
}
