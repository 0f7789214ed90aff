/*
 * expire_packs: packs that nobody needs any more.
 */

#include <string.h>

#include "base/child.h"
#include "base/mem.h"
#include "jobs/expire_int.h"

/* Does a pack belong to a backup that was cut off and may be resumed? */
static bool
of_intent(const struct expiry *x, const char *pack_id)
{
	size_t i, len;

	for (i = 0; i < x->intent_count; i++) {
		len = strlen(x->intents[i].id);
		if (strncmp(x->intents[i].id, pack_id, len) == 0 &&
		    (intent_is_alive(&x->intents[i]) ||
			expire_is_fresh(x, &x->intents[i])))
			return true;
	}
	return false;
}

static int
judge_pack(struct expiry *x, const char *id, struct err *e)
{
	struct store *s = repo_store(x->lineage.repo);
	char key[STORE_KEY_BYTES];
	const char *why = strmap_get(x->packs, id);
	struct store_info info;

	if (why != NULL) {
		expire_item(
		    x, false, mem_printf("pack %s", id), "needed by %s", why);
		return 0;
	}
	if (of_intent(x, id)) {
		expire_item(x, false, mem_printf("pack %s", id),
		    "of an interrupted backup that may be resumed");
		return 0;
	}
	if (store_stat(s, pack_key(&x->lineage, id, key), &info, e) == -1)
		return -1;
	if (!info.exists)
		return 0;
	if (info.mtime_us + expire_protect_us(x) > x->now_us) {
		expire_item(x, false, mem_printf("pack %s", id),
		    "what another site sent is protected");
		return 0;
	}
	if (info.mtime_us + x->cluster->expire_grace_us > x->now_us) {
		expire_item(x, false, mem_printf("pack %s", id),
		    "nobody needs it, its grace time runs");
		return 0;
	}
	expire_item(x, true, mem_printf("pack %s", id), "nobody needs it");
	x->result->packs++;
	x->result->bytes += info.bytes;
	return x->dry_run ? 0 : store_remove(s, key, e);
}

int
expire_packs(struct expiry *x, struct err *e)
{
	struct store *s = repo_store(x->lineage.repo);
	char key[STORE_KEY_BYTES];
	unsigned int folder;
	size_t count, i;
	int rc = 0;

	for (folder = 0; rc == 0 && folder < 256; folder++) {
		char **ids = NULL;

		(void)lineage_key(&x->lineage, key, "packs/%02x", folder);
		if (store_list(s, key, &ids, &count, e) == -1)
			return -1;
		for (i = 0; rc == 0 && i < count; i++)
			rc = judge_pack(x, ids[i], e);
		store_names_free(ids);
		if (rc == 0 && !x->dry_run)
			rc = store_sweep(s, key, e);
		if (rc == 0)
			rc = child_check_stop(e);
	}
	return rc;
}
