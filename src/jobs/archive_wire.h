#ifndef JOBS_ARCHIVE_WIRE_H
#define JOBS_ARCHIVE_WIRE_H

/*
 * archive_wire: what `pgkura-wal push` and the daemon say to each other, over a
 * Unix socket that keeps message boundaries (SOCK_SEQPACKET).
 *
 *	request, with count + 1 descriptors (SCM_RIGHTS), or count without
 *	the control file:
 *	offset	size	field
 *	     0	   8	magic		"PGKPUSH\n"
 *	     8	   2	version		1
 *	    10	   2	count		files, 1 to 8
 *	    12	   4	flags		bit 0: the last descriptor is pg_control
 *	    16	 1+n	count names: length (1 to 100) and bytes
 *
 *	The first file is wanted now, the others soon.
 *
 *	answer, about the first file:
 *	     0	   8	magic		"PGKPUSHA"
 *	     8	   2	version		1
 *	    10	   2	status		0: it is durable; else what to exit with
 *	    12	   4	reserved	0
 *	    16	    	message, then "\n" and a hint; at most 900 bytes
 *
 * Integers are little-endian.  src/wal-client/push.c is the other side.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ARCHIVE_FILES_MAX	8
#define ARCHIVE_NAME_BYTES	101 /* with the NUL */
#define ARCHIVE_REQUEST_MAX	(16 + ARCHIVE_FILES_MAX * ARCHIVE_NAME_BYTES)
#define ARCHIVE_ANSWER_TEXT_MAX 900
#define ARCHIVE_ANSWER_MAX	(16 + ARCHIVE_ANSWER_TEXT_MAX)
#define ARCHIVE_DESCRIPTORS_MAX (ARCHIVE_FILES_MAX + 1)

struct archive_request {
	unsigned int count;
	bool has_control;
	char names[ARCHIVE_FILES_MAX][ARCHIVE_NAME_BYTES];
};

/* Only names of letters, digits and dots pass.  ERR_CORRUPT. */
int archive_request_decode(
    struct archive_request *r, const uint8_t *in, size_t len, struct err *e);
/* Returns the length. */
size_t archive_request_encode(
    const struct archive_request *r, uint8_t out[ARCHIVE_REQUEST_MAX]);

/* The answer that e stands for (ERR_NONE: it is durable); its length. */
size_t
archive_answer_encode(const struct err *e, uint8_t out[ARCHIVE_ANSWER_MAX]);

#endif /* !JOBS_ARCHIVE_WIRE_H */
