#ifndef DAEMON_STANDBY_VIEW_H
#define DAEMON_STANDBY_VIEW_H

/*
 * standby_view: could the other site take over?  What the duty of the standby and
 * the rule say becomes alarms, at both sites.
 */

#include "daemon/alarm.h"
#include "daemon/facts.h"

/* A standby that does not start, is stopped by order, or is still an old primary;
 * one at the other site that could not take over; maintenance. */
void judge_standby(struct alarms *a, const struct cluster_settings *cs,
    const struct cluster_view *c);

#endif /* !DAEMON_STANDBY_VIEW_H */
