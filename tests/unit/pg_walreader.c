/*
 * The WAL reader on WAL made by hand: records of all sizes over pages and
 * segments, in pieces of all sizes, from the middle on, cut short, and with
 * every byte changed.
 */

#include "tap.h"
#include "walmaker.h"

#include "base/mem.h"
#include "pg/walreader.h"

#define START	    ((uint64_t)5 << 20)
#define RECORDS_MAX 20000

/* What the callback saw, in short. */
struct seen {
	unsigned int count;
	uint64_t lsn[RECORDS_MAX], end_lsn[RECORDS_MAX];
	uint64_t sum[RECORDS_MAX];
	unsigned int stop_at; /* 0: never */
};

static struct seen made, seen;
static uint64_t made_last[RECORDS_MAX]; /* behind a record's last byte */

static int
see(void *arg, const struct walreader_record *r, struct err *e)
{
	struct seen *s = arg;
	uint64_t sum;

	if (s->count + 1 == s->stop_at)
		return err_set(e, ERR_CANCELED, "enough");
	sum = crc32c(r->xid, r->main_data, r->main_bytes);
	sum = sum << 16 ^ r->prev_lsn << 8 ^ r->rmid ^ r->info;
	s->lsn[s->count] = r->lsn;
	s->end_lsn[s->count] = r->end_lsn;
	s->sum[s->count++] = sum;
	return 0;
}

/* Add a record to the WAL and to what should be seen. */
static void
make(struct walmaker *m, uint8_t rmid, uint8_t info, uint32_t xid,
    const void *data, uint32_t len)
{
	struct walreader_record r = { .xid = xid,
		.prev_lsn = m->prev_lsn,
		.rmid = rmid,
		.info = info,
		.main_data = data,
		.main_bytes = len };

	r.lsn = walmaker_record(m, rmid, info, xid, data, len);
	made_last[made.count] = walmaker_lsn(m);
	r.end_lsn = (walmaker_lsn(m) + 7) & ~(uint64_t)7;
	(void)see(&made, &r, NULL);
}

/* A record of len bytes of main data that depend on len. */
static void
make_sized(struct walmaker *m, uint32_t len)
{
	AUTO_FREE uint8_t *data = mem_alloc(len);
	uint32_t i;

	for (i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 7 + len);
	make(m, 10, (uint8_t)(len << 4), len, data, len);
}

static struct walreader_options
options_of(const struct walmaker *m)
{
	struct walreader_options o = { m->start_lsn, m->segment_bytes,
		WALMAKER_SYSTEM_ID, m->timeline };

	return o;
}

/* Feed all of it in pieces; what was seen is in seen. */
static int
feed_pieces(struct walreader *w, const uint8_t *data, size_t len,
    size_t piece_bytes, struct err *e)
{
	size_t at, n;

	for (at = 0; at < len; at += n) {
		n = len - at < piece_bytes ? len - at : piece_bytes;
		if (walreader_feed(w, data + at, n, e) == -1)
			return -1;
	}
	return 0;
}

/* Read what m made with a new reader; returns it. */
static struct walreader *
read_all(const struct walmaker *m, size_t piece_bytes, int *rc, struct err *e)
{
	struct walreader_options o = options_of(m);
	struct walreader *w = walreader_new(&o, see, &seen);

	seen.count = 0;
	*rc = feed_pieces(w, m->out.data, m->out.len, piece_bytes, e);
	return w;
}

/* The error that m gives, or "" */
static const char *
refused(const struct walmaker *m, enum err_kind kind)
{
	static struct err e;
	AUTO_WALREADER struct walreader *w = NULL;
	int rc;

	err_clear(&e);
	w = read_all(m, SIZE_MAX, &rc, &e);
	if (rc == 0)
		return "";
	if (e.kind != kind)
		tap_diag("%s: %s", err_kind_name(e.kind), e.text);
	return e.kind == kind ? e.text : "other kind";
}

/* The first from of made are what was seen, up to its end. */
static bool
saw_from(unsigned int from)
{
	size_t n = made.count - from;

	return made.count >= from && seen.count == n &&
	    memcmp(seen.lsn, made.lsn + from, n * 8) == 0 &&
	    memcmp(seen.end_lsn, made.end_lsn + from, n * 8) == 0 &&
	    memcmp(seen.sum, made.sum + from, n * 8) == 0;
}

/* ---- whole streams ---- */

static void
make_all_sizes(struct walmaker *m)
{
	uint32_t len;

	made.count = 0;
	for (len = 0; len < 700; len++)
		make_sized(m, len);
	for (len = 8192 - 100; len < 8192 + 100; len += 3)
		make_sized(m, len);
	for (len = 20000; len < 300000; len += 33333)
		make_sized(m, len);
	make_sized(m, 3500000); /* over four segments of 1 MiB */
	for (len = 0; len < 700; len += 11)
		make_sized(m, len);
}

static void
all_sizes_in_all_pieces(void)
{
	static const size_t pieces[] = { SIZE_MAX, 1, 2, 3, 5, 7, 8, 23, 24, 25,
		39, 40, 41, 100, 999, 4096, 8168, 8191, 8192, 8193, 65536,
		1000003 };
	AUTO_WALMAKER struct walmaker m = { 0 };
	unsigned int i;
	int rc;

	walmaker_init(&m, 15, START);
	make_all_sizes(&m);
	for (i = 0; i < COUNT_OF(pieces); i++) {
		struct err e = ERR_INIT;
		AUTO_WALREADER struct walreader *w =
		    read_all(&m, pieces[i], &rc, &e);

		tap_ok(rc == 0 && saw_from(0),
		    "pieces of %zu bytes: %u records of %u %s", pieces[i],
		    seen.count, made.count, e.text);
	}
}

static void
every_version_has_its_magic(void)
{
	int major, rc;

	for (major = 13; major <= 18; major++) {
		AUTO_WALMAKER struct walmaker m = { 0 };
		AUTO_WALREADER struct walreader *w = NULL;

		walmaker_init(&m, major, START);
		made.count = 0;
		make_sized(&m, 100);
		w = read_all(&m, SIZE_MAX, &rc, NULL);
		tap_u64((uint64_t)walreader_major(w), (uint64_t)major,
		    "version %d is known", major);
	}
}

/* From any page on, the records that begin there or later are seen. */
static void
starts_in_the_middle(size_t piece_bytes)
{
	AUTO_WALMAKER struct walmaker m = { 0 };
	unsigned int first = 0, wrong = 0, pages = 0;
	size_t at;

	walmaker_init(&m, 15, START);
	make_all_sizes(&m);
	for (at = 0; at < m.out.len; at += WAL_PAGE_BYTES, pages++) {
		struct walreader_options o = options_of(&m);
		AUTO_WALREADER struct walreader *w = NULL;
		struct err e = ERR_INIT;

		o.start_lsn += at;
		w = walreader_new(&o, see, &seen);
		seen.count = 0;
		while (first < made.count && made.lsn[first] < o.start_lsn)
			first++;
		if (feed_pieces(w, m.out.data + at, m.out.len - at, piece_bytes,
			&e) == -1 ||
		    !saw_from(first))
			wrong++;
	}
	tap_u64(wrong, 0, "read from each of %u pages on, in pieces of %zu",
	    pages, piece_bytes);
}

/* A rest that ends between two multiples of 8, taken byte by byte. */
static void
the_rest_is_skipped_in_any_pieces(void)
{
	uint32_t len;

	for (len = 9000; len < 9016; len++) {
		AUTO_WALMAKER struct walmaker m = { 0 };
		AUTO_WALREADER struct walreader *w = NULL;
		struct walreader_options o;
		size_t at = WAL_PAGE_BYTES, half;
		int rc;

		walmaker_init(&m, 15, START);
		made.count = 0;
		make_sized(&m, len);
		make_sized(&m, 50);
		o = options_of(&m);
		o.start_lsn += at;
		w = walreader_new(&o, see, &seen);
		seen.count = 0;
		half = (m.out.len - at) / 2;
		rc = feed_pieces(w, m.out.data + at, half, 1, NULL);
		tap_ok(rc == 0 && walreader_in_record(w),
		    "in a record of which %u bytes are skipped", len);
		rc = feed_pieces(
		    w, m.out.data + at + half, m.out.len - at - half, 1, NULL);
		tap_ok(rc == 0 && saw_from(1) && !walreader_in_record(w),
		    "the next one is seen");
	}
}

static void
says_where_it_is(void)
{
	AUTO_WALMAKER struct walmaker m = { 0 };
	struct walreader_options o;
	AUTO_WALREADER struct walreader *w = NULL;

	walmaker_init(&m, 15, START);
	made.count = 0;
	make_sized(&m, 10);
	make_sized(&m, 300);
	o = options_of(&m);
	w = walreader_new(&o, see, &seen);
	tap_ok(walreader_valid_end(w) == LSN_NONE &&
		walreader_last_record(w) == LSN_NONE &&
		walreader_major(w) == 0 && walreader_timeline(w) == 0,
	    "nothing is known before the first byte");
	(void)walreader_feed(w, m.out.data, 200, NULL);
	tap_u64(walreader_position(w), START + 200, "position");
	tap_u64(walreader_valid_end(w), made.end_lsn[0], "valid end");
	tap_u64(walreader_last_record(w), made.lsn[0], "last record");
	tap_ok(walreader_in_record(w), "in a record");
	(void)walreader_feed(w, m.out.data + 200, m.out.len - 200, NULL);
	tap_ok(!walreader_in_record(w) && !walreader_at_end(w) &&
		walreader_valid_end(w) == made.end_lsn[1] &&
		walreader_timeline(w) == 1,
	    "and behind it");
}

/* ---- cut short, changed ---- */

/* About four pages of small and middling records. */
static void
make_small_stream(struct walmaker *m)
{
	uint32_t i;

	walmaker_init(m, 15, START);
	made.count = 0;
	for (i = 0; i < 100; i++)
		make_sized(m, i * 37 % 300);
	make_sized(m, 12000);
	make_sized(m, 5);
}

static void
cut_at_every_length(void)
{
	AUTO_WALMAKER struct walmaker m = { 0 };
	unsigned int wrong = 0, whole = 0;
	struct walreader_options o;
	uint64_t end = START;
	size_t len;

	make_small_stream(&m);
	o = options_of(&m);
	for (len = 0; len <= m.out.len; len++) {
		AUTO_FREE uint8_t *copy = mem_alloc(len);

		(void)memcpy(copy, m.out.data, len);
		while (whole < made.count && made_last[whole] <= START + len)
			end = made.end_lsn[whole++];
		if (walreader_valid_prefix(&o, copy, len) != end)
			wrong++;
	}
	tap_u64(
	    wrong, 0, "the valid prefix of each of %zu lengths", m.out.len + 1);
	tap_u64(whole, made.count, "and the whole of it is valid");
}

/* The record that holds byte at, or made.count when none does. */
static unsigned int
record_of(const struct walmaker *m, size_t at)
{
	uint64_t lsn = START + at;
	unsigned int i;

	if (lsn % m->segment_bytes < 40 || lsn % WAL_PAGE_BYTES < 24)
		return made.count;
	for (i = 0; i < made.count; i++)
		if (made.lsn[i] <= lsn && lsn < made_last[i])
			break;
	return i;
}

/*
 * A changed byte inside a record: that record and all behind it are not seen.
 * A changed byte elsewhere: what is seen is right, if less.
 */
static void
every_changed_byte_is_found(uint8_t mask)
{
	AUTO_WALMAKER struct walmaker m = { 0 };
	unsigned int missed = 0, wrong = 0, at_record;
	size_t at;
	int rc;

	make_small_stream(&m);
	for (at = 0; at < m.out.len; at++) {
		AUTO_WALREADER struct walreader *w = NULL;

		at_record = record_of(&m, at);
		m.out.data[at] ^= mask;
		w = read_all(&m, SIZE_MAX, &rc, NULL);
		m.out.data[at] ^= mask;
		if (at_record < made.count &&
		    (seen.count > at_record ||
			(rc == 0 && !walreader_at_end(w) &&
			    !walreader_in_record(w))))
			missed++;
		if (seen.count > made.count ||
		    memcmp(seen.sum, made.sum, seen.count * 8) != 0 ||
		    memcmp(seen.lsn, made.lsn, seen.count * 8) != 0)
			wrong++;
	}
	tap_u64(
	    missed, 0, "no byte of a record is changed by %02X unseen", mask);
	tap_u64(wrong, 0, "and no other record is seen");
}

/* Of a page header, what a server checks is checked. */
static void
page_headers_are_checked(void)
{
	static const struct {
		size_t at;
		const char *says;
	} fields[] = {
		{ 0, "WAL page at 0/600000: magic D111 is of no known " },
		{ 3, "flags are 0103" },
		{ 2, "begins with 0 bytes of an earlier record, expected 67" },
		{ 4, "timeline 0 follows pages of timeline 1" },
		{ 9, "header says address 0/600100" },
		{ 16,
		    "begins with 66 bytes of an earlier record, expected 67" },
		{ 34, "header says segments of 1114112 bytes, expected 1048" },
		{ 37, "header says pages of 8448 bytes, expected 8192" },
	};
	AUTO_WALMAKER struct walmaker m = { 0 };
	const char *said;
	uint8_t *byte;
	unsigned int i;

	walmaker_init(&m, 15, START + WAL_SEGMENT_BYTES_MIN - WAL_PAGE_BYTES);
	made.count = 0;
	make_sized(&m, 8192 - 24 - 24 - 5 + 67);
	for (i = 0; i < COUNT_OF(fields); i++) {
		byte = m.out.data + WAL_PAGE_BYTES + fields[i].at;
		*byte ^= 1;
		said = refused(&m, ERR_CORRUPT);
		tap_ok(strstr(said, fields[i].says) != NULL, "%s", said);
		*byte ^= 1;
	}
	m.out.data[WAL_PAGE_BYTES + 16] = 68;
	said = refused(&m, ERR_CORRUPT);
	tap_ok(strstr(said, "begins with 68 bytes") != NULL, "%s", said);
	m.out.data[WAL_PAGE_BYTES + 16] = 67;
	tap_str(refused(&m, ERR_NONE), "", "and right it is accepted");
}

/* A page that goes on with a record when none is open. */
static void
no_rest_comes_from_nowhere(void)
{
	AUTO_WALMAKER struct walmaker m = { 0 };
	const char *said;

	walmaker_init(&m, 15, START);
	made.count = 0;
	make_sized(&m, 8192 - 40 - 24 - 5);
	make_sized(&m, 100);
	m.out.data[WAL_PAGE_BYTES + 2] = 1;
	said = refused(&m, ERR_CORRUPT);
	tap_ok(strstr(said,
		   "begins with 0 bytes of an earlier record, "
		   "expected 0") != NULL,
	    "%s", said);
	m.out.data[WAL_PAGE_BYTES + 16] = 8;
	said = refused(&m, ERR_CORRUPT);
	tap_ok(strstr(said,
		   "begins with 8 bytes of an earlier record, "
		   "expected 0") != NULL,
	    "%s", said);
}

int
main(void)
{
	all_sizes_in_all_pieces();
	every_version_has_its_magic();
	starts_in_the_middle(SIZE_MAX);
	starts_in_the_middle(4099);
	the_rest_is_skipped_in_any_pieces();
	says_where_it_is();
	cut_at_every_length();
	every_changed_byte_is_found(0x01);
	every_changed_byte_is_found(0x80);
	every_changed_byte_is_found(0xff);
	page_headers_are_checked();
	no_rest_comes_from_nowhere();
	return tap_done();
}
