#ifndef REPO_WALCHECK_H
#define REPO_WALCHECK_H

/*
 * walcheck: are these bytes WAL of this lineage, and how far?
 *
 * A record that crosses the start of a segment is checked when the segment
 * before is in the repository.  One that crosses the end is checked when the
 * next segment comes.
 */

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "repo/walarchive.h"
#include "repo/walindexer.h"

/* *out: the timeline that has the byte in front of lsn, a segment's start, seen from
 * timeline; of two that meet in a segment, the newer one has it whole.  0: not known
 * here. */
int wal_timeline_before(const struct lineage *l, uint32_t timeline,
    uint64_t lsn, uint32_t *out, struct err *e);

/*
 * The bytes in front of start_lsn, a segment's start on timeline, that hold the
 * record before it or the beginning of one that crosses it.  Nothing is
 * appended when they are not in the repository, or not sound.
 */
void wal_seed(const struct lineage *l, uint32_t timeline, uint64_t start_lsn,
    struct buf *seed);

/* A walindexer of this lineage from start_lsn on, seeded when possible. */
struct walindexer *
wal_indexer_at(const struct lineage *l, uint32_t timeline, uint64_t start_lsn);

/*
 * Check one whole segment of segment_bytes and make its index (to be freed).
 * When it is sound in itself but does not go on from the segment before,
 * *fits_before is false and the index says head_unseen.
 */
int wal_check_segment(const struct lineage *l, uint32_t timeline,
    uint64_t start_lsn, const uint8_t *data, struct walindex *x,
    bool *fits_before, struct err *e);

/* False when a record that crosses start_lsn, a segment's start, is broken: its
 * beginning is in the repository, stored, and its end is in the len bytes at
 * data. */
bool wal_fits_before(const struct lineage *l, uint32_t timeline,
    uint64_t start_lsn, const uint8_t *data, uint32_t len);

/*
 * How many of the len bytes at data, from start_lsn on, are WAL: up to the end
 * of the last whole record; when there is none, up to the first bytes that
 * cannot be WAL or are only zeros.  ERR_CONFLICT when they are of another
 * cluster.
 */
int
wal_check_prefix(const struct lineage *l, uint32_t timeline, uint64_t start_lsn,
    const uint8_t *data, uint32_t len, uint32_t *valid_len, struct err *e);

#endif /* !REPO_WALCHECK_H */
