#include "codec/digest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* The whole of it in this file: twice as fast on short input. */
#define XXH_INLINE_ALL
#include <xxhash.h>

void
hex_encode(const uint8_t *in, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < len; i++) {
		out[2 * i] = digits[in[i] >> 4];
		out[2 * i + 1] = digits[in[i] & 15];
	}
	out[2 * len] = '\0';
}

int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
hex_decode(const char *text, uint8_t *out, size_t len)
{
	size_t i;
	int high, low;

	for (i = 0; i < len; i++) {
		/* A NUL is no digit, so nothing behind it is looked at. */
		high = hex_value(text[2 * i]);
		if (high == -1)
			return -1;
		low = hex_value(text[2 * i + 1]);
		if (low == -1)
			return -1;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return text[2 * len] == '\0' ? 0 : -1;
}

uint64_t
xxh3_keyed(uint64_t key, const void *data, size_t len)
{
	return XXH3_64bits_withSeed(data, len, key);
}

void
xxh3_128_of(const void *data, size_t len, uint8_t out[XXH3_128_BYTES])
{
	XXH128_canonical_t sum;

	XXH128_canonicalFromHash(&sum, XXH3_128bits(data, len));
	(void)memcpy(out, sum.digest, XXH3_128_BYTES);
}

void
random_bytes(void *out, size_t len)
{
	uint8_t *p = out;
	ssize_t n;

	while (len > 0) {
		n = getrandom(p, len, 0);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			(void)fprintf(stderr,
			    "pgkura: no random bytes from the kernel: %s\n",
			    strerror(errno));
			abort();
		}
		p += n;
		len -= (size_t)n;
	}
}
