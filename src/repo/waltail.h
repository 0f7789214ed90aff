#ifndef REPO_WALTAIL_H
#define REPO_WALTAIL_H

/*
 * waltail: segments that are not whole: the open one and partials.
 *
 * For the files of the WAL archive; others use walarchive.h.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/walarchive.h"

#define WAL_OPEN_FOLDER "wal/open"

/* The bytes of the open segment's file, valid or not, into out (segment_bytes,
 * the rest zero).  1 found, 0 not, -1 error. */
int wal_tail_raw(const struct lineage *l, const char *name, uint8_t *out,
    uint32_t *len, struct err *e);

/*
 * What of the open segment name is here: its bytes into out (segment_bytes, the
 * rest zero; may be NULL), *valid_len of them WAL, up to the last whole record;
 * all when that one ends in open segments behind.  1 found, 0 not, -1 error.
 */
int wal_tail_open(const struct lineage *l, const char *name, uint8_t *out,
    uint32_t *valid_len, struct err *e);

/* Names of open segments, sorted; free with store_names_free(). */
int wal_tail_open_names(
    const struct lineage *l, char ***names, size_t *count, struct err *e);

/* Plain bytes of the longest partial of segment name, as wal_tail_open(). */
int wal_tail_partial(const struct lineage *l, const char *name, uint8_t *out,
    uint32_t *valid_len, struct err *e);

#endif /* !REPO_WALTAIL_H */
