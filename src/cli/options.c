/*
 * options: a command's options and --help, from its table.
 */

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "conf/nearest.h"
#include "jobs/promote.h"

#define OPTIONS_MAX 40
#define OPT_CONFIG  1000
#define OPT_JSON    1001
#define OPT_HELP    1002

static void
print_option(const char *name, const char *arg, const char *what)
{
	char left[48];

	(void)snprintf(left, sizeof(left), "--%s%s%s", name,
	    arg == NULL ? "" : "=", arg == NULL ? "" : arg);
	(void)printf("  %-28s %s\n", left, what);
}

static void
print_help(const struct cmd *cmd, const struct cli_option *options,
    size_t option_count)
{
	size_t i;

	(void)printf("%s: %s\n\nUsage: pgkura %s%s%s [OPTIONS]\n\nOptions:\n",
	    cmd->name, cmd->what, cmd->name, cmd->args[0] == '\0' ? "" : " ",
	    cmd->args);
	for (i = 0; i < option_count; i++)
		print_option(options[i].name, options[i].arg, options[i].what);
	print_option(
	    "config", "FILE", "else $PGKURA_CONF, else " SETTINGS_DEFAULT_PATH);
	if ((cmd->needs & CMD_JSON) != 0)
		print_option("json", NULL, "print JSON for programs");
	print_option("help", NULL, "show this");
	for (i = 0; cmd->examples != NULL && cmd->examples[i] != NULL; i++)
		(void)printf("%s  %s\n", i == 0 ? "\nExamples:\n" : "",
		    cmd->examples[i]);
}

static int
set_number(const struct cli_option *o, const char *text, struct err *e)
{
	char *end;

	errno = 0;
	*(uint64_t *)o->out = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9')
		return err_set(e, ERR_USAGE, "--%s takes a number, not \"%s\"",
		    o->name, text);
	return 0;
}

static int
set_option(const struct cli_option *o, const char *text, struct err *e)
{
	struct cli_texts *texts;

	switch (o->kind) {
	case CLI_FLAG:
		*(bool *)o->out = true;
		return 0;
	case CLI_TEXT:
		*(const char **)o->out = text;
		return 0;
	case CLI_NUMBER:
		return set_number(o, text, e);
	case CLI_TEXTS:
		break;
	}
	texts = o->out;
	if (texts->count == CLI_TEXTS_MAX)
		return err_set(e, ERR_USAGE, "--%s is given more than %d times",
		    o->name, CLI_TEXTS_MAX);
	texts->items[texts->count++] = text;
	return 0;
}

static size_t
make_longopts(const struct cli *cli, const struct cli_option *options,
    size_t option_count, struct option *out)
{
	size_t n = 0, i;

	for (i = 0; i < option_count && n < OPTIONS_MAX; i++)
		out[n++] = (struct option){ options[i].name,
			options[i].arg == NULL ? no_argument
					       : required_argument,
			NULL, (int)i + 1 };
	out[n++] =
	    (struct option){ "config", required_argument, NULL, OPT_CONFIG };
	if ((cli->cmd->needs & CMD_JSON) != 0)
		out[n++] =
		    (struct option){ "json", no_argument, NULL, OPT_JSON };
	out[n++] = (struct option){ "help", no_argument, NULL, OPT_HELP };
	out[n] = (struct option){ 0 };
	return n;
}

/* The option that "--nmae=x" means; NULL when none is near. */
static const char *
nearest_option(const char *word, const struct option *longopts)
{
	const char *names[OPTIONS_MAX + 4];
	char name[64];
	size_t count = 0;

	if (strncmp(word, "--", 2) != 0)
		return NULL;
	(void)snprintf(
	    name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	while (longopts[count].name != NULL) {
		names[count] = longopts[count].name;
		count++;
	}
	return nearest_word(name, names, count);
}

/* What getopt_long() gave c for. */
static int
bad_option(const struct cli *cli, int c, const char *word,
    const struct option *longopts, struct err *e)
{
	const char *near = nearest_option(word, longopts);

	if (c == ':')
		(void)err_set(
		    e, ERR_USAGE, "option \"%s\" needs a value", word);
	else if (optopt != 0 && strncmp(word, "--", 2) == 0)
		(void)err_set(
		    e, ERR_USAGE, "option \"%s\" takes no value", word);
	else
		(void)err_set(e, ERR_USAGE, "there is no option \"%s\"", word);
	if (c != ':' && optopt == 0 && near != NULL)
		return err_hint(e, "Perhaps you meant --%s.", near);
	return err_hint(
	    e, "\"pgkura %s --help\" lists the options.", cli->cmd->name);
}

static int
parse_options(struct cli *cli, int argc, char *argv[],
    const struct cli_option *options, size_t option_count, struct err *e)
{
	struct option longopts[OPTIONS_MAX + 4];
	int c, at = 1;

	(void)make_longopts(cli, options, option_count, longopts);
	optind = 1;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", longopts, NULL)) != -1) {
		if (c == OPT_CONFIG) {
			cli->config = optarg;
		} else if (c == OPT_JSON) {
			cli->json = true;
		} else if (c == OPT_HELP) {
			print_help(cli->cmd, options, option_count);
			exit(0);
		} else if (c == ':' || c == '?') {
			return bad_option(cli, c,
			    argv[optind > at ? optind - 1 : optind], longopts,
			    e);
		} else if (set_option(&options[c - 1], optarg, e) == -1) {
			return -1;
		}
		at = optind;
	}
	return 0;
}

int
cli_parse(struct cli *cli, int argc, char *argv[],
    const struct cli_option *options, size_t option_count, const char **args,
    size_t min, size_t max, size_t *arg_count, struct err *e)
{
	size_t n, i;

	if (parse_options(cli, argc, argv, options, option_count, e) == -1)
		return -1;
	n = (size_t)(argc - optind);
	if (n < min || n > max) {
		(void)err_set(e, ERR_USAGE, "%s",
		    n < min ? "an argument is missing"
			    : "there are too many arguments");
		return err_hint(e, "Usage: pgkura %s%s%s [OPTIONS].",
		    cli->cmd->name, cli->cmd->args[0] == '\0' ? "" : " ",
		    cli->cmd->args);
	}
	for (i = 0; i < max; i++)
		args[i] = i < n ? argv[optind + (int)i] : NULL;
	if (arg_count != NULL)
		*arg_count = n;
	if ((cli->cmd->needs & CMD_NEEDS_CONF) != 0) {
		cli->settings = settings_load(cli->config, e);
		if (cli->settings != NULL)
			promote_adopt(cli->settings);
		if (cli->settings == NULL)
			return -1;
	}
	return 0;
}

const struct cluster_settings *
cli_cluster(const struct cli *cli, const char *name, struct err *e)
{
	return settings_cluster(cli->settings, name, e);
}

struct repo *
cli_repo(const struct cli *cli, struct err *e)
{
	return repo_open(
	    cli->settings->repository, cli->settings->state_dir, false, e);
}
