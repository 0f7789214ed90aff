#ifndef SITE_VOTER_H
#define SITE_VOTER_H

/*
 * voter: who may write, and until when: terms by two votes of three.
 *
 * A term is a number and the one site that holds it.  The holder may write
 * while its lease runs:
 *
 *	holder		            |<----------- lease T ----------->|
 *	           asks (and votes) |                  writes until   |
 *	granter		  answers ->|<------------ T x 1.01 + 2 s ----------->|
 *	                            grants to no other site until             |
 *
 * The holder counts from before it asks, the granter from when it answers, both
 * by CLOCK_BOOTTIME, which no one sets and which goes on in suspend.  Two sets
 * of two voters of three have one in common, so nobody else has a lease before
 * the holder's has ended, if clocks run equally fast to 1 %.  (With T of at most
 * RECORD_LEASE_MAX_US they may each be wrong by 1 %: T / 0.99 against (T x 1.01
 * + 2 s) / 1.01.)
 *
 * Who gives its lease back tells the others: which of its questions are meant, all
 * of this process up to the last one.  None of them makes a lease any more, so a
 * granter whose promise is of one of these forgets it, and may vote for another at
 * once.  A promise of a later question, or of an earlier process, runs on.
 *
 * Numbers only grow.  A vote is durable before it is answered.  A voter without
 * its file does not know what it promised: it votes for nobody until one promise
 * of the longest lease has passed *and* it has learned the highest number from
 * both others, neither of which is in the same state; an operator may order it
 * sooner (voter_init()).  The first condition keeps two leases apart, the second
 * keeps a number from being given twice.
 *
 * A free lease has no end: in maintenance the primary is to go on whatever becomes
 * of its watcher.  It is of a term of its own (each number is asked for either with
 * an end or without one, never both), and a vote for it stands until its holder is
 * known to have gone on to a later number:
 *
 *	holder   asks n, free --- two votes ---> free ---- asks n' > n, with an end
 *	granter		grants: no end, also after a reboot | T x 1.01 + 2 s from then
 *
 * When the holder asks for n' it counts its lease from before that, which all that
 * stands outlasts.  A granter that only hears from the holder itself that it is
 * past n, and no question for a while, counts the longest promise from then.  One that lost its file hears from
 * the holder, which it must hear anyway, that its vote stands; and if it does not,
 * it makes the longest promise to whoever holds the term.
 *
 * How to use it: each function that wants something written fills a struct
 * voter_step.  The caller makes step->record durable, then calls
 * voter_commit(), and only then sends step->message.  When the writing fails it
 * forgets the step.  No other function may be called in between.
 *
 * Pure: no clock, no I/O, no memory.  now_us is CLOCK_BOOTTIME here.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "site/record.h"

#define VOTER_MARGIN_US ((int64_t)2 * 1000000)
#define VOTER_FREE	RECORD_LEASE_FREE /* of a lease: without an end */
/* Of a question: none, it says that the lease is given back.  A release that does
 * not know this answers that it makes no sense, and its promise runs out. */
#define VOTER_GIVEN_BACK 0

/* For how long a grant of a lease binds the granter: T x 1.01 + 2 s. */
int64_t voter_promise_us(int64_t lease_us);

enum voter_answer {
	VOTER_GRANT,
	VOTER_PROMISED, /* to another, still running: see wait_us */
	VOTER_STALE,	/* a number as high or higher went to another */
	VOTER_LOST,	/* has no file and does not know */
	VOTER_NO_SEAT	/* the question makes no sense */
};
/* "granted", "promised to another", ... */
const char *voter_answer_name(enum voter_answer a);

enum voter_message_kind { VOTER_ASKS, VOTER_ANSWERS };

/* To the others it goes as message.h says. */
struct voter_message {
	enum voter_message_kind kind;
	enum record_seat from;
	enum record_seat to; /* of an answer; of a question SEAT_NONE: all */
	uint64_t round;	     /* of the asker: pairs answer and question */
	uint64_t number;     /* the term asked for */
	int64_t lease_us;    /* asked for; VOTER_FREE; VOTER_GIVEN_BACK */
	enum voter_answer answer;
	uint64_t
	    known_number; /* the highest that the answerer knows of; of what
				* is given back: the round before the first */
	enum record_seat known_holder;
	int64_t wait_us; /* of VOTER_PROMISED: so long it still runs */
};

/* What to write, then commit, then send. */
struct voter_step {
	bool write; /* make record durable first */
	struct record_term record;
	bool send; /* then send message */
	struct voter_message message;
	int64_t
	    asked_us;  /* of voter_commit(): when the question was thought of */
	bool promises; /* of voter_commit(): record has a new promise ... */
	int64_t promise_us; /* ... of at least this from then on */
	bool release;	    /* of voter_commit(): the own lease is given up */
	bool found;	    /* of voter_commit(): no longer without a file */
};

/* Read by anybody, changed by voter.c. */
struct voter {
	enum record_seat self;
	int64_t lease_us; /* asked for */
	struct record_term record;
	bool lost;	     /* without a file: votes for nobody */
	int64_t quiet_until; /* of lost: not before then */
	bool heard[SEATS];   /* of lost: that voter's number is in seen */
	uint64_t
	    stands[SEATS]; /* of lost: the free term that it has, 0: none */
	int64_t past_us;   /* heard that a vote that stands is past; 0: not */
	uint64_t seen;	   /* the highest number heard of */
	enum record_seat seen_holder;
	uint64_t round;		/* of the last question */
	uint64_t first_round;	/* before the first question */
	bool has_granted;	/* since the start ... */
	uint64_t granted_round; /* ... last to this question of promised_to */
	uint64_t asked;		/* its number; 0: none under way */
	int64_t asked_us;
	int64_t asked_lease_us; /* VOTER_FREE: without an end */
	bool granted[SEATS];
	uint64_t lease_number; /* the term held last, 0: none since the start */
	int64_t lease_until;   /* 0: no lease; VOTER_FREE: it has no end */
};

/*
 * Begin with the durable record (NULL: there is none, or it is damaged).
 * boot_id is this machine's; a promise of an earlier boot counts whole from
 * now, a lease of an earlier boot is gone.  round is a random number, so that
 * answers to an earlier process are not taken for ours.  thing and seats go
 * into records that are made anew.
 */
struct voter_config {
	const char *thing;
	const char *seats[SEATS]; /* names; NULL or "" where there is none */
	const char *boot_id;
	enum record_seat self;
	int64_t lease_us; /* at most RECORD_LEASE_MAX_US */
	uint64_t round;
};
void voter_start(struct voter *v, const struct voter_config *config,
    const struct record_term *record, int64_t now_us);

/* An operator's order: this voter's file is gone (or was never there), and it
 * begins with that number as the highest.  Writes. */
void
voter_init(const struct voter *v, uint64_t number, struct voter_step *step);

/*
 * Ask for a lease of term number: of the same number as held to renew it, else
 * above all seen: see voter_next_number().  The step's record is the own vote; its
 * message goes to all others.  Answers what keeps it from asking, VOTER_GRANT
 * when nothing does; the step is filled only then.
 */
enum voter_answer voter_ask(const struct voter *v, uint64_t number,
    int64_t now_us, struct voter_step *step);
/*
 * The number to ask for: the present one while nobody knows a higher one and
 * this site is its holder, else the next above any, and at least `least`.  Each
 * of the two data sites takes every second number, so that not even orders at
 * both, cut off from each other, make two terms of one number.
 */
uint64_t voter_next_number(const struct voter *v, uint64_t least);

/* The same for a lease that has no end, of voter_next_free(). */
enum voter_answer voter_ask_free(const struct voter *v, uint64_t number,
    int64_t now_us, struct voter_step *step);
/* The number to ask a free lease for: that which was asked for already, else the
 * next of this site's above any. */
uint64_t voter_next_free(const struct voter *v);
/* The lease is free; durably so. */
bool voter_is_free(const struct voter *v);
bool voter_is_free_durably(const struct voter *v);
/* The vote of this site for itself has no end: the lease is free, or asked for. */
uint64_t voter_stands(const struct voter *v);
/* Whether a later process would know of the lease: all of a free one; one with an end
 * at least as it was when it was last asked for. */
bool voter_is_noted(const struct voter *v);
/* Write the lease as it is, when it is not noted.  Writes. */
void voter_note(const struct voter *v, struct voter_step *step);

/* Another asks: the step has the answer, and the record when it is a grant. */
void voter_on_ask(const struct voter *v, const struct voter_message *m,
    int64_t now_us, struct voter_step *step);

/* The step's record is durable (or there was none to write).  now_us is read
 * after the writing: promises count from here. */
void
voter_commit(struct voter *v, const struct voter_step *step, int64_t now_us);

/* Another answered.  True when this made (or prolonged) the lease. */
bool
voter_on_answer(struct voter *v, const struct voter_message *m, int64_t now_us);

/*
 * What another says of itself in its heartbeats: the highest number that it
 * knows, and whether it is without its file.  A lost voter may be found by it, and
 * a vote that stands may get an end: then the step writes.
 */
struct voter_view {
	enum record_seat seat;
	bool lost;
	uint64_t number;
	enum record_seat holder;
	bool stands; /* its own vote for itself has no end, under that number */
};
void voter_on_view(struct voter *v, const struct voter_view *view,
    int64_t now_us, struct voter_step *step);

/* Give the lease up: nothing here writes any more (the caller made sure), and
 * this voter may grant to another at once; so may the others when they hear of it.
 * Writes, and sends. */
void voter_release(const struct voter *v, struct voter_step *step);

/* An operator's explicit order: hold a new number without the others' votes,
 * step->record.number, which is at least `least`.  No lease comes of it, nor
 * while a promise to another runs; the others learn the number from heartbeats.
 * Writes. */
void voter_force(const struct voter *v, uint64_t least, int64_t now_us,
    struct voter_step *step);

/* Whether the lease runs; until when (0: there is none). */
bool voter_holds(const struct voter *v, int64_t now_us);
/* How long until this voter could grant to another; 0: now. */
int64_t voter_wait_us(const struct voter *v, int64_t now_us);

#endif /* !SITE_VOTER_H */
