/*
 * heal_give: what the other site lacks is looked at here, and sent when it is
 * whole.
 *
 *	want -> queue -> a thread reads all of it and checks -> offer -> chunks
 *
 * A site that was broken into may ask for whatever it likes: only what the two
 * sites share, few at once, none too often.
 */

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/queue.h"
#include "jobs/damage.h"
#include "jobs/heal.h"
#include "jobs/heal_check.h"

#define RECENT_MAX   256
#define FORGOTTEN_US (1200 * CLOCK_SECOND_US) /* no word of who asked */

enum give_state { GIVE_LOOKED_AT, GIVE_OFFERED, GIVE_SENDING, GIVE_SENT };

struct give {
	struct give *next;
	uint64_t body;
	struct lineage lineage;
	char name[STORE_KEY_BYTES];
	bool has_sha256;
	uint8_t sha256[SHA256_BYTES];
	enum give_state state;
	struct err err; /* of the look; ERR_NONE: it is whole */
	struct store_reader *reader;
	uint64_t bytes, at, kept;
	int64_t heard_us;
};

struct recent {
	uint64_t what; /* hash of cluster, lineage and name; 0 none */
	int64_t since_us;
	unsigned int times;
};

struct giver {
	struct courier *courier;
	struct give *gives;
	size_t count;
	struct queue *todo, *done;
	pthread_t thread;
	double wants; /* that the peer may still say */
	int64_t wants_us;
	struct recent recent[RECENT_MAX];
	uint8_t *chunk;
	uint64_t sent_bytes, given;
};

/* ---- the look, in a thread ---- */

/* As it was when it was checked: its digest goes with the offer. */
static int
look(struct give *g, struct err *e)
{
	uint8_t sha256[SHA256_BYTES];
	char key[STORE_KEY_BYTES];

	if (heal_check(&g->lineage, g->name, g->has_sha256 ? g->sha256 : NULL,
		e) == -1 ||
	    heal_digest(&g->lineage, g->name, sha256, &g->bytes, e) == -1)
		return -1;
	if (object_kind_of(g->name, g->lineage.facts.segment_bytes) ==
		OBJECT_PACK &&
	    memcmp(sha256, g->sha256, SHA256_BYTES) != 0)
		return err_set(
		    e, ERR_CORRUPT, "\"%s\" changes as it is read", g->name);
	(void)memcpy(g->sha256, sha256, SHA256_BYTES);
	if (g->bytes == 0)
		return err_set(e, ERR_CORRUPT, "\"%s\" is empty", g->name);
	g->reader = store_read(repo_store(g->lineage.repo),
	    lineage_key(&g->lineage, key, "%s", g->name), e);
	return g->reader == NULL ? -1 : 0;
}

static void *
run(void *arg)
{
	struct giver *g = arg;
	struct give *one;

	while ((one = queue_get(g->todo)) != NULL) {
		(void)look(one, &one->err);
		if (!queue_put(g->done, one))
			break;
		courier_wake(g->courier);
	}
	return NULL;
}

struct giver *
giver_new(struct courier *c)
{
	struct giver *g = mem_zalloc(sizeof(*g));

	g->courier = c;
	g->wants = HEAL_WANTS_MAX;
	g->wants_us = clock_boot_us();
	g->todo = queue_new(HEAL_GIVES_MAX + 1);
	g->done = queue_new(HEAL_GIVES_MAX + 1);
	if (pthread_create(&g->thread, NULL, run, g) != 0)
		abort(); /* no thread: as no memory */
	return g;
}

static void
drop(struct giver *g, struct give *one)
{
	struct give **p;

	for (p = &g->gives; *p != one; p = &(*p)->next)
		;
	*p = one->next;
	g->count--;
	store_reader_close(one->reader);
	free(one);
}

void
giver_free(struct giver *g)
{
	if (g == NULL)
		return;
	queue_fail(g->todo);
	queue_fail(g->done);
	(void)pthread_join(g->thread, NULL);
	while (g->gives != NULL)
		drop(g, g->gives);
	queue_free(g->todo);
	queue_free(g->done);
	free(g->chunk);
	free(g);
}

/* ---- may it be asked for? ---- */

static void
say(struct giver *g, uint64_t body, const char *what, const char *why)
{
	json_t *m = courier_message("give", HEAL_JOURNAL);

	json_set_u64(m, "body", body);
	json_set_str(m, "what", what);
	if (why != NULL)
		json_set_str(m, "why", why);
	courier_send(g->courier, m);
}

static bool
may_ask(struct giver *g)
{
	int64_t now_us = clock_boot_us();

	g->wants += HEAL_WANTS_RATE * (double)(now_us - g->wants_us) /
	    (double)CLOCK_SECOND_US;
	g->wants_us = now_us;
	if (g->wants > HEAL_WANTS_MAX)
		g->wants = HEAL_WANTS_MAX;
	if (g->wants < 1)
		return false;
	g->wants--;
	return true;
}

/* The same object, again and again? */
static bool
is_too_often(struct giver *g, const struct give *one)
{
	int64_t now_us = clock_boot_us();
	AUTO_FREE char *all = mem_printf(
	    "%s/%s/%s", one->lineage.cluster, one->lineage.name, one->name);
	uint64_t what = xxh3_keyed(1, all, strlen(all)) | 1;
	struct recent *r = NULL;
	size_t i;

	for (i = 0; i < RECENT_MAX; i++) {
		struct recent *x = &g->recent[i];

		if (x->what == what) {
			r = x;
			break;
		}
		if (r == NULL || x->since_us < r->since_us)
			r = x;
	}
	if (r->what != what || now_us - r->since_us > HEAL_SAME_US)
		*r = (struct recent){ what, now_us, 0 };
	return ++r->times > HEAL_SAME_MAX;
}

static const struct cluster_settings *
find_shared(const struct giver *g, const char *name)
{
	const struct settings *s = courier_settings(g->courier);
	size_t i;

	for (i = 0; i < s->cluster_count; i++)
		if (strcmp(s->clusters[i].name, name) == 0 &&
		    damage_shared(
			&s->clusters[i], courier_peer(g->courier)->name))
			return &s->clusters[i];
	return NULL;
}

/* A root may have been withdrawn here: its bytes are the same. */
static void
find_withdrawn(struct give *one)
{
	struct store *s = repo_store(one->lineage.repo);
	char key[STORE_KEY_BYTES], other[STORE_KEY_BYTES];
	struct store_info info;

	if (strncmp(one->name, "backups/", 8) != 0 ||
	    store_stat(s, lineage_key(&one->lineage, key, "%s", one->name),
		&info, NULL) == -1 ||
	    info.exists)
		return;
	(void)snprintf(other, sizeof(other), "withdrawn/%.40s", one->name + 8);
	if (store_stat(s, lineage_key(&one->lineage, key, "%s", other), &info,
		NULL) == 0 &&
	    info.exists)
		(void)strcpy(one->name, other);
}

static int
read_want(struct giver *g, struct give *one, const json_t *m, struct err *e)
{
	const char *cluster, *lineage, *name;
	enum object_kind kind;

	if (json_need_str(m, "cluster", &cluster, e) == -1 ||
	    json_need_str(m, "lineage", &lineage, e) == -1 ||
	    json_need_str(m, "name", &name, e) == -1)
		return -1;
	if (find_shared(g, cluster) == NULL)
		return err_set(e, ERR_REFUSED,
		    "cluster \"%.64s\" is not shared with that site", cluster);
	if (lineage_open(courier_repo(g->courier), cluster, lineage,
		&one->lineage, e) == -1)
		return -1;
	if (strncmp(name, "withdrawn/", 10) == 0)
		(void)snprintf(
		    one->name, sizeof(one->name), "backups/%.200s", name + 10);
	else
		(void)snprintf(one->name, sizeof(one->name), "%.300s", name);
	kind = object_kind_of(one->name, one->lineage.facts.segment_bytes);
	if (kind == OBJECT_NONE || kind == OBJECT_FACTS)
		return err_set(e, ERR_REFUSED,
		    "\"%.100s\" is no object that may be asked for", name);
	one->has_sha256 = json_object_get(m, "sha256") != NULL;
	if (one->has_sha256 &&
	    json_need_hex(m, "sha256", one->sha256, SHA256_BYTES, e) == -1)
		return -1;
	if (kind == OBJECT_PACK && !one->has_sha256)
		return err_set(e, ERR_REFUSED,
		    "pack \"%.100s\" is asked for without its digest", name);
	find_withdrawn(one);
	return 0;
}

/* ---- messages ---- */

static struct give *
find(const struct giver *g, uint64_t body)
{
	struct give *one;

	for (one = g->gives; one != NULL && one->body != body; one = one->next)
		;
	return one;
}

static const char *
word_of(const struct err *e)
{
	return e->kind == ERR_NOT_FOUND ? "lacks"
	    : e->kind == ERR_CORRUPT	? "damaged"
					: "refused";
}

static void
on_want(struct giver *g, const json_t *m)
{
	struct err e = ERR_INIT;
	struct give *one;
	uint64_t body;

	if (json_need_u64(m, "body", &body, NULL) == -1 ||
	    body >> BODY_JOURNAL_SHIFT != HEAL_JOURNAL || find(g, body) != NULL)
		return;
	if (g->count >= HEAL_GIVES_MAX || !may_ask(g)) {
		say(g, body, "busy", NULL);
		return;
	}
	one = mem_zalloc(sizeof(*one));
	one->body = body;
	one->heard_us = clock_boot_us();
	if (read_want(g, one, m, &e) == 0 && is_too_often(g, one))
		(void)err_set(&e, ERR_REFUSED,
		    "it was asked for too often; try again in some minutes");
	if (e.kind != ERR_NONE) {
		say(g, body, word_of(&e), e.text);
		free(one);
		return;
	}
	one->next = g->gives;
	g->gives = one;
	g->count++;
	say(g, body, "looking", NULL);
	(void)queue_put(g->todo, one);
}

static void
on_given(struct giver *g, const json_t *m)
{
	const char *what;
	uint64_t body, offset;
	struct give *one;

	if (json_need_u64(m, "body", &body, NULL) == -1 ||
	    json_need_str(m, "what", &what, NULL) == -1 ||
	    json_need_u64(m, "offset", &offset, NULL) == -1)
		return;
	one = find(g, body);
	if (one == NULL || one->state == GIVE_LOOKED_AT)
		return;
	one->heard_us = clock_boot_us();
	if (strcmp(what, "wanted") == 0 && one->state == GIVE_OFFERED &&
	    offset < one->bytes) {
		one->at = one->kept = offset;
		one->state = GIVE_SENDING;
	} else if (strcmp(what, "part") == 0) {
		if (offset <= one->at && offset > one->kept)
			one->kept = offset;
	} else {
		if (strcmp(what, "done") == 0)
			g->given++;
		drop(g, one);
	}
}

bool
giver_message(struct giver *g, const char *what, const json_t *m)
{
	if (strcmp(what, "want") == 0)
		on_want(g, m);
	else if (strcmp(what, "given") == 0)
		on_given(g, m);
	else
		return false;
	return true;
}

/* ---- sending ---- */

static void
offer(struct giver *g, struct give *one)
{
	json_t *m;

	if (one->err.kind != ERR_NONE) {
		if (one->err.kind == ERR_CORRUPT)
			log_event(LOG_LEVEL_ERROR, "damage_found",
			    one->err.text, "cluster", one->lineage.cluster,
			    "object", one->name, NULL);
		say(g, one->body, word_of(&one->err), one->err.text);
		drop(g, one);
		return;
	}
	m = courier_message("give", HEAL_JOURNAL);
	json_set_u64(m, "body", one->body);
	json_set_str(m, "what", "offer");
	json_set_u64(m, "bytes", one->bytes);
	json_set_hex(m, "sha256", one->sha256, SHA256_BYTES);
	courier_send(g->courier, m);
	one->state = GIVE_OFFERED;
	one->heard_us = clock_boot_us();
}

static struct give *
sending(const struct giver *g)
{
	struct give *one, *found = NULL;
	uint64_t flying = 0;

	for (one = g->gives; one != NULL; one = one->next) {
		flying += one->at - one->kept;
		if (one->state == GIVE_SENDING)
			found = one;
	}
	return flying < HEAL_GIVE_WINDOW ? found : NULL;
}

bool
giver_tick(struct giver *g, int64_t now_us)
{
	struct give *one, *next;

	while ((one = queue_try_get(g->done)) != NULL)
		offer(g, one);
	for (one = g->gives; one != NULL; one = next) {
		next = one->next;
		if (one->state != GIVE_LOOKED_AT &&
		    now_us - one->heard_us > FORGOTTEN_US)
			drop(g, one);
	}
	return sending(g) != NULL;
}

bool
giver_next_chunk(struct giver *g, struct link_chunk *c)
{
	struct give *one = sending(g);
	size_t len = LINK_CHUNK_MAX;
	struct err e = ERR_INIT;

	if (one == NULL)
		return false;
	if (g->chunk == NULL)
		g->chunk = mem_alloc(LINK_CHUNK_MAX);
	if (one->bytes - one->at < len)
		len = (size_t)(one->bytes - one->at);
	if (store_pread(one->reader, g->chunk, len, one->at, &e) == -1) {
		say(g, one->body, "damaged", e.text);
		drop(g, one);
		return false;
	}
	*c = (struct link_chunk){ one->body, one->at, g->chunk, len };
	one->at += len;
	g->sent_bytes += len;
	if (one->at == one->bytes)
		one->state = GIVE_SENT;
	return true;
}

void
giver_status(const struct giver *g, json_t *out)
{
	json_set_u64(out, "giving", g->count);
	json_set_u64(out, "given", g->given);
	json_set_u64(out, "given_bytes", g->sent_bytes);
}
