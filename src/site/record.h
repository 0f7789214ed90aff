#ifndef SITE_RECORD_H
#define SITE_RECORD_H

/*
 * record: the small durable files of a site about one protected thing.
 *
 *	term	what this site has promised as a voter, its lease, the highest
 *		term that it knows of; written at every vote
 *	role	what this site is, the term that it last held, fence,
 *		maintenance, hand-over, and the history of its roles; written
 *		at every change
 *
 * Here they are structs and bytes.  Others write them, by durable replace,
 * before they act on them; each is kept in the state directory and with the
 * thing itself.  The one that is newer counts: "serial" grows by one with each
 * writing.  A site whose files are gone or damaged has no role: see decide.h.
 *
 * Times that count are CLOCK_BOOTTIME of this machine (_boot_us) and mean
 * something only together with the boot id.  Times of the wall clock (_wall_us)
 * are for people: no rule of safety reads them.
 *
 * Nothing here does I/O.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define RECORD_NAME_BYTES    64 /* a site, a cluster: cluster_name_valid() */
#define RECORD_BOOT_BYTES    40 /* /proc/sys/kernel/random/boot_id */
#define RECORD_REASON_BYTES  160
#define RECORD_WITNESS_BYTES 40	 /* the fingerprint of a key, or a word */
#define RECORD_CHANGES_MAX   256 /* of roles; older ones are dropped */
#define RECORD_LEASE_MAX_US  ((int64_t)180 * 1000000)
#define RECORD_LEASE_FREE    INT64_MAX /* a lease that has no end */

/*
 * The three voters have seats, the same at all of them.  The primary may be at
 * either of the first two; the witness stores nothing and never writes.
 */
enum record_seat {
	SEAT_FIRST = 0,
	SEAT_SECOND = 1,
	SEAT_WITNESS = 2,
	SEATS = 3,
	SEAT_NONE = 3 /* nobody */
};

/* The file "term". */
struct record_term {
	char thing[RECORD_NAME_BYTES];	      /* the cluster's name */
	char seats[SEATS][RECORD_NAME_BYTES]; /* sites; witness "" if none */
	uint64_t serial;		      /* of this file's writings */
	uint64_t number;	 /* the highest term known here, 0: none yet */
	enum record_seat holder; /* who asked for it, or holds it */
	/* The promise: until then no other than its holder gets a vote. */
	enum record_seat promised_to; /* SEAT_NONE: nobody */
	int64_t promised_until_boot_us;
	int64_t promised_us; /* its whole length: what counts after a reboot */
	/* Not 0: the promise was given under this term and has no end, whatever
	 * the two above say: voter.h. */
	uint64_t standing;
	/* The holder's own lease as last known here, 0: none. */
	uint64_t lease_number; /* the term it was for */
	int64_t lease_until_boot_us;
	char boot_id[RECORD_BOOT_BYTES]; /* of the _boot_us above */
};

enum record_role {
	ROLE_UNKNOWN, /* the state was lost: starts nothing writable */
	ROLE_PRIMARY,
	ROLE_STANDBY, /* the DR site */
	ROLE_WITNESS,
	ROLE_ALONE /* backups only: no other site has a role */
};

/* Where a hand-over stands: handover.h has the picture. */
enum record_handover {
	HANDOVER_NONE,
	HANDOVER_ANNOUNCED, /* giver: wanted; may be aborted */
	HANDOVER_STOPPED,   /* giver: server stopped; may be aborted */
	HANDOVER_GIVEN, /* giver: the line is crossed; only the taker goes on */
	HANDOVER_TAKING, /* taker: it has the term; promotes */
	HANDOVER_TAKEN	 /* taker: writable; the other may follow */
};

enum record_fence {
	FENCE_NONE,
	FENCE_LEASE, /* the cluster's lease, kept by a watchdog */
	FENCE_VOLUME, /* the volume's lease: writes are refused below the server */
	FENCE_HOOK    /* a hook that returned 0 for this term */
};

struct record_change {
	int64_t wall_us; /* when */
	enum record_role role;
	uint64_t term;
	char reason[RECORD_REASON_BYTES];
};

/* The file "role". */
struct record_role_file {
	char thing[RECORD_NAME_BYTES];
	char site[RECORD_NAME_BYTES]; /* whose file this is */
	uint64_t serial;
	enum record_role role;
	uint64_t held; /* the highest term that this site itself held */
	uint64_t
	    superseded_by; /* a higher one that another site held; 0: none */
	bool fenced;	   /* by an operator or a peer: starts nothing */
	/*
	 * What check proved for this cluster, at both sites the same.  With
	 * FENCE_LEASE or FENCE_VOLUME the primary writes only while it has a
	 * lease, whatever the configuration says.  So the primary is the first
	 * to have it and the last to lose it.
	 */
	enum record_fence fence;
	bool maintenance; /* announced here, for the thing as a whole */
	bool
	    clean_stop; /* the primary's server was stopped by its administrator */
	bool canceled; /* the operator canceled the running hold */
	/*
	 * This term came by an operator's order or a hook's proof, without the
	 * others' votes: until it has a lease (or, without the lease rules,
	 * until the other site follows) nobody else is asked.  0: not so.
	 */
	uint64_t waived;
	bool peer_proved; /* a standby: the primary said that its fence is */
	/* Which witness the other data site is known to know that this one asks, and
	 * which one it said last that it asks itself: witness.h.  "": not known. */
	char witness[RECORD_WITNESS_BYTES];
	char peer_witness[RECORD_WITNESS_BYTES];
	/*
	 * The term that this site gave up, because its server is dead for good:
	 * while that is the one it held last, it starts nothing.  0: none.
	 */
	uint64_t resigned;
	int64_t automatic_wall_us; /* last automatic promotion here, 0: never */
	enum record_handover handover;
	bool handed;  /* by one, and no failover, this site lost its role */
	bool restart; /* one was aborted: the server is to be started */
	enum record_seat handover_to; /* SEAT_NONE: no hand-over */
	uint64_t handover_term;	      /* the term that goes over */
	uint64_t handover_position;   /* end of what the taker must have */
	uint32_t change_count;
	struct record_change changes[RECORD_CHANGES_MAX]; /* oldest first */
};

/* All zero but "nobody" where that is meant. */
void record_term_init(struct record_term *t, const char *thing);
void record_role_init(
    struct record_role_file *r, const char *thing, const char *site);

/* Take a role: notes it in the list of changes (the oldest goes when full). */
void record_role_change(struct record_role_file *r, enum record_role role,
    uint64_t term, int64_t wall_us, const char *reason);

/*
 * To text and back.  Parsing trusts nothing: -1 with ERR_CORRUPT, and the
 * struct untouched.  What is accepted prints to the same bytes again.
 */
void record_term_print(const struct record_term *t, struct buf *out);
int record_term_parse(
    struct record_term *t, const void *data, size_t len, struct err *e);
void record_role_print(const struct record_role_file *r, struct buf *out);
int record_role_parse(
    struct record_role_file *r, const void *data, size_t len, struct err *e);

/* Another site has held a later term than number: a lease of that one would come too
 * late. */
bool record_role_past(const struct record_role_file *r, uint64_t number);
/* A primary that has given its term up. */
bool record_role_resigned(const struct record_role_file *r);

/* "unknown", "primary", "standby", "witness", "alone" */
const char *record_role_name(enum record_role r);
/* "none", "lease", "volume", "hook" */
const char *record_fence_name(enum record_fence f);
/* "none", "announced", "stopped", "given", "taking", "taken" */
const char *record_handover_name(enum record_handover h);

#endif /* !SITE_RECORD_H */
