/*
 * expire: remove what the retention no longer asks for.
 *
 *	backups: all but the newest keep_backups, those younger than keep_age
 *	    and the one before them, from which moments within keep_age are
 *	    restored, are withdrawn: their root moves to withdrawn/<id>, from
 *	    where it can be brought back until the grace time is over
 *	    and while a restored server may still recover from it
 *	WAL: what no backup that is kept or withdrawn can use
 *	damaged bodies that were healed: after the grace time
 *	packs: those that no root names, grace time after they were written and
 *	    never while a backup runs here
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "conf/list.h"
#include "jobs/expire_int.h"
#include "repo/waltail.h"

#define WHY_BYTES 160

void
expire_item(struct expiry *x, bool removed, char *object, const char *fmt, ...)
{
	struct expire_result *r = x->result;
	struct expire_item *i;
	va_list ap;

	r->items = mem_rearray(r->items, r->count + 1, sizeof(r->items[0]));
	i = &r->items[r->count++];
	i->object = object;
	i->removed = removed;
	va_start(ap, fmt);
	i->why = mem_vprintf(fmt, ap);
	va_end(ap);
}

void
expire_result_free(struct expire_result *r)
{
	size_t i;

	for (i = 0; i < r->count; i++) {
		free(r->items[i].object);
		free(r->items[i].why);
	}
	free(r->items);
	(void)memset(r, 0, sizeof(*r));
}

bool
expire_is_fresh(const struct expiry *x, const struct intent *i)
{
	return i->started_us + x->cluster->expire_grace_us > x->now_us;
}

/* Does it hold the backup that it names?  The process of a recovery is a
 * server, of which we know nothing: it has the grace time. */
static bool
holds(const struct expiry *x, const struct intent *i)
{
	return strcmp(i->kind, INTENT_RECOVERY) == 0 ? expire_is_fresh(x, i)
						     : intent_is_alive(i);
}

/* Who uses the backup, or NULL. */
static const char *
why_in_use(const struct expiry *x, const char *id)
{
	const char *why = NULL;
	size_t i;

	for (i = 0; i < x->intent_count; i++) {
		if (strcmp(x->intents[i].backup, id) != 0 ||
		    !holds(x, &x->intents[i]))
			continue;
		if (strcmp(x->intents[i].kind, INTENT_RECOVERY) != 0)
			return "it is in use now";
		why = "a server that was restored from it may fetch its WAL";
	}
	return why;
}

static void
need_packs(struct expiry *x, const struct root *r, const char *why)
{
	size_t i;

	for (i = 0; i < r->pack_count; i++)
		free(strmap_put(
		    x->packs, r->packs[i].id, mem_printf("%s %s", why, r->id)));
}

static void
need_wal(struct expiry *x, const struct root *r)
{
	x->starts =
	    mem_rearray(x->starts, x->start_count + 1, sizeof(x->starts[0]));
	x->starts[x->start_count++] =
	    (struct wal_span){ .timeline = r->start_timeline,
		    .start_lsn = r->start_lsn };
}

/* The root moves to withdrawn/<id>. */
static int
withdraw(struct expiry *x, const char *id, struct err *e)
{
	struct store *s = repo_store(x->lineage.repo);
	AUTO_BUF struct buf text = BUF_INIT;
	char from[STORE_KEY_BYTES], to[STORE_KEY_BYTES];

	if (x->dry_run)
		return 0;
	(void)lineage_key(&x->lineage, from, "backups/%s", id);
	(void)lineage_key(&x->lineage, to, "withdrawn/%s", id);
	if (store_get(s, from, ROOT_BYTES_MAX, &text, e) == -1)
		return -1;
	if (store_put(s, to, text.data, text.len, e) == -1) {
		if (e->kind != ERR_CONFLICT)
			return -1;
		err_clear(e); /* an expire was cut off here */
	}
	if (store_remove(s, from, e) == -1)
		return -1;
	log_event(LOG_LEVEL_INFO, "backup_withdrawn",
	    "a backup is beyond the retention", "cluster", x->cluster->name,
	    "backup", id, NULL);
	return 0;
}

static void
keep_backup(struct expiry *x, const struct root *r, const char *why)
{
	need_packs(x, r, "backup");
	need_wal(x, r);
	expire_item(x, false, mem_printf("backup %s", r->id), "%s", why);
}

int64_t
expire_protect_us(const struct expiry *x)
{
	int64_t us = 0;
	size_t i;

	for (i = 0; i < x->settings->peer_count; i++)
		if (list_has(
			x->cluster->accept_from, x->settings->peers[i].name) &&
		    x->settings->peers[i].protect_us > us)
			us = x->settings->peers[i].protect_us;
	return us;
}

static bool
is_protected(const struct expiry *x, const char *id)
{
	struct store_info info;
	char key[STORE_KEY_BYTES];

	return expire_protect_us(x) > 0 &&
	    (store_stat(repo_store(x->lineage.repo),
		 lineage_key(&x->lineage, key, "backups/%s", id), &info,
		 NULL) == -1 ||
		info.mtime_us + expire_protect_us(x) > x->now_us);
}

/* Why a backup is kept, into why; "" when it is not.  newer is how many
 * readable ones are newer. */
static const char *
why_kept(const struct expiry *x, const struct root *r, size_t newer,
    char why[WHY_BYTES])
{
	const struct cluster_settings *c = x->cluster;
	char age[CLOCK_TEXT_BYTES], text[CLOCK_TEXT_BYTES];
	char use_text[PIN_WHY_BYTES];
	const char *use;

	why[0] = '\0';
	(void)clock_interval(c->keep_age_us, text);
	if (newer < c->keep_backups || newer == 0)
		(void)snprintf(why, WHY_BYTES, "it is among the newest %u",
		    c->keep_backups);
	else if (r->finished_us + c->keep_age_us > x->now_us)
		(void)snprintf(why, WHY_BYTES, "its age is %s, kept for %s",
		    clock_interval(x->now_us - r->finished_us, age), text);
	else if (x->newer_us + c->keep_age_us > x->now_us)
		(void)snprintf(why, WHY_BYTES,
		    "moments up to %s ago are restored from it", text);
	else if (is_protected(x, r->id))
		(void)snprintf(why, WHY_BYTES,
		    "what another site sent is protected for %s",
		    clock_interval(expire_protect_us(x), text));
	else if ((use = why_in_use(x, r->id)) != NULL)
		(void)snprintf(why, WHY_BYTES, "%s", use);
	else if (pin_lacks(x->settings, c, &x->lineage, r->id,
		     x->now_us - r->finished_us, use_text))
		(void)snprintf(why, WHY_BYTES, "%s", use_text);
	return why;
}

static int
judge_backup(struct expiry *x, const char *id, size_t newer, struct err *e)
{
	AUTO_ROOT struct root r;
	char why[WHY_BYTES], age[CLOCK_TEXT_BYTES];

	if (root_read(&x->lineage, id, &r, e) == -1)
		return -1;
	if (why_kept(x, &r, newer, why)[0] != '\0') {
		keep_backup(x, &r, why);
		x->newer_us = r.finished_us;
		return 0;
	}
	expire_item(x, true, mem_printf("backup %s", id),
	    "%zu newer ones are kept, its age is %s", newer,
	    clock_interval(x->now_us - r.finished_us, age));
	x->newer_us = r.finished_us;
	x->result->backups++;
	need_packs(x, &r, "withdrawn backup");
	need_wal(x, &r);
	return withdraw(x, id, e);
}

static int
judge_backups(struct expiry *x, struct err *e)
{
	char **ids = NULL;
	size_t count, i;
	int rc = 0;

	if (backup_list(&x->lineage, &ids, &count, e) == -1)
		return -1;
	for (i = count; rc == 0 && i > 0; i--)
		rc = judge_backup(x, ids[i - 1], count - i, e);
	store_names_free(ids);
	if (rc == -1)
		(void)err_hint(e,
		    "Nothing is removed while a backup cannot be read. Look at "
		    "it with \"pgkura verify\".");
	return rc;
}

/* Withdrawn ones hold their packs and WAL for the grace time, then they go. */
static int
judge_withdrawn(struct expiry *x, struct err *e)
{
	struct store *s = repo_store(x->lineage.repo);
	char key[STORE_KEY_BYTES];
	char **ids = NULL;
	size_t count, i;
	int rc = 0;

	if (store_list(s, lineage_key(&x->lineage, key, "withdrawn"), &ids,
		&count, e) == -1)
		return -1;
	for (i = 0; rc == 0 && i < count; i++) {
		AUTO_BUF struct buf text = BUF_INIT;
		AUTO_ROOT struct root r;
		struct store_info info;
		const char *use = why_in_use(x, ids[i]);

		root_init(&r);
		(void)lineage_key(&x->lineage, key, "withdrawn/%s", ids[i]);
		if (store_stat(s, key, &info, e) == -1 ||
		    store_get(s, key, ROOT_BYTES_MAX, &text, e) == -1) {
			rc = -1;
		} else if (use == NULL &&
		    info.mtime_us + x->cluster->expire_grace_us <= x->now_us) {
			expire_item(x, true,
			    mem_printf("withdrawn backup %s", ids[i]),
			    "its grace time is over");
			if (!x->dry_run)
				rc = store_remove(s, key, e);
		} else if (lineage_check_signature(
			       &x->lineage, &text, key, e) == -1 ||
		    root_decode(&r, text.data, text.len, e) == -1) {
			rc = -1;
		} else {
			need_packs(x, &r, "withdrawn backup");
			need_wal(x, &r);
			expire_item(x, false,
			    mem_printf("withdrawn backup %s", ids[i]), "%s",
			    use != NULL ? use : "its grace time runs");
		}
	}
	store_names_free(ids);
	return rc;
}

/* What a killed process left of small objects; packs have been swept. */
static int
sweep_folders(struct expiry *x, struct err *e)
{
	static const char *const folders[] = { "backups", "withdrawn",
		"intents", "cluster", "wal", WAL_OPEN_FOLDER };
	struct store *s = repo_store(x->lineage.repo);
	char key[STORE_KEY_BYTES];
	size_t i;

	for (i = 0; !x->dry_run && i < COUNT_OF(folders); i++)
		if (store_sweep(s,
			lineage_key(&x->lineage, key, "%s", folders[i]),
			e) == -1)
			return -1;
	return 0;
}

static int
sweep_intents(struct expiry *x, struct err *e)
{
	size_t i;

	for (i = 0; !x->dry_run && i < x->intent_count; i++)
		if (!holds(x, &x->intents[i]) &&
		    !expire_is_fresh(x, &x->intents[i]) &&
		    intent_end(&x->lineage, &x->intents[i], e) == -1)
			return -1;
	return 0;
}

static int
expire_lineage(struct expiry *x, struct err *e)
{
	const char *key;
	void *value;
	size_t pos = 0;
	AUTO_FD int lock = -1;
	int rc;

	/*
	 * Packs go only while no backup runs here: its parent's must stay, and
	 * so must its own.  The lock comes first: what a backup has committed
	 * after we looked would be unknown to us.  A backup waits for it.
	 */
	lock =
	    cluster_lock(x->settings->state_dir, x->cluster->name, "packs", e);
	if (lock == -1 && e->kind != ERR_TRANSIENT)
		return -1;
	err_clear(e);
	x->packs = strmap_new();
	rc = intent_list(&x->lineage, &x->intents, &x->intent_count, e);
	if (rc == 0 &&
	    (judge_backups(x, e) == -1 || judge_withdrawn(x, e) == -1 ||
		expire_wal(x, e) == -1))
		rc = -1;
	if (rc == 0 && lock != -1)
		rc = expire_packs(x, e);
	else if (rc == 0)
		expire_item(
		    x, false, mem_strdup("packs"), "a backup is running");
	if (rc == 0 &&
	    (expire_damaged(x, e) == -1 || sweep_folders(x, e) == -1))
		rc = -1;
	if (rc == 0)
		rc = sweep_intents(x, e);
	while (strmap_next(x->packs, &pos, &key, &value))
		free(value);
	strmap_free(x->packs);
	free(x->intents);
	free(x->starts);
	return rc;
}

int
expire_run(const struct settings *s, const struct cluster_settings *c,
    bool dry_run, struct expire_result *result, struct err *e)
{
	AUTO_FD int lock = cluster_lock(s->state_dir, c->name, "expire", e);
	AUTO_REPO struct repo *r = NULL;
	char **names = NULL;
	size_t count, i;
	int rc = 0;

	(void)memset(result, 0, sizeof(*result));
	if (lock == -1)
		return -1;
	r = repo_open(s->repository, s->state_dir, false, e);
	if (r == NULL || lineage_list(r, c->name, &names, &count, e) == -1)
		return -1;
	for (i = 0; rc == 0 && i < count; i++) {
		struct expiry x = { .settings = s,
			.cluster = c,
			.dry_run = dry_run,
			.now_us = clock_now_us(),
			.result = result };

		rc = lineage_open(r, c->name, names[i], &x.lineage, e);
		if (rc == 0)
			rc = expire_lineage(&x, e);
	}
	store_names_free(names);
	return rc;
}
