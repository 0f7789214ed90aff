#include <pthread.h>
#include <stdbool.h>

#include "base/le.h"
#include "codec/digest.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <string.h>
#endif

/*
 * A CRC register is a polynomial of degree below 32 over GF(2), reflected:
 * bit 31 is x^0 and bit 0 is x^31.  To append n zero bytes is to multiply by
 * x^(8n) modulo the Castagnoli polynomial.  That joins the sums of two parts
 * (crc32c_combine) and of three lanes run at once (the sse42_ functions).
 */
#define POLY	    0x82f63b78u
#define ONE	    0x80000000u /* x^0 */
#define POWER_COUNT 67

/*
 * The machine starts one crc32 a cycle but has its result three cycles later,
 * so three independent lanes keep it busy.  Three long lanes are one 8 KiB
 * block but for its last 8 bytes.
 */
#define LANE_LONG_BYTES	 2728
#define LANE_SHORT_BYTES 168

#define PAGE_SIZE_BYTES 8192 /* the length that crc32c_combine() sees most */

/* Multiplication by one constant, a table for each byte of the register. */
struct shift {
	uint32_t byte[4][256];
};

static uint32_t slice[8][256];	    /* slice[k][b]: b, then k zero bytes */
static uint32_t power[POWER_COUNT]; /* power[k] is x^(2^k) */
static struct shift lane_long, lane_short, page_size;
static bool has_sse42;
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

/* a * b modulo POLY. */
static uint32_t
multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;
	int i;

	for (i = 0; i < 32; i++) {
		product ^= b & -(a >> 31); /* without a branch to mispredict */
		a <<= 1;
		b = b >> 1 ^ (POLY & -(b & 1));
	}
	return product;
}

/* x^(8 * bytes) modulo POLY. */
static uint32_t
zero_bytes_operator(uint64_t bytes)
{
	uint32_t zeros = ONE;
	unsigned int k;

	for (k = 3; bytes != 0; k++, bytes >>= 1)
		if ((bytes & 1) != 0)
			zeros = multiply(power[k], zeros);
	return zeros;
}

static void
shift_init(struct shift *s, uint64_t bytes)
{
	uint32_t zeros = zero_bytes_operator(bytes);
	uint32_t b;
	int i;

	for (i = 0; i < 4; i++)
		for (b = 0; b < 256; b++)
			s->byte[i][b] = multiply(zeros, b << 8 * i);
}

static inline uint32_t
shift_apply(const struct shift *s, uint32_t crc)
{
	return s->byte[0][crc & 255] ^ s->byte[1][crc >> 8 & 255] ^
	    s->byte[2][crc >> 16 & 255] ^ s->byte[3][crc >> 24];
}

static void
tables_init(void)
{
	uint32_t crc;
	int i, k;

	for (i = 0; i < 256; i++) {
		crc = (uint32_t)i;
		for (k = 0; k < 8; k++)
			crc = crc >> 1 ^ (POLY & -(crc & 1));
		slice[0][i] = crc;
	}
	for (i = 0; i < 256; i++)
		for (k = 1; k < 8; k++)
			slice[k][i] = slice[k - 1][i] >> 8 ^
			    slice[0][slice[k - 1][i] & 255];

	power[0] = ONE >> 1;
	for (k = 1; k < POWER_COUNT; k++)
		power[k] = multiply(power[k - 1], power[k - 1]);
	shift_init(&lane_long, LANE_LONG_BYTES);
	shift_init(&lane_short, LANE_SHORT_BYTES);
	shift_init(&page_size, PAGE_SIZE_BYTES);
#if defined(__x86_64__)
	has_sse42 = __builtin_cpu_supports("sse4.2");
#endif
}

/* ---- with a table: any machine ---- */

static uint32_t
table_run(uint32_t crc, const uint8_t *p, size_t len)
{
	uint32_t low, high;

	for (; len >= 8; p += 8, len -= 8) {
		low = le32_get(p) ^ crc;
		high = le32_get(p + 4);
		crc = slice[7][low & 255] ^ slice[6][low >> 8 & 255] ^
		    slice[5][low >> 16 & 255] ^ slice[4][low >> 24] ^
		    slice[3][high & 255] ^ slice[2][high >> 8 & 255] ^
		    slice[1][high >> 16 & 255] ^ slice[0][high >> 24];
	}
	for (; len > 0; p++, len--)
		crc = crc >> 8 ^ slice[0][(crc ^ *p) & 255];
	return crc;
}

uint32_t
crc32c_portable(uint32_t crc, const void *data, size_t len)
{
	(void)pthread_once(&tables_once, tables_init);
	return ~table_run(~crc, data, len);
}

/* ---- with the instruction ---- */

#if defined(__x86_64__)
#define SSE42 __attribute__((__target__("sse4.2")))

static inline uint64_t
load64(const uint8_t *p)
{
	uint64_t v;

	(void)memcpy(&v, p, sizeof(v));
	return v;
}

/* Three neighbouring lanes of lane_bytes (a multiple of 8) at p. */
SSE42 static inline uint32_t
sse42_lanes(
    uint32_t crc, const uint8_t *p, size_t lane_bytes, const struct shift *s)
{
	uint64_t a = crc, b = 0, c = 0;
	const uint8_t *end = p + lane_bytes;

	for (; p < end; p += 8) {
		a = _mm_crc32_u64(a, load64(p));
		b = _mm_crc32_u64(b, load64(p + lane_bytes));
		c = _mm_crc32_u64(c, load64(p + 2 * lane_bytes));
	}
	b ^= shift_apply(s, (uint32_t)a);
	return shift_apply(s, (uint32_t)b) ^ (uint32_t)c;
}

SSE42 static uint32_t
sse42_run(uint32_t crc, const uint8_t *p, size_t len)
{
	size_t n;

	for (n = 3 * LANE_LONG_BYTES; len >= n; p += n, len -= n)
		crc = sse42_lanes(crc, p, LANE_LONG_BYTES, &lane_long);
	for (n = 3 * LANE_SHORT_BYTES; len >= n; p += n, len -= n)
		crc = sse42_lanes(crc, p, LANE_SHORT_BYTES, &lane_short);
	for (; len >= 8; p += 8, len -= 8)
		crc = (uint32_t)_mm_crc32_u64(crc, load64(p));
	for (; len > 0; p++, len--)
		crc = _mm_crc32_u8(crc, *p);
	return crc;
}
#else
static uint32_t
sse42_run(uint32_t crc, const uint8_t *p, size_t len)
{
	return table_run(crc, p, len); /* never called: has_sse42 is false */
}
#endif

uint32_t
crc32c(uint32_t crc, const void *data, size_t len)
{
	(void)pthread_once(&tables_once, tables_init);
	return has_sse42 ? ~sse42_run(~crc, data, len)
			 : ~table_run(~crc, data, len);
}

uint32_t
crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t len_b)
{
	(void)pthread_once(&tables_once, tables_init);
	/* What the two inversions add cancels out, so finished sums will do. */
	if (len_b == PAGE_SIZE_BYTES)
		return shift_apply(&page_size, crc_a) ^ crc_b;
	return multiply(zero_bytes_operator(len_b), crc_a) ^ crc_b;
}
