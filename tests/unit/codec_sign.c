/*
 * Ed25519: the first three test vectors of RFC 8032, 7.1, and that nothing
 * else passes for a signature.
 */

#include "codec/sign.h"

#include <string.h>

#include "codec/digest.h"
#include "tap.h"

static const struct {
	const char *secret, *public_key, *data, *signature;
} vectors[] = {
	{ "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
	    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
	    "",
	    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555f"
	    "b8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b" },
	{ "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
	    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
	    "72",
	    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da08"
	    "5ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
	{ "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
	    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
	    "af82",
	    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18"
	    "ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a" },
};

static void
check_vector(size_t i)
{
	uint8_t secret[SIGN_SECRET_BYTES], public_key[SIGN_PUBLIC_BYTES];
	uint8_t again[SIGN_SECRET_BYTES], data[2], sig[SIGN_SIGNATURE_BYTES];
	size_t len = strlen(vectors[i].data) / 2;
	char hex[2 * SIGN_SIGNATURE_BYTES + 1];
	AUTO_SIGN_KEY struct sign_key *k = NULL;
	struct err e = ERR_INIT;

	(void)hex_decode(vectors[i].secret, secret, sizeof(secret));
	(void)hex_decode(vectors[i].data, data, len);
	k = sign_key_from_secret(secret);
	sign_key_secret(k, again);
	tap_ok(memcmp(secret, again, sizeof(secret)) == 0, "secret %zu", i);
	sign_key_public(k, public_key);
	hex_encode(public_key, sizeof(public_key), hex);
	tap_str(hex, vectors[i].public_key, "public key %zu", i);
	tap_ok(sign_make(k, data, len, sig, &e) == 0, "signed %zu", i);
	hex_encode(sig, sizeof(sig), hex);
	tap_str(hex, vectors[i].signature, "signature %zu", i);
	tap_ok(sign_check(public_key, data, len, sig), "checked %zu", i);
}

/*
 * A key is made of nothing but random bytes.
 * Linked with -Wl,--wrap=random_bytes.
 */
static uint8_t random_secret[SIGN_SECRET_BYTES];

void __real_random_bytes(void *out, size_t len);

void
__wrap_random_bytes(void *out, size_t len)
{
	__real_random_bytes(out, len);
	if (len == sizeof(random_secret))
		memcpy(random_secret, out, len);
}

static void
check_fresh(void)
{
	AUTO_SIGN_KEY struct sign_key *k = sign_key_new();
	uint8_t secret[SIGN_SECRET_BYTES], none[SIGN_SECRET_BYTES] = { 0 };

	sign_key_secret(k, secret);
	tap_ok(memcmp(random_secret, none, sizeof(none)) != 0 &&
		memcmp(random_secret, secret, sizeof(secret)) == 0,
	    "a fresh key is what the random generator gave");
}

static void
check_forgeries(void)
{
	AUTO_SIGN_KEY struct sign_key *k = sign_key_new();
	AUTO_SIGN_KEY struct sign_key *other = sign_key_new();
	uint8_t public_key[SIGN_PUBLIC_BYTES], others[SIGN_PUBLIC_BYTES];
	uint8_t sig[SIGN_SIGNATURE_BYTES], data[100] = { 1, 2, 3 };
	struct err e = ERR_INIT;
	unsigned int bit, taken = 0;

	sign_key_public(k, public_key);
	sign_key_public(other, others);
	tap_ok(memcmp(public_key, others, sizeof(others)) != 0,
	    "fresh keys differ");
	(void)sign_make(k, data, sizeof(data), sig, &e);
	tap_ok(sign_check(public_key, data, sizeof(data), sig), "a good one");
	for (bit = 0; bit < 8 * sizeof(sig); bit++) {
		sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
		taken += sign_check(public_key, data, sizeof(data), sig);
		sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (bit = 0; bit < 8 * sizeof(data); bit++) {
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		taken += sign_check(public_key, data, sizeof(data), sig);
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	tap_u64(taken, 0, "no flipped bit of signature or data passes");
	tap_ok(!sign_check(others, data, sizeof(data), sig), "another's key");
	tap_ok(!sign_check(public_key, data, 99, sig), "fewer data");
	sign_key_free(NULL);
}

int
main(void)
{
	size_t i;

	for (i = 0; i < COUNT_OF(vectors); i++)
		check_vector(i);
	check_fresh();
	check_forgeries();
	return tap_done();
}
