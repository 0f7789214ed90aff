/*
 * cmd_role: what this site is for a cluster, and was; and whether its server
 * may start.
 */

#include <string.h>

#include "base/clock.h"
#include "cli/role.h"

static json_t *
history_json(const struct record_role_file *r)
{
	json_t *all = json_array();
	uint32_t i;

	for (i = 0; i < r->change_count; i++) {
		json_t *o = json_object();

		(void)json_object_set_new(
		    o, "time_us", json_integer(r->changes[i].wall_us));
		json_set_str(o, "role", record_role_name(r->changes[i].role));
		json_set_u64(o, "term", r->changes[i].term);
		json_set_str(o, "reason", r->changes[i].reason);
		(void)json_array_append_new(all, o);
	}
	return all;
}

static void
print_history(const struct record_role_file *r)
{
	static const char *const heads[] = { "SINCE", "ROLE", ">TERM", "WHY" };
	AUTO_TABLE struct table *t = table_new(heads, COUNT_OF(heads));
	char when[CLOCK_TEXT_BYTES];
	uint32_t i;

	for (i = 0; i < r->change_count; i++) {
		const struct record_change *c = &r->changes[i];

		table_cell(t, "%.19s", clock_local(c->wall_us, when));
		table_cell(t, "%s", record_role_name(c->role));
		table_cell(t, "%llu", (unsigned long long)c->term);
		table_cell(t, "%s", c->reason);
	}
	table_print(t, stdout);
}

static int
show(struct cli *cli, const struct cluster_settings *c, struct err *e)
{
	json_t *shown = rule_shown(cli->settings, c), *out = json_object();
	struct record_role_file r;
	bool known = rule_role_read(cli->settings, c, &r, e) == 0;

	if (!known && e->kind != ERR_NOT_FOUND && e->kind != ERR_CORRUPT) {
		json_decref(shown);
		json_decref(out);
		return -1;
	}
	if (!cli->json) {
		if (shown != NULL)
			role_print(shown);
		else
			(void)printf("cluster %s: %s here, by its record; "
				     "pgkurad does not attend to it\n",
			    c->name,
			    known ? record_role_name(r.role) : "unknown");
		if (known)
			print_history(&r);
		json_decref(shown);
		json_decref(out);
		return 0;
	}
	json_set_str(out, "cluster", c->name);
	json_set_str(out, "role", known ? record_role_name(r.role) : "unknown");
	if (known) {
		json_set_u64(out, "held", r.held);
		(void)json_object_set_new(out, "history", history_json(&r));
	}
	if (shown != NULL)
		(void)json_object_set_new(out, "now", shown);
	cli_print_json(cli, out);
	return 0;
}

int
cmd_role(struct cli *cli, int argc, char *argv[], struct err *e)
{
	bool begin = false;
	const struct cli_option options[] = {
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
		return show(cli, c, e);
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
	    "\"pgkura role %s\" says more; \"pgkura failback %s\" makes it a "
	    "standby.",
	    c->name, c->name);
}
