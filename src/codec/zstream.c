#include "codec/zstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/mem.h"

#define WINDOW_MAX_LOG 22 /* 4 MiB: of any stream that is read */
/* WAL resembles what was written just before.  More is not found again with so
 * small a table, and neither is in the cache beside a busy server. */
#define WINDOW_LOG  19 /* 512 KiB */
#define HASH_LOG    13 /* 32 KiB */
#define MIN_MATCH   5  /* records repeat little more than a header's fields */
#define PIECE_BYTES ((size_t)128 << 10)

struct zdeflate {
	ZSTD_CCtx *ctx;
};

struct zinflate {
	ZSTD_DCtx *ctx;
	uint8_t *piece;
};

static size_t
must(size_t rc)
{
	if (ZSTD_isError(rc)) {
		(void)fprintf(
		    stderr, "pgkura: zstd: %s\n", ZSTD_getErrorName(rc));
		abort();
	}
	return rc;
}

struct zdeflate *
zdeflate_new(int level)
{
	struct zdeflate *z = mem_zalloc(sizeof(*z));

	z->ctx = ZSTD_createCCtx();
	if (z->ctx == NULL)
		abort();
	(void)must(
	    ZSTD_CCtx_setParameter(z->ctx, ZSTD_c_compressionLevel, level));
	(void)must(
	    ZSTD_CCtx_setParameter(z->ctx, ZSTD_c_windowLog, WINDOW_LOG));
	(void)must(ZSTD_CCtx_setParameter(z->ctx, ZSTD_c_hashLog, HASH_LOG));
	(void)must(ZSTD_CCtx_setParameter(z->ctx, ZSTD_c_minMatch, MIN_MATCH));
	return z;
}

void
zdeflate_free(struct zdeflate *z)
{
	if (z == NULL)
		return;
	(void)ZSTD_freeCCtx(z->ctx);
	free(z);
}

void
zdeflate_put(struct zdeflate *z, const void *in, size_t len, struct buf *out)
{
	ZSTD_inBuffer i = { in, len, 0 };
	size_t left;

	do {
		ZSTD_outBuffer o = { .size = ZSTD_CStreamOutSize() };

		o.dst = buf_reserve(out, o.size);
		left = must(ZSTD_compressStream2(z->ctx, &o, &i, ZSTD_e_flush));
		out->len += o.pos;
	} while (left != 0 || i.pos < i.size);
}

struct zinflate *
zinflate_new(void)
{
	struct zinflate *z = mem_zalloc(sizeof(*z));

	z->ctx = ZSTD_createDCtx();
	if (z->ctx == NULL)
		abort();
	(void)must(ZSTD_DCtx_setParameter(
	    z->ctx, ZSTD_d_windowLogMax, WINDOW_MAX_LOG));
	z->piece = mem_alloc(PIECE_BYTES);
	return z;
}

void
zinflate_free(struct zinflate *z)
{
	if (z == NULL)
		return;
	(void)ZSTD_freeDCtx(z->ctx);
	free(z->piece);
	free(z);
}

int
zinflate_put(struct zinflate *z, const void *in, size_t len, zinflate_fn *fn,
    void *arg, struct err *e)
{
	ZSTD_inBuffer i = { in, len, 0 };
	ZSTD_outBuffer o;

	do {
		size_t rc;

		o = (ZSTD_outBuffer){ z->piece, PIECE_BYTES, 0 };
		rc = ZSTD_decompressStream(z->ctx, &o, &i);
		if (ZSTD_isError(rc))
			return err_set(e, ERR_CORRUPT,
			    "compressed stream is damaged: %s",
			    ZSTD_getErrorName(rc));
		if (o.pos > 0 && fn(arg, z->piece, o.pos, e) == -1)
			return -1;
	} while (i.pos < i.size || o.pos == o.size);
	return 0;
}
