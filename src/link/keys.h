#ifndef LINK_KEYS_H
#define LINK_KEYS_H

/*
 * keys: who we are on the link, and whom we know.  Small files below the state
 * directory, each written by durable replace, mode 0600:
 *
 *	link.key	our Ed25519 secret: 64 hex digits and a line feed
 *	peers/NAME	a site that we were paired with:
 *
 *		pgkura peer 1
 *		name osaka
 *		key 64 hex digits of its public key
 *		paired 1795262400000000		microseconds since 1970, UTC
 *		addresses dr.example.com:7432	where it said it listens; may be ""
 *		crc 8 hex digits: CRC-32C of all lines before
 *
 * Who runs as root leaves files of the user that the state directory belongs
 * to.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "codec/sign.h"
#include "link/link.h"

#define PEER_ADDRESSES_BYTES  512
#define PEER_FILE_MAX	      ((size_t)1024)
#define PEERS_MAX	      256
#define KEY_FINGERPRINT_BYTES 40 /* "1f3a 77b0 ... " */

struct peer {
	char name[LINK_SITE_BYTES];
	uint8_t key[SIGN_PUBLIC_BYTES];
	char addresses[PEER_ADDRESSES_BYTES];
	int64_t paired_us;
};

/* ---- pure ---- */
/* [a-z0-9][a-z0-9_.-]{0,62}: what a site may be called. */
bool peer_name_valid(const char *name);
/* "" or addresses with ports, separated by commas; the host may be "*". */
bool peer_addresses_valid(const char *text);
/* The file; behind what out holds. */
void peer_encode(const struct peer *p, struct buf *out);
/* ERR_CORRUPT, and *p untouched, for anything else than peer_encode() makes. */
int peer_decode(struct peer *p, const void *text, size_t len, struct err *e);
/* The first 16 bytes of the key's SHA-256, for people to compare. */
const char *key_fingerprint(
    const uint8_t key[SIGN_PUBLIC_BYTES], char out[KEY_FINGERPRINT_BYTES]);

/* ---- files ---- */
/* Our key; a new one when there is none and make is true, else
 * ERR_NOT_FOUND.  Two who make it at once get the same. */
struct sign_key *key_load(const char *state_dir, bool make, struct err *e);

/* ERR_NOT_FOUND, with what to do, when the site was not paired. */
int peer_read(
    const char *state_dir, const char *name, struct peer *p, struct err *e);
/* What was known of that name gives way. */
int peer_write(const char *state_dir, const struct peer *p, struct err *e);
/* ERR_NOT_FOUND when there is none. */
int peer_remove(const char *state_dir, const char *name, struct err *e);
/* Names, sorted, at most PEERS_MAX; free with file_names_free(). */
int
peer_names(const char *state_dir, char ***names, size_t *count, struct err *e);

/* Write a small file of the state directory, mode 0600, as above; its folder
 * is made when it is missing. */
int key_publish(const char *path, const void *data, size_t len, struct err *e);

#endif /* !LINK_KEYS_H */
