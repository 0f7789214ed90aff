#ifndef CODEC_KEYTEXT_H
#define CODEC_KEYTEXT_H

/*
 * keytext: small durable texts of "key = value" lines with a sum.
 *
 *	pgkura term 1			what it is, and the version of that
 *	cluster = main
 *	number = 7
 *	crc32c 01234567			of all bytes before this line
 *
 * Lines come in one order, and each value has one spelling, so what is read and
 * written again is the same bytes.  Values are printable ASCII or UTF-8 bytes,
 * without control characters; keys are [a-z_].
 *
 * Nothing here does I/O.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define KEYTEXT_BYTES_MAX (128 * 1024) /* a whole text */
#define KEYTEXT_VALUE_MAX 1023	       /* bytes of one value */

/* "pgkura kind version" */
void keytext_begin(struct buf *out, const char *kind, unsigned int version);
/* "key = value", by printf(); what cannot stand in a value becomes '?'. */
void keytext_put(struct buf *out, const char *key, const char *fmt, ...)
    __attribute__((__format__(__printf__, 3, 4)));
/* The last line; out then holds one whole text. */
void keytext_end(struct buf *out);

/*
 * A reader.  As with struct cursor, the first fault stays: every later get
 * gives zero or "", and keytext_close() says what it was.
 */
struct keytext {
	const char *p;
	size_t left;
	const char *kind;
	bool failed;
	char fault[160];
};

/* Checks size, sum, kind and version of the len bytes at data, which must
 * outlive k.  -1: ERR_CORRUPT. */
int keytext_open(struct keytext *k, const char *kind, unsigned int version,
    const void *data, size_t len, struct err *e);
/* Whether the next line has this key (more of a list). */
bool keytext_next_is(const struct keytext *k, const char *key);
/* The value of the next line, which must be of that key, with its NUL. */
void keytext_get(struct keytext *k, const char *key, char *out, size_t size);
uint64_t keytext_get_u64(struct keytext *k, const char *key, uint64_t max);
int64_t keytext_get_i64(struct keytext *k, const char *key);
/* One of count words; its index. */
unsigned int keytext_get_word(struct keytext *k, const char *key,
    const char *const *words, unsigned int count);
/* Marks the text as wrong for a reason of the caller's. */
void keytext_fail(struct keytext *k, const char *fmt, ...)
    __attribute__((__format__(__printf__, 2, 3)));
/* 0 when all was read and nothing failed, else ERR_CORRUPT. */
int keytext_close(struct keytext *k, struct err *e);

/*
 * Take a decimal number off *p, which moves behind it: one spelling (no sign
 * but "-" before a number other than 0, no leading zeros).  False, *p as it
 * was, otherwise.
 */
bool keytext_number(const char **p, uint64_t *out);
bool keytext_signed(const char **p, int64_t *out);
/* Takes text off *p when it is next. */
bool keytext_skip(const char **p, const char *text);

#endif /* !CODEC_KEYTEXT_H */
