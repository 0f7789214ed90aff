/*
 * restore_plan: is everything there, how much is it, how long will it take?
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "jobs/restore_job.h"

/* Until a restore was measured here: slow disks. */
#define RATE_DEFAULT	 ((uint64_t)150 << 20)
#define REPLAY_RATE	 ((uint64_t)100 << 20)
#define RATE_LEAST_BYTES ((uint64_t)64 << 20) /* less says nothing */
#define RATE_FILE	 "restore.rate"

static int
rate_path(const struct restore *r, char **path, struct err *e)
{
	AUTO_FREE char *folder =
	    file_join(r->settings->state_dir, r->cluster->name);

	*path = file_join(folder, RATE_FILE);
	return file_mkdirs_at(AT_FDCWD, folder, 0700, e);
}

/* Bytes a second of the last restore; not knowing is no failure. */
static uint64_t
known_rate(const struct restore *r)
{
	AUTO_FREE char *path = NULL;
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_JSON json_t *j = NULL;
	struct err e = ERR_INIT;
	uint64_t rate;

	if (rate_path(r, &path, &e) == -1 ||
	    file_slurp_at(AT_FDCWD, path, 4096, &text, &e) == -1)
		return RATE_DEFAULT;
	j = json_parse(text.data, text.len, path, &e);
	if (j == NULL || json_need_u64(j, "bytes_per_s", &rate, &e) == -1 ||
	    rate == 0)
		return RATE_DEFAULT;
	return rate;
}

void
restore_remember_rate(
    const struct restore *r, uint64_t bytes, int64_t elapsed_us)
{
	AUTO_FREE char *path = NULL;
	AUTO_BUF struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	if (bytes < RATE_LEAST_BYTES || elapsed_us <= 0)
		return;
	buf_printf(&text, "{\"bytes_per_s\":%llu}\n",
	    (unsigned long long)((double)bytes * 1e6 / (double)elapsed_us));
	if (rate_path(r, &path, &e) == 0)
		(void)file_publish_at(AT_FDCWD, path, text.data, text.len, 0600,
		    FILE_REPLACE, &e);
}

/* Every pack that the backup needs, whole as far as its length tells. */
static int
check_packs(struct restore *r, struct err *e)
{
	struct store *store = repo_store(r->repo);
	const struct root *root = &r->root;
	char key[STORE_KEY_BYTES];
	struct store_info info;
	size_t i;

	for (i = 0; i < root->pack_count; i++) {
		const struct root_pack *p = &root->packs[i];

		if (store_stat(store, pack_key(&r->lineage, p->id, key), &info,
			e) == -1)
			return -1;
		if (!info.exists || info.bytes != p->bytes) {
			(void)err_set(e, ERR_CORRUPT,
			    "pack \"%s\" of backup \"%s\" is %s", p->id,
			    root->id, info.exists ? "cut off" : "missing");
			return err_hint(e,
			    "Restore another backup with --backup, and see "
			    "what else is damaged with \"pgkura verify %s\".",
			    r->cluster->name);
		}
		if (p->blocks > 0)
			r->result->read_bytes += (uint64_t)((double)p->bytes *
			    (double)p->live / (double)p->blocks);
	}
	return 0;
}

int
restore_plan(struct restore *r, struct err *e)
{
	struct restore_result *result = r->result;
	const struct target *t = &result->target;

	result->files = r->root.files;
	result->bytes = r->root.bytes;
	result->read_bytes = 0;
	result->wal_bytes = t->wal_to_lsn - t->wal_from_lsn;
	result->estimate_us =
	    (int64_t)((double)result->bytes * 1e6 / (double)known_rate(r) +
		(double)result->wal_bytes * 1e6 / (double)REPLAY_RATE);
	return check_packs(r, e);
}
