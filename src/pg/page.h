#ifndef PG_PAGE_H
#define PG_PAGE_H

/*
 * page: the 8 KiB page of a relation file: header and checksum.
 * Source: storage/bufpage.h, storage/checksum_impl.h (13 to 18).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES		    8192u
#define PAGE_SEGMENT_BLOCKS_DEFAULT 131072u

enum page_verdict {
	PAGE_OK,	/* checksum right, or an all-zero new page */
	PAGE_NEW_DIRTY, /* pd_upper 0 but bytes that are not zero */
	PAGE_BAD_CHECKSUM
};

/* pg_checksum_page(): block is the block number within the fork. */
uint16_t page_checksum(const uint8_t page[PAGE_BYTES], uint32_t block);
/* Only for clusters with checksums. */
enum page_verdict page_check(const uint8_t page[PAGE_BYTES], uint32_t block);
uint64_t page_lsn(const uint8_t page[PAGE_BYTES]);
/* Are all len bytes zero? */
bool bytes_are_zero(const void *data, size_t len);

#endif /* !PG_PAGE_H */
