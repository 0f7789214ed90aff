#ifndef SITE_DECIDE_H
#define SITE_DECIDE_H

/*
 * decide: what a site is to do now about a cluster that two sites keep.
 *
 * Facts and time in, verdict out.  The caller looks every second or so, fills
 * struct decide_facts, and does what the verdict asks; what is lost on the way is
 * asked for again.
 *
 * At the DR site:
 *
 *	                silent on all paths      detection time over
 *	  NORMAL <----> PATH_LOST     +---------------------------+
 *	    ^  one path               |                           v
 *	    |                    PEER_SILENT <------------------ HOLD --> ALARM
 *	    |                         any sign of life            |     (and the
 *	    +-----------------------------------------------------+     command)
 *	                                  hold over or confirmed  |
 *	          PRIMARY <-- PROMOTE <-- FENCE, TERM <-----------+
 *
 * A sign of life is anything authenticated that came from the peer by any path,
 * and the witness' word that it saw the peer.  It ends the hold.  What was not
 * watched does not count: when the caller did not look for longer than step_gap
 * (stopped, suspended) or was restarted, silence and hold start anew.
 *
 * Automatic promotion needs all of: settings.automatic, a fence that check
 * proved, the replica promotable, the loss at loss of contact within the limit,
 * no maintenance and no clean stop announced, back-off over, hold over or
 * confirmed; then either the hook's proof, or the term by two votes of three,
 * which needs the witness.  What lacks is the reason of an ALARM, which carries
 * the one command for the operator.
 *
 * No hold is needed when the primary itself says that its server is dead for good
 * (settings.resign, at both sites), since there is nothing uncertain then:
 *
 *	primary					DR site
 *	-------					-------
 *	server DEAD			------>	WILLING, if nothing of the above
 *	all WAL is there, fence is there <-----	  lacks but the hold
 *	RESIGNED, durable: starts nothing;
 *	stops what runs; gives its lease back ->	FENCE, TERM, PROMOTE
 *
 * It stays so until the other has a later term, or is not willing (any more), or
 * silent: then it tries for its term, and its server, again.  What keeps two from
 * writing are the votes, or the hook, as ever.
 *
 * At the primary with automatic failover: KEEP while the lease runs; WITHHOLD
 * acknowledgements and STOP the server stop_margin before it ends.
 *
 * Detection: a peer is silent when the last sign of life is older than
 *
 *	D = beat x misses			25 s
 *
 * so a death is seen no sooner than beat x (misses - 1) and no later than D +
 * delay of the line + look after it, and an automatic promotion begins at
 *
 *	D + delay + look + max(hold, T x 1.01 + 2 s - D) + one round trip
 *
 * Pure: no clock, no I/O, no memory.  Times are CLOCK_BOOTTIME here.
 */

#include <stdbool.h>
#include <stdint.h>

#include "site/record.h"
#include "site/voter.h"
#include "site/watch.h"

#define DECIDE_PATHS_MAX 16
#define DECIDE_NEVER	 ((int64_t)-1)

struct decide_settings {
	bool automatic;		/* failover = automatic; else a human decides */
	int64_t beat_us;	/* between heartbeats: 5 s */
	unsigned int misses;	/* 5 */
	int64_t step_gap_us;	/* not looked for longer: start anew; 10 s */
	int64_t hold_us;	/* 600 s */
	int64_t stop_margin_us; /* the server stops so long before its lease */
	int64_t rpo_limit_us;	/* automatic only up to this loss; -1: any */
	int64_t backoff_us;	/* between automatic promotions: 1 day */
	int64_t retry_us;	/* between questions for a term: 2 s */
	bool hook;		/* a fence hook is configured */
	bool resign; /* a primary whose server is dead gives its term up */
};
#define DECIDE_S ((int64_t)1000000)
#define DECIDE_SETTINGS_DEFAULT                                              \
	{                                                                    \
		false, 5 * DECIDE_S, 5, 10 * DECIDE_S, 600 * DECIDE_S,       \
		    5 * DECIDE_S, -1, 86400 * DECIDE_S, 2 * DECIDE_S, false, \
		    false                                                    \
	}

/* Until when without a sign of life: beat x misses. */
int64_t decide_detect_us(const struct decide_settings *s);
/* From death to the begin of an automatic promotion, at the latest, with a
 * line of that delay and a look every look_us. */
int64_t decide_takeover_us(const struct decide_settings *s, int64_t lease_us,
    int64_t delay_us, int64_t look_us);

/* What another site said last of itself: the content of a heartbeat. */
struct decide_says {
	bool heard;	  /* anything since this process began */
	int64_t heard_us; /* when, on any path; of a heartbeat or any bytes */
	/* Which of its heartbeats: a random number of its process, and its
	 * CLOCK_BOOTTIME when it was sent. */
	uint64_t process;
	uint64_t beat_us;
	/* The last heartbeat of each that it had then. */
	struct {
		uint64_t process;
		uint64_t beat_us;
	} echo[SEATS];
	/* When the one of ours was sent that it had then; -1: none.  What it
	 * says is not older than that, however long it was on its way. */
	int64_t echo_us;
	enum record_role role;
	uint64_t held; /* the highest term it held itself */
	uint64_t superseded_by;
	uint64_t number; /* the highest that its voter knows ... */
	enum record_seat holder;
	bool voter_lost;
	bool stands;	/* its vote for itself has no end: voter.h */
	bool automatic; /* its setting */
	bool writable;	/* its server takes writes */
	bool taking;	/* it asks for the term, to promote */
	bool waived;	/* role.waived: it starts without asking anybody */
	bool maintenance;
	bool clean_stop;
	bool fenced;
	bool proved;   /* its fence is: see struct decide_facts */
	bool resigned; /* it gave up the term that it held */
	bool willing;  /* it would take a term that the other gives up */
	enum watch_verdict server;
	enum record_handover handover;
	enum record_seat handover_to;
	uint64_t handover_term;
	/* How long before heard_us it had a sign of life of each; -1: never. */
	int64_t saw_us[SEATS];
	/* When, by its clock, that sign came: which one it is. */
	uint64_t sight_us[SEATS];
};

enum decide_order {
	ORDER_NONE,
	ORDER_CONFIRM,	/* the hold is over now; all else still counts */
	ORDER_FAILOVER, /* promote, with a loss of up to allow_loss_us */
	ORDER_FORCE	/* the same, also without votes: the operator answers
			  for the old primary being off */
};

enum decide_hook { HOOK_NOT_RUN, HOOK_RUNNING, HOOK_OK, HOOK_FAILED };

struct decide_facts {
	int64_t now_us;
	enum record_seat self;
	uint64_t process; /* a random number of this process */
	const struct record_role_file *role; /* NULL: gone or damaged */
	const struct voter *voter;
	struct decide_says says[SEATS];	   /* of self: nothing */
	unsigned int paths;		   /* to the other data site */
	int64_t path_us[DECIDE_PATHS_MAX]; /* last sign on it; DECIDE_NEVER */
	bool witness;			   /* there is one */
	bool witness_unsure; /* ... and its votes do not count: witness.h */
	/* The replica: */
	bool promotable;
	int64_t rpo_us; /* what a promotion now would lose; -1: not known */
	int64_t since_automatic_us; /* last automatic promotion; -1: never */
	/* Of the hook as started since the last EVENT_TAKING, where the caller
	 * forgets what an earlier one proved. */
	enum decide_hook hook;
	/* The fence: what stops the server here when nobody else does is there
	 * (true where nothing has to be), and this site's part of the fence was
	 * tried: that may stop the server, or the hook has passed its test. */
	bool guarded, proved;
	/* The server of a primary: */
	enum watch_verdict server;
	bool writable; /* it runs and takes writes */
	bool failed;   /* dead, and local recovery was tried */
	bool gone;     /* no process of it, seen since it was last forbidden */
	bool shipped;  /* the other site has all WAL that this one has */
	/* The operator: */
	enum decide_order order;
	int64_t allow_loss_us; /* -1: any */
};

/* Kept by the caller, never durable. */
struct decide {
	int64_t last_us;   /* the last look; -1: none */
	int64_t silent_us; /* the peer is silent since; -1: it is not */
	int64_t began_us;  /* looked at without a break since */
	int64_t hold_us;   /* the hold began; -1: none */
	int64_t rpo_us;	   /* at loss of contact; -1: not known */
	int64_t asked_us;  /* last question for a term; -1: none */
	uint32_t paths;	   /* bit per path that is up */
	bool taking;	   /* the hold is over: fence, term, promote */
	bool given_up;	   /* ... because the primary gave its term up */
	bool willing;	   /* it may give its term up: this site is ready */
};

enum decide_state {
	DECIDE_UNKNOWN, /* no role: a peer, the witness or an operator first */
	DECIDE_IDLE,	/* witness, or backups only */
	DECIDE_NORMAL,	/* DR site: all well */
	DECIDE_PATH_LOST, /* DR site: one path of several is silent */
	DECIDE_LINK_LOST, /* DR site: no path, but the witness sees the peer */
	DECIDE_MAINTENANCE, /* DR site: announced, so silence means nothing */
	DECIDE_SERVER_DEAD, /* DR site: peer's server died, its site lives */
	DECIDE_PEER_SILENT, /* DR site: silent, and no automatic failover */
	DECIDE_HOLD,	    /* DR site: counts down */
	DECIDE_CANCELED,    /* DR site: the operator canceled the hold */
	DECIDE_ALARM,	    /* DR site: the operator must decide */
	DECIDE_TAKING,	    /* DR site: fence, term */
	DECIDE_PROMOTE,	    /* DR site: promote now */
	DECIDE_HANDOVER,    /* either: see handover.h */
	DECIDE_PRIMARY,	    /* primary: may write */
	DECIDE_RESIGNED, /* primary: its server is dead: the other takes over */
	DECIDE_LEASE_ENDS, /* primary: the lease could not be renewed: stop */
	DECIDE_SUPERSEDED, /* was primary: another site holds a higher term */
	DECIDE_CONFLICT	   /* both say primary under one rule that forbids it */
};

enum decide_reason {
	REASON_NONE,
	REASON_BACKUPS_ONLY,
	REASON_ROLE_UNKNOWN,
	REASON_NOT_PRIMARY,
	REASON_FENCED,
	REASON_SUPERSEDED,
	REASON_RESIGNED,
	REASON_HANDED_OVER,
	REASON_OTHER_PRIMARY,
	REASON_NO_LEASE, /* of a primary under the lease rules */
	REASON_LEASE,
	REASON_WAIVED,
	REASON_PEER_UNHEARD,
	REASON_PEER_WAIVED,
	REASON_MANUAL, /* no automatic failover: nobody else promotes itself */
	REASON_MANUAL_PEER, /* ... so an operator must decide here */
	REASON_NO_FENCE,
	REASON_NOT_PROVED,
	REASON_UNGUARDED,
	REASON_NO_WITNESS,
	REASON_WITNESS_DIFFERS, /* or that it does not is not known */
	REASON_WITNESS_SILENT,
	REASON_WITNESS_SEES_PEER,
	REASON_VOTER_LOST,
	REASON_NO_VOTES,
	REASON_HOOK_FAILED,
	REASON_NOT_PROMOTABLE,
	REASON_LOSS, /* above what is allowed */
	REASON_LOSS_UNKNOWN,
	REASON_BACKOFF,
	REASON_MAINTENANCE,
	REASON_CLEAN_STOP,
	REASON_CANCELED,
	REASON_SERVER_DEAD,
	REASON_PEER_ALIVE,
	REASON_PEER_FREE,
	REASON_GIVEN_AWAY,
	REASON_GIVEN_HERE
};

enum decide_act {
	DECIDE_NOTHING,
	DECIDE_RUN_HOOK,   /* the fence hook */
	DECIDE_DO_PROMOTE, /* write the role (primary, held = number), then
			      promote; a drill ends */
	DECIDE_DO_FORCE, /* voter_force() from number on; what it gives is held
			    and role.waived, and then as DECIDE_DO_PROMOTE */
	DECIDE_STOP	 /* stop the server (immediate), acknowledge nothing */
};

/* Events: bits, each set in one verdict only. */
enum decide_event {
	EVENT_PATH_DOWN = 1 << 0,
	EVENT_PATH_UP = 1 << 1,
	EVENT_PEER_SILENT = 1 << 2,
	EVENT_PEER_BACK = 1 << 3,
	EVENT_HOLD_BEGINS = 1 << 4,
	EVENT_HOLD_ENDS = 1 << 5, /* by a sign of life, or canceled */
	EVENT_TAKING = 1 << 6,
	EVENT_GAP = 1 << 7 /* not looked for too long: all starts anew */
};

#define DECIDE_COMMAND_BYTES 200

struct decide_verdict {
	enum decide_state state;
	enum decide_reason reason;
	enum decide_act act;
	uint64_t number;     /* of act */
	uint64_t ask;	     /* not 0: voter_ask() for it, and send that */
	bool ask_free;	     /* ... voter_ask_free() */
	bool release;	     /* voter_release(): nothing writes here */
	uint64_t note_held;  /* not 0: write role.held: a new term is held */
	bool clear_waived;   /* there is a lease again: write role.waived = 0 */
	bool may_write;	     /* the server may run writable */
	bool may_ack;	     /* commits may be acknowledged: judge it anew for
			      each, by voter_holds(), when reason is LEASE */
	unsigned int events; /* enum decide_event */
	uint32_t paths;	     /* bit per path that is up */
	int64_t hold_left_us; /* of DECIDE_HOLD */
	int64_t loss_us;      /* of a promotion; -1: not known */
	bool clear_canceled;  /* a sign of life: write role.canceled = false */
	bool resign;	      /* write role.resigned = role.held */
	bool clear_resigned;  /* write role.resigned = 0 */
	bool supersede;	 /* write role.superseded_by = number, role standby */
	bool order_done; /* the order is refused or fulfilled */
	/* What the operator types to promote here; "" when nothing waits. */
	char command[DECIDE_COMMAND_BYTES];
};

/* The primary of this cluster writes only with a lease. */
bool decide_leased(const struct record_role_file *r);

void decide_start(struct decide *d);
void decide_step(struct decide *d, const struct decide_settings *s,
    const struct decide_facts *f, struct decide_verdict *out);

/*
 * May a writable server of this cluster start here, or go on?  For "pgkura
 * may-start"; decide_step() asks the same.  A server that starts as a standby
 * needs no leave.
 */
bool decide_may_start(const struct decide_settings *s,
    const struct decide_facts *f, enum decide_reason *why);

/*
 * A role that was lost may be taken back when both others have answered and
 * agree: the role to write, and held; ROLE_UNKNOWN when they do not.
 */
enum record_role decide_role_again(const struct decide_settings *s,
    const struct decide_facts *f, uint64_t *held);

/* "normal", "path lost", ... */
const char *decide_state_name(enum decide_state s);
/* A clause for people: "the replica is not promotable". */
const char *decide_reason_text(enum decide_reason r);

#endif /* !SITE_DECIDE_H */
