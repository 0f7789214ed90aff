#include "jobs/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/queue.h"
#include "base/strmap.h"
#include "jobs/heal_commit.h"
#include "jobs/keeper_commit.h"
#include "repo/objects.h"
#include "store/store.h"

/* After so many bytes what came is synced and noted. */
#define NOTE_BYTES  ((uint64_t)16 << 20)
#define PART_BYTES  ((uint64_t)1 << 20)
#define QUEUE_ITEMS 4096
/* Of one body, apart from each other: lanes are not so far apart. */
#define RANGES_MAX 8192

/* What is there of a body: [from, to) of its bytes. */
struct range {
	uint64_t from, to;
};

struct body {
	struct body *next;
	uint64_t number;
	char name[STORE_KEY_BYTES];
	char folder[STORE_KEY_BYTES];  /* of what is staged */
	char staging[STORE_KEY_BYTES]; /* key of its bytes */
	enum object_kind kind;
	uint64_t bytes;
	uint8_t sha256[SHA256_BYTES];
	int fd;
	struct range *ranges; /* sorted, apart from each other */
	size_t range_count, range_cap;
	uint64_t reserved;    /* of the allowance */
	uint64_t noted, told; /* prefix that was synced, that was reported */
};

enum item_kind { ITEM_OFFER, ITEM_CHUNK };

struct item {
	enum item_kind kind;
	uint64_t body, offset, bytes;
	size_t len;
	char name[STORE_KEY_BYTES];
	uint8_t sha256[SHA256_BYTES];
	uint8_t data[];
};

struct keeper {
	struct lineage lineage;
	char peer[64];
	struct allowance *room;
	const struct settings *heals; /* NULL: it adds, and changes nothing */
	void (*notify)(void *arg);
	void *arg;
	struct queue *queue;
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	struct keeper_result *results;
	size_t result_count, result_cap, result_first;
	size_t queued_bytes;
	/* Of the thread: */
	struct body *bodies;
	size_t body_count;
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

/* ---- ranges ---- */

/* Bytes from the start without a hole. */
static uint64_t
prefix_of(const struct body *b)
{
	return b->range_count > 0 && b->ranges[0].from == 0 ? b->ranges[0].to
							    : 0;
}

static void
add_range(struct body *b, uint64_t from, uint64_t to)
{
	size_t i, kept = 0;

	if (b->range_count == b->range_cap) {
		b->range_cap = b->range_cap == 0 ? 16 : 2 * b->range_cap;
		b->ranges =
		    mem_rearray(b->ranges, b->range_cap, sizeof(b->ranges[0]));
	}
	/* Those that touch it become part of it. */
	for (i = 0; i < b->range_count; i++) {
		const struct range r = b->ranges[i];

		if (r.to < from || r.from > to) {
			b->ranges[kept++] = r;
			continue;
		}
		from = r.from < from ? r.from : from;
		to = r.to > to ? r.to : to;
	}
	for (i = kept; i > 0 && b->ranges[i - 1].from > from; i--)
		b->ranges[i] = b->ranges[i - 1];
	b->ranges[i] = (struct range){ from, to };
	b->range_count = kept + 1;
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

static struct store *
store_of(const struct keeper *k)
{
	return repo_store(k->lineage.repo);
}

/* The folder of all that is on its way to the lineage from this peer. */
static void
staging_of(const struct keeper *k, char out[STORE_KEY_BYTES])
{
	/* Never one folder for both: see is_coming(). */
	(void)snprintf(out, STORE_KEY_BYTES, "incoming/%s/%s%s.%s", k->peer,
	    k->heals != NULL ? "heal/" : "", k->lineage.cluster,
	    k->lineage.name);
}

/* Make the prefix durable and note how long it is. */
static int
note(struct keeper *k, struct body *b, struct err *e)
{
	char path[STORE_KEY_BYTES + 8], text[32];
	int n, dir;

	if (prefix_of(b) == b->noted)
		return 0;
	if (file_sync_fd(b->fd, b->staging, e) == -1)
		return -1;
	(void)snprintf(path, sizeof(path), "%s.have", b->staging);
	n = snprintf(
	    text, sizeof(text), "%llu\n", (unsigned long long)prefix_of(b));
	dir = file_open_dir(store_local_path(store_of(k)), e);
	if (dir == -1)
		return -1;
	n = file_publish_at(dir, path, text, (size_t)n, 0600, FILE_REPLACE, e);
	(void)close(dir);
	if (n == 0)
		b->noted = prefix_of(b);
	return n;
}

/* The prefix that an earlier try made durable. */
static uint64_t
noted_before(const struct keeper *k, const struct body *b)
{
	AUTO_BUF struct buf text = BUF_INIT;
	char key[STORE_KEY_BYTES];
	unsigned long long n;

	(void)snprintf(key, sizeof(key), "%.500s.have", b->staging);
	if (store_get(store_of(k), key, 32, &text, NULL) == -1 ||
	    sscanf(buf_str(&text), "%llu\n", &n) != 1 || n > b->bytes)
		return 0;
	return n;
}

static void
forget_staging(const struct keeper *k, const struct body *b)
{
	AUTO_FREE char *path =
	    file_join(store_local_path(store_of(k)), b->folder);

	(void)file_rmtree_at(AT_FDCWD, path, NULL);
}

/* Two bodies must never write to one file: when the first has become the
 * object, the second would write into it. */
static bool
is_coming(const struct keeper *k, const struct body *b)
{
	const struct body *o;

	for (o = k->bodies; o != NULL; o = o->next)
		if (o != b &&
		    ((b->number != 0 && o->number == b->number) ||
			strcmp(o->folder, b->folder) == 0 ||
			strcmp(o->name, b->name) == 0))
			return true;
	return false;
}

/*
 * What was left on its way is kept to go on from, but not without end: of so
 * many folders the oldest goes that nobody sends now.
 */
static void
sweep_staging(const struct keeper *k)
{
	char prefix[STORE_KEY_BYTES], **names = NULL;
	struct body oldest = { 0 }, one = { 0 };
	int64_t oldest_us = INT64_MAX;
	struct store_info info;
	size_t count, i;

	staging_of(k, prefix);
	if (store_list(store_of(k), prefix, &names, &count, NULL) == -1)
		return;
	for (i = 0; count > KEEPER_STAGED_MAX && i < count; i++) {
		(void)snprintf(one.folder, sizeof(one.folder), "%.300s/%.32s",
		    prefix, names[i]);
		if (is_coming(k, &one) ||
		    store_stat(store_of(k), one.folder, &info, NULL) == -1 ||
		    info.mtime_us >= oldest_us)
			continue;
		oldest_us = info.mtime_us;
		oldest = one;
	}
	store_names_free(names);
	if (oldest.folder[0] != '\0')
		forget_staging(k, &oldest);
}

static int
open_staging(struct keeper *k, struct body *b, struct err *e)
{
	AUTO_FREE char *path =
	    file_join(store_local_path(store_of(k)), b->staging);
	AUTO_FREE char *folder = file_parent(path);
	struct stat st;
	uint64_t have;

	if (file_mkdirs_at(AT_FDCWD, folder, 0700, e) == -1)
		return -1;
	sweep_staging(k);
	b->fd = file_open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0600, e);
	if (b->fd == -1)
		return -1;
	have = noted_before(k, b);
	if (fstat(b->fd, &st) == -1)
		return err_sys(e, "could not stat \"%s\"", path);
	if ((uint64_t)st.st_size < have)
		have = 0;
	if (have > 0)
		add_range(b, 0, have);
	b->noted = b->told = have;
	return 0;
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
	if (store_stat(store_of(k),
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
	if (is_coming(k, b))
		return err_set(e, ERR_REFUSED,
		    "object \"%s\" is on its way already", b->name);
	if (k->body_count > KEEPER_BODIES_MAX)
		return err_set(
		    e, ERR_REFUSED, "too many objects are offered at once");
	return 0;
}

/* ---- a whole one ---- */

static int
check_digest(const struct body *b, struct err *e)
{
	AUTO_SHA256 struct sha256 *sum = sha256_new();
	AUTO_FREE uint8_t *piece = mem_alloc((size_t)1 << 20);
	uint8_t got[SHA256_BYTES];
	uint64_t at = 0;
	ssize_t n;

	while (at < b->bytes) {
		size_t len = (size_t)1 << 20;

		if (b->bytes - at < len)
			len = (size_t)(b->bytes - at);
		n = file_pread_full(b->fd, piece, len, at, b->staging, e);
		if (n == -1)
			return -1;
		if ((size_t)n != len)
			return err_set(e, ERR_CORRUPT,
			    "\"%s\" is shorter than it was", b->staging);
		sha256_update(sum, piece, len);
		at += len;
	}
	sha256_peek(sum, got);
	if (memcmp(got, b->sha256, SHA256_BYTES) != 0)
		return err_set(e, ERR_CORRUPT,
		    "object \"%s\" arrived with another digest than announced",
		    b->name);
	return 0;
}

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

	if (check_digest(b, &e) == -1) {
		what = KEPT_DAMAGED;
		forget_staging(k, b);
	} else if (file_sync_fd(b->fd, b->staging, &e) == -1) {
		what = e.sys_errno == ENOSPC ? KEPT_NO_ROOM : KEPT_DAMAGED;
	} else if (commit(k, b, &e) == -1) {
		what = e.kind == ERR_TRANSIENT ? KEPT_NOT_YET
		    : e.sys_errno == ENOSPC    ? KEPT_NO_ROOM
					       : KEPT_REFUSED;
		if (e.kind == ERR_CONFLICT || e.kind == ERR_CORRUPT)
			forget_staging(k, b);
	} else {
		forget_staging(k, b);
	}
	say(k, b->number, what, b->bytes, what == KEPT_DONE ? NULL : &e);
	drop(k, b);
}

/* ---- what comes ---- */

static int
reserve(struct keeper *k, struct body *b, struct err *e)
{
	uint64_t bytes = b->bytes - prefix_of(b);

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
	char hex[SHA256_HEX_BYTES], prefix[STORE_KEY_BYTES];
	const char *slash;
	int here;

	b->number = it->body;
	b->fd = -1;
	b->bytes = it->bytes;
	(void)memcpy(b->name, it->name, sizeof(b->name));
	(void)memcpy(b->sha256, it->sha256, sizeof(b->sha256));
	b->kind = object_kind_of(b->name, k->lineage.facts.segment_bytes);
	sha256_hex(b->sha256, hex);
	/* The last part is the object's own: a segment says what it is. */
	slash = strrchr(b->name, '/');
	staging_of(k, prefix);
	(void)snprintf(
	    b->folder, sizeof(b->folder), "%.300s/%.32s", prefix, hex);
	(void)snprintf(b->staging, sizeof(b->staging), "%.350s/%.100s",
	    b->folder, slash == NULL ? "object" : slash + 1);
	b->next = k->bodies;
	k->bodies = b;
	k->body_count++;
	if (check_offer(k, b, &e) == -1 || (here = is_here(k, b, &e)) == -1 ||
	    (here == 0 && open_staging(k, b, &e) == -1)) {
		say(k, b->number,
		    e.sys_errno == ENOSPC	  ? KEPT_NO_ROOM
			: e.kind == ERR_TRANSIENT ? KEPT_NOT_YET
						  : KEPT_REFUSED,
		    0, &e);
		drop(k, b);
	} else if (here == 1) {
		say(k, b->number, KEPT_DONE, b->bytes, NULL);
		drop(k, b);
	} else if (prefix_of(b) == b->bytes) {
		finish(k, b);
	} else if (reserve(k, b, &e) == -1) {
		say(k, b->number,
		    e.kind == ERR_TRANSIENT ? KEPT_NOT_YET : KEPT_NO_ROOM, 0,
		    &e);
		drop(k, b);
	} else {
		say(k, b->number, KEPT_WANTED, prefix_of(b), NULL);
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
	add_range(b, it->offset, it->offset + it->len);
	if (prefix_of(b) == b->bytes) {
		finish(k, b);
		return;
	}
	/* After a failed sync none that works says anything of what came: it is
	 * to come again, from what was noted on. */
	if (prefix_of(b) - b->noted >= NOTE_BYTES && note(k, b, &e) == -1) {
		say(k, b->number,
		    e.sys_errno == ENOSPC ? KEPT_NO_ROOM : KEPT_DAMAGED, 0, &e);
		drop(k, b);
		return;
	}
	if (prefix_of(b) - b->told >= PART_BYTES) {
		b->told = prefix_of(b);
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
		(void)note(k, k->bodies, NULL);
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
