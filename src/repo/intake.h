#ifndef REPO_INTAKE_H
#define REPO_INTAKE_H

/*
 * intake: files in, packs and leaves out.
 *
 * The caller's thread cuts files into chunks of 1 MiB; N encoders sum, check
 * and compress them; one writer puts them into packs in order and builds maps
 * and leaves.  All queues are bounded, so memory is too.
 *
 *	caller -> [chunk] -> encoders -> [chunk, in order] -> writer -> packs
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "pg/relpath.h"
#include "repo/manifest.h"
#include "repo/parent.h"

struct intake;

struct intake_options {
	const char *backup_id;
	int level;		 /* most that is spent */
	unsigned int workers;	 /* encoders */
	bool check_pages;	 /* the cluster has page checksums */
	bool parent_exists;	 /* frames of changes are smaller */
	uint32_t segment_blocks; /* blocks of a relation's segment file */
};

/* A page whose checksum does not match: torn or damaged. */
struct intake_suspect {
	char path[PACK_PATH_BYTES];
	struct relpath relation;
	uint32_t block; /* within the fork */
	uint64_t page_lsn;
};
#define INTAKE_SUSPECTS_MAX 100000

/* Borrows all; parent and ps outlive it. */
struct intake *intake_new(const struct lineage *l, struct packset *ps,
    struct parent *parent, const struct intake_options *options, struct err *e);
void intake_free(struct intake *in); /* stops its threads */
AUTO_DEFINE(struct intake, intake_free);
#define AUTO_INTAKE AUTO(intake_free_auto)

/* One file after the other; its bytes in any pieces.  A failure of an encoder
 * or the writer is returned by the next call. */
int intake_begin(struct intake *in, enum entry_kind kind, const char *path,
    uint32_t mode, int64_t mtime_s, uint64_t size_bytes, struct err *e);
int intake_data(struct intake *in, const void *data, size_t len, struct err *e);
int intake_end(struct intake *in, struct err *e);

/*
 * Nothing more comes: wait, close the last pack, fill root's packs, leaves,
 * files, bytes, new_* and stored_bytes.
 */
int intake_finish(struct intake *in, struct root *root, struct err *e);

/* After intake_finish(): what the page check found; borrowed. */
const struct intake_suspect *
intake_suspects(const struct intake *in, size_t *count, uint64_t *all);

/* Size and CRC-32C of a file that went through, for comparing with what the
 * server says; false when unknown.  After intake_finish(). */
bool intake_known(const struct intake *in, const char *path, uint64_t *bytes,
    uint32_t *crc32c);

#endif /* !REPO_INTAKE_H */
