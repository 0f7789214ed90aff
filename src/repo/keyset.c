#include "repo/keyset.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "repo/repo.h"

#define KEY_FILE_MAX ((size_t)1 << 16)

void
keyset_free(struct keyset *k)
{
	free(k->keys);
	*k = (struct keyset){ 0 };
}

void
keyset_name(const uint8_t key[SIGN_PUBLIC_BYTES], char out[KEY_NAME_BYTES])
{
	uint8_t digest[SHA256_BYTES];

	sha256_of(key, SIGN_PUBLIC_BYTES, digest);
	hex_encode(digest, KEY_NAME_HASH, out);
}

bool
keyset_has(const struct keyset *k, const uint8_t public_key[SIGN_PUBLIC_BYTES])
{
	size_t i;

	for (i = 0; i < k->count; i++)
		if (memcmp(k->keys[i], public_key, SIGN_PUBLIC_BYTES) == 0)
			return true;
	return false;
}

const uint8_t *
keyset_find(const struct keyset *k, const char *name)
{
	char one[KEY_NAME_BYTES];
	size_t i;

	for (i = 0; i < k->count; i++) {
		keyset_name(k->keys[i], one);
		if (strcmp(one, name) == 0)
			return k->keys[i];
	}
	return NULL;
}

int
keyset_read(struct keyset *k, struct store *s, const char *folder, size_t max,
    struct err *e)
{
	char name[STORE_KEY_BYTES];

	for (;;) {
		AUTO_BUF struct buf text = BUF_INIT;
		AUTO_JSON json_t *j = NULL;

		(void)snprintf(
		    name, sizeof(name), "%.400s/%zu", folder, k->count + 1);
		if (store_get(s, name, KEY_FILE_MAX, &text, e) == -1) {
			if (e->kind != ERR_NOT_FOUND)
				return -1;
			err_clear(e);
			return 0;
		}
		if (k->count == max)
			return err_set(e, ERR_CORRUPT,
			    "there are more than %zu keys in \"%s\"", max,
			    folder);
		k->keys =
		    mem_rearray(k->keys, k->count + 1, sizeof(k->keys[0]));
		if (repo_check_seal(&text, name, e) == -1)
			return -1;
		j = json_parse(text.data, text.len, name, e);
		if (j == NULL ||
		    json_need_hex(j, "ed25519", k->keys[k->count],
			SIGN_PUBLIC_BYTES, e) == -1)
			return -1;
		k->count++;
	}
}

int
keyset_add(struct keyset *k, struct store *s, const char *folder, size_t max,
    const uint8_t public_key[SIGN_PUBLIC_BYTES], const char *whose,
    struct err *e)
{
	char name[STORE_KEY_BYTES], when[CLOCK_TEXT_BYTES];

	while (!keyset_has(k, public_key)) {
		AUTO_JSON json_t *j = json_object();
		AUTO_BUF struct buf text = BUF_INIT;

		if (k->count == max)
			return err_set(e, ERR_REFUSED,
			    "\"%s\" holds %zu keys, and no more are taken",
			    folder, max);
		json_set_hex(j, "ed25519", public_key, SIGN_PUBLIC_BYTES);
		json_set_str(j, "site", whose);
		json_set_str(j, "added", clock_utc(clock_now_us(), when));
		json_write(j, &text);
		repo_seal_text(&text);
		(void)snprintf(
		    name, sizeof(name), "%.400s/%zu", folder, k->count + 1);
		if (store_put(s, name, text.data, text.len, e) == -1) {
			if (e->kind != ERR_CONFLICT)
				return -1;
			err_clear(
			    e); /* another process was first: look again */
		}
		if (keyset_read(k, s, folder, max, e) == -1)
			return -1;
	}
	return 0;
}
