#include "jobs/heal_commit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/damage.h"
#include "jobs/heal_check.h"
#include "jobs/heal_int.h"
#include "jobs/keeper_commit.h"
#include "repo/manifest.h"

#define ASIDE_TRIES 60

/* By what name the object is wanted here; false when it is not. */
static bool
find_wanted(const json_t *list, const struct lineage *l, const char *name,
    char out[STORE_KEY_BYTES])
{
	(void)snprintf(out, STORE_KEY_BYTES, "%s", name);
	if (damage_find(list, l->name, out) != NULL)
		return true;
	if (strncmp(name, "backups/", 8) != 0)
		return false;
	(void)snprintf(out, STORE_KEY_BYTES, "withdrawn/%.40s", name + 8);
	return damage_find(list, l->name, out) != NULL;
}

/* 1 whole, 0 damaged or missing, -1. */
static int
judge(const struct lineage *l, const char *name, const uint8_t *sha256,
    struct err *e)
{
	if (heal_check(l, name, sha256, e) == 0)
		return 1;
	if (e->kind != ERR_CORRUPT && e->kind != ERR_NOT_FOUND &&
	    !(e->kind == ERR_IO && e->sys_errno == EIO))
		return -1;
	err_clear(e);
	return 0;
}

/* ---- aside and in place ---- */

static bool
is_text(const struct healing *h)
{
	return h->kind == OBJECT_BACKUP || h->kind == OBJECT_MARK;
}

/* "damaged/packs_7f_2026....20261121T120000Z" */
static void
aside_name(const struct healing *h, int64_t us, char out[STORE_KEY_BYTES])
{
	time_t seconds = (time_t)(us / CLOCK_SECOND_US);
	char flat[STORE_KEY_BYTES], when[32];
	struct tm tm;
	char *p;

	(void)snprintf(flat, sizeof(flat), "%.300s", h->name);
	for (p = flat; *p != '\0'; p++)
		if (*p == '/')
			*p = '_';
	(void)strftime(
	    when, sizeof(when), "%Y%m%dT%H%M%SZ", gmtime_r(&seconds, &tm));
	(void)lineage_key(h->l, out, "damaged/%s.%s", flat, when);
}

static int
put_aside(const struct healing *h, const char *key, const struct buf *old,
    struct err *e)
{
	return h->copied
	    ? store_put(heal_store_of(h), h->aside, old->data, old->len, e)
	    : store_rename(heal_store_of(h), key, h->aside, e);
}

/*
 * Of a root and a mark, which verification would not miss, a copy goes: while a
 * root is gone, were it for a moment, expire may remove its packs.  One that
 * cannot be read moves.
 */
static int
move_aside(struct healing *h, struct err *e)
{
	AUTO_BUF struct buf old = BUF_INIT;
	char key[STORE_KEY_BYTES];
	int64_t now_us = clock_now_us();
	struct store_info info;
	uint64_t bytes;
	int i;

	(void)lineage_key(h->l, key, "%s", h->name);
	if (store_stat(heal_store_of(h), key, &info, e) == -1)
		return -1;
	h->existed = info.exists;
	if (!info.exists)
		return 0;
	if (heal_digest(h->l, h->name, h->old_sha256, &bytes, NULL) == -1)
		(void)memset(h->old_sha256, 0, SHA256_BYTES); /* unreadable */
	h->copied = is_text(h) &&
	    store_get(heal_store_of(h), key, ROOT_BYTES_MAX, &old, NULL) == 0;
	for (i = 0; i < ASIDE_TRIES; i++) {
		aside_name(h, now_us + i * CLOCK_SECOND_US, h->aside);
		if (put_aside(h, key, &old, e) == 0)
			return 0;
		if (e->kind != ERR_CONFLICT)
			return -1; /* it may have moved all the same */
		err_clear(e);	   /* in this second it was healed before */
	}
	h->existed = false; /* that one is another's */
	return err_set(e, ERR_TRANSIENT,
	    "\"%s\" was moved aside too often by now", h->name);
}

/* The step behind did not succeed: what was there is there again. */
static void
move_back(const struct healing *h)
{
	char key[STORE_KEY_BYTES];
	struct err e = ERR_INIT;

	if (h->existed && !h->copied)
		(void)store_rename(heal_store_of(h), h->aside,
		    lineage_key(h->l, key, "%s", h->name), NULL);
	else if (h->existed && judge(h->l, h->name, NULL, &e) == 0)
		(void)store_remove(heal_store_of(h), h->aside, NULL);
}

static int
put_in_place(const struct healing *h, struct err *e)
{
	char key[STORE_KEY_BYTES];

	(void)lineage_key(h->l, key, "%s", h->name);
	if (h->copied)
		return store_replace(heal_store_of(h), h->staging, key, e);
	/* What it needs may be damaged, too: that is healed next. */
	if (h->kind == OBJECT_BACKUP)
		return store_rename(heal_store_of(h), h->staging, key, e);
	return keeper_commit(h->l, h->kind, h->name, h->staging, e);
}

static void
tell(const struct healing *h)
{
	char now[SHA256_HEX_BYTES], was[SHA256_HEX_BYTES] = "";
	uint8_t sha256[SHA256_BYTES];
	char prefix[STORE_KEY_BYTES];
	uint64_t bytes;

	/* Of a segment it is stored anew here: as it lies there. */
	if (heal_digest(h->l, h->name, sha256, &bytes, NULL) == -1)
		(void)memcpy(sha256, h->sha256, SHA256_BYTES);
	sha256_hex(sha256, now);
	if (h->existed)
		sha256_hex(h->old_sha256, was);
	(void)lineage_key(h->l, prefix, "%s", "");
	log_event(LOG_LEVEL_INFO, "object_healed",
	    h->existed ? "a damaged object has given way to a whole one"
		       : "an object that was missing is here again",
	    "cluster", h->l->cluster, "object", h->name, "peer", h->peer,
	    "damaged_sha256", was, "sha256", now, "kept_as",
	    h->existed ? h->aside + strlen(prefix) : "", NULL);
}

/* ---- what a healed root needs ---- */

/* Its packs could not be looked at while nobody knew them. */
static void
want_packs(const struct healing *h, json_t *list)
{
	AUTO_ROOT struct root r;
	AUTO_BUF struct buf text = BUF_INIT;
	char key[STORE_KEY_BYTES];
	struct store_info info;
	struct err e = ERR_INIT;
	size_t i, prefix;

	root_init(&r);
	if (store_get(heal_store_of(h), lineage_key(h->l, key, "%s", h->name),
		ROOT_BYTES_MAX, &text, &e) == -1 ||
	    lineage_check_signature(h->l, &text, h->name, &e) == -1 ||
	    root_decode(&r, text.data, text.len, &e) == -1)
		return;
	(void)lineage_key(h->l, key, "%s", "");
	prefix = strlen(key);
	for (i = 0; i < r.pack_count; i++) {
		const struct root_pack *p = &r.packs[i];

		(void)pack_key(h->l, p->id, key);
		if (store_stat(heal_store_of(h), key, &info, NULL) == -1 ||
		    (info.exists && info.bytes == p->bytes))
			continue;
		(void)damage_add(list, h->l->name, key + prefix,
		    info.exists ? "it has another size than its backup says"
				: "it is missing",
		    p->bytes, p->sha256, clock_now_us());
	}
}

static void
strike_off(struct healing *h, struct damage *d, bool healed)
{
	struct err e = ERR_INIT;
	uint64_t n = 0;

	(void)damage_drop(d->json, h->l->name, h->name);
	if (healed) {
		(void)json_need_u64(d->json, "healed", &n, NULL);
		json_set_u64(d->json, "healed", n + 1);
	}
	if (healed && h->kind == OBJECT_BACKUP)
		want_packs(h, d->json);
	/* When this is lost it is asked for again, and found to be whole. */
	if (damage_save(d, &e) == -1)
		log_error("heal_failed", &e);
}

/* Verification does not miss all that is gone: were we killed from here on, it
 * is wanted all the same. */
static int
note_gone(const struct healing *h, struct damage *d, bool gone, struct err *e)
{
	json_t *item = damage_find(d->json, h->l->name, h->name);

	if (is_text(h))
		return 0;
	if (gone)
		(void)json_object_set_new(item, "gone", json_true());
	else
		(void)json_object_del(item, "gone");
	return damage_save(d, e);
}

static int
heal(struct healing *h, struct damage *d, struct err *e)
{
	uint8_t pack_sha256[SHA256_BYTES];
	int whole;

	if (h->kind == OBJECT_PACK &&
	    heal_pack_digest(h->l, heal_base_of(h->name), pack_sha256, e) == -1)
		return -1;
	whole = judge(h->l, h->name, pack_sha256, e);
	if (whole == -1)
		return -1;
	if (whole == 1) {
		strike_off(h, d, false);
		return 0;
	}
	if (heal_vouch(h, e) == -1)
		return -1;
	if (note_gone(h, d, true, e) == -1 || move_aside(h, e) == -1 ||
	    put_in_place(h, e) == -1) {
		move_back(h);
		(void)note_gone(h, d, false, NULL);
		return -1;
	}
	tell(h);
	strike_off(h, d, true);
	return 0;
}

int
heal_commit(const struct lineage *l, const struct settings *s, const char *peer,
    const char *name, const char *staging, const uint8_t sha256[SHA256_BYTES],
    struct err *e)
{
	struct healing h = { .l = l,
		.settings = s,
		.peer = peer,
		.staging = staging,
		.sha256 = sha256 };
	AUTO_DAMAGE struct damage d = { .lock = -1 };

	h.kind = heal_kind_of(name, l->facts.segment_bytes);
	if (damage_open(&d, s, l->cluster, false, e) == -1)
		return -1;
	if (!find_wanted(d.json, l, name, h.name))
		return err_set(e, ERR_REFUSED,
		    "\"%s\" is not among what is damaged here", name);
	h.list = d.json;
	return heal(&h, &d, e);
}

int
heal_is_whole(const struct lineage *l, const struct settings *s,
    const char *name, struct err *e)
{
	struct healing h = { .l = l, .settings = s };
	AUTO_DAMAGE struct damage d = { .lock = -1 };
	uint8_t sha256[SHA256_BYTES];
	int whole;

	h.kind = heal_kind_of(name, l->facts.segment_bytes);
	if (damage_open(&d, s, l->cluster, false, e) == -1)
		return -1;
	if (!find_wanted(d.json, l, name, h.name))
		return 1; /* somebody has healed it */
	if (h.kind == OBJECT_PACK &&
	    heal_pack_digest(l, heal_base_of(h.name), sha256, e) == -1)
		return -1;
	whole = judge(l, h.name, sha256, e);
	if (whole == 1)
		strike_off(&h, &d, false);
	return whole;
}
