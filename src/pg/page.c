#include "pg/page.h"

#include <string.h>

#include "base/le.h"

/*
 * Offsets in a page's header (storage/bufpage.h):
 *
 *	offset	size	field
 *	     0	   4	pd_lsn, high half
 *	     4	   4	pd_lsn, low half
 *	     8	   2	pd_checksum
 *	    14	   2	pd_upper	0: a new page
 */
#define PD_CHECKSUM 8
#define PD_UPPER    14

/*
 * The sum (storage/checksum_impl.h): the page is 64 rows of 32 integers; each
 * column has a sum of its own, so a machine with wide registers adds up many
 * columns at once.  The vectors below say so to the compiler at any level of
 * optimisation.
 */
#define COLUMNS	     32
#define ROW_BYTES    (COLUMNS * 4)
#define ROWS	     (PAGE_BYTES / ROW_BYTES)
#define VECTORS	     4
#define VECTOR_LANES (COLUMNS / VECTORS)
#define PRIME	     16777619u

typedef uint32_t lanes __attribute__((__vector_size__(VECTOR_LANES * 4)));
/* The same in memory, where a page may be at any address. */
typedef uint32_t lanes_unaligned __attribute__((
    __vector_size__(VECTOR_LANES * 4), __aligned__(1), __may_alias__));

static const uint32_t start[COLUMNS] = { 0x5b1f36e9, 0xb8525960, 0x02ab50aa,
	0x1de66d2a, 0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c, 0xf8d4474f,
	0xe39eb970, 0x42c6ae16, 0x993216fa, 0x7b093b5d, 0x98daff3c, 0xf718902a,
	0x0b1c9cdb, 0xe58f764b, 0x187636bc, 0x5d7b3bb1, 0xe73de7de, 0x92bec979,
	0xcca6c0b2, 0x304a0979, 0x85aa43d4, 0x783125bb, 0x6ca8eaa2, 0xe407eac6,
	0x4b5cfc3e, 0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756 };

#define ALWAYS_INLINE inline __attribute__((__always_inline__))

static ALWAYS_INLINE void
add(lanes *sum, const lanes_unaligned *in)
{
	const lanes v = *sum ^ *in;

	*sum = v * PRIME ^ v >> 17;
}

static ALWAYS_INLINE void
add_row(lanes sum[VECTORS], const void *row)
{
	const lanes_unaligned *in = row;

	add(&sum[0], &in[0]);
	add(&sum[1], &in[1]);
	add(&sum[2], &in[2]);
	add(&sum[3], &in[3]);
}

static ALWAYS_INLINE uint32_t
sum_page(const uint8_t *page)
{
	uint8_t first[ROW_BYTES], zeros[ROW_BYTES] = { 0 };
	lanes sum[VECTORS], all;
	uint32_t result = 0;
	unsigned int i;

	(void)memcpy(sum, start, sizeof(sum));
	/* The page counts as if it had no checksum yet. */
	(void)memcpy(first, page, sizeof(first));
	le16_put(first + PD_CHECKSUM, 0);
	add_row(sum, first);
	for (i = 1; i < ROWS; i++)
		add_row(sum, page + i * ROW_BYTES);
	add_row(sum, zeros);
	add_row(sum, zeros);

	all = sum[0] ^ sum[1] ^ sum[2] ^ sum[3];
	for (i = 0; i < VECTOR_LANES; i++)
		result ^= all[i];
	return result;
}

static uint32_t
sum_page_any(const uint8_t *page)
{
	return sum_page(page);
}

#if defined(__x86_64__)
/* Before AVX2 (2013) there is no wide multiplication to speak of. */
__attribute__((__target__("avx2"))) static uint32_t
sum_page_avx2(const uint8_t *page)
{
	return sum_page(page);
}
#endif

uint16_t
page_checksum(const uint8_t page[PAGE_BYTES], uint32_t block)
{
	uint32_t sum;

#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2"))
		sum = sum_page_avx2(page);
	else
#endif
		sum = sum_page_any(page);
	return (uint16_t)((sum ^ block) % 65535 + 1);
}

enum page_verdict
page_check(const uint8_t page[PAGE_BYTES], uint32_t block)
{
	if (le16_get(page + PD_UPPER) == 0)
		return bytes_are_zero(page, PAGE_BYTES) ? PAGE_OK
							: PAGE_NEW_DIRTY;
	return page_checksum(page, block) == le16_get(page + PD_CHECKSUM)
	    ? PAGE_OK
	    : PAGE_BAD_CHECKSUM;
}

uint64_t
page_lsn(const uint8_t page[PAGE_BYTES])
{
	return (uint64_t)le32_get(page) << 32 | le32_get(page + 4);
}

bool
bytes_are_zero(const void *data, size_t len)
{
	const uint8_t *p = data;

	/* All equal to their neighbour and one of them zero; libc's memcmp()
	 * is as wide as the machine. */
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}
