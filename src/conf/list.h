#ifndef CONF_LIST_H
#define CONF_LIST_H

/*
 * list: words of an option's value, separated by commas, blanks around them.
 * Pure.
 */

#include <stdbool.h>
#include <stddef.h>

/*
 * The next word of the list at *at, which moves behind it.  False at the end
 * (*at NULL or its end).  A word that does not fit into bytes, or is empty,
 * comes as "".
 */
bool list_next(const char **at, char *out, size_t bytes);
/* How many words; NULL has none. */
size_t list_count(const char *list);
bool list_has(const char *list, const char *word);

#endif /* !CONF_LIST_H */
