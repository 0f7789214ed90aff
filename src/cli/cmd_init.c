#include "cli/cli.h"

int
cmd_init(struct cli *cli, int argc, char *argv[], struct err *e)
{
	if (cli_parse(cli, argc, argv, NULL, 0, NULL, 0, 0, NULL, e) == -1 ||
	    repo_init(cli->settings->repository, e) == -1)
		return -1;
	(void)fprintf(
	    stderr, "repository \"%s\" is ready\n", cli->settings->repository);
	return 0;
}
