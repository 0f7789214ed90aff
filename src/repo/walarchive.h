#ifndef REPO_WALARCHIVE_H
#define REPO_WALARCHIVE_H

/*
 * walarchive: the WAL of a lineage in the repository.
 *
 *	wal/<timeline 8 hex>/<log 8 hex>/<segment>	whole, compressed, write-once
 *	wal/<timeline>.history				never expires
 *	wal/<timeline>/<log>/<segment>.partial.<end LSN>.<digest>
 *	wal/open/<segment>				being received: a plain file
 *
 * A stored segment is a 64-byte header, the compressed body, the index
 * (walindex.h) and a trailer; the layout is drawn in walfile.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "pg/label.h"
#include "pg/lsn.h"
#include "repo/repo.h"
#include "repo/walindex.h"

/*
 * Store one whole segment of plain bytes.  Checked first: header, system
 * identifier, timeline, record CRCs inside it, and of the record that crosses
 * its start when the segment before is here (if that one record is wrong the
 * segment is stored all the same and event wal_border_broken tells).  0 also
 * when the same plain bytes are there already (*existed true); ERR_CONFLICT
 * when others are: the hint names `wal fork`.  Durable when it returns.
 * Thread-safe.
 */
int wal_store_segment(const struct lineage *l, const char *name,
    const uint8_t *data, size_t len, int level, bool *existed, struct err *e);
/* What is WAL of the len bytes at data (see wal_check_prefix()), as a partial.
 * It never conflicts: its name carries its end and digest.  Nothing is stored
 * when nothing is WAL. */
int wal_store_partial(const struct lineage *l, const char *segment,
    const uint8_t *data, size_t len, struct err *e);
/* Not stored is a history without ancestors (see WAL_HISTORY_EMPTY): it says nothing. */
int wal_store_history(const struct lineage *l, uint32_t timeline,
    const void *text, size_t len, struct err *e);

/* Is this partial ("<segment>.partial.<end LSN>.<digest>") sound, and what its
 * name says?  ERR_NOT_FOUND, ERR_CORRUPT. */
int wal_check_partial(const struct lineage *l, const char *name, struct err *e);
/* Names of all partials; free with store_names_free(). */
int wal_partials(
    const struct lineage *l, char ***names, size_t *count, struct err *e);

/* The plain bytes of a whole segment, checked.  ERR_NOT_FOUND, ERR_CORRUPT.
 * out holds segment_bytes. */
int wal_read_segment(
    const struct lineage *l, const char *name, uint8_t *out, struct err *e);
/*
 * The longest plain prefix that is durable here: whole segment, else the open
 * one or the longest partial, padded with zeros to segment_bytes.  *valid_len
 * is what is real.  ERR_NOT_FOUND when there is nothing.
 */
int wal_read_tail(const struct lineage *l, const char *name, uint8_t *out,
    size_t *valid_len, struct err *e);
/* Of a whole segment, else of its tail, which is read for it. */
int wal_read_summary(const struct lineage *l, const char *name,
    struct wal_summary *summary, struct err *e);
/* The same with its moments: restore points, checkpoints, drops...  x need not
 * be initialised and is to be freed (walindex_free()). */
int wal_read_index(const struct lineage *l, const char *name,
    struct walindex *x, struct err *e);
/* ERR_NOT_FOUND when it is not here (timeline 1 is always found: empty).  text
 * may be NULL. */
int wal_read_history(const struct lineage *l, uint32_t timeline,
    struct timeline_history *h, struct buf *text, struct err *e);

/* ---- what is there ---- */

/* WAL without a hole on one timeline: [start_lsn, end_lsn). */
struct wal_span {
	uint32_t timeline;
	uint64_t start_lsn, end_lsn;
	bool open_end; /* ends in an open or partial segment */
};
/* All spans by timeline and position.  The caller frees. */
int wal_spans(const struct lineage *l, struct wal_span **spans, size_t *count,
    struct err *e);
/*
 * The seam: a sum of the last bytes in front of lsn, of one segment only.  Where
 * the WAL of one timeline goes on at another site, both have the same; two servers that
 * were promoted to one timeline have not.
 */
struct wal_seam {
	uint32_t bytes; /* 0: there are none here */
	uint32_t sum;
};
int wal_seam(const struct lineage *l, uint32_t timeline, uint64_t lsn,
    struct wal_seam *out, struct err *e);
/* Not different: what one of them lacks says nothing. */
bool wal_seam_fits(const struct wal_seam *a, const struct wal_seam *b);
/* Is every byte of [from, to) of this history here?  *missing is the first
 * position that is not (to when all is). */
int wal_covered(const struct lineage *l, const struct timeline_history *h,
    uint64_t from_lsn, uint64_t to_lsn, uint64_t *missing_lsn, struct err *e);
/*
 * Numbers of timelines may be passed by (jobs/promote_timeline.c).  A server looks
 * for the newest history from its own on, one by one, and stops at the first that is
 * not there: for those in between it is given this.
 */
#define WAL_HISTORY_EMPTY \
	"# no timeline has this number here: it was passed by\n"
/* The newest timeline that is known here, 0 when there is no WAL. */
int
wal_newest_timeline(const struct lineage *l, uint32_t *timeline, struct err *e);

/*
 * Read WAL of a history for exact answers: fn is called for every record that
 * begins in [from_lsn, to_lsn), in order, with what it says (WAL_EVENT_NONE: no
 * more than where it lies), and returns 0 to go on, 1 to stop, or -1 with *e.  Ends without error where a tail ends.
 * ERR_NOT_FOUND where a segment is missing, ERR_CORRUPT.
 */
typedef int wal_scan_fn(void *arg, const struct wal_event *ev, struct err *e);
int wal_scan(const struct lineage *l, const struct timeline_history *h,
    uint64_t from_lsn, uint64_t to_lsn, wal_scan_fn *fn, void *arg,
    struct err *e);

/* The first LSN of a timeline to keep (UINT64_MAX: all may go). */
typedef uint64_t wal_keep_fn(void *arg, uint32_t timeline);
struct wal_expire_limits {
	wal_keep_fn *keep;
	void *arg;
	/* What was stored since then stays, and all behind it. */
	int64_t protect_since_us;
	/* So does what was stored since then and ends behind pin(timeline);
	 * NULL none. */
	wal_keep_fn *pin;
	int64_t pin_since_us;
};
/* Remove segments (and partials) wholly below keep(timeline). */
int wal_expire(const struct lineage *l, const struct wal_expire_limits *m,
    bool dry_run, uint64_t *segments, uint64_t *bytes, struct err *e);

/* ---- the open segment: written by the receiver ---- */

struct wal_open; /* a segment being received, a file in wal/open */

/* Open (or reopen) the segment that holds lsn.  Needs a repository in a
 * directory: ERR_REFUSED.  A file that is there already
 * keeps its valid prefix (by record CRCs); *valid_lsn is its end. */
struct wal_open *wal_open_segment(const struct lineage *l, uint32_t timeline,
    uint64_t lsn, uint64_t *valid_lsn, struct err *e);
/* Bytes at lsn: at or before the end.  Bytes that overlap must be equal:
 * ERR_CONFLICT. */
int wal_open_write(struct wal_open *o, uint64_t lsn, const uint8_t *data,
    size_t len, struct err *e);
/* Forget what is behind lsn: it has turned out not to be WAL. */
int wal_open_cut(struct wal_open *o, uint64_t lsn, struct err *e);
/* All written bytes are durable when this returns 0.  Bytes stay in memory until
 * then.  After a failure the file is written anew the next time. */
int wal_open_sync(struct wal_open *o, struct err *e);
uint64_t wal_open_end(const struct wal_open *o);
/* Up to where wal_open_sync() has made it durable. */
uint64_t wal_open_synced_end(const struct wal_open *o);
bool wal_open_full(const struct wal_open *o);
const uint8_t *wal_open_data(const struct wal_open *o);
const char *wal_open_name(const struct wal_open *o);
/* The stored segment took its place: remove the file. */
int wal_open_discard(struct wal_open *o, struct err *e);
/* Timeline ended inside: becomes a partial, durable, then the file goes. */
int wal_open_to_partial(struct wal_open *o, struct err *e);
void wal_open_close(struct wal_open *o); /* the file stays */
AUTO_DEFINE(struct wal_open, wal_open_close);
#define AUTO_WAL_OPEN AUTO(wal_open_close_auto)

#endif /* !REPO_WALARCHIVE_H */
