/*
 * cmd_failover: the standby here takes over, by order; what would be lost is
 * shown first.
 */

#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "cli/role.h"

struct failover {
	const char *allow; /* --allow-data-loss; NULL: nothing */
	bool offline, confirm, cancel, force, yes;
	int64_t allow_us; /* -1: any */
};

static int
parse_loss(struct failover *f, struct err *e)
{
	if (f->allow == NULL)
		return 0;
	if (strcmp(f->allow, "all") == 0 || strcmp(f->allow, "any") == 0) {
		f->allow_us = -1;
		return 0;
	}
	return clock_parse_interval(f->allow, &f->allow_us, e) == 0
	    ? 0
	    : err_ctx(e, "--allow-data-loss");
}

static int
give(struct cli *cli, const struct cluster_settings *c, const char *what,
    const struct failover *f, struct err *e)
{
	AUTO_JSON json_t *order = json_object();

	json_set_str(order, "order", what);
	(void)json_object_set_new(
	    order, "allow_loss_us", json_integer(f->allow_us));
	(void)json_object_set_new(order, "force", json_boolean(f->force));
	return role_order(cli, c, order, e);
}

/* ---- without the daemon ---- */

static int
offline(struct cli *cli, const struct cluster_settings *c,
    const struct failover *f, struct err *e)
{
	struct rule_offline o = { .allow_loss_us = f->allow_us,
		.plan_only = true };
	char lost[CLOCK_TEXT_BYTES];
	json_t *out;

	if (rule_failover_offline(
		cli->settings, c, &o, role_progress, cli, e) == -1)
		return -1;
	if (!cli->json)
		(void)printf("this site takes term %lld of cluster %s without "
			     "asking the other sites; at most the last %s are "
			     "lost\n",
		    (long long)o.term, c->name,
		    o.loss_us < 0 ? "(not known)"
				  : clock_interval(o.loss_us, lost));
	if (role_confirm(c, f->yes, e) == -1)
		return -1;
	o.plan_only = false;
	if (rule_failover_offline(
		cli->settings, c, &o, role_progress, cli, e) == -1)
		return -1;
	out = json_object();
	json_set_str(out, "cluster", c->name);
	json_set_u64(out, "term", o.term);
	(void)json_object_set_new(out, "loss_us", json_integer(o.loss_us));
	json_set_str(out, "result", o.result);
	if (cli->json) {
		cli_print_json(cli, out);
		return 0;
	}
	(void)printf("%s\n", o.result);
	json_decref(out);
	return 0;
}

/* ---- with it ---- */

static int
online(struct cli *cli, const struct cluster_settings *c,
    const struct failover *f, struct err *e)
{
	AUTO_JSON json_t *shown = rule_ask_shown(cli->settings, c, e);

	if (shown == NULL)
		return e->kind != ERR_NOT_FOUND
		    ? -1
		    : err_hint(e,
			  "Start it, or add --offline to promote without it.");
	if (!cli->json)
		role_print(shown);
	if (strcmp(role_str(shown, "role"), "standby") != 0) {
		(void)err_set(e, ERR_REFUSED,
		    "this site is \"%s\": only a standby takes over",
		    role_str(shown, "role"));
		return -1;
	}
	if (!cli->json &&
	    (f->force || strcmp(role_str(shown, "fence"), "none") == 0))
		(void)printf("nothing proves that the old primary writes no "
			     "more: first make sure that its server is off\n");
	if (role_confirm(c, f->yes, e) == -1)
		return -1;
	return give(cli, c, "failover", f, e);
}

int
cmd_failover(struct cli *cli, int argc, char *argv[], struct err *e)
{
	struct failover f = { .allow = NULL };
	const struct cli_option options[] = {
		{ "allow-data-loss", "TIME",
		    "go on when so much may be lost: 90s, 5min, all", CLI_TEXT,
		    &f.allow },
		{ "force", NULL,
		    "without votes, also when the other site lives: you answer "
		    "for it being off",
		    CLI_FLAG, &f.force },
		{ "offline", NULL, "without pgkurad, which must not run",
		    CLI_FLAG, &f.offline },
		{ "confirm", NULL, "end the hold of an automatic failover now",
		    CLI_FLAG, &f.confirm },
		{ "cancel", NULL, "no automatic failover of this outage",
		    CLI_FLAG, &f.cancel },
		{ "yes", NULL, "do not ask", CLI_FLAG, &f.yes },
	};
	const struct cluster_settings *c;
	const char *args[1];

	if (cli_parse(cli, argc, argv, options, COUNT_OF(options), args, 0, 1,
		NULL, e) == -1 ||
	    (c = cli_cluster(cli, args[0], e)) == NULL ||
	    parse_loss(&f, e) == -1)
		return -1;
	if (f.offline + f.confirm + f.cancel > 1)
		return err_set(e, ERR_USAGE,
		    "--offline, --confirm and --cancel exclude each other");
	if (f.confirm)
		return give(cli, c, "confirm", &f, e);
	if (f.cancel)
		return give(cli, c, "cancel", &f, e);
	return f.offline ? offline(cli, c, &f, e) : online(cli, c, &f, e);
}
