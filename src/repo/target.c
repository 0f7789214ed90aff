/*
 * target: choose timeline, backup and record for what was asked.
 *
 * Timelines are tried newest first, on each the backups newest first.  A backup
 * answers "here", "before me" (try an older one) or "behind what I have".
 */

#include "repo/target.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "pg/lsn.h"
#include "repo/archive_view.h"

void
target_free(struct target *t)
{
	timeline_history_free(&t->history);
	(void)memset(t, 0, sizeof(*t));
}

const char *
target_request_text(
    const struct target_request *req, char out[TARGET_TEXT_BYTES])
{
	char text[CLOCK_TEXT_BYTES];

	switch (req->kind) {
	case TARGET_LATEST:
		return strcpy(out, "the end of the WAL");
	case TARGET_IMMEDIATE:
		return strcpy(out, "the end of the backup");
	case TARGET_TIME:
		(void)snprintf(out, TARGET_TEXT_BYTES, "time %s",
		    clock_local(req->time_us, text));
		break;
	case TARGET_LSN:
		(void)snprintf(out, TARGET_TEXT_BYTES, "position %s",
		    lsn_text(req->lsn, text));
		break;
	case TARGET_XID:
		(void)snprintf(
		    out, TARGET_TEXT_BYTES, "transaction %u", req->xid);
		break;
	case TARGET_NAME:
		(void)snprintf(out, TARGET_TEXT_BYTES,
		    "restore point \"%.80s\"", req->name);
		break;
	}
	return out;
}

/* Why a timeline had no answer, for the message. */
struct misses {
	unsigned int usable;   /* backups that could be used at all */
	unsigned int unusable; /* WAL up to their end is missing */
	bool behind_end;       /* it lies behind all WAL ... */
	bool in_gap;	       /* ... or behind WAL that stops at a gap */
	uint64_t end_lsn;      /* ... which ends here */
};

static void
fill_target(struct target *t, const struct view_backup *b, uint32_t timeline)
{
	(void)memcpy(t->backup_id, b->id, sizeof(t->backup_id));
	t->timeline = timeline;
	t->wal_from_lsn = b->start_lsn;
	t->wal_to_lsn = t->stop_lsn;
}

/* The end of the WAL is no place to stop at when more lies behind a hole. */
static bool
is_cut_off(const struct target_request *req, const struct find_range *range)
{
	return req->kind == TARGET_LATEST &&
	    walpath_goes_on(range->path, range->end_lsn);
}

/*
 * Ask the backups of one history, newest first.  Returns 1 when *t is filled,
 * 0 when none has it (*m says why), or -1.
 */
static int
ask_backups(struct archive_view *v, const struct walpath *path,
    uint32_t timeline, const struct target_request *req, struct target *t,
    struct misses *m, struct err *e)
{
	const struct view_backup *b;
	struct find_range range;
	enum find_verdict verdict;
	size_t i;

	for (i = v->backup_count; i-- > 0;) {
		if (req->backup_id != NULL &&
		    strcmp(v->backups[i].id, req->backup_id) != 0)
			continue;
		if (archive_view_backup(v, i, &b, e) == -1)
			return -1;
		if (!archive_view_range(v, b, path, &range)) {
			m->unusable++;
			continue;
		}
		if (is_cut_off(req, &range))
			verdict = FIND_AFTER;
		else if (find_target(&range, req, t, &verdict, e) == -1)
			return err_ctx(e, "backup \"%s\"", b->id);
		if (verdict == FIND_HERE) {
			fill_target(t, b, timeline);
			return 1;
		}
		if (verdict == FIND_AFTER) {
			m->in_gap = m->usable > 0 ||
			    walpath_goes_on(path, range.end_lsn);
			m->behind_end = true;
			m->end_lsn = range.end_lsn;
		}
		m->usable++;
		if (verdict == FIND_AFTER)
			return 0; /* an older backup reaches no further */
	}
	return 0;
}

/* What can be asked for instead, as the hint. */
static void
hint_windows(const struct lineage *l, struct err *e)
{
	struct window *windows = NULL;
	size_t count;
	char text[sizeof(e->hint) - 64];

	if (windows_list(l, &windows, &count, NULL) == -1)
		return;
	windows_describe(windows, count, text, sizeof(text));
	free(windows);
	if (text[0] != '\0')
		(void)err_hint(e, "The cluster can be restored to %s.", text);
}

static int
refuse(const struct lineage *l, const struct target_request *req,
    const struct misses *m, struct err *e)
{
	char what[TARGET_TEXT_BYTES], lsn[LSN_TEXT_BYTES];

	(void)target_request_text(req, what);
	(void)lsn_text(m->end_lsn, lsn);
	if (m->usable == 0 && m->unusable == 0)
		(void)err_set(e, ERR_REFUSED,
		    "cluster \"%s\" has no backup on that timeline",
		    l->cluster);
	else if (m->usable == 0)
		(void)err_set(e, ERR_REFUSED,
		    "WAL that makes the backup consistent is missing");
	else if (m->in_gap)
		(void)err_set(e, ERR_REFUSED,
		    "%s cannot be reached: WAL is missing from %s on", what,
		    lsn);
	else if (m->behind_end)
		(void)err_set(e, ERR_REFUSED,
		    "%s is after the last WAL, which ends at %s", what, lsn);
	else if (req->kind == TARGET_XID || req->kind == TARGET_NAME)
		(void)err_set(e, ERR_REFUSED,
		    "%s is not in the WAL behind any backup", what);
	else if (req->backup_id != NULL)
		(void)err_set(e, ERR_REFUSED,
		    "%s is before the end of backup \"%s\"", what,
		    req->backup_id);
	else
		(void)err_set(e, ERR_REFUSED,
		    "%s is before the end of the oldest backup", what);
	hint_windows(l, e);
	return -1;
}

/* May a request that the newest timeline does not have mean an older one?  A
 * time is on every timeline, so it means the newest. */
static bool
may_be_older(const struct target_request *req)
{
	return req->kind == TARGET_LSN || req->kind == TARGET_XID ||
	    req->kind == TARGET_NAME ||
	    (req->kind == TARGET_IMMEDIATE && req->backup_id != NULL);
}

static int
ask_timeline(struct archive_view *v, uint32_t timeline,
    const struct target_request *req, struct target *t, struct misses *m,
    struct err *e)
{
	struct walpath path;
	int rc;

	if (archive_view_path(v, timeline, &t->history, &path, e) == -1) {
		if (e->kind != ERR_NOT_FOUND)
			return -1;
		return err_set(e, ERR_REFUSED,
		    "history of timeline %u is not in the archive", timeline);
	}
	rc = ask_backups(v, &path, timeline, req, t, m, e);
	if (rc != 1)
		timeline_history_free(&t->history);
	return rc;
}

static int
check_backup_id(const struct archive_view *v, const struct target_request *req,
    struct err *e)
{
	size_t i;

	if (v->backup_count == 0) {
		(void)err_set(e, ERR_REFUSED, "cluster \"%s\" has no backup",
		    v->lineage->cluster);
		return err_hint(e, "Take one with \"pgkura backup %s\".",
		    v->lineage->cluster);
	}
	for (i = 0; req->backup_id != NULL && i < v->backup_count; i++)
		if (strcmp(v->backups[i].id, req->backup_id) == 0)
			return 0;
	if (req->backup_id == NULL)
		return 0;
	(void)err_set(e, ERR_NOT_FOUND,
	    "there is no backup \"%s\" of cluster \"%s\"", req->backup_id,
	    v->lineage->cluster);
	return err_hint(e, "See those there are with \"pgkura list %s\".",
	    v->lineage->cluster);
}

int
target_resolve(const struct lineage *l, const struct target_request *req,
    struct target *t, struct err *e)
{
	AUTO_ARCHIVE_VIEW struct archive_view v = { 0 };
	struct misses first = { 0 }, m;
	size_t i;
	int rc;

	(void)memset(t, 0, sizeof(*t));
	if (archive_view_open(&v, l, e) == -1 ||
	    check_backup_id(&v, req, e) == -1)
		return -1;
	if (req->timeline != 0) {
		rc = ask_timeline(&v, req->timeline, req, t, &first, e);
		return rc == 0 ? refuse(l, req, &first, e) : rc == 1 ? 0 : -1;
	}
	for (i = 0; i < v.timeline_count; i++) {
		(void)memset(&m, 0, sizeof(m));
		rc = ask_timeline(&v, v.timelines[i], req, t, &m, e);
		if (rc != 0)
			return rc == 1 ? 0 : -1;
		if (i == 0)
			first = m;
		/* A backup newer than its timeline's WAL in the archive, or no
		 * backup of that history: an older timeline has one. */
		if (!may_be_older(req) && m.usable > 0)
			break;
	}
	return refuse(l, req, &first, e);
}
