#ifndef JOBS_HEAL_H
#define JOBS_HEAL_H

/*
 * heal: the two ends of healing within a courier, for all clusters that two
 * sites share, in both directions.
 *
 *	heal_ask.c	what is damaged here is asked for	-> keeper, heal_commit
 *	heal_give.c	what the other site asks for, checked before it is sent
 *
 *	asks					gives
 *	want  body, cluster, lineage, name, sha256
 *						give  body, what: looking,
 *						  offer (bytes, sha256), lacks,
 *						  damaged, busy, refused (why)
 *	given body, what: wanted, part, done,
 *	      no; offset
 *						chunks of the stream "body"
 *
 * The number of a body is chosen by who asks: HEAL_JOURNAL in its high bits, so
 * nothing arrives here that was not asked for.  Every message has "j":
 * HEAL_JOURNAL.
 */

#include "jobs/courier_int.h"

#define HEAL_JOURNAL ((uint64_t)0xffff)
/* Asked for at once. */
#define HEAL_ASKS_MAX 4
/* Of a peer that asks: looked at and on their way at once; in a row, and then
 * a second; of one object within HEAL_SAME_US. */
#define HEAL_GIVES_MAX	 8
#define HEAL_WANTS_MAX	 64
#define HEAL_WANTS_RATE	 8
#define HEAL_SAME_MAX	 8
#define HEAL_SAME_US	 (600 * CLOCK_SECOND_US)
#define HEAL_GIVE_WINDOW ((uint64_t)16 << 20)

struct asker;
struct giver;

/* For one session. */
struct asker *asker_new(struct courier *c);
void asker_free(struct asker *a);
/* true when the message was one of asker's. */
bool asker_message(struct asker *a, const char *what, const json_t *m);
/* 1 taken, 0 nobody asked for it, -1 the session cannot go on. */
int asker_chunk(struct asker *a, const struct link_chunk *c, struct err *e);
void asker_tick(struct asker *a, int64_t now_us);
void asker_status(const struct asker *a, json_t *out);

struct giver *giver_new(struct courier *c);
void giver_free(struct giver *g);
bool giver_message(struct giver *g, const char *what, const json_t *m);
/* true when there is something to send now. */
bool giver_tick(struct giver *g, int64_t now_us);
bool giver_next_chunk(struct giver *g, struct link_chunk *c);
void giver_status(const struct giver *g, json_t *out);

#endif /* !JOBS_HEAL_H */
