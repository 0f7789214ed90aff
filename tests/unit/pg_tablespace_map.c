/*
 * tablespace_map: what servers 13 to 18 wrote for the folder "/srv/ts a\b", and
 * paths that are harder.
 */

#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "pg/label.h"
#include "pg_data.h"

static void
check_server(int major)
{
	AUTO_BUF struct buf file = BUF_INIT, again = BUF_INIT;
	struct tablespace_link *links = NULL;
	struct err e = ERR_INIT;
	size_t count = 0;

	data_read(&file, "label/map-%d", major);
	tap_ok(tablespace_map_parse(
		   file.data, file.len, major, &links, &count, &e) == 0,
	    "%d %s", major, e.text);
	tap_u64(count, 1, "one tablespace");
	tap_u64(links[0].oid, 16384, "its number");
	tap_str(links[0].path, "/srv/ts a\\b", "its folder");
	tablespace_map_format(links, count, major, &again);
	tap_str(buf_str(&again), buf_str(&file), "and back to the same bytes");
	tablespace_map_free(links, count);
}

static void
check_round_trip(int major)
{
	struct tablespace_link links[] = { { 16384, (char[]){ "/a\nb\rc" } },
		{ 4294967295, (char[]){ " two  blanks " } },
		{ 1, (char[]){ "\\x\\\\y" } } };
	struct tablespace_link *got = NULL;
	AUTO_BUF struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	size_t count = 0, i;

	tablespace_map_format(links, COUNT_OF(links), major, &text);
	tap_ok(tablespace_map_parse(
		   text.data, text.len, major, &got, &count, &e) == 0 &&
		count == COUNT_OF(links),
	    "odd folders in %d %s", major, e.text);
	for (i = 0; i < count; i++) {
		tap_u64(got[i].oid, links[i].oid, "number");
		tap_str(got[i].path, links[i].path, "folder");
	}
	tablespace_map_free(got, count);
}

static const struct {
	const char *text;
	size_t len;
} wrong[] = { { "16384 /a", 8 }, { "16384\n", 6 }, { "16384 \n", 7 },
	{ "/a\n", 3 }, { "1", 1 }, { "x\n", 2 }, { "x /a\n", 5 },
	{ "0 /a\n", 5 }, { "016 /a\n", 7 }, { "-1 /a\n", 6 },
	{ "4294967296 /a\n", 14 }, { "1 /a\\", 5 }, { "1 /a\n\\", 6 },
	{ "1 /a\n1 /b\n", 10 }, { "1 /a\0b\n", 7 } };

static void
check_wrong(void)
{
	struct tablespace_link *links = NULL;
	AUTO_BUF struct buf big = BUF_INIT;
	struct err e = ERR_INIT;
	size_t count = 7, i;

	for (i = 0; i < COUNT_OF(wrong); i++)
		tap_ok(tablespace_map_parse(wrong[i].text, wrong[i].len, 17,
			   &links, &count, &e) == -1 &&
			e.kind == ERR_CORRUPT,
		    "map %zu: %s", i, e.text);
	tap_ok(links == NULL && count == 7, "nothing is changed");

	for (i = 1; i <= TABLESPACE_MAP_LINKS_MAX + 1; i++)
		buf_printf(&big, "%zu /a\n", i);
	tap_ok(tablespace_map_parse(
		   big.data, big.len, 17, &links, &count, &e) == -1,
	    "%s", e.text);
	buf_clear(&big);
	buf_printf(&big, "1 /%02000d\n", 1);
	tap_ok(tablespace_map_parse(
		   big.data, big.len, 17, &links, &count, &e) == -1,
	    "%s", e.text);
}

/* A backslash at the end of memory, behind which a sanitizer watches. */
static void
check_last_byte(void)
{
	AUTO_FREE char *text = mem_strdup("1 /a\\ ");
	struct tablespace_link *links = NULL;
	size_t count = 0;
	int major;

	text = mem_realloc(text, 5);
	for (major = 13; major <= 14; major++)
		tap_ok(tablespace_map_parse(
			   text, 5, major, &links, &count, NULL) == -1,
		    "no end in %d", major);
}

static void
check_lines(void)
{
	struct tablespace_link *links = NULL;
	struct err e = ERR_INIT;
	size_t count = 7;

	tap_ok(tablespace_map_parse("", 0, 17, &links, &count, &e) == 0 &&
		count == 0,
	    "an empty map");
	tablespace_map_free(links, count);
	tap_ok(tablespace_map_parse(
		   "1 /a\r\n\n2 /b\n", 12, 17, &links, &count, &e) == 0 &&
		count == 2,
	    "other ends of lines, as the server takes them");
	tap_str(links[0].path, "/a", "folder");
	tablespace_map_free(links, count);
	tap_ok(tablespace_map_parse("1 /\\a\n", 6, 14, &links, &count, &e) == 0,
	    "a backslash for no reason");
	tap_str(links[0].path, "/a", "is dropped from 14 on");
	tablespace_map_free(links, count);
	tap_ok(tablespace_map_parse("1 /a\\", 5, 13, &links, &count, &e) == -1,
	    "no end in 13: %s", e.text);
	tap_ok(
	    tablespace_map_parse("1 /a\\\n", 6, 13, &links, &count, &e) == -1,
	    "nor where it is part of the path: %s", e.text);
	check_last_byte();
}

int
main(void)
{
	int major;

	for (major = 13; major <= 18; major++) {
		check_server(major);
		check_round_trip(major);
	}
	check_lines();
	check_wrong();
	return tap_done();
}
