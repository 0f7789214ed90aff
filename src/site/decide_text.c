#include "site/decide.h"

static const char *const states[] = {
	[DECIDE_UNKNOWN] = "unknown",
	[DECIDE_IDLE] = "idle",
	[DECIDE_NORMAL] = "normal",
	[DECIDE_PATH_LOST] = "path lost",
	[DECIDE_LINK_LOST] = "link lost",
	[DECIDE_MAINTENANCE] = "maintenance",
	[DECIDE_SERVER_DEAD] = "server dead",
	[DECIDE_PEER_SILENT] = "peer silent",
	[DECIDE_HOLD] = "hold",
	[DECIDE_CANCELED] = "canceled",
	[DECIDE_ALARM] = "alarm",
	[DECIDE_TAKING] = "taking",
	[DECIDE_PROMOTE] = "promote",
	[DECIDE_HANDOVER] = "hand-over",
	[DECIDE_PRIMARY] = "primary",
	[DECIDE_RESIGNED] = "resigned",
	[DECIDE_LEASE_ENDS] = "lease ends",
	[DECIDE_SUPERSEDED] = "superseded",
	[DECIDE_CONFLICT] = "conflict",
};

static const char *const reasons[] = {
	[REASON_NONE] = "",
	[REASON_BACKUPS_ONLY] = "no other site has a role here",
	[REASON_ROLE_UNKNOWN] =
	    "nothing is on record of this site's role, and the other sites have not said what it is",
	[REASON_NOT_PRIMARY] = "this site is not the primary",
	[REASON_FENCED] = "this site is fenced",
	[REASON_SUPERSEDED] = "another site has held a later term",
	[REASON_RESIGNED] =
	    "this site gave its term up: its server is dead, and the other site takes over",
	[REASON_HANDED_OVER] = "the term was handed over",
	[REASON_OTHER_PRIMARY] = "another site is the primary and takes writes",
	[REASON_NO_LEASE] =
	    "there is no lease: neither the other site nor the witness renews it",
	[REASON_LEASE] = "this site has a lease",
	[REASON_PEER_UNHEARD] = "nothing was heard of the other site's role",
	[REASON_PEER_WAIVED] =
	    "the other site was started by order, and may start again by itself",
	[REASON_WAIVED] = "an operator ordered it without a lease",
	[REASON_MANUAL] = "this site is the primary, and failover is manual",
	[REASON_MANUAL_PEER] = "failover is manual",
	[REASON_NO_FENCE] =
	    "nothing proves that the old primary writes no more",
	[REASON_NOT_PROVED] =
	    "the fence is not proved: \"pgkura check\" at both sites says why",
	[REASON_UNGUARDED] =
	    "the watchdog, which stops the server when the lease ends, is not there",
	[REASON_NO_WITNESS] = "there is no witness",
	[REASON_WITNESS_DIFFERS] =
	    "it is not known that both sites have the same witness: \"pgkura check\" says why",
	[REASON_WITNESS_SILENT] = "the witness is silent",
	[REASON_WITNESS_SEES_PEER] = "the witness still sees the other site",
	[REASON_VOTER_LOST] =
	    "the record of this site's votes is gone, and it has yet to learn the term",
	[REASON_NO_VOTES] = "two votes of three are not there yet",
	[REASON_HOOK_FAILED] = "the fence hook failed",
	[REASON_NOT_PROMOTABLE] = "the replica is not promotable",
	[REASON_LOSS] = "more would be lost than is allowed",
	[REASON_LOSS_UNKNOWN] = "it is not known how much would be lost",
	[REASON_BACKOFF] =
	    "the last automatic promotion was too short a time ago",
	[REASON_MAINTENANCE] = "maintenance is announced",
	[REASON_CLEAN_STOP] = "its administrator stopped the server",
	[REASON_CANCELED] = "the operator canceled the failover",
	[REASON_SERVER_DEAD] =
	    "the primary's server is dead, but its site lives",
	[REASON_PEER_FREE] =
	    "in maintenance the old primary needs no lease: it may write",
	[REASON_GIVEN_AWAY] =
	    "this site gave its term to the other one, which may have taken it",
	[REASON_GIVEN_HERE] =
	    "the other site gave its term to this one, which takes it by itself",
	[REASON_PEER_ALIVE] = "the other site is alive: use switchover",
};

const char *
decide_state_name(enum decide_state s)
{
	return states[s];
}

const char *
decide_reason_text(enum decide_reason r)
{
	return reasons[r];
}
