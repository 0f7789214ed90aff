/*
 * check: test the whole set-up of a cluster, and explain each fault with its
 * remedy.
 *
 * Only REPLICATION may be assumed.  SHOW works on a replication connection;
 * what needs SQL is tried and left out with a note when refused.
 */

#include "jobs/check_int.h"

#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/mem.h"
#include "repo/walarchive.h"

void
check_say(struct check *k, enum check_verdict verdict, const char *what,
    const char *remedy, const char *fmt, ...)
{
	struct check_result *r = k->result;
	struct check_item *i;
	va_list ap;

	r->items = mem_rearray(r->items, r->count + 1, sizeof(r->items[0]));
	i = &r->items[r->count++];
	i->verdict = verdict;
	i->what = mem_strdup(what);
	i->remedy = remedy == NULL ? NULL : mem_strdup(remedy);
	va_start(ap, fmt);
	i->found = mem_vprintf(fmt, ap);
	va_end(ap);
	if (verdict == CHECK_FAULT)
		r->faults++;
	if (verdict == CHECK_WARNING)
		r->warnings++;
}

void
check_fault(struct check *k, const char *what, const struct err *e)
{
	check_say(k, CHECK_FAULT, what,
	    e->hint[0] == '\0' ? "See the message." : e->hint, "%s", e->text);
}

void
check_result_free(struct check_result *r)
{
	size_t i;

	for (i = 0; i < r->count; i++) {
		free(r->items[i].what);
		free(r->items[i].found);
		free(r->items[i].remedy);
	}
	free(r->items);
	(void)memset(r, 0, sizeof(*r));
}

/* ---- what the repository has of the cluster ---- */

static void
check_gaps(struct check *k, const struct lineage *l)
{
	AUTO_FREE struct wal_span *spans = NULL;
	char from[LSN_TEXT_BYTES], to[LSN_TEXT_BYTES];
	struct err e = ERR_INIT;
	size_t count, i, holes = 0;

	if (wal_spans(l, &spans, &count, &e) == -1) {
		check_fault(k, "WAL", &e);
		return;
	}
	for (i = 1; i < count; i++) {
		if (spans[i].timeline != spans[i - 1].timeline)
			continue;
		holes++;
		check_say(k, CHECK_WARNING, "WAL",
		    "Times inside cannot be restored. A backup taken after it "
		    "makes all later ones recoverable.",
		    "timeline %u: %s to %s is missing", spans[i].timeline,
		    lsn_text(spans[i - 1].end_lsn, from),
		    lsn_text(spans[i].start_lsn, to));
	}
	if (count == 0)
		check_say(k, CHECK_NOTE, "WAL", NULL, "none yet");
	else if (holes == 0)
		check_say(k, CHECK_OK, "WAL", NULL,
		    "without a gap up to %s on timeline %u",
		    lsn_text(spans[count - 1].end_lsn, to),
		    spans[count - 1].timeline);
}

static void
say_no_backup(struct check *k)
{
	check_say(k, CHECK_WARNING, "backups",
	    k->cluster->conninfo == NULL
		? "Take one at the site that it comes from, and wait."
		: "Take one with \"pgkura backup\".",
	    "none yet");
}

static void
check_backups(struct check *k, const struct lineage *l)
{
	AUTO_ROOT struct root r;
	char **ids = NULL;
	char age[CLOCK_TEXT_BYTES];
	struct err e = ERR_INIT;
	size_t count;

	root_init(&r);
	if (backup_list(l, &ids, &count, &e) == -1) {
		check_fault(k, "backups", &e);
		return;
	}
	if (count == 0) {
		say_no_backup(k);
	} else if (root_read(l, ids[count - 1], &r, &e) == -1) {
		check_fault(k, "backups", &e);
	} else {
		(void)clock_interval(clock_now_us() - r.finished_us, age);
		check_say(k, r.damaged_pages > 0 ? CHECK_WARNING : CHECK_OK,
		    "backups",
		    r.damaged_pages > 0 ? "See \"pgkura list\" and pg_amcheck."
					: NULL,
		    "%zu, the newest %s old%s", count, age,
		    r.damaged_pages > 0 ? ", with damaged pages" : "");
	}
	store_names_free(ids);
}

static void
check_lineage(struct check *k)
{
	struct lineage l;
	struct err e = ERR_INIT;

	if (k->repo == NULL)
		return;
	if (lineage_open(k->repo, k->cluster->name, NULL, &l, &e) == -1) {
		if (e.kind == ERR_NOT_FOUND)
			say_no_backup(k);
		else
			check_fault(k, "backups", &e);
		return;
	}
	check_backups(k, &l);
	check_gaps(k, &l);
}

static void
check_receiver(struct check *k)
{
	struct err e = ERR_INIT;
	int pid;

	if (!k->cluster->receive)
		return;
	pid = cluster_lock_holder(
	    k->settings->state_dir, k->cluster->name, "receive", &e);
	if (pid > 0)
		check_say(
		    k, CHECK_OK, "receiver", NULL, "running (process %d)", pid);
	else if (k->daemon_runs)
		check_say(k, CHECK_WARNING, "receiver",
		    "\"pgkura status\" and \"pgkura events\" say why.",
		    "not running: WAL is not received now");
}

int
check_run(const struct settings *s, const struct cluster_settings *c,
    struct check_result *result, struct err *e)
{
	struct check k = { .settings = s, .cluster = c, .result = result };

	(void)memset(result, 0, sizeof(*result));
	check_conf(&k);
	check_state(&k);
	check_repository(&k);
	check_runtime(&k);
	if (c->votes_for == NULL) { /* a witness stores nothing */
		check_connect(&k);
		check_programs(&k);
		check_receiver(&k);
		check_lineage(&k);
	}
	check_link(&k);
	check_fence(&k, true);
	repo_close(k.repo);
	return child_check_stop(e);
}
