#ifndef BASE_STRMAP_H
#define BASE_STRMAP_H

/*
 * strmap: strings to pointers, in memory.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/auto.h"

struct strmap;

struct strmap *strmap_new(void);
void strmap_free(struct strmap *m); /* values are not freed */
AUTO_DEFINE(struct strmap, strmap_free);
#define AUTO_STRMAP AUTO(strmap_free_auto)

/* NULL when not there. */
void *strmap_get(const struct strmap *m, const char *key);
/* The key is copied; an older value is returned, or NULL. */
void *strmap_put(struct strmap *m, const char *key, void *value);
void *strmap_remove(struct strmap *m, const char *key);
size_t strmap_count(const struct strmap *m);
/* Walk in no order: *pos starts at 0; false at the end. */
bool strmap_next(
    const struct strmap *m, size_t *pos, const char **key, void **value);

#endif /* !BASE_STRMAP_H */
