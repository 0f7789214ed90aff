#ifndef JOURNAL_HISTORY_H
#define JOURNAL_HISTORY_H

/*
 * history: who wrote a journal, since when; and what two of them have in common.
 *
 * A history is a list of generations, oldest first: each has an id, the id of
 * its parent, the position where it began and the term under which it was
 * opened.  For a PostgreSQL cluster a generation is a timeline, a position an
 * LSN, and "of" names the system identifier.  Volumes use it alike.
 *
 * The end of a history is not in it, since it moves with every byte: it is the
 * position behind the last byte that is there, and is handed in beside it.
 *
 * Two entries are the same generation when id and first position are equal and
 * their terms are, or one of these is unknown: two sites that both promote from
 * timeline 1 both call the new one 2.
 *
 * Nothing here does I/O or allocates.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define HISTORY_ENTRIES_MAX 512
#define HISTORY_OF_BYTES    64

struct history_entry {
	uint64_t generation; /* never 0, and only once in a history */
	uint64_t parent;     /* 0: the first of all */
	uint64_t first;	     /* positions before it are the parent's */
	uint64_t term;	     /* 0: not known */
};

struct history {
	char of[HISTORY_OF_BYTES]; /* "pg 7123456789012345678": [a-z0-9 ._-] */
	uint32_t count;
	struct history_entry entries[HISTORY_ENTRIES_MAX];
};

/* Empty, of that thing (cut to HISTORY_OF_BYTES - 1). */
void history_init(struct history *h, const char *of);

/*
 * Open a generation: its parent is the last one there.  ERR_CONFLICT when the
 * id is 0 or there already, or first lies before the last one's; ERR_REFUSED
 * when the list is full.  *h is then untouched.
 */
int history_add(struct history *h, uint64_t generation, uint64_t first,
    uint64_t term, struct err *e);

/* Forget generations that began at end or later (never the oldest): what is
 * left is the history of somebody who holds the bytes before end only. */
void history_cut(struct history *h, uint64_t end);

/* The generation that wrote the byte at position; 0 of an empty history. */
uint64_t history_at(const struct history *h, uint64_t position);

enum history_relation {
	HISTORY_SAME,	  /* the same generations up to the same end */
	HISTORY_BEHIND,	  /* a is a beginning of b */
	HISTORY_AHEAD,	  /* b is a beginning of a */
	HISTORY_DIVERGED, /* each has what the other lacks */
	HISTORY_UNRELATED /* of other things, or nothing in common */
};

struct history_verdict {
	enum history_relation relation; /* of a to b */
	uint64_t at;	   /* both hold the same up to here; 0 if unrelated */
	uint64_t a_beyond; /* positions that only a has: its end - at */
	uint64_t b_beyond;
	uint64_t generation; /* the last that both have; 0 if unrelated */
};

/*
 * Compare a with its end and b with its end.  A generation that was opened and
 * in which nothing was written counts as something that the other lacks: two
 * that are DIVERGED with a_beyond 0 lose nothing when a gives way.
 * An end that lies before the first position of the last generation cuts the
 * history, as history_cut() does.
 */
struct history_verdict history_compare(const struct history *a, uint64_t a_end,
    const struct history *b, uint64_t b_end);

/* "same", "behind", "ahead", "diverged", "unrelated" */
const char *history_relation_name(enum history_relation r);

/*
 * The text form, with the sum of codec/keytext.h:
 *
 *	pgkura history 1
 *	of = pg 7123456789012345678
 *	generation = 1 0 0 0		id, parent, first position, term
 *	generation = 2 1 50331800 7
 *	crc32c 01234567
 */
void history_print(const struct history *h, struct buf *out);
/* The bytes of history_print(), trusting none of them.  -1: ERR_CORRUPT, *h
 * untouched. */
int
history_parse(struct history *h, const void *data, size_t len, struct err *e);

#endif /* !JOURNAL_HISTORY_H */
