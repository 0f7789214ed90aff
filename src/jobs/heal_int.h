#ifndef JOBS_HEAL_INT_H
#define JOBS_HEAL_INT_H

/*
 * heal_int: between heal_commit and heal_vouch.
 */

#include <stdbool.h>
#include <string.h>

#include "base/json.h"
#include "repo/objects.h"
#include "repo/repo.h"

/* One object on its way to its place. */
struct healing {
	const struct lineage *l;
	const struct settings *settings;
	const char *peer, *staging;
	const uint8_t *sha256;
	const json_t *list; /* of damage */
	enum object_kind kind;
	char name[STORE_KEY_BYTES]; /* here: "withdrawn/ID" for a backup's */
	/* What was there. */
	bool existed;
	bool copied; /* it is where it was, a copy is aside */
	uint8_t old_sha256[SHA256_BYTES];
	char aside[STORE_KEY_BYTES];
};

static inline const char *
heal_base_of(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash == NULL ? name : slash + 1;
}

static inline struct store *
heal_store_of(const struct healing *h)
{
	return repo_store(h->l->repo);
}

/* Is what is staged what was here?  ERR_CORRUPT, ERR_REFUSED: nobody says so. */
int heal_vouch(const struct healing *h, struct err *e);

#endif /* !JOBS_HEAL_INT_H */
