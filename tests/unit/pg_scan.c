/*
 * scan: pieces of text that ends without a NUL.
 */

#include "pg/scan.h"

#include <inttypes.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "tap.h"

/* The bytes and not one more, so that a sanitizer sees a read behind them. */
static struct scan
bare(char **copy, const char *text)
{
	size_t len = strlen(text);

	free(*copy);
	*copy = mem_alloc(len);
	if (len > 0)
		memcpy(*copy, text, len);
	return (struct scan){ *copy, len };
}

struct number {
	const char *text;
	bool good;
	uint64_t value;
	size_t left;
};

static const struct number u32s[] = { { "0", true, 0, 0 },
	{ "4294967295", true, 4294967295, 0 }, { "4294967296", false, 0, 0 },
	{ "42949672950", false, 0, 0 }, { "99999999999999999999", false, 0, 0 },
	{ "0012", true, 12, 0 }, { "9/", true, 9, 1 }, { "9:", true, 9, 1 },
	{ "", false, 0, 0 }, { "/", false, 0, 0 }, { ":", false, 0, 0 },
	{ "-1", false, 0, 0 }, { " 1", false, 0, 0 } };

static const struct number oids[] = { { "1", true, 1, 0 },
	{ "16384_", true, 16384, 1 }, { "0", false, 0, 0 },
	{ "01", false, 0, 0 }, { "", false, 0, 0 }, { "x", false, 0, 0 } };

static const struct number hexes[] = { { "0", true, 0, 0 },
	{ "0123456789", false, 0, 0 }, { "01234567", true, 0x1234567, 0 },
	{ "89abcdef", true, 0x89abcdef, 0 },
	{ "89ABCDEF", true, 0x89abcdef, 0 }, { "012345678", false, 0, 0 },
	{ "9/", true, 9, 1 }, { "9:", true, 9, 1 }, { "9@", true, 9, 1 },
	{ "9G", true, 9, 1 }, { "9`", true, 9, 1 }, { "9g", true, 9, 1 },
	{ "", false, 0, 0 }, { "g", false, 0, 0 } };

static const struct number lsns[] = { { "0/0", true, 0, 0 },
	{ "16/B374D848", true, 0x16b374d848, 0 },
	{ "FFFFFFFF/FFFFFFFF)", true, UINT64_MAX, 1 }, { "1", false, 0, 0 },
	{ "1/", false, 0, 0 }, { "/1", false, 0, 0 }, { "1 /1", false, 0, 0 },
	{ "1/123456789", false, 0, 0 } };

static void
check_numbers(const struct number *n, size_t count,
    bool (*take)(struct scan *s, uint32_t *v), const char *what)
{
	AUTO_FREE char *copy = NULL;
	struct scan s;
	uint32_t v;
	size_t i;

	for (i = 0; i < count; i++) {
		s = bare(&copy, n[i].text);
		v = 7;
		tap_ok(take(&s, &v) == n[i].good &&
			v == (n[i].good ? n[i].value : 7) &&
			(!n[i].good || s.left == n[i].left),
		    "%s \"%s\": %" PRIu32, what, n[i].text, v);
	}
}

static void
check_lsns(void)
{
	AUTO_FREE char *copy = NULL;
	struct scan s;
	uint64_t v;
	size_t i;

	for (i = 0; i < COUNT_OF(lsns); i++) {
		s = bare(&copy, lsns[i].text);
		v = 7;
		tap_ok(scan_lsn(&s, &v) == lsns[i].good &&
			v == (lsns[i].good ? lsns[i].value : 7) &&
			(!lsns[i].good || s.left == lsns[i].left),
		    "position \"%s\": %" PRIX64, lsns[i].text, v);
	}
}

static void
check_words(void)
{
	AUTO_FREE char *copy = NULL;
	struct scan s = bare(&copy, "abc");

	tap_ok(!scan_word(&s, "abcd") && s.left == 3, "longer than the text");
	tap_ok(!scan_word(&s, "abd") && s.left == 3, "another word");
	tap_ok(scan_word(&s, "") && s.left == 3, "no word");
	tap_ok(scan_word(&s, "ab") && s.left == 1 && *s.p == 'c', "a word");
	tap_ok(scan_word(&s, "c") && s.left == 0, "the last one");
	tap_ok(!scan_word(&s, "c"), "no more");

	s = bare(&copy, " \t\v\f\r\nx");
	scan_blanks(&s);
	tap_ok(s.left == 2 && *s.p == '\n', "blanks are no ends of lines");
	s = bare(&copy, "  ");
	scan_blanks(&s);
	tap_u64(s.left, 0, "nothing but blanks");
	scan_blanks(&s);
	s = bare(&copy, "\x08\x0e");
	scan_blanks(&s);
	tap_u64(s.left, 2, "neighbours of blanks");
}

static void
check_lines(void)
{
	AUTO_FREE char *copy = NULL;
	struct scan s = bare(&copy, "one\n\nthree"), line;

	tap_ok(scan_line(&s, &line) && line.left == 3, "the first line");
	tap_ok(scan_line(&s, &line) && line.left == 0, "an empty line");
	tap_ok(scan_line(&s, &line) && line.left == 5 && *line.p == 't',
	    "a line without end");
	tap_ok(!scan_line(&s, &line), "no more");
	s = bare(&copy, "x\n");
	tap_ok(scan_line(&s, &line) && !scan_line(&s, &line),
	    "nothing is behind the last end");
}

int
main(void)
{
	check_numbers(u32s, COUNT_OF(u32s), scan_u32, "number");
	check_numbers(oids, COUNT_OF(oids), scan_oid, "OID");
	check_numbers(hexes, COUNT_OF(hexes), scan_hex32, "hex");
	check_lsns();
	check_words();
	check_lines();
	return tap_done();
}
