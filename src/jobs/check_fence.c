/*
 * check_fence: is it proved that an old primary writes no more?
 *
 * lease	a watchdog is there, moves, and may stop the server; at a standby
 *		also: the primary has said the same of itself
 * hook		the hook has passed its test (fence_test.h)
 */

#include <string.h>

#include "base/json.h"
#include "jobs/check_int.h"
#include "jobs/fence_test.h"
#include "jobs/guard.h"
#include "jobs/rule.h"

/* Without a fence nobody promotes itself: a fault only where that is wanted. */
static enum check_verdict
missing(const struct check *k)
{
	return k->cluster->failover == FAILOVER_AUTOMATIC ? CHECK_FAULT
							  : CHECK_WARNING;
}

static void
check_watchdog(struct check *k)
{
	struct guard_view v;

	guard_look(k->settings, k->cluster, &v);
	if (!v.there)
		check_say(k, missing(k), "watchdog",
		    "pgkurad starts pgkura-fence, which must lie beside it or in "
		    "PATH; \"pgkura events\" says why it does not run.",
		    "it is not there: without it there is no lease, and this "
		    "site's server stops");
	else if (!v.may_kill)
		check_say(k, missing(k), "watchdog",
		    "Run pgkurad as the server's user, or the watchdog as root: "
		    "\"systemctl enable --now pgkura-fence@\" with User=root.",
		    "process %ld may not stop the server: it is another user's",
		    (long)v.pid);
	else
		check_say(k, CHECK_OK, "watchdog", NULL,
		    "process %ld moves and may stop the server%s%s",
		    (long)v.pid, v.locked ? ", memory locked" : "",
		    v.realtime ? ", real time" : "");
	if (v.there && !(v.locked && v.realtime))
		check_say(k, CHECK_NOTE, "watchdog",
		    "Run it in a unit of its own: conf/pgkura-fence@.service.",
		    "not permitted: %s%s%s",
		    v.locked ? "" : "memory that is never swapped",
		    v.locked || v.realtime ? "" : ", ",
		    v.realtime ? "" : "real-time priority");
}

/* Of two witnesses each could vote for another site: neither counts. */
static void
check_witness(struct check *k)
{
	AUTO_JSON json_t *shown = rule_shown(k->settings, k->cluster);
	const json_t *w = json_object_get(shown, "witness");
	const char *why = json_string_value(json_object_get(w, "why"));
	const char *key = json_string_value(json_object_get(w, "key"));

	if (why == NULL && key != NULL)
		check_say(k, CHECK_OK, "one witness", NULL,
		    "both sites have the one with the key %s", key);
	else if (why != NULL)
		check_say(k,
		    k->cluster->fence == FENCE_KIND_LEASE ? missing(k)
							  : CHECK_WARNING,
		    "one witness",
		    "Compare \"pgkura site list\" at both sites, name the same "
		    "witness, and pair with it anew: \"pgkura site pair\".",
		    "%s", why);
}

/* Of a standby: what the primary says of its part. */
static void
check_peer(struct check *k)
{
	AUTO_JSON json_t *shown = rule_shown(k->settings, k->cluster);
	const char *role = json_string_value(json_object_get(shown, "role"));

	if (role == NULL || strcmp(role, "standby") != 0)
		return;
	if (json_is_true(json_object_get(shown, "peer_fence_proved")))
		check_say(k, CHECK_OK, "fence of the primary", NULL,
		    "the primary says that it is proved");
	else
		check_say(k, missing(k), "fence of the primary",
		    "Run \"pgkura check\" there.  fence has to be the same at "
		    "both sites.",
		    "the primary has not said that it is proved");
}

static void
check_hook(struct check *k, bool run)
{
	AUTO_JSON json_t *shown = rule_shown(k->settings, k->cluster);
	struct err e = ERR_INIT;
	struct rule_sites sites;
	const char *why;

	if (fence_test_file(k->cluster, &e) == -1 ||
	    rule_sites(k->settings, k->cluster, &sites, &e) == -1 ||
	    (run &&
		fence_hook_run(k->cluster, sites.names[sites.peer], true, &e) ==
		    -1)) {
		check_say(k, missing(k), "fence hook",
		    e.hint[0] == '\0' ? "See the message." : e.hint, "%s",
		    e.text);
		return;
	}
	why = json_string_value(json_object_get(shown, "fence_unproved"));
	if (!run && why != NULL && why[0] != '\0')
		check_say(k, missing(k), "fence hook",
		    "\"pgkura check\" runs the test again.", "%s", why);
	else
		check_say(k, CHECK_OK, "fence hook", NULL,
		    "\"%s\" has passed its test", k->cluster->fence_hook);
}

/* What would have to be tried in vain first, and who would take over? */
static void
check_server_failed(struct check *k)
{
	const struct cluster_settings *c = k->cluster;

	if (c->server_failed != SERVER_FAILED_FAILOVER)
		return;
	if (c->failover != FAILOVER_AUTOMATIC || !c->local_recovery)
		check_say(k, CHECK_FAULT, "server failed",
		    "Set failover = automatic and local_recovery = yes at both "
		    "sites, or leave server_failed at alarm.",
		    "server_failed = failover has no effect %s",
		    !c->local_recovery ? "without local_recovery"
				       : "while failover is manual");
}

void
check_fence(struct check *k, bool run)
{
	const struct cluster_settings *c = k->cluster;

	if (c->role == INITIAL_NONE)
		return;
	check_server_failed(k);
	check_witness(k);
	switch (c->fence) {
	case FENCE_KIND_NONE:
		if (c->failover == FAILOVER_AUTOMATIC)
			check_say(k, CHECK_FAULT, "fence",
			    "Set fence = lease (with a witness) or fence = hook "
			    "at both sites; until then failover stays manual.",
			    "failover = automatic, and nothing proves that an "
			    "old primary writes no more");
		return;
	case FENCE_KIND_LEASE:
		check_watchdog(k);
		check_peer(k);
		return;
	case FENCE_KIND_HOOK:
		check_hook(k, run);
		return;
	}
}
