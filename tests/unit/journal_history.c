/* Histories: what two have in common, and their text. */

#include "journal/history.h"

#include <string.h>

#include "tap.h"

static struct history one, other;

static void
make(struct history *h, uint64_t second, uint64_t first, uint64_t term)
{
	struct err e = ERR_INIT;

	history_init(h, "pg 7123456789012345678");
	(void)history_add(h, 1, 0, 0, &e);
	if (second != 0)
		(void)history_add(h, second, first, term, &e);
}

static void
is(enum history_relation want, uint64_t a_end, uint64_t b_end, uint64_t at,
    const char *what)
{
	struct history_verdict v = history_compare(&one, a_end, &other, b_end);
	struct history_verdict back =
	    history_compare(&other, b_end, &one, a_end);

	tap_str(history_relation_name(v.relation), history_relation_name(want),
	    "%s", what);
	tap_u64(v.at, at, "... up to there");
	tap_ok(back.at == v.at && back.a_beyond == v.b_beyond &&
		(back.relation == v.relation) ==
		    (want != HISTORY_BEHIND && want != HISTORY_AHEAD),
	    "... and the other way round");
}

static void
compare(void)
{
	make(&one, 0, 0, 0);
	make(&other, 0, 0, 0);
	is(HISTORY_SAME, 100, 100, 100, "one timeline, one end");
	is(HISTORY_BEHIND, 90, 100, 90, "less of it");
	make(&other, 2, 100, 5);
	is(HISTORY_BEHIND, 100, 150, 100, "before a promotion");
	is(HISTORY_BEHIND, 100, 100, 100, "a timeline opened counts");
	is(HISTORY_DIVERGED, 120, 150, 100, "went on after it");
	make(&one, 2, 100, 5);
	is(HISTORY_AHEAD, 160, 150, 150, "more of timeline 2");
	is(HISTORY_BEHIND, 80, 150, 80, "not yet at the switch");
	make(&one, 2, 100, 6);
	is(HISTORY_DIVERGED, 160, 150, 100, "two timelines 2 of two terms");
	make(&one, 2, 100, 0);
	is(HISTORY_SAME, 150, 150, 150, "a term that is not known");
	make(&one, 3, 90, 6);
	is(HISTORY_DIVERGED, 160, 150, 90, "promoted at two places");
	history_init(&one, "pg 1");
	is(HISTORY_UNRELATED, 10, 150, 0, "another cluster");
}

static void
text(void)
{
	AUTO_BUF struct buf out = BUF_INIT, again = BUF_INIT;
	struct err e = ERR_INIT;
	unsigned int bit, passed = 0;

	make(&one, 2, 50331800, 7);
	history_print(&one, &out);
	tap_ok(history_parse(&other, out.data, out.len, &e) == 0, "parses %s",
	    e.text);
	history_print(&other, &again);
	tap_ok(
	    again.len == out.len && memcmp(again.data, out.data, out.len) == 0,
	    "to the same bytes");
	for (bit = 0; bit < 8 * out.len; bit++) {
		out.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		passed += history_parse(&other, out.data, out.len, &e) == 0;
		out.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	tap_u64(passed, 0, "no flipped bit passes");
	tap_ok(history_add(&one, 2, 60000000, 0, &e) == -1 &&
		history_add(&one, 9, 5, 0, &e) == -1,
	    "no generation twice or backwards");
	tap_u64(history_at(&one, 50331799), 1, "who wrote a byte");
	tap_u64(history_at(&one, 50331800), 2, "who wrote the next");
	history_cut(&one, 50331800);
	tap_u64(one.count, 1, "cut at its beginning, a generation is gone");
}

int
main(void)
{
	compare();
	text();
	return tap_done();
}
