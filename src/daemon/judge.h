#ifndef DAEMON_JUDGE_H
#define DAEMON_JUDGE_H

/*
 * judge: raises and clears alarms from what is known.  Called again whenever
 * something changes, and from time to time.
 */

#include <stdint.h>

#include "conf/settings.h"
#include "daemon/alarm.h"
#include "daemon/duty.h"
#include "daemon/facts.h"

void judge(struct alarms *a, const struct settings *s, const struct facts *f,
    const struct duties *d, int64_t now_us);

#endif /* !DAEMON_JUDGE_H */
