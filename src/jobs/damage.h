#ifndef JOBS_DAMAGE_H
#define JOBS_DAMAGE_H

/*
 * damage: what is damaged or missing here and is wanted from other sites:
 * <state>/<cluster>/damage.json, replaced durably, changed under the lock
 * "heal" of the cluster.
 *
 *	verify found it		-> an item
 *	a courier asks		-> asked: whom, when
 *	the other site has not	-> answers: by site
 *	it is whole here again	-> the item goes
 *
 * It may be lost: the next verification finds all of it again.
 *
 *	version		1
 *	verified_us	when it was looked for last
 *	others		of what was found then nothing can be fetched
 *	healed		objects since the last verification
 *	roots		{lineage/name: SHA-256} of backups' roots as they were
 *			when a verification found them sound
 *	items		[{lineage, name, what, bytes, sha256, wanted_us, gone,
 *			asked {peer, us}, answers {peer: {what, why, us}}}]
 *			gone: it may have been moved aside, and is wanted
 *			whether verification misses it or not
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "codec/digest.h"
#include "conf/settings.h"

/* More than so many are found again when these are whole. */
#define DAMAGE_ITEMS_MAX 4096

struct damage {
	char *path;
	json_t *json; /* the whole list, to be changed */
	int lock;
};

/* Lock the list and read it; what cannot be read is empty.  ERR_TRANSIENT when
 * another has it, with wait after some seconds. */
int damage_open(struct damage *d, const struct settings *s, const char *cluster,
    bool wait, struct err *e);
int damage_save(struct damage *d, struct err *e);
/* Without a save: nothing has changed. */
void damage_close(struct damage *d);
#define AUTO_DAMAGE AUTO(damage_close)

/* As it is now, without the lock; NULL when there is none.  The caller frees. */
json_t *damage_read(const struct settings *s, const char *cluster);

/* Borrowed, or NULL.  name is that of an object in its lineage
 * ("packs/7f/2026..."). */
json_t *damage_find(const json_t *list, const char *lineage, const char *name);
/* One more, or the same again: it is asked for anew.  sha256 of a pack, else
 * NULL; bytes 0 when unknown.  false: there are too many. */
bool damage_add(json_t *list, const char *lineage, const char *name,
    const char *what, uint64_t bytes, const uint8_t *sha256, int64_t now_us);
/* false when it was not there. */
bool damage_drop(json_t *list, const char *lineage, const char *name);

/* What a root was when it was sound; false when that is not known. */
bool damage_root(const json_t *list, const char *lineage, const char *name,
    uint8_t sha256[SHA256_BYTES]);

/* Does the cluster go to this site, or come from it?  Then they heal each
 * other. */
bool damage_shared(const struct cluster_settings *c, const char *peer);
/* Has this site said since the item was wanted that it cannot help?  NULL when
 * not; borrowed. */
const char *damage_answer(const json_t *item, const char *peer);
/* Is nobody left whom one could ask? */
bool damage_is_hopeless(const json_t *item, const struct settings *s,
    const struct cluster_settings *c);

#endif /* !JOBS_DAMAGE_H */
