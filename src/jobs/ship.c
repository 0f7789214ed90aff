/*
 * ship: one cluster of this site goes to a peer: first what makes it
 * restorable, then all that comes, WAL before the rest.
 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/show.h"
#include "codec/digest.h"
#include "conf/list.h"
#include "jobs/pin.h"
#include "jobs/ship_int.h"
#include "repo/keyset.h"
#include "repo/walknown.h"

#define TELL_US	 (60 * CLOCK_SECOND_US)
#define SCAN_US	 CLOCK_SECOND_US
#define STAMP_US CLOCK_SECOND_US
#define PIN_US	 (5 * CLOCK_SECOND_US)
/* Of so many WAL chunks in a row one gives way to another object. */
#define WAL_TURNS 5

struct ship *
ship_new(struct courier *c, uint64_t journal,
    const struct cluster_settings *cluster, struct err *e)
{
	struct ship *s = mem_zalloc(sizeof(*s));

	s->courier = c;
	s->journal = journal;
	s->cluster = cluster;
	s->wal.open_fd = -1;
	root_init(&s->objects.root);
	if (lineage_open(
		courier_repo(c), cluster->name, NULL, &s->lineage, e) == -1) {
		free(s);
		return NULL;
	}
	return s;
}

void
ship_free(struct ship *s)
{
	if (s == NULL)
		return;
	ship_objects_reset(s);
	ship_wal_reset(s);
	trail_close(s->trail);
	free(s);
}

static void
put_keys(json_t *list, const struct keyset *k)
{
	char hex[2 * SIGN_PUBLIC_BYTES + 1];
	size_t i;

	for (i = 0; i < k->count; i++) {
		if (json_array_size(list) >= LINEAGE_KEYS_MAX)
			return;
		hex_encode(k->keys[i], SIGN_PUBLIC_BYTES, hex);
		(void)json_array_append_new(list, json_string(hex));
	}
}

int
ship_open(struct ship *s, struct err *e)
{
	AUTO_BUF struct buf facts = BUF_INIT;
	AUTO_KEYSET struct keyset others = { 0 };
	json_t *m, *list;

	ship_objects_reset(s);
	ship_wal_reset(s);
	s->objects.newest[0] = '\0';
	s->opened = s->ready = false;
	if (lineage_facts_text(&s->lineage, &facts, e) == -1 ||
	    lineage_keys(&s->lineage, &others, e) == -1)
		return -1;
	m = courier_message("open", s->journal);
	json_set_str(m, "cluster", s->lineage.cluster);
	json_set_str(m, "lineage", s->lineage.name);
	json_set_str(m, "facts", buf_str(&facts));
	list = json_array();
	put_keys(list, repo_keys(s->lineage.repo));
	put_keys(list, &others);
	(void)json_object_set_new(m, "keys", list);
	courier_send(s->courier, m);
	s->opened = true;
	return 0;
}

/* ---- messages ---- */

static void
on_state(struct ship *s, const json_t *m)
{
	const char *why = json_string_value(json_object_get(m, "why"));
	const char *newest = json_string_value(json_object_get(m, "newest"));

	s->ready = json_is_true(json_object_get(m, "ok"));
	if (s->objects.have == NULL)
		s->objects.have = strmap_new();
	(void)snprintf(
	    s->why, sizeof(s->why), "%s", s->ready || why == NULL ? "" : why);
	(void)snprintf(s->objects.newest, sizeof(s->objects.newest), "%.21s",
	    newest == NULL ? "" : newest);
	if (!s->ready)
		log_event(LOG_LEVEL_ERROR, "ship_refused",
		    "the other site does not take this cluster", "cluster",
		    s->cluster->name, "peer", courier_peer(s->courier)->name,
		    "why", s->why, NULL);
	s->scan_us = 0;
}

bool
ship_message(struct ship *s, const char *what, const json_t *m)
{
	if (strcmp(what, "state") == 0)
		on_state(s, m);
	else if (strcmp(what, "have") == 0)
		ship_objects_have(s, m);
	else if (strcmp(what, "kept") == 0)
		ship_objects_kept(s, m);
	else if (strcmp(what, "wal_at") == 0)
		ship_wal_at(s, m);
	else if (strcmp(what, "wal_no") == 0)
		ship_wal_no(s, m);
	else if (strcmp(what, "taken") == 0)
		ship_wal_taken(s, m);
	else if (strcmp(what, "clock") == 0)
		(void)json_need_u64(m, "t", &s->echo, NULL);
	else
		return false;
	if (strcmp(what, "kept") == 0)
		s->scan_us = 0;
	return true;
}

/* ---- now and then ---- */

/* A newer lineage, after wal fork or a new server, takes the place. */
static void
look_for_lineage(struct ship *s)
{
	struct lineage newest;

	if (lineage_open(courier_repo(s->courier), s->cluster->name, NULL,
		&newest, NULL) == -1 ||
	    strcmp(newest.name, s->lineage.name) == 0)
		return;
	ship_objects_reset(s);
	ship_wal_reset(s);
	s->lineage = newest;
	if (ship_open(s, &s->err) == -1)
		err_clear(&s->err);
}

/* Room for another stamp: what the peer has since is not asked for any more, and
 * of what it lacks every second one will do. */
static void
thin_stamps(struct ship *s)
{
	size_t i, kept = 0;

	for (i = 0; i < s->stamp_count; i++)
		if (s->stamps[i].lsn > s->wal.durable_lsn)
			s->stamps[kept++] = s->stamps[i];
	s->stamp_count = kept;
	if (kept < SHIP_STAMPS)
		return;
	for (i = kept = 0; i < s->stamp_count; i += 2)
		s->stamps[kept++] = s->stamps[i];
	s->stamp_count = kept;
}

static void
note_stamp(struct ship *s, uint64_t lsn, int64_t boot_us)
{
	if (s->stamp_count > 0 && s->stamps[s->stamp_count - 1].lsn >= lsn)
		return;
	if (s->stamp_count == SHIP_STAMPS)
		thin_stamps(s);
	s->stamps[s->stamp_count++] = (struct ship_stamp){ lsn, boot_us };
}

/* For how long from now the receiver will acknowledge nothing that the peer
 * does not have (remote_ack.h); 0 it may at any time.  Of several peers one is
 * enough for it, and this may not be the one. */
static uint64_t
safe_for_us(const struct ship *s)
{
	AUTO_FREE char *path = mem_printf("%s/%s/receiver.json",
	    courier_settings(s->courier)->state_dir, s->cluster->name);
	AUTO_JSON json_t *j = NULL;
	int64_t now_us = clock_boot_us(), until_us;
	const char *ack;

	if (s->cluster->wal_ack != WAL_ACK_REMOTE ||
	    list_count(s->cluster->replicate_to) != 1)
		return 0;
	j = show_read(path);
	if (j == NULL || json_need_str(j, "ack", &ack, NULL) == -1 ||
	    strcmp(ack, "remote") != 0 ||
	    json_need_i64(j, "ack_safe_until_boot_us", &until_us, NULL) == -1 ||
	    until_us <= now_us)
		return 0;
	return (uint64_t)(until_us - now_us);
}

static void
send_stamp(struct ship *s)
{
	struct wal_known k;
	json_t *m = courier_message("stamp", s->journal);

	json_set_u64(m, "echo", s->echo);
	json_set_u64(m, "safe_for_us", safe_for_us(s));
	wal_known_read(&s->lineage, &k);
	json_set_u64(m, "timeline", k.timeline);
	json_set_u64(m, "lsn", k.lsn);
	json_set_u64(m, "server_us", (uint64_t)k.server_us);
	json_set_u64(m, "now_us", (uint64_t)clock_now_us());
	json_set_u64(m, "end", s->wal.source_lsn);
	courier_send(s->courier, m);
}

void
ship_failed(struct ship *s, const struct err *e)
{
	int64_t now_us = clock_boot_us();

	if (strcmp(e->text, s->told.text) == 0 && now_us - s->told_us < TELL_US)
		return;
	s->told = *e;
	s->told_us = now_us;
	log_error("ship_failed", e);
}

/* Expire is to know what the peer has (pin.h): when it has moved, but not at
 * each record. */
static void
note_pin(struct ship *s, int64_t now_us)
{
	struct err e = ERR_INIT;

	if (s->wal.timeline == 0 || now_us - s->pin_us < PIN_US ||
	    (s->wal.durable_lsn == s->pin_lsn &&
		s->wal.timeline == s->pin_timeline &&
		strcmp(s->objects.newest, s->pin_newest) == 0))
		return;
	s->pin_us = now_us;
	if (pin_write(courier_settings(s->courier), s->cluster->name,
		courier_peer(s->courier)->name, s->lineage.name,
		s->wal.timeline, s->wal.durable_lsn, s->objects.newest,
		&e) == -1) {
		ship_failed(s, &e);
		return;
	}
	s->pin_lsn = s->wal.durable_lsn;
	s->pin_timeline = s->wal.timeline;
	(void)snprintf(
	    s->pin_newest, sizeof(s->pin_newest), "%s", s->objects.newest);
}

/* It has taken nothing since this courier began. */
static bool
is_refused(const struct ship *s)
{
	return s->wal.timeline == 0 && s->why[0] != '\0' &&
	    s->had_timeline != 0;
}

static uint64_t
durable_there(const struct ship *s)
{
	return is_refused(s) ? s->had_lsn : s->wal.durable_lsn;
}

/* How far it is behind is to be seen all the same. */
static void
note_refused(struct ship *s, int64_t now_us)
{
	if (s->wal.timeline != 0 || s->why[0] == '\0' ||
	    now_us - s->refused_us < STAMP_US)
		return;
	s->refused_us = now_us;
	if (pin_of_peer(courier_settings(s->courier), s->cluster->name,
		courier_peer(s->courier)->name, &s->lineage, &s->had_timeline,
		&s->had_lsn) &&
	    follow_end(&s->lineage, &s->end, NULL) == 0)
		note_stamp(s, s->end.lsn, now_us);
}

/* For how long what the peer lacks has been there: at least 1; 0 it lacks
 * nothing. */
static int64_t
lacking_us(const struct ship *s, int64_t boot_us)
{
	uint64_t there = durable_there(s);
	size_t i;

	for (i = 0; i < s->stamp_count; i++)
		if (s->stamps[i].lsn > there)
			return boot_us > s->stamps[i].boot_us
			    ? boot_us - s->stamps[i].boot_us
			    : 1;
	return 0;
}

static uint64_t
behind_bytes(const struct ship *s)
{
	uint64_t there = durable_there(s),
		 end = is_refused(s) ? s->end.lsn : s->wal.source_lsn;

	return end > there ? end - there : 0;
}

/* Plain WAL that has become durable there, since the session began. */
static uint64_t
wal_done_bytes(const struct ship_wal *w)
{
	uint64_t under_way = w->lsn - w->durable_lsn;

	return w->plain_bytes > under_way ? w->plain_bytes - under_way : 0;
}

/* How fast it goes, and how far behind it is, for people and for the trail. */
static void
note_course(struct ship *s, int64_t boot_us)
{
	const struct ship_wal *w = &s->wal;
	uint64_t bytes = wal_done_bytes(w) + s->objects.sent_bytes;

	pace_note(&s->wal_pace, wal_done_bytes(w), boot_us);
	pace_note(&s->object_pace, s->objects.sent_bytes, boot_us);
	if (w->source_lsn != 0)
		pace_note(&s->source_pace, w->source_lsn, boot_us);
	if (w->timeline == 0)
		return; /* nothing goes there from here */
	if (s->trail == NULL)
		s->trail = trail_open(courier_settings(s->courier)->state_dir,
		    s->cluster->name, TRAIL_TO, courier_peer(s->courier)->name,
		    NULL);
	if (s->trail != NULL)
		trail_note(s->trail, clock_now_us(), behind_bytes(s),
		    (uint64_t)lacking_us(s, boot_us),
		    bytes > s->trail_bytes ? bytes - s->trail_bytes : 0);
	s->trail_bytes = bytes;
}

static int
scan(struct ship *s, int64_t now_us, struct err *e)
{
	note_pin(s, now_us);
	if (ship_objects_scan(s, now_us, e) == -1)
		return -1;
	return ship_wal_scan(s, now_us, e);
}

bool
ship_tick(struct ship *s, int64_t now_us)
{
	struct err e = ERR_INIT;

	if (!s->opened && ship_open(s, &e) == -1) {
		ship_failed(s, &e);
		s->opened = true; /* with the next session */
		return false;
	}
	note_refused(s, now_us);
	if (!s->ready)
		return false;
	if (now_us - s->scan_us >= SCAN_US) {
		s->scan_us = now_us;
		look_for_lineage(s);
		if (scan(s, now_us, &e) == -1) {
			ship_failed(s, &e);
			s->err = e;
		} else {
			err_clear(&s->err);
		}
	}
	if (now_us - s->stamp_us >= STAMP_US) {
		s->stamp_us = now_us;
		note_stamp(s, s->wal.source_lsn, now_us);
		send_stamp(s);
		note_course(s, now_us);
	}
	err_clear(&e);
	if (ship_wal_fill(s, &e) == -1) {
		ship_failed(s, &e);
		s->wal.state = WAL_IDLE;
		s->wal.again_us = now_us + 2 * CLOCK_SECOND_US;
	}
	return ship_wal_pending(s) || ship_objects_pending(s);
}

bool
ship_next_chunk(struct ship *s, struct link_chunk *c)
{
	if (!s->ready)
		return false;
	if (s->turn < WAL_TURNS && ship_wal_chunk(s, c)) {
		s->turn++;
		return true;
	}
	s->turn = 0;
	return ship_objects_chunk(s, c) || ship_wal_chunk(s, c);
}

/* ---- what people see ---- */

static void
put_pace(const struct ship *s, json_t *out)
{
	uint64_t wal = pace_per_s(&s->wal_pace),
		 objects = pace_per_s(&s->object_pace);
	int64_t eta_us =
	    pace_eta_us(behind_bytes(s), wal, pace_per_s(&s->source_pace));
	int64_t backup_us = pace_eta_us(s->objects.bytes_left, objects, 0);

	json_set_u64(out, "wal_bytes_per_s", wal);
	json_set_u64(out, "object_bytes_per_s", objects);
	json_set_u64(out, "source_bytes_per_s", pace_per_s(&s->source_pace));
	if (s->objects.root.id[0] == '\0')
		backup_us = 0;
	if (s->wal.timeline != 0 && eta_us != -1 && backup_us != -1)
		json_set_u64(out, "eta_us",
		    (uint64_t)(eta_us > backup_us ? eta_us : backup_us));
	else if (!pace_is_measured(&s->wal_pace) ||
	    !pace_is_measured(&s->source_pace))
		(void)json_object_set_new(out, "measuring", json_true());
}

void
ship_status(const struct ship *s, json_t *out)
{
	const struct ship_wal *w = &s->wal;
	int64_t since_us = lacking_us(s, clock_boot_us());
	char text[LSN_TEXT_BYTES];

	/* Our clock as it is now. */
	since_us = since_us == 0 ? 0 : clock_now_us() - since_us;
	json_set_str(out, "cluster", s->cluster->name);
	json_set_str(out, "lineage", s->lineage.name);
	json_set_str(out, "state",
	    !s->ready		       ? "refused"
		: w->state == WAL_IDLE ? "waiting"
				       : "shipping");
	if (s->why[0] != '\0' || s->no_room[0] != '\0')
		json_set_str(
		    out, "why", s->why[0] != '\0' ? s->why : s->no_room);
	if (w->timeline != 0) {
		json_set_u64(out, "timeline", w->timeline);
		json_set_str(out, "committed", lsn_text(w->durable_lsn, text));
		json_set_str(out, "source_end", lsn_text(w->source_lsn, text));
		json_set_u64(out, "behind_bytes", behind_bytes(s));
		json_set_u64(out, "lacking_since_us", (uint64_t)since_us);
	} else if (is_refused(s)) {
		json_set_str(out, "had", lsn_text(s->had_lsn, text));
		json_set_u64(out, "behind_bytes", behind_bytes(s));
		json_set_u64(out, "lacking_since_us", (uint64_t)since_us);
	}
	json_set_u64(out, "wal_plain_bytes", w->plain_bytes);
	json_set_u64(out, "wal_sent_bytes", w->compressed_bytes);
	json_set_u64(out, "object_bytes", s->objects.sent_bytes);
	put_pace(s, out);
	if (s->objects.newest[0] != '\0')
		json_set_str(out, "newest_backup", s->objects.newest);
	if (s->objects.root.id[0] != '\0') {
		json_set_str(out, "backup", s->objects.root.id);
		json_set_u64(out, "backup_bytes_left", s->objects.bytes_left);
	}
	if (s->err.kind != ERR_NONE)
		json_set_str(out, "error", s->err.text);
}

void
ship_committed(const struct ship *s, uint32_t *timeline, uint64_t *lsn)
{
	*timeline = s->wal.timeline;
	*lsn = s->wal.durable_lsn;
}
