#ifndef JOBS_TRAIL_H
#define JOBS_TRAIL_H

/*
 * trail: how far behind a copy at another site was, and how fast it grew: a
 * sample a minute for 7 days, and one for each quarter of an hour for 90.
 *
 * <state>/<cluster>/trail.to.<peer> for what goes there, trail.from.<peer> for
 * what comes: one file of a fixed size, in which a sample's time says where it
 * lies, so that nothing has to be kept in order, and an old sample gives way to
 * a new one by being overwritten.  All integers are little-endian.
 *
 *	offset		size
 *	     0		   8  "PGKTRAIL"
 *	     8		   4  version, 1
 *	    12		  52  0
 *	    64	10,080 * 40   minute M since 1970 in slot M mod 10,080
 *	       +  8,640 * 40  quarter of an hour Q in slot Q mod 8,640
 *
 * and a slot
 *
 *	     0		   8  time_us: where it begins, a multiple of its span
 *	     8		   8  behind_bytes: the most in it
 *	    16		   8  behind_us: the longest in it; 2^64 - 1 not known
 *	    24		   8  bytes: WAL and objects that became durable there
 *	    32		   4  covered_ms: for how long of it somebody looked
 *	    36		   4  CRC-32C of bytes 0 to 35
 *
 * A slot that fails its checksum or lies elsewhere than its time says is empty.
 * Only what may be lost is here: nothing is synced.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/err.h"

#define TRAIL_MINUTE_US	 (60 * CLOCK_SECOND_US)
#define TRAIL_QUARTER_US (15 * TRAIL_MINUTE_US)
#define TRAIL_MINUTES	 10080
#define TRAIL_QUARTERS	 8640
#define TRAIL_UNKNOWN	 UINT64_MAX

enum trail_way { TRAIL_TO, TRAIL_FROM };

struct trail_sample {
	int64_t time_us, span_us;
	uint64_t behind_bytes;
	uint64_t behind_us; /* TRAIL_UNKNOWN */
	uint64_t bytes;
	uint32_t covered_ms;
};

struct trail;

/* To write it; a file that is not one of ours is made anew. */
struct trail *trail_open(const char *state_dir, const char *cluster,
    enum trail_way way, const char *peer, struct err *e);
void trail_close(struct trail *t);
AUTO_DEFINE(struct trail, trail_close);
#define AUTO_TRAIL AUTO(trail_close_auto)

/* So it is at now_us (since 1970); bytes became durable since the last note.
 * Once a second or so. */
void trail_note(struct trail *t, int64_t now_us, uint64_t behind_bytes,
    uint64_t behind_us, uint64_t bytes);

/*
 * Samples from since_us to now_us, oldest first: of a minute each for the last 7
 * days, of a quarter of an hour before.  The caller frees *list.  A trail that
 * is not there has none; ERR_CORRUPT when it is no trail.
 */
int trail_read(const char *state_dir, const char *cluster, enum trail_way way,
    const char *peer, int64_t since_us, int64_t now_us,
    struct trail_sample **list, size_t *count, struct err *e);

#endif /* !JOBS_TRAIL_H */
