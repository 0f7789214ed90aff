/*
 * What comes over the archive socket: any bytes are survived, what is accepted
 * has safe names and encodes to the very same bytes.
 */

#include <stdlib.h>
#include <string.h>

#include "jobs/archive_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t again[ARCHIVE_REQUEST_MAX];
	struct archive_request r;
	struct err e = ERR_INIT;
	unsigned int i;

	if (archive_request_decode(&r, data, len, &e) == -1) {
		if (e.kind != ERR_CORRUPT || r.count != 0)
			abort();
		return 0;
	}
	for (i = 0; i < r.count; i++)
		if (r.names[i][0] == '\0' || r.names[i][0] == '.' ||
		    strchr(r.names[i], '/') != NULL)
			abort();
	if (archive_request_encode(&r, again) != len ||
	    memcmp(again, data, len) != 0)
		abort();
	return 0;
}
