/* The numbers of timelines: two sites never take the same. */

#include "jobs/promote_int.h"

#include "tap.h"

int
main(void)
{
	struct cluster_settings primary = { .role = INITIAL_PRIMARY };
	struct cluster_settings standby = { .role = INITIAL_STANDBY };
	struct cluster_settings none = { .role = INITIAL_NONE };
	uint32_t a, b, same = 0, low = 0;

	tap_u64(promote_timeline_next(&standby, 1, 1), 2, "the usual failover");
	tap_u64(promote_timeline_next(&primary, 2, 2), 3, "and the way back");
	tap_u64(promote_timeline_next(&primary, 1, 1), 3,
	    "the other site's number is passed by");
	tap_u64(promote_timeline_next(&standby, 2, 2), 4, "at both");
	tap_u64(promote_timeline_next(&standby, 2, 5), 6,
	    "above all that is in the repository");
	tap_u64(promote_timeline_next(&none, 2, 5), 6, "also without roles");
	for (a = 1; a < 50; a++)
		for (b = 1; b < 50; b++) {
			same += promote_timeline_next(&primary, a, b) ==
			    promote_timeline_next(&standby, b, a);
			low += promote_timeline_next(&primary, a, b) <= a ||
			    promote_timeline_next(&standby, a, b) <= b;
		}
	tap_u64(same, 0, "never the same at both");
	tap_u64(low, 0, "always a later one");
	return tap_done();
}
