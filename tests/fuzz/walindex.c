/*
 * walindex_decode() must survive any bytes, and what it accepts encodes to the
 * very same bytes.
 */

#include "repo/walindex.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint64_t start = (uint64_t)1 << 24, end = (uint64_t)2 << 24;
	AUTO_WALINDEX struct walindex x = { 0 };
	AUTO_BUF struct buf again = BUF_INIT;
	struct err e = ERR_INIT;

	if (walindex_decode(&x, 1, start, end, data, len, &e) == -1) {
		if (e.kind != ERR_CORRUPT || x.count != 0)
			abort();
		return 0;
	}
	walindex_encode(&x, &again);
	if (again.len != len || memcmp(again.data, data, len) != 0)
		abort();
	return 0;
}
