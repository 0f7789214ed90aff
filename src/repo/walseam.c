/*
 * walseam: is the WAL that goes on here the one that ended there?
 */

#include "base/mem.h"
#include "codec/digest.h"
#include "repo/walcheck.h"

#define SEAM_BYTES ((uint32_t)8192)

/*
 * At the border of two segments all of the one in front counts: what was switched away
 * from ends in zeros, as any other.  Of that the sum is not a CRC-32C, which is blind to
 * what differs in a record's header alone: the record's own CRC behind it makes up for
 * that.
 */
int
wal_seam(const struct lineage *l, uint32_t timeline, uint64_t lsn,
    struct wal_seam *out, struct err *e)
{
	const uint32_t bytes = l->facts.segment_bytes;
	uint32_t at = (uint32_t)(lsn % bytes), sum_bytes;
	AUTO_FREE uint8_t *data = NULL;
	struct err local = ERR_INIT;
	char name[WAL_NAME_BYTES];
	size_t valid;

	*out = (struct wal_seam){ .bytes = 0 };
	if (at == 0) {
		if (lsn < bytes)
			return 0;
		if (wal_timeline_before(l, timeline, lsn, &timeline, e) == -1)
			return -1;
		if (timeline == 0)
			return 0;
		lsn -= bytes;
		at = sum_bytes = bytes;
	} else {
		sum_bytes = at < SEAM_BYTES ? at : SEAM_BYTES;
	}
	data = mem_alloc(bytes);
	(void)wal_name(timeline, lsn, bytes, name);
	if (wal_read_tail(l, name, data, &valid, &local) == -1) {
		if (local.kind == ERR_NOT_FOUND)
			return 0;
		*e = local;
		return -1;
	}
	if (valid < at)
		return 0;
	out->bytes = sum_bytes;
	out->sum = sum_bytes == bytes
	    ? (uint32_t)xxh3_keyed(0, data, bytes)
	    : crc32c(0, data + at - sum_bytes, sum_bytes);
	return 0;
}

bool
wal_seam_fits(const struct wal_seam *a, const struct wal_seam *b)
{
	return a->bytes == 0 || a->bytes != b->bytes || a->sum == b->sum;
}
