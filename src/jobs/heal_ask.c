/*
 * heal_ask: what is damaged or missing here is asked for from the other site.
 *
 * The list of damage (damage.h) says what; a few objects of one lineage are on
 * their way at a time, roots and histories before what they lead to.  Of several
 * sites one is asked at a time: the list says which.
 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/damage.h"
#include "jobs/heal.h"
#include "jobs/heal_check.h"
#include "jobs/keeper.h"

#define SCAN_US	   CLOCK_SECOND_US
#define SILENT_US  (30 * CLOCK_SECOND_US)  /* no word at all */
#define STUCK_US   (900 * CLOCK_SECOND_US) /* no word since it looks, or sends */
#define CLAIM_US   (120 * CLOCK_SECOND_US) /* that another courier has on it */
#define KIND_BYTES 16

struct ask {
	uint64_t body; /* 0: none */
	char name[STORE_KEY_BYTES];
	int64_t heard_us;
	bool answered;
	bool has_sha256;
	uint8_t sha256[SHA256_BYTES];
	uint64_t bytes, arrived;
	/* It is not to be had from there; to be written down: */
	char answer[KIND_BYTES], why[200]; /* "": none */
};

struct asker {
	struct courier *courier;
	struct keeper
	    *keeper; /* of the lineage that is healed now; NULL none */
	const struct cluster_settings *cluster;
	struct lineage lineage;
	struct ask asks[HEAL_ASKS_MAX];
	uint64_t bodies;
	int64_t scan_us;
	uint64_t healed, bytes; /* of this session */
	size_t wanted;		/* of all clusters, at the last look */
};

struct asker *
asker_new(struct courier *c)
{
	struct asker *a = mem_zalloc(sizeof(*a));

	a->courier = c;
	return a;
}

void
asker_free(struct asker *a)
{
	if (a == NULL)
		return;
	keeper_free(a->keeper);
	free(a);
}

static const char *
peer_of(const struct asker *a)
{
	return courier_peer(a->courier)->name;
}

static struct ask *
find(struct asker *a, uint64_t body)
{
	size_t i;

	for (i = 0; body != 0 && i < HEAL_ASKS_MAX; i++)
		if (a->asks[i].body == body)
			return &a->asks[i];
	return NULL;
}

static struct ask *
find_name(struct asker *a, const char *name)
{
	size_t i;

	for (i = 0; i < HEAL_ASKS_MAX; i++)
		if (a->asks[i].body != 0 && strcmp(a->asks[i].name, name) == 0)
			return &a->asks[i];
	return NULL;
}

static bool
is_idle(const struct asker *a)
{
	size_t i;

	for (i = 0; i < HEAL_ASKS_MAX; i++)
		if (a->asks[i].body != 0)
			return false;
	return true;
}

static void
tell_answer(const struct asker *a, const struct ask *k)
{
	log_event(LOG_LEVEL_WARNING, "heal_refused",
	    "a damaged object was not healed by the other site", "cluster",
	    a->cluster->name, "object", k->name, "peer", peer_of(a), "answer",
	    k->answer, "why", k->why, NULL);
}

/* The other site cannot help with it, since; false: the list is locked. */
static bool
note_answer(struct asker *a, const struct ask *k)
{
	AUTO_DAMAGE struct damage d = { .lock = -1 };
	json_t *item, *answers, *one;
	struct err e = ERR_INIT;

	if (damage_open(&d, courier_settings(a->courier), a->cluster->name,
		false, &e) == -1)
		return e.kind != ERR_TRANSIENT;
	item = damage_find(d.json, a->lineage.name, k->name);
	if (item == NULL)
		return true;
	answers = json_object_get(item, "answers");
	if (answers == NULL) {
		answers = json_object();
		(void)json_object_set_new(item, "answers", answers);
	}
	one = json_object();
	json_set_str(one, "what", k->answer);
	json_set_str(one, "why", k->why);
	json_set_u64(one, "us", (uint64_t)clock_now_us());
	(void)json_object_set_new(answers, peer_of(a), one);
	(void)json_object_del(item, "asked");
	if (damage_save(&d, &e) == -1)
		log_error("heal_failed", &e);
	tell_answer(a, k);
	return true;
}

static void
try_to_note(struct asker *a, struct ask *k)
{
	if (!note_answer(a, k))
		return; /* with the next tick */
	k->body = 0;
	a->scan_us = 0;
}

/* Words of the other site, or our own. */
static void
give_up(struct asker *a, struct ask *k, const char *what, const char *why)
{
	(void)snprintf(k->answer, sizeof(k->answer), "%s", what);
	(void)snprintf(k->why, sizeof(k->why), "%s", why);
	try_to_note(a, k);
}

static void
say_given(struct asker *a, uint64_t body, const char *what, uint64_t offset)
{
	json_t *m = courier_message("given", HEAL_JOURNAL);

	json_set_u64(m, "body", body);
	json_set_str(m, "what", what);
	json_set_u64(m, "offset", offset);
	courier_send(a->courier, m);
}

/* ---- messages ---- */

static void
on_offer(struct asker *a, struct ask *k, const json_t *m)
{
	uint8_t sha256[SHA256_BYTES];
	const char *wire = k->name;
	char backup[64];

	if (json_need_u64(m, "bytes", &k->bytes, NULL) == -1 ||
	    json_need_hex(m, "sha256", sha256, sizeof(sha256), NULL) == -1 ||
	    (k->has_sha256 && memcmp(sha256, k->sha256, SHA256_BYTES) != 0)) {
		say_given(a, k->body, "no", 0);
		give_up(a, k, "damaged", "it has other bytes there, too");
		return;
	}
	if (strncmp(wire, "withdrawn/", 10) == 0) {
		(void)snprintf(
		    backup, sizeof(backup), "backups/%.40s", wire + 10);
		wire = backup;
	}
	keeper_offer(a->keeper, k->body, wire, k->bytes, sha256);
}

static void
on_give(struct asker *a, const json_t *m)
{
	const char *why = json_string_value(json_object_get(m, "why"));
	char what[KIND_BYTES];
	uint64_t body;
	struct ask *k;

	if (json_need_u64(m, "body", &body, NULL) == -1 ||
	    json_need_text(m, "what", what, sizeof(what), NULL) == -1)
		return;
	k = find(a, body);
	if (k == NULL || k->answer[0] != '\0')
		return;
	k->heard_us = clock_boot_us();
	if (strcmp(what, "looking") == 0) {
		k->answered = true;
	} else if (strcmp(what, "busy") == 0) {
		k->body = 0; /* ask again with the next look */
	} else if (strcmp(what, "offer") == 0) {
		if (k->answered && k->bytes != 0)
			return; /* once is enough */
		k->answered = true;
		on_offer(a, k, m);
	} else {
		give_up(a, k, what, why == NULL ? what : why);
	}
}

bool
asker_message(struct asker *a, const char *what, const json_t *m)
{
	if (strcmp(what, "give") != 0)
		return false;
	on_give(a, m);
	return true;
}

int
asker_chunk(struct asker *a, const struct link_chunk *c, struct err *e)
{
	if (find(a, c->stream) == NULL)
		return 0;
	return keeper_chunk(
		   a->keeper, c->stream, c->offset, c->data, c->len, e) == -1
	    ? -1
	    : 1;
}

/* ---- what becomes of them ---- */

static void
on_kept(struct asker *a, const struct keeper_result *r)
{
	struct ask *k = find(a, r->body);

	if (k == NULL || k->answer[0] != '\0')
		return;
	k->heard_us = clock_boot_us();
	switch (r->what) {
	case KEPT_WANTED:
		k->arrived = r->offset;
		say_given(a, k->body, "wanted", r->offset);
		break;
	case KEPT_PART:
		a->bytes += r->offset - k->arrived;
		k->arrived = r->offset;
		say_given(a, k->body, "part", r->offset);
		break;
	case KEPT_DONE:
		say_given(a, k->body, "done", r->offset);
		a->healed++;
		k->body = 0;
		a->scan_us = 0;
		break;
	case KEPT_NOT_YET: /* the list was locked */
		say_given(a, k->body, "no", 0);
		k->body = 0;
		break;
	case KEPT_NO_ROOM:
	case KEPT_REFUSED:
	case KEPT_DAMAGED:
		say_given(a, k->body, "no", 0);
		give_up(a, k,
		    r->what == KEPT_NO_ROOM	  ? "no_room"
			: r->what == KEPT_REFUSED ? "refused"
						  : "damaged",
		    r->err.text);
		break;
	}
}

static void
look_at_time(struct asker *a, int64_t now_us)
{
	size_t i;

	for (i = 0; i < HEAL_ASKS_MAX; i++) {
		struct ask *k = &a->asks[i];

		if (k->body != 0 && k->answer[0] != '\0') {
			try_to_note(a, k);
			continue;
		}
		if (k->body == 0 ||
		    now_us - k->heard_us < (k->answered ? STUCK_US : SILENT_US))
			continue;
		say_given(a, k->body, "no", 0);
		give_up(a, k, "silent",
		    k->answered ? "the other site does not go on"
				: "the other site does not answer: perhaps its "
				  "release cannot heal");
	}
}

/* ---- what is wanted ---- */

/* Who leads to others comes first. */
static int
rank_of(const char *name)
{
	return strncmp(name, "backups/", 8) == 0 ||
		strncmp(name, "withdrawn/", 10) == 0 ||
		strstr(name, ".history") != NULL
	    ? 0
	    : 1;
}

static bool
is_claimed(const struct asker *a, const json_t *item, int64_t now_us)
{
	const json_t *asked = json_object_get(item, "asked");
	const char *peer = json_string_value(json_object_get(asked, "peer"));
	int64_t us = json_get_int(asked, "us");

	return peer != NULL && strcmp(peer, peer_of(a)) != 0 &&
	    now_us - us < CLAIM_US && us <= now_us;
}

/* Take the lineage of an item, when nothing is on its way of another one. */
static bool
take_lineage(
    struct asker *a, const struct cluster_settings *c, const char *lineage)
{
	struct err e = ERR_INIT;
	struct lineage l;

	if (a->keeper != NULL && a->cluster == c &&
	    strcmp(a->lineage.name, lineage) == 0)
		return true;
	if (!is_idle(a))
		return false;
	if (lineage_open(courier_repo(a->courier), c->name, lineage, &l, &e) ==
	    -1) {
		log_error("heal_failed", &e);
		return false;
	}
	keeper_free(a->keeper);
	a->lineage = l;
	a->cluster = c;
	a->keeper = keeper_new(&a->lineage, peer_of(a),
	    courier_room(a->courier), courier_wake, a->courier);
	keeper_heal(a->keeper, courier_settings(a->courier));
	return true;
}

static void
ask_for(struct asker *a, struct ask *k, json_t *item, const char *name)
{
	json_t *m = courier_message("want", HEAL_JOURNAL), *asked;
	const char *sha256 = json_string_value(json_object_get(item, "sha256"));

	(void)memset(k, 0, sizeof(*k));
	k->body = HEAL_JOURNAL << BODY_JOURNAL_SHIFT | ++a->bodies;
	(void)snprintf(k->name, sizeof(k->name), "%s", name);
	k->heard_us = clock_boot_us();
	k->has_sha256 = json_need_hex(item, "sha256", k->sha256,
			    sizeof(k->sha256), NULL) == 0;
	json_set_u64(m, "body", k->body);
	json_set_str(m, "cluster", a->cluster->name);
	json_set_str(m, "lineage", a->lineage.name);
	json_set_str(m, "name", name);
	if (sha256 != NULL)
		json_set_str(m, "sha256", sha256);
	courier_send(a->courier, m);
	asked = json_object();
	json_set_str(asked, "peer", peer_of(a));
	json_set_u64(asked, "us", (uint64_t)clock_now_us());
	(void)json_object_set_new(item, "asked", asked);
}

static struct ask *
free_ask(struct asker *a)
{
	size_t i;

	for (i = 0; i < HEAL_ASKS_MAX; i++)
		if (a->asks[i].body == 0)
			return &a->asks[i];
	return NULL;
}

/* Is it to be asked for from this site now? */
static bool
is_for_us(struct asker *a, const json_t *item, int rank, int64_t now_us)
{
	const char *name = json_string_value(json_object_get(item, "name"));
	const char *lineage =
	    json_string_value(json_object_get(item, "lineage"));

	return name != NULL && lineage != NULL && rank_of(name) == rank &&
	    strlen(name) < STORE_KEY_BYTES &&
	    damage_answer(item, peer_of(a)) == NULL &&
	    !is_claimed(a, item, now_us) && find_name(a, name) == NULL;
}

/* true when something was asked for. */
static bool
ask_of(struct asker *a, const struct cluster_settings *c, json_t *list)
{
	json_t *items = json_object_get(list, "items"), *item;
	int64_t now_us = clock_now_us();
	struct ask *k;
	bool asked = false;
	size_t i;
	int rank;

	for (rank = 0; rank < 2; rank++)
		json_array_foreach(items, i, item)
		{
			if ((k = free_ask(a)) == NULL)
				return asked;
			if (!is_for_us(a, item, rank, now_us) ||
			    !take_lineage(a, c,
				json_string_value(
				    json_object_get(item, "lineage"))))
				continue;
			ask_for(a, k, item,
			    json_string_value(json_object_get(item, "name")));
			asked = true;
		}
	return asked;
}

static void
look_at(struct asker *a, const struct cluster_settings *c)
{
	AUTO_JSON json_t *seen =
	    damage_read(courier_settings(a->courier), c->name);
	AUTO_DAMAGE struct damage d = { .lock = -1 };
	struct err e = ERR_INIT;

	a->wanted += json_array_size(json_object_get(seen, "items"));
	if (json_array_size(json_object_get(seen, "items")) == 0 ||
	    free_ask(a) == NULL)
		return;
	if (damage_open(
		&d, courier_settings(a->courier), c->name, false, NULL) == -1)
		return; /* with the next look */
	if (ask_of(a, c, d.json) && damage_save(&d, &e) == -1)
		log_error("heal_failed", &e);
}

void
asker_tick(struct asker *a, int64_t now_us)
{
	const struct settings *s = courier_settings(a->courier);
	struct keeper_result r;
	size_t i;

	while (a->keeper != NULL && keeper_result(a->keeper, &r))
		on_kept(a, &r);
	look_at_time(a, now_us);
	if (now_us - a->scan_us < SCAN_US)
		return;
	a->scan_us = now_us;
	a->wanted = 0;
	for (i = 0; i < s->cluster_count; i++)
		if (damage_shared(&s->clusters[i], peer_of(a)))
			look_at(a, &s->clusters[i]);
	if (a->wanted == 0 && a->keeper != NULL && is_idle(a))
		keeper_free(steal_ptr(&a->keeper));
}

void
asker_status(const struct asker *a, json_t *out)
{
	uint64_t coming = 0, arrived = 0;
	size_t i, asked = 0;

	for (i = 0; i < HEAL_ASKS_MAX; i++)
		if (a->asks[i].body != 0) {
			asked++;
			coming += a->asks[i].bytes;
			arrived += a->asks[i].arrived;
		}
	json_set_u64(out, "wanted", a->wanted);
	json_set_u64(out, "asked", asked);
	json_set_u64(out, "coming_bytes", coming);
	json_set_u64(out, "arrived_bytes", arrived);
	json_set_u64(out, "healed", a->healed);
}
