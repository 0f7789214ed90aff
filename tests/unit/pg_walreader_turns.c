/*
 * Where WAL does not simply go on: segment switches, its end, records that a
 * crash broke and a later one replaces, new timelines, other clusters,
 * recycled pages, callers that stop.
 */

#include "tap.h"
#include "walmaker.h"

#include "pg/walreader.h"

#define START	  ((uint64_t)5 << 20)
#define SEGMENT	  WAL_SEGMENT_BYTES_MIN
#define HEAP	  10
#define XLOG	  0
#define SWITCH	  0x40
#define OVERWRITE 0xd0
#define REPLACES  8 /* a page flag: the first record replaces a broken one */

struct seen {
	unsigned int count, stop_at;
	uint64_t last_lsn, last_end_lsn;
	uint8_t last_info;
};

static int
see(void *arg, const struct walreader_record *r, struct err *e)
{
	struct seen *s = arg;

	if (++s->count == s->stop_at)
		return err_set(e, ERR_CANCELED, "enough");
	s->last_lsn = r->lsn;
	s->last_end_lsn = r->end_lsn;
	s->last_info = r->info;
	return 0;
}

/* One made stream, its reader and what came of it. */
struct scene {
	struct walmaker m;
	struct walreader_options o;
	struct walreader *w;
	struct seen seen;
	struct err e;
};

static void
scene_init(struct scene *s)
{
	*s = (struct scene){ .e = ERR_INIT };
	walmaker_init(&s->m, 15, START);
	s->o =
	    (struct walreader_options){ START, SEGMENT, WALMAKER_SYSTEM_ID, 1 };
}

static void
scene_fini(struct scene *s)
{
	walreader_free(s->w);
	walmaker_fini(&s->m);
}
#define AUTO_SCENE AUTO(scene_fini)

/* Read all that is made, anew, in pieces: each size must end the same way. */
static int
scene_read(struct scene *s)
{
	static const size_t pieces[] = { 1, 13, 8192, SIZE_MAX };
	size_t at, n, len = s->m.out.len;
	unsigned int i, count = 0;
	int rc = 0;

	for (i = 0; i < COUNT_OF(pieces); i++) {
		walreader_free(s->w);
		s->w = walreader_new(&s->o, see, &s->seen);
		s->seen.count = 0;
		err_clear(&s->e);
		rc = 0;
		for (at = 0; at < len && rc == 0; at += n) {
			n = len - at < pieces[i] ? len - at : pieces[i];
			rc = walreader_feed(s->w, s->m.out.data + at, n, &s->e);
		}
		if (i > 0 && s->seen.count != count)
			tap_ok(false, "%u records in pieces of %zu, was %u",
			    s->seen.count, pieces[i], count);
		count = s->seen.count;
	}
	return rc;
}

static void
said(const struct scene *s, enum err_kind kind, const char *words,
    const char *what)
{
	bool held = s->e.kind == kind && strstr(s->e.text, words) != NULL;

	tap_ok(held, "%s: %s", what, s->e.text);
	if (!held)
		tap_diag("%s, want \"%s\"", err_kind_name(s->e.kind), words);
}

static uint64_t
heap(struct walmaker *m, uint32_t len)
{
	static const uint8_t data[100000] = { 1, 2, 3 };

	return walmaker_record(m, HEAP, 0, 700, data, len);
}

/* ---- segment switch ---- */

enum filler { FILL_ZEROS, FILL_HEADERS };

/* A segment that ends early and the start of the next. */
static void
make_switch(struct scene *s, uint32_t len, enum filler filler)
{
	(void)heap(&s->m, len);
	(void)walmaker_record(&s->m, XLOG, SWITCH, 0, NULL, 0);
	if (filler == FILL_ZEROS)
		walmaker_zeros(&s->m, SEGMENT);
	while (walmaker_lsn(&s->m) % SEGMENT != 0) {
		walmaker_zeros(&s->m, WAL_PAGE_BYTES);
		if (walmaker_lsn(&s->m) % SEGMENT != 0)
			walmaker_page(&s->m, 0);
	}
}

static void
switch_leaves_filler(void)
{
	AUTO_SCENE struct scene s = { 0 };
	int filler;

	for (filler = FILL_ZEROS; filler <= FILL_HEADERS; filler++) {
		AUTO_SCENE struct scene t = { 0 };

		scene_init(&t);
		make_switch(&t, 50, (enum filler)filler);
		tap_u64((uint64_t)scene_read(&t), 0, "filler is accepted");
		tap_ok(t.seen.count == 2 && t.seen.last_info == SWITCH &&
			walreader_valid_end(t.w) == START + SEGMENT &&
			!walreader_at_end(t.w),
		    "the whole segment is valid");
		(void)heap(&t.m, 60);
		tap_ok(scene_read(&t) == 0 && t.seen.count == 3 &&
			t.seen.last_lsn == START + SEGMENT + 40,
		    "the next segment begins with a record: %s", t.e.text);
	}

	scene_init(&s);
	make_switch(&s, 50, FILL_ZEROS);
	s.m.out.len -= 5000;
	tap_ok(scene_read(&s) == 0 && walreader_at_end(s.w) &&
		s.seen.last_info == SWITCH &&
		walreader_valid_end(s.w) == s.seen.last_end_lsn,
	    "filler cut short: valid up to the switch");
}

static void
switch_at_the_edges(void)
{
	uint32_t len;

	/* The switch ends with its page, or with the segment. */
	for (len = 8072; len <= 8104; len += 8) {
		AUTO_SCENE struct scene s = { 0 };

		scene_init(&s);
		make_switch(&s, len, FILL_ZEROS);
		(void)heap(&s.m, 60);
		tap_ok(scene_read(&s) == 0 && s.seen.count == 3,
		    "switch after %u bytes: %s", len, s.e.text);
	}
	{
		AUTO_SCENE struct scene s = { 0 };
		uint64_t lsn;

		scene_init(&s);
		while ((lsn = walmaker_next(&s.m)) < START + SEGMENT - 8000)
			(void)heap(&s.m, 100);
		(void)heap(
		    &s.m, (uint32_t)(START + SEGMENT - lsn - 24 - 24 - 5));
		(void)walmaker_record(&s.m, XLOG, SWITCH, 0, NULL, 0);
		tap_u64(walmaker_lsn(&s.m) % SEGMENT, 0, "a full segment");
		(void)scene_read(&s);
		tap_ok(!walreader_at_end(s.w) &&
			walreader_valid_end(s.w) == START + SEGMENT,
		    "a switch at its very end leaves no filler");
		(void)heap(&s.m, 10);
		tap_u64((uint64_t)scene_read(&s), 0, "and WAL goes on");
	}
}

static void
filler_is_empty(void)
{
	static const struct {
		size_t at;
		const char *says;
	} bytes[] = {
		{ 500,
		    "WAL at 0/5001F4: a byte is 07 behind a segment switch" },
		{ 3 * WAL_PAGE_BYTES, "magic 0007 is of no known version" },
		{ 3 * WAL_PAGE_BYTES + 23, "magic 0000 is of no known" },
		{ 3 * WAL_PAGE_BYTES + 24,
		    "WAL at 0/506018: a byte is 07 behind a seg" },
		{ SEGMENT - 1, "WAL at 0/5FFFFF: a byte is 07 behind a seg" },
	};
	unsigned int i;

	for (i = 0; i < COUNT_OF(bytes); i++) {
		AUTO_SCENE struct scene s = { 0 };

		scene_init(&s);
		make_switch(&s, 50, FILL_ZEROS);
		s.m.out.data[bytes[i].at] = 7;
		(void)scene_read(&s);
		said(&s, ERR_CORRUPT, bytes[i].says, "a byte in the filler");
		tap_u64(walreader_valid_end(s.w), s.seen.last_end_lsn,
		    "the switch itself is valid");
	}
}

/* ---- the end of WAL ---- */

static void
zeros_are_the_end(void)
{
	uint32_t len;

	for (len = 8070; len < 8110; len += 3) {
		AUTO_SCENE struct scene s = { 0 };

		scene_init(&s);
		(void)heap(&s.m, len);
		walmaker_zeros(&s.m, SEGMENT);
		(void)memset(buf_reserve(&s.m.out, SEGMENT), 0, WAL_PAGE_BYTES);
		s.m.out.len += WAL_PAGE_BYTES;
		tap_ok(scene_read(&s) == 0 && walreader_at_end(s.w) &&
			s.seen.count == 1 &&
			walreader_valid_end(s.w) == s.seen.last_end_lsn,
		    "zeros after %u bytes, into the next segment: %s", len,
		    s.e.text);
		s.m.out.data[s.m.out.len - 1] = 1;
		(void)scene_read(&s);
		said(&s, ERR_CORRUPT, " behind the end of WAL",
		    "a byte behind them");
		s.m.out.len -= WAL_PAGE_BYTES;
		walmaker_page(&s.m, 0);
		(void)scene_read(&s);
		said(&s, ERR_CORRUPT, " behind the end of WAL",
		    "a good page behind them");
	}
}

static void
an_empty_segment_is_the_end(void)
{
	AUTO_SCENE struct scene s = { 0 };

	scene_init(&s);
	walmaker_zeros(&s.m, SEGMENT);
	(void)memset(buf_reserve(&s.m.out, SEGMENT), 0, SEGMENT);
	s.m.out.len += SEGMENT;
	tap_ok(scene_read(&s) == 0 && walreader_at_end(s.w) &&
		walreader_valid_end(s.w) == LSN_NONE,
	    "a segment of zeros");
	tap_u64(walreader_valid_prefix(&s.o, s.m.out.data, s.m.out.len), START,
	    "has no valid prefix");
}

static void
a_zero_page_inside_a_record_is_damage(void)
{
	AUTO_SCENE struct scene s = { 0 };

	scene_init(&s);
	(void)heap(&s.m, 30000);
	(void)memset(s.m.out.data + 8192, 0, 8192);
	(void)scene_read(&s);
	said(&s, ERR_CORRUPT, "WAL page at 0/502000: magic 0000", "zero page");
	tap_ok(walreader_in_record(s.w), "it was inside a record");
}

static void
old_pages_end_the_valid_prefix(void)
{
	AUTO_SCENE struct scene s = { 0 };
	uint64_t end;

	/* A recycled segment: behind the end are pages of an older one. */
	scene_init(&s);
	(void)heap(&s.m, 8192 - 40 - 24 - 5);
	end = walmaker_lsn(&s.m);
	(void)heap(&s.m, 100);
	le64_put(s.m.out.data + 8192 + 8, START - 3 * SEGMENT + 8192);
	tap_u64(walreader_valid_prefix(&s.o, s.m.out.data, s.m.out.len), end,
	    "an old page ends the valid prefix");
	(void)scene_read(&s);
	said(&s, ERR_CORRUPT, "header says address", "and is an error to feed");
}

/* ---- broken and replaced ---- */

/* A record broken after its first page, and the one that replaces it. */
static void
make_overwrite(struct scene *s, uint64_t named_offset)
{
	uint8_t main_data[16] = { 0 };
	uint64_t broken, prev;

	(void)heap(&s->m, 100);
	prev = s->m.prev_lsn;
	broken = heap(&s->m, 20000);
	s->m.prev_lsn = prev;
	s->m.out.len = WAL_PAGE_BYTES;
	s->m.page_flags = REPLACES;
	le64_put(main_data, broken + named_offset);
	(void)walmaker_record(
	    &s->m, XLOG, OVERWRITE, 0, main_data, sizeof(main_data));
	(void)heap(&s->m, 200);
}

static void
a_broken_record_is_replaced(void)
{
	AUTO_SCENE struct scene s = { 0 }, t = { 0 }, u = { 0 }, v = { 0 };

	scene_init(&s);
	make_overwrite(&s, 0);
	tap_ok(scene_read(&s) == 0 && s.seen.count == 3,
	    "a record that replaces a broken one: %s", s.e.text);

	scene_init(&t);
	make_overwrite(&t, 8);
	(void)scene_read(&t);
	said(&t, ERR_CORRUPT, "but the broken one is at 0/5000A8",
	    "one that names another");

	scene_init(&u);
	make_overwrite(&u, 0);
	u.m.out.data[8192 + 2] = 0;
	(void)scene_read(&u);
	said(&u, ERR_CORRUPT, "begins with 0 bytes of an earlier record",
	    "a page that only breaks off");

	/* From behind the broken record's start nobody knows what it was. */
	scene_init(&v);
	(void)heap(&v.m, 30000);
	v.m.out.len = 2 * 8192;
	v.m.page_flags = REPLACES;
	v.m.prev_lsn = START - 40;
	(void)walmaker_record(&v.m, XLOG, OVERWRITE, 0, "12345678abcdefgh", 16);
	(void)memmove(v.m.out.data, v.m.out.data + 8192, v.m.out.len - 8192);
	v.m.out.len -= 8192;
	v.o.start_lsn += 8192;
	tap_ok(scene_read(&v) == 0 && v.seen.count == 1,
	    "replaced while its rest is skipped: %s", v.e.text);
}

/* A second crash can come between the new page and the record that replaces. */
static void
any_record_may_follow_a_broken_one(void)
{
	AUTO_SCENE struct scene s = { 0 };
	uint64_t prev;

	scene_init(&s);
	(void)heap(&s.m, 100);
	prev = s.m.prev_lsn;
	(void)heap(&s.m, 20000);
	s.m.prev_lsn = prev;
	s.m.out.len = WAL_PAGE_BYTES;
	s.m.page_flags = REPLACES;
	(void)heap(&s.m, 200);
	(void)walmaker_record(&s.m, XLOG, OVERWRITE, 0, "12345678abcdefgh", 16);
	tap_ok(scene_read(&s) == 0 && s.seen.count == 3,
	    "another record where one was broken: %s", s.e.text);
}

/* Recovery does not mind the flag where nothing is broken: nor do we. */
static void
nothing_broken_is_replaced(void)
{
	AUTO_SCENE struct scene s = { 0 };

	scene_init(&s);
	(void)heap(&s.m, 8192 + 8192 - 40 - 24 - 24 - 5);
	s.m.page_flags = REPLACES;
	(void)walmaker_record(&s.m, XLOG, OVERWRITE, 0, "12345678abcdefgh", 16);
	tap_ok(scene_read(&s) == 0 && s.seen.count == 2,
	    "a page that replaces nothing: %s", s.e.text);
}

static void
records_are_chained(void)
{
	AUTO_SCENE struct scene s = { 0 }, t = { 0 };

	scene_init(&s);
	(void)heap(&s.m, 10);
	s.m.prev_lsn -= 8;
	(void)heap(&s.m, 10);
	(void)scene_read(&s);
	said(&s, ERR_CORRUPT,
	    "WAL record at 0/500050: says that the record before is at "
	    "0/500020, expected 0/500028",
	    "a wrong link");
	tap_u64(s.seen.count, 1, "the record before it was seen");

	scene_init(&t);
	t.m.prev_lsn = START + 40;
	(void)heap(&t.m, 10);
	(void)scene_read(&t);
	said(&t, ERR_CORRUPT, "says that the record before is at 0/500028",
	    "a first record that links to itself");
}

/* ---- other timelines, clusters, versions ---- */

static void
timelines_only_grow(void)
{
	AUTO_SCENE struct scene s = { 0 };

	scene_init(&s);
	(void)heap(&s.m, 9000);
	s.m.timeline = 3;
	(void)heap(&s.m, 9000);
	s.o.timeline = 3;
	tap_ok(scene_read(&s) == 0 && walreader_timeline(s.w) == 3,
	    "a later timeline begins within a segment: %s", s.e.text);
	s.o.timeline = 0;
	tap_u64((uint64_t)scene_read(&s), 0, "any timeline will do");
	s.o.timeline = 2;
	(void)scene_read(&s);
	said(&s, ERR_CONFLICT,
	    "WAL page at 0/504000: page is of timeline 3, expected at most 2",
	    "later than allowed");
	s.o.timeline = 0;
	s.m.timeline = 2;
	(void)heap(&s.m, 9000);
	(void)scene_read(&s);
	said(&s, ERR_CORRUPT, "timeline 2 follows pages of timeline 3",
	    "and back again");
}

static void
clusters_and_versions_do_not_mix(void)
{
	AUTO_SCENE struct scene s = { 0 }, t = { 0 }, u = { 0 };

	scene_init(&s);
	(void)heap(&s.m, 10);
	s.o.system_id++;
	(void)scene_read(&s);
	said(&s, ERR_CONFLICT,
	    "system identifier 7000000000000000001, expected "
	    "7000000000000000002",
	    "another cluster");
	s.o.system_id = 0;
	tap_u64((uint64_t)scene_read(&s), 0, "any cluster will do");

	scene_init(&t);
	(void)heap(&t.m, 9000);
	t.m.magic = walmaker_magic(16);
	(void)heap(&t.m, 9000);
	(void)scene_read(&t);
	said(&t, ERR_CORRUPT, "magic D113 is of version 16, expected 15",
	    "another version");

	scene_init(&u);
	(void)heap(&u.m, 10);
	u.m.out.data[2] = 0;
	(void)scene_read(&u);
	said(&u, ERR_CORRUPT, "segment does not start with a long header",
	    "a short header in front");
}

/* ---- callers ---- */

static void
the_callback_can_stop(void)
{
	AUTO_SCENE struct scene s = { 0 };
	struct err e = ERR_INIT;

	scene_init(&s);
	(void)heap(&s.m, 10);
	(void)heap(&s.m, 20);
	(void)heap(&s.m, 30);
	s.seen.stop_at = 2;
	tap_ok(scene_read(&s) == -1 && s.seen.count == 2,
	    "the callback stops the feed");
	tap_str(s.e.text, "enough", "with its own words");
	tap_ok(walreader_feed(s.w, (const uint8_t *)"", 1, &e) == -1 &&
		e.kind == ERR_BUG,
	    "and nothing can be fed afterwards");
}

static void
lengths_that_cannot_be(void)
{
	static const uint32_t lengths[] = { 1, 23,
		WALREADER_RECORD_BYTES_MAX + 1, UINT32_MAX };
	unsigned int i;

	for (i = 0; i < COUNT_OF(lengths); i++) {
		AUTO_SCENE struct scene s = { 0 };

		scene_init(&s);
		(void)heap(&s.m, 10);
		le32_put(s.m.out.data + 40, lengths[i]);
		(void)scene_read(&s);
		said(&s, ERR_CORRUPT, "WAL record at 0/500028: length is ",
		    "a length");
	}
}

/* Only the length is on the first page. */
static void
a_wrong_length_at_the_end_of_a_page(void)
{
	AUTO_SCENE struct scene s = { 0 };

	scene_init(&s);
	(void)heap(&s.m, 8192 - 40 - 8 - 24 - 5);
	(void)heap(&s.m, 100);
	le32_put(s.m.out.data + WAL_PAGE_BYTES - 8, 3);
	(void)scene_read(&s);
	said(&s, ERR_CORRUPT, "WAL record at 0/501FF8: length is 3 bytes",
	    "a length before the end of a page");
}

static void
resource_managers_that_cannot_be(void)
{
	AUTO_SCENE struct scene s = { 0 };

	scene_init(&s);
	(void)walmaker_record(&s.m, 22, 0, 0, NULL, 0);
	(void)scene_read(&s);
	said(&s, ERR_CORRUPT,
	    "WAL record at 0/500028: resource manager 22 does not exist",
	    "no such resource manager");
}

int
main(void)
{
	switch_leaves_filler();
	switch_at_the_edges();
	filler_is_empty();
	zeros_are_the_end();
	an_empty_segment_is_the_end();
	a_zero_page_inside_a_record_is_damage();
	old_pages_end_the_valid_prefix();
	a_broken_record_is_replaced();
	any_record_may_follow_a_broken_one();
	nothing_broken_is_replaced();
	records_are_chained();
	timelines_only_grow();
	clusters_and_versions_do_not_mix();
	the_callback_can_stop();
	lengths_that_cannot_be();
	a_wrong_length_at_the_end_of_a_page();
	resource_managers_that_cannot_be();
	return tap_done();
}
