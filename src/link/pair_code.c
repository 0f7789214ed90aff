/*
 * pair_code: the code that a person carries from one site to the other, and the
 * key that it stands for.
 */

#include <ctype.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "codec/digest.h"
#include "link/pair_int.h"

#define CODE_BYTES   10 /* 80 bits */
#define CODE_LETTERS 16
#define LABEL	     "pgkura pair 1"

static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";

void
pair_code_new(char out[PAIR_CODE_BYTES])
{
	uint8_t raw[CODE_LETTERS];
	size_t i, n = 0;

	random_bytes(raw, sizeof(raw));
	for (i = 0; i < CODE_LETTERS; i++) {
		if (i > 0 && i % 4 == 0)
			out[n++] = '-';
		out[n++] = letters[raw[i] & 31];
	}
	out[n] = '\0';
	OPENSSL_cleanse(raw, sizeof(raw));
}

/* 0 to 31, or -1.  I and L are 1, O is 0, as people read them. */
static int
letter_value(char c)
{
	const char *p;

	c = (char)tolower((unsigned char)c);
	if (c == 'i' || c == 'l')
		c = '1';
	if (c == 'o')
		c = '0';
	p = c == '\0' ? NULL : strchr(letters, c);
	return p == NULL ? -1 : (int)(p - letters);
}

int
pair_code_parse(const char *text, char out[PAIR_CODE_BYTES], struct err *e)
{
	char made[PAIR_CODE_BYTES];
	size_t count = 0, n = 0;
	int value;

	for (; *text != '\0'; text++) {
		if (*text == '-' || isblank((unsigned char)*text))
			continue;
		value = letter_value(*text);
		if (value == -1 || count == CODE_LETTERS) {
			count = 0;
			break;
		}
		if (count > 0 && count % 4 == 0)
			made[n++] = '-';
		made[n++] = letters[value];
		count++;
	}
	if (count != CODE_LETTERS) {
		(void)err_set(e, ERR_USAGE, "that is not a pairing code");
		return err_hint(e,
		    "A code has 16 letters and digits, such as "
		    "abcd-efgh-jkmn-pqrs; \"pgkura site pair --invite\" at the "
		    "other site prints one.");
	}
	made[n] = '\0';
	(void)memcpy(out, made, n + 1);
	OPENSSL_cleanse(made, sizeof(made));
	return 0;
}

/* The 80 bits of a canonical code, five a letter. */
static void
code_bits(const char *code, uint8_t out[CODE_BYTES])
{
	unsigned int have = 0, held = 0;
	size_t n = 0;

	for (; *code != '\0'; code++) {
		if (*code == '-')
			continue;
		held = (held << 5 | (unsigned int)letter_value(*code)) & 0xfff;
		have += 5;
		if (have >= 8 && n < CODE_BYTES) {
			have -= 8;
			out[n++] = (uint8_t)(held >> have);
		}
	}
}

int
pair_code_key(const char *code, uint8_t out[PAIR_PSK_BYTES], struct err *e)
{
	uint8_t bits[CODE_BYTES] = { 0 };
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
	OSSL_PARAM params[4];
	int ok;

	code_bits(code, bits);
	params[0] = OSSL_PARAM_construct_utf8_string(
	    OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0);
	params[1] = OSSL_PARAM_construct_octet_string(
	    OSSL_KDF_PARAM_KEY, bits, sizeof(bits));
	params[2] = OSSL_PARAM_construct_octet_string(
	    OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)LABEL, sizeof(LABEL) - 1);
	params[3] = OSSL_PARAM_construct_end();
	ok = ctx != NULL &&
	    EVP_KDF_derive(ctx, out, PAIR_PSK_BYTES, params) == 1;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	OPENSSL_cleanse(bits, sizeof(bits));
	return ok ? 0 : err_set(e, ERR_BUG, "HKDF is not available in OpenSSL");
}
