#ifndef REPO_PARENT_H
#define REPO_PARENT_H

/*
 * parent: what a new backup may reuse: the blocks of the backup before it, and
 * those of an interrupted one whose packs are durable.
 *
 * Only a hash and an address are held for each file; leaves are read when a
 * file of theirs is asked for.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "repo/filemap.h"
#include "repo/manifest.h"

struct parent;

/* root may be NULL: a first backup.  Borrows root and ps. */
struct parent *
parent_new(const struct root *root, struct packset *ps, struct err *e);
void parent_free(struct parent *p);
AUTO_DEFINE(struct parent, parent_free);
#define AUTO_PARENT AUTO(parent_free_auto)

/*
 * Add the packs of an interrupted backup: <id>.00000 on, as many as are durable
 * and sound.  They are read whole, which gives their digests.  Returns how many
 * in *count.
 */
int parent_add_interrupted(struct parent *p, const struct lineage *l,
    const char *backup_id, unsigned int *count, struct err *e);

/* What is known of one file: candidates for its blocks. */
struct parent_file {
	bool in_parent;
	uint64_t size_bytes; /* there */
	struct filemap map;
	/* How the parent refers to its map, to be used again. */
	uint8_t *map_bytes; /* NULL: in a frame */
	size_t map_len;
	uint32_t map_pack, map_frame;
	bool interrupted; /* some blocks come from an interrupted backup */
};
/* NULL when nothing is known (no error); free with parent_file_free(). */
struct parent_file *
parent_find(struct parent *p, const char *path, struct err *e);
void parent_file_free(struct parent_file *f);
AUTO_DEFINE(struct parent_file, parent_file_free);
#define AUTO_PARENT_FILE AUTO(parent_file_free_auto)

/* The address of an equal leaf of the parent. */
bool parent_find_leaf(const struct parent *p, const struct block_sum *sum,
    size_t len, uint32_t *pack, uint32_t *frame);

/* Id, size and digest of a pack of the parent or an interrupted backup; NULL
 * when it is neither's. */
const struct root_pack *parent_pack(const struct parent *p, uint32_t pack);
/* Blocks of this pack are stored anew, since little of it is still used. */
bool parent_carries(const struct parent *p, uint32_t pack);

#endif /* !REPO_PARENT_H */
