/*
 * walkit: the WAL jobs as a program, for tests.
 *
 *	walkit CONF init		repo_init()
 *	walkit CONF receive [UNTIL_LSN]	receive_run()
 *	walkit CONF serve		archive_serve()
 *	walkit CONF push PATH		archive_push()
 *	walkit CONF spans CLUSTER	a line each: timeline start end [open]
 *	walkit CONF scan CLUSTER TIMELINE FROM TO
 *					a line for each event: LSN kind xid name
 *	walkit CONF cat CLUSTER SEGMENT	plain bytes, or what there is of them
 *
 * CONF is a pgkura.conf with one cluster.  Exit status as pgkura's.
 */

#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/jobs.h"
#include "repo/walarchive.h"

static struct settings *settings;

static int
open_lineage(
    const char *cluster, struct repo **r, struct lineage *l, struct err *e)
{
	*r = repo_open(settings->repository, settings->state_dir, false, e);
	return *r == NULL ? -1 : lineage_open(*r, cluster, NULL, l, e);
}

static int
do_receive(char *argv[], struct err *e)
{
	struct receive_options options = { .parent_fd = -1 };
	const struct cluster_settings *c = settings_cluster(settings, NULL, e);

	if (c == NULL ||
	    (argv[0] != NULL &&
		lsn_parse(argv[0], &options.until_lsn, e) == -1))
		return -1;
	return receive_run(settings, c, &options, e);
}

static int
do_init(char *argv[], struct err *e)
{
	(void)argv;
	return repo_init(settings->repository, e);
}

static int
do_serve(char *argv[], struct err *e)
{
	(void)argv;
	return archive_serve(settings, e);
}

static int
do_push(char *argv[], struct err *e)
{
	return archive_push(settings, argv[0], e);
}

static int
do_spans(char *argv[], struct err *e)
{
	AUTO_REPO struct repo *r = NULL;
	AUTO_FREE struct wal_span *spans = NULL;
	char start[LSN_TEXT_BYTES], end[LSN_TEXT_BYTES];
	struct lineage l;
	size_t count, i;

	if (open_lineage(argv[0], &r, &l, e) == -1 ||
	    wal_spans(&l, &spans, &count, e) == -1)
		return -1;
	for (i = 0; i < count; i++)
		(void)printf("%u %s %s%s\n", spans[i].timeline,
		    lsn_text(spans[i].start_lsn, start),
		    lsn_text(spans[i].end_lsn, end),
		    spans[i].open_end ? " open" : "");
	return 0;
}

static int
print_event(void *arg, const struct wal_event *ev, struct err *e)
{
	char at[LSN_TEXT_BYTES];

	(void)arg;
	(void)e;
	(void)printf("%s %s %u %s\n", lsn_text(ev->lsn, at),
	    wal_event_kind_name(ev->kind), ev->xid, ev->name);
	return 0;
}

static int
do_scan(char *argv[], struct err *e)
{
	AUTO_REPO struct repo *r = NULL;
	struct timeline_history h = { 0 };
	struct lineage l;
	uint64_t from, to;
	int rc;

	if (lsn_parse(argv[2], &from, e) == -1 ||
	    lsn_parse(argv[3], &to, e) == -1 ||
	    open_lineage(argv[0], &r, &l, e) == -1 ||
	    wal_read_history(
		&l, (uint32_t)strtoul(argv[1], NULL, 10), &h, NULL, e) == -1)
		return -1;
	rc = wal_scan(&l, &h, from, to, print_event, NULL, e);
	timeline_history_free(&h);
	return rc;
}

static int
do_cat(char *argv[], struct err *e)
{
	AUTO_REPO struct repo *r = NULL;
	AUTO_FREE uint8_t *data = NULL;
	struct lineage l;
	size_t valid;

	if (open_lineage(argv[0], &r, &l, e) == -1)
		return -1;
	data = mem_alloc(l.facts.segment_bytes);
	if (wal_read_tail(&l, argv[1], data, &valid, e) == -1)
		return -1;
	return fwrite(data, 1, valid, stdout) == valid
	    ? 0
	    : err_sys(e, "could not write");
}

static const struct {
	const char *name;
	int args_min;
	int (*run)(char *argv[], struct err *e);
} commands[] = {
	{ "init", 0, do_init },
	{ "receive", 0, do_receive },
	{ "serve", 0, do_serve },
	{ "push", 1, do_push },
	{ "spans", 1, do_spans },
	{ "scan", 4, do_scan },
	{ "cat", 2, do_cat },
};

int
main(int argc, char *argv[])
{
	AUTO_SETTINGS struct settings *s = NULL;
	struct err e = ERR_INIT;
	size_t i;
	int rc = -1;

	log_setup(LOG_TEXT, LOG_LEVEL_DEBUG);
	child_catch_stop_signals();
	(void)err_set(&e, ERR_USAGE, "see walkit.c");
	s = argc < 3 ? NULL : settings_load(argv[1], &e);
	settings = s;
	for (i = 0; s != NULL && i < COUNT_OF(commands); i++)
		if (strcmp(argv[2], commands[i].name) == 0 &&
		    argc - 3 >= commands[i].args_min) {
			err_clear(&e);
			rc = commands[i].run(argv + 3, &e);
		}
	if (rc == -1)
		(void)fprintf(stderr, "walkit: %s\n%s\n", e.text, e.hint);
	if (rc == 0 && fflush(stdout) != 0)
		rc = 1;
	return rc == 0 ? 0 : err_exit_status(&e);
}
