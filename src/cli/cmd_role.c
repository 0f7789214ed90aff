/*
 * cmd_role: what this site is for a cluster, and was; and whether its server
 * may start.
 */

#include <string.h>

#include "base/clock.h"
#include "cli/role.h"

#define HISTORY_LINES 10 /* unless all are asked for */

static void
print_history(const struct cluster_settings *c, const json_t *history, bool all)
{
	static const char *const heads[] = { "SINCE", "ROLE", ">TERM", "WHY" };
	AUTO_TABLE struct table *t = table_new(heads, COUNT_OF(heads));
	char when[CLOCK_TEXT_BYTES];
	size_t i = 0, count = json_array_size(history);

	if (!all && count > HISTORY_LINES)
		i = count - HISTORY_LINES;
	if (i > 0)
		(void)printf(
		    "%zu earlier roles: pgkura role %s --all\n", i, c->name);
	for (; i < count; i++) {
		const json_t *change = json_array_get(history, i);

		table_cell(
		    t, "%.19s", clock_local(role_num(change, "time_us"), when));
		table_cell(t, "%s", role_str(change, "role"));
		table_cell(t, "%lld", (long long)role_num(change, "term"));
		table_cell(t, "%s", role_str(change, "reason"));
	}
	table_print(t, stdout);
}

static int
show(struct cli *cli, const struct cluster_settings *c, bool all, struct err *e)
{
	json_t *report = rule_ask_report(cli->settings, c, e);
	const json_t *now, *history;

	if (report == NULL)
		return -1;
	if (cli->json) {
		cli_print_json(cli, report);
		return 0;
	}
	now = json_object_get(report, "now");
	history = json_object_get(report, "history");
	if (now != NULL)
		role_print(now);
	else
		(void)printf("cluster %s: %s here, by its record; pgkurad does "
			     "not attend to it\n",
		    c->name, role_str(report, "role"));
	if (history != NULL)
		print_history(c, history, all);
	json_decref(report);
	return 0;
}

int
cmd_role(struct cli *cli, int argc, char *argv[], struct err *e)
{
	bool all = false, begin = false;
	const struct cli_option options[] = {
		{ "all", NULL,
		    "show all roles that this site had, not the last 10",
		    CLI_FLAG, &all },
		{ "begin", NULL,
		    "take the role of the configuration: nothing is on record",
		    CLI_FLAG, &begin },
	};
	const struct cluster_settings *c;
	AUTO_JSON json_t *order = NULL;
	const char *args[1];

	if (cli_parse(cli, argc, argv, options, COUNT_OF(options), args, 0, 1,
		NULL, e) == -1 ||
	    (c = cli_cluster(cli, args[0], e)) == NULL)
		return -1;
	if (!rule_wanted(c)) {
		(void)err_set(e, ERR_REFUSED,
		    "cluster \"%s\" has no role at this site", c->name);
		return err_hint(e, "Set role in [cluster %s].", c->name);
	}
	if (!begin)
		return show(cli, c, all, e);
	order = json_object();
	json_set_str(order, "order", "begin");
	return role_order(cli, c, order, e);
}

int
cmd_may_start(struct cli *cli, int argc, char *argv[], struct err *e)
{
	const struct cluster_settings *c;
	const char *args[1];
	char why[160];
	json_t *out;
	bool may;

	if (cli_parse(cli, argc, argv, NULL, 0, args, 0, 1, NULL, e) == -1 ||
	    (c = cli_cluster(cli, args[0], e)) == NULL ||
	    rule_may_start(cli->settings, c, &may, why, e) == -1)
		return -1;
	if (cli->json) {
		out = json_object();
		json_set_str(out, "cluster", c->name);
		(void)json_object_set_new(out, "may_start", json_boolean(may));
		json_set_str(out, "reason", why);
		cli_print_json(cli, out);
	} else if (may) {
		(void)printf("yes: %s\n", why);
	}
	if (may)
		return 0;
	(void)err_set(e, ERR_REFUSED,
	    "the server of cluster \"%s\" may not start here: %s", c->name,
	    why);
	return err_hint(e,
	    "\"pgkura role %s\" says more; where another site is the primary now, "
	    "\"pgkura failback %s\" makes this one its standby.",
	    c->name, c->name);
}
