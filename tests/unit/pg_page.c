/*
 * page: block 7 of a server's pg_proc, which pg_checksums calls sound.
 */

#include "pg/page.h"

#include <string.h>

#include "base/mem.h"
#include "pg_data.h"

#define BLOCK 7

/* As checksum_impl.h has it: a row at a time, a column at a time. */
static uint16_t
slowly(const uint8_t *page, uint32_t block)
{
	static const uint32_t start[32] = { 0x5B1F36E9, 0xB8525960, 0x02AB50AA,
		0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
		0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D,
		0x98DAFF3C, 0xF718902A, 0x0B1C9CDB, 0xE58F764B, 0x187636BC,
		0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979,
		0x85AA43D4, 0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E,
		0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756 };
	uint32_t words[66][32] = { { 0 } }, sum[32], v, all = 0;
	int row, column;

	memcpy(words, page, PAGE_BYTES);
	words[0][2] &= 0xffff0000;
	memcpy(sum, start, sizeof(sum));
	for (row = 0; row < 66; row++)
		for (column = 0; column < 32; column++) {
			v = sum[column] ^ words[row][column];
			sum[column] = v * 16777619 ^ v >> 17;
		}
	for (column = 0; column < 32; column++)
		all ^= sum[column];
	return (uint16_t)((all ^ block) % 65535 + 1);
}

static void
check_real_page(uint8_t *page)
{
	unsigned int bit, taken = 0;

	tap_u64(page_checksum(page, BLOCK), 0x3b82, "what the server wrote");
	tap_ok(page_check(page, BLOCK) == PAGE_OK, "a sound page");
	tap_ok(page_check(page, BLOCK + 1) == PAGE_BAD_CHECKSUM,
	    "it is not the next block");
	tap_ok(page_check(page, BLOCK + 131072) == PAGE_BAD_CHECKSUM,
	    "nor that of the next segment");
	tap_u64(page_lsn(page), 0x15366b8, "position of its last change");
	for (bit = 0; bit < 8 * PAGE_BYTES; bit++) {
		page[bit / 8] ^= (uint8_t)(1 << bit % 8);
		taken += page_check(page, BLOCK) == PAGE_OK;
		page[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	tap_u64(taken, 0, "no single-bit flip passes");
	/* Not at an address of a page. */
	memmove(page + 1, page, PAGE_BYTES);
	tap_ok(page_check(page + 1, BLOCK) == PAGE_OK, "at any address");
}

static void
check_against_definition(uint8_t *page)
{
	uint32_t x = 1, wrong = 0;
	int round;
	size_t i;

	for (round = 0; round < 200; round++) {
		for (i = 0; i < PAGE_BYTES; i++) {
			x = x * 1664525 + 1013904223;
			page[i] = (uint8_t)(x >> 24);
		}
		wrong += page_checksum(page, x) != slowly(page, x);
	}
	tap_u64(wrong, 0, "random pages sum up as defined");
}

static void
check_new_pages(uint8_t *page)
{
	unsigned int at, taken = 0;

	memset(page, 0, PAGE_BYTES);
	tap_ok(page_check(page, 0) == PAGE_OK, "a new page");
	for (at = 0; at < PAGE_BYTES; at++) {
		page[at] = 1;
		/* With an end of free space it is no new page. */
		taken += page_check(page, 0) !=
		    (at == 14 || at == 15 ? PAGE_BAD_CHECKSUM : PAGE_NEW_DIRTY);
		page[at] = 0;
	}
	tap_u64(taken, 0, "a new page with any byte set is not new");
}

static void
check_zero(void)
{
	uint8_t bytes[200] = { 0 };
	size_t from, len, at, wrong = 0;

	for (from = 0; from < 9; from++)
		for (len = 0; len < 100; len++) {
			bytes[from + len] = 1; /* behind the end */
			wrong += !bytes_are_zero(bytes + from, len);
			bytes[from + len] = 0;
			for (at = 0; at < len; at++) {
				bytes[from + at] = 0x80;
				wrong += bytes_are_zero(bytes + from, len);
				bytes[from + at] = 0;
			}
		}
	memset(bytes, 1, sizeof(bytes));
	wrong += bytes_are_zero(bytes, sizeof(bytes));
	tap_u64(wrong, 0, "zeros of every length and address");
	tap_ok(bytes_are_zero(NULL, 0), "nothing is zero");
}

int
main(void)
{
	AUTO_BUF struct buf page = BUF_INIT;

	data_read(&page, "page/block-7");
	if (page.len != PAGE_BYTES)
		tap_bail("the page has %zu bytes", page.len);
	(void)buf_reserve(&page, 1);
	check_real_page(page.data);
	check_against_definition(page.data);
	check_new_pages(page.data);
	check_zero();
	return tap_done();
}
