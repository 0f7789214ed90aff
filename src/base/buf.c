#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/le.h"
#include "base/mem.h"

void
buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf)BUF_INIT;
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
}

uint8_t *
buf_reserve(struct buf *b, size_t more)
{
	size_t want = b->len + more, cap = b->cap < 64 ? 64 : b->cap;

	if (want > b->cap || b->data == NULL) {
		while (cap < want)
			cap += cap / 2;
		b->data = mem_realloc(b->data, cap);
		b->cap = cap;
	}
	return b->data + b->len;
}

void
buf_put(struct buf *b, const void *data, size_t len)
{
	if (len == 0)
		return;
	(void)memcpy(buf_reserve(b, len), data, len);
	b->len += len;
}

void
buf_put_u8(struct buf *b, uint8_t v)
{
	buf_put(b, &v, 1);
}

void
buf_put_le16(struct buf *b, uint16_t v)
{
	le16_put(buf_reserve(b, 2), v);
	b->len += 2;
}

void
buf_put_le32(struct buf *b, uint32_t v)
{
	le32_put(buf_reserve(b, 4), v);
	b->len += 4;
}

void
buf_put_le64(struct buf *b, uint64_t v)
{
	le64_put(buf_reserve(b, 8), v);
	b->len += 8;
}

void
buf_put_varint(struct buf *b, uint64_t v)
{
	while (v >= 0x80) {
		buf_put_u8(b, (uint8_t)(v & 0x7f) | 0x80);
		v >>= 7;
	}
	buf_put_u8(b, (uint8_t)v);
}

void
buf_put_str(struct buf *b, const char *s)
{
	size_t len = strlen(s);

	buf_put_varint(b, len);
	buf_put(b, s, len);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	AUTO_FREE char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	s = mem_vprintf(fmt, ap);
	va_end(ap);
	buf_put(b, s, strlen(s));
	(void)buf_str(b);
}

const char *
buf_str(struct buf *b)
{
	*buf_reserve(b, 1) = '\0';
	return (const char *)b->data;
}

void
cursor_init(struct cursor *c, const void *p, size_t len)
{
	c->p = p == NULL ? (const uint8_t *)"" : p; /* NULL + 0 is not C */
	c->left = len;
	c->failed = false;
}

const uint8_t *
cursor_bytes(struct cursor *c, size_t len)
{
	const uint8_t *p = c->p;

	if (c->failed || len > c->left) {
		c->failed = true;
		return NULL;
	}
	c->p += len;
	c->left -= len;
	return p;
}

uint8_t
cursor_u8(struct cursor *c)
{
	const uint8_t *p = cursor_bytes(c, 1);

	return p == NULL ? 0 : *p;
}

uint16_t
cursor_le16(struct cursor *c)
{
	const uint8_t *p = cursor_bytes(c, 2);

	return p == NULL ? 0 : le16_get(p);
}

uint32_t
cursor_le32(struct cursor *c)
{
	const uint8_t *p = cursor_bytes(c, 4);

	return p == NULL ? 0 : le32_get(p);
}

uint64_t
cursor_le64(struct cursor *c)
{
	const uint8_t *p = cursor_bytes(c, 8);

	return p == NULL ? 0 : le64_get(p);
}

uint64_t
cursor_varint(struct cursor *c)
{
	uint64_t v = 0;
	unsigned int shift;
	uint8_t byte;

	for (shift = 0; shift < 64; shift += 7) {
		byte = cursor_u8(c);
		if (shift == 63 && byte > 1)
			break;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0) {
			if (byte == 0 && shift > 0)
				break; /* not the shortest form */
			return c->failed ? 0 : v;
		}
	}
	c->failed = true;
	return 0;
}

void
cursor_str(struct cursor *c, char *out, size_t max)
{
	uint64_t len = cursor_varint(c);
	const uint8_t *p;

	out[0] = '\0';
	if (c->failed || len > max) {
		c->failed = true;
		return;
	}
	p = cursor_bytes(c, (size_t)len);
	if (p == NULL)
		return;
	if (memchr(p, '\0', (size_t)len) != NULL) {
		c->failed = true;
		return;
	}
	(void)memcpy(out, p, (size_t)len);
	out[len] = '\0';
}
