#ifndef REPO_WALFILE_H
#define REPO_WALFILE_H

/*
 * walfile: the bytes of a stored WAL segment, or of a partial one.
 *
 *	+--------+---------+-----+---------+-------+-------+---------+
 *	| header | chunk 0 | ... | chunk N | table | index | trailer |
 *	|  64    | zstd    |     | zstd    |       |       | 64      |
 *	+--------+---------+-----+---------+-------+-------+---------+
 *	                                    \__ footer, skippable __/
 *
 * Header and footer are skippable zstd frames, so the whole file is a zstd
 * file: "zstd -d" makes the plain segment of it, without pgkura.
 *
 * All integers are little-endian; reserved bytes are written as zero and must
 * read as zero.  doc/format-wal.md describes it for other implementations.
 *
 *	header
 *	offset	size	field
 *	     0	   4	frame		0x184D2A5B, a skippable frame ...
 *	     4	   4	frame_bytes	... of 56 bytes
 *	     8	   8	magic		"PGKWAL\r\n"
 *	    16	   2	version		1 or 2
 *	    18	   2	flags		bit 0: partial
 *	    20	   4	timeline	of the segment's name, never 0
 *	    24	   8	system_id	pg_control's system identifier
 *	    32	   8	start_lsn	a multiple of segment_bytes
 *	    40	   4	segment_bytes	1 MiB to 1 GiB, a power of two
 *	    44	   4	plain_bytes	segment_bytes, or less when partial
 *	    48	   4	chunk_bytes	of plain bytes in a chunk but the last:
 *					a power of two, 64 KiB to 64 MiB
 *	    52	   8	reserved	0
 *	    60	   4	crc		CRC-32C of bytes 0 to 59
 *
 *	footer
 *	     0	   4	frame		0x184D2A5C, a skippable frame ...
 *	     4	   4	frame_bytes	... of all that follows
 *	     8	 8 N	table		of each of N chunks: stored length (4),
 *					CRC-32C of the stored bytes (4)
 *	       	    	index		walindex.h
 *
 *	trailer, the last 64 bytes of the footer and of the file
 *	     0	  32	digest		of the plain bytes, by version:
 *					1: SHA-256
 *					2: XXH3-128, then 16 bytes of 0
 *	    32	   8	body_bytes	of all chunks
 *	    40	   4	index_bytes
 *	    44	   4	footer_crc	CRC-32C of the footer before the trailer
 *	    48	   4	header_crc	the crc of the header
 *	    52	   4	reserved	0
 *	    56	   4	magic		"KEND"
 *	    60	   4	crc		CRC-32C of bytes 0 to 59
 *
 * Nothing here does I/O or allocates, so all of it can be fuzzed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "codec/digest.h"

#define WALFILE_HEADER_BYTES	64
#define WALFILE_TRAILER_BYTES	64
#define WALFILE_FRAME_BYTES	8 /* in front of the table */
#define WALFILE_DIGEST_BYTES	32
#define WALFILE_VERSION		2 /* what is written; 1 is read */
#define WALFILE_CHUNK_BYTES	((uint32_t)4 << 20)
#define WALFILE_CHUNK_BYTES_MIN ((uint32_t)64 << 10)
#define WALFILE_CHUNK_BYTES_MAX ((uint32_t)64 << 20)
#define WALFILE_INDEX_BYTES_MAX ((uint32_t)8 << 20)

enum walfile_flags { WALFILE_PARTIAL = 1 << 0 };
#define WALFILE_FLAGS_KNOWN ((unsigned int)WALFILE_PARTIAL)

struct walfile_header {
	uint16_t version;
	uint16_t flags;
	uint32_t timeline;
	uint64_t system_id;
	uint64_t start_lsn;
	uint32_t segment_bytes;
	uint32_t plain_bytes;
	uint32_t chunk_bytes;
};

struct walfile_trailer {
	uint8_t digest[WALFILE_DIGEST_BYTES]; /* walfile_digest_of() */
	uint64_t body_bytes;
	uint32_t index_bytes;
	uint32_t footer_crc;
	uint32_t header_crc;
};

/* Every field must be valid. */
void walfile_header_encode(
    const struct walfile_header *h, uint8_t out[WALFILE_HEADER_BYTES]);
/* ERR_CORRUPT and *h untouched when a byte is wrong. */
int walfile_header_decode(struct walfile_header *h,
    const uint8_t in[WALFILE_HEADER_BYTES], struct err *e);
/* The crc that the trailer repeats. */
uint32_t walfile_header_crc(const uint8_t in[WALFILE_HEADER_BYTES]);

void walfile_trailer_encode(
    const struct walfile_trailer *t, uint8_t out[WALFILE_TRAILER_BYTES]);
/* ERR_CORRUPT and *t untouched when a byte is wrong. */
int walfile_trailer_decode(struct walfile_trailer *t,
    const uint8_t in[WALFILE_TRAILER_BYTES], struct err *e);

/* The digest of len plain bytes as this version of the file has it. */
void walfile_digest_of(unsigned int version, const void *plain, size_t len,
    uint8_t out[WALFILE_DIGEST_BYTES]);

/* Number of chunks, 0 to 16,384. */
uint32_t walfile_chunks(const struct walfile_header *h);
/* Plain bytes of chunk i. */
uint32_t walfile_chunk_plain(const struct walfile_header *h, uint32_t i);

/* Bytes of the footer with its trailer. */
uint64_t
walfile_footer_bytes(const struct walfile_header *h, uint32_t index_bytes);
/* The footer's first 8 bytes. */
void
walfile_footer_begin(uint8_t out[WALFILE_FRAME_BYTES], uint64_t footer_bytes);
/* One entry of the table. */
struct walfile_chunk {
	uint32_t stored_bytes;
	uint32_t crc;
};
#define WALFILE_CHUNK_ENTRY_BYTES 8
void walfile_chunk_encode(
    const struct walfile_chunk *c, uint8_t out[WALFILE_CHUNK_ENTRY_BYTES]);
/* Entry i of a footer that walfile_footer_check() found sound. */
struct walfile_chunk walfile_chunk_at(const uint8_t *footer, uint32_t i);

/*
 * Check that a footer without its trailer (len bytes at in) is what the trailer
 * and header say, and that its table adds up to body_bytes.  The table starts
 * at in + WALFILE_FRAME_BYTES, the index behind it.  ERR_CORRUPT.
 */
int walfile_footer_check(const struct walfile_header *h,
    const struct walfile_trailer *t, const uint8_t *in, size_t len,
    struct err *e);

#endif /* !REPO_WALFILE_H */
