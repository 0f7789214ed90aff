/*
 * Objects that another site sends: kept once and whole, or not at all.
 */

#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "jobs/keeper.h"
#include "repo/manifest.h"
#include "repo/objects.h"
#include "unit/wal_scratch.h"

#define FAULTS FAULT_FSYNC
#include "unit/faults.h"

static struct lineage lineage;
static char pack[STORE_KEY_BYTES]; /* with the folder that belongs to it */

static void
nothing(void *arg)
{
	(void)arg;
}

/* The next result that is no KEPT_PART. */
static struct keeper_result
result(struct keeper *k)
{
	struct keeper_result r = { 0 };
	int i;

	for (i = 0; i < 3000; i++) {
		while (keeper_result(k, &r))
			if (r.what != KEPT_PART)
				return r;
		clock_sleep_us(10000);
	}
	r.body = UINT64_MAX;
	return r;
}

static struct keeper_result
offer(struct keeper *k, uint64_t body, const char *name, const uint8_t *data,
    size_t len)
{
	uint8_t sum[SHA256_BYTES];

	sha256_of(data, len, sum);
	keeper_offer(k, body, name, len, sum);
	return result(k);
}

static void
send(struct keeper *k, uint64_t body, const uint8_t *data, size_t from,
    size_t to)
{
	struct err e = ERR_INIT;
	size_t n;

	/* From the end to the start. */
	while (to > from) {
		n = to - from < 60000 ? to - from : 60000;
		(void)keeper_chunk(k, body, to - n, data + to - n, n, &e);
		to -= n;
	}
}

static bool
holds(const char *name, const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf got = BUF_INIT;
	char key[STORE_KEY_BYTES];
	struct err e = ERR_INIT;

	return store_get(repo_store(lineage.repo),
		   lineage_key(&lineage, key, "%s", name), (size_t)1 << 30,
		   &got, &e) == 0 &&
	    got.len == len && memcmp(got.data, data, len) == 0;
}

static void
check_whole(const uint8_t *data, size_t len)
{
	AUTO_KEEPER struct keeper *k =
	    keeper_new(&lineage, "tokyo", NULL, nothing, NULL);
	struct keeper_result r = offer(k, 1, pack, data, len);

	tap_ok(r.what == KEPT_WANTED && r.offset == 0,
	    "an object that is not here is wanted (%s)", r.err.text);
	send(k, 1, data, len / 2, len);
	tap_ok(!holds(pack, data, len), "half of it has no name");
	send(k, 1, data, 0, len / 2);
	r = result(k);
	tap_ok(r.what == KEPT_DONE && holds(pack, data, len),
	    "whole, it is kept (%s)", r.err.text);
	r = offer(k, 2, pack, data, len);
	tap_ok(r.what == KEPT_DONE, "and not wanted again");
	r = offer(k, 3, pack, data, len - 1);
	tap_ok(r.what == KEPT_REFUSED && holds(pack, data, len),
	    "another of its name is refused: %s", r.err.text);
}

static void
check_resume(const uint8_t *data, size_t len)
{
	struct keeper *k = keeper_new(&lineage, "tokyo", NULL, nothing, NULL);
	struct keeper_result r;
	struct lineage nowhere = { 0 };
	char name[STORE_KEY_BYTES];

	(void)pack_key(&nowhere, "20261121T030405Z-7f3a.00013", name);
	(void)memmove(name, name + 2, strlen(name + 2) + 1);
	r = offer(k, 1, name, data, len);
	send(k, 1, data, 0, len / 3);
	keeper_free(k); /* all that came is written */
	k = keeper_new(&lineage, "tokyo", NULL, nothing, NULL);
	r = offer(k, 7, name, data, len);
	tap_ok(r.what == KEPT_WANTED && r.offset == len / 3,
	    "an interrupted one goes on at the durable byte: %llu",
	    (unsigned long long)r.offset);
	send(k, 7, data, len / 3, len);
	r = result(k);
	tap_ok(r.what == KEPT_DONE && holds(name, data, len),
	    "and is whole then (%s)", r.err.text);
	keeper_free(k);
}

/* The kernel reports what it could not write once, and forgets the bytes: what
 * came since the last sync that worked has to come again. */
static void
check_failed_sync(void)
{
	AUTO_KEEPER struct keeper *k =
	    keeper_new(&lineage, "tokyo", NULL, nothing, NULL);
	size_t len = (size_t)20 << 20;
	AUTO_FREE uint8_t *data = mem_zalloc(len);
	struct keeper_result r;
	struct lineage nowhere = { 0 };
	char name[STORE_KEY_BYTES];

	random_bytes(data, len);
	(void)pack_key(&nowhere, "20261121T030405Z-7f3a.00015", name);
	(void)memmove(name, name + 2, strlen(name + 2) + 1);
	r = offer(k, 1, name, data, len);
	faults.error = EIO;
	faults_arm(1);
	send(k, 1, data, 0, (size_t)17 << 20);
	r = result(k);
	tap_ok(faults_disarm() && r.what == KEPT_DAMAGED,
	    "a failed sync is told: %s", r.err.text);
	r = offer(k, 2, name, data, len);
	tap_ok(r.what == KEPT_WANTED && r.offset == 0,
	    "what came is wanted again, from %llu on",
	    (unsigned long long)r.offset);
	send(k, 2, data, 0, len);
	r = result(k);
	tap_ok(r.what == KEPT_DONE && holds(name, data, len),
	    "and is whole then (%s)", r.err.text);
}

static void
check_damaged(const uint8_t *data, size_t len)
{
	AUTO_KEEPER struct keeper *k =
	    keeper_new(&lineage, "tokyo", NULL, nothing, NULL);
	AUTO_FREE uint8_t *bad = mem_alloc(len);
	struct keeper_result r;
	struct lineage nowhere = { 0 };
	char name[STORE_KEY_BYTES];

	(void)memcpy(bad, data, len);
	bad[len / 2] ^= 1;
	(void)pack_key(&nowhere, "20261121T030405Z-7f3a.00014", name);
	(void)memmove(name, name + 2, strlen(name + 2) + 1);
	r = offer(k, 1, name, data, len);
	send(k, 1, bad, 0, len);
	r = result(k);
	tap_ok(r.what == KEPT_DAMAGED && !holds(name, bad, len),
	    "other bytes than announced are not kept: %s", r.err.text);
	r = offer(k, 2, name, data, len);
	tap_ok(r.what == KEPT_WANTED && r.offset == 0,
	    "and it begins anew (%llu)", (unsigned long long)r.offset);
	send(k, 2, data, 0, len);
	tap_ok(result(k).what == KEPT_DONE, "with success");
}

static void
check_names(void)
{
	static const char *const bad[] = { "", "../../etc/passwd", "cluster/0",
		"cluster/01", "packs/00/../x", "backups/x", "backups/",
		"intents/20261121T030405Z-7f3a", "wal/known", "wal/open/x",
		"wal/00000001/00000000/000000010000000100000003",
		"wal/00000001.history", "keys/1",
		"packs/00/20261121T030405Z-7f3a.00012/",
		"marks/20261121T030405Z-7f3a/0" };
	static const char *const good[] = { "cluster/1", "wal/00000002.history",
		"backups/20261121T030405Z-7f3a",
		"wal/00000001/00000000/000000010000000000000003",
		"marks/20261121T030405Z-7f3a/12" };
	AUTO_KEEPER struct keeper *k =
	    keeper_new(&lineage, "tokyo", NULL, nothing, NULL);
	struct keeper_result r;
	size_t i;

	for (i = 0; i < COUNT_OF(bad); i++) {
		r = offer(k, i + 1, bad[i], (const uint8_t *)"x", 1);
		tap_ok(r.what == KEPT_REFUSED, "\"%s\" is refused", bad[i]);
	}
	for (i = 0; i < COUNT_OF(good); i++)
		tap_ok(object_kind_of(good[i], SEGMENT_BYTES) != OBJECT_NONE,
		    "\"%s\" may come", good[i]);
	r = offer(k, 99, "backups/20261121T030405Z-7f3a",
	    (const uint8_t *)"no root", 7);
	send(k, 99, (const uint8_t *)"no root", 0, 7);
	r = result(k);
	tap_ok(r.what == KEPT_REFUSED,
	    "a backup without a signature is refused: %s", r.err.text);
}

int
main(void)
{
	AUTO_REPO struct repo *r = NULL;
	const size_t len = (size_t)3 << 20;
	AUTO_FREE uint8_t *data = mem_alloc(len);
	struct lineage nowhere = { 0 };

	(void)scratch_enter();
	r = wal_scratch_repo(&lineage);
	random_bytes(data, len);
	(void)pack_key(&nowhere, "20261121T030405Z-7f3a.00012", pack);
	(void)memmove(pack, pack + 2, strlen(pack + 2) + 1);
	check_whole(data, len);
	check_resume(data, len);
	check_failed_sync();
	check_damaged(data, len);
	check_names();
	return tap_done();
}
