#ifndef REPO_WALINDEX_H
#define REPO_WALINDEX_H

/*
 * walindex: what one WAL segment says, without reading it.
 *
 * A record belongs to the segment in which it ends.  When the head of a record
 * that ends here was not there (the segment before was not in the repository),
 * that one record is missing from the index and head_unseen is set.
 *
 * All integers are little-endian, "v" is an unsigned LEB128 of the shortest
 * form; timeline and positions of the segment stand in walfile.h's header.
 *
 *	offset	size	field
 *	     0	   4	flags		bit 0 switch, 1 shutdown, 2 end of
 *					recovery, 3 head_unseen, 4 moments_cut
 *	     4	   4	major		13 to 18, 0 when no page was read
 *	     8	   8	first_record_lsn	0: none begins here
 *	    16	   8	last_record_end_lsn	0: none ends here
 *	    24	   4	commits
 *	    28	   4	restore_points
 *	    32	   8	first_commit_us		since 1970, 0: none
 *	    40	   8	last_commit_us
 *	    48	   8	min_commit_us
 *	    56	   8	max_commit_us
 *	    64	   4	min_xid
 *	    68	   4	max_xid
 *	    72	   4	moments		at most 8,192
 *	    76	   4	reserved	0
 *	    80	    	moments, by position:
 *		   1	kind		enum wal_event_kind
 *		   v	end_lsn		from start_lsn on, 1 to the length
 *		   v	length		end_lsn - lsn
 *		   8	time_us		0: none
 *		   v	xid, redo_lsn, timeline, previous_timeline, wal_level,
 *			dropped_relations, tablespace, database, relation,
 *			blocks
 *		 v+n	name		at most 63 bytes
 *		 v+n	path		at most 1,023 bytes, "" when none
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "pg/walreader.h"

#define WALINDEX_SUMMARY_BYTES 80
#define WALINDEX_MOMENTS_MAX   8192
#define WALINDEX_COMMON_MAX    4096 /* of drops and truncates */
#define WALINDEX_PATH_BYTES    1024

/* What the index of one stored segment says. */
struct wal_summary {
	uint32_t timeline;
	uint64_t start_lsn, end_lsn; /* of the segment (or the partial's end) */
	uint64_t first_record_lsn;   /* LSN_NONE: none begins here */
	uint64_t last_record_end_lsn; /* LSN_NONE: none ends here */
	uint32_t commits;
	int64_t first_commit_us, last_commit_us; /* 0: none */
	int64_t min_commit_us, max_commit_us;
	/* Of transactions that committed or aborted here, in the order of
	 * xids that wraps around; 0 when none did. */
	uint32_t min_xid, max_xid;
	bool has_switch, has_shutdown, has_end_of_recovery;
	uint32_t restore_points;
	uint32_t major;
	bool head_unseen; /* one record that ends here is not counted */
	bool moments_cut; /* there were more moments than are kept */
};

/* Something that a person or a recovery target may look for. */
struct wal_moment {
	struct wal_event event; /* its path points to path */
	char *path;		/* NULL when none */
};

struct walindex {
	struct wal_summary summary;
	struct wal_moment *moments;
	size_t count, cap;
	size_t common; /* of these drops and truncates */
};

/* Empty, of the segment that begins at start_lsn. */
void walindex_init(struct walindex *x, uint32_t timeline, uint64_t start_lsn);
void walindex_free(struct walindex *x);
#define AUTO_WALINDEX AUTO(walindex_free)

/* Count one event and keep it when it is a moment. */
void walindex_add(struct walindex *x, const struct wal_event *ev);

/* The bytes; summary.timeline, start_lsn and end_lsn are not in them. */
void walindex_encode(const struct walindex *x, struct buf *out);
/*
 * The index of [start_lsn, end_lsn) on timeline.  ERR_CORRUPT, and *x is then
 * empty.  What it accepts encodes to the same bytes.
 */
int walindex_decode(struct walindex *x, uint32_t timeline, uint64_t start_lsn,
    uint64_t end_lsn, const uint8_t *in, size_t len, struct err *e);

#endif /* !REPO_WALINDEX_H */
