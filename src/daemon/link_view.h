#ifndef DAEMON_LINK_VIEW_H
#define DAEMON_LINK_VIEW_H

/*
 * link_view: what the couriers say of peers, for status and alarms.
 */

#include "base/json.h"
#include "conf/settings.h"
#include "daemon/alarm.h"

/* What the courier of a peer said last (<state>/link/<peer>.json); NULL when it
 * says nothing. */
json_t *link_view(const struct settings *s, const char *peer);

/* Alarms of one peer: unreachable, a path down, refused, further behind than
 * rpo_target. */
void judge_link(
    struct alarms *a, const struct settings *s, const struct peer_settings *p);

#endif /* !DAEMON_LINK_VIEW_H */
