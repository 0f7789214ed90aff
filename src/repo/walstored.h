#ifndef REPO_WALSTORED_H
#define REPO_WALSTORED_H

/*
 * walstored: stored WAL segments as objects: keys, writing, reading.
 *
 * For the files of the WAL archive; others use walarchive.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "repo/repo.h"
#include "repo/walfile.h"
#include "repo/walindex.h"

/* ---- keys ---- */

/* Of a whole segment; name is 24 hex digits. */
const char *walstored_key(
    const struct lineage *l, const char *name, char out[STORE_KEY_BYTES]);

/* Behind a partial's segment name: ".partial.<end LSN>.<digest>", 16 hex digits
 * each. */
#define WALSTORED_PARTIAL_NAME_BYTES 80
void walstored_partial_name(const char *segment, uint64_t end_lsn,
    const uint8_t digest[WALFILE_DIGEST_BYTES],
    char out[WALSTORED_PARTIAL_NAME_BYTES]);
/* false when name is no partial's. */
bool walstored_parse_partial(
    const char *name, char segment[WAL_NAME_BYTES], uint64_t *end_lsn);

/* ---- writing ---- */

/* What one thread needs to store segments; kept from one to the next. */
struct wal_storer;
struct wal_storer *wal_storer_new(void);
void wal_storer_free(struct wal_storer *w);
AUTO_DEFINE(struct wal_storer, wal_storer_free);
#define AUTO_WAL_STORER AUTO(wal_storer_free_auto)

/* Called when a segment is written and is to appear: returns 0 when its turn
 * has come, or -1 with *e: then it does not appear. */
typedef int wal_storer_turn(void *arg, struct err *e);
void
wal_storer_set_turn(struct wal_storer *w, wal_storer_turn *turn, void *arg);

/*
 * Store header->plain_bytes bytes at data under key, with index x, durable when
 * it returns 0.  level is the most that is spent: where a sample of this or of
 * a segment shortly before gains little from it, ZCODEC_QUICK is used.  The same
 * bytes there already: 0 and *existed; others: ERR_CONFLICT.
 */
int wal_storer_put(struct wal_storer *w, const struct lineage *l,
    const char *key, const struct walfile_header *header, const uint8_t *data,
    int level, const struct walindex *x, bool *existed, struct err *e);

/* As wal_store_segment() for a segment that was checked: x is its index. */
int wal_store_checked(struct wal_storer *w, const struct lineage *l,
    const struct walindex *x, const uint8_t *data, int level, bool *existed,
    struct err *e);

/* Event wal_border_broken: the segment was stored, the record that crosses its
 * start is wrong. */
void wal_tell_border_broken(const struct lineage *l, const char *name);

/* ---- reading ---- */

struct walstored; /* one object, open, its header and footer checked */

/* ERR_NOT_FOUND, ERR_CORRUPT.  It must be what l and its key say. */
struct walstored *
walstored_open(const struct lineage *l, const char *key, struct err *e);
void walstored_close(struct walstored *s);
AUTO_DEFINE(struct walstored, walstored_close);
#define AUTO_WALSTORED AUTO(walstored_close_auto)

const struct walfile_header *walstored_header(const struct walstored *s);
const struct walfile_trailer *walstored_trailer(const struct walstored *s);
/* The index; x need not be initialised and is to be freed. */
int
walstored_index(const struct walstored *s, struct walindex *x, struct err *e);
/* Plain bytes from offset on, len of them, into out; every chunk touched is
 * checked.  ERR_CORRUPT. */
int walstored_read(struct walstored *s, uint32_t offset, uint32_t len,
    uint8_t *out, struct err *e);

/* 1 when key is there and its digest is that of these plain bytes, 0 when it is
 * not there, -1 when it has others (ERR_CONFLICT) or cannot be read. */
int walstored_compare(const struct lineage *l, const char *key,
    const void *plain, size_t len, struct err *e);

#endif /* !REPO_WALSTORED_H */
