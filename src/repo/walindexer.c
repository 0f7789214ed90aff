/*
 * walindexer: a walreader whose records become indexes of segments.
 */

#include "repo/walindexer.h"

#include <assert.h>

#include "base/mem.h"
#include "pg/walpage.h"

struct walindexer {
	struct walreader *reader;
	uint32_t segment_bytes;
	bool seeded;
	struct walindex index; /* of the segment that is being read */
};

/* First byte behind the page header that stands at a page's start. */
static uint64_t
behind_header(uint64_t lsn, uint32_t segment_bytes)
{
	if (lsn % WAL_PAGE_BYTES != 0)
		return lsn;
	return lsn +
	    (lsn % segment_bytes == 0 ? WALPAGE_LONG_HEADER_BYTES
				      : WALPAGE_HEADER_BYTES);
}

static int
on_record(void *arg, const struct walreader_record *r, struct err *e)
{
	struct walindexer *ix = arg;
	struct wal_summary *s = &ix->index.summary;
	struct wal_event ev;

	(void)e;
	if (r->end_lsn <= s->start_lsn)
		return 0; /* of the seed */
	if (!ix->seeded && s->last_record_end_lsn == LSN_NONE &&
	    r->lsn != behind_header(s->start_lsn, ix->segment_bytes))
		s->head_unseen = true;
	ix->seeded = true;
	if (s->first_record_lsn == LSN_NONE && r->lsn >= s->start_lsn)
		s->first_record_lsn = r->lsn;
	s->last_record_end_lsn = r->end_lsn;
	wal_event_decode(r, walreader_major(ix->reader), &ev);
	if (ev.kind != WAL_EVENT_NONE)
		walindex_add(&ix->index, &ev);
	return 0;
}

struct walindexer *
walindexer_new(const struct walindexer_options *options, struct err *e)
{
	AUTO_WALINDEXER struct walindexer *ix = mem_zalloc(sizeof(*ix));
	struct walreader_options reader = {
		.start_lsn = options->start_lsn - options->seed_len,
		.segment_bytes = options->segment_bytes,
		.system_id = options->system_id,
		.timeline = options->timeline,
	};

	assert(options->start_lsn % options->segment_bytes == 0);
	ix->segment_bytes = options->segment_bytes;
	ix->seeded = options->seed_len > 0;
	walindex_init(&ix->index, options->timeline, options->start_lsn);
	ix->reader = walreader_new(&reader, on_record, ix);
	if (options->seed_len > 0 &&
	    walreader_feed(ix->reader, options->seed, options->seed_len, e) ==
		-1)
		return NULL;
	return steal_ptr(&ix);
}

void
walindexer_free(struct walindexer *ix)
{
	if (ix == NULL)
		return;
	walreader_free(ix->reader);
	walindex_free(&ix->index);
	free(ix);
}

int
walindexer_feed(
    struct walindexer *ix, const uint8_t *data, size_t len, struct err *e)
{
	uint64_t start_lsn = ix->index.summary.start_lsn;

	assert(walindexer_position(ix) + len <= start_lsn + ix->segment_bytes);
	return walreader_feed(ix->reader, data, len, e);
}

void
walindexer_cut(struct walindexer *ix, struct walindex *x)
{
	struct wal_summary *s = &ix->index.summary;
	uint64_t valid_end = walreader_valid_end(ix->reader);

	s->end_lsn = walreader_position(ix->reader);
	if (s->last_record_end_lsn > s->end_lsn) /* it is 8-aligned */
		s->last_record_end_lsn = s->end_lsn;
	s->major = (uint32_t)walreader_major(ix->reader);
	if (!ix->seeded && s->last_record_end_lsn == LSN_NONE)
		s->head_unseen = true;
	/* A record that began here and ends in a later segment. */
	if (s->first_record_lsn == LSN_NONE &&
	    walreader_in_record(ix->reader) && valid_end != LSN_NONE &&
	    behind_header(valid_end, ix->segment_bytes) >= s->start_lsn)
		s->first_record_lsn =
		    behind_header(valid_end, ix->segment_bytes);
	*x = ix->index;
	walindex_init(&ix->index, s->timeline, x->summary.end_lsn);
}

uint64_t
walindexer_position(const struct walindexer *ix)
{
	return walreader_position(ix->reader);
}

uint64_t
walindexer_valid_end(const struct walindexer *ix)
{
	return walreader_valid_end(ix->reader);
}

bool
walindexer_in_record(const struct walindexer *ix)
{
	return walreader_in_record(ix->reader);
}

bool
walindexer_has_switch(const struct walindexer *ix)
{
	return ix->index.summary.has_switch;
}

bool
walindexer_at_zeros(const struct walindexer *ix)
{
	return walreader_at_end(ix->reader) && !walindexer_has_switch(ix);
}
