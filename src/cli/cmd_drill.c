/*
 * cmd_drill: rehearse, and look at the reports of rehearsals.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/drill_print.h"
#include "cli/live_drill.h"
#include "jobs/drill.h"
#include "jobs/drill_chain.h"

struct flags {
	const char *time, *lsn, *name, *timeline, *backup, *lineage, *to, *html,
	    *by, *note;
	uint64_t xid;
	bool latest, immediate, exclusive, keep, open, live;
	struct live_drill how; /* of a live one */
	struct cli_texts checks;
};

/* ---- drill CLUSTER ---- */

static int
set_target(const struct flags *f, struct target_request *t, struct err *e)
{
	unsigned int given = (f->time != NULL) + (f->lsn != NULL) +
	    (f->name != NULL) + (f->xid != 0) + f->immediate + f->latest;

	if (given > 1)
		return err_set(e, ERR_USAGE,
		    "give one of --latest, --time, --lsn, --xid, --name, "
		    "--immediate");
	if (f->xid > UINT32_MAX)
		return err_set(
		    e, ERR_USAGE, "--xid takes a 32-bit transaction number");
	t->exclusive = f->exclusive;
	t->backup_id = f->backup;
	t->name = f->name;
	t->xid = (uint32_t)f->xid;
	t->kind = f->time != NULL ? TARGET_TIME
	    : f->lsn != NULL	  ? TARGET_LSN
	    : f->xid != 0	  ? TARGET_XID
	    : f->name != NULL	  ? TARGET_NAME
	    : f->immediate	  ? TARGET_IMMEDIATE
				  : TARGET_LATEST;
	if (f->time != NULL)
		return clock_parse(f->time, clock_now_us(), &t->time_us, e);
	return f->lsn != NULL ? lsn_parse(f->lsn, &t->lsn, e) : 0;
}

static int
run_drill(struct cli *cli, const struct flags *f,
    const struct cluster_settings *c, struct err *e)
{
	struct drill_options o = { .lineage = f->lineage,
		.checks = f->checks.items,
		.directory = f->to,
		.keep = f->keep,
		.allow_open = f->open };
	struct drill_result r;
	int rc;

	if (set_target(f, &o.target, e) == -1)
		return -1;
	if (f->timeline != NULL && strcmp(f->timeline, "latest") != 0) {
		o.target.timeline = (uint32_t)strtoul(f->timeline, NULL, 0);
		if (o.target.timeline == 0)
			return err_set(e, ERR_USAGE,
			    "--timeline takes a number or \"latest\"");
	}
	if (drill_run(cli->settings, c, &o, &r, e) == -1)
		return -1;
	drill_print_result(cli, r.report);
	rc = drill_verdict(&r, e);
	drill_result_free(&r);
	return rc;
}

/* ---- reports ---- */

struct reading {
	struct repo *repo;
	struct lineage lineage;
	struct chain chain;
};

static void
reading_close(struct reading *r)
{
	chain_free(&r->chain);
	repo_close(r->repo);
}

static int
read_reports(struct cli *cli, const struct cluster_settings *c,
    const struct flags *f, struct reading *r, struct err *e)
{
	r->repo = cli_repo(cli, e);
	if (r->repo == NULL ||
	    lineage_open(r->repo, c->name, f->lineage, &r->lineage, e) == -1)
		return -1;
	return chain_read(cli->settings, &r->lineage, &r->chain, e);
}

static json_t *
link_json(const struct chain *c, const struct chain_link *k)
{
	AUTO_FREE struct report *signs = NULL;
	json_t *o = json_object(), *by = json_array();
	const json_t *j = k->report.json;
	size_t count, i;

	json_set_str(o, "id", k->id);
	json_set_str(o, "chain", k->fault == NULL ? "sound" : k->fault);
	json_set_str(o, "sha256", k->sha256);
	if (j != NULL) {
		json_set_str(o, "site", k->report.site);
		json_set_u64(o, "sequence", k->report.sequence);
		json_set_str(o, "kind", report_text(j, "kind"));
		json_set_str(o, "finished", report_text(j, "finished"));
	}
	if (j != NULL && k->report.kind != REPORT_SIGN_OFF) {
		json_set_str(o, "result", report_text(j, "result"));
		json_set_str(o, "verdict", report_text(j, "verdict"));
		(void)json_object_set(o, "rpo", json_object_get(j, "rpo"));
		(void)json_object_set(o, "rto", json_object_get(j, "rto"));
	}
	signs = chain_sign_offs(c, k->id, &count);
	for (i = 0; i < count; i++)
		(void)json_array_append_new(
		    by, json_string(report_text(signs[i].json, "by")));
	(void)json_object_set_new(o, "signed_by", by);
	return o;
}

static void
list_row(struct table *t, const struct chain *c, const struct chain_link *k)
{
	AUTO_FREE struct report *signs = NULL;
	const json_t *j = k->report.json;
	char rpo[CLOCK_TEXT_BYTES] = "", rto[CLOCK_TEXT_BYTES] = "";
	int64_t rpo_us =
		    report_number(json_object_get(j, "rpo"), "achieved_us"),
		rto_us =
		    report_number(json_object_get(j, "rto"), "achieved_us");
	size_t count;

	signs = chain_sign_offs(c, k->id, &count);
	table_cell(t, "%s", k->id);
	table_cell(t, "%s", j == NULL ? "?" : k->report.site);
	table_cell(t, "%s%s",
	    j == NULL				    ? "unreadable"
		: k->report.kind == REPORT_SIGN_OFF ? "sign-off"
						    : report_text(j, "result"),
	    j != NULL && k->report.kind == REPORT_LIVE ? ", live" : "");
	table_cell(t, "%s", rpo_us < 0 ? "" : clock_interval(rpo_us, rpo));
	table_cell(t, "%s", rto_us < 0 ? "" : clock_interval(rto_us, rto));
	table_cell(t, "%s",
	    count > 0	    ? report_text(signs[count - 1].json, "by")
		: j == NULL ? ""
		: k->report.kind == REPORT_SIGN_OFF ? k->report.of_id
						    : "");
	table_cell(t, "%s", k->fault == NULL ? "sound" : k->fault);
}

static int
list(struct cli *cli, const struct flags *f, const struct cluster_settings *c,
    struct err *e)
{
	static const char *const heads[] = { "REPORT", "SITE", "RESULT", ">RPO",
		">RTO", "SIGNED BY", "CHAIN" };
	AUTO_TABLE struct table *t = table_new(heads, COUNT_OF(heads));
	AUTO(reading_close) struct reading r = { 0 };
	json_t *all = json_array();
	size_t i;

	if (read_reports(cli, c, f, &r, e) == -1) {
		json_decref(all);
		return -1;
	}
	for (i = 0; i < r.chain.count; i++) {
		(void)json_array_append_new(
		    all, link_json(&r.chain, &r.chain.links[i]));
		list_row(t, &r.chain, &r.chain.links[i]);
	}
	if (cli->json) {
		json_t *j = json_object();

		json_set_u64(j, "faults", r.chain.faults);
		(void)json_object_set_new(j, "reports", all);
		cli_print_json(cli, j);
	} else {
		json_decref(all);
		if (r.chain.count == 0)
			(void)printf("there is no report yet\n");
		else
			table_print(t, stdout);
	}
	if (r.chain.faults == 0)
		return 0;
	(void)err_set(e, ERR_CORRUPT, "%u report%s of drills not as written",
	    r.chain.faults, r.chain.faults == 1 ? " is" : "s are");
	return err_hint(e,
	    "Compare with the repository of the other site, and see who could "
	    "write to this one.");
}

static int
show(struct cli *cli, const struct flags *f, const struct cluster_settings *c,
    const char *id, struct err *e)
{
	AUTO(reading_close) struct reading r = { 0 };
	AUTO_FREE struct report *signs = NULL;
	AUTO_BUF struct buf html = BUF_INIT;
	const struct chain_link *k;
	const char *chain;
	size_t count;

	if (read_reports(cli, c, f, &r, e) == -1)
		return -1;
	k = chain_find(&r.chain, id);
	if (k == NULL || k->report.json == NULL ||
	    k->report.kind == REPORT_SIGN_OFF) {
		(void)err_set(e, k == NULL ? ERR_NOT_FOUND : ERR_CORRUPT,
		    "there is no readable report \"%s\" of cluster \"%s\"%s%s",
		    id, c->name, k == NULL || k->fault == NULL ? "" : ": ",
		    k == NULL || k->fault == NULL ? "" : k->fault);
		return err_hint(e,
		    "See those there are with \"pgkura drill list %s\".",
		    c->name);
	}
	chain = k->fault == NULL ? "sound" : k->fault;
	signs = chain_sign_offs(&r.chain, id, &count);
	report_html(&k->report, chain, signs, count, &html);
	if (f->html != NULL &&
	    file_publish_at(AT_FDCWD, f->html, html.data, html.len, 0644,
		FILE_REPLACE, e) == -1)
		return -1;
	if (cli->json) {
		json_t *j = json_object();

		json_set_str(j, "chain", chain);
		(void)json_object_set(j, "drill", k->report.json);
		cli_print_json(cli, j);
	} else if (f->html == NULL) {
		drill_print_report(k->report.json);
	}
	return k->fault == NULL
	    ? 0
	    : err_set(e, ERR_CORRUPT, "report \"%s\": %s", id, k->fault);
}

static int
sign_off(struct cli *cli, const struct flags *f,
    const struct cluster_settings *c, const char *id, struct err *e)
{
	AUTO_REPO struct repo *r = NULL;
	struct lineage l;
	char made[BACKUP_ID_BYTES];

	if (f->by == NULL || f->by[0] == '\0')
		return err_set(e, ERR_USAGE, "there is no --by=NAME");
	r = repo_open(
	    cli->settings->repository, cli->settings->state_dir, true, e);
	if (r == NULL || lineage_open(r, c->name, f->lineage, &l, e) == -1 ||
	    chain_sign_off(cli->settings, &l, id, f->by,
		f->note == NULL ? "" : f->note, made, e) == -1)
		return -1;
	(void)printf("signed off as %s\n", made);
	return 0;
}

/* ---- words ---- */

/* The cluster whose report this is, when there are several. */
static const struct cluster_settings *
cluster_of(struct cli *cli, const char *id, const char *name, struct err *e)
{
	size_t i;

	if (name != NULL || cli->settings->cluster_count == 1)
		return cli_cluster(cli, name, e);
	for (i = 0; i < cli->settings->cluster_count; i++) {
		const struct cluster_settings *c = &cli->settings->clusters[i];
		AUTO(reading_close) struct reading r = { 0 };
		const struct flags f = { 0 };

		if (read_reports(cli, c, &f, &r, NULL) == 0 &&
		    chain_find(&r.chain, id) != NULL)
			return c;
	}
	return cli_cluster(cli, NULL, e);
}

/* What belongs to the one kind of drill is not given to the other. */
static int
check_flags(const struct flags *f, struct err *e)
{
	bool isolated = f->time != NULL || f->lsn != NULL || f->name != NULL ||
	    f->timeline != NULL || f->backup != NULL || f->lineage != NULL ||
	    f->to != NULL || f->xid != 0 || f->latest || f->immediate ||
	    f->exclusive || f->keep || f->open || f->checks.count > 0;

	if (f->live && isolated)
		return err_set(e, ERR_USAGE,
		    "--live takes --hold, --dry-run and --yes alone");
	if (!f->live && (f->how.hold != NULL || f->how.dry_run || f->how.yes))
		return err_set(
		    e, ERR_USAGE, "--hold, --dry-run and --yes are for --live");
	return 0;
}

static int
run_word(
    struct cli *cli, const struct flags *f, const char **args, struct err *e)
{
	const struct cluster_settings *c;
	bool shows = args[0] != NULL && strcmp(args[0], "show") == 0;

	if (args[0] != NULL && strcmp(args[0], "list") == 0) {
		c = cli_cluster(cli, args[1], e);
		return c == NULL ? -1 : list(cli, f, c, e);
	}
	if (shows || (args[0] != NULL && strcmp(args[0], "sign-off") == 0)) {
		if (args[1] == NULL)
			return err_set(
			    e, ERR_USAGE, "the id of a report is missing");
		c = cluster_of(cli, args[1], args[2], e);
		if (c == NULL)
			return -1;
		return shows ? show(cli, f, c, args[1], e)
			     : sign_off(cli, f, c, args[1], e);
	}
	if (args[1] != NULL)
		return err_set(e, ERR_USAGE, "there are too many arguments");
	c = cli_cluster(cli, args[0], e);
	if (c == NULL || check_flags(f, e) == -1)
		return -1;
	return f->live ? live_drill_command(cli, c, &f->how, e)
		       : run_drill(cli, f, c, e);
}

int
cmd_drill(struct cli *cli, int argc, char *argv[], struct err *e)
{
	struct flags f = { 0 };
	const struct cli_option options[] = {
		{ "latest", NULL, "up to the last WAL that is here (default)",
		    CLI_FLAG, &f.latest },
		{ "time", "TIME", "up to this time (\"10 minutes ago\")",
		    CLI_TEXT, &f.time },
		{ "lsn", "LSN", "up to this position", CLI_TEXT, &f.lsn },
		{ "xid", "XID", "up to this transaction", CLI_NUMBER, &f.xid },
		{ "name", "NAME", "up to this restore point", CLI_TEXT,
		    &f.name },
		{ "immediate", NULL, "stop as soon as it is consistent",
		    CLI_FLAG, &f.immediate },
		{ "exclusive", NULL, "stop just before the target", CLI_FLAG,
		    &f.exclusive },
		{ "timeline", "TLI", "of an older branch; default the newest",
		    CLI_TEXT, &f.timeline },
		{ "backup", "BACKUP", "start from this backup", CLI_TEXT,
		    &f.backup },
		{ "lineage", "LINEAGE", "of an older history of the cluster",
		    CLI_TEXT, &f.lineage },
		{ "check", "SQLFILE", "SQL that must succeed in the copy",
		    CLI_TEXTS, &f.checks },
		{ "to", "DIRECTORY", "where the copy is made; else drill_dir",
		    CLI_TEXT, &f.to },
		{ "keep", NULL, "leave the copy there, stopped", CLI_FLAG,
		    &f.keep },
		{ "allow-not-isolated", NULL,
		    "go on where the copy cannot be kept from reaching out",
		    CLI_FLAG, &f.open },
		{ "live", NULL,
		    "a switchover to the other site and back, in operation",
		    CLI_FLAG, &f.live },
		{ "hold", "TIME", "with live: stay there so long; default 10s",
		    CLI_TEXT, &f.how.hold },
		{ "dry-run", NULL, "with live: say what stands in the way",
		    CLI_FLAG, &f.how.dry_run },
		{ "yes", NULL, "with live: do not ask", CLI_FLAG, &f.how.yes },
		{ "html", "FILE", "with show: write the report as a page",
		    CLI_TEXT, &f.html },
		{ "by", "NAME", "with sign-off: who stands for it", CLI_TEXT,
		    &f.by },
		{ "note", "TEXT", "with sign-off: what there is to say",
		    CLI_TEXT, &f.note },
	};
	const char *args[3];

	if (cli_parse(cli, argc, argv, options, COUNT_OF(options), args, 0, 3,
		NULL, e) == -1)
		return -1;
	return run_word(cli, &f, args, e);
}
