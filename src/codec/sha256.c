#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "codec/digest.h"

struct sha256 {
	EVP_MD_CTX *ctx;
};

/* Fetched once: OpenSSL 3 looks the algorithm up anew at each EVP_sha256(). */
static EVP_MD *algorithm;
static pthread_once_t algorithm_once = PTHREAD_ONCE_INIT;

/* SHA-256 has no input that it refuses: a failure is the library's state. */
static void
must(int ok)
{
	if (ok == 1)
		return;
	(void)fprintf(stderr, "pgkura: SHA-256 is not available in OpenSSL\n");
	abort();
}

static void
algorithm_fetch(void)
{
	algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
	must(algorithm != NULL);
}

static const EVP_MD *
algorithm_get(void)
{
	(void)pthread_once(&algorithm_once, algorithm_fetch);
	return algorithm;
}

struct sha256 *
sha256_new(void)
{
	struct sha256 *s = mem_alloc(sizeof(*s));

	s->ctx = EVP_MD_CTX_new();
	must(s->ctx != NULL);
	must(EVP_DigestInit_ex(s->ctx, algorithm_get(), NULL));
	return s;
}

void
sha256_free(struct sha256 *s)
{
	if (s == NULL)
		return;
	EVP_MD_CTX_free(s->ctx);
	free(s);
}

void
sha256_update(struct sha256 *s, const void *data, size_t len)
{
	must(EVP_DigestUpdate(s->ctx, data, len));
}

void
sha256_peek(const struct sha256 *s, uint8_t out[SHA256_BYTES])
{
	EVP_MD_CTX *copy = EVP_MD_CTX_new();

	must(copy != NULL);
	must(EVP_MD_CTX_copy_ex(copy, s->ctx));
	must(EVP_DigestFinal_ex(copy, out, NULL));
	EVP_MD_CTX_free(copy);
}

void
sha256_of(const void *data, size_t len, uint8_t out[SHA256_BYTES])
{
	must(EVP_Digest(data, len, out, NULL, algorithm_get(), NULL));
}

void
sha256_hex(const uint8_t in[SHA256_BYTES], char out[SHA256_HEX_BYTES])
{
	hex_encode(in, SHA256_BYTES, out);
}
