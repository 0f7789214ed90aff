#ifndef JOBS_COURIER_JOURNALS_H
#define JOBS_COURIER_JOURNALS_H

/*
 * courier_journals: what goes to a peer and what comes from it, one ship and
 * one accept a cluster.
 *
 * Ships live as long as a session and have the number of their cluster in the
 * settings; accepts come when the peer opens them and have its numbers.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "link/link.h"

struct courier;
struct journals;

struct journals *journals_new(struct courier *c);
void journals_free(struct journals *j); /* NULL allowed */

/* A session began, or goes on: clusters that have something to send by now. */
void journals_begin(struct journals *j);
/* It ended. */
void journals_end(struct journals *j);

/* The peer opens a cluster.  -1: the session cannot go on. */
int journals_open(
    struct journals *j, uint64_t journal, const json_t *m, struct err *e);
/* A message of a journal; one that is nobody's is ignored. */
void journals_message(
    struct journals *j, uint64_t journal, const char *what, const json_t *m);
/* As accept_chunk(). */
int journals_chunk(struct journals *j, uint64_t journal,
    const struct link_chunk *chunk, struct err *e);
/* The clusters in turn. */
bool journals_next_chunk(struct journals *j, struct link_chunk *chunk);

/* true when there is something to send now. */
bool journals_tick(struct journals *j, int64_t now_us);
/* Nothing is heard from the peer. */
void journals_silence(struct journals *j);
/* Receivers hear how much is durable at the peer: one that has just begun knows
 * nothing yet. */
void journals_tell_receivers(const struct journals *j);
void journals_status(const struct journals *j, json_t *out);

#endif /* !JOBS_COURIER_JOURNALS_H */
