/*
 * control_decode() must survive any bytes, and what it accepts is safe to count
 * with: others divide by these sizes.
 */

#include "pg/control.h"

#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "codec/digest.h"
#include "pg/lsn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t file[CONTROL_BYTES];
	struct control c = { .system_id = 1 };
	struct err e = ERR_INIT;
	size_t crc_at;

	(void)control_decode(&c, data, len, &e); /* as it comes */

	/* Past the size and the checksum. */
	memset(file, 0, sizeof(file));
	memcpy(file, data, len < sizeof(file) ? len : sizeof(file));
	crc_at = le32_get(file + 8) == 1800 ? 292 : 288;
	le32_put(file + crc_at, crc32c(0, file, crc_at));
	if (control_decode(&c, file, sizeof(file), &e) == -1) {
		if (e.kind != ERR_CORRUPT)
			abort();
		return 0;
	}
	if (c.timeline == 0 || !wal_segment_bytes_valid(c.wal_segment_bytes) ||
	    c.block_bytes == 0 || c.wal_block_bytes == 0 ||
	    c.relation_segment_blocks == 0 ||
	    strcmp(control_state_name(c.state), "unknown") == 0 ||
	    control_major(&c) < 0)
		abort();
	return 0;
}
