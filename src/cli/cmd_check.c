#include <string.h>

#include "cli/checks.h"
#include "cli/cli.h"
#include "jobs/jobs.h"

/* Without a name: every cluster. */
int
cmd_check(struct cli *cli, int argc, char *argv[], struct err *e)
{
	const char *args[1];
	json_t *out = json_array(), *j;
	unsigned int faults = 0;
	size_t i;
	int rc;

	rc = cli_parse(cli, argc, argv, NULL, 0, args, 0, 1, NULL, e);
	if (rc == 0 && args[0] != NULL && cli_cluster(cli, args[0], e) == NULL)
		rc = -1;
	for (i = 0; rc == 0 && i < cli->settings->cluster_count; i++) {
		const struct cluster_settings *c = &cli->settings->clusters[i];
		struct check_result r;

		if (args[0] != NULL && strcmp(args[0], c->name) != 0)
			continue;
		rc = check_run(cli->settings, c, &r, e);
		if (rc == 0 && !cli->json)
			checks_print(c->name, &r);
		(void)json_array_append_new(out, checks_json(c->name, &r));
		faults += r.faults;
		check_result_free(&r);
	}
	if (rc == 0 && cli->json) {
		j = json_object();
		(void)json_object_set(j, "clusters", out);
		cli_print_json(cli, j);
	}
	json_decref(out);
	if (rc == 0 && faults > 0)
		return err_set(
		    e, ERR_REFUSED, "%u fault%s found", faults, PLURAL(faults));
	return rc;
}
