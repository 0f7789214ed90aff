#ifndef CLI_CLI_H
#define CLI_CLI_H

/*
 * cli: the command pgkura: one table of commands, one file a command.
 *
 * A command describes its options in a table, which makes the parser and
 * --help.  Data goes to standard output, talk to standard error.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/json.h"
#include "conf/settings.h"
#include "repo/repo.h"

#define CLI_JSON_VERSION 1

/* What makes "backup" of one and "backups" of more. */
#define PLURAL(count) ((count) == 1 ? "" : "s")

struct cli {
	const struct cmd *cmd;
	const char *config;	   /* --config */
	bool json;		   /* --json */
	struct settings *settings; /* when the command needs them */
};

enum cli_kind {
	CLI_FLAG,   /* bool *: set true */
	CLI_TEXT,   /* const char **: borrowed from argv */
	CLI_NUMBER, /* uint64_t * */
	CLI_TEXTS   /* struct cli_texts *: may be given several times */
};

#define CLI_TEXTS_MAX 64
struct cli_texts {
	const char *items[CLI_TEXTS_MAX + 1]; /* NULL-ended */
	size_t count;
};

struct cli_option {
	const char *name; /* "time" for --time */
	const char *arg;  /* "TIME"; NULL for a flag */
	const char *what; /* one line, no full stop */
	enum cli_kind kind;
	void *out;
};

enum cmd_needs {
	CMD_NEEDS_NOTHING = 0,
	CMD_NEEDS_CONF = 1 << 0, /* configuration is read first */
	CMD_JSON = 1 << 1,	 /* knows --json */
	CMD_HIDDEN = 1 << 2	 /* for our own programs, not for people */
};

struct cmd {
	const char *name;
	const char *args; /* as in the synopsis: "CLUSTER [BACKUP]" */
	const char *what; /* one line, imperative, no full stop */
	int (*run)(struct cli *cli, int argc, char *argv[], struct err *e);
	unsigned int needs;	     /* enum cmd_needs, or'ed */
	const char *const *examples; /* NULL-ended lines for --help; or NULL */
};

/*
 * Parse argv[1..] by options plus --config, --json and --help (which prints and
 * exits).  Positional arguments are moved to args; their number must be
 * min..max.  Reads the configuration when the command needs it.  ERR_USAGE.
 */
int cli_parse(struct cli *cli, int argc, char *argv[],
    const struct cli_option *options, size_t option_count, const char **args,
    size_t min, size_t max, size_t *arg_count, struct err *e);

/* The cluster named by args[0], or the only one. */
const struct cluster_settings *
cli_cluster(const struct cli *cli, const char *name, struct err *e);
/* Open the configured repository for reading. */
struct repo *cli_repo(const struct cli *cli, struct err *e);

/* ---- output ---- */

/* Print and free: {"version":1,"command":...,...}. */
void cli_print_json(const struct cli *cli, json_t *object);

/* A table: columns as wide as their cells; the last one is not padded. */
struct table;
struct table *table_new(const char *const *heads, size_t columns);
void table_free(struct table *t);
AUTO_DEFINE(struct table, table_free);
#define AUTO_TABLE AUTO(table_free_auto)
/* One cell; rows fill from left to right.  A head that begins with ">" makes
 * its column right-aligned. */
void table_cell(struct table *t, const char *fmt, ...)
    __attribute__((__format__(__printf__, 2, 3)));
void table_print(struct table *t, FILE *out);

/* ---- commands, one file each ---- */
int cmd_init(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_backup(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_list(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_restore(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_wal(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_verify(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_ready(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_drill(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_standby(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_failover(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_switchover(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_failback(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_salvage(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_maintenance(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_role(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_may_start(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_expire(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_check(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_status(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_events(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_reload(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_site(struct cli *cli, int argc, char *argv[], struct err *e);
int cmd_config(struct cli *cli, int argc, char *argv[], struct err *e);

#endif /* !CLI_CLI_H */
