#ifndef REPO_PACK_FORMAT_H
#define REPO_PACK_FORMAT_H

/*
 * pack_format: the bytes of a pack that are not frames.  Pure.
 *
 *	header			64 bytes
 *	frames			back to back
 *	index			frame table, sums, runs, paths
 *	footer			96 bytes, ends the file
 *
 * All integers are little-endian; reserved bytes are zero and must read so.
 *
 * Header
 *	offset	size	field
 *	     0	   8	magic		"PGKPACK\n"
 *	     8	   2	version		1
 *	    10	   2	flags		0; bit 0 sealed (later)
 *	    12	  32	pack id		NUL-padded
 *	    44	  16	reserved
 *	    60	   4	crc		CRC-32C of bytes 0 to 59
 *
 * Frame table: one row of 32 bytes a frame
 *	     0	   8	offset		in the file
 *	     8	   4	stored_len
 *	    12	   4	raw_len
 *	    16	   4	stored_crc	CRC-32C of the stored bytes
 *	    20	   4	first_sum	row in the sums
 *	    24	   2	block_count	1 to 128; 1 for META
 *	    26	   1	kind		0 BLOCKS, 1 META
 *	    27	   1	stored		0 as is, 1 one zstd frame
 *	    28	   4	run_count	its rows in the runs follow those of the
 *					frame before
 * Sums: 12 bytes a block
 *	     0	   8	hash		XXH3-64 with the block key as seed
 *	     8	   4	crc		CRC-32C
 * Runs: 12 bytes each; the runs of a frame cover its blocks in order
 *	     0	   4	path		offset into the paths
 *	     4	   4	first_block	in the file
 *	     8	   2	count
 *	    10	   2	tail_len	bytes of the run's last block, 1 to 8192
 * Paths: NUL-terminated strings
 *
 * Footer
 *	     0	   8	magic		"PGKINDEX"
 *	     8	   8	index_offset
 *	    16	   8	index_bytes
 *	    24	   4	frame_count
 *	    28	   4	sum_count
 *	    32	   4	run_count
 *	    36	   4	path_bytes
 *	    40	  32	index_sha256
 *	    72	  20	reserved
 *	    92	   4	crc		CRC-32C of bytes 0 to 91
 */

#include "base/buf.h"
#include "repo/pack.h"

#define PACK_HEADER_BYTES 64
#define PACK_FOOTER_BYTES 96
#define PACK_FRAME_ROW	  32
#define PACK_SUM_ROW	  12
#define PACK_RUN_ROW	  12
#define PACK_SUMS_MAX	  ((uint32_t)1 << 22)
#define PACK_PATHS_MAX	  ((uint32_t)1 << 28)

struct pack_footer {
	uint64_t index_offset, index_bytes;
	uint32_t frame_count, sum_count, run_count, path_bytes;
	uint8_t index_sha256[SHA256_BYTES];
};

void pack_header_encode(const char *pack_id, uint8_t out[PACK_HEADER_BYTES]);
int pack_header_check(
    const uint8_t in[PACK_HEADER_BYTES], const char *pack_id, struct err *e);
void
pack_footer_encode(const struct pack_footer *f, uint8_t out[PACK_FOOTER_BYTES]);
int pack_footer_decode(struct pack_footer *f,
    const uint8_t in[PACK_FOOTER_BYTES], uint64_t file_bytes, struct err *e);

/* An index in memory, checked and ready to be asked. */
struct pack_index {
	uint32_t pack; /* packset number */
	struct pack_footer footer;
	uint8_t *bytes; /* the four tables, owned */
	struct frame_info *frames;
	uint32_t *first_run; /* of each frame; frame_count + 1 */
	const uint8_t *sums, *runs;
	const char *paths;
};

/* Takes bytes (footer->index_bytes of them, freed on failure too).  data_end is
 * where frames must end. */
struct pack_index *
pack_index_decode(const struct pack_footer *f, uint8_t *bytes, struct err *e);
void pack_index_free(struct pack_index *x);
AUTO_DEFINE(struct pack_index, pack_index_free);
#define AUTO_PACK_INDEX AUTO(pack_index_free_auto)
size_t pack_index_bytes(const struct pack_index *x); /* memory it takes */

#endif /* !REPO_PACK_FORMAT_H */
