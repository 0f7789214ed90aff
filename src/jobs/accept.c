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
#include "jobs/accept_wal.h"
#include "jobs/courier_int.h"
#include "jobs/keeper.h"
#include "jobs/pace.h"
#include "jobs/receive_plan.h"
#include "jobs/trail.h"
#include "repo/manifest.h"
#include "repo/objects.h"
#include "repo/walarchive.h"
#include "repo/walknown.h"

#define HAVE_NAMES_MAX 4000 /* in one message */
#define FACTS_MAX      ((size_t)1 << 16)

struct accept {
	struct courier *courier;
	uint64_t journal;
	const struct cluster_settings *cluster;
	struct lineage lineage;
	struct keeper *keeper;
	struct accept_wal *wal;
	uint64_t wal_body;
	uint32_t timeline;
	int receive_lock; /* while WAL comes, no receiver may write here */
	struct accept_wal_state told;
	struct wal_known known; /* the peer's last stamp */
	struct wal_known noted; /* the last that we have all WAL of */
	int64_t stamp_us;	/* the peer's clock in the last stamp */
	/* Until when, by clock_boot_us(), the peer has acknowledged nothing
	 * that is not here. */
	int64_t proved_until_us;
	int64_t clock_us;    /* when we said our clock last */
	uint64_t source_lsn; /* the end of the peer's WAL */
	char newest[BACKUP_ID_BYTES];
	uint64_t object_bytes;
	uint64_t plain_bytes, stream_bytes; /* of WAL: durable; as it came */
	struct pace wal_pace, source_pace, object_pace;
	struct trail *trail;  /* NULL: not yet, or it cannot be written */
	uint64_t trail_bytes; /* durable here, at its last note */
	int64_t course_us;
	char why[480];	   /* no WAL comes, since */
	char no_room[480]; /* for objects, since */
};

/* ---- opening ---- */

static const struct cluster_settings *
find_cluster(const struct courier *c, const char *name, struct err *e)
{
	const struct settings *s = courier_settings(c);
	const char *peer = courier_peer(c)->name;
	size_t i;

	for (i = 0; i < s->cluster_count; i++)
		if (strcmp(s->clusters[i].name, name) == 0 &&
		    list_has(s->clusters[i].accept_from, peer))
			return &s->clusters[i];
	(void)err_set(e, ERR_REFUSED,
	    "site \"%s\" does not accept cluster \"%.64s\" from \"%s\"",
	    s->site, name, peer);
	(void)err_hint(e,
	    "Set accept_from = %s in [cluster %.64s] of its configuration.",
	    peer, name);
	return NULL;
}

static int
add_keys(struct accept *a, const json_t *m, struct err *e)
{
	const json_t *keys, *key;
	uint8_t public_key[SIGN_PUBLIC_BYTES];
	size_t i;

	if (json_need_array(m, "keys", &keys, e) == -1)
		return -1;
	if (json_array_size(keys) > LINEAGE_KEYS_MAX)
		return err_set(e, ERR_CORRUPT, "too many keys");
	json_array_foreach(keys, i, key)
	{
		if (!json_is_string(key) ||
		    hex_decode(json_string_value(key), public_key,
			sizeof(public_key)) == -1)
			return err_set(e, ERR_CORRUPT, "a malformed key");
		if (lineage_add_key(&a->lineage, public_key,
			courier_peer(a->courier)->name, e) == 0)
			continue;
		if (e->kind != ERR_REFUSED)
			return -1;
		/* What it signs is refused; the rest may come. */
		courier_complain(
		    a->courier, "accept_refused", a->cluster->name, e);
	}
	return 0;
}

/*
 * Two sites that mean different clusters by one name: a server of this site has
 * its lineage here, and what is offered is another system's.  Both would lie under
 * one name, and the newest of them would be restored.
 */
static int
check_same_cluster(const struct accept *a, const char *name, struct err *e)
{
	struct lineage own;
	unsigned long long id = strtoull(name, NULL, 10);

	if (a->cluster->conninfo == NULL)
		return 0;
	if (lineage_open(courier_repo(a->courier), a->cluster->name, NULL, &own,
		e) == -1) {
		if (e->kind != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	if (own.facts.system_id == id)
		return 0;
	(void)err_set(e, ERR_REFUSED,
	    "cluster \"%s\" of site \"%s\" is not the one here: its system "
	    "identifier is %llu, here it is %llu",
	    a->cluster->name, courier_peer(a->courier)->name, id,
	    (unsigned long long)own.facts.system_id);
	return err_hint(e,
	    "Give one of them another name, at all its sites; or, when the server "
	    "here is no more, remove its conninfo.");
}

static int
open_lineage(struct accept *a, const json_t *m, struct err *e)
{
	AUTO_BUF struct buf facts = BUF_INIT;
	const char *cluster, *name, *text;

	if (json_need_str(m, "cluster", &cluster, e) == -1 ||
	    json_need_str(m, "lineage", &name, e) == -1 ||
	    json_need_str(m, "facts", &text, e) == -1)
		return -1;
	a->cluster = find_cluster(a->courier, cluster, e);
	if (a->cluster == NULL || check_same_cluster(a, name, e) == -1)
		return -1;
	if (strlen(text) > FACTS_MAX)
		return err_set(e, ERR_CORRUPT, "a record that is too long");
	buf_put(&facts, text, strlen(text));
	return lineage_adopt(
	    courier_repo(a->courier), cluster, name, &facts, &a->lineage, e);
}

/* ---- what is here ---- */

struct names {
	struct accept *a;
	json_t *list;
};

static void
send_names(struct names *n, bool last)
{
	json_t *m = courier_message("have", n->a->journal);

	(void)json_object_set_new(m, "names", n->list);
	(void)json_object_set_new(m, "last", json_boolean(last));
	courier_send(n->a->courier, m);
	n->list = json_array();
}

static int
add_name(void *arg, const char *name, struct err *e)
{
	struct names *n = arg;

	(void)e;
	(void)json_array_append_new(n->list, json_string(name));
	if (strncmp(name, "backups/", 8) == 0 &&
	    strcmp(name + 8, n->a->newest) > 0)
		(void)snprintf(
		    n->a->newest, sizeof(n->a->newest), "%.21s", name + 8);
	if (json_array_size(n->list) >= HAVE_NAMES_MAX)
		send_names(n, false);
	return 0;
}

static int
say_what_is_here(struct accept *a, struct err *e)
{
	static const enum object_kind kinds[] = { OBJECT_FACTS, OBJECT_HISTORY,
		OBJECT_PARTIAL, OBJECT_PACK, OBJECT_BACKUP, OBJECT_MARK };
	struct names n = { a, json_array() };
	json_t *m;
	size_t i;

	for (i = 0; i < COUNT_OF(kinds); i++)
		if (objects_each(&a->lineage, kinds[i], add_name, &n, e) ==
		    -1) {
			json_decref(n.list);
			return -1;
		}
	send_names(&n, true);
	json_decref(n.list);
	m = courier_message("state", a->journal);
	(void)json_object_set_new(m, "ok", json_true());
	json_set_str(m, "newest", a->newest);
	courier_send(a->courier, m);
	return 0;
}

struct accept *
accept_new(struct courier *c, uint64_t journal, const json_t *m, struct err *e)
{
	struct accept *a = mem_zalloc(sizeof(*a));
	json_t *no;

	a->courier = c;
	a->journal = journal;
	a->receive_lock = -1;
	if (open_lineage(a, m, e) == 0 && add_keys(a, m, e) == 0) {
		a->keeper = keeper_new(&a->lineage, courier_peer(c)->name,
		    courier_room(c), courier_wake, c);
		if (say_what_is_here(a, e) == 0)
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
	uint64_t body, from;
	bool later = false;
	json_t *reply;

	if (json_need_u64(m, "body", &body, NULL) == -1)
		return;
	if (begin_wal(a, m, &from, &later, &e) == -1) {
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

static void
on_stamp(struct accept *a, const json_t *m)
{
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
	if (a->known.server_us <= a->noted.server_us ||
	    a->known.timeline != a->timeline || a->known.lsn == LSN_NONE ||
	    durable_lsn < a->known.lsn)
		return;
	if (wal_known_write(&a->lineage, &a->known, NULL) == 0)
		a->noted = a->known;
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
	if (st.consumed != a->told.consumed ||
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

void
accept_silence(struct accept *a)
{
	json_t *m;

	if (a->wal == NULL || list_count(a->cluster->accept_from) < 2)
		return;
	end_wal(a);
	m = courier_message("wal_no", a->journal); /* when it is heard again */
	json_set_u64(m, "body", a->wal_body);
	json_set_str(m, "why", "nothing was heard from you");
	(void)json_object_set_new(m, "later", json_true());
	courier_send(a->courier, m);
}

static uint64_t
behind_bytes(const struct accept *a)
{
	return a->source_lsn > a->told.durable_lsn
	    ? a->source_lsn - a->told.durable_lsn
	    : 0;
}

/* How old what is here is: the source's time, as our clock would show it. */
static uint64_t
behind_us(const struct accept *a, int64_t now_us)
{
	int64_t age_us =
	    now_us + courier_skew_us(a->courier) - a->noted.server_us;

	if (a->noted.server_us == 0)
		return TRAIL_UNKNOWN;
	return age_us < 0 ? 0 : (uint64_t)age_us;
}

/* How fast it comes, and how far behind it is, for people and for the trail. */
static void
note_course(struct accept *a, int64_t boot_us)
{
	uint64_t bytes = a->plain_bytes + a->object_bytes;
	int64_t now_us = clock_now_us();

	if (boot_us - a->course_us < CLOCK_SECOND_US)
		return;
	a->course_us = boot_us;
	pace_note(&a->wal_pace, a->plain_bytes, boot_us);
	pace_note(&a->object_pace, a->object_bytes, boot_us);
	if (a->source_lsn != 0)
		pace_note(&a->source_pace, a->source_lsn, boot_us);
	if (a->timeline == 0 || (a->wal == NULL && a->why[0] == '\0'))
		return; /* nothing is to come from there */
	if (a->trail == NULL)
		a->trail = trail_open(courier_settings(a->courier)->state_dir,
		    a->cluster->name, TRAIL_FROM,
		    courier_peer(a->courier)->name, NULL);
	if (a->trail != NULL)
		trail_note(a->trail, now_us, behind_bytes(a),
		    behind_us(a, now_us), bytes - a->trail_bytes);
	a->trail_bytes = bytes;
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
	}
	while (keeper_result(a->keeper, &r))
		tell_kept(a, &r);
	if (a->wal != NULL)
		tell_wal(a);
	note_course(a, now_us);
}

static void
put_pace(const struct accept *a, json_t *out)
{
	uint64_t wal = pace_per_s(&a->wal_pace);
	int64_t eta_us =
	    pace_eta_us(behind_bytes(a), wal, pace_per_s(&a->source_pace));

	json_set_u64(out, "wal_plain_bytes", a->plain_bytes);
	json_set_u64(out, "wal_sent_bytes", a->stream_bytes);
	json_set_u64(out, "wal_bytes_per_s", wal);
	json_set_u64(out, "object_bytes_per_s", pace_per_s(&a->object_pace));
	json_set_u64(out, "source_bytes_per_s", pace_per_s(&a->source_pace));
	if (a->timeline != 0 && eta_us != -1)
		json_set_u64(out, "eta_us", (uint64_t)eta_us);
}

void
accept_status(const struct accept *a, json_t *out)
{
	char text[LSN_TEXT_BYTES];

	json_set_str(out, "cluster", a->cluster->name);
	json_set_str(out, "lineage", a->lineage.name);
	json_set_str(out, "state", a->wal == NULL ? "waiting" : "accepting");
	if (a->why[0] != '\0' || a->no_room[0] != '\0')
		json_set_str(
		    out, "why", a->why[0] != '\0' ? a->why : a->no_room);
	if (a->timeline != 0) {
		json_set_u64(out, "timeline", a->timeline);
		json_set_str(
		    out, "committed", lsn_text(a->told.durable_lsn, text));
		json_set_str(out, "source_end", lsn_text(a->source_lsn, text));
		json_set_u64(out, "behind_bytes", behind_bytes(a));
	}
	/* The source's time up to which all is here, by its clock. */
	json_set_u64(out, "source_us", (uint64_t)a->noted.server_us);
	json_set_u64(out, "stamp_us", (uint64_t)a->stamp_us);
	if (a->proved_until_us > clock_boot_us())
		json_set_u64(out, "zero_loss_proved_for_us",
		    (uint64_t)(a->proved_until_us - clock_boot_us()));
	json_set_u64(
	    out, "zero_loss_until_boot_us", (uint64_t)a->proved_until_us);
	json_set_u64(out, "object_bytes", a->object_bytes);
	put_pace(a, out);
}
