#ifndef REPO_INTAKE_INT_H
#define REPO_INTAKE_INT_H

/*
 * intake_int: what intake.c, intake_encode.c and intake_write.c share.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "base/queue.h"
#include "repo/intake.h"

#define CHUNK_BLOCKS	PACK_FRAME_BLOCKS_MAX
#define CHUNK_RAW_BYTES PACK_FRAME_RAW_MAX
/* So many new blocks in a chunk make a frame of their own. */
#define CHUNK_OWN_FRAME_MIN 32

/* A file on its way.  The caller makes it, encoders read, the writer ends it. */
struct intake_file {
	enum entry_kind kind;
	char path[PACK_PATH_BYTES];
	uint32_t mode;
	int64_t mtime_s;
	uint64_t size_bytes;
	bool is_relation; /* pages with checksums to check */
	struct relpath relation;
	struct parent_file *parent; /* NULL: nothing known */
	/* Which level its frames deserve: learned by encoders. */
	atomic_int level; /* 0: not known yet */
	/* The writer's. */
	struct filemap map;
	uint32_t crc32c;
	bool changed; /* differs from the parent in any block */
};

enum block_state { BLOCK_SAME, BLOCK_ZERO, BLOCK_NEW };

struct chunk {
	struct intake_file *file;
	uint32_t first_block;
	uint32_t count; /* blocks; 0: only ends the file */
	size_t raw_len;
	bool ends_file;
	uint8_t *raw; /* CHUNK_RAW_BYTES */
	/* Candidates: what the parent has at these places. */
	uint32_t known_count;
	struct block_place known[CHUNK_BLOCKS];
	struct block_sum known_sums[CHUNK_BLOCKS];
	/* The encoder's. */
	struct block_sum sums[CHUNK_BLOCKS];
	uint8_t states[CHUNK_BLOCKS]; /* enum block_state */
	uint32_t new_count;
	uint8_t *encoded;		     /* room for a frame */
	size_t encoded_len, encoded_raw_len; /* 0: goes to the collector */
	bool compressed;
	/* Encoded: the writer may take it. */
	pthread_mutex_t lock;
	pthread_cond_t ready_cond;
	bool ready;
};

/* Blocks of many files that share a frame: few changes, small files. */
struct collector {
	bool open;
	uint32_t frame;
	uint8_t *raw;
	size_t raw_len;
	uint32_t count, count_max;
	struct block_sum sums[PACK_FRAME_BLOCKS_MAX];
	struct frame_run runs[PACK_FRAME_BLOCKS_MAX];
	char *paths[PACK_FRAME_BLOCKS_MAX]; /* of the runs, owned */
	uint32_t run_count;
	uint8_t *encoded;
};

struct known_file {
	uint64_t hash; /* of the path */
	uint64_t bytes;
	uint32_t crc32c;
};

struct intake {
	const struct lineage *lineage;
	struct packset *ps;
	struct parent *parent;
	struct intake_options options;
	uint64_t block_key;

	struct queue *free_chunks, *work, *order;
	struct chunk *chunks;
	size_t chunk_count;
	pthread_t *encoders, writer;
	unsigned int encoder_count;
	bool started;

	/* First failure of any thread. */
	pthread_mutex_t lock;
	struct err failure;
	struct intake_suspect *suspects;
	size_t suspect_count;
	uint64_t suspects_all;

	/* The caller's. */
	struct intake_file *file;
	struct chunk *chunk;
	uint64_t file_done;

	/* The writer's. */
	struct pack_writer *pack;
	uint32_t pack_number; /* packset number of pack */
	unsigned int pack_serial;
	struct zcodec *z;
	struct collector collector;
	struct leaf_encoder leaf;
	struct buf scratch;
	struct root_leaf *leaves; /* pack: packset number until finish */
	size_t leaf_count;
	struct pack_result *packs; /* finished ones */
	uint32_t *pack_numbers;
	size_t pack_count;
	uint64_t *live; /* by packset number */
	uint32_t live_count;
	struct known_file *known;
	size_t known_count, known_cap;
	uint64_t files, bytes, new_blocks, new_bytes;
};

/* Remember the first failure and wake everybody. */
void intake_fail(struct intake *in, const struct err *e);
void intake_file_free(struct intake_file *f);
void *intake_encoder_main(void *arg);
void *intake_writer_main(void *arg);
/* Compress at the level that pays for this file; returns the length. */
size_t intake_compress(struct zcodec *z, int level_max, atomic_int *learned,
    bool learn, const void *raw, size_t raw_len, void *out, bool *compressed);
/* The writer's end: flush collector and leaf, close the pack. */
int intake_write_finish(struct intake *in, struct err *e);
void intake_writer_free(struct intake *in);

#endif /* !REPO_INTAKE_INT_H */
