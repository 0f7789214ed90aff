#ifndef PG_MJSON_H
#define PG_MJSON_H

/*
 * mjson: JSON of a backup manifest, taken piece by piece.
 *
 * A manifest may have a million files, so nothing is built: the caller asks
 * for the piece that must come next.  Every function skips white space first,
 * and returns -1 with *e of kind ERR_CORRUPT, which names the byte.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct mjson {
	const char *start, *p, *end;
};

void mjson_init(struct mjson *j, const void *text, size_t len);
/* A failure at the place where j is. */
int mjson_bad(const struct mjson *j, struct err *e, const char *fmt, ...)
    __attribute__((__format__(__printf__, 3, 4)));

/* Take c when it is next. */
bool mjson_take(struct mjson *j, char c);
int mjson_expect(struct mjson *j, char c, struct err *e);
/* Nothing but white space is left. */
int mjson_end(struct mjson *j, struct err *e);
/* A string without its escapes, and a NUL: shorter than out_bytes, without a
 * NUL inside. */
int mjson_string(struct mjson *j, char *out, size_t out_bytes, struct err *e);
/* A number without sign, fraction or exponent. */
int mjson_u64(struct mjson *j, uint64_t *value, struct err *e);

/*
 * An object: take is called behind each key and its colon, and takes the
 * value.  Keys are shorter than MJSON_KEY_BYTES.
 */
#define MJSON_KEY_BYTES 64
int mjson_object(struct mjson *j,
    int (*take)(struct mjson *j, const char *key, void *arg, struct err *e),
    void *arg, struct err *e);
/* An array: take is called before each element, and takes it. */
int mjson_array(struct mjson *j,
    int (*take)(struct mjson *j, void *arg, struct err *e), void *arg,
    struct err *e);

#endif /* !PG_MJSON_H */
