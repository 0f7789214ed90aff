/*
 * buf and cursor: what goes in comes out, and no bytes make a reader fall over.
 */

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "tap.h"

static void
check_round_trip(void)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct cursor c;
	char text[8];

	buf_put_u8(&b, 7);
	buf_put_le16(&b, 0x1234);
	buf_put_le32(&b, 0xdeadbeef);
	buf_put_le64(&b, UINT64_C(0x0123456789abcdef));
	buf_put_varint(&b, 300);
	buf_put_str(&b, "seven..");
	buf_put(&b, "raw", 3);
	buf_put(&b, NULL, 0);
	cursor_init(&c, b.data, b.len);
	tap_u64(cursor_u8(&c), 7, "one byte");
	tap_u64(cursor_le16(&c), 0x1234, "two bytes");
	tap_u64(cursor_le32(&c), 0xdeadbeef, "four bytes");
	tap_u64(cursor_le64(&c), UINT64_C(0x0123456789abcdef), "eight bytes");
	tap_u64(cursor_varint(&c), 300, "a varint");
	cursor_str(&c, text, 7);
	tap_str(text, "seven..", "a string that just fits");
	tap_ok(memcmp(cursor_bytes(&c, 3), "raw", 3) == 0, "bytes");
	tap_ok(!c.failed && c.left == 0, "all was read and nothing failed");
	tap_u64(b.data[1], 0x34, "the low byte is first");
}

static void
check_every_cut_fails(void)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct cursor c;
	char text[8];
	size_t len;
	unsigned int missed = 0;

	buf_put_le16(&b, 1);
	buf_put_le32(&b, 2);
	buf_put_le64(&b, 3);
	buf_put_varint(&b, UINT64_MAX);
	buf_put_str(&b, "end");
	for (len = 0; len < b.len; len++) {
		uint8_t *copy = malloc(len + 1); /* ASan sees one byte more */

		(void)memcpy(copy, b.data, len);
		cursor_init(&c, copy, len);
		(void)cursor_le16(&c);
		(void)cursor_le32(&c);
		(void)cursor_le64(&c);
		(void)cursor_varint(&c);
		cursor_str(&c, text, 7);
		if (!c.failed || text[0] != '\0')
			missed++;
		free(copy);
	}
	tap_u64(missed, 0, "bytes cut short anywhere fail");
}

static void
check_failed_stays(void)
{
	struct cursor c;

	cursor_init(&c, "abcdefgh", 8);
	tap_ok(cursor_bytes(&c, 9) == NULL, "more bytes than there are");
	tap_u64(cursor_u8(&c), 0, "after a failure every read gives zero");
	tap_u64(cursor_le64(&c), 0, "wide ones too");
	tap_ok(c.failed, "and it stays failed");
	cursor_init(&c, NULL, 0);
	tap_ok(cursor_bytes(&c, 0) != NULL && !c.failed,
	    "no bytes of nothing is no failure");
}

static void
check_varint(void)
{
	static const struct {
		uint64_t value;
		size_t len;
	} good[] = { { 0, 1 }, { 127, 1 }, { 128, 2 }, { 16383, 2 },
		{ 16384, 3 }, { UINT64_MAX >> 1, 9 }, { UINT64_MAX, 10 } };
	static const struct {
		const char *what, *bytes;
		size_t len;
	} bad[] = { { "not the shortest form of 0", "\x80\x00", 2 },
		{ "not the shortest form of 1", "\x81\x80\x00", 3 },
		{ "more than 64 bits",
		    "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10 },
		{ "eleven bytes",
		    "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11 },
		{ "no end", "\x80\x80", 2 } };
	struct cursor c;
	size_t i;

	for (i = 0; i < COUNT_OF(good); i++) {
		AUTO_BUF struct buf b = BUF_INIT;

		buf_put_varint(&b, good[i].value);
		tap_u64(b.len, good[i].len, "length of %llu",
		    (unsigned long long)good[i].value);
		cursor_init(&c, b.data, b.len);
		tap_u64(cursor_varint(&c), good[i].value, "and back");
		tap_ok(!c.failed && c.left == 0, "to its end");
	}
	for (i = 0; i < COUNT_OF(bad); i++) {
		cursor_init(&c, bad[i].bytes, bad[i].len);
		tap_ok(cursor_varint(&c) == 0 && c.failed, "varint: %s",
		    bad[i].what);
	}
}

static void
check_str(void)
{
	struct cursor c;
	char out[4] = "xyz";

	cursor_init(&c, "\x04long", 5);
	cursor_str(&c, out, 3);
	tap_ok(c.failed, "a string longer than asked for fails");
	tap_str(out, "", "and gives an empty one");
	cursor_init(&c, "\x03g\0t", 4);
	cursor_str(&c, out, 3);
	tap_ok(c.failed && out[0] == '\0', "a string with NUL inside fails");
	cursor_init(&c, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01 ", 11);
	cursor_str(&c, out, 3);
	tap_ok(c.failed, "a length of 2^64 - 1 fails");
	cursor_init(&c, "\0", 1);
	cursor_str(&c, out, 3);
	tap_ok(!c.failed && out[0] == '\0', "an empty string is one");
}

static void
check_growth(void)
{
	AUTO_BUF struct buf b = BUF_INIT;
	unsigned int i, wrong = 0;
	const uint8_t *data;

	tap_str(buf_str(&b), "", "an empty buf is an empty string");
	for (i = 0; i < 100000; i++)
		buf_put_u8(&b, (uint8_t)(i * 7));
	for (i = 0; i < b.len; i++)
		if (b.data[i] != (uint8_t)(i * 7))
			wrong++;
	tap_u64(b.len, 100000, "byte by byte it grows");
	tap_u64(wrong, 0, "and keeps what it held");
	data = b.data;
	buf_clear(&b);
	buf_printf(&b, "%s %d", "number", 5);
	tap_str(buf_str(&b), "number 5", "buf_printf()");
	tap_ok(b.data == data, "cleared it keeps its memory");
	buf_free(&b);
	tap_ok(b.data == NULL && b.len == 0 && b.cap == 0,
	    "freed it is empty again");
	tap_ok(buf_reserve(&b, 0) != NULL, "no room is a valid place too");
}

static void
check_json(void)
{
	static const struct {
		const char *what, *in, *out;
	} cases[] = {
		{ "plain", "plain", "\"plain\"" },
		{ "empty", "", "\"\"" },
		{ "quotes and backslashes", "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "line ends", "a\nb\tc\x7f", "\"a\\nb\\u0009c\\u007f\"" },
		{ "2, 3 and 4 bytes", "\u00e9\u20ac\U0001f418",
		    "\"\u00e9\u20ac\U0001f418\"" },
		{ "a lone byte",
		    "a\xff"
		    "b",
		    "\"a\xef\xbf\xbd"
		    "b\"" },
		{ "cut short", "\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "overlong", "\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "overlong of three", "\xe0\x80\xaf",
		    "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "surrogate", "\xed\xa0\x80",
		    "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "overlong of four", "\xf0\x80\x80\x80",
		    "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "past U+10FFFF", "\xf4\x90\x80\x80",
		    "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
	};
	size_t i;

	for (i = 0; i < COUNT_OF(cases); i++) {
		AUTO_BUF struct buf b = BUF_INIT;

		buf_put_json(&b, cases[i].in);
		tap_str(buf_str(&b), cases[i].out, "JSON: %s", cases[i].what);
	}
}

int
main(void)
{
	check_round_trip();
	check_every_cut_fails();
	check_failed_stays();
	check_varint();
	check_str();
	check_growth();
	check_json();
	return tap_done();
}
