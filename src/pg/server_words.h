#ifndef PG_SERVER_WORDS_H
#define PG_SERVER_WORDS_H

/*
 * server_words: the words of a command line, one by one or split from a string
 * as a shell would, with nothing expanded.
 */

#include <stddef.h>

#include "base/auto.h"
#include "base/err.h"

struct server_words {
	char **words; /* ended by NULL */
	size_t count;
};

void server_words_fini(struct server_words *w);
#define AUTO_SERVER_WORDS AUTO(server_words_fini)

void server_words_add(struct server_words *w, const char *word); /* copied */

/* Add the words of text: blanks part them, '...' and "..." keep them together,
 * \ takes the next character as it is but within '...'.  ERR_USAGE when a quote
 * is not closed. */
int server_words_split(struct server_words *w, const char *text, struct err *e);

const char *const *server_words_argv(const struct server_words *w);

#endif /* !PG_SERVER_WORDS_H */
