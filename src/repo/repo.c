/*
 * repo: making and opening a repository, its keys and signatures.
 */

#include "repo/repo.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "repo/keyset.h"

#define REPO_FILE_MAX  ((size_t)1 << 16)
#define REPO_KEYS_MAX  1000
#define SIGN_KEY_FILE  "sign.key"
#define SIGNATURE_WORD "ed25519 "

struct repo {
	struct store *store;
	char *url;
	char uuid[37];
	uint64_t block_key;
	struct sign_key *key; /* ours, NULL when only reading */
	char key_name[KEY_NAME_BYTES];
	struct keyset keys;
};

#define SEAL_LINE_BYTES (sizeof("\ncrc32c 01234567\n") - 1)

void
repo_seal_text(struct buf *document)
{
	buf_printf(document, "\ncrc32c %08x\n",
	    crc32c(0, document->data, document->len));
}

int
repo_check_seal(struct buf *document, const char *name, struct err *e)
{
	AUTO_BUF struct buf again = BUF_INIT;

	if (document->len > SEAL_LINE_BYTES) {
		buf_put(
		    &again, document->data, document->len - SEAL_LINE_BYTES);
		repo_seal_text(&again);
		if (again.len == document->len &&
		    memcmp(again.data, document->data, again.len) == 0) {
			document->len -= SEAL_LINE_BYTES;
			return 0;
		}
	}
	return err_set(
	    e, ERR_CORRUPT, "repository file \"%s\" is damaged", name);
}

static void
uuid_new(char out[37])
{
	uint8_t b[16];

	random_bytes(b, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	(void)snprintf(out, 37,
	    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x"
	    "%02x",
	    b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10],
	    b[11], b[12], b[13], b[14], b[15]);
}

int
repo_init(const char *url, struct err *e)
{
	AUTO_STORE struct store *s = store_open(url, true, e);
	AUTO_JSON json_t *j = json_object();
	AUTO_BUF struct buf text = BUF_INIT;
	char uuid[37], when[CLOCK_TEXT_BYTES];
	uint8_t key[8];

	if (s == NULL)
		return -1;
	uuid_new(uuid);
	random_bytes(key, sizeof(key));
	json_set_u64(j, "format", REPO_FORMAT);
	json_set_str(j, "uuid", uuid);
	json_set_hex(j, "block_key", key, sizeof(key));
	json_set_str(j, "created", clock_utc(clock_now_us(), when));
	json_write(j, &text);
	repo_seal_text(&text);
	if (store_put(s, "repo", text.data, text.len, e) == -1) {
		if (e != NULL && e->kind == ERR_CONFLICT)
			(void)err_set(e, ERR_CONFLICT,
			    "there is a repository at \"%s\" already", url);
		return -1;
	}
	return 0;
}

static int
read_repo_file(struct repo *r, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_JSON json_t *j = NULL;
	uint64_t format;
	uint8_t key[8];
	int i;

	if (store_get(r->store, "repo", REPO_FILE_MAX, &text, e) == -1) {
		if (e->kind == ERR_NOT_FOUND) {
			(void)err_set(e, ERR_NOT_FOUND,
			    "there is no repository at \"%s\"", r->url);
			(void)err_hint(e, "Make one with \"pgkura init\".");
		}
		return -1;
	}
	if (repo_check_seal(&text, "repo", e) == -1)
		return -1;
	j = json_parse(text.data, text.len, "repository file \"repo\"", e);
	if (j == NULL || json_need_u64(j, "format", &format, e) == -1)
		return -1;
	if (format != REPO_FORMAT)
		return err_set(e, ERR_USAGE,
		    "repository \"%s\" has format %llu, this pgkura knows %d",
		    r->url, (unsigned long long)format, REPO_FORMAT);
	if (json_need_text(j, "uuid", r->uuid, sizeof(r->uuid), e) == -1 ||
	    json_need_hex(j, "block_key", key, sizeof(key), e) == -1)
		return -1;
	r->block_key = 0;
	for (i = 0; i < 8; i++)
		r->block_key = r->block_key << 8 | key[i];
	return 0;
}

/* Read our signing key; ERR_NOT_FOUND when there is none yet. */
static int
read_sign_key(struct repo *r, const char *path, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	uint8_t secret[SIGN_SECRET_BYTES];

	if (file_slurp_at(AT_FDCWD, path, 1024, &text, e) == -1)
		return -1;
	if (text.len > 0 && text.data[text.len - 1] == '\n')
		text.len--;
	if (hex_decode(buf_str(&text), secret, sizeof(secret)) == -1) {
		(void)err_set(
		    e, ERR_CORRUPT, "signing key \"%s\" is damaged", path);
		return err_hint(e,
		    "Move it away: a new key is made and added to the "
		    "repository.");
	}
	r->key = sign_key_from_secret(secret);
	return 0;
}

/* Our signing key; made, and durable, before it is used the first time. */
static int
load_sign_key(struct repo *r, const char *state_dir, struct err *e)
{
	AUTO_FREE char *path = file_join(state_dir, SIGN_KEY_FILE);
	AUTO_SIGN_KEY struct sign_key *fresh = NULL;
	uint8_t secret[SIGN_SECRET_BYTES];
	char hex[2 * SIGN_SECRET_BYTES + 2];

	if (read_sign_key(r, path, e) == 0)
		return 0;
	if (e->kind != ERR_NOT_FOUND)
		return -1;
	fresh = sign_key_new();
	sign_key_secret(fresh, secret);
	hex_encode(secret, sizeof(secret), hex);
	hex[2 * SIGN_SECRET_BYTES] = '\n';
	hex[2 * SIGN_SECRET_BYTES + 1] = '\0';
	if (file_mkdirs_at(AT_FDCWD, state_dir, 0700, e) == -1)
		return -1;
	/* Where another process is first, its key is ours too. */
	if (file_publish_at(AT_FDCWD, path, hex, strlen(hex), 0600,
		FILE_WRITE_ONCE, e) == -1 &&
	    e->kind != ERR_CONFLICT)
		return -1;
	err_clear(e);
	return read_sign_key(r, path, e);
}

const struct keyset *
repo_keys(const struct repo *r)
{
	return &r->keys;
}

/* Our public key is among the repository's. */
static int
publish_key(struct repo *r, struct err *e)
{
	uint8_t public_key[SIGN_PUBLIC_BYTES];

	sign_key_public(r->key, public_key);
	keyset_name(public_key, r->key_name);
	return keyset_add(&r->keys, r->store, "keys", REPO_KEYS_MAX, public_key,
	    "this site", e);
}

struct repo *
repo_open(
    const char *url, const char *state_dir, bool for_writing, struct err *e)
{
	AUTO_REPO struct repo *r = mem_zalloc(sizeof(*r));

	r->url = mem_strdup(url);
	r->store = store_open(url, false, e);
	if (r->store == NULL) {
		if (e->kind == ERR_NOT_FOUND)
			(void)err_hint(e, "Make one with \"pgkura init\".");
		return NULL;
	}
	if (read_repo_file(r, e) == -1 ||
	    keyset_read(&r->keys, r->store, "keys", REPO_KEYS_MAX, e) == -1)
		return NULL;
	if (for_writing &&
	    (load_sign_key(r, state_dir, e) == -1 || publish_key(r, e) == -1))
		return NULL;
	return steal_ptr(&r);
}

void
repo_close(struct repo *r)
{
	if (r == NULL)
		return;
	store_close(r->store);
	sign_key_free(r->key);
	keyset_free(&r->keys);
	free(r->url);
	free(r);
}

struct store *
repo_store(const struct repo *r)
{
	return r->store;
}

const char *
repo_url(const struct repo *r)
{
	return r->url;
}

const char *
repo_uuid(const struct repo *r)
{
	return r->uuid;
}

uint64_t
repo_block_key(const struct repo *r)
{
	return r->block_key;
}

int
repo_sign(const struct repo *r, struct buf *document, struct err *e)
{
	uint8_t signature[SIGN_SIGNATURE_BYTES];
	char hex[2 * SIGN_SIGNATURE_BYTES + 1];

	if (r->key == NULL)
		return err_set(
		    e, ERR_BUG, "repository was opened for reading only");
	if (sign_make(r->key, document->data, document->len, signature, e) ==
	    -1)
		return -1;
	hex_encode(signature, sizeof(signature), hex);
	buf_printf(document, "\n" SIGNATURE_WORD "%s %s\n", r->key_name, hex);
	return 0;
}

/* "ed25519 <name> <signature>": exactly, as one signature has one spelling. */
static bool
parse_signature(char *line, char name[KEY_NAME_BYTES],
    uint8_t signature[SIGN_SIGNATURE_BYTES])
{
	const size_t word = strlen(SIGNATURE_WORD);
	char hex[2 * SIGN_SIGNATURE_BYTES + 1], *given;

	if (strlen(line) != word + KEY_NAME_BYTES + sizeof(hex) - 1 ||
	    line[word + KEY_NAME_BYTES - 1] != ' ')
		return false;
	(void)memcpy(name, line + word, KEY_NAME_BYTES - 1);
	name[KEY_NAME_BYTES - 1] = '\0';
	given = line + word + KEY_NAME_BYTES;
	if (hex_decode(given, signature, SIGN_SIGNATURE_BYTES) == -1)
		return false;
	hex_encode(signature, SIGN_SIGNATURE_BYTES, hex);
	return strcmp(given, hex) == 0;
}

/* of: keys that vouch for it besides our own; read when they are needed. */
static int
check_signature(const struct repo *r, const struct lineage *of,
    struct buf *document, const char *name, struct err *e)
{
	AUTO_KEYSET struct keyset others = { 0 };
	uint8_t signature[SIGN_SIGNATURE_BYTES];
	char line[2 * SIGN_SIGNATURE_BYTES + 64], by[KEY_NAME_BYTES];
	const uint8_t *key;
	size_t at, len;

	if (document->len < 2 || document->data[document->len - 1] != '\n')
		return err_set(e, ERR_CORRUPT, "%s is cut off", name);
	for (at = document->len - 1; at > 0; at--)
		if (document->data[at - 1] == '\n')
			break;
	len = document->len - 1 - at;
	if (at == 0 || len >= sizeof(line))
		return err_set(e, ERR_CORRUPT, "%s has no signature", name);
	(void)memcpy(line, document->data + at, len);
	line[len] = '\0';
	if (strncmp(line, SIGNATURE_WORD, strlen(SIGNATURE_WORD)) != 0)
		return err_set(e, ERR_CORRUPT, "%s has no signature", name);
	if (!parse_signature(line, by, signature))
		return err_set(
		    e, ERR_CORRUPT, "%s has a malformed signature", name);
	key = keyset_find(&r->keys, by);
	if (key == NULL && of != NULL) {
		if (lineage_keys(of, &others, e) == -1)
			return -1;
		key = keyset_find(&others, by);
	}
	if (key == NULL)
		return err_set(e, ERR_CORRUPT,
		    "%s is signed by key %s, which does not vouch for it here",
		    name, by);
	if (!sign_check(key, document->data, at - 1, signature))
		return err_set(
		    e, ERR_CORRUPT, "signature of %s does not match", name);
	document->len = at - 1;
	return 0;
}

int
repo_check_signature(
    const struct repo *r, struct buf *document, const char *name, struct err *e)
{
	return check_signature(r, NULL, document, name, e);
}

int
lineage_check_signature(const struct lineage *l, struct buf *document,
    const char *name, struct err *e)
{
	return check_signature(l->repo, l, document, name, e);
}
