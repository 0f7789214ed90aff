#ifndef JOBS_SHIP_INT_H
#define JOBS_SHIP_INT_H

/*
 * ship_int: one cluster on its way to a peer, between ship.c, ship_objects.c
 * and ship_wal.c.
 */

#include "base/buf.h"
#include "base/strmap.h"
#include "codec/digest.h"
#include "codec/zstream.h"
#include "jobs/courier_int.h"
#include "jobs/follow.h"
#include "jobs/pace.h"
#include "jobs/trail.h"
#include "repo/manifest.h"
#include "repo/objects.h"
#include "repo/walarchive.h"
#include "repo/walstored.h"

/* ---- ship_objects.c ---- */

enum body_state { BODY_QUEUED, BODY_OFFERED, BODY_SENDING, BODY_SENT };

struct ship_body {
	struct ship_body *next;
	uint64_t number;
	char name[STORE_KEY_BYTES]; /* in the lineage */
	uint64_t bytes, at, kept;   /* sent up to, written there up to */
	uint8_t sha256[SHA256_BYTES];
	enum body_state state;
	int64_t again_us; /* QUEUED: not before */
	struct store_reader *reader;
};

struct ship_objects {
	struct ship_body *first, *last;
	size_t count;
	struct strmap *have;	      /* names of objects that the peer has */
	char newest[BACKUP_ID_BYTES]; /* the newest backup it ever had */
	/* The backup that is on its way: */
	struct root root; /* id "": none */
	struct intent intent;
	bool root_queued;
	unsigned int waits; /* that its root had to */
	uint64_t bytes_left;
	uint8_t *chunk; /* LINK_CHUNK_MAX */
	uint64_t sent_bytes, done;
};

/* ---- ship_wal.c ---- */

enum wal_state { WAL_IDLE, WAL_ASKED, WAL_FLOWS, WAL_ENDING };

struct ship_wal {
	enum wal_state state;
	uint64_t body;
	uint32_t timeline;
	uint64_t lsn;	      /* the next to read */
	uint64_t durable_lsn; /* at the peer; of timeline */
	uint64_t end_lsn;    /* of the timeline; UINT64_MAX: it is the newest */
	uint64_t source_lsn; /* the end of what is here */
	bool anew;	     /* what the peer wants is not here any more */
	int64_t again_us;
	struct zdeflate *deflate;
	struct buf out;	     /* compressed, from out_offset on ... */
	size_t out_at;	     /* ... the first not handed to the link */
	uint64_t out_offset; /* of out.data[0] in the stream */
	uint64_t consumed;   /* at the peer, of the stream */
	uint64_t plain_bytes, compressed_bytes;
	/* Where bytes are read from: */
	char segment[WAL_NAME_BYTES];
	int open_fd;
	uint64_t looked_lsn; /* where lsn was when looked for gaps ... */
	int64_t looked_us;   /* ... and when it had moved, or all was seen */
	int64_t dry_us;	     /* when there was nothing more to read */
	struct walstored *stored;
	uint8_t *piece;
};

/* When which end of WAL was current, to tell an age from a position. */
#define SHIP_STAMPS 512
struct ship_stamp {
	uint64_t lsn;
	int64_t boot_us;
};

struct ship {
	struct courier *courier;
	uint64_t journal;
	const struct cluster_settings *cluster;
	struct lineage lineage;
	bool opened, ready; /* asked; answered, and we may */
	char why[480];	    /* why not */
	char no_room[200];  /* for objects there; "" */
	struct ship_objects objects;
	struct ship_wal wal;
	unsigned int turn; /* WAL chunks in a row */
	int64_t scan_us, stamp_us, pin_us;
	/* What pin.h was told: */
	uint64_t pin_lsn;
	uint32_t pin_timeline;
	char pin_newest[BACKUP_ID_BYTES];
	/* What that says of before, while the peer takes nothing; and the end of
	 * what is here. */
	uint32_t had_timeline;
	uint64_t had_lsn;
	struct follow_end end;
	int64_t refused_us; /* of the last look */
	uint64_t echo;	    /* the peer's clock, as it said last */
	/* Oldest first; the oldest that the peer lacks stays, however long. */
	struct ship_stamp stamps[SHIP_STAMPS];
	size_t stamp_count;
	struct pace wal_pace, source_pace, object_pace;
	struct trail *trail;  /* NULL: not yet, or it cannot be written */
	uint64_t trail_bytes; /* durable there, at its last note */
	struct err err;	      /* shown until it is mended */
	struct err told;      /* logged at told_us */
	int64_t told_us;
};

/* An event, once a minute while the same thing fails. */
void ship_failed(struct ship *s, const struct err *e);

void ship_objects_reset(struct ship *s);
void ship_objects_have(struct ship *s, const json_t *m);
void ship_objects_kept(struct ship *s, const json_t *m);
/* Queue what the peer lacks, offer some. */
int ship_objects_scan(struct ship *s, int64_t now_us, struct err *e);
bool ship_objects_pending(const struct ship *s);
bool ship_objects_chunk(struct ship *s, struct link_chunk *c);
/* Where the WAL has to begin for the first backup that the peer gets; LSN_NONE
 * when there is none. */
uint64_t ship_objects_wal_from(const struct ship *s);

void ship_wal_reset(struct ship *s);
int ship_wal_scan(struct ship *s, int64_t now_us, struct err *e);
/* Read and compress what is new. */
int ship_wal_fill(struct ship *s, struct err *e);
bool ship_wal_pending(const struct ship *s);
bool ship_wal_chunk(struct ship *s, struct link_chunk *c);
void ship_wal_at(struct ship *s, const json_t *m);
void ship_wal_no(struct ship *s, const json_t *m);
void ship_wal_taken(struct ship *s, const json_t *m);

#endif /* !JOBS_SHIP_INT_H */
