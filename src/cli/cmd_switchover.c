/*
 * cmd_switchover: orders about roles other than failover: switchover, failback,
 * salvage, maintenance.
 */

#include <string.h>

#include "cli/role.h"

static json_t *
order_of(const char *what)
{
	json_t *order = json_object();

	json_set_str(order, "order", what);
	return order;
}

/* Show how things are; ERR_NOT_FOUND when nobody knows. */
static int
show_first(struct cli *cli, const struct cluster_settings *c, struct err *e)
{
	AUTO_JSON json_t *shown = rule_ask_shown(cli->settings, c, e);

	if (shown == NULL)
		return -1;
	if (!cli->json)
		role_print(shown);
	return 0;
}

/* Is "to" the site that a switchover makes the primary? */
static int
check_to(struct cli *cli, const struct cluster_settings *c, const char *to,
    struct err *e)
{
	AUTO_JSON json_t *shown = rule_ask_shown(cli->settings, c, NULL);
	bool is_primary = strcmp(role_str(shown, "role"), "primary") == 0;
	struct rule_sites sites;
	const char *next;

	if (rule_sites(cli->settings, c, &sites, e) == -1)
		return -1;
	next = sites.names[is_primary ? sites.peer : sites.self];
	if (strcmp(to, next) == 0)
		return 0;
	return err_set(e, ERR_REFUSED,
	    "a switchover leads to site \"%s\" now, not to \"%s\"", next, to);
}

int
cmd_switchover(struct cli *cli, int argc, char *argv[], struct err *e)
{
	bool yes = false, abort_it = false;
	const char *to = NULL;
	const struct cli_option options[] = {
		{ "to", "SITE", "the site that is to be the primary", CLI_TEXT,
		    &to },
		{ "abort", NULL, "stop the one that is under way", CLI_FLAG,
		    &abort_it },
		{ "yes", NULL, "do not ask", CLI_FLAG, &yes },
	};
	AUTO_JSON json_t *order = NULL;
	const struct cluster_settings *c;
	const char *args[1];

	if (cli_parse(cli, argc, argv, options, COUNT_OF(options), args, 0, 1,
		NULL, e) == -1 ||
	    (c = cli_cluster(cli, args[0], e)) == NULL ||
	    show_first(cli, c, e) == -1 ||
	    (to != NULL && check_to(cli, c, to, e) == -1))
		return -1;
	if (!abort_it && role_confirm(c, yes, e) == -1)
		return -1;
	order = order_of(abort_it ? "abort" : "switchover");
	if (to != NULL)
		json_set_str(order, "to", to);
	return role_order(cli, c, order, e);
}

int
cmd_failback(struct cli *cli, int argc, char *argv[], struct err *e)
{
	bool yes = false, give_way = false;
	const struct cli_option options[] = {
		{ "give-way", NULL,
		    "this site's own history gives way (it is salvaged first)",
		    CLI_FLAG, &give_way },
		{ "yes", NULL, "do not ask", CLI_FLAG, &yes },
	};
	AUTO_JSON json_t *order = NULL;
	const struct cluster_settings *c;
	const char *args[1];

	if (cli_parse(cli, argc, argv, options, COUNT_OF(options), args, 0, 1,
		NULL, e) == -1 ||
	    (c = cli_cluster(cli, args[0], e)) == NULL ||
	    show_first(cli, c, e) == -1 || role_confirm(c, yes, e) == -1)
		return -1;
	order = order_of("failback");
	(void)json_object_set_new(order, "named", json_boolean(give_way));
	return role_order(cli, c, order, e);
}

int
cmd_salvage(struct cli *cli, int argc, char *argv[], struct err *e)
{
	AUTO_JSON json_t *order = NULL;
	const struct cluster_settings *c;
	const char *args[1];

	if (cli_parse(cli, argc, argv, NULL, 0, args, 0, 1, NULL, e) == -1 ||
	    (c = cli_cluster(cli, args[0], e)) == NULL)
		return -1;
	order = order_of("salvage");
	return role_order(cli, c, order, e);
}

int
cmd_maintenance(struct cli *cli, int argc, char *argv[], struct err *e)
{
	AUTO_JSON json_t *order = NULL;
	const struct cluster_settings *c;
	const char *args[2];
	bool on;

	if (cli_parse(cli, argc, argv, NULL, 0, args, 2, 2, NULL, e) == -1 ||
	    (c = cli_cluster(cli, args[0], e)) == NULL)
		return -1;
	on = strcmp(args[1], "on") == 0;
	if (!on && strcmp(args[1], "off") != 0)
		return err_set(
		    e, ERR_USAGE, "maintenance is \"on\" or \"off\"");
	order = order_of(on ? "maintenance on" : "maintenance off");
	return role_order(cli, c, order, e);
}
