#ifndef CODEC_ZSTREAM_H
#define CODEC_ZSTREAM_H

/*
 * zstream: a stream of bytes to fewer bytes with zstd, in pieces: what was put
 * in so far can be read at the other end at once, and all before it serves as
 * its dictionary.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"

struct zdeflate;

struct zdeflate *zdeflate_new(int level);
void zdeflate_free(struct zdeflate *z);
AUTO_DEFINE(struct zdeflate, zdeflate_free);
#define AUTO_ZDEFLATE AUTO(zdeflate_free_auto)
/* Compress len bytes and flush: what is appended to out gives all of them. */
void
zdeflate_put(struct zdeflate *z, const void *in, size_t len, struct buf *out);

struct zinflate;

/* Uses at most some 8 MiB whatever comes in: larger windows are ERR_CORRUPT. */
struct zinflate *zinflate_new(void);
void zinflate_free(struct zinflate *z);
AUTO_DEFINE(struct zinflate, zinflate_free);
#define AUTO_ZINFLATE AUTO(zinflate_free_auto)
/* The next len bytes; fn is called with the plain bytes, piece by piece (at most
 * 128 KiB), and returns 0, or -1 with *e to stop. */
typedef int
zinflate_fn(void *arg, const uint8_t *data, size_t len, struct err *e);
int zinflate_put(struct zinflate *z, const void *in, size_t len,
    zinflate_fn *fn, void *arg, struct err *e);

#endif /* !CODEC_ZSTREAM_H */
