#ifndef REPO_KEYSET_H
#define REPO_KEYSET_H

/*
 * keyset: public signing keys in a folder of a repository, as numbered
 * write-once files N = 1, 2, 3, ... without a hole.
 *
 *	keys/N				of this site: vouch for all that is here
 *	<cluster>/<lineage>/keys/N	came with the lineage from another site:
 *					vouch for what is in it and nothing else
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "codec/sign.h"
#include "store/store.h"

#define KEY_NAME_HASH  8 /* bytes of its SHA-256 that name a key */
#define KEY_NAME_BYTES (2 * KEY_NAME_HASH + 1)

struct keyset {
	uint8_t (*keys)[SIGN_PUBLIC_BYTES]; /* N is keys[N - 1] */
	size_t count;
};

void keyset_free(struct keyset *k);
#define AUTO_KEYSET __attribute__((__cleanup__(keyset_free)))

/* A key has the same name in every repository that knows it. */
void
keyset_name(const uint8_t key[SIGN_PUBLIC_BYTES], char out[KEY_NAME_BYTES]);
bool
keyset_has(const struct keyset *k, const uint8_t public_key[SIGN_PUBLIC_BYTES]);
/* NULL when there is none of that name. */
const uint8_t *keyset_find(const struct keyset *k, const char *name);

/* Add those to *k that are in the folder and not yet read, at most max in
 * all: ERR_CORRUPT. */
int keyset_read(struct keyset *k, struct store *s, const char *folder,
    size_t max, struct err *e);
/* From now on that key is in the folder, as whose; ERR_REFUSED when there would
 * be more than max. */
int keyset_add(struct keyset *k, struct store *s, const char *folder,
    size_t max, const uint8_t public_key[SIGN_PUBLIC_BYTES], const char *whose,
    struct err *e);

#endif /* !REPO_KEYSET_H */
