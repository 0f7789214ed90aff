/*
 * receive_start: one connection up to the point where the stream can begin.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "jobs/receive_int.h"

/* ---- the server ---- */

static int
read_facts(struct receiver *r, struct cluster_facts *f, struct err *e)
{
	AUTO_BUF struct buf sums = BUF_INIT;
	uint64_t segment, block;

	if (session_identify(r->session, &r->identity, e) == -1 ||
	    session_show_bytes(
		r->session, "wal_segment_size", 1, &segment, e) == -1 ||
	    session_show_bytes(r->session, "block_size", 1, &block, e) == -1 ||
	    session_show(r->session, "data_checksums", &sums, e) == -1)
		return -1;
	if (!wal_segment_bytes_valid(segment))
		return err_set(e, ERR_CORRUPT,
		    "the server says that its WAL segments have %" PRIu64
		    " bytes",
		    segment);
	*f = (struct cluster_facts){
		.system_id = r->identity.system_id,
		.major = session_major(r->session),
		.version_num = session_version_num(r->session),
		.segment_bytes = (uint32_t)segment,
		.block_bytes = (uint32_t)block,
		.checksums = strcmp(buf_str(&sums), "on") == 0,
	};
	return 0;
}

/* ---- the slot ---- */

/* A slot that nobody reads from keeps all WAL: the server's disk fills up. */
static int
check_slot_bound(struct receiver *r, struct err *e)
{
	AUTO_BUF struct buf value = BUF_INIT;

	if (r->cluster->slot_unbounded)
		return 0;
	if (session_show(r->session, "max_slot_wal_keep_size", &value, e) == -1)
		return -1;
	if (strcmp(buf_str(&value), "-1") != 0)
		return 0;
	(void)err_set(e, ERR_USAGE,
	    "the server's max_slot_wal_keep_size is -1: while pgkura is away, "
	    "its slot would fill the server's disk");
	return err_hint(e,
	    "Run on the server: ALTER SYSTEM SET max_slot_wal_keep_size = "
	    "'64GB'; SELECT pg_reload_conf();  Choose what fits its disk.  Or "
	    "accept it with \"slot_unbounded = yes\" for cluster \"%s\".",
	    r->cluster->name);
}

static int
create_slot(struct receiver *r, struct err *e)
{
	uint32_t newest;

	if (session_create_slot(r->session, r->slot, false, e) == -1)
		return -1;
	/* At first it is no surprise. */
	if (wal_newest_timeline(&r->lineage, &newest, e) == -1)
		return -1;
	log_event(newest == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
	    "slot_created",
	    "the replication slot was not there and has been created",
	    "cluster", r->cluster->name, "slot", r->slot, NULL);
	return 0;
}

static int
no_slot_there(const struct receiver *r, struct err *e)
{
	(void)err_set(e, ERR_USAGE,
	    "replication slot \"%s\" does not exist on the server", r->slot);
	return err_hint(e,
	    "Run on the server: SELECT "
	    "pg_create_physical_replication_slot('%s', true);  Or set "
	    "\"create_slot = yes\" for cluster \"%s\".",
	    r->slot, r->cluster->name);
}

/* Servers before 15 tell a slot's position by SQL only; LSN_NONE when they do
 * not let us. */
static uint64_t
slot_lsn_by_sql(const struct receiver *r)
{
	struct err e = ERR_INIT;
	AUTO_SESSION struct session *s = session_open(r->cluster->conninfo,
	    SESSION_SQL, r->cluster->application_name, &e);
	AUTO_BUF struct buf text = BUF_INIT;
	char sql[160];
	uint64_t lsn;
	bool found;

	(void)snprintf(sql, sizeof(sql),
	    "SELECT restart_lsn FROM pg_catalog.pg_replication_slots "
	    "WHERE slot_name = '%s'",
	    r->slot);
	if (s == NULL || session_query_value(s, sql, &text, &found, &e) == -1 ||
	    !found || lsn_parse(buf_str(&text), &lsn, NULL) == -1)
		return LSN_NONE;
	return lsn;
}

/* What follows ours is gone, so the slot did not hold it: begin a new one. */
static int
renew_slot(struct receiver *r, struct err *e)
{
	if (!r->cluster->create_slot)
		return 0;
	if (session_drop_slot(r->session, r->slot, e) == -1 &&
	    e->kind != ERR_NOT_FOUND)
		return -1;
	return create_slot(r, e);
}

/* A slot of the connection alone; without one, the WAL may go. */
static void
prepare_temporary_slot(struct receiver *r)
{
	struct err e = ERR_INIT;

	(void)snprintf(
	    r->slot, sizeof(r->slot), "pgkura_receive_%ld", (long)getpid());
	if (session_create_slot(r->session, r->slot, true, &e) == 0)
		return;
	log_error("temporary_slot_unavailable", &e);
	r->slot[0] = '\0';
}

/* Make sure that the slot is there; *lsn is where it stands, if it says so. */
static int
prepare_slot(struct receiver *r, uint64_t *lsn, struct err *e)
{
	struct session_slot slot;
	bool created = false;

	*lsn = LSN_NONE;
	r->slot[0] = '\0';
	if (r->options->no_slot) {
		prepare_temporary_slot(r);
		return 0;
	}
	if (r->cluster->slot == NULL || r->cluster->slot[0] == '\0')
		return 0;
	(void)snprintf(r->slot, sizeof(r->slot), "%s", r->cluster->slot);
	if (check_slot_bound(r, e) == -1 ||
	    (r->after_gap && renew_slot(r, e) == -1) ||
	    session_read_slot(r->session, r->slot, &slot, e) == -1)
		return -1;
	if (slot.known && !slot.exists && !r->cluster->create_slot)
		return no_slot_there(r, e);
	if (!slot.exists && r->cluster->create_slot) {
		if (create_slot(r, e) == 0)
			created = true;
		else if (slot.known || e->kind != ERR_CONFLICT)
			return -1;
	}
	err_clear(e);
	if (created && slot.known &&
	    session_read_slot(r->session, r->slot, &slot, e) == -1)
		return -1;
	*lsn = slot.known ? slot.restart_lsn : slot_lsn_by_sql(r);
	return 0;
}

/* ---- histories ---- */

static int
fetch_history(
    struct receiver *r, uint32_t timeline, struct buf *text, struct err *e)
{
	if (session_timeline_history(r->session, timeline, text, e) == -1)
		return -1;
	return wal_store_history(
	    &r->lineage, timeline, text->data, text->len, e);
}

/* Recovery looks for the histories in between too. */
static int
fetch_ancestors(
    struct receiver *r, const struct timeline_history *h, struct err *e)
{
	struct timeline_history there = { 0 };
	uint32_t timeline;
	size_t i;

	for (i = 0; i + 1 < h->count; i++) {
		AUTO_BUF struct buf text = BUF_INIT;

		timeline = h->entries[i].timeline;
		if (wal_read_history(&r->lineage, timeline, &there, NULL, e) ==
		    0) {
			timeline_history_free(&there);
			continue;
		}
		if (e->kind != ERR_NOT_FOUND)
			return -1;
		/* An old one may be gone from the server. */
		if (fetch_history(r, timeline, &text, e) == -1 &&
		    e->kind != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
	}
	return 0;
}

int
receive_histories(struct receiver *r, uint32_t timeline,
    struct timeline_history *h, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;

	if (timeline != 1 && fetch_history(r, timeline, &text, e) == -1)
		return -1;
	timeline_history_free(h);
	if (timeline_history_parse(h, timeline, text.data, text.len, e) == -1)
		return -1;
	return fetch_ancestors(r, h, e);
}

/* ---- the plan ---- */

static void
tell_diverged(const struct receiver *r)
{
	const struct receive_plan *p = &r->plan;
	char from[LSN_TEXT_BYTES], to[LSN_TEXT_BYTES], timeline[16];

	if (p->diverged_timeline == 0)
		return;
	(void)snprintf(
	    timeline, sizeof(timeline), "%" PRIu32, p->diverged_timeline);
	log_event(LOG_LEVEL_ERROR, "wal_diverged",
	    "WAL that was received is not part of the server's history; it is "
	    "kept, and the server's own is received from here on",
	    "cluster", r->cluster->name, "timeline", timeline, "from",
	    p->diverged_lsn == LSN_NONE ? NULL
					: lsn_text(p->diverged_lsn, from),
	    "to", lsn_text(p->diverged_end_lsn, to), NULL);
}

static void
tell_gap(struct receiver *r)
{
	const struct receive_plan *p = &r->plan;
	char from[LSN_TEXT_BYTES], to[LSN_TEXT_BYTES], timeline[16];

	if (!r->after_gap || r->gap_told || p->end_lsn == LSN_NONE ||
	    p->start_lsn <= p->end_lsn)
		return;
	r->gap_told = true;
	(void)snprintf(timeline, sizeof(timeline), "%" PRIu32, p->timeline);
	log_event(LOG_LEVEL_ERROR, "wal_gap",
	    "the server no longer has WAL that was not received; only a new "
	    "backup opens a new recoverable window",
	    "cluster", r->cluster->name, "lineage", r->lineage.name, "timeline",
	    timeline, "from", lsn_text(p->end_lsn, from), "to",
	    lsn_text(p->start_lsn, to), NULL);
}

static int
make_plan(struct receiver *r, uint64_t slot_lsn, struct err *e)
{
	AUTO_FREE struct wal_span *spans = NULL;
	struct session_identity now;
	struct receive_facts f = {
		.segment_bytes = r->lineage.facts.segment_bytes,
		.server_timeline = r->identity.timeline,
		.history = &r->history,
		.slot_lsn = slot_lsn,
		.from_lsn = r->options->from_lsn,
		.after_gap = r->after_gap,
	};

	/* The server's end after ours: archive_command may bring WAL now. */
	if (wal_spans(&r->lineage, &spans, &f.span_count, e) == -1 ||
	    session_identify(r->session, &now, e) == -1)
		return -1;
	if (now.timeline != r->identity.timeline)
		return err_set(e, ERR_TRANSIENT,
		    "the server is being promoted to timeline %u",
		    now.timeline);
	f.server_end_lsn = now.flush_lsn;
	f.spans = spans;
	if (receive_plan_make(&f, &r->plan, e) == -1)
		return -1;
	tell_diverged(r);
	tell_gap(r);
	return receive_retire_others(&r->lineage, r->plan.timeline, e);
}

int
receive_start(struct receiver *r, struct err *e)
{
	struct cluster_facts facts;
	uint64_t slot_lsn;

	r->session = session_open(r->cluster->conninfo, SESSION_REPLICATION,
	    r->cluster->application_name, e);
	if (r->session == NULL)
		return -1;
	if (read_facts(r, &facts, e) == -1 ||
	    lineage_open_for(
		r->repo, r->cluster->name, &facts, &r->lineage, e) == -1 ||
	    receive_recover(&r->lineage, r->cluster->compress_level, e) == -1 ||
	    receive_histories(r, r->identity.timeline, &r->history, e) == -1 ||
	    prepare_slot(r, &slot_lsn, e) == -1)
		return -1;
	return make_plan(r, slot_lsn, e);
}

void
receive_disconnect(struct receiver *r)
{
	session_close(steal_ptr(&r->session));
	timeline_history_free(&r->history);
}
