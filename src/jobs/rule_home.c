/*
 * rule_home: where it is wanted, the role goes home by itself: to the site whose
 * own configuration says role = primary, when it lost the role by a failover (a
 * switchover was somebody's will), follows again, and a switchover could have begun
 * at any moment for switchback_after.  What begins then is a switchover as if it
 * were ordered here; one that fails is not tried again before the same time.
 */

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "jobs/rule_int.h"

/* Since when it could go home is said by the caller's obstacle: r->obstacle. */
static bool
could_go_home(const struct rule *r)
{
	const struct decide_says *peer = &r->says[r->sites.peer];

	return r->c->switchback_after_us != 0 &&
	    r->c->role == INITIAL_PRIMARY && r->has_role &&
	    r->role.role == ROLE_STANDBY && !r->role.handed &&
	    r->order.kind == RULE_ORDER_NONE && rule_peer_fresh(r) &&
	    peer->role == ROLE_PRIMARY && peer->writable &&
	    !peer->maintenance && r->obstacle[0] == '\0';
}

static void
order_it(struct rule *r, int64_t now_us)
{
	r->order = (struct rule_order){ .kind = RULE_ORDER_SWITCHOVER,
		.state = "running",
		.since_us = now_us };
	(void)snprintf(r->order.id, sizeof(r->order.id), "home-%" PRIx64,
	    (uint64_t)now_us);
	(void)snprintf(r->order.to, sizeof(r->order.to), "%s",
	    r->sites.names[r->sites.self]);
	rule_event(r, LOG_LEVEL_WARNING, "switchback",
	    "this site is ready again, as long as was wanted: the role comes "
	    "home",
	    "id", r->order.id);
	r->shown_us = 0;
}

void
rule_home_step(struct rule *r, int64_t now_us)
{
	if (!could_go_home(r)) {
		r->home_us = 0;
		return;
	}
	if (r->home_us == 0)
		r->home_us = now_us;
	if (rule_home_left_us(r, now_us) > 0)
		return;
	r->home_us = 0;
	order_it(r, now_us);
}

int64_t
rule_home_left_us(const struct rule *r, int64_t now_us)
{
	int64_t at_us = r->home_us + r->c->switchback_after_us;

	return r->home_us == 0 ? -1 : at_us > now_us ? at_us - now_us : 0;
}
