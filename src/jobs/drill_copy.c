/*
 * drill_copy: the process in the box: starts the restored server, waits until
 * it has reached its target and is promoted, has it checked, stops it.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "jobs/drill_box.h"
#include "jobs/drill_int.h"
#include "jobs/restore_job.h"
#include "pg/server.h"

#define PORT	   5432
#define STALL_US   (600 * CLOCK_SECOND_US)
#define ASK_MS	   30000
#define WORDS_MAX  64
#define CONF_LINES "# Made for a drill: the backup has kept no configuration.\n"

struct copy {
	struct drill_copy *o;
	char *pgdata, *log, *hba, *config; /* config NULL: in pgdata */
	struct buf bindir, options;
};

static void
copy_free(struct copy *c)
{
	free(c->pgdata);
	free(c->log);
	free(c->hba);
	free(c->config);
	buf_free(&c->bindir);
	buf_free(&c->options);
}

/* ---- the box ---- */

static int
show_box(const struct drill_copy *o)
{
	struct err e = ERR_INIT;

	tell_begin(&o->teller, "isolate", "The copy cannot reach out");
	if (o->open) {
		tell_end(&o->teller, STEP_SKIPPED, NULL,
		    "NOT ISOLATED: the system allows no box, and the drill was "
		    "ordered all the same");
		return 0;
	}
	if (box_check(&e) == -1) {
		tell_failure(&o->teller, &e);
		return -1;
	}
	tell_end(&o->teller, STEP_PASSED, NULL,
	    "user, mount, pid, network, IPC and UTS namespaces of its own; "
	    "only a loopback interface; no sockets but of IP; the file system "
	    "is read-only but for the drill's folder. A packet to another "
	    "network, a socket of this machine and a file outside were tried: "
	    "all refused");
	return 0;
}

/* ---- configuration ---- */

/* For server_start's options: "-c 'name=value'". */
static void
put_option(struct buf *out, const char *name, const char *value)
{
	const char *p;

	buf_printf(out, " -c '%s=", name);
	for (p = value; *p != '\0'; p++)
		if (*p == '\'')
			buf_printf(out, "'\\''");
		else
			buf_put_u8(out, (uint8_t)*p);
	buf_put_u8(out, '\'');
}

static int
write_file(const char *path, const struct buf *text, struct err *e)
{
	return file_publish_at(
	    AT_FDCWD, path, text->data, text->len, 0600, FILE_REPLACE, e);
}

/* What recovery demands to be as large as on the source. */
static void
put_kept_settings(const struct root *root, struct buf *out)
{
	static const char *const names[] = { "max_connections",
		"max_worker_processes", "max_wal_senders",
		"max_prepared_transactions", "max_locks_per_transaction" };
	size_t i;

	for (i = 0; root->settings != NULL && i < COUNT_OF(names); i++) {
		const char *value = strmap_get(root->settings, names[i]);

		if (value != NULL)
			buf_printf(out, "%s = %s\n", names[i], value);
	}
}

/* The data directory's own configuration, the one that the backup has kept
 * beside it, or one made here. */
static int
find_config(struct copy *c, struct err *e)
{
	AUTO_FREE char *own = file_join(c->pgdata, "postgresql.conf");
	AUTO_FREE char *kept =
	    file_join(c->pgdata, RESTORE_CONFIG_FOLDER "/postgresql.conf");
	AUTO_BUF struct buf text = BUF_INIT;

	if (access(own, R_OK) == 0)
		return 0;
	if (access(kept, R_OK) == 0) {
		c->config = steal_ptr(&kept);
		return 0;
	}
	buf_printf(&text, CONF_LINES);
	put_kept_settings(c->o->root, &text);
	return write_file(own, &text, e);
}

static int
write_hba(struct copy *c, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;

	buf_printf(&text, "%s\n",
	    c->o->open ? "local all all trust"
		       : "host all all 127.0.0.1/32 trust");
	return write_file(c->hba, &text, e);
}

/* ---- preloaded libraries ---- */

/* In a box everything else may stay: some are needed to replay. */
static const char *const reaching_out[] = { "pg_cron", "pglogical", "bdr",
	"spock", "repmgr", "pgautofailover", "citus", "pg_net", "pg_squeeze",
	"pg_failover_slots", "pg_background", "pgagent", "pg_timetable",
	"pgmemcache", "dbms_job", "pg_dbms_job" };
/* Without one only these stay. */
static const char *const harmless[] = { "pg_stat_statements", "auto_explain",
	"pg_prewarm", "pgaudit", "pg_hint_plan", "pg_stat_kcache",
	"pg_qualstats", "pg_wait_sampling" };

static bool
is_among(const char *const *list, size_t count, const char *word)
{
	const char *base = strrchr(word, '/');
	size_t i;

	base = base == NULL ? word : base + 1;
	for (i = 0; i < count; i++)
		if (strcmp(list[i], base) == 0)
			return true;
	return false;
}

static int
ask_preload(const struct copy *c, struct buf *out, struct err *e)
{
	AUTO_FREE char *postgres =
	    mem_printf("%s/postgres", (const char *)c->bindir.data);
	AUTO_FREE char *config = c->config == NULL
	    ? NULL
	    : mem_printf("--config_file=%s", c->config);
	AUTO_FREE char *data = mem_printf("--data_directory=%s", c->pgdata);
	const char *argv[] = { postgres, "-D", c->pgdata, data, "-C",
		"shared_preload_libraries", config, NULL };
	int status = child_run(argv, ASK_MS, out, e);

	if (status == -1)
		return -1;
	if (status != 0)
		return err_set(e, ERR_REFUSED,
		    "the server does not read its configuration: %.300s",
		    buf_str(out));
	return 0;
}

/* Library names may stand in double quotes. */
static int
filter_preload(struct copy *c, struct buf *kept, struct err *e)
{
	AUTO_BUF struct buf all = BUF_INIT, off = BUF_INIT;
	AUTO_FREE char *copy = NULL;
	char *save = NULL, *word;

	if (ask_preload(c, &all, e) == -1)
		return -1;
	copy = mem_strdup(buf_str(&all));
	for (word = strtok_r(copy, ", \t\n\"", &save); word != NULL;
	     word = strtok_r(NULL, ", \t\n\"", &save)) {
		bool keep = c->o->open
		    ? is_among(harmless, COUNT_OF(harmless), word)
		    : !is_among(reaching_out, COUNT_OF(reaching_out), word);
		struct buf *to = keep ? kept : &off;

		buf_printf(to, "%s%s", to->len == 0 ? "" : ",", word);
	}
	if (off.len > 0) {
		AUTO_FREE char *text = mem_printf(
		    "Preloaded libraries that act by themselves: %s were off",
		    buf_str(&off));

		tell_untested(&c->o->teller, text);
	}
	return 0;
}

/* Command line options win over everything that the directory says. */
static int
make_options(struct copy *c, struct err *e)
{
	AUTO_BUF struct buf preload = BUF_INIT;
	AUTO_FREE char *port = mem_printf("%d", PORT);
	struct buf *o = &c->options;

	if (filter_preload(c, &preload, e) == -1)
		return -1;
	put_option(o, "data_directory", c->pgdata);
	put_option(o, "hba_file", c->hba);
	put_option(o, "shared_preload_libraries", buf_str(&preload));
	put_option(o, "session_preload_libraries", "");
	put_option(o, "local_preload_libraries", "");
	put_option(o, "listen_addresses", c->o->open ? "" : "127.0.0.1");
	put_option(
	    o, "unix_socket_directories", c->o->open ? c->o->folder : "");
	put_option(o, "port", port);
	put_option(o, "archive_mode", "off");
	put_option(o, "max_logical_replication_workers", "0");
	put_option(o, "synchronous_standby_names", "");
	put_option(o, "ssl", "off");
	put_option(o, "bonjour", "off");
	put_option(o, "hot_standby", "on");
	/* A service may be denied memory that is written and run. */
	put_option(o, "jit", "off");
	put_option(o, "default_transaction_read_only", "off");
	put_option(o, "cluster_name", "pgkura drill");
	/* It is to fit beside everything else on this machine. */
	put_option(o, "shared_buffers", "128MB");
	put_option(o, "huge_pages", "off");
	if (c->o->root->facts.major >= 18)
		put_option(o, "io_method", "worker");
	return 0;
}

/* ---- the server ---- */

static int
start(struct copy *c, struct err *e)
{
	struct server_start s = { 0 };
	int outcome;

	if (server_find_bindir(c->o->root->facts.major, c->o->cluster->bindir,
		&c->bindir, e) == -1)
		return -1;
	(void)buf_str(&c->bindir);
	if (find_config(c, e) == -1 || write_hba(c, e) == -1 ||
	    make_options(c, e) == -1)
		return -1;
	s.pgdata = c->pgdata;
	s.bindir = buf_str(&c->bindir);
	s.config_file = c->config;
	s.log_path = c->log;
	s.options = buf_str(&c->options);
	s.stall_us = STALL_US;
	outcome = server_start_wait(&s, NULL, NULL, e);
	if (outcome == -1)
		return -1;
	if (outcome != SERVER_ACCEPTS)
		return err_set(e, ERR_REFUSED,
		    "the copy did not become a primary: it %s",
		    outcome == SERVER_PAUSED ? "paused" : "shut down");
	return 0;
}

static int
start_step(struct copy *c)
{
	struct err e = ERR_INIT;

	tell_begin(&c->o->teller, "recover",
	    "The copy starts, replays WAL and is promoted");
	if (start(c, &e) == 0) {
		tell_end(&c->o->teller, STEP_PASSED, NULL,
		    "PostgreSQL %d accepts connections",
		    c->o->root->facts.major);
		return 0;
	}
	tell_failure(&c->o->teller, &e);
	return -1;
}

static int
stop_step(struct copy *c)
{
	struct err e = ERR_INIT;

	tell_begin(&c->o->teller, "stop", "The copy shuts down cleanly");
	if (server_stop(c->pgdata, "fast", &e) == -1) {
		tell_failure(&c->o->teller, &e);
		return -1;
	}
	tell_end(&c->o->teller, STEP_PASSED, NULL, "%s", "");
	return 0;
}

static int
run(struct copy *c)
{
	struct copy_server v = {
		.copy = c->o, .bindir = NULL, .pgdata = c->pgdata, .port = PORT
	};
	int failed;

	if (show_box(c->o) == -1 || start_step(c) == -1)
		return 1;
	v.bindir = buf_str(&c->bindir);
	(void)snprintf(v.host, sizeof(v.host), "%s",
	    c->o->open ? c->o->folder : "127.0.0.1");
	failed = drill_check_running(&v);
	if (stop_step(c) == -1)
		return 1;
	return drill_check_stopped(&v) != 0 || failed != 0;
}

int
drill_copy_main(void *arg)
{
	struct drill_copy *o = arg;
	AUTO(copy_free) struct copy c = { .o = o };
	AUTO_FREE char *tmp = file_join(o->folder, DRILL_TMP);

	(void)setenv("TMPDIR", tmp, 1);
	c.pgdata = file_join(o->folder, DRILL_DATA);
	c.log = file_join(o->folder, DRILL_LOG);
	c.hba = file_join(o->folder, DRILL_HBA);
	return run(&c);
}
