#ifndef REPO_FILEMAP_H
#define REPO_FILEMAP_H

/*
 * filemap: where the blocks of one file lie.
 *
 * A row of extents that cover the file from block 0 to its end without gap.
 * A stored extent begins at block `index` of `frame` in `pack` and goes on
 * through that frame and the frames after it.  Pure: bytes to structs.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "repo/pack.h"

#define FILEMAP_EXTENTS_MAX ((size_t)1 << 24)

enum extent_kind { EXTENT_STORED = 0, EXTENT_ZERO = 1 };

struct extent {
	uint32_t block; /* first block in the file */
	uint32_t count;
	uint32_t pack; /* packset number */
	uint32_t frame;
	uint16_t index;
	uint8_t kind; /* enum extent_kind */
};

struct filemap {
	struct extent *extents;
	size_t count, cap;
	uint32_t blocks; /* covered so far */
};

void filemap_init(struct filemap *m);
void filemap_free(struct filemap *m);
#define AUTO_FILEMAP AUTO(filemap_free)

void filemap_add_zero(struct filemap *m, uint32_t count);
/* Appends one stored block; joined to the extent before it when it directly
 * follows it in the same frame, or is block 0 of the next frame and
 * continues_frame says that the frame before it is full there. */
void filemap_add_block(struct filemap *m, uint32_t pack, uint32_t frame,
    uint16_t index, bool continues_frame);

/* Bytes for storage, with pack ids written out once.  Equal maps have equal
 * bytes. */
void filemap_encode(
    const struct filemap *m, const struct packset *ps, struct buf *out);
/* ERR_CORRUPT; blocks must be covered exactly. */
int filemap_decode(struct filemap *m, struct packset *ps, const uint8_t *in,
    size_t len, uint32_t blocks, struct err *e);

/*
 * Where every block of [first, first + count) lies: one (pack, frame, index) a
 * block, resolved through frame sizes of the indexes.  kind EXTENT_ZERO entries
 * have no address.
 */
struct block_place {
	uint32_t pack, frame;
	uint16_t index;
	uint8_t kind;
};
int filemap_places(const struct filemap *m, struct packset *ps, uint32_t first,
    uint32_t count, struct block_place *out, struct err *e);
/* Their sums, one a block (zero blocks too; tail_len for the file's last). */
int filemap_sums(const struct filemap *m, struct packset *ps, uint64_t key,
    uint64_t file_bytes, uint32_t first, uint32_t count, struct block_sum *out,
    struct err *e);

#endif /* !REPO_FILEMAP_H */
