#ifndef PG_WALIMAGES_H
#define PG_WALIMAGES_H

/*
 * walimages: which of a set of blocks does some WAL make anew?
 *
 * A page that a backup copied while the server wrote it can be torn.  That is
 * harmless only if replay of the WAL from the backup's start to its stop
 * overwrites it whole: by a full-page image that is to be applied, or by a
 * record that says it initialises the page.  The caller names the blocks it
 * wonders about, feeds the records in question and asks.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "pg/walreader.h"

/* More bad blocks than this in one backup are no torn pages. */
#define WALIMAGES_MAX ((size_t)4 << 20)

struct walimages_key {
	uint32_t tablespace, database, relation;
	uint8_t fork;
	uint32_t block;
};

struct walimages;

/* An empty set.  Never NULL. */
struct walimages *walimages_new(void);
void walimages_free(struct walimages *w);
AUTO_DEFINE(struct walimages, walimages_free);
#define AUTO_WALIMAGES AUTO(walimages_free_auto)

/*
 * Add a block, not restored so far; one that is there already stays as it is.
 * ERR_CORRUPT when the set has WALIMAGES_MAX blocks.
 */
int walimages_want(
    struct walimages *w, const struct walimages_key *key, struct err *e);

/* A walreader_on_record: arg is the struct walimages.  Always 0. */
int
walimages_on_record(void *arg, const struct walreader_record *r, struct err *e);

/* Is this block in the set and has a record since restored it? */
bool
walimages_restored(const struct walimages *w, const struct walimages_key *key);

size_t walimages_count(const struct walimages *w);
/* Of those, how many have been restored: all, when it equals the count. */
size_t walimages_restored_count(const struct walimages *w);

#endif /* !PG_WALIMAGES_H */
