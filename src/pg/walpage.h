#ifndef PG_WALPAGE_H
#define PG_WALPAGE_H

/*
 * walpage: the header in front of each 8 KiB page of WAL.
 *
 *	offset	size	field
 *	     0	   2	magic		one per major version
 *	     2	   2	flags		1 first is the rest of a record,
 *					2 long header, 4 images optional,
 *					8 first replaces a broken record
 *	     4	   4	timeline
 *	     8	   8	address		LSN of this page
 *	    16	   4	rest_bytes	of the record that goes on here
 *	    20	   4	0
 *	   and only on the first page of a segment (long header):
 *	    24	   8	system_id
 *	    32	   4	segment_bytes
 *	    36	   4	page_bytes	8192
 *
 * Source: access/xlog_internal.h, XLogReaderValidatePageHeader() of 13 to 18.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define WALPAGE_HEADER_BYTES	  24
#define WALPAGE_LONG_HEADER_BYTES 40

#define WALPAGE_FIRST_IS_REST	   0x0001
#define WALPAGE_LONG		   0x0002
#define WALPAGE_FIRST_IS_OVERWRITE 0x0008
#define WALPAGE_FLAGS_KNOWN	   0x000f

struct walpage {
	uint16_t flags;
	int major; /* 13 to 18 */
	uint32_t timeline;
	uint64_t address;
	uint32_t rest_bytes;
	uint64_t system_id; /* this and the next of a long header only */
	uint32_t segment_bytes;
};

/* What the page at an address must agree with. */
struct walpage_expected {
	uint64_t address;
	uint32_t segment_bytes;
	uint64_t system_id;		     /* 0: any */
	int major;			     /* 0: any */
	uint32_t timeline_min, timeline_max; /* of 0: any */
};

/* How long the header is whose first 4 bytes are at in. */
uint32_t walpage_header_bytes(const uint8_t *in);

/*
 * Read a header of walpage_header_bytes() bytes and compare it.  ERR_CORRUPT
 * with the address and the reason; ERR_CONFLICT when all is right but it is of
 * another system identifier or a later timeline.
 */
int walpage_decode(struct walpage *p, const uint8_t *in,
    const struct walpage_expected *expected, struct err *e);

#endif /* !PG_WALPAGE_H */
