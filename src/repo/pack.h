#ifndef REPO_PACK_H
#define REPO_PACK_H

/*
 * pack: a write-once file of frames with its index at the end.
 *
 * A frame is up to PACK_FRAME_BLOCKS_MAX blocks, joined and compressed
 * together.  A block is 8,192 bytes of a file at a multiple of 8,192; the last
 * one of a file may be shorter.  The index holds the sums of every block and
 * says which blocks of which files they are, so that a pack can be understood
 * alone.  The layout is drawn in pack_format.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "codec/digest.h"
#include "codec/zcodec.h"
#include "repo/repo.h"

#define PACK_BLOCK_BYTES      8192u
#define PACK_FRAME_BLOCKS_MAX 128u
#define PACK_FRAME_RAW_MAX    ((size_t)PACK_FRAME_BLOCKS_MAX * PACK_BLOCK_BYTES)
/* A map or leaf. */
#define PACK_META_RAW_MAX ((size_t)64 << 20)
/* A pack is closed at either of these. */
#define PACK_BLOCKS_TARGET ((uint64_t)1 << 18)
#define PACK_BYTES_TARGET  ((uint64_t)256 << 20)
#define PACK_PATH_BYTES	   1024 /* of a file in a data directory, with NUL */
#define PACK_ID_BYTES	   32	/* "20261121T030405Z-7f3a.00012" */
#define PACK_FRAMES_MAX	   ((uint32_t)1 << 20)

/* Sums of one block of plain bytes. */
struct block_sum {
	uint64_t hash; /* xxh3_keyed() with the repository's key */
	uint32_t crc;  /* CRC-32C */
};

struct block_sum block_sum_of(uint64_t key, const void *data, size_t len);
/* The sum of an all-zero block of len bytes (cached for 8,192). */
struct block_sum block_sum_zero(uint64_t key, size_t len);

enum frame_kind {
	FRAME_BLOCKS = 0, /* blocks of files */
	FRAME_META = 1	  /* one map or leaf, a single "block" of raw_len */
};

struct frame_info {
	uint64_t offset;
	uint32_t stored_len;
	uint32_t raw_len;
	uint32_t stored_crc; /* CRC-32C of the stored bytes */
	uint32_t first_sum;  /* its blocks' sums start here in the index */
	uint16_t block_count;
	uint8_t kind;	/* enum frame_kind */
	uint8_t stored; /* enum frame_codec: 0 as is, 1 zstd */
};

/* Which blocks a piece of a frame holds. */
struct frame_run {
	const char *path; /* borrowed */
	uint32_t first_block;
	uint16_t index; /* of its first block in the frame */
	uint16_t count;
	uint16_t
	    tail_len; /* length of its last block: 8192 but at a file's end */
};

/* ---- reading: a set of packs with their indexes, cached within a bound ---- */

struct packset; /* safe for several threads */

struct packset *packset_new(const struct lineage *l, size_t index_cache_bytes);
void packset_free(struct packset *ps);
AUTO_DEFINE(struct packset, packset_free);
#define AUTO_PACKSET AUTO(packset_free_auto)

/* A number that stands for a pack id in this set; the same id gives the same
 * number.  Nothing is opened. */
uint32_t packset_intern(struct packset *ps, const char *pack_id);
const char *packset_id(struct packset *ps, uint32_t pack);

/*
 * A pack's index, checked against its digest, held while in use.
 * ERR_NOT_FOUND, ERR_CORRUPT.
 */
struct pack_index;
const struct pack_index *
packset_index_get(struct packset *ps, uint32_t pack, struct err *e);
void packset_index_put(struct packset *ps, const struct pack_index *x);

uint32_t pack_index_frames(const struct pack_index *x);
const struct frame_info *pack_index_frame(
    const struct pack_index *x, uint32_t frame); /* NULL past the end */
/* Sum of a frame's block; index < block_count. */
struct block_sum
pack_index_sum(const struct pack_index *x, uint32_t frame, uint16_t index);
/* Number of plain bytes in front of block index of a frame. */
uint32_t pack_index_block_offset(
    const struct pack_index *x, uint32_t frame, uint16_t index);
uint32_t pack_index_block_len(
    const struct pack_index *x, uint32_t frame, uint16_t index);
/* Runs of all frames in order: walk with i from 0; false past the end. */
bool pack_index_run(const struct pack_index *x, uint32_t i, uint32_t *frame,
    struct frame_run *run);
uint64_t pack_index_blocks(const struct pack_index *x);

/*
 * Read, check and decode one frame into out (raw_len bytes): stored CRC, then
 * every block against its sum.  ERR_CORRUPT names pack and frame.
 */
int packset_read_frame(struct packset *ps, uint32_t pack, uint32_t frame,
    struct zcodec *z, void *out, struct err *e);

/* A META frame's plain bytes, appended to out. */
int packset_read_meta(struct packset *ps, uint32_t pack, uint32_t frame,
    struct zcodec *z, struct buf *out, struct err *e);

/*
 * Read a whole pack: SHA-256 of all its bytes, every frame decoded and checked
 * when deep.  sha256 is what the root says.  ERR_CORRUPT, ERR_NOT_FOUND.
 */
int pack_verify(const struct lineage *l, const char *pack_id, bool deep,
    const uint8_t sha256[SHA256_BYTES], struct err *e);

/* ---- writing ---- */

struct pack_writer;

/* Frames are written in the order in which they are given; their numbers are
 * handed out before, so that a frame can be filled while others pass. */
struct pack_writer *
pack_writer_new(const struct lineage *l, const char *pack_id, struct err *e);
void pack_writer_free(struct pack_writer *w); /* without finish: no trace */
AUTO_DEFINE(struct pack_writer, pack_writer_free);
#define AUTO_PACK_WRITER AUTO(pack_writer_free_auto)

/* The next frame number. */
uint32_t pack_writer_reserve(struct pack_writer *w);
/* Fill a reserved frame.  sums and runs describe its blocks. */
int pack_writer_put(struct pack_writer *w, uint32_t frame, enum frame_kind kind,
    bool compressed, const void *stored, size_t stored_len, size_t raw_len,
    const struct block_sum *sums, size_t block_count,
    const struct frame_run *runs, size_t run_count, struct err *e);
uint64_t pack_writer_bytes(const struct pack_writer *w);
uint32_t pack_writer_frames(const struct pack_writer *w);
uint64_t pack_writer_blocks(const struct pack_writer *w);

struct pack_result {
	char id[PACK_ID_BYTES];
	uint64_t bytes;
	uint64_t blocks;
	uint8_t sha256[SHA256_BYTES];
};
/* Index, digest, durable, visible. */
int pack_writer_finish(
    struct pack_writer *w, struct pack_result *result, struct err *e);

/* SHA-256 of a whole pack as it lies there. */
int pack_digest(const struct lineage *l, const char *pack_id,
    uint8_t out[SHA256_BYTES], struct err *e);

/* Key of a pack: packs/xx/<id>, xx = two hex digits of the id's digest. */
const char *pack_key(
    const struct lineage *l, const char *pack_id, char out[STORE_KEY_BYTES]);

#endif /* !REPO_PACK_H */
