/*
 * ship_objects: what is written once goes to the peer.
 *
 *	facts, histories, partials	as soon as they are there
 *	one backup at a time, oldest first: its packs, then its root
 *
 * A peer that has no backup yet gets the newest one first: from then on it can
 * restore.
 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/ship_int.h"

#define OFFERED_MAX   8
#define IN_FLIGHT_MAX ((uint64_t)32 << 20)
#define AGAIN_US      (2 * CLOCK_SECOND_US)
/* A backup that could not be taken so often: ask anew what is there. */
#define WAITS_MAX 30
#define HAVE_MAX  ((size_t)4000000)

static char here[] = "here"; /* what strmap holds: only whether */

/* ---- bodies ---- */

static void
body_free(struct ship_body *b)
{
	store_reader_close(b->reader);
	free(b);
}

static struct ship_body *
find(const struct ship *s, uint64_t number)
{
	struct ship_body *b;

	for (b = s->objects.first; b != NULL && b->number != number;
	     b = b->next)
		;
	return b;
}

static struct ship_body *
find_name(const struct ship *s, const char *name)
{
	struct ship_body *b;

	for (b = s->objects.first; b != NULL && strcmp(b->name, name) != 0;
	     b = b->next)
		;
	return b;
}

static void
drop(struct ship *s, struct ship_body *b)
{
	struct ship_objects *o = &s->objects;
	struct ship_body **p, *last = NULL;

	for (p = &o->first; *p != b; p = &(*p)->next)
		last = *p;
	*p = b->next;
	if (o->last == b)
		o->last = last;
	o->count--;
	body_free(b);
}

static struct ship_body *
queue(struct ship *s, const char *name)
{
	struct ship_objects *o = &s->objects;
	struct ship_body *b = mem_zalloc(sizeof(*b));

	(void)snprintf(b->name, sizeof(b->name), "%s", name);
	b->number = courier_new_body(s->courier, s->journal);
	if (o->last == NULL)
		o->first = b;
	else
		o->last->next = b;
	o->last = b;
	o->count++;
	return b;
}

static struct store *
store_of(const struct ship *s)
{
	return repo_store(s->lineage.repo);
}

static int
open_body(const struct ship *s, struct ship_body *b, struct err *e)
{
	char key[STORE_KEY_BYTES];

	if (b->reader != NULL)
		return 0;
	b->reader = store_read(
	    store_of(s), lineage_key(&s->lineage, key, "%s", b->name), e);
	if (b->reader == NULL)
		return -1;
	b->bytes = store_reader_bytes(b->reader);
	return 0;
}

/* The digest of an object that nothing else names: small ones. */
static int
digest_body(struct ship_body *b, struct err *e)
{
	AUTO_SHA256 struct sha256 *sum = sha256_new();
	AUTO_FREE uint8_t *piece = mem_alloc((size_t)1 << 20);
	uint64_t at;

	for (at = 0; at < b->bytes;) {
		size_t len = (size_t)1 << 20;

		if (b->bytes - at < len)
			len = (size_t)(b->bytes - at);
		if (store_pread(b->reader, piece, len, at, e) == -1)
			return -1;
		sha256_update(sum, piece, len);
		at += len;
	}
	sha256_peek(sum, b->sha256);
	return 0;
}

static int
offer(struct ship *s, struct ship_body *b, struct err *e)
{
	static const uint8_t none[SHA256_BYTES];
	json_t *m;

	if (open_body(s, b, e) == -1)
		return -1;
	if (memcmp(b->sha256, none, sizeof(none)) == 0 &&
	    digest_body(b, e) == -1)
		return -1;
	m = courier_message("offer", s->journal);
	json_set_u64(m, "body", b->number);
	json_set_str(m, "name", b->name);
	json_set_u64(m, "bytes", b->bytes);
	json_set_hex(m, "sha256", b->sha256, SHA256_BYTES);
	courier_send(s->courier, m);
	b->state = BODY_OFFERED;
	return 0;
}

/* ---- what the peer has ---- */

void
ship_objects_reset(struct ship *s)
{
	struct ship_objects *o = &s->objects;

	while (o->first != NULL)
		drop(s, o->first);
	strmap_free(o->have);
	o->have = NULL;
	if (o->root.id[0] != '\0')
		(void)intent_end(&s->lineage, &o->intent, NULL);
	root_free(&o->root);
	root_init(&o->root);
	o->root_queued = false;
	o->bytes_left = 0;
	free(steal_ptr(&o->chunk));
}

void
ship_objects_have(struct ship *s, const json_t *m)
{
	struct ship_objects *o = &s->objects;
	const json_t *names = json_object_get(m, "names");
	const json_t *name;
	size_t i;

	if (o->have == NULL)
		o->have = strmap_new();
	json_array_foreach(names, i, name)
	{
		/* What is more than any repository has is no list of names. */
		if (strmap_count(o->have) >= HAVE_MAX)
			return;
		if (json_is_string(name) &&
		    json_string_length(name) < STORE_KEY_BYTES)
			(void)strmap_put(
			    o->have, json_string_value(name), here);
	}
}

static bool
peer_has(const struct ship *s, const char *name)
{
	return s->objects.have != NULL &&
	    strmap_get(s->objects.have, name) != NULL;
}

/* ---- a backup ---- */

static void
end_backup(struct ship *s)
{
	struct ship_objects *o = &s->objects;

	(void)intent_end(&s->lineage, &o->intent, NULL);
	root_free(&o->root);
	root_init(&o->root);
	o->root_queued = false;
	o->bytes_left = 0;
}

/* Which one is next: "" none. */
static int
next_backup(const struct ship *s, char id[BACKUP_ID_BYTES], struct err *e)
{
	char **ids = NULL;
	size_t count, i;

	id[0] = '\0';
	if (backup_list(&s->lineage, &ids, &count, e) == -1)
		return -1;
	if (count > 0 && s->objects.newest[0] == '\0')
		(void)snprintf(id, BACKUP_ID_BYTES, "%s", ids[count - 1]);
	for (i = 0; i < count && s->objects.newest[0] != '\0'; i++)
		if (strcmp(ids[i], s->objects.newest) > 0) {
			(void)snprintf(id, BACKUP_ID_BYTES, "%s", ids[i]);
			break;
		}
	store_names_free(ids);
	return 0;
}

static int
begin_backup(struct ship *s, struct err *e)
{
	struct ship_objects *o = &s->objects;
	char id[BACKUP_ID_BYTES];

	if (next_backup(s, id, e) == -1)
		return -1;
	if (id[0] == '\0')
		return 0;
	o->intent = (struct intent){ .kind = "read" };
	(void)snprintf(o->intent.backup, sizeof(o->intent.backup), "%s", id);
	if (intent_begin(&s->lineage, &o->intent, e) == -1)
		return -1;
	if (root_read(&s->lineage, id, &o->root, e) == -1) {
		(void)intent_end(&s->lineage, &o->intent, NULL);
		root_init(&o->root);
		return -1;
	}
	o->bytes_left = 0;
	return 0;
}

/* Queue the packs that the peer lacks; true when there are none left. */
static bool
queue_packs(struct ship *s)
{
	struct ship_objects *o = &s->objects;
	char key[STORE_KEY_BYTES];
	const char *name;
	struct ship_body *b;
	size_t i, prefix;
	bool all = true;

	(void)lineage_key(&s->lineage, key, "%s", "");
	prefix = strlen(key);
	o->bytes_left = 0;
	for (i = 0; i < o->root.pack_count; i++) {
		const struct root_pack *p = &o->root.packs[i];

		name = pack_key(&s->lineage, p->id, key) + prefix;
		if (peer_has(s, name))
			continue;
		all = false;
		o->bytes_left += p->bytes;
		b = find_name(s, name);
		if (b != NULL) {
			o->bytes_left -= b->kept;
			continue;
		}
		if (o->count >= 4 * (size_t)OFFERED_MAX)
			continue;
		b = queue(s, name);
		b->bytes = p->bytes;
		(void)memcpy(b->sha256, p->sha256, SHA256_BYTES);
	}
	return all;
}

static int
scan_backup(struct ship *s, struct err *e)
{
	struct ship_objects *o = &s->objects;
	char name[STORE_KEY_BYTES];

	if (o->root.id[0] == '\0' && begin_backup(s, e) == -1)
		return -1;
	if (o->root.id[0] == '\0' || !queue_packs(s) || o->root_queued)
		return 0;
	(void)snprintf(name, sizeof(name), "backups/%s", o->root.id);
	(void)queue(s, name);
	o->root_queued = true;
	return 0;
}

/* ---- the rest ---- */

static int
queue_small(void *arg, const char *name, struct err *e)
{
	struct ship *s = arg;

	(void)e;
	if (!peer_has(s, name) && find_name(s, name) == NULL &&
	    s->objects.count < 64)
		(void)queue(s, name);
	return 0;
}

static int
offer_some(struct ship *s, int64_t now_us, struct err *e)
{
	struct ship_body *b;
	size_t offered = 0;

	for (b = s->objects.first; b != NULL; b = b->next)
		if (b->state == BODY_OFFERED || b->state == BODY_SENDING ||
		    b->state == BODY_SENT)
			offered++;
	for (b = s->objects.first; b != NULL && offered < OFFERED_MAX;
	     b = b->next) {
		if (b->state != BODY_QUEUED || b->again_us > now_us)
			continue;
		if (offer(s, b, e) == -1) {
			if (e->kind != ERR_NOT_FOUND)
				return -1;
			err_clear(e); /* expired meanwhile */
			drop(s, b);
			return 0;
		}
		offered++;
	}
	return 0;
}

int
ship_objects_scan(struct ship *s, int64_t now_us, struct err *e)
{
	if (objects_each(&s->lineage, OBJECT_HISTORY, queue_small, s, e) ==
		-1 ||
	    objects_each(&s->lineage, OBJECT_PARTIAL, queue_small, s, e) ==
		-1 ||
	    objects_each(&s->lineage, OBJECT_MARK, queue_small, s, e) == -1 ||
	    scan_backup(s, e) == -1)
		return -1;
	return offer_some(s, now_us, e);
}

static uint64_t
in_flight(const struct ship *s)
{
	const struct ship_body *b;
	uint64_t n = 0;

	for (b = s->objects.first; b != NULL; b = b->next)
		if (b->at > b->kept)
			n += b->at - b->kept;
	return n;
}

static struct ship_body *
sending(const struct ship *s)
{
	struct ship_body *b;

	if (in_flight(s) >= IN_FLIGHT_MAX)
		return NULL;
	for (b = s->objects.first; b != NULL; b = b->next)
		if (b->state == BODY_SENDING)
			return b;
	return NULL;
}

bool
ship_objects_pending(const struct ship *s)
{
	return sending(s) != NULL;
}

bool
ship_objects_chunk(struct ship *s, struct link_chunk *c)
{
	struct ship_body *b = sending(s);
	size_t len = LINK_CHUNK_MAX;

	if (b == NULL)
		return false;
	if (s->objects.chunk == NULL)
		s->objects.chunk = mem_alloc(LINK_CHUNK_MAX);
	if (b->bytes - b->at < len)
		len = (size_t)(b->bytes - b->at);
	if (store_pread(b->reader, s->objects.chunk, len, b->at, &s->err) ==
	    -1) {
		ship_failed(s, &s->err);
		drop(s, b);
		return false;
	}
	*c = (struct link_chunk){ b->number, b->at, s->objects.chunk, len };
	b->at += len;
	s->objects.sent_bytes += len;
	if (b->at == b->bytes)
		b->state = BODY_SENT;
	return true;
}

/* ---- what becomes of them ---- */

static void
done(struct ship *s, struct ship_body *b)
{
	struct ship_objects *o = &s->objects;
	bool root = strncmp(b->name, "backups/", 8) == 0;
	char bytes[24];

	(void)strmap_put(o->have, b->name, here);
	o->done++;
	if (root) {
		(void)snprintf(bytes, sizeof(bytes), "%llu",
		    (unsigned long long)o->root.stored_bytes);
		log_event(LOG_LEVEL_INFO, "backup_replicated",
		    "a backup is whole at the other site", "cluster",
		    s->cluster->name, "backup", o->root.id, "peer",
		    courier_peer(s->courier)->name, "new_bytes", bytes, NULL);
		(void)snprintf(o->newest, sizeof(o->newest), "%s", o->root.id);
		end_backup(s);
	}
	drop(s, b);
}

static void
refused(struct ship *s, struct ship_body *b, const char *why)
{
	log_event(LOG_LEVEL_ERROR, "ship_refused",
	    "the other site does not take an object", "cluster",
	    s->cluster->name, "peer", courier_peer(s->courier)->name, "object",
	    b->name, "why", why, NULL);
	(void)snprintf(s->why, sizeof(s->why), "%s", why);
	/* Not again in this session. */
	(void)strmap_put(s->objects.have, b->name, here);
	if (strncmp(b->name, "backups/", 8) == 0) {
		(void)snprintf(s->objects.newest, sizeof(s->objects.newest),
		    "%s", s->objects.root.id);
		end_backup(s);
	}
	drop(s, b);
}

/* There is no room there, or again some: people see it by s->no_room. */
static void
note_room(struct ship *s, const char *what, const char *why)
{
	if (strcmp(what, "no_room") == 0)
		(void)snprintf(s->no_room, sizeof(s->no_room), "%s",
		    why == NULL ? "the other site has no room" : why);
	else if (strcmp(what, "wanted") == 0 || strcmp(what, "done") == 0)
		s->no_room[0] = '\0';
}

void
ship_objects_kept(struct ship *s, const json_t *m)
{
	const char *what, *why = json_string_value(json_object_get(m, "why"));
	uint64_t number, offset;
	struct ship_body *b;

	if (json_need_u64(m, "body", &number, NULL) == -1 ||
	    json_need_str(m, "what", &what, NULL) == -1 ||
	    json_need_u64(m, "offset", &offset, NULL) == -1)
		return;
	b = find(s, number);
	if (b == NULL || s->objects.have == NULL)
		return;
	note_room(s, what, why);
	if (strcmp(what, "done") == 0) {
		done(s, b);
	} else if (strcmp(what, "wanted") == 0 && offset <= b->bytes &&
	    b->state == BODY_OFFERED) {
		b->at = b->kept = offset;
		b->state = BODY_SENDING;
	} else if (strcmp(what, "part") == 0 && offset <= b->at) {
		b->kept = offset;
	} else if (strcmp(what, "refused") == 0) {
		refused(s, b, why == NULL ? "" : why);
	} else {
		/* Damaged on its way, or a backup that needs WAL, or what
		 * has been removed there. */
		if (strcmp(what, "not_yet") == 0 &&
		    ++s->objects.waits % WAITS_MAX == 0)
			s->opened = false;
		b->state = BODY_QUEUED;
		b->at = b->kept = 0;
		b->again_us = clock_boot_us() + AGAIN_US;
	}
}

uint64_t
ship_objects_wal_from(const struct ship *s)
{
	return s->objects.root.id[0] == '\0' ? LSN_NONE
					     : s->objects.root.start_lsn;
}
