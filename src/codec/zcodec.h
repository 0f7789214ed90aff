#ifndef CODEC_ZCODEC_H
#define CODEC_ZCODEC_H

/*
 * zcodec: bytes to fewer bytes with zstd, context reused from call to call.
 * One zcodec serves one thread.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"

#define ZCODEC_LEVEL_MIN 1
#define ZCODEC_LEVEL_MAX 19
/*
 * As fast as level 1, for WAL: matches from 5 bytes on, as level 3 finds them,
 * and a table that fits into the processor's nearest cache.  What repeats in
 * WAL does so soon, and much of it is short.
 */
#define ZCODEC_QUICK 0

struct zcodec;

struct zcodec *zcodec_new(void);
void zcodec_free(struct zcodec *z);
AUTO_DEFINE(struct zcodec, zcodec_free);
#define AUTO_ZCODEC AUTO(zcodec_free_auto)

/* Most bytes that len bytes can become. */
size_t zcodec_bound(size_t len);

/* One zstd frame of the len bytes at in into out (cap >= zcodec_bound(len)), at
 * a level or ZCODEC_QUICK.  Returns its length.  Cannot fail but for bugs:
 * aborts then. */
size_t zcodec_compress(struct zcodec *z, int level, const void *in, size_t len,
    void *out, size_t cap);

/*
 * Exactly raw_len bytes into out from the one frame at in.  ERR_CORRUPT when
 * it is no frame, is damaged, or holds another number of bytes.
 */
int zcodec_decompress(struct zcodec *z, const void *in, size_t len, void *out,
    size_t raw_len, struct err *e);

#endif /* !CODEC_ZCODEC_H */
