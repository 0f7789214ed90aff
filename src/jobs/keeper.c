/*
 * keeper: what is offered, what comes, and what becomes of it.
 */

#include "jobs/keeper_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "jobs/heal_commit.h"
#include "jobs/keeper_commit.h"

/* After so many bytes what came is synced and noted. */
#define NOTE_BYTES  ((uint64_t)16 << 20)
#define PART_BYTES  ((uint64_t)1 << 20)
#define QUEUE_ITEMS 4096
/* Of one body, apart from each other: lanes are not so far apart. */
#define RANGES_MAX 8192

enum item_kind { ITEM_OFFER, ITEM_CHUNK };

struct item {
	enum item_kind kind;
	uint64_t body, offset, bytes;
	size_t len;
	char name[STORE_KEY_BYTES];
	uint8_t sha256[SHA256_BYTES];
	uint8_t data[];
};

/* ---- results ---- */

static void
say(struct keeper *k, uint64_t body, enum kept what, uint64_t offset,
    const struct err *e)
{
	struct keeper_result r = { body, what, offset, ERR_INIT };

	if (e != NULL)
		r.err = *e;
	(void)pthread_mutex_lock(&k->lock);
	if (k->result_count == k->result_cap) {
		k->result_cap = k->result_cap * 2 + 64;
		k->results = mem_rearray(
		    k->results, k->result_cap, sizeof(k->results[0]));
	}
	k->results[k->result_count++] = r;
	(void)pthread_mutex_unlock(&k->lock);
	k->notify(k->arg);
}

bool
keeper_result(struct keeper *k, struct keeper_result *r)
{
	bool found;

	(void)pthread_mutex_lock(&k->lock);
	found = k->result_first < k->result_count;
	if (found)
		*r = k->results[k->result_first++];
	if (k->result_first == k->result_count)
		k->result_first = k->result_count = 0;
	(void)pthread_mutex_unlock(&k->lock);
	return found;
}

/* ---- bodies ---- */

static struct body *
find(struct keeper *k, uint64_t number)
{
	struct body *b;

	for (b = k->bodies; b != NULL && b->number != number; b = b->next)
		;
	return b;
}

static void
drop(struct keeper *k, struct body *b)
{
	struct body **p;

	for (p = &k->bodies; *p != b; p = &(*p)->next)
		;
	*p = b->next;
	k->body_count--;
	allowance_release(k->room, b->reserved);
	if (b->fd != -1)
		(void)close(b->fd);
	free(b->ranges);
	free(b);
}

/* Is the object here?  Then its bytes must be those that are offered as far as
 * that can be told without reading it: their number. */
static int
is_here(const struct keeper *k, const struct body *b, struct err *e)
{
	struct store_info info;
	char key[STORE_KEY_BYTES];

	if (k->heals != NULL)
		return heal_is_whole(&k->lineage, k->heals, b->name, e);
	if (store_stat(keeper_store(k),
		lineage_key(&k->lineage, key, "%s", b->name), &info, e) == -1)
		return -1;
	if (!info.exists)
		return 0;
	if (b->kind == OBJECT_PACK && info.bytes != b->bytes) {
		return err_set(e, ERR_CONFLICT,
		    "object \"%s\" is here with %llu bytes, offered with %llu",
		    b->name, (unsigned long long)info.bytes,
		    (unsigned long long)b->bytes);
	}
	return 1;
}

static uint64_t
bytes_max(enum object_kind kind)
{
	switch (kind) {
	case OBJECT_PACK:
		return (uint64_t)1 << 30;
	case OBJECT_SEGMENT:
	case OBJECT_PARTIAL:
		return (uint64_t)2 << 30;
	case OBJECT_BACKUP:
		return (uint64_t)256 << 20;
	default:
		return (uint64_t)1 << 20;
	}
}

static int
check_offer(const struct keeper *k, const struct body *b, struct err *e)
{
	/* Facts come with "open", and only so. */
	if (b->kind == OBJECT_NONE || b->kind == OBJECT_FACTS)
		return err_set(e, ERR_REFUSED,
		    "\"%.100s\" is no object that may be sent", b->name);
	if (b->bytes == 0 || b->bytes > bytes_max(b->kind))
		return err_set(e, ERR_REFUSED,
		    "object \"%s\" of %llu bytes is not accepted", b->name,
		    (unsigned long long)b->bytes);
	if (keeper_is_coming(k, b))
		return err_set(e, ERR_REFUSED,
		    "object \"%s\" is on its way already", b->name);
	if (k->body_count > KEEPER_BODIES_MAX)
		return err_set(
		    e, ERR_REFUSED, "too many objects are offered at once");
	return 0;
}

/* ---- a whole one ---- */

static int
commit(struct keeper *k, struct body *b, struct err *e)
{
	return k->heals != NULL
	    ? heal_commit(&k->lineage, k->heals, k->peer, b->name, b->staging,
		  b->sha256, e)
	    : keeper_commit(&k->lineage, b->kind, b->name, b->staging, e);
}

static void
finish(struct keeper *k, struct body *b)
{
	struct err e = ERR_INIT;
	enum kept what = KEPT_DONE;

	if (keeper_check_digest(b, &e) == -1) {
		what = KEPT_DAMAGED;
		keeper_forget_staging(k, b);
	} else if (file_sync_fd(b->fd, b->staging, &e) == -1) {
		what = e.sys_errno == ENOSPC ? KEPT_NO_ROOM : KEPT_DAMAGED;
	} else if (commit(k, b, &e) == -1) {
		what = e.kind == ERR_TRANSIENT ? KEPT_NOT_YET
		    : e.sys_errno == ENOSPC    ? KEPT_NO_ROOM
					       : KEPT_REFUSED;
		if (e.kind == ERR_CONFLICT || e.kind == ERR_CORRUPT)
			keeper_forget_staging(k, b);
	} else {
		keeper_forget_staging(k, b);
	}
	say(k, b->number, what, b->bytes, what == KEPT_DONE ? NULL : &e);
	drop(k, b);
}

/* ---- what comes ---- */

static int
reserve(struct keeper *k, struct body *b, struct err *e)
{
	uint64_t bytes = b->bytes - keeper_prefix(b);

	if (allowance_reserve(k->room, bytes, e) == -1)
		return -1;
	b->reserved = bytes;
	return 0;
}

static void
note_arrived(struct keeper *k, struct body *b, uint64_t bytes)
{
	if (bytes > b->reserved)
		bytes = b->reserved; /* again */
	b->reserved -= bytes;
	allowance_arrived(k->room, bytes);
}

static void
on_offer(struct keeper *k, const struct item *it)
{
	struct body *b = mem_zalloc(sizeof(*b));
	struct err e = ERR_INIT;
	int here;

	b->number = it->body;
	b->fd = -1;
	b->bytes = it->bytes;
	(void)memcpy(b->name, it->name, sizeof(b->name));
	(void)memcpy(b->sha256, it->sha256, sizeof(b->sha256));
	b->kind = object_kind_of(b->name, k->lineage.facts.segment_bytes);
	keeper_stage(k, b);
	b->next = k->bodies;
	k->bodies = b;
	k->body_count++;
	if (check_offer(k, b, &e) == -1 || (here = is_here(k, b, &e)) == -1 ||
	    (here == 0 && keeper_open_staging(k, b, &e) == -1)) {
		say(k, b->number,
		    e.sys_errno == ENOSPC	  ? KEPT_NO_ROOM
			: e.kind == ERR_TRANSIENT ? KEPT_NOT_YET
						  : KEPT_REFUSED,
		    0, &e);
		drop(k, b);
	} else if (here == 1) {
		say(k, b->number, KEPT_DONE, b->bytes, NULL);
		drop(k, b);
	} else if (keeper_prefix(b) == b->bytes) {
		finish(k, b);
	} else if (reserve(k, b, &e) == -1) {
		say(k, b->number,
		    e.kind == ERR_TRANSIENT ? KEPT_NOT_YET : KEPT_NO_ROOM, 0,
		    &e);
		drop(k, b);
	} else {
		say(k, b->number, KEPT_WANTED, keeper_prefix(b), NULL);
	}
}

static void
on_chunk(struct keeper *k, const struct item *it)
{
	struct body *b = find(k, it->body);
	struct err e = ERR_INIT;

	if (b == NULL)
		return; /* a late duplicate of one that is done */
	if (it->offset > b->bytes || it->len > b->bytes - it->offset) {
		(void)err_set(&e, ERR_REFUSED,
		    "object \"%s\" is longer than announced", b->name);
		say(k, b->number, KEPT_REFUSED, 0, &e);
		drop(k, b);
		return;
	}
	if (b->range_count > RANGES_MAX) {
		(void)err_set(&e, ERR_REFUSED,
		    "object \"%s\" comes in too many pieces", b->name);
		say(k, b->number, KEPT_REFUSED, 0, &e);
		drop(k, b);
		return;
	}
	if (file_pwrite_all(
		b->fd, it->data, it->len, it->offset, b->staging, &e) == -1) {
		say(k, b->number,
		    e.sys_errno == ENOSPC ? KEPT_NO_ROOM : KEPT_DAMAGED, 0, &e);
		drop(k, b);
		return;
	}
	note_arrived(k, b, it->len);
	keeper_add_range(b, it->offset, it->offset + it->len);
	if (keeper_prefix(b) == b->bytes) {
		finish(k, b);
		return;
	}
	/* After a failed sync none that works says anything of what came: it is
	 * to come again, from what was noted on. */
	if (keeper_prefix(b) - b->noted >= NOTE_BYTES &&
	    keeper_note(k, b, &e) == -1) {
		say(k, b->number,
		    e.sys_errno == ENOSPC ? KEPT_NO_ROOM : KEPT_DAMAGED, 0, &e);
		drop(k, b);
		return;
	}
	if (keeper_prefix(b) - b->told >= PART_BYTES) {
		b->told = keeper_prefix(b);
		say(k, b->number, KEPT_PART, b->told, NULL);
	}
}

static void *
run(void *arg)
{
	struct keeper *k = arg;
	struct item *it;

	while ((it = queue_get(k->queue)) != NULL) {
		if (it->kind == ITEM_OFFER)
			on_offer(k, it);
		else
			on_chunk(k, it);
		(void)pthread_mutex_lock(&k->lock);
		k->queued_bytes -= it->len;
		(void)pthread_mutex_unlock(&k->lock);
		free(it);
	}
	while (k->bodies != NULL) {
		(void)keeper_note(k, k->bodies, NULL);
		drop(k, k->bodies);
	}
	return NULL;
}

struct keeper *
keeper_new(const struct lineage *l, const char *peer, struct allowance *room,
    void (*notify)(void *arg), void *arg)
{
	struct keeper *k = mem_zalloc(sizeof(*k));

	k->lineage = *l;
	(void)snprintf(k->peer, sizeof(k->peer), "%s", peer);
	k->room = room;
	k->notify = notify;
	k->arg = arg;
	k->queue = queue_new(QUEUE_ITEMS);
	(void)pthread_mutex_init(&k->lock, NULL);
	if (pthread_create(&k->thread, NULL, run, k) != 0)
		abort(); /* no thread: as no memory */
	return k;
}

void
keeper_heal(struct keeper *k, const struct settings *s)
{
	k->heals = s;
}

void
keeper_free(struct keeper *k)
{
	if (k == NULL)
		return;
	queue_close(k->queue);
	(void)pthread_join(k->thread, NULL);
	queue_free(k->queue);
	(void)pthread_mutex_destroy(&k->lock);
	free(k->results);
	free(k);
}

static void
put(struct keeper *k, struct item *it)
{
	(void)pthread_mutex_lock(&k->lock);
	k->queued_bytes += it->len;
	(void)pthread_mutex_unlock(&k->lock);
	if (!queue_put(k->queue, it))
		free(it);
}

void
keeper_offer(struct keeper *k, uint64_t body, const char *name, uint64_t bytes,
    const uint8_t sha256[SHA256_BYTES])
{
	struct item *it = mem_zalloc(sizeof(*it));

	it->kind = ITEM_OFFER;
	it->body = body;
	it->bytes = bytes;
	(void)snprintf(it->name, sizeof(it->name), "%s", name);
	(void)memcpy(it->sha256, sha256, SHA256_BYTES);
	put(k, it);
}

int
keeper_chunk(struct keeper *k, uint64_t body, uint64_t offset,
    const uint8_t *data, size_t len, struct err *e)
{
	struct item *it;
	bool full;

	(void)pthread_mutex_lock(&k->lock);
	full = k->queued_bytes + len > KEEPER_QUEUE_MAX;
	(void)pthread_mutex_unlock(&k->lock);
	if (full)
		return err_set(
		    e, ERR_CORRUPT, "the peer sends more than it was told to");
	it = mem_zalloc(sizeof(*it) + len);
	it->kind = ITEM_CHUNK;
	it->body = body;
	it->offset = offset;
	it->len = len;
	(void)memcpy(it->data, data, len);
	put(k, it);
	return 0;
}
