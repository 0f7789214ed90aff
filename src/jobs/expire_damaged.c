/*
 * expire_damaged: bodies that have given way to whole ones (heal_commit.h) are
 * kept for the DBA to look at, for the grace time.
 */

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "jobs/expire_int.h"

/* When it was moved aside, by its name "....20261121T120000Z"; 0 unknown. */
static int64_t
aside_us(const char *name)
{
	const char *dot = strrchr(name, '.');
	struct tm tm = { 0 };
	const char *end =
	    dot == NULL ? NULL : strptime(dot + 1, "%Y%m%dT%H%M%SZ", &tm);

	return end == NULL || *end != '\0'
	    ? 0
	    : (int64_t)timegm(&tm) * CLOCK_SECOND_US;
}

int
expire_damaged(struct expiry *x, struct err *e)
{
	struct store *s = repo_store(x->lineage.repo);
	char key[STORE_KEY_BYTES];
	struct store_info info;
	char **names = NULL;
	size_t count, i;
	int rc = 0;

	if (store_list(s, lineage_key(&x->lineage, key, "damaged"), &names,
		&count, e) == -1)
		return -1;
	for (i = 0; rc == 0 && i < count; i++) {
		int64_t since_us = aside_us(names[i]);
		bool over = since_us != 0 &&
		    since_us + x->cluster->expire_grace_us <= x->now_us;

		(void)lineage_key(&x->lineage, key, "damaged/%s", names[i]);
		expire_item(x, over, mem_printf("damaged %s", names[i]), "%s",
		    over ? "it was healed, and its grace time is over"
			 : "it was healed, its grace time runs");
		if (!over || store_stat(s, key, &info, e) == -1)
			continue;
		x->result->bytes += info.bytes;
		rc = x->dry_run ? 0 : store_remove(s, key, e);
	}
	store_names_free(names);
	return rc;
}
