/*
 * CRC-32C: vectors of RFC 3720 B.4, the machine's instruction against the
 * tables at every length and address, and sums joined.
 */

#include <string.h>

#include "base/auto.h"
#include "codec/digest.h"
#include "tap.h"

#define BYTES 20000 /* two blocks of 8 KiB and a bit */

static uint8_t data[BYTES + 16];

typedef uint32_t sum_fn(uint32_t crc, const void *data, size_t len);

static void
check_vectors(sum_fn *sum, const char *which)
{
	uint8_t in[32];
	int i;

	tap_u64(sum(0, "", 0), 0, "%s: nothing", which);
	tap_u64(sum(0, "123456789", 9), 0xe3069283, "%s: digits", which);
	memset(in, 0, sizeof(in));
	tap_u64(sum(0, in, 32), 0x8a9136aa, "%s: zeros", which);
	memset(in, 0xff, sizeof(in));
	tap_u64(sum(0, in, 32), 0x62a8ab43, "%s: ones", which);
	for (i = 0; i < 32; i++)
		in[i] = (uint8_t)i;
	tap_u64(sum(0, in, 32), 0x46dd794e, "%s: rising", which);
	for (i = 0; i < 32; i++)
		in[i] = (uint8_t)(31 - i);
	tap_u64(sum(0, in, 32), 0x113fdb5c, "%s: falling", which);
	tap_u64(sum(sum(0, "1234", 4), "56789", 5), 0xe3069283, "%s: goes on",
	    which);
}

/* Bit by bit, as it is defined. */
static uint32_t
slowly(uint32_t crc, const uint8_t *p, size_t len)
{
	int k;

	for (crc = ~crc; len > 0; p++, len--) {
		crc ^= *p;
		for (k = 0; k < 8; k++)
			crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
	}
	return ~crc;
}

static void
check_lengths(void)
{
	size_t len, wrong = 0, wrong_table = 0;
	uint32_t want;

	for (len = 0; len < BYTES; len += len < 1200 ? 1 : 331) {
		want = slowly(0x1234, data + len % 16, len);
		wrong += crc32c(0x1234, data + len % 16, len) != want;
		wrong_table +=
		    crc32c_portable(0x1234, data + len % 16, len) != want;
	}
	tap_u64(wrong, 0, "every length and address");
	tap_u64(wrong_table, 0, "with tables too");
	for (len = 8180; len < 8200; len++)
		wrong += crc32c(0, data, len) != crc32c_portable(0, data, len);
	tap_u64(wrong, 0, "around a block");
}

static void
check_combine(void)
{
	static const size_t lengths[] = { 0, 1, 2, 3, 7, 8, 255, 4096, 8191,
		8192, 8193, 16384, BYTES - 100 };
	uint32_t a = crc32c(0, data, 100);
	size_t i;

	for (i = 0; i < COUNT_OF(lengths); i++)
		tap_u64(crc32c_combine(
			    a, crc32c(0, data + 100, lengths[i]), lengths[i]),
		    crc32c(0, data, 100 + lengths[i]), "joined with %zu",
		    lengths[i]);

	tap_u64(crc32c_combine(a, 0, 0), a, "nothing more changes nothing");
	tap_u64(crc32c_combine(0, a, 100), a, "nothing before neither");
}

/* Lengths that nobody sums up in a test: 2^45 + 3 zeros joined in one step,
 * and in 46 that double. */
static void
check_combine_long(void)
{
	const uint64_t long_len = (uint64_t)1 << 45;
	uint32_t a = crc32c(0, "a", 1), zeros, three;
	uint64_t len;

	memset(data, 0, sizeof(data));
	zeros = crc32c(0, data, 1);
	for (len = 1; len < long_len; len *= 2) {
		if (len == 16384)
			tap_u64(zeros, crc32c(0, data, 16384), "16,384 zeros");
		zeros = crc32c_combine(zeros, zeros, len);
	}
	three = crc32c(0, data, 3);
	tap_u64(
	    crc32c_combine(a, crc32c_combine(zeros, three, 3), long_len + 3),
	    crc32c_combine(crc32c_combine(a, three, 3), zeros, long_len),
	    "lengths beyond 2^45");
}

int
main(void)
{
	size_t i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 2654435761u >> 24);
	check_vectors(crc32c, "machine");
	check_vectors(crc32c_portable, "tables");
	check_lengths();
	check_combine();
	check_combine_long();
	return tap_done();
}
