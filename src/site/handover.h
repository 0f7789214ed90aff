#ifndef SITE_HANDOVER_H
#define SITE_HANDOVER_H

/*
 * handover: the term goes from one site to the other, and back.
 *
 * Switchover, with what is durable (record.h, handover):
 *
 *	giver					taker
 *	-----					-----
 *	check the taker is ready
 *	ANNOUNCED; told to peer and witness
 *	stop the server, clean
 *	STOPPED, with the end of its WAL
 *	send the rest; wait until the taker
 *	  has committed all up to the end
 *	GIVEN: role standby, next term to taker
 *	===== the line: before it abort, after it only the taker goes on =====
 *	release the lease, vote for the taker	ask for the term
 *						TAKING: role primary
 *						promote, write probe, hooks
 *						TAKEN
 *	follow as a standby; NONE		NONE, when the giver follows
 *
 * A server that was stopped for a switchover which is aborted then is started as
 * soon as it may be, also by a later process: that is durable, too.
 *
 * Each step is decided from what is durable and from facts, so after a kill or
 * a reboot of either side the same function says how to go on.
 *
 * Pure: no clock, no I/O, no memory.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "journal/history.h"
#include "site/decide.h"
#include "site/record.h"

enum handover_act {
	HANDOVER_WAIT,	    /* see why */
	HANDOVER_ANNOUNCE,  /* giver: write ANNOUNCED, tell peer and witness */
	HANDOVER_STOP,	    /* giver: stop the server, clean */
	HANDOVER_NOTE_STOP, /* giver: write STOPPED and the end of WAL */
	HANDOVER_SHIP,	    /* giver: send on; wait for the taker's committed */
	HANDOVER_GIVE,	    /* giver: write GIVEN, role standby: the line */
	HANDOVER_RELEASE,   /* giver: voter_release() */
	HANDOVER_ASK,	    /* taker: ask for handover_term */
	HANDOVER_TAKE,	    /* taker: write TAKING, role primary, held */
	HANDOVER_PROMOTE,   /* taker: promote */
	HANDOVER_PROBE,	    /* taker: write probe and hooks */
	HANDOVER_NOTE_TAKEN, /* taker: write TAKEN */
	HANDOVER_FOLLOW,     /* giver: become a standby of the taker */
	HANDOVER_FINISH,     /* either: write NONE */
	HANDOVER_ABORT,	     /* giver: write NONE, and to start the server */
	HANDOVER_START,	     /* giver, aborted: start the server again */
	HANDOVER_STARTED,    /* ... write that it runs */
	HANDOVER_IDLE	     /* nothing is under way */
};

struct handover_facts {
	int64_t now_us;
	enum record_seat self;
	const struct record_role_file *role;
	const struct voter *voter;
	struct decide_says peer;
	int64_t peer_silent_us; /* detection time: decide_detect_us() */
	bool wanted;	 /* an operator's order here: start one as the giver */
	bool aborted;	 /* an operator's order, or a step failed for good */
	bool peer_ready; /* ready at the taker, from its report */
	const char *peer_why; /* when it is not: a clause; NULL: not known */
	/* giver: */
	bool seen;		 /* whether the server runs was looked at */
	bool running;		 /* it does */
	bool alive;		 /* it answers */
	bool may_write;		 /* it may be started */
	bool clean;		 /* it was shut down cleanly, and its end is: */
	uint64_t end;		 /* position behind the shutdown checkpoint */
	uint64_t peer_committed; /* durable and committed at the taker */
	bool following;		 /* the server here follows the taker */
	/* taker: */
	bool promoted; /* out of recovery */
	bool probed;   /* probe written and hooks done */
};

struct handover_step {
	enum handover_act act;
	/* What is to be written with act (ANNOUNCE, NOTE_STOP, GIVE, TAKE,
	 * NOTE_TAKEN, FINISH, ABORT, STARTED): */
	bool write;
	bool restart;
	enum record_handover handover;
	enum record_role role;
	uint64_t term;	   /* of act ASK, GIVE, TAKE */
	uint64_t position; /* of NOTE_STOP */
	bool force;	 /* of TAKE: no votes are needed, voter_force() first */
	bool abortable;	 /* the line is not crossed */
	const char *why; /* a clause: what is waited for, or refused */
	bool refused;	 /* of wanted: it cannot begin */
	bool passes;	 /* ... now; what keeps it may pass by itself */
};

void handover_next(const struct handover_facts *f, struct handover_step *out);

/*
 * "failover --offline": may this site be promoted without the daemon?  An
 * operator's explicit order, so only what would surely be wrong refuses.
 * Returns 0 and the term to force, or -1: ERR_REFUSED with a hint.
 */
struct handover_offline {
	const struct record_role_file *role; /* NULL: gone */
	const struct record_term *term;	     /* NULL: gone */
	bool promotable;
	bool server_running;
	int64_t loss_us;       /* what is lost; -1: not known */
	int64_t allow_loss_us; /* -1: any */
};
int handover_offline(
    const struct handover_offline *f, uint64_t *term, struct err *e);

/*
 * Failback: how the site that lost the term becomes a standby of the one that
 * has it.  mine is the old primary's history and end, theirs the new one's.
 */
enum handover_back {
	BACK_FOLLOW, /* nothing of its own: follow */
	BACK_REWIND, /* salvage what only it has, then pg_rewind or compare */
	BACK_ASK,    /* both grew: print both, what each choice loses; the
			 operator names the one to give way */
	BACK_REFUSE  /* unrelated: only a new copy can follow */
};
struct handover_back_plan {
	enum handover_back way;
	struct history_verdict verdict;
	bool salvage; /* mine has verdict.a_beyond that nobody else has */
	const char *why;
};
/* ordered: the operator named this site as the one that gives way. */
struct handover_back_plan
handover_failback(const struct history *mine, uint64_t mine_end,
    const struct history *theirs, uint64_t theirs_end, bool ordered);

const char *handover_act_name(enum handover_act a);

#endif /* !SITE_HANDOVER_H */
