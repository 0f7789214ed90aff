/*
 * rule_guard: the fence of this site: the watchdog, or the hook's test.
 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "jobs/fence_test.h"
#include "jobs/rule_int.h"

#define TEST_EVERY_US (600 * CLOCK_SECOND_US)
#define TEST_AGAIN_US (30 * CLOCK_SECOND_US)

_Static_assert(FENCE_UNGUARDED == VOTER_FREE, "a free lease is not guarded");

static bool
is_waived(const struct rule *r)
{
	return r->role.waived != 0 && r->role.waived == r->role.held;
}

/* Until when the server may write, as the watchdog is to see to it. */
static int64_t
guarded_until(const struct rule *r)
{
	if (!r->has_role || r->role.fence != FENCE_LEASE ||
	    r->role.role != ROLE_PRIMARY || is_waived(r))
		return FENCE_UNGUARDED;
	if (record_role_resigned(&r->role))
		return 0;
	return r->voter.lease_until;
}

static void
tell_change(struct rule *r, const struct guard_view *v)
{
	if (v->there == r->guarded)
		return;
	if (v->there)
		log_event(LOG_LEVEL_INFO, "watchdog_there",
		    "the watchdog guards the server", "cluster", r->c->name,
		    "memory", v->locked ? "locked" : "may be swapped",
		    "priority", v->realtime ? "real time" : "ordinary", NULL);
	else
		rule_event(r, LOG_LEVEL_ERROR, "watchdog_silent",
		    "the watchdog does not move: the lease is not prolonged",
		    NULL, NULL);
}

static void
look_at_watchdog(struct rule *r)
{
	struct guard_view v;

	guard_keep(&r->guard);
	guard_tell(&r->guard, guarded_until(r), r->settings.stop_margin_us,
	    r->look.pid);
	guard_see(&r->guard, &v);
	tell_change(r, &v);
	r->guarded = v.there;
	r->proved = v.there && v.may_kill && !is_waived(r);
	r->unproved = !v.there ? "the watchdog is not there"
	    : !v.may_kill      ? "the watchdog may not stop the server's user"
	    : is_waived(r)     ? "this site has no lease yet"
			       : "";
}

void
rule_guard_step(struct rule *r, int64_t now_us)
{
	if (rule_is_witness(r))
		return;
	if (r->c->fence == FENCE_KIND_LEASE) {
		look_at_watchdog(r);
		return;
	}
	guard_tell(&r->guard, FENCE_UNGUARDED, 0, 0);
	r->guarded = true;
	if (r->c->fence != FENCE_KIND_HOOK) {
		r->unproved = "there is no fence";
		return;
	}
	if (r->unproved == NULL)
		r->unproved = "the hook's test has not run yet";
	/* Not while something is up: the hook may be wanted. */
	if (now_us >= r->test_us && r->task.work == WORK_NONE &&
	    r->verdict.state != DECIDE_HOLD &&
	    r->verdict.state != DECIDE_TAKING) {
		r->test_us = now_us + TEST_EVERY_US;
		rule_task_start(r, WORK_FENCE_TEST);
	}
}

void
rule_guard_tested(struct rule *r)
{
	const struct err *e = &r->task.err;
	bool proved = e->kind == ERR_NONE;

	(void)snprintf(r->test_text, sizeof(r->test_text), "%s", e->text);
	r->unproved = proved ? "" : r->test_text;
	if (!proved)
		r->test_us = clock_boot_us() + TEST_AGAIN_US;
	if (!proved && (r->proved || !r->tested))
		log_event(LOG_LEVEL_ERROR, "fence_unproved", e->text, "cluster",
		    r->c->name, "hint", e->hint[0] == '\0' ? NULL : e->hint,
		    NULL);
	else if (proved && !r->proved)
		rule_event(r, LOG_LEVEL_INFO, "fence_proved",
		    "the fence hook has passed its test", NULL, NULL);
	r->proved = proved;
	r->tested = true;
}
