#ifndef REPO_FILEMAP_H
#define REPO_FILEMAP_H

/*
 * filemap: where the blocks of one file lie.
 *
 * A row of extents that cover the file from block 0 to its end without gap.
 * A stored extent begins at block `index` of `frame` in `pack` and goes on
 * through that frame and the frames after it.  Pure: bytes to structs.
 */

#include <stdbool.h>
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

/* Where one block lies. */
struct block_place {
	uint32_t pack, frame;
	uint16_t index;
	uint8_t kind;	    /* enum extent_kind; zero blocks have no address */
	bool last_in_frame; /* the next block of the file may begin the next
			       frame */
};

struct filemap {
	struct extent *extents;
	size_t count, cap;
	uint32_t blocks;	 /* covered so far */
	struct block_place last; /* of the block added last */
};

void filemap_init(struct filemap *m);
void filemap_free(struct filemap *m);
#define AUTO_FILEMAP AUTO(filemap_free)

/* Append the place of the file's next block.  It joins the extent before it
 * when it follows directly there. */
void filemap_add(struct filemap *m, const struct block_place *p);

/* Bytes for storage, with pack ids written out once.  Equal maps have equal
 * bytes. */
void
filemap_encode(const struct filemap *m, struct packset *ps, struct buf *out);
/* ERR_CORRUPT; blocks must be covered exactly. */
int filemap_decode(struct filemap *m, struct packset *ps, const uint8_t *in,
    size_t len, uint32_t blocks, struct err *e);

/* Where every block of [first, first + count) lies. */
int filemap_places(const struct filemap *m, struct packset *ps, uint32_t first,
    uint32_t count, struct block_place *out, struct err *e);
/* Sums of the blocks at places, which are [first, first + count) of a file of
 * file_bytes; key is the repository's block key. */
int filemap_place_sums(const struct block_place *places, struct packset *ps,
    uint64_t key, uint64_t file_bytes, uint32_t first, uint32_t count,
    struct block_sum *out, struct err *e);
/* Their sums, one a block (zero blocks too; tail_len for the file's last). */
int filemap_sums(const struct filemap *m, struct packset *ps, uint64_t key,
    uint64_t file_bytes, uint32_t first, uint32_t count, struct block_sum *out,
    struct err *e);

#endif /* !REPO_FILEMAP_H */
