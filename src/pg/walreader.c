#include "pg/walreader.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/le.h"
#include "base/mem.h"
#include "pg/page.h"
#include "pg/walpage.h"

/*
 * How the bytes behind a page header are read:
 *
 *	              first page begins
 *	              with a rest
 *	  RECORDS <-------------------- SKIP
 *	   |   ^   the rest has ended
 *	   |   |
 *	   |   +------------------------ FILLER
 *	   |   the segment has ended     ^
 *	   +-----------------------------+
 *	   |   XLOG_SWITCH
 *	   +---> END
 *	         length 0 or zero page
 */
enum mode { RECORDS, SKIP, FILLER, END };

/* A record longer than this gives its memory back when it is done. */
#define PART_KEEP_BYTES ((size_t)1 << 20)

struct walreader {
	struct walreader_options options;
	walreader_on_record *on_record;
	void *arg;

	uint64_t position;
	enum mode mode;
	bool failed;

	/* The page: header until it is whole, then page_left of its rest. */
	uint8_t header[WALPAGE_LONG_HEADER_BYTES];
	uint32_t header_bytes;
	uint32_t page_left;
	struct walpage page; /* the last whose header was not zero */

	uint32_t skip_left;

	/* A record that crosses pages or pieces: its bytes so far. */
	struct buf part;
	uint64_t part_lsn;   /* LSN_NONE before the first such record */
	uint32_t part_bytes; /* of the whole record; 0 until known */

	/* A broken record that a page said it replaces. */
	uint64_t abandoned_lsn;

	uint64_t last_lsn, valid_end;
	struct walreader_record record;
};

struct walreader *
walreader_new(const struct walreader_options *options,
    walreader_on_record *on_record, void *arg)
{
	struct walreader *w = mem_zalloc(sizeof(*w));

	assert(options->start_lsn % WAL_PAGE_BYTES == 0);
	assert(wal_segment_bytes_valid(options->segment_bytes));
	w->options = *options;
	w->on_record = on_record;
	w->arg = arg;
	w->position = options->start_lsn;
	w->mode = RECORDS;
	return w;
}

void
walreader_free(struct walreader *w)
{
	if (w == NULL)
		return;
	buf_free(&w->part);
	free(w);
}

static uint64_t
aligned(uint64_t lsn)
{
	return (lsn + 7) & ~(uint64_t)7;
}

static int
record_ctx(uint64_t lsn, struct err *e)
{
	char at[LSN_TEXT_BYTES];

	return err_ctx(e, "WAL record at %s", lsn_text(lsn, at));
}

/* ---- one record ---- */

/* The header of the record at lsn, as soon as its 24 bytes are there. */
static int
check_header(
    struct walreader *w, uint64_t lsn, const uint8_t *header, struct err *e)
{
	struct walreader_record *r = &w->record;
	char prev[LSN_TEXT_BYTES], last[LSN_TEXT_BYTES];

	if (walrecord_decode_header(r, w->page.major, header, e) == -1)
		return -1;
	if (w->last_lsn != LSN_NONE && r->prev_lsn != w->last_lsn)
		return err_set(e, ERR_CORRUPT,
		    "says that the record before is at %s, expected %s",
		    lsn_text(r->prev_lsn, prev), lsn_text(w->last_lsn, last));
	if (r->prev_lsn >= lsn)
		return err_set(e, ERR_CORRUPT,
		    "says that the record before is at %s",
		    lsn_text(r->prev_lsn, prev));
	return 0;
}

/* Does a record that replaces a broken one name the one that was broken? */
static int
check_overwrite(struct walreader *w, struct err *e)
{
	const struct walreader_record *r = &w->record;
	uint64_t abandoned_lsn = w->abandoned_lsn;
	char named[LSN_TEXT_BYTES], broken[LSN_TEXT_BYTES];

	w->abandoned_lsn = LSN_NONE;
	if (abandoned_lsn == LSN_NONE || r->rmid != WALRECORD_XLOG ||
	    (r->info & WALRECORD_INFO_MASK) !=
		WALRECORD_XLOG_OVERWRITE_CONTRECORD)
		return 0;
	if (r->main_bytes < 8 || le64_get(r->main_data) != abandoned_lsn)
		return err_set(e, ERR_CORRUPT,
		    "replaces a record at %s, but the broken one is at %s",
		    r->main_bytes < 8 ? "nowhere"
				      : lsn_text(le64_get(r->main_data), named),
		    lsn_text(abandoned_lsn, broken));
	return 0;
}

/*
 * The record at lsn whose header was checked is whole at data; the position is
 * behind it.
 */
static int
finish_record(
    struct walreader *w, uint64_t lsn, const uint8_t *data, struct err *e)
{
	struct walreader_record *r = &w->record;

	r->lsn = lsn;
	r->end_lsn = aligned(w->position);
	if (!walrecord_crc_valid(data, r->total_bytes)) {
		(void)err_set(e, ERR_CORRUPT, "checksum does not match");
		return record_ctx(lsn, e);
	}
	if (walrecord_decode_body(r, w->page.major, data, e) == -1 ||
	    (w->abandoned_lsn != LSN_NONE && check_overwrite(w, e) == -1))
		return record_ctx(lsn, e);
	w->last_lsn = lsn;
	w->valid_end = r->end_lsn;
	if (r->rmid == WALRECORD_XLOG &&
	    (r->info & WALRECORD_INFO_MASK) == WALRECORD_XLOG_SWITCH)
		w->mode = FILLER;
	return w->on_record == NULL ? 0 : w->on_record(w->arg, r, e);
}

static void
drop_part(struct walreader *w)
{
	if (w->part.cap > PART_KEEP_BYTES)
		buf_free(&w->part);
	else
		buf_clear(&w->part);
	w->part_bytes = 0;
}

/* How many bytes to take next: to know the length, the header, or all. */
static uint32_t
part_goal(const struct walreader *w)
{
	if (w->part.len < 4)
		return 4;
	if (w->part.len < WALRECORD_HEADER_BYTES)
		return WALRECORD_HEADER_BYTES;
	return w->part_bytes;
}

/* A length of the partial record is known; is it one? */
static int
check_part_length(struct walreader *w, struct err *e)
{
	uint32_t bytes = le32_get(w->part.data);

	if (bytes == 0) {
		w->mode = END;
		drop_part(w);
		return 0;
	}
	if (walrecord_check_length(bytes, e) == -1)
		return record_ctx(w->part_lsn, e);
	w->part_bytes = bytes;
	return 0;
}

/* Add to the partial record what it wants of the len bytes at data. */
static int
take_part(struct walreader *w, const uint8_t *data, uint32_t len,
    uint32_t *used, struct err *e)
{
	uint32_t goal = part_goal(w), want = goal - (uint32_t)w->part.len;

	if (w->part.len == 0)
		w->part_lsn = w->position;
	*used = want < len ? want : len;
	buf_put(&w->part, data, *used);
	w->position += *used;
	if (w->part.len < goal)
		return 0;
	if (goal == 4)
		return check_part_length(w, e);
	if (goal == WALRECORD_HEADER_BYTES &&
	    check_header(w, w->part_lsn, w->part.data, e) == -1)
		return record_ctx(w->part_lsn, e);
	if (w->part.len < w->part_bytes)
		return 0;
	if (finish_record(w, w->part_lsn, w->part.data, e) == -1)
		return -1;
	drop_part(w);
	return 0;
}

/* ---- the bytes of one page behind its header ---- */

/* A record that is whole at data, or the start of a partial one. */
static int
take_record(struct walreader *w, const uint8_t *data, uint32_t len,
    uint32_t *used, struct err *e)
{
	uint64_t lsn = w->position;
	uint32_t bytes = len < WALRECORD_HEADER_BYTES ? 0 : le32_get(data);

	if (bytes < WALRECORD_HEADER_BYTES || bytes > len)
		return take_part(w, data, len, used, e);
	if (check_header(w, lsn, data, e) == -1)
		return record_ctx(lsn, e);
	*used = bytes;
	w->position += bytes;
	return finish_record(w, lsn, data, e);
}

static int
take_zeros(struct walreader *w, const uint8_t *data, size_t len, struct err *e)
{
	char at[LSN_TEXT_BYTES];

	if (bytes_are_zero(data, len)) {
		w->position += len;
		return 0;
	}
	for (; *data == 0; data++)
		w->position++;
	return err_set(e, ERR_CORRUPT, "WAL at %s: a byte is %02X behind %s",
	    lsn_text(w->position, at), *data,
	    w->mode == END ? "the end of WAL" : "a segment switch");
}

/* The next few of the len bytes at data, all of one page. */
static int
take_some(struct walreader *w, const uint8_t *data, uint32_t len,
    uint32_t *used, struct err *e)
{
	uint32_t gap = (uint32_t)(aligned(w->position) - w->position);

	if (w->mode == FILLER || w->mode == END) {
		*used = len;
		return take_zeros(w, data, len, e);
	}
	if (w->part.len > 0)
		return take_part(w, data, len, used, e);
	if (w->mode == RECORDS && gap == 0)
		return take_record(w, data, len, used, e);
	if (w->mode == SKIP)
		gap = w->skip_left;
	*used = gap < len ? gap : len;
	w->position += *used;
	if (w->mode == SKIP && (w->skip_left -= *used) == 0)
		w->mode = RECORDS;
	return 0;
}

static int
take_page_rest(
    struct walreader *w, const uint8_t *data, uint32_t len, struct err *e)
{
	uint32_t used;

	w->page_left -= len;
	while (len > 0) {
		if (take_some(w, data, len, &used, e) == -1)
			return -1;
		data += used;
		len -= used;
	}
	if (w->mode == FILLER && w->position % w->options.segment_bytes == 0) {
		w->mode = RECORDS;
		w->valid_end = w->position;
	}
	return 0;
}

/* ---- the page header ---- */

/* How many bytes of a record should stand first on the next page. */
static uint32_t
rest_expected(const struct walreader *w)
{
	if (w->mode == SKIP)
		return w->skip_left;
	return w->part_bytes - (uint32_t)w->part.len;
}

/* Does the new page go on as the last one ended? */
static int
check_rest(struct walreader *w, bool first, struct err *e)
{
	const struct walpage *p = &w->page;
	uint32_t expected = rest_expected(w);
	uint32_t rest = p->flags & WALPAGE_FIRST_IS_REST ? p->rest_bytes : 0;
	char at[LSN_TEXT_BYTES];

	if (expected > 0 && (p->flags & WALPAGE_FIRST_IS_OVERWRITE) != 0) {
		w->abandoned_lsn = w->part_lsn;
		w->mode = RECORDS;
		w->skip_left = 0;
		drop_part(w);
		return 0;
	}
	if (first && rest > 0) {
		w->mode = SKIP;
		w->skip_left = rest;
		return 0;
	}
	if (rest != expected ||
	    (expected == 0 && (p->flags & WALPAGE_FIRST_IS_REST) != 0))
		return err_set(e, ERR_CORRUPT,
		    "WAL page at %s: begins with %u bytes of an earlier "
		    "record, expected %u",
		    lsn_text(p->address, at), rest, expected);
	return 0;
}

/* The header in w->header is whole; the position is behind it. */
static int
open_page(struct walreader *w, struct err *e)
{
	bool first = w->page.major == 0;
	struct walpage_expected expected = {
		.address = w->position - w->header_bytes,
		.segment_bytes = w->options.segment_bytes,
		.system_id = w->options.system_id,
		.major = w->page.major,
		.timeline_min = w->page.timeline,
		.timeline_max = w->options.timeline,
	};

	if (walpage_decode(&w->page, w->header, &expected, e) == -1)
		return -1;
	return check_rest(w, first, e);
}

/*
 * A page whose header is zeros, in filler or where a record could begin: all
 * of it must be zeros, as if its header were none.
 */
static bool
is_zero_page(const struct walreader *w)
{
	return (w->mode == FILLER || rest_expected(w) == 0) &&
	    bytes_are_zero(w->header, WALPAGE_HEADER_BYTES);
}

/* Take what the page header wants of the len bytes at data. */
static int
take_header(struct walreader *w, const uint8_t *data, size_t len, size_t *used,
    struct err *e)
{
	uint32_t goal = w->header_bytes < WALPAGE_HEADER_BYTES
	    ? WALPAGE_HEADER_BYTES
	    : WALPAGE_LONG_HEADER_BYTES;

	*used = goal - w->header_bytes < len ? goal - w->header_bytes : len;
	(void)memcpy(w->header + w->header_bytes, data, *used);
	w->header_bytes += (uint32_t)*used;
	w->position += *used;
	if (w->header_bytes < goal)
		return 0;
	if (goal == WALPAGE_HEADER_BYTES && is_zero_page(w)) {
		if (w->mode != FILLER)
			w->mode = END;
	} else if (w->header_bytes < walpage_header_bytes(w->header))
		return 0;
	else if (open_page(w, e) == -1)
		return -1;
	w->page_left = WAL_PAGE_BYTES - w->header_bytes;
	w->header_bytes = 0;
	return 0;
}

static int
feed(struct walreader *w, const uint8_t *data, size_t len, struct err *e)
{
	size_t used;

	while (len > 0) {
		if (w->mode == END)
			return take_zeros(w, data, len, e); /* no pages more */
		if (w->page_left == 0) {
			if (take_header(w, data, len, &used, e) == -1)
				return -1;
		} else {
			used = w->page_left < len ? w->page_left : len;
			if (take_page_rest(w, data, (uint32_t)used, e) == -1)
				return -1;
		}
		data += used;
		len -= used;
	}
	return 0;
}

int
walreader_feed(
    struct walreader *w, const uint8_t *data, size_t len, struct err *e)
{
	if (w->failed)
		return err_set(e, ERR_BUG, "WAL is read on after an error");
	if (feed(w, data, len, e) == -1) {
		w->failed = true;
		return -1;
	}
	return 0;
}

/* ---- where it is ---- */

uint64_t
walreader_valid_end(const struct walreader *w)
{
	return w->valid_end;
}

uint64_t
walreader_last_record(const struct walreader *w)
{
	return w->last_lsn;
}

bool
walreader_in_record(const struct walreader *w)
{
	return w->mode == SKIP || w->part.len > 0;
}

bool
walreader_at_end(const struct walreader *w)
{
	return w->mode == FILLER || w->mode == END;
}

int
walreader_major(const struct walreader *w)
{
	return w->page.major;
}

uint32_t
walreader_timeline(const struct walreader *w)
{
	return w->page.timeline;
}

uint64_t
walreader_position(const struct walreader *w)
{
	return w->position;
}

uint64_t
walreader_valid_prefix(
    const struct walreader_options *options, const uint8_t *data, size_t len)
{
	AUTO_WALREADER struct walreader *w = walreader_new(options, NULL, NULL);

	(void)walreader_feed(w, data, len, NULL);
	return w->valid_end == LSN_NONE ? options->start_lsn : w->valid_end;
}
