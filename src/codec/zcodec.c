#include "codec/zcodec.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/le.h"
#include "base/mem.h"

#define QUICK_WINDOW_LOG  22 /* 4 MiB */
#define QUICK_HASH_LOG	  13 /* 32 KiB */
#define QUICK_MATCH_BYTES 5

struct zcodec {
	ZSTD_CCtx *compress; /* made when first asked for */
	ZSTD_DCtx *decompress;
	int level; /* that compress is set to */
};

static _Noreturn void
zcodec_abort(const char *what)
{
	(void)fprintf(stderr, "pgkura: zstd: %s\n", what);
	abort();
}

static size_t
must(size_t rc)
{
	if (ZSTD_isError(rc))
		zcodec_abort(ZSTD_getErrorName(rc));
	return rc;
}

struct zcodec *
zcodec_new(void)
{
	return mem_zalloc(sizeof(struct zcodec));
}

void
zcodec_free(struct zcodec *z)
{
	if (z == NULL)
		return;
	(void)ZSTD_freeCCtx(z->compress);
	(void)ZSTD_freeDCtx(z->decompress);
	free(z);
}

size_t
zcodec_bound(size_t len)
{
	return ZSTD_compressBound(len);
}

static void
set(struct zcodec *z, ZSTD_cParameter parameter, int value)
{
	(void)must(ZSTD_CCtx_setParameter(z->compress, parameter, value));
}

/* 0 is what the level says. */
static void
set_level(struct zcodec *z, int level)
{
	bool quick = level == ZCODEC_QUICK;

	set(z, ZSTD_c_compressionLevel, quick ? 1 : level);
	set(z, ZSTD_c_windowLog, quick ? QUICK_WINDOW_LOG : 0);
	set(z, ZSTD_c_hashLog, quick ? QUICK_HASH_LOG : 0);
	set(z, ZSTD_c_minMatch, quick ? QUICK_MATCH_BYTES : 0);
	z->level = level;
}

static ZSTD_CCtx *
compress_context(struct zcodec *z, int level)
{
	if (z->compress == NULL) {
		z->compress = ZSTD_createCCtx();
		if (z->compress == NULL)
			zcodec_abort("out of memory");
		set_level(z, level);
	}
	if (z->level != level)
		set_level(z, level);
	return z->compress;
}

size_t
zcodec_compress(struct zcodec *z, int level, const void *in, size_t len,
    void *out, size_t cap)
{
	assert(level == ZCODEC_QUICK ||
	    (level >= ZCODEC_LEVEL_MIN && level <= ZCODEC_LEVEL_MAX));
	assert(cap >= zcodec_bound(len));

	/* The frame of a single call carries its content size. */
	return must(
	    ZSTD_compress2(compress_context(z, level), out, cap, in, len));
}

/* One frame of content, not one of the kinds that decoders skip. */
static int
check_frame(const void *in, size_t len, size_t raw_len, struct err *e)
{
	unsigned long long content;

	if (len < 4 || le32_get(in) != ZSTD_MAGICNUMBER)
		return err_set(e, ERR_CORRUPT, "not a zstd frame");
	if (ZSTD_findFrameCompressedSize(in, len) != len)
		return err_set(e, ERR_CORRUPT,
		    "zstd frame is damaged, or does not fill its %zu bytes",
		    len);
	content = ZSTD_getFrameContentSize(in, len);
	if (content == ZSTD_CONTENTSIZE_UNKNOWN ||
	    content == ZSTD_CONTENTSIZE_ERROR)
		return err_set(
		    e, ERR_CORRUPT, "zstd frame does not say its content size");
	if (content != raw_len)
		return err_set(e, ERR_CORRUPT,
		    "zstd frame holds %llu bytes, expected %zu", content,
		    raw_len);
	return 0;
}

int
zcodec_decompress(struct zcodec *z, const void *in, size_t len, void *out,
    size_t raw_len, struct err *e)
{
	size_t rc;

	if (check_frame(in, len, raw_len, e) == -1)
		return -1;
	if (z->decompress == NULL) {
		z->decompress = ZSTD_createDCtx();
		if (z->decompress == NULL)
			zcodec_abort("out of memory");
	}
	rc = ZSTD_decompressDCtx(z->decompress, out, raw_len, in, len);
	if (ZSTD_isError(rc))
		return err_set(e, ERR_CORRUPT, "zstd frame is damaged: %s",
		    ZSTD_getErrorName(rc));
	if (rc != raw_len)
		return err_set(e, ERR_CORRUPT,
		    "zstd frame gave %zu bytes, expected %zu", rc, raw_len);
	return 0;
}
