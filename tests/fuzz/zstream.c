/*
 * A stream that was compressed elsewhere: any bytes, in pieces of any sizes,
 * either go on as plain ones or are ERR_CORRUPT; and what was compressed comes
 * back the same.
 */

#include <stdlib.h>
#include <string.h>

#include "codec/zstream.h"

/* A few bytes can stand for very many. */
#define PLAIN_MAX ((size_t)8 << 20)

struct plain {
	struct buf *out;
	size_t left;
};

static int
take(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	struct plain *p = arg;

	if (len == 0 || len > (size_t)128 << 10)
		abort();
	if (len > p->left)
		return err_set(e, ERR_CANCELED, "enough");
	p->left -= len;
	buf_put(p->out, data, len);
	return 0;
}

/* The first byte of the input says how long pieces are. */
static size_t
piece_of(const uint8_t *data, size_t len, size_t left)
{
	size_t n = len == 0 ? 1 : 1 + (size_t)data[0] * data[0];

	return n < left ? n : left;
}

static void
try_any(const uint8_t *data, size_t len)
{
	AUTO_ZINFLATE struct zinflate *z = zinflate_new();
	AUTO_BUF struct buf out = BUF_INIT;
	struct plain p = { &out, PLAIN_MAX };
	struct err e = ERR_INIT;
	size_t at = 0, n;

	for (; at < len; at += n) {
		n = piece_of(data, len, len - at);
		if (zinflate_put(z, data + at, n, take, &p, &e) == -1)
			break;
	}
	if (at < len && e.kind != ERR_CORRUPT && e.kind != ERR_CANCELED)
		abort();
}

/* All that was put in is there after each piece, not only at the end. */
static void
try_again(const uint8_t *data, size_t len)
{
	AUTO_ZDEFLATE struct zdeflate *d = zdeflate_new(1);
	AUTO_ZINFLATE struct zinflate *z = zinflate_new();
	AUTO_BUF struct buf small = BUF_INIT, out = BUF_INIT;
	struct plain p = { &out, PLAIN_MAX };
	struct err e = ERR_INIT;
	size_t at, n;

	for (at = 0; at < len; at += n) {
		n = piece_of(data, len, len - at);
		buf_clear(&small);
		zdeflate_put(d, data + at, n, &small);
		if (zinflate_put(z, small.data, small.len, take, &p, &e) ==
			-1 ||
		    out.len != at + n)
			abort();
	}
	if (len > 0 && memcmp(out.data, data, len) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	try_any(data, len);
	/* Its tables are large: not every time. */
	if (len > 0 && len < 4096 && data[len - 1] % 8 == 0)
		try_again(data, len);
	return 0;
}
