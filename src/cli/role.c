#include "cli/role.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"

const char *
role_str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s == NULL ? "" : s;
}

int64_t
role_num(const json_t *o, const char *key)
{
	return json_get_int(o, key);
}

bool
role_is(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

/* What was heard longer ago may not be so any more. */
#define FRESH_US (5 * CLOCK_SECOND_US)

static void
print_site(const json_t *y)
{
	char ago[CLOCK_TEXT_BYTES];

	(void)printf("  %-9s ", role_str(y, "site"));
	if (!role_is(y, "heard")) {
		(void)printf(
		    "not heard%s\n", role_is(y, "witness") ? " (witness)" : "");
		return;
	}
	(void)printf("%s, term %lld, heard %s ago", role_str(y, "role"),
	    (long long)role_num(y, "held"),
	    clock_interval(role_num(y, "heard_ago_us"), ago));
	if (!role_is(y, "witness"))
		(void)printf(", server %s%s%s", role_str(y, "server"),
		    role_is(y, "writable") ? ", takes writes" : "",
		    role_num(y, "heard_ago_us") > FRESH_US ? " (as of then)"
							   : "");
	/* A standby only repeats what it has heard. */
	if (role_is(y, "maintenance") &&
	    strcmp(role_str(y, "role"), "primary") == 0)
		(void)printf(", maintenance");
	if (role_is(y, "clean_stop"))
		(void)printf(", stopped by its administrator");
	if (role_str(y, "promotion_error")[0] != '\0')
		(void)printf(", its promotion fails: %s",
		    role_str(y, "promotion_error"));
	(void)printf("\n");
}

/* What counts for --allow-data-loss is the loss when the primary fell silent; more is
 * lost when it has gone on writing where nobody hears it. */
static void
print_loss(const json_t *shown)
{
	int64_t rpo_us = role_num(shown, "rpo_us");
	int64_t loss_us = role_num(shown, "loss_us");
	char rpo[CLOCK_TEXT_BYTES], loss[CLOCK_TEXT_BYTES];

	if (rpo_us < 0) {
		(void)printf("  it is not known how much a promotion now would "
			     "lose\n");
		return;
	}
	(void)printf("  a promotion now would lose at most the last %s",
	    clock_interval(rpo_us, rpo));
	if (loss_us >= 0 && rpo_us - loss_us > 2 * CLOCK_SECOND_US)
		(void)printf(
		    ", and %s if the primary was lost when it fell silent",
		    clock_interval(loss_us, loss));
	(void)printf("\n");
}

void
role_print(const json_t *shown)
{
	const json_t *sites = json_object_get(shown, "sites");
	char text[CLOCK_TEXT_BYTES];
	const char *why;
	size_t i;

	(void)printf("cluster %s: %s here, term %lld, %s%s%s\n",
	    role_str(shown, "cluster"), role_str(shown, "role"),
	    (long long)role_num(shown, "held"), role_str(shown, "state"),
	    role_str(shown, "reason")[0] == '\0' ? "" : ": ",
	    role_str(shown, "reason"));
	if (strcmp(role_str(shown, "role"), "standby") == 0) {
		print_loss(shown);
		if (!role_is(shown, "promotable"))
			(void)printf("  not promotable: %s\n",
			    role_str(shown, "why_not"));
	} else if (strcmp(role_str(shown, "role"), "witness") != 0) {
		(void)printf("  server    %s%s\n", role_str(shown, "server"),
		    role_is(shown, "writable") ? ", takes writes" : "");
	}
	if (role_str(shown, "promotion_error")[0] != '\0')
		(void)printf("  %sthe promotion fails: %s\n",
		    role_is(shown, "writable") ? "" : "nothing takes writes: ",
		    role_str(shown, "promotion_error"));
	if (json_object_get(shown, "hold_left_us") != NULL)
		(void)printf("  automatic failover in %s\n",
		    clock_interval(role_num(shown, "hold_left_us"), text));
	if (json_object_get(shown, "switchback_left_us") != NULL)
		(void)printf("  the role comes home in %s\n",
		    clock_interval(
			role_num(shown, "switchback_left_us"), text));
	why = role_str(json_object_get(shown, "witness"), "why");
	if (why[0] != '\0')
		(void)printf("  witness   %s\n", why);
	for (i = 0; i < json_array_size(sites); i++)
		print_site(json_array_get(sites, i));
	if (strcmp(role_str(shown, "state"), "unknown") == 0)
		(void)printf(
		    "It is settled when the other sites are heard: \"pgkura "
		    "check %s\", \"pgkura site list\".\nOnly when they are lost, "
		    "and did not take over: \"pgkura role %s --begin\" takes "
		    "the role of the configuration.\n",
		    role_str(shown, "cluster"), role_str(shown, "cluster"));
	if (role_str(shown, "command")[0] != '\0')
		(void)printf("next: %s\n", role_str(shown, "command"));
}

void
role_progress(void *arg, const char *line)
{
	const struct cli *cli = arg;

	if (!cli->json)
		(void)fprintf(stderr, "%s\n", line);
}

int
role_confirm(const struct cluster_settings *c, bool yes, struct err *e)
{
	char line[128] = "";

	if (yes)
		return 0;
	if (isatty(STDIN_FILENO)) {
		(void)fprintf(stderr, "Type the cluster's name to go on: ");
		if (fgets(line, sizeof(line), stdin) != NULL)
			line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, c->name) == 0)
			return 0;
		return err_set(e, ERR_CANCELED, "nothing was done");
	}
	(void)err_set(e, ERR_USAGE, "this needs to be confirmed");
	return err_hint(e, "Add --yes if you mean it.");
}

int
role_order(struct cli *cli, const struct cluster_settings *c, json_t *order,
    struct err *e)
{
	AUTO_JSON json_t *shown = NULL;
	json_t *out;

	if (rule_give_order(cli->settings, c, order, ROLE_NEWS_MS,
		role_progress, cli, e) == -1)
		return -1;
	shown = rule_ask_shown(cli->settings, c, NULL);
	out = json_object();
	json_set_str(out, "cluster", c->name);
	json_set_str(
	    out, "result", role_str(json_object_get(shown, "order"), "text"));
	if (cli->json) {
		cli_print_json(cli, out);
		return 0;
	}
	(void)printf("%s\n", role_str(out, "result"));
	json_decref(out);
	return 0;
}
