#ifndef JOBS_COURIER_INT_H
#define JOBS_COURIER_INT_H

/*
 * courier_int: what the files of the courier share.
 *
 *	courier.c	 the process: link, messages to and fro, its status file
 *	courier_journals.c  its ships and accepts
 *	ship.c		 one cluster to the peer: what it lacks
 *	ship_objects.c	   packs, backups and what else is written once
 *	ship_wal.c	   WAL, up to the last byte
 *	accept.c	 one cluster from the peer (accept_int.h)
 *	keeper.c	   objects
 *	accept_wal.c	   WAL
 *	heal_ask.c	 what is damaged here, from there (heal.h)
 *	heal_give.c	 what is damaged there, from here
 *
 * Messages are JSON objects; "m" says which, "j" the journal (a number of the
 * sender of WAL and objects, one a cluster).  Members that are not known are
 * ignored, so that two releases can talk; a message that is not known too.
 *
 *	ship -> accept				accept -> ship
 *	open  cluster, lineage, facts, keys	state ok, why, newest
 *						have  names, last
 *	offer body, name, bytes, sha256		kept  body, what, offset, why
 *	wal   body, timeline, end, from, anew	wal_at body, lsn, seam / wal_no body, why
 *	wal_end body, offset			taken body, consumed, durable
 *	stamp timeline, lsn, server_us, now_us	clock t
 *	      echo, safe_for_us
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "conf/settings.h"
#include "jobs/allowance.h"
#include "link/link.h"
#include "repo/repo.h"

struct courier;
struct ship;
struct accept;

/* ---- courier.c ---- */

const struct settings *courier_settings(const struct courier *c);
const struct peer_settings *courier_peer(const struct courier *c);
struct repo *courier_repo(const struct courier *c);
struct allowance *courier_room(const struct courier *c); /* of the peer */
/* A message of journal j, to add to and hand to courier_send(), which frees. */
json_t *courier_message(const char *what, uint64_t journal);
void courier_send(struct courier *c, json_t *m);
/* Tell of what the peer did wrong, but not of all that it can do in a minute. */
void courier_complain(
    struct courier *c, const char *event, const char *cluster, struct err *e);
/* A number for a body that we send; its high bits are those of its journal. */
#define BODY_JOURNAL_SHIFT 48
uint64_t courier_new_body(struct courier *c, uint64_t journal);
/* Look at everything again soon.  Any thread. */
void courier_wake(void *c);
int64_t courier_skew_us(const struct courier *c); /* peer's clock minus ours */

/* ---- ship.c ---- */

/* ERR_NOT_FOUND: nothing of the cluster is in the repository yet. */
struct ship *ship_new(struct courier *c, uint64_t journal,
    const struct cluster_settings *cluster, struct err *e);
void ship_free(struct ship *s);
/* A session has begun: say what we have. */
int ship_open(struct ship *s, struct err *e);
/* true when the message was one of ship's. */
bool ship_message(struct ship *s, const char *what, const json_t *m);
/* Look for what is new; true when there is something to send now. */
bool ship_tick(struct ship *s, int64_t now_us);
bool ship_next_chunk(struct ship *s, struct link_chunk *c);
void ship_status(const struct ship *s, json_t *out);
/* Up to where the WAL of the cluster is durable at the peer. */
void ship_committed(const struct ship *s, uint32_t *timeline, uint64_t *lsn);

/* ---- accept.c ---- */

/* From an "open" message; ERR_REFUSED when this site does not accept it. */
struct accept *
accept_new(struct courier *c, uint64_t journal, const json_t *m, struct err *e);
void accept_free(struct accept *a);
uint64_t accept_journal(const struct accept *a);
const char *accept_cluster(const struct accept *a);
bool accept_message(struct accept *a, const char *what, const json_t *m);
/* 1 taken, 0 not of this journal, -1 the session cannot go on. */
int accept_chunk(struct accept *a, const struct link_chunk *c, struct err *e);
/* Tell the peer what has become durable. */
void accept_tick(struct accept *a, int64_t now_us);
void accept_status(const struct accept *a, json_t *out);
/* Nothing is heard from the peer: another site may have its place. */
void accept_silence(struct accept *a);

/* ---- courier_link.c ---- */

/* A session outlives a silence; what people ask is whether anything passes. */
bool courier_is_reached(const struct link_state *st);
/* Paths and counters, into the status. */
void courier_put_link(json_t *out, const struct link_state *st);

#endif /* !JOBS_COURIER_INT_H */
