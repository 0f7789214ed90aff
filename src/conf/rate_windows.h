#ifndef CONF_RATE_WINDOWS_H
#define CONF_RATE_WINDOWS_H

/*
 * rate_windows: which rate is allowed at which time of the day.  Pure.
 *
 *	"08:00-18:00 20MB, 22:00-06:00 unlimited"
 *
 * Each is a window in local time, its end not included, and bytes a second.
 * The first that holds now counts; where none does, the general rate.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/schedule.h"

#define RATE_WINDOWS_MAX 24
#define RATE_BYTES_S_MIN ((uint64_t)8 << 10)
#define RATE_BYTES_S_MAX ((uint64_t)1 << 40)

struct rate_windows {
	size_t count;
	struct {
		struct window_of_day window;
		uint64_t bytes_s; /* 0: unlimited */
	} at[RATE_WINDOWS_MAX];
};

/* ERR_USAGE with an example; *w is then untouched. */
int rate_windows_parse(struct rate_windows *w, const char *text, struct err *e);
/* The rate at now_us (wall clock); otherwise where no window holds.  0: no
 * limit. */
uint64_t rate_windows_at(
    const struct rate_windows *w, uint64_t otherwise, int64_t now_us);

#endif /* !CONF_RATE_WINDOWS_H */
