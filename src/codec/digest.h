#ifndef CODEC_DIGEST_H
#define CODEC_DIGEST_H

/*
 * digest: the sums we use.
 *
 * SHA-256 names whole objects (packs, manifests); XXH3-128 tells WAL segments
 * apart, keyed XXH3-64 blocks; CRC-32C is PostgreSQL's and combines.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

#define SHA256_BYTES	 32
#define SHA256_HEX_BYTES (2 * SHA256_BYTES + 1)

struct sha256; /* a running SHA-256 */

struct sha256 *sha256_new(void);
void sha256_free(struct sha256 *s);
AUTO_DEFINE(struct sha256, sha256_free);
#define AUTO_SHA256 AUTO(sha256_free_auto)
void sha256_update(struct sha256 *s, const void *data, size_t len);
/* The digest of all so far; s can go on. */
void sha256_peek(const struct sha256 *s, uint8_t out[SHA256_BYTES]);
void sha256_of(const void *data, size_t len, uint8_t out[SHA256_BYTES]);
void sha256_hex(const uint8_t in[SHA256_BYTES], char out[SHA256_HEX_BYTES]);

/* Lower-case hex of len bytes with a NUL: out holds 2 * len + 1. */
void hex_encode(const uint8_t *in, size_t len, char *out);
/* Exactly 2 * len hex digits (either case) and a NUL; 0 or -1. */
int hex_decode(const char *text, uint8_t *out, size_t len);
/* Of one digit, either case; -1: it is none. */
int hex_value(char c);

/*
 * CRC-32C (Castagnoli) as PostgreSQL's pg_crc32c, finished form.  crc32c(0, ..)
 * starts; crc32c(crc32c(0, a), b) is the sum of a then b.
 */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* The same without the machine's instruction: what other machines run. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);
/* The sum of a then b from their sums and b's length (zlib's method); fastest
 * for 8,192 bytes. */
uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t len_b);

/* XXH3-64 keyed by a 64-bit seed that belongs to one repository. */
uint64_t xxh3_keyed(uint64_t key, const void *data, size_t len);

/*
 * XXH3-128 with seed 0 in its canonical form, most significant byte first.  It
 * runs at the memory's speed and tells what differs by accident, for ever; it
 * is no proof against somebody who wants two texts to have one sum.
 */
#define XXH3_128_BYTES 16
void xxh3_128_of(const void *data, size_t len, uint8_t out[XXH3_128_BYTES]);

/* len bytes from the system's random generator. */
void random_bytes(void *out, size_t len);

#endif /* !CODEC_DIGEST_H */
