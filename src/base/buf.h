#ifndef BASE_BUF_H
#define BASE_BUF_H

/*
 * buf: bytes that grow, and a cursor that reads bytes without trusting them.
 *
 * struct buf is plain: data and len may be read by anyone.  A buf that is all
 * zeros is empty and valid.  buf_printf() keeps a NUL after the last byte.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct buf {
	uint8_t *data;
	size_t len; /* bytes used */
	size_t cap; /* bytes there */
};

#define BUF_INIT           \
	{                  \
		NULL, 0, 0 \
	}

void buf_free(struct buf *b); /* back to empty */
#define AUTO_BUF AUTO(buf_free)

void buf_clear(struct buf *b); /* len = 0, memory kept */
/* Room for more bytes behind len; returns where they go. */
uint8_t *buf_reserve(struct buf *b, size_t more);
void buf_put(struct buf *b, const void *data, size_t len);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_le16(struct buf *b, uint16_t v);
void buf_put_le32(struct buf *b, uint32_t v);
void buf_put_le64(struct buf *b, uint64_t v);
/* Unsigned LEB128, 1 to 10 bytes. */
void buf_put_varint(struct buf *b, uint64_t v);
/* varint length, then the bytes. */
void buf_put_str(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((__format__(__printf__, 2, 3)));
/* s as a JSON string with its quotes; what is not UTF-8 becomes U+FFFD. */
void buf_put_json(struct buf *b, const char *s);
/* The bytes as a string: a NUL is kept behind them. */
const char *buf_str(struct buf *b);

/*
 * A reader of len bytes at p.  A read past the end or of a bad form sets
 * failed, gives zero, and every later read too: check failed once at the end.
 */
struct cursor {
	const uint8_t *p;
	size_t left;
	bool failed;
};

void cursor_init(struct cursor *c, const void *p, size_t len);
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_le16(struct cursor *c);
uint32_t cursor_le32(struct cursor *c);
uint64_t cursor_le64(struct cursor *c);
uint64_t cursor_varint(struct cursor *c); /* shortest form only */
/* Borrowed bytes, NULL when there are fewer than len. */
const uint8_t *cursor_bytes(struct cursor *c, size_t len);
/* A string of varint length, at most max bytes, no NUL inside; copied with a
 * NUL into out, which holds max + 1 bytes.  Sets failed otherwise. */
void cursor_str(struct cursor *c, char *out, size_t max);

#endif /* !BASE_BUF_H */
