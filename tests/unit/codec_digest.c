/*
 * Sums other than CRC-32C: vectors of FIPS 180-4, of the XXH3 reference, and
 * the promises of digest.h.
 */

#include "codec/digest.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>

#include "base/auto.h"
#include "tap.h"

#define SHA256_EMPTY \
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SHA256_ABC \
	"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void
check_sha256(void)
{
	AUTO_SHA256 struct sha256 *s = sha256_new();
	uint8_t sum[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES];

	sha256_of("", 0, sum);
	sha256_hex(sum, hex);
	tap_str(hex, SHA256_EMPTY, "SHA-256 of nothing");
	sha256_of("abc", 3, sum);
	sha256_hex(sum, hex);
	tap_str(hex, SHA256_ABC, "SHA-256 of \"abc\"");

	sha256_peek(s, sum);
	sha256_hex(sum, hex);
	tap_str(hex, SHA256_EMPTY, "a running sum starts with nothing");
	sha256_update(s, "ab", 2);
	sha256_peek(s, sum);
	sha256_update(s, "c", 1);
	sha256_peek(s, sum);
	sha256_hex(sum, hex);
	tap_str(hex, SHA256_ABC, "it goes on behind a peek");
	sha256_free(NULL);
}

static void
check_hex(void)
{
	const uint8_t bytes[] = { 0x00, 0x9a, 0xbc, 0xff };
	uint8_t back[4] = { 1, 1, 1, 1 };
	char text[9];

	hex_encode(bytes, sizeof(bytes), text);
	tap_str(text, "009abcff", "hex is lower case");
	tap_ok(hex_decode(text, back, 4) == 0 && memcmp(back, bytes, 4) == 0,
	    "hex comes back");
	tap_ok(
	    hex_decode("009ABCFF", back, 4) == 0 && memcmp(back, bytes, 4) == 0,
	    "also from upper case");
	hex_encode(bytes, 0, text);
	tap_str(text, "", "no bytes are no digits");
	tap_ok(hex_decode("", back, 0) == 0, "and back");
	tap_ok(hex_decode("009abcf", back, 4) == -1, "a digit is missing");
	tap_ok(hex_decode("009abcff0", back, 4) == -1, "a digit too many");
	tap_ok(hex_decode("009abcfg", back, 4) == -1, "a letter too far");
	tap_ok(hex_decode("/09abcff", back, 4) == -1, "a byte before \"0\"");
	tap_ok(hex_decode("0:9abcff", back, 4) == -1, "a byte behind \"9\"");
	tap_ok(hex_decode("00@abcff", back, 4) == -1, "a byte before \"A\"");
	tap_ok(hex_decode("00`abcff", back, 4) == -1, "a byte before \"a\"");
	tap_ok(hex_decode("00Gabcff", back, 4) == -1, "a byte behind \"F\"");
}

/* Repositories keep these sums: they may never change. */
static void
check_xxh3(void)
{
	uint8_t block[8192], sum[XXH3_128_BYTES];
	char hex[2 * XXH3_128_BYTES + 1];
	size_t i;

	for (i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)(i * 31 >> 3);
	tap_u64(xxh3_keyed(0, "", 0), 0x2d06800538d394c2, "XXH3 of nothing");
	tap_u64(xxh3_keyed(0, "123456789", 9), 0x72dcb18b67a17dff,
	    "XXH3 of nine digits");
	tap_u64(xxh3_keyed(0x0123456789abcdef, block, sizeof(block)),
	    0x4fa53afd1e7dccd, "XXH3 of a block with a key");

	/* As xxh128sum says. */
	xxh3_128_of("", 0, sum);
	hex_encode(sum, sizeof(sum), hex);
	tap_str(hex, "99aa06d3014798d86001c324468d497f", "XXH3-128 of nothing");
	xxh3_128_of("123456789", 9, sum);
	hex_encode(sum, sizeof(sum), hex);
	tap_str(
	    hex, "33119477ede5dcd5e9716427681d5860", "XXH3-128 of nine digits");
}

/*
 * The kernel may be interrupted, and may give fewer bytes than asked for.
 * Linked with -Wl,--wrap=getrandom.
 */
static unsigned int interruptions, most_bytes;

ssize_t __real_getrandom(void *out, size_t len, unsigned int flags);

ssize_t
__wrap_getrandom(void *out, size_t len, unsigned int flags)
{
	if (interruptions > 0) {
		interruptions--;
		errno = EINTR;
		return -1;
	}
	if (most_bytes > 0 && len > most_bytes)
		len = most_bytes;
	return __real_getrandom(out, len, flags);
}

static void
check_random_in_pieces(void)
{
	uint8_t a[64] = { 0 };
	size_t i, zeros = 0;

	interruptions = 3;
	most_bytes = 1;
	random_bytes(a, sizeof(a));
	most_bytes = 0;
	for (i = 0; i < sizeof(a); i++)
		zeros += a[i] == 0;
	tap_u64(interruptions, 0, "goes on when interrupted");
	tap_ok(zeros < 8, "all bytes are given, one by one");
	a[0] = a[2] = 0;
	for (i = 0; i < 1000 && a[0] == 0; i++)
		random_bytes(a, 1);
	tap_ok(a[0] != 0, "one byte");
}

static void
check_random(void)
{
	uint8_t a[40] = { 0 }, b[40] = { 0 };

	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	tap_ok(memcmp(a, b, sizeof(a)) != 0, "random bytes differ");
	tap_ok(memcmp(a, a + 20, 20) != 0, "in both halves");
	memset(a, 7, sizeof(a));
	random_bytes(a, 0);
	tap_u64(a[0], 7, "none asked for, none given");
}

int
main(void)
{
	check_sha256();
	check_hex();
	check_xxh3();
	check_random();
	check_random_in_pieces();
	return tap_done();
}
