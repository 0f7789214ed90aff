/*
 * pgkura: the command.
 */

#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/log.h"
#include "cli/cli.h"
#include "conf/nearest.h"
#include "config.h"

static const char *const backup_examples[] = { "pgkura backup main", NULL };
static const char *const restore_examples[] = {
	"pgkura restore main --to /var/lib/postgresql/15/restored --plan",
	"pgkura restore main --to DIR --time '10 minutes ago' --start",
	"pgkura restore main --to DIR --delta --take-over", NULL
};
static const char *const wal_examples[] = { "pgkura wal list main",
	"pgkura wal gaps main", NULL };

static const char *const verify_examples[] = { "pgkura verify main",
	"pgkura verify main --sample=10", "pgkura verify main --heal", NULL };
static const char *const expire_examples[] = {
	"pgkura expire main --dry-run --explain", NULL
};

static const char *const site_examples[] = { "pgkura site pair --invite",
	"pgkura site pair dr.example.com:7432 abcd-efgh-jkmn-pqrs",
	"pgkura site list", "pgkura site forget osaka --yes", NULL };
static const char *const drill_examples[] = { "pgkura drill main",
	"pgkura drill main --time '1 hour ago' --check /etc/pgkura/orders.sql",
	"pgkura drill main --live --hold 5min", "pgkura drill list main",
	"pgkura drill show REPORT --html drill.html",
	"pgkura drill sign-off REPORT --by 'A. Person' --note 'seen'", NULL };
static const char *const standby_examples[] = { "pgkura standby create main",
	"pgkura standby status main", "pgkura standby drop main --yes", NULL };

static const char *const failover_examples[] = { "pgkura failover main",
	"pgkura failover main --allow-data-loss 90s --yes",
	"pgkura failover main --cancel", NULL };
static const char *const switchover_examples[] = { "pgkura switchover main",
	"pgkura switchover main --to osaka --yes", NULL };
static const char *const maintenance_examples[] = {
	"pgkura maintenance main on", NULL
};

static const struct cmd commands[] = {
	{ "init", "", "make the repository that the configuration names",
	    cmd_init, CMD_NEEDS_CONF, NULL },
	{ "check", "[CLUSTER]", "test the whole set-up, explain each fault",
	    cmd_check, CMD_NEEDS_CONF | CMD_JSON, NULL },
	{ "status", "", "say how things are and what to do next", cmd_status,
	    CMD_NEEDS_CONF | CMD_JSON, NULL },
	{ "backup", "[CLUSTER]", "take a base backup", cmd_backup,
	    CMD_NEEDS_CONF | CMD_JSON, backup_examples },
	{ "list", "[CLUSTER]", "show backups and what can be recovered",
	    cmd_list, CMD_NEEDS_CONF | CMD_JSON, NULL },
	{ "restore", "[CLUSTER] --to DIRECTORY",
	    "bring a cluster back as it was at any moment", cmd_restore,
	    CMD_NEEDS_CONF | CMD_JSON, restore_examples },
	{ "wal", "list|gaps|receive [CLUSTER]", "show the WAL that is there",
	    cmd_wal, CMD_NEEDS_CONF | CMD_JSON, wal_examples },
	{ "verify", "[CLUSTER [BACKUP]]", "read back and check what is stored",
	    cmd_verify, CMD_NEEDS_CONF | CMD_JSON, verify_examples },
	{ "drill", "[CLUSTER]|list|show|sign-off",
	    "rehearse the loss of a server, keep signed reports", cmd_drill,
	    CMD_NEEDS_CONF | CMD_JSON, drill_examples },
	{ "ready", "[CLUSTER]", "could it be brought up here, now?", cmd_ready,
	    CMD_NEEDS_CONF | CMD_JSON, NULL },
	{ "expire", "[CLUSTER]", "remove what the retention no longer keeps",
	    cmd_expire, CMD_NEEDS_CONF | CMD_JSON, expire_examples },
	{ "role", "[CLUSTER]", "show what this site is for a cluster, and was",
	    cmd_role, CMD_NEEDS_CONF | CMD_JSON, NULL },
	{ "switchover", "[CLUSTER]",
	    "let the other site be the primary; nothing is lost",
	    cmd_switchover, CMD_NEEDS_CONF | CMD_JSON, switchover_examples },
	{ "failover", "[CLUSTER]",
	    "promote the standby here, the primary being lost", cmd_failover,
	    CMD_NEEDS_CONF | CMD_JSON, failover_examples },
	{ "failback", "[CLUSTER]",
	    "make the old primary here a standby of the new one", cmd_failback,
	    CMD_NEEDS_CONF | CMD_JSON, NULL },
	{ "salvage", "[CLUSTER]", "keep WAL that only the old primary here has",
	    cmd_salvage, CMD_NEEDS_CONF | CMD_JSON, NULL },
	{ "maintenance", "CLUSTER on|off",
	    "leave the server alone, and let nobody fail over", cmd_maintenance,
	    CMD_NEEDS_CONF | CMD_JSON, maintenance_examples },
	{ "may-start", "[CLUSTER]",
	    "say whether a writable server may start here (exit status)",
	    cmd_may_start, CMD_NEEDS_CONF | CMD_JSON, NULL },
	{ "site", "pair|list|forget ...", "make two sites known to each other",
	    cmd_site, CMD_NEEDS_CONF | CMD_JSON, site_examples },
	{ "standby", "create|status|start|stop|drop [CLUSTER]",
	    "keep a standby here, up to the last byte received", cmd_standby,
	    CMD_NEEDS_CONF | CMD_JSON, standby_examples },
	{ "events", "", "show what happened", cmd_events,
	    CMD_NEEDS_CONF | CMD_JSON, NULL },
	{ "reload", "", "put a changed configuration into effect", cmd_reload,
	    CMD_NEEDS_CONF, NULL },
	{ "config", "", "show the effective configuration, or a sample",
	    cmd_config, CMD_JSON, NULL },
};

static void
usage(FILE *out)
{
	size_t i;

	(void)fprintf(out,
	    "pgkura keeps PostgreSQL clusters recoverable.\n\n"
	    "Usage: pgkura COMMAND [OBJECT] [OPTIONS]\n\nCommands:\n");
	for (i = 0; i < COUNT_OF(commands); i++)
		if ((commands[i].needs & CMD_HIDDEN) == 0)
			(void)fprintf(out, "  %-11s %s\n", commands[i].name,
			    commands[i].what);
	(void)fprintf(out,
	    "\n\"pgkura COMMAND --help\" says more of each; \"man pgkura\" "
	    "all of it.\n");
}

static const struct cmd *
find_command(const char *name)
{
	size_t i;

	for (i = 0; i < COUNT_OF(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int
unknown_command(const char *name)
{
	const char *names[COUNT_OF(commands)], *near;
	size_t i;

	for (i = 0; i < COUNT_OF(commands); i++)
		names[i] = commands[i].name;
	near = nearest_word(name, names, COUNT_OF(commands));
	(void)fprintf(stderr, "pgkura: there is no command \"%s\"\n", name);
	if (near != NULL)
		(void)fprintf(stderr, "HINT:  Perhaps you meant %s.\n", near);
	else
		(void)fprintf(
		    stderr, "HINT:  \"pgkura --help\" lists the commands.\n");
	return 2;
}

static void
report(const char *command, const struct err *e)
{
	(void)fprintf(stderr, "pgkura: %s: %s\n", command, e->text);
	if (e->hint[0] != '\0')
		(void)fprintf(stderr, "HINT:  %s\n", e->hint);
}

int
main(int argc, char *argv[])
{
	struct cli cli = { 0 };
	struct err e = ERR_INIT;
	int rc;

	(void)setlocale(LC_ALL, "");
	(void)setlocale(LC_NUMERIC, "C");
	log_setup(LOG_PEOPLE, LOG_LEVEL_WARNING); /* they say it themselves */
	if (argc < 2 || strcmp(argv[1], "--help") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		usage(argc < 2 ? stderr : stdout);
		return argc < 2 ? 2 : 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)printf("pgkura %s\n", PACKAGE_VERSION);
		return 0;
	}
	cli.cmd = find_command(argv[1]);
	if (cli.cmd == NULL)
		return unknown_command(argv[1]);
	child_catch_stop_signals();
	rc = cli.cmd->run(&cli, argc - 1, argv + 1, &e);
	/* What a full disk swallowed was not said. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && rc == 0)
		rc = err_sys(&e, "could not write to standard output");
	if (rc == -1)
		report(cli.cmd->name, &e);
	else
		err_clear(&e); /* what was met on the way and dealt with */
	settings_free(cli.settings);
	return err_exit_status(&e);
}
