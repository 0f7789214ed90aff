#include "codec/sign.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/digest.h"

struct sign_key {
	EVP_PKEY *pkey;
	uint8_t secret[SIGN_SECRET_BYTES];
};

static inline void
pkey_drop(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static inline void
context_drop(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

struct sign_key *
sign_key_new(void)
{
	uint8_t secret[SIGN_SECRET_BYTES];
	struct sign_key *k;

	random_bytes(secret, sizeof(secret));
	k = sign_key_from_secret(secret);
	OPENSSL_cleanse(secret, sizeof(secret));
	return k;
}

struct sign_key *
sign_key_from_secret(const uint8_t secret[SIGN_SECRET_BYTES])
{
	struct sign_key *k = mem_alloc(sizeof(*k));

	(void)memcpy(k->secret, secret, SIGN_SECRET_BYTES);
	k->pkey = EVP_PKEY_new_raw_private_key(
	    EVP_PKEY_ED25519, NULL, secret, SIGN_SECRET_BYTES);
	if (k->pkey == NULL) {
		/* Any 32 bytes are a key, so it is the library's state. */
		(void)fprintf(
		    stderr, "pgkura: Ed25519 is not available in OpenSSL\n");
		abort();
	}
	return k;
}

void
sign_key_free(struct sign_key *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_free(k->pkey);
	OPENSSL_cleanse(k, sizeof(*k));
	free(k);
}

void
sign_key_secret(const struct sign_key *k, uint8_t out[SIGN_SECRET_BYTES])
{
	(void)memcpy(out, k->secret, SIGN_SECRET_BYTES);
}

void
sign_key_public(const struct sign_key *k, uint8_t out[SIGN_PUBLIC_BYTES])
{
	size_t len = SIGN_PUBLIC_BYTES;

	if (EVP_PKEY_get_raw_public_key(k->pkey, out, &len) != 1 ||
	    len != SIGN_PUBLIC_BYTES)
		abort();
}

struct evp_pkey_st *
sign_key_pkey(const struct sign_key *k)
{
	return k->pkey;
}

int
sign_make(const struct sign_key *k, const void *data, size_t len,
    uint8_t out[SIGN_SIGNATURE_BYTES], struct err *e)
{
	AUTO(context_drop) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t out_len = SIGN_SIGNATURE_BYTES;

	if (ctx == NULL ||
	    EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->pkey) != 1 ||
	    EVP_DigestSign(ctx, out, &out_len, data, len) != 1 ||
	    out_len != SIGN_SIGNATURE_BYTES)
		return err_set(
		    e, ERR_BUG, "could not make an Ed25519 signature");
	return 0;
}

bool
sign_check(const uint8_t public_key[SIGN_PUBLIC_BYTES], const void *data,
    size_t len, const uint8_t signature[SIGN_SIGNATURE_BYTES])
{
	AUTO(pkey_drop)
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(
	    EVP_PKEY_ED25519, NULL, public_key, SIGN_PUBLIC_BYTES);
	AUTO(context_drop) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	return pkey != NULL && ctx != NULL &&
	    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
	    EVP_DigestVerify(ctx, signature, SIGN_SIGNATURE_BYTES, data, len) ==
	    1;
}
