#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "cli/cli.h"
#include "jobs/jobs.h"
#include "jobs/rule.h"

struct flags {
	const char *to, *time, *lsn, *name, *timeline, *backup, *action,
	    *config_dir, *log, *owner, *lineage;
	uint64_t xid, workers;
	bool immediate, exclusive, plan, delta, force_delta, take_over, standby,
	    start, files_only;
	struct cli_texts tablespaces, settings;
};

static int
set_target(const struct flags *f, struct target_request *t, struct err *e)
{
	unsigned int given = (f->time != NULL) + (f->lsn != NULL) +
	    (f->name != NULL) + (f->xid != 0) + f->immediate;

	if (given > 1)
		return err_set(e, ERR_USAGE,
		    "give one of --time, --lsn, --xid, --name, --immediate");
	t->exclusive = f->exclusive;
	t->backup_id = f->backup;
	if (f->time != NULL) {
		t->kind = TARGET_TIME;
		return clock_parse(f->time, clock_now_us(), &t->time_us, e);
	}
	if (f->lsn != NULL) {
		t->kind = TARGET_LSN;
		return lsn_parse(f->lsn, &t->lsn, e);
	}
	if (f->xid != 0) {
		if (f->xid > UINT32_MAX)
			return err_set(e, ERR_USAGE,
			    "--xid takes a 32-bit transaction number");
		t->kind = TARGET_XID;
		t->xid = (uint32_t)f->xid;
	} else if (f->name != NULL) {
		t->kind = TARGET_NAME;
		t->name = f->name;
	} else {
		t->kind = f->immediate ? TARGET_IMMEDIATE : TARGET_LATEST;
	}
	return 0;
}

static int
set_timeline(const char *text, struct target_request *t, struct err *e)
{
	char *end;
	unsigned long v;

	if (text == NULL || strcmp(text, "latest") == 0)
		return 0;
	v = strtoul(text, &end, 0);
	if (*end != '\0' || v == 0 || v > UINT32_MAX)
		return err_set(e, ERR_USAGE,
		    "--timeline takes a number or \"latest\", not \"%s\"",
		    text);
	t->timeline = (uint32_t)v;
	return 0;
}

static int
set_action(const char *text, enum recovery_action *action, struct err *e)
{
	if (text == NULL || strcmp(text, "promote") == 0)
		*action = ACTION_PROMOTE;
	else if (strcmp(text, "pause") == 0)
		*action = ACTION_PAUSE;
	else if (strcmp(text, "shutdown") == 0)
		*action = ACTION_SHUTDOWN;
	else
		return err_set(e, ERR_USAGE,
		    "--action takes promote, pause or shutdown, not \"%s\"",
		    text);
	return 0;
}

static void
print_text(const struct restore_options *o, const struct restore_result *r)
{
	char a[SIZE_TEXT_BYTES], b[SIZE_TEXT_BYTES], lsn[LSN_TEXT_BYTES],
	    lsn2[LSN_TEXT_BYTES], when[CLOCK_TEXT_BYTES],
	    took[CLOCK_TEXT_BYTES];

	(void)printf("backup    %s\n", r->target.backup_id);
	(void)printf("WAL       %s to %s, timeline %u, %s\n",
	    lsn_text(r->target.wal_from_lsn, lsn),
	    lsn_text(r->target.wal_to_lsn, lsn2), r->target.timeline,
	    size_text(r->wal_bytes, a));
	if (r->target.stop_us != 0)
		(void)printf("stops at  %s, last transaction %s\n",
		    lsn_text(r->target.stop_lsn, lsn),
		    clock_local(r->target.stop_us, when));
	(void)printf("files     %llu, %s, %s to read\n",
	    (unsigned long long)r->files, size_text(r->bytes, a),
	    size_text(r->read_bytes, b));
	if (o->plan_only) {
		(void)printf(
		    "estimate  %s\n", clock_interval(r->estimate_us, took));
		return;
	}
	if (o->delta)
		(void)printf("blocks    %llu kept, %llu written\n",
		    (unsigned long long)r->kept_blocks,
		    (unsigned long long)r->written_blocks);
	if (r->salvaged[0] != '\0')
		(void)printf("salvaged  %s\n", r->salvaged);
	(void)printf("restored  %s in %s\n", o->directory,
	    clock_interval(r->elapsed_us, took));
}

static void
print_json(struct cli *cli, const struct restore_options *o,
    const struct restore_result *r)
{
	json_t *j = json_object();
	char lsn[LSN_TEXT_BYTES], when[CLOCK_TEXT_BYTES];

	if (o->directory != NULL)
		json_set_str(j, "directory", o->directory);
	(void)json_object_set_new(j, "plan", json_boolean(o->plan_only));
	json_set_str(j, "backup", r->target.backup_id);
	json_set_u64(j, "timeline", r->target.timeline);
	json_set_str(j, "stop_lsn", lsn_text(r->target.stop_lsn, lsn));
	if (r->target.stop_us != 0)
		json_set_str(
		    j, "stop_time", clock_utc(r->target.stop_us, when));
	json_set_str(j, "wal_from_lsn", lsn_text(r->target.wal_from_lsn, lsn));
	json_set_str(j, "wal_to_lsn", lsn_text(r->target.wal_to_lsn, lsn));
	json_set_u64(j, "wal_bytes", r->wal_bytes);
	json_set_u64(j, "files", r->files);
	json_set_u64(j, "bytes", r->bytes);
	json_set_u64(j, "read_bytes", r->read_bytes);
	json_set_u64(j, "written_bytes", r->written_bytes);
	json_set_u64(j, "kept_blocks", r->kept_blocks);
	json_set_u64(j, "written_blocks", r->written_blocks);
	json_set_u64(j, "estimate_us", (uint64_t)r->estimate_us);
	json_set_u64(j, "elapsed_us", (uint64_t)r->elapsed_us);
	if (r->salvaged[0] != '\0')
		json_set_str(j, "salvaged", r->salvaged);
	cli_print_json(cli, j);
}

/* What takes writes as the cluster would be a second one beside the primary. */
static int
check_role(const struct cli *cli, const struct cluster_settings *c,
    const struct restore_options *o, struct err *e)
{
	struct record_role_file role;

	if (!o->take_over || !o->start || o->standby || o->plan_only)
		return 0;
	if (rule_role_read(cli->settings, c, &role, e) == -1) {
		if (e->kind != ERR_NOT_FOUND)
			return -1;
		err_clear(e); /* no role here */
		return 0;
	}
	if (role.role != ROLE_STANDBY)
		return 0;
	(void)err_set(e, ERR_REFUSED,
	    "this site is a standby of cluster \"%s\": a server that takes "
	    "writes may not start here",
	    c->name);
	return err_hint(e,
	    "Without --take-over it is a copy that harms nobody. \"pgkura role "
	    "%s\" says where the primary is.",
	    c->name);
}

int
cmd_restore(struct cli *cli, int argc, char *argv[], struct err *e)
{
	struct flags f = { 0 };
	const struct cli_option options[] = {
		{ "to", "DIRECTORY", "where the data directory is made",
		    CLI_TEXT, &f.to },
		{ "time", "TIME",
		    "recover up to this time (\"10 minutes ago\")", CLI_TEXT,
		    &f.time },
		{ "lsn", "LSN", "recover up to this position", CLI_TEXT,
		    &f.lsn },
		{ "xid", "XID", "recover up to this transaction", CLI_NUMBER,
		    &f.xid },
		{ "name", "NAME", "recover up to this restore point", CLI_TEXT,
		    &f.name },
		{ "immediate", NULL, "stop as soon as it is consistent",
		    CLI_FLAG, &f.immediate },
		{ "exclusive", NULL, "stop just before the target", CLI_FLAG,
		    &f.exclusive },
		{ "timeline", "TLI", "of an older branch; default the newest",
		    CLI_TEXT, &f.timeline },
		{ "backup", "BACKUP", "start from this backup", CLI_TEXT,
		    &f.backup },
		{ "action", "ACTION",
		    "at the target: promote (default), pause, shutdown",
		    CLI_TEXT, &f.action },
		{ "plan", NULL, "say what would be done and do nothing",
		    CLI_FLAG, &f.plan },
		{ "delta", NULL,
		    "into an existing directory: write only what differs",
		    CLI_FLAG, &f.delta },
		{ "force-delta", NULL,
		    "even over the directory of another cluster", CLI_FLAG,
		    &f.force_delta },
		{ "take-over", NULL,
		    "this becomes the cluster: it archives and replicates",
		    CLI_FLAG, &f.take_over },
		{ "standby", NULL, "stay in recovery as a standby", CLI_FLAG,
		    &f.standby },
		{ "tablespace-map", "OLD=NEW",
		    "another place for a tablespace (path or OID)", CLI_TEXTS,
		    &f.tablespaces },
		{ "set", "NAME=VALUE",
		    "a setting of the restored server, such as its port",
		    CLI_TEXTS, &f.settings },
		{ "config-dir", "DIRECTORY",
		    "configuration outside the data directory", CLI_TEXT,
		    &f.config_dir },
		{ "owner", "USER[:GROUP]",
		    "who shall own it; default who owns the place", CLI_TEXT,
		    &f.owner },
		{ "lineage", "LINEAGE", "of an older history of the cluster",
		    CLI_TEXT, &f.lineage },
		{ "workers", "N", "threads", CLI_NUMBER, &f.workers },
		{ "start", NULL, "start the server and wait for recovery",
		    CLI_FLAG, &f.start },
		{ "log", "FILE", "the started server's log", CLI_TEXT, &f.log },
		{ "files-only", NULL, "write no recovery settings", CLI_FLAG,
		    &f.files_only },
	};
	const char *args[1];
	const struct cluster_settings *c;
	struct restore_options o = { 0 };
	struct restore_result r;

	if (cli_parse(cli, argc, argv, options, COUNT_OF(options), args, 0, 1,
		NULL, e) == -1)
		return -1;
	if (f.to == NULL && !f.plan) {
		(void)err_set(e, ERR_USAGE, "there is no --to=DIRECTORY");
		return err_hint(e,
		    "Name an empty or new directory, or see with --plan what "
		    "would be done.");
	}
	c = cli_cluster(cli, args[0], e);
	if (c == NULL || set_target(&f, &o.target, e) == -1 ||
	    set_timeline(f.timeline, &o.target, e) == -1 ||
	    set_action(f.action, &o.action, e) == -1)
		return -1;
	o.directory = f.to;
	o.plan_only = f.plan;
	o.delta = f.delta || f.force_delta;
	o.force_delta = f.force_delta;
	o.take_over = f.take_over;
	o.standby = f.standby;
	o.tablespace_map = f.tablespaces.items;
	o.server_settings = f.settings.items;
	o.config_dir = f.config_dir;
	o.owner = f.owner;
	o.lineage = f.lineage;
	o.workers = (unsigned int)f.workers;
	o.start = f.start;
	o.log_path = f.log;
	o.no_recovery_settings = f.files_only;
	if (check_role(cli, c, &o, e) == -1 ||
	    restore_run(cli->settings, c, &o, &r, e) == -1)
		return -1;
	if (cli->json)
		print_json(cli, &o, &r);
	else
		print_text(&o, &r);
	restore_result_free(&r);
	return 0;
}
