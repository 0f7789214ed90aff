/*
 * accept: one cluster of a peer comes into the repository of this site.
 *
 * The peer may only add: to lineages of clusters that name it in accept_from,
 * objects of the kinds that repo/objects.h knows, within its quota.  Nothing
 * that is here is changed or removed for it.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/list.h"
#include "jobs/accept_int.h"
#include "jobs/receive_plan.h"
#include "jobs/rule.h"
#include "repo/walarchive.h"

/* Of the stream, between two words of what is taken of it. */
#define TAKEN_BYTES ((uint64_t)1 << 20)

/* ---- opening ---- */

struct accept *
accept_new(struct courier *c, uint64_t journal, const json_t *m, struct err *e)
{
	struct accept *a = mem_zalloc(sizeof(*a));
	json_t *no;

	a->courier = c;
	a->journal = journal;
	a->receive_lock = -1;
	if (accept_open(a, m, e) == 0) {
		a->keeper = keeper_new(&a->lineage, courier_peer(c)->name,
		    courier_room(c), courier_wake, c);
		if (accept_say_what_is_here(a, e) == 0)
			return a;
	}
	no = courier_message("state", journal);
	(void)json_object_set_new(no, "ok", json_false());
	json_set_str(no, "why", e->text);
	courier_send(c, no);
	accept_free(a);
	return NULL;
}

static void
end_wal(struct accept *a)
{
	accept_wal_free(steal_ptr(&a->wal));
	if (a->receive_lock != -1)
		(void)close(a->receive_lock);
	a->receive_lock = -1;
}

void
accept_free(struct accept *a)
{
	if (a == NULL)
		return;
	end_wal(a);
	keeper_free(a->keeper);
	trail_close(a->trail);
	free(a);
}

uint64_t
accept_journal(const struct accept *a)
{
	return a->journal;
}

const char *
accept_cluster(const struct accept *a)
{
	return a->cluster->name;
}

/* ---- WAL ---- */

static int
plan_wal(
    struct accept *a, const json_t *m, struct receive_plan *plan, struct err *e)
{
	AUTO_FREE struct wal_span *spans = NULL;
	struct timeline_history h = { 0 };
	struct receive_facts f = {
		.segment_bytes = a->lineage.facts.segment_bytes,
		.history = &h,
		.slot_lsn = LSN_NONE,
		.after_gap = json_is_true(json_object_get(m, "anew")),
	};
	int rc;

	if (json_need_u32(m, "timeline", &f.server_timeline, e) == -1 ||
	    json_need_u64(m, "end", &f.server_end_lsn, e) == -1 ||
	    json_need_u64(m, "from", &f.from_lsn, e) == -1)
		return -1;
	if (f.server_timeline == 0)
		return err_set(e, ERR_CORRUPT, "WAL of no timeline");
	if (wal_spans(&a->lineage, &spans, &f.span_count, e) == -1 ||
	    wal_read_history(&a->lineage, f.server_timeline, &h, NULL, e) == -1)
		return -1;
	f.spans = spans;
	rc = receive_plan_make(&f, plan, e);
	timeline_history_free(&h);
	a->source_lsn = f.server_end_lsn;
	return rc;
}

/* At the primary WAL comes from its server and from nowhere else: the peer would
 * keep the server's receiver out, and wait for the WAL that it brings. */
static bool
is_primary(const struct accept *a)
{
	return rule_wanted(a->cluster) &&
	    rule_may_receive(courier_settings(a->courier), a->cluster);
}

/* Both begin: the lock, a plan, and what is here of the open segment.  *later:
 * no fault: WAL comes from elsewhere already, most often from the server of this
 * site, or the history of the timeline is still on its way. */
static int
begin_wal(struct accept *a, const json_t *m, uint64_t *from_lsn, bool *later,
    struct err *e)
{
	struct receive_plan plan = { 0 };

	end_wal(a);
	if (allowance_check_wal(courier_room(a->courier), e) == -1) {
		*later = e->kind == ERR_TRANSIENT;
		return -1;
	}
	if (is_primary(a)) {
		*later = true;
		return err_set(e, ERR_TRANSIENT, "this site is the primary");
	}
	a->receive_lock = cluster_lock(courier_settings(a->courier)->state_dir,
	    a->cluster->name, "receive", e);
	*later = a->receive_lock == -1 && e->kind == ERR_TRANSIENT;
	if (a->receive_lock == -1)
		return -1;
	if (plan_wal(a, m, &plan, e) == -1) {
		*later = e->kind == ERR_NOT_FOUND;
		return -1;
	}
	a->wal = accept_wal_new(&a->lineage, a->cluster, plan.timeline,
	    plan.start_lsn, courier_wake, a->courier, from_lsn, e);
	if (a->wal == NULL)
		return -1;
	a->timeline = plan.timeline;
	return 0;
}

static void
on_wal(struct accept *a, const json_t *m)
{
	struct err e = ERR_INIT;
	struct wal_seam seam;
	uint64_t body, from;
	bool later = false;
	json_t *reply;

	if (json_need_u64(m, "body", &body, NULL) == -1)
		return;
	if (begin_wal(a, m, &from, &later, &e) == -1 ||
	    wal_seam(&a->lineage, a->timeline, from, &seam, &e) == -1) {
		end_wal(a);
		(void)snprintf(
		    a->why, sizeof(a->why), "%.479s", later ? "" : e.text);
		reply = courier_message("wal_no", a->journal);
		json_set_u64(reply, "body", body);
		json_set_str(reply, "why", e.text);
		if (later)
			(void)json_object_set_new(reply, "later", json_true());
		courier_send(a->courier, reply);
		return;
	}
	a->wal_body = body;
	a->why[0] = '\0';
	(void)memset(&a->told, 0, sizeof(a->told));
	reply = courier_message("wal_at", a->journal);
	json_set_u64(reply, "body", body);
	json_set_u64(reply, "timeline", a->timeline);
	json_set_u64(reply, "lsn", from);
	json_set_u64(reply, "seam_bytes", seam.bytes);
	json_set_u64(reply, "seam", seam.sum);
	courier_send(a->courier, reply);
}

static void
on_wal_end(struct accept *a, const json_t *m)
{
	uint64_t body, offset;

	if (json_need_u64(m, "body", &body, NULL) == 0 &&
	    json_need_u64(m, "offset", &offset, NULL) == 0 && a->wal != NULL &&
	    body == a->wal_body)
		accept_wal_end(a->wal, offset);
}

/*
 * The stamp was made after we had said "echo", and from then on the peer is
 * bound for safe_for_us by its clock, which runs at most 1 % faster.
 */
static void
note_proof(struct accept *a, const json_t *m)
{
	uint64_t echo, safe_us;

	a->proved_until_us = 0;
	if (json_need_u64(m, "echo", &echo, NULL) == -1 ||
	    json_need_u64(m, "safe_for_us", &safe_us, NULL) == -1 ||
	    echo == 0 || echo > INT64_MAX / 2 || safe_us == 0)
		return;
	if (safe_us > INT64_MAX / 4)
		safe_us = INT64_MAX / 4;
	a->proved_until_us = (int64_t)(echo + safe_us - safe_us / 100);
}

/*
 * For how long what was so at known.server_us has been so.  The clocks tell, unless
 * one was set: the source's alone gives its age as the stamp was made, which was
 * after we had said "echo".
 */
static int64_t
age_of_stamp(const struct accept *a, const json_t *m, int64_t boot_us)
{
	int64_t age_us =
	    clock_now_us() + courier_skew_us(a->courier) - a->known.server_us;
	int64_t least_us = a->stamp_us - a->known.server_us, way_us = 0;
	uint64_t echo;

	if (json_need_u64(m, "echo", &echo, NULL) == 0 && echo != 0 &&
	    echo <= (uint64_t)boot_us)
		way_us = boot_us - (int64_t)echo;
	if (least_us < 0)
		least_us = 0;
	return age_us < least_us	 ? least_us
	    : age_us - way_us > least_us ? least_us + way_us
					 : age_us;
}

static void
on_stamp(struct accept *a, const json_t *m)
{
	int64_t boot_us = clock_boot_us();
	uint64_t server_us, now_us, lsn, end;
	uint32_t timeline;

	if (json_need_u32(m, "timeline", &timeline, NULL) == -1 ||
	    json_need_u64(m, "lsn", &lsn, NULL) == -1 ||
	    json_need_u64(m, "server_us", &server_us, NULL) == -1 ||
	    json_need_u64(m, "now_us", &now_us, NULL) == -1 ||
	    json_need_u64(m, "end", &end, NULL) == -1 ||
	    server_us > INT64_MAX || now_us > INT64_MAX)
		return;
	note_proof(a, m);
	a->known = (struct wal_known){ timeline, lsn, (int64_t)server_us };
	a->stamp_us = (int64_t)now_us;
	a->known_boot_us = boot_us - age_of_stamp(a, m, boot_us);
	a->source_lsn = end;
}

static void
on_offer(struct accept *a, const json_t *m)
{
	const char *name;
	uint64_t body, bytes;
	uint8_t sha256[SHA256_BYTES];

	if (json_need_u64(m, "body", &body, NULL) == 0 &&
	    json_need_str(m, "name", &name, NULL) == 0 &&
	    json_need_u64(m, "bytes", &bytes, NULL) == 0 &&
	    json_need_hex(m, "sha256", sha256, sizeof(sha256), NULL) == 0)
		keeper_offer(a->keeper, body, name, bytes, sha256);
}

bool
accept_message(struct accept *a, const char *what, const json_t *m)
{
	if (strcmp(what, "offer") == 0)
		on_offer(a, m);
	else if (strcmp(what, "wal") == 0)
		on_wal(a, m);
	else if (strcmp(what, "wal_end") == 0)
		on_wal_end(a, m);
	else if (strcmp(what, "stamp") == 0)
		on_stamp(a, m);
	else
		return false;
	return true;
}

int
accept_chunk(struct accept *a, const struct link_chunk *c, struct err *e)
{
	allowance_wal(courier_room(a->courier),
	    a->wal != NULL && c->stream == a->wal_body ? c->len : 0);
	if (a->wal != NULL && c->stream == a->wal_body)
		return accept_wal_chunk(a->wal, c->offset, c->data, c->len, e);
	a->object_bytes += c->len;
	return keeper_chunk(
	    a->keeper, c->stream, c->offset, c->data, c->len, e);
}

/* ---- telling ---- */

static void
tell_kept(struct accept *a, const struct keeper_result *r)
{
	static const char *const words[] = { [KEPT_WANTED] = "wanted",
		[KEPT_PART] = "part",
		[KEPT_DONE] = "done",
		[KEPT_NOT_YET] = "not_yet",
		[KEPT_NO_ROOM] = "no_room",
		[KEPT_REFUSED] = "refused",
		[KEPT_DAMAGED] = "damaged" };
	json_t *m = courier_message("kept", a->journal);
	struct err e;

	json_set_u64(m, "body", r->body);
	json_set_str(m, "what", words[r->what]);
	json_set_u64(m, "offset", r->offset);
	if (r->err.kind != ERR_NONE)
		json_set_str(m, "why", r->err.text);
	if (r->what == KEPT_NO_ROOM)
		(void)snprintf(
		    a->no_room, sizeof(a->no_room), "%.479s", r->err.text);
	else if (r->what == KEPT_WANTED || r->what == KEPT_DONE)
		a->no_room[0] = '\0';
	courier_send(a->courier, m);
	if (r->what == KEPT_REFUSED || r->what == KEPT_DAMAGED) {
		e = r->err;
		courier_complain(
		    a->courier, "accept_refused", a->cluster->name, &e);
	}
}

/* All that the peer had at its last stamp is durable here: note until when. */
static void
note_known(struct accept *a, uint64_t durable_lsn)
{
	/* An earlier time is one by a clock that was set back. */
	if (a->known.server_us == a->noted.server_us ||
	    a->known.server_us == 0 || a->known.timeline != a->timeline ||
	    a->known.lsn == LSN_NONE || durable_lsn < a->known.lsn)
		return;
	if (wal_known_write(&a->lineage, &a->known, NULL) == 0) {
		a->noted = a->known;
		a->noted_boot_us = a->known_boot_us;
	}
}

static void
count_wal(struct accept *a, const struct accept_wal_state *now)
{
	uint64_t before = a->told.durable_lsn;

	if (now->consumed > a->told.consumed)
		a->stream_bytes += now->consumed - a->told.consumed;
	if (before != LSN_NONE && now->durable_lsn > before)
		a->plain_bytes += now->durable_lsn - before;
}

static void
tell_wal(struct accept *a)
{
	struct accept_wal_state st;
	struct err failed;
	json_t *m;

	accept_wal_state(a->wal, &st);
	note_known(a, st.durable_lsn);
	/* What is taken is durable a moment later: one word for both. */
	if (st.consumed - a->told.consumed >= TAKEN_BYTES ||
	    st.durable_lsn != a->told.durable_lsn ||
	    st.ended != a->told.ended) {
		m = courier_message("taken", a->journal);
		json_set_u64(m, "body", a->wal_body);
		json_set_u64(m, "consumed", st.consumed);
		json_set_u64(m, "durable", st.durable_lsn);
		if (st.ended)
			(void)json_object_set_new(m, "ended", json_true());
		courier_send(a->courier, m);
		count_wal(a, &st);
		a->told = st;
	}
	if (st.err.kind == ERR_NONE)
		(void)allowance_check_wal(courier_room(a->courier), &st.err);
	if (st.err.kind == ERR_NONE)
		return;
	failed = st.err;
	courier_complain(
	    a->courier, "accept_wal_failed", a->cluster->name, &failed);
	(void)snprintf(a->why, sizeof(a->why), "%.479s", failed.text);
	end_wal(a);
	m = courier_message("wal_no", a->journal);
	json_set_u64(m, "body", a->wal_body);
	json_set_str(m, "why", failed.text);
	courier_send(a->courier, m);
}

/* No more of it for now, which is no fault. */
static void
leave_wal(struct accept *a, const char *why)
{
	json_t *m = courier_message("wal_no", a->journal);

	end_wal(a);
	json_set_u64(m, "body", a->wal_body);
	json_set_str(m, "why", why);
	(void)json_object_set_new(m, "later", json_true());
	courier_send(a->courier, m);
}

void
accept_silence(struct accept *a)
{
	if (a->wal != NULL && list_count(a->cluster->accept_from) >= 2)
		leave_wal(a, "nothing was heard from you");
}

void
accept_tick(struct accept *a, int64_t now_us)
{
	struct keeper_result r;
	json_t *m;

	if (now_us - a->clock_us >= CLOCK_SECOND_US) {
		a->clock_us = now_us;
		m = courier_message("clock", a->journal);
		json_set_u64(m, "t", (uint64_t)now_us);
		courier_send(a->courier, m);
		if (a->wal != NULL && is_primary(a))
			leave_wal(a, "this site is the primary now");
	}
	while (keeper_result(a->keeper, &r))
		tell_kept(a, &r);
	if (a->wal != NULL)
		tell_wal(a);
	accept_note_course(a, now_us);
}
