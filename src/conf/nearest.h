#ifndef CONF_NEAREST_H
#define CONF_NEAREST_H

/*
 * nearest: the word that somebody meant.
 */

#include <stddef.h>

/*
 * Edits that turn a into b: one letter put in, left out or replaced, or two
 * neighbours exchanged.  Words of more than 63 letters are not compared:
 * SIZE_MAX.
 */
size_t nearest_distance(const char *a, const char *b);

/* The candidate closest to word, or NULL when none is close enough to be a
 * slip (a third of its letters, at least one). */
const char *
nearest_word(const char *word, const char *const *candidates, size_t count);

#endif /* !CONF_NEAREST_H */
