#ifndef JOBS_RESTORE_FILL_H
#define JOBS_RESTORE_FILL_H

/*
 * restore_fill: the plain bytes of blocks, from frames that are decoded once
 * and kept for a while.  One fill serves one thread.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "repo/filemap.h"

struct fill;

/* cache_bytes: frames kept beside the one in use. */
struct fill *fill_new(struct packset *ps, size_t cache_bytes);
void fill_free(struct fill *f);
AUTO_DEFINE(struct fill, fill_free);
#define AUTO_FILL AUTO(fill_free_auto)

/*
 * Blocks one after the other into out, len bytes in all: only the last may be
 * shorter than PACK_BLOCK_BYTES.  Every byte was checked against its sum.
 * ERR_CORRUPT also when a block is longer or shorter than its file says.
 */
int fill_blocks(struct fill *f, const struct block_place *places,
    uint32_t count, uint8_t *out, size_t len, struct err *e);

/* Stored bytes read so far. */
uint64_t fill_read_bytes(const struct fill *f);

#endif /* !JOBS_RESTORE_FILL_H */
