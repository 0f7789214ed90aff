#ifndef CODEC_SIGN_H
#define CODEC_SIGN_H

/*
 * sign: Ed25519 signatures (RFC 8032) by OpenSSL.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"

#define SIGN_SECRET_BYTES    32 /* seed */
#define SIGN_PUBLIC_BYTES    32
#define SIGN_SIGNATURE_BYTES 64

struct sign_key; /* a secret key; wiped when freed */

/* A fresh key. */
struct sign_key *sign_key_new(void);
struct sign_key *sign_key_from_secret(const uint8_t secret[SIGN_SECRET_BYTES]);
void sign_key_free(struct sign_key *k);
AUTO_DEFINE(struct sign_key, sign_key_free);
#define AUTO_SIGN_KEY AUTO(sign_key_free_auto)
void sign_key_secret(const struct sign_key *k, uint8_t out[SIGN_SECRET_BYTES]);
void sign_key_public(const struct sign_key *k, uint8_t out[SIGN_PUBLIC_BYTES]);
/* For TLS: OpenSSL's EVP_PKEY; borrowed, good until sign_key_free(). */
struct evp_pkey_st *sign_key_pkey(const struct sign_key *k);
int sign_make(const struct sign_key *k, const void *data, size_t len,
    uint8_t out[SIGN_SIGNATURE_BYTES], struct err *e);
/* True when signature is public's over data. */
bool sign_check(const uint8_t public_key[SIGN_PUBLIC_BYTES], const void *data,
    size_t len, const uint8_t signature[SIGN_SIGNATURE_BYTES]);

#endif /* !CODEC_SIGN_H */
