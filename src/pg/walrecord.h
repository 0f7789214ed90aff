#ifndef PG_WALRECORD_H
#define PG_WALRECORD_H

/*
 * walrecord: one WAL record, from its bytes.
 *
 * Little-endian, 8-aligned in WAL, the parts not aligned:
 *
 *	offset	size	field
 *	     0	   4	total_bytes	header and all that follows
 *	     4	   4	xid
 *	     8	   8	prev_lsn	start of the record before
 *	    16	   1	info		high 4 bits are the rmgr's
 *	    17	   1	rmid		resource manager
 *	    18	   2	0
 *	    20	   4	crc		CRC-32C of 24.. then of 0 to 19
 *	    24		fragment headers, each beginning with an id:
 *			0 to 32	a block reference, ids ascending
 *			252	top-level xid, u32 (14 and later)
 *			253	replication origin, u16
 *			254	main data, u32 length; always the last
 *			255	main data, u8 length; always the last
 *			then the data: of each block its image and its own
 *			data, and the main data at the end
 *
 * Source: access/xlogrecord.h, ValidXLogRecord() and DecodeXLogRecord() in
 * xlogreader.c, 13 to 18.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define WALRECORD_HEADER_BYTES 24

/*
 * The longest record that any server replays: 13 to 15 stop at the largest
 * allocation, just below 1 GiB; 16 and later write at most 1,020 MiB.
 */
#define WALREADER_RECORD_BYTES_MAX (((uint32_t)1 << 30) - 1)

/* Built-in resource managers that pgkura reads; equal in 13 to 18. */
enum walrecord_rmid {
	WALRECORD_XLOG = 0,
	WALRECORD_XACT = 1,
	WALRECORD_SMGR = 2,
	WALRECORD_DATABASE = 4,
	WALRECORD_TABLESPACE = 5,
	WALRECORD_RMID_MAX_BUILTIN = 21,
	WALRECORD_RMID_MIN_CUSTOM = 128 /* 15 and later */
};

/* The rmgr's bits of info. */
#define WALRECORD_INFO_MASK 0xf0

/* info of two WALRECORD_XLOG records that change how the pages go on. */
#define WALRECORD_XLOG_SWITCH		    0x40
#define WALRECORD_XLOG_OVERWRITE_CONTRECORD 0xd0

struct walreader_block {
	uint32_t tablespace, database, relation;
	uint8_t fork; /* 0 main, 1 fsm, 2 vm, 3 init */
	uint8_t id;   /* the record's own number for it, 0 to 32 */
	uint32_t block;
	bool has_image;	  /* a full-page image ... */
	bool apply_image; /* ... that replay restores */
	bool will_init;	  /* replay makes the page anew */
};

#define WALREADER_BLOCKS_MAX 33

struct walreader_record {
	uint64_t lsn;	  /* first byte */
	uint64_t end_lsn; /* first byte behind it, 8-aligned */
	uint64_t prev_lsn;
	uint32_t xid;
	uint8_t rmid;
	uint8_t info;
	uint32_t total_bytes;
	uint32_t image_bytes; /* full-page images as stored */
	unsigned int block_count;
	struct walreader_block blocks[WALREADER_BLOCKS_MAX];
	const uint8_t *main_data; /* good during the callback */
	uint32_t main_bytes;
};

/* ERR_CORRUPT when no record can be so long. */
int walrecord_check_length(uint32_t total_bytes, struct err *e);

/*
 * The header alone, before the rest is there: fills total_bytes, xid,
 * prev_lsn, info and rmid.  ERR_CORRUPT when the length or the resource
 * manager cannot be.
 */
int walrecord_decode_header(struct walreader_record *r, int major,
    const uint8_t header[WALRECORD_HEADER_BYTES], struct err *e);

/* Does the checksum of the whole record, as long as it says, hold? */
bool walrecord_crc_valid(const uint8_t *data, uint32_t total_bytes);

/*
 * What lies behind the header of a record whose header is decoded already:
 * blocks and main data, which point into data.  ERR_CORRUPT when the parts do
 * not add up or break a rule of the format.
 */
int walrecord_decode_body(
    struct walreader_record *r, int major, const uint8_t *data, struct err *e);

/* "Heap2" for 9, "custom128" for 128; as pg_waldump of 15 calls them. */
const char *walrecord_rmgr_name(uint8_t rmid, char out[16]);

#endif /* !PG_WALRECORD_H */
