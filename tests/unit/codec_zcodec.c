/*
 * zcodec: what goes in comes out, and nothing else is taken for it.
 */

#include "codec/zcodec.h"

#include <string.h>
#include <zstd.h>

#include "base/mem.h"
#include "codec/digest.h"
#include "tap.h"

#define BYTES 100000

static uint8_t raw[BYTES], back[BYTES];

static void
check_round_trip(struct zcodec *z, size_t len, int level)
{
	AUTO_FREE uint8_t *out = mem_alloc(zcodec_bound(len));
	struct err e = ERR_INIT;
	size_t n;

	n = zcodec_compress(z, level, raw, len, out, zcodec_bound(len));
	tap_u64(ZSTD_getFrameContentSize(out, n), len,
	    "the frame of %zu bytes says so, level %d", len, level);
	memset(back, 0xee, sizeof(back));
	tap_ok(zcodec_decompress(z, out, n, back, len, &e) == 0 &&
		memcmp(raw, back, len) == 0 &&
		(len == BYTES || back[len] == 0xee),
	    "%zu bytes come back, level %d %s", len, level, e.text);
}

/* The level of each call counts, whatever the one before was. */
static void
check_levels(struct zcodec *z)
{
	AUTO_FREE uint8_t *out = mem_alloc(zcodec_bound(BYTES));
	size_t low, high, again;

	low = zcodec_compress(z, 1, raw, BYTES, out, zcodec_bound(BYTES));
	high = zcodec_compress(z, 19, raw, BYTES, out, zcodec_bound(BYTES));
	again = zcodec_compress(z, 1, raw, BYTES, out, zcodec_bound(BYTES));
	tap_ok(high < low, "level 19 gives %zu bytes, level 1 %zu", high, low);
	tap_u64(again, low, "and level 1 again the same");
}

/* Where only few bytes repeat at a time, as in WAL. */
static void
check_quick(struct zcodec *z)
{
	const size_t len = (size_t)1 << 20, cap = zcodec_bound(len);
	AUTO_FREE uint8_t *out = mem_alloc(cap);
	AUTO_FREE uint8_t *in = mem_alloc(len);
	size_t low, quick, again, i;

	random_bytes(in, len);
	for (i = 2000; i + 10 < len; i += 10) /* 6 of 10 were there before */
		memcpy(in + i, in + i % 1990, 6);
	low = zcodec_compress(z, 1, in, len, out, cap);
	quick = zcodec_compress(z, ZCODEC_QUICK, in, len, out, cap);
	again = zcodec_compress(z, 1, in, len, out, cap);
	tap_ok(quick < low, "quick gives %zu bytes, level 1 %zu", quick, low);
	tap_u64(again, low, "and level 1 again the same");
}

static void
refused(struct zcodec *z, const void *in, size_t len, size_t raw_len,
    const char *why)
{
	AUTO_FREE uint8_t *copy = mem_alloc(len);
	struct err e = ERR_INIT;

	if (len > 0)
		memcpy(copy, in, len);
	tap_ok(zcodec_decompress(z, copy, len, back, raw_len, &e) == -1 &&
		e.kind == ERR_CORRUPT,
	    "%s: %s", why, e.text);
}

/* A frame that does not say how much it holds, as a stream writes it. */
static size_t
frame_without_size(void *out, size_t cap)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	size_t n;

	(void)ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
	n = ZSTD_compress2(c, out, cap, raw, 1000);
	(void)ZSTD_freeCCtx(c);
	return n;
}

static void
check_refusals(struct zcodec *z)
{
	static const uint8_t skippable[8] = { 0x50, 0x2a, 0x4d, 0x18 };
	uint8_t out[4096];
	unsigned int cut, taken = 0;
	size_t n = zcodec_compress(z, 3, raw, 1000, out, sizeof(out));

	refused(z, out, n, 999, "a byte fewer is wanted");
	refused(z, out, n, 1001, "a byte more is wanted");
	for (cut = 0; cut < n; cut++)
		if (zcodec_decompress(z, out, cut, back, 1000, NULL) == 0)
			taken++;
	tap_u64(taken, 0, "no frame that was cut is taken");
	out[n] = 0;
	refused(z, out, n + 1, 1000, "a byte too many");
	memcpy(out + n, out, n);
	refused(z, out, 2 * n, 1000, "two frames");
	out[0] ^= 1;
	refused(z, out, n, 1000, "no magic");
	refused(z, skippable, sizeof(skippable), 0, "nothing but a comment");
	n = frame_without_size(out, sizeof(out));
	refused(z, out, n, 1000, "no size");
	check_round_trip(z, 1000, 3);
}

/* There is no checksum in the frame, so damage may give other bytes; but the
 * memory behind the result stays as it is. */
static void
check_bit_flips(struct zcodec *z)
{
	uint8_t out[2048];
	size_t n = zcodec_compress(z, 3, raw, 500, out, sizeof(out)), bit;
	unsigned int beyond = 0;

	back[500] = 0x77;
	for (bit = 0; bit < 8 * n; bit++) {
		out[bit / 8] ^= (uint8_t)(1 << bit % 8);
		(void)zcodec_decompress(z, out, n, back, 500, NULL);
		beyond += back[500] != 0x77;
		out[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	tap_u64(beyond, 0, "a flipped bit writes nothing beyond the end");
}

int
main(void)
{
	AUTO_ZCODEC struct zcodec *z = zcodec_new();
	static const size_t lengths[] = { 0, 1, 100, 8192, BYTES };
	size_t i;
	int level;

	for (i = 0; i < BYTES; i++)
		raw[i] = (uint8_t)((i * i >> 9) % 31);
	random_bytes(raw, 5000);
	/* Levels up and down on one context. */
	for (i = 0; i < COUNT_OF(lengths); i++)
		for (level = ZCODEC_LEVEL_MIN; level <= ZCODEC_LEVEL_MAX;
		     level += 9) {
			check_round_trip(z, lengths[i], level);
			check_round_trip(z, lengths[i], ZCODEC_QUICK);
		}
	check_levels(z);
	check_quick(z);
	check_refusals(z);
	check_bit_flips(z);
	zcodec_free(NULL);
	return tap_done();
}
