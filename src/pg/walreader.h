#ifndef PG_WALREADER_H
#define PG_WALREADER_H

/*
 * walreader: WAL bytes as pages and records, checked.
 *
 * Fed with consecutive bytes of one timeline from any page start on, in pieces
 * of any size; checks page headers (magic of 13 to 18, address, timeline,
 * system identifier, segment size), record CRCs over page and segment borders,
 * the chain of previous-record links and the inner layout of each record, and
 * calls back for each whole record.  It takes what recovery of that version
 * would take and nothing more.  Pure: no I/O.
 *
 *	segment  | long header | rest of an earlier record | records ... |
 *	page     | header      | records ...                             |
 *	page     | header      | rest of the last record | 0 0 0 ...      |
 *
 * Source: access/xlogrecord.h, access/xlog_internal.h, xlogreader.c of 13 to
 * 18.  Both the WAL page and the data page are taken to be 8 KiB.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "pg/lsn.h"
#include "pg/walevent.h"
#include "pg/walrecord.h"

struct walreader_options {
	uint64_t start_lsn;	/* a page start; the rest of a record that
				   began before it is skipped unchecked */
	uint32_t segment_bytes; /* a power of two, 1 MiB to 1 GiB */
	uint64_t system_id;	/* 0: do not check */
	uint32_t timeline;	/* pages must not be of a later one; 0: any */
};

/* A whole record that passed every check.  -1 with *e set stops the feed. */
typedef int
walreader_on_record(void *arg, const struct walreader_record *r, struct err *e);

struct walreader;

/* Never NULL.  on_record may be NULL: then the reader only checks. */
struct walreader *walreader_new(const struct walreader_options *options,
    walreader_on_record *on_record, void *arg);
void walreader_free(struct walreader *w);
AUTO_DEFINE(struct walreader, walreader_free);
#define AUTO_WALREADER AUTO(walreader_free_auto)

/*
 * The next len bytes.  -1 when they break a rule, with the LSN and the reason:
 * ERR_CORRUPT, or ERR_CONFLICT when a page that is otherwise right is of
 * another system identifier or of a later timeline.  An error is final: every
 * later feed is ERR_BUG, but what the functions below say stays true.
 *
 * A zero length where a record should begin, or a zero page there, means "end
 * of WAL so far": it is remembered, and any later byte that is not zero is
 * ERR_CORRUPT.  The bytes between two records (alignment) are not looked at.
 */
int walreader_feed(
    struct walreader *w, const uint8_t *data, size_t len, struct err *e);

/*
 * End of the last whole record, 8-aligned: what is valid.  LSN_NONE before the
 * first.  After an XLOG_SWITCH whose filler was fed up to the end of the
 * segment it is that end.
 */
uint64_t walreader_valid_end(const struct walreader *w);
/* Start of the last whole record. */
uint64_t walreader_last_record(const struct walreader *w);
/* True while the last bytes fed are inside a record that goes on. */
bool walreader_in_record(const struct walreader *w);
/* True after an XLOG_SWITCH, until the next segment begins, and after an end
 * of WAL: what follows is filler. */
bool walreader_at_end(const struct walreader *w);
/* Server major version by the page magic; 0 before the first page. */
int walreader_major(const struct walreader *w);
/* Timeline of the last page; 0 before the first. */
uint32_t walreader_timeline(const struct walreader *w);
/* The position behind the last byte that was accepted. */
uint64_t walreader_position(const struct walreader *w);

/*
 * Up to which LSN data, len bytes from options->start_lsn on, holds whole
 * valid records: walreader_valid_end() after as much as is right, or start_lsn
 * when there is none.  What is behind is silently left: a record cut short,
 * zeros, or the old pages of a recycled segment.
 */
uint64_t walreader_valid_prefix(
    const struct walreader_options *options, const uint8_t *data, size_t len);

#endif /* !PG_WALREADER_H */
