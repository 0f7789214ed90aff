#include "jobs/rejoin.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/log.h"
#include "jobs/follow.h"
#include "jobs/promote.h"
#include "pg/control.h"
#include "pg/server.h"

struct rejoin {
	const struct settings *settings;
	const struct cluster_settings *cluster;
	const struct rejoin_options *options;
	struct rejoin_result *result;
	struct repo *repo;
	struct lineage lineage;
	struct control control;
	struct timeline_history history; /* of the newest timeline */
	struct timeline_history own;	 /* of the directory's */
	bool begun; /* by an attempt before this one, which was interrupted */
};

/* ---- what is there ---- */

/* The rewind begins when all that may be salvaged is, and takes pg_control away
 * first: then there is nothing to compare any more. */
static int
look_whether_begun(struct rejoin *j, struct err *e)
{
	struct follow_view v;

	if (follow_look_state(j->settings, j->cluster, &v, e) == -1)
		return -1;
	j->begun = v.state == FOLLOW_UNFINISHED;
	return 0;
}

static int
look(struct rejoin *j, struct err *e)
{
	const char *pgdata = j->cluster->standby_dir;
	int running = server_is_running(pgdata, NULL, e);

	if (running == -1)
		return -1;
	if (running == 1) {
		(void)err_set(
		    e, ERR_REFUSED, "a server is running on \"%s\"", pgdata);
		return err_hint(e, "Stop it first.");
	}
	if (!j->begun && control_read(&j->control, pgdata, e) == -1)
		return -1;
	j->repo = repo_open(
	    j->settings->repository, j->settings->state_dir, false, e);
	if (j->repo == NULL ||
	    lineage_open(j->repo, j->cluster->name, NULL, &j->lineage, e) == -1)
		return -1;
	/* Of one without pg_control the restore sees to that. */
	if (j->begun || j->control.system_id == j->lineage.facts.system_id)
		return 0;
	return err_set(e, ERR_CONFLICT,
	    "\"%s\" belongs to another cluster: system identifier %" PRIu64
	    ", not %" PRIu64,
	    pgdata, j->control.system_id, j->lineage.facts.system_id);
}

/* ---- salvage ---- */

static int
salvage(struct rejoin *j, struct err *e)
{
	struct restore_options o = { .directory = j->cluster->standby_dir,
		.delta = true,
		.salvage_only = true };
	struct restore_result r;

	if (restore_run(j->settings, j->cluster, &o, &r, e) == -1)
		return -1;
	(void)memcpy(
	    j->result->salvaged, r.salvaged, sizeof(j->result->salvaged));
	restore_result_free(&r);
	return 0;
}

/* ---- compare ---- */

/*
 * The timeline that the directory's server wrote last.  pg_control has that of the
 * last checkpoint, which a server that was promoted makes only some time later.
 */
static int
newest_of_directory(struct rejoin *j, uint32_t *newest, struct err *e)
{
	AUTO_FREE char *path = file_join(j->cluster->standby_dir, "pg_wal");
	AUTO_FD int fd = file_open_dir(path, e);
	char **names = NULL;
	uint32_t timeline;
	size_t count, i;
	uint64_t lsn;

	*newest = j->control.timeline;
	if (fd == -1 || file_list_at(fd, ".", &names, &count, e) == -1)
		return -1;
	for (i = 0; i < count; i++)
		if (wal_name_parse(names[i], j->lineage.facts.segment_bytes,
			&timeline, &lsn) &&
		    timeline > *newest)
			*newest = timeline;
	file_names_free(names);
	return 0;
}

/* Of a timeline of which nothing was received, nor salvaged yet, nothing can be
 * counted: then that of pg_control, and if need be none. */
static int
find_own(struct rejoin *j, struct err *e)
{
	uint32_t candidates[] = { 0, j->control.timeline };
	struct err local = ERR_INIT;
	size_t i;

	if (newest_of_directory(j, &candidates[0], e) == -1)
		return -1;
	for (i = 0; i < COUNT_OF(candidates); i++) {
		j->result->old_timeline = candidates[i];
		if (wal_read_history(
			&j->lineage, candidates[i], &j->own, NULL, &local) == 0)
			return 0;
		if (local.kind != ERR_NOT_FOUND) {
			*e = local;
			return -1;
		}
		err_clear(&local);
	}
	return 0;
}

/* Where the directory's history leaves the new one; LSN_NONE: nowhere. */
static void
find_fork(struct rejoin *j)
{
	const struct timeline_entry *own = j->own.entries,
				    *new = j->history.entries;
	uint64_t end;
	size_t i;

	j->result->fork_lsn = LSN_NONE;
	for (i = 0; i < j->own.count && i < j->history.count; i++) {
		if (own[i].timeline != new[i].timeline)
			return;
		end = own[i].end_lsn < new[i].end_lsn ? own[i].end_lsn
						      : new[i].end_lsn;
		j->result->fork_lsn = end;
		if (own[i].end_lsn != new[i].end_lsn)
			return;
	}
}

static int
find_old_end(struct rejoin *j, struct err *e)
{
	AUTO_FREE struct wal_span *spans = NULL;
	size_t count, i;

	if (wal_spans(&j->lineage, &spans, &count, e) == -1)
		return -1;
	for (i = 0; i < count; i++)
		if (spans[i].timeline == j->result->old_timeline)
			j->result->old_end_lsn = spans[i].end_lsn;
	return 0;
}

static int
count_commit(void *arg, const struct wal_event *ev, struct err *e)
{
	struct rejoin_result *r = arg;

	(void)e;
	r->diverged_commits +=
	    ev->kind == WAL_EVENT_COMMIT || ev->kind == WAL_EVENT_DROP ? 1 : 0;
	r->diverged_bytes = ev->end_lsn - r->fork_lsn;
	return 0;
}

/* What the old primary wrote behind the fork. */
static int
count_diverged(struct rejoin *j, struct err *e)
{
	struct rejoin_result *r = j->result;

	if (r->fork_lsn == LSN_NONE || r->old_end_lsn <= r->fork_lsn)
		return 0;
	return wal_scan(
	    &j->lineage, &j->own, r->fork_lsn, UINT64_MAX, count_commit, r, e);
}

static int
compare(struct rejoin *j, struct err *e)
{
	struct rejoin_result *r = j->result;

	if (j->begun)
		return wal_newest_timeline(&j->lineage, &r->timeline, e);
	if (find_own(j, e) == -1 ||
	    wal_newest_timeline(&j->lineage, &r->timeline, e) == -1 ||
	    wal_read_history(&j->lineage, r->timeline, &j->history, NULL, e) ==
		-1)
		return -1;
	find_fork(j);
	return find_old_end(j, e) == -1 ? -1 : count_diverged(j, e);
}

static void
tell_diverged(const struct rejoin *j)
{
	const struct rejoin_result *r = j->result;
	char fork[LSN_TEXT_BYTES], bytes[24], commits[24], timeline[16];

	if (r->diverged_bytes == 0)
		return;
	(void)snprintf(bytes, sizeof(bytes), "%" PRIu64, r->diverged_bytes);
	(void)snprintf(
	    commits, sizeof(commits), "%" PRIu64, r->diverged_commits);
	(void)snprintf(timeline, sizeof(timeline), "%u", r->old_timeline);
	log_event(LOG_LEVEL_WARNING, "rejoin_diverged",
	    "the old primary wrote WAL that is not part of the new history; it "
	    "is kept under its own timeline",
	    "cluster", j->cluster->name, "timeline", timeline, "from",
	    lsn_text(r->fork_lsn, fork), "bytes", bytes, "transactions",
	    commits, NULL);
}

/* ---- the way back ---- */

/* Was it shut down at a point that the new history goes through?  Then it
 * recovers along that from where it stands. */
static bool
can_convert(const struct rejoin *j)
{
	uint64_t end;

	if (j->control.state != CONTROL_SHUTDOWNED ||
	    j->result->old_timeline != j->control.timeline ||
	    j->result->fork_lsn == LSN_NONE)
		return false;
	if (follow_next_record(&j->lineage, j->control.timeline,
		j->control.checkpoint_lsn, &end, NULL) == -1 ||
	    end == LSN_NONE)
		return false;
	return end <= j->result->fork_lsn;
}

static int
go_back(struct rejoin *j, struct err *e)
{
	struct follow_build how = { .delta = true, .no_salvage = true };
	struct restore_result r;

	how.convert = !j->begun && can_convert(j) &&
	    !(j->options != NULL && j->options->rewind);
	if (follow_build(j->settings, j->cluster, &how, &r, e) == -1)
		return -1;
	j->result->rewound = !how.convert;
	j->result->kept_blocks = r.kept_blocks;
	j->result->written_blocks = r.written_blocks;
	restore_result_free(&r);
	return 0;
}

static void
tell_done(const struct rejoin *j)
{
	char kept[24], written[24];

	(void)snprintf(kept, sizeof(kept), "%" PRIu64, j->result->kept_blocks);
	(void)snprintf(
	    written, sizeof(written), "%" PRIu64, j->result->written_blocks);
	log_event(LOG_LEVEL_INFO, "rejoined",
	    "the old primary is a standby of the new history", "cluster",
	    j->cluster->name, "directory", j->cluster->standby_dir,
	    "kept_blocks", kept, "written_blocks", written, NULL);
}

static void
rejoin_fini(struct rejoin *j)
{
	timeline_history_free(&j->history);
	timeline_history_free(&j->own);
	repo_close(j->repo);
}

int
rejoin_run(const struct settings *s, const struct cluster_settings *c,
    const struct rejoin_options *options, struct rejoin_result *result,
    struct err *e)
{
	AUTO(rejoin_fini)
	struct rejoin j = { .settings = s,
		.cluster = c,
		.options = options,
		.result = result };
	bool plan_only = options != NULL && options->plan_only;
	AUTO_FD int lock = -1;

	(void)memset(result, 0, sizeof(*result));
	if (follow_need(c, e) == -1)
		return -1;
	if (!plan_only) {
		lock = cluster_lock(s->state_dir, c->name, "promote", e);
		if (lock == -1)
			return -1;
	}
	if (look_whether_begun(&j, e) == -1 || look(&j, e) == -1 ||
	    (!plan_only && !j.begun && salvage(&j, e) == -1) ||
	    compare(&j, e) == -1)
		return -1;
	result->completed = j.begun;
	if (plan_only)
		return 0;
	tell_diverged(&j);
	if (go_back(&j, e) == -1)
		return -1;
	tell_done(&j);
	promote_tell_daemon(s);
	return 0;
}
