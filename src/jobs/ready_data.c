/*
 * ready_data: backup, WAL up to now, and keys that vouch for them.
 */

#include <fcntl.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/size.h"
#include "jobs/ready_int.h"
#include "jobs/skew.h"
#include "repo/keyset.h"
#include "repo/walknown.h"

#define STATUS_MAX ((size_t)65536)
/* Clocks that differ by more make "as of a time" mean something else. */
#define SKEW_US (2 * CLOCK_SECOND_US)

static bool
open_lineage(struct ready *r)
{
	struct check *k = &r->k;
	struct err e = ERR_INIT;

	k->repo = repo_open(
	    k->settings->repository, k->settings->state_dir, false, &e);
	if (k->repo != NULL &&
	    lineage_open(k->repo, k->cluster->name, NULL, &r->lineage, &e) ==
		0) {
		r->has_lineage = true;
		return true;
	}
	check_fault(k, "repository", &e);
	return false;
}

/* The newest position can be reached: backup, packs by name, WAL, no gap. */
static void
find_target(struct ready *r)
{
	const struct target_request latest = { .kind = TARGET_LATEST };
	struct check *k = &r->k;
	char lsn[LSN_TEXT_BYTES], size[SIZE_TEXT_BYTES];
	struct err e = ERR_INIT;

	if (target_resolve(&r->lineage, &latest, &r->target, &e) == -1 ||
	    root_read(&r->lineage, r->target.backup_id, &r->root, &e) == -1) {
		check_fault(k, "position", &e);
		return;
	}
	r->has_target = true;
	check_say(k, CHECK_OK, "position", NULL,
	    "%s on timeline %u, by backup %s and %s of WAL",
	    lsn_text(r->target.stop_lsn, lsn), r->target.timeline, r->root.id,
	    size_text(r->target.wal_to_lsn > r->target.wal_from_lsn
		    ? r->target.wal_to_lsn - r->target.wal_from_lsn
		    : 0,
		size));
	if (r->root.damaged_pages > 0)
		check_say(k, CHECK_WARNING, "backup",
		    "Repair the tables at the source, then take a new backup.",
		    "%llu pages of it were damaged at the source",
		    (unsigned long long)r->root.damaged_pages);
}

/* How old is what would come up? */
static void
look_at_age(struct ready *r)
{
	int64_t target_us = r->k.cluster->rpo_target_us, skew_us, age_us;
	char age[CLOCK_TEXT_BYTES], most[CLOCK_TEXT_BYTES], peer[64];
	struct wal_known known;

	wal_known_read(&r->lineage, &known);
	if (known.server_us == 0)
		known.server_us = r->target.stop_us;
	if (known.server_us == 0) {
		check_say(&r->k, CHECK_WARNING, "age of WAL",
		    "See \"pgkura status\": is WAL received?",
		    "nothing here says how old it is");
		return;
	}
	(void)skew_of_server(r->k.settings, r->k.cluster, &skew_us, peer);
	age_us = clock_now_us() + skew_us - known.server_us;
	(void)clock_interval(age_us < 0 ? 0 : age_us, age);
	if (age_us > target_us)
		check_say(&r->k, CHECK_FAULT, "age of WAL",
		    "See \"pgkura status\": what is in the way of WAL?",
		    "up to %s would be lost, rpo_target is %s", age,
		    clock_interval(target_us, most));
	else
		check_say(&r->k, CHECK_OK, "age of WAL", NULL,
		    "%s, rpo_target is %s", age,
		    clock_interval(target_us, most));
}

static void
look_at_clock(struct ready *r)
{
	char skew[CLOCK_TEXT_BYTES], peer[64];
	int64_t us;

	if (!skew_of_server(r->k.settings, r->k.cluster, &us, peer)) {
		check_say(&r->k, CHECK_NOTE, "clocks", NULL,
		    "not compared: neither a receiver of this site nor another "
		    "site is in contact");
		return;
	}
	us = us < 0 ? -us : us;
	(void)clock_interval(us, skew);
	if (us > SKEW_US)
		check_say(&r->k, CHECK_WARNING, "clocks",
		    "Let both machines keep their time by NTP.",
		    "this machine and %s differ by %s",
		    peer[0] == '\0' ? "the server" : peer, skew);
	else
		check_say(&r->k, CHECK_OK, "clocks", NULL, "within %s of %s's",
		    skew, peer[0] == '\0' ? "the server" : peer);
}

static void
look_at_keys(struct ready *r)
{
	AUTO_FREE char *key = file_join(r->k.settings->state_dir, "sign.key");
	struct err e = ERR_INIT;

	if (file_exists_at(AT_FDCWD, key, &e) != 1)
		check_say(&r->k, CHECK_WARNING, "signing key",
		    "Take one backup or drill here: it is made then.",
		    "this site has none yet");
	else
		check_say(&r->k, CHECK_OK, "signing key", NULL,
		    "there; the repository knows %zu",
		    repo_keys(r->k.repo)->count);
}

void
ready_look_at_data(struct ready *r)
{
	if (!open_lineage(r))
		return;
	find_target(r);
	if (r->has_target)
		look_at_age(r);
	look_at_clock(r);
	look_at_keys(r);
}
