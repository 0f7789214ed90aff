/*
 * cmd_wal: what WAL is there; and, for our own programs, fetch, push, receive.
 */

#include <signal.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"
#include "jobs/jobs.h"

static int
open_lineage(struct cli *cli, const char *cluster, const char *lineage,
    struct repo **r, struct lineage *l, struct err *e)
{
	const struct cluster_settings *c = cli_cluster(cli, cluster, e);

	if (c == NULL || (*r = cli_repo(cli, e)) == NULL)
		return -1;
	return lineage_open(*r, c->name, lineage, l, e);
}

static void
print_span(const struct wal_span *s, bool newest, uint32_t segment_bytes)
{
	char a[LSN_TEXT_BYTES], b[LSN_TEXT_BYTES], first[WAL_NAME_BYTES],
	    last[WAL_NAME_BYTES];

	(void)printf("timeline %u  %s to %s  %s .. %s%s\n", s->timeline,
	    lsn_text(s->start_lsn, a), lsn_text(s->end_lsn, b),
	    wal_name(s->timeline, s->start_lsn, segment_bytes, first),
	    wal_name(s->timeline, s->end_lsn - 1, segment_bytes, last),
	    s->open_end && newest ? "  (growing)" : "");
}

static json_t *
span_json(const struct wal_span *s)
{
	json_t *j = json_object();
	char text[LSN_TEXT_BYTES];

	json_set_u64(j, "timeline", s->timeline);
	json_set_str(j, "start_lsn", lsn_text(s->start_lsn, text));
	json_set_str(j, "end_lsn", lsn_text(s->end_lsn, text));
	(void)json_object_set_new(j, "open_end", json_boolean(s->open_end));
	return j;
}

static int
wal_show(struct cli *cli, const char *cluster, const char *lineage, bool gaps,
    struct err *e)
{
	AUTO_REPO struct repo *r = NULL;
	AUTO_FREE struct wal_span *spans = NULL;
	struct lineage l;
	size_t count, i, holes = 0;
	json_t *a = json_array(), *j = json_object();
	char from[LSN_TEXT_BYTES], to[LSN_TEXT_BYTES];

	(void)json_object_set_new(j, gaps ? "gaps" : "spans", a);
	if (open_lineage(cli, cluster, lineage, &r, &l, e) == -1 ||
	    wal_spans(&l, &spans, &count, e) == -1) {
		json_decref(j);
		return -1;
	}
	for (i = 0; i < count; i++) {
		struct wal_span gap = spans[i];

		if (!gaps) {
			(void)json_array_append_new(a, span_json(&spans[i]));
			if (!cli->json)
				print_span(&spans[i],
				    spans[i].timeline ==
					spans[count - 1].timeline,
				    l.facts.segment_bytes);
			continue;
		}
		if (i == 0 || spans[i - 1].timeline != spans[i].timeline)
			continue;
		gap.start_lsn = spans[i - 1].end_lsn;
		gap.end_lsn = spans[i].start_lsn;
		gap.open_end = false;
		holes++;
		(void)json_array_append_new(a, span_json(&gap));
		if (!cli->json)
			(void)printf("timeline %u  %s to %s is missing\n",
			    gap.timeline, lsn_text(gap.start_lsn, from),
			    lsn_text(gap.end_lsn, to));
	}
	if (gaps && holes == 0 && !cli->json)
		(void)printf("no gaps\n");
	if (cli->json)
		cli_print_json(cli, j);
	else
		json_decref(j);
	return 0;
}

/* Exit so that PostgreSQL does not take it for the end of WAL. */
static _Noreturn void
fetch_failed(const struct err *e)
{
	(void)fprintf(stderr, "pgkura: wal fetch: %s\n", e->text);
	if (e->hint[0] != '\0')
		(void)fprintf(stderr, "HINT:  %s\n", e->hint);
	/* As if SIGTERM had ended us: then the server, which sent it, stops. */
	exit(e->kind == ERR_CANCELED ? 128 + SIGTERM : 200);
}

static _Noreturn void
wal_fetch(struct cli *cli, const struct fetch_options *o, struct err *e)
{
	bool found = false;

	if (o->name == NULL || o->path == NULL)
		(void)err_set(
		    e, ERR_USAGE, "\"wal fetch\" takes a name and a path");
	else if (fetch_run(cli->settings, o, &found, e) == 0)
		exit(found ? 0 : 1);
	fetch_failed(e);
}

static int
wal_receive(struct cli *cli, const char *cluster, const char *from,
    const char *until, struct err *e)
{
	const struct cluster_settings *c = cli_cluster(cli, cluster, e);
	struct receive_options o = { .parent_fd = -1 };

	if (c == NULL ||
	    (from != NULL && lsn_parse(from, &o.from_lsn, e) == -1) ||
	    (until != NULL && lsn_parse(until, &o.until_lsn, e) == -1))
		return -1;
	return receive_run(cli->settings, c, &o, e);
}

static int
wal_fork(struct cli *cli, const char *cluster, bool yes, struct err *e)
{
	const struct cluster_settings *c = cli_cluster(cli, cluster, e);
	AUTO_REPO struct repo *r = NULL;
	struct lineage l;

	if (c == NULL)
		return -1;
	if (!yes) {
		(void)err_set(e, ERR_USAGE,
		    "\"wal fork\" begins a new history of cluster \"%s\"",
		    c->name);
		return err_hint(e,
		    "Do so when this server is the one to go on with and its "
		    "WAL conflicts with what is stored.  What is stored stays; "
		    "a new backup is needed.  If that is wanted, say --yes.");
	}
	r = repo_open(
	    cli->settings->repository, cli->settings->state_dir, true, e);
	if (r == NULL || lineage_fork(r, c->name, &l, e) == -1)
		return -1;
	log_event(LOG_LEVEL_WARNING, "wal_forked",
	    "a new history of the cluster begins; take a backup", "cluster",
	    c->name, "lineage", l.name, NULL);
	return 0;
}

int
cmd_wal(struct cli *cli, int argc, char *argv[], struct err *e)
{
	const char *args[3], *lineage = NULL, *cluster = NULL;
	const char *from = NULL, *until = NULL;
	uint64_t ahead = 0, wait_s = 0;
	/* Now, for parsing moves the words. */
	bool standby = false, yes = false,
	     is_fetch = argc > 1 && strcmp(argv[1], "fetch") == 0;
	const struct cli_option options[] = {
		{ "lineage", "NAME", "an older history of the cluster",
		    CLI_TEXT, &lineage },
		{ "cluster", "NAME", "with fetch: the cluster", CLI_TEXT,
		    &cluster },
		{ "from", "LSN",
		    "with receive: begin here when nothing is there", CLI_TEXT,
		    &from },
		{ "until", "LSN", "with receive: end when this is durable",
		    CLI_TEXT, &until },
		{ "ahead", "N", "with fetch: segments to read ahead",
		    CLI_NUMBER, &ahead },
		{ "wait", "SECONDS", "with fetch: for a hole to fill (30)",
		    CLI_NUMBER, &wait_s },
		{ "standby", NULL, "with fetch: \"not now\" is \"not there\"",
		    CLI_FLAG, &standby },
		{ "yes", NULL, "with fork: begin a new history", CLI_FLAG,
		    &yes },
	};

	if (cli_parse(cli, argc, argv, options, COUNT_OF(options), args, 1, 3,
		NULL, e) == -1) {
		if (is_fetch)
			fetch_failed(e);
		return -1;
	}
	if (strcmp(args[0], "list") == 0 || strcmp(args[0], "gaps") == 0)
		return wal_show(
		    cli, args[1], lineage, strcmp(args[0], "gaps") == 0, e);
	if (strcmp(args[0], "receive") == 0)
		return wal_receive(cli, args[1], from, until, e);
	if (strcmp(args[0], "fork") == 0)
		return wal_fork(cli, args[1], yes, e);
	if (strcmp(args[0], "push") == 0 && args[1] != NULL)
		return archive_push(cli->settings, args[1], e);
	if (strcmp(args[0], "fetch") == 0)
		wal_fetch(cli,
		    &(struct fetch_options){ .cluster = cluster,
			.lineage = lineage,
			.name = args[1],
			.path = args[2],
			.standby = standby,
			.ahead = (unsigned int)ahead,
			.wait_us =
			    (int64_t)(wait_s % 86400) * CLOCK_SECOND_US },
		    e);
	if (strcmp(args[0], "push") == 0)
		return err_set(e, ERR_USAGE, "\"wal push\" takes a path");
	(void)err_set(e, ERR_USAGE, "there is no \"wal %s\"", args[0]);
	return err_hint(e, "There are: list, gaps, receive, fork.");
}
