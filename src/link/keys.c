#include "link/keys.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/file.h"
#include "codec/digest.h"
#include "conf/address.h"
#include "conf/list.h"

#define KEY_FILE      "link.key"
#define PEERS_FOLDER  "peers"
#define KEY_FILE_MAX  ((size_t)256)
#define SECRET_HEX    ((size_t)2 * SIGN_SECRET_BYTES)
#define CRC_LINE      ((size_t)13) /* "crc 89abcdef\n" */
#define ADDRESSES_MAX 16

/* ---- text ---- */

bool
peer_name_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < LINK_SITE_BYTES &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == len &&
	    isalnum((unsigned char)name[0]);
}

bool
peer_addresses_valid(const char *text)
{
	char word[ADDRESS_TEXT_BYTES];
	const char *at = text;
	struct address a;
	size_t i;

	if (strlen(text) >= PEER_ADDRESSES_BYTES ||
	    list_count(text) > ADDRESSES_MAX)
		return false;
	for (i = 0; text[i] != '\0'; i++)
		if (!isprint((unsigned char)text[i]))
			return false;
	while (list_next(&at, word, sizeof(word)))
		if (address_parse(&a, word, true, NULL) == -1)
			return false;
	return true;
}

void
peer_encode(const struct peer *p, struct buf *out)
{
	char hex[2 * SIGN_PUBLIC_BYTES + 1];
	size_t start = out->len;

	hex_encode(p->key, sizeof(p->key), hex);
	buf_printf(out,
	    "pgkura peer 1\nname %s\nkey %s\npaired %" PRId64
	    "\naddresses %s\n",
	    p->name, hex, p->paired_us, p->addresses);
	buf_printf(out, "crc %08" PRIx32 "\n",
	    crc32c(0, out->data + start, out->len - start));
	(void)buf_str(out);
}

/* The value of the line that begins with word, copied into out; *at moves
 * behind the line.  NULL when it is another line. */
static const char *
take_line(const char **at, const char *word, char *out, size_t bytes)
{
	size_t len = strlen(word);
	const char *end = strchr(*at, '\n');

	if (end == NULL || strncmp(*at, word, len) != 0 ||
	    (size_t)(end - *at) - len >= bytes)
		return NULL;
	(void)memcpy(out, *at + len, (size_t)(end - *at) - len);
	out[(size_t)(end - *at) - len] = '\0';
	*at = end + 1;
	return out;
}

static bool
decode_lines(struct peer *p, const char *text)
{
	char hex[2 * SIGN_PUBLIC_BYTES + 1], number[24], none[1];
	char *end;

	if (take_line(&text, "pgkura peer 1", none, sizeof(none)) == NULL ||
	    take_line(&text, "name ", p->name, sizeof(p->name)) == NULL ||
	    take_line(&text, "key ", hex, sizeof(hex)) == NULL ||
	    take_line(&text, "paired ", number, sizeof(number)) == NULL ||
	    take_line(&text, "addresses ", p->addresses,
		sizeof(p->addresses)) == NULL)
		return false;
	errno = 0;
	p->paired_us = strtoll(number, &end, 10);
	return errno == 0 && isdigit((unsigned char)number[0]) &&
	    *end == '\0' && peer_name_valid(p->name) &&
	    peer_addresses_valid(p->addresses) &&
	    hex_decode(hex, p->key, sizeof(p->key)) == 0;
}

int
peer_decode(struct peer *p, const void *data, size_t len, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT, again = BUF_INIT;
	struct peer made = { .paired_us = 0 };
	char crc[CRC_LINE + 1];

	if (len > PEER_FILE_MAX || len <= CRC_LINE ||
	    memchr(data, '\0', len) != NULL)
		return err_set(
		    e, ERR_CORRUPT, "a peer's file has %zu bytes", len);
	buf_put(&text, data, len);
	(void)snprintf(crc, sizeof(crc), "crc %08" PRIx32 "\n",
	    crc32c(0, data, len - CRC_LINE));
	if (strcmp(buf_str(&text) + len - CRC_LINE, crc) != 0)
		return err_set(
		    e, ERR_CORRUPT, "the checksum of a peer's file is wrong");
	/* One spelling for each value. */
	if (decode_lines(&made, buf_str(&text)))
		peer_encode(&made, &again);
	if (again.len != len || memcmp(again.data, data, len) != 0)
		return err_set(e, ERR_CORRUPT,
		    "a peer's file is not as it "
		    "is written");
	*p = made;
	return 0;
}

const char *
key_fingerprint(
    const uint8_t key[SIGN_PUBLIC_BYTES], char out[KEY_FINGERPRINT_BYTES])
{
	uint8_t sum[SHA256_BYTES];
	size_t i, len = 0;

	sha256_of(key, SIGN_PUBLIC_BYTES, sum);
	for (i = 0; i < 16; i += 2)
		len += (size_t)snprintf(out + len, KEY_FINGERPRINT_BYTES - len,
		    "%s%02x%02x", i == 0 ? "" : "-", sum[i], sum[i + 1]);
	return out;
}

/* ---- files ---- */

/* What root made in another user's folder becomes that user's. */
static int
give_to_owner(const char *path, struct err *e)
{
	AUTO_FREE char *folder = file_parent(path);
	struct stat st;

	if (geteuid() != 0)
		return 0;
	if (stat(folder, &st) == -1)
		return err_sys(e, "could not look at \"%s\"", folder);
	if (st.st_uid != 0 && lchown(path, st.st_uid, st.st_gid) == -1)
		return err_sys(e, "could not give \"%s\" to its user", path);
	return 0;
}

static int
publish(const char *path, const void *data, size_t len, enum file_publish how,
    struct err *e)
{
	AUTO_FREE char *folder = file_parent(path);
	int there = file_exists_at(AT_FDCWD, folder, e);

	if (there == -1 ||
	    (there == 0 &&
		(file_mkdirs_at(AT_FDCWD, folder, 0700, e) == -1 ||
		    give_to_owner(folder, e) == -1)) ||
	    file_publish_at(AT_FDCWD, path, data, len, 0600, how, e) == -1)
		return -1;
	return give_to_owner(path, e);
}

int
key_publish(const char *path, const void *data, size_t len, struct err *e)
{
	return publish(path, data, len, FILE_REPLACE, e);
}

static struct sign_key *
read_key(const char *path, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	uint8_t secret[SIGN_SECRET_BYTES];
	struct sign_key *key = NULL;
	size_t len;

	if (file_slurp_at(AT_FDCWD, path, KEY_FILE_MAX, &text, e) == -1)
		return NULL;
	len = text.len;
	if (len == SECRET_HEX + 1 && text.data[len - 1] == '\n') {
		text.data[len - 1] = '\0';
		if (hex_decode(
			(const char *)text.data, secret, sizeof(secret)) == 0)
			key = sign_key_from_secret(secret);
	}
	OPENSSL_cleanse(secret, sizeof(secret));
	if (len > 0)
		OPENSSL_cleanse(text.data, len);
	if (key == NULL) {
		(void)err_set(
		    e, ERR_CORRUPT, "\"%s\" does not hold a key", path);
		(void)err_hint(e,
		    "Bring the file back from a copy; or remove it, restart "
		    "pgkurad, and pair this site with all others again.");
	}
	return key;
}

static int
make_key(const char *path, struct err *e)
{
	AUTO_SIGN_KEY struct sign_key *key = sign_key_new();
	uint8_t secret[SIGN_SECRET_BYTES];
	char hex[SECRET_HEX + 2];
	struct err why = ERR_INIT;
	int rc;

	sign_key_secret(key, secret);
	hex_encode(secret, sizeof(secret), hex);
	hex[SECRET_HEX] = '\n';
	rc = publish(path, hex, SECRET_HEX + 1, FILE_WRITE_ONCE, &why);
	OPENSSL_cleanse(secret, sizeof(secret));
	OPENSSL_cleanse(hex, sizeof(hex));
	if (rc == 0 || why.kind == ERR_CONFLICT) /* another was faster */
		return 0;
	if (e != NULL)
		*e = why;
	return -1;
}

struct sign_key *
key_load(const char *state_dir, bool make, struct err *e)
{
	AUTO_FREE char *path = file_join(state_dir, KEY_FILE);
	int there = file_exists_at(AT_FDCWD, path, e);

	if (there == -1 || (there == 0 && make && make_key(path, e) == -1))
		return NULL;
	return read_key(path, e);
}

static char *
peer_path(const char *state_dir, const char *name)
{
	AUTO_FREE char *folder = file_join(state_dir, PEERS_FOLDER);

	return file_join(folder, name);
}

static int
check_name(const char *name, struct err *e)
{
	return peer_name_valid(name)
	    ? 0
	    : err_set(e, ERR_USAGE, "\"%s\" is not a site's name", name);
}

static int
not_paired(const char *name, struct err *e)
{
	(void)err_set(
	    e, ERR_NOT_FOUND, "this site is not paired with \"%s\"", name);
	return err_hint(e,
	    "Run \"pgkura site pair --invite\" at one of the two and \"pgkura "
	    "site pair HOST:PORT CODE\" at the other.");
}

int
peer_read(
    const char *state_dir, const char *name, struct peer *p, struct err *e)
{
	AUTO_FREE char *path = peer_path(state_dir, name);
	AUTO_BUF struct buf text = BUF_INIT;
	struct err why = ERR_INIT;
	struct peer made;

	if (check_name(name, e) == -1)
		return -1;
	if (file_slurp_at(AT_FDCWD, path, PEER_FILE_MAX, &text, &why) == 0 &&
	    peer_decode(&made, text.data, text.len, &why) == 0 &&
	    strcmp(made.name, name) != 0)
		(void)err_set(
		    &why, ERR_CORRUPT, "a peer's file is of \"%s\"", made.name);
	if (why.kind == ERR_NONE) {
		*p = made;
		return 0;
	}
	if (why.kind == ERR_NOT_FOUND)
		return not_paired(name, e);
	if (why.kind == ERR_CORRUPT) {
		(void)err_ctx(&why, "\"%s\"", path);
		(void)err_hint(&why, "Pair the two sites again.");
	}
	if (e != NULL)
		*e = why;
	return -1;
}

int
peer_write(const char *state_dir, const struct peer *p, struct err *e)
{
	AUTO_FREE char *path = peer_path(state_dir, p->name);
	AUTO_BUF struct buf text = BUF_INIT;

	if (check_name(p->name, e) == -1)
		return -1;
	peer_encode(p, &text);
	return key_publish(path, text.data, text.len, e);
}

int
peer_remove(const char *state_dir, const char *name, struct err *e)
{
	AUTO_FREE char *path = peer_path(state_dir, name);
	AUTO_FREE char *folder = file_parent(path);
	int there;

	if (check_name(name, e) == -1)
		return -1;
	there = file_exists_at(AT_FDCWD, path, e);
	if (there == 0)
		return err_set(e, ERR_NOT_FOUND,
		    "this site is not paired with \"%s\"", name);
	if (there == -1 || file_unlink_at(AT_FDCWD, path, e) == -1)
		return -1;
	return file_sync_dir_at(AT_FDCWD, folder, e);
}

int
peer_names(const char *state_dir, char ***names, size_t *count, struct err *e)
{
	AUTO_FREE char *folder = file_join(state_dir, PEERS_FOLDER);
	size_t i, kept = 0;

	if (file_list_at(AT_FDCWD, folder, names, count, e) == -1)
		return -1;
	for (i = 0; i < *count; i++) {
		char *name = (*names)[i];

		if (kept < PEERS_MAX && peer_name_valid(name))
			(*names)[kept++] = name;
		else
			free(name);
	}
	(*names)[kept] = NULL;
	*count = kept;
	return 0;
}
