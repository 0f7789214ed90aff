/*
 * timeline: the history of a server that was promoted twice, and histories
 * that no server writes.
 */

#include <string.h>

#include "base/auto.h"
#include "pg/label.h"
#include "pg_data.h"

static void
check_real(void)
{
	AUTO_BUF struct buf file = BUF_INIT;
	struct timeline_history h = { 0 };
	struct err e = ERR_INIT;

	data_read(&file, "label/00000003.history");
	tap_ok(timeline_history_parse(&h, 3, file.data, file.len, &e) == 0,
	    "parse %s", e.text);
	if (!tap_u64(h.count, 3, "three timelines"))
		return;
	tap_u64(h.entries[0].timeline, 1, "the first");
	tap_u64(h.entries[0].begin_lsn, 0, "from the beginning");
	tap_u64(h.entries[0].end_lsn, 0x5000000, "to its end");
	tap_u64(h.entries[1].timeline, 2, "the second");
	tap_u64(h.entries[1].begin_lsn, 0x5000000, "from there");
	tap_u64(h.entries[1].end_lsn, 0x70000a0, "to its end");
	tap_u64(h.entries[2].timeline, 3, "the last");
	tap_u64(h.entries[2].begin_lsn, 0x70000a0, "from there");
	tap_u64(h.entries[2].end_lsn, UINT64_MAX, "has none");

	tap_u64(timeline_at(&h, 0), 1, "the first byte");
	tap_u64(timeline_at(&h, 0x4ffffff), 1, "the last one before a switch");
	tap_u64(timeline_at(&h, 0x5000000), 2, "the first behind it");
	tap_u64(timeline_at(&h, 0x70000a0), 3, "and of the last");
	tap_u64(timeline_at(&h, UINT64_MAX), 3, "without end");

	tap_ok(timeline_contains(&h, 1, 0x4000000), "on the first");
	tap_ok(timeline_contains(&h, 1, 0x5000000), "up to the switch");
	tap_ok(!timeline_contains(&h, 1, 0x5000001), "but no further");
	tap_ok(timeline_contains(&h, 2, 0x5000000), "on from the switch");
	tap_ok(!timeline_contains(&h, 2, 0x4ffffff), "but not before");
	tap_ok(timeline_contains(&h, 3, UINT64_MAX), "the last has no end");
	tap_ok(!timeline_contains(&h, 4, 0x5000000), "no other timeline");
	timeline_history_free(&h);
	tap_ok(h.entries == NULL && h.count == 0, "freed");
}

static void
check_forms(void)
{
	static const char odd[] = "# a comment\n\n \t\n  1  0/10  \n"
				  "7\tA/0\tbefore 2000-01-01\r\n9 a/1";
	struct timeline_history h = { 0 };
	struct err e = ERR_INIT;

	tap_ok(timeline_history_parse(&h, 1, "", 0, &e) == 0, "timeline 1");
	tap_u64(h.count, 1, "has no parents");
	tap_u64(timeline_at(&h, 0x123), 1, "and is everywhere");
	timeline_history_free(&h);

	tap_ok(timeline_history_parse(&h, 12, odd, strlen(odd), &e) == 0,
	    "comments, blanks, gaps %s", e.text);
	tap_u64(h.count, 4, "all of them");
	tap_u64(h.entries[2].timeline, 9, "the last line without its end");
	tap_u64(h.entries[2].end_lsn, 0xa00000001, "and its switch");
	timeline_history_free(&h);
	tap_ok(timeline_history_parse(&h, 3, "1\t0/10\n2\t0/10\n", 14, &e) == 0,
	    "a timeline without WAL of its own");
	tap_u64(timeline_at(&h, 0x10), 3, "holds no byte");
	timeline_history_free(&h);
}

static const char *const wrong[] = { "x\n", "-1\t0/10\n", "0\t0/10\n", "1\n",
	"1 \n", "10/10\n", "1\t10\n", "1A/10\n", "1\tx/10\n",
	"4294967296\t0/10\n", "2\t0/10\n1\t0/20\n", "1\t0/10\n1\t0/20\n",
	"1\t0/20\n2\t0/10\n", "5\t0/10\n", "6\t0/10\n" };

static void
check_wrong(void)
{
	struct timeline_history h = { NULL, 77 };
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; i < COUNT_OF(wrong); i++)
		tap_ok(timeline_history_parse(
			   &h, 5, wrong[i], strlen(wrong[i]), &e) == -1 &&
			e.kind == ERR_CORRUPT,
		    "history %zu: %s", i, e.text);
	tap_ok(timeline_history_parse(&h, 0, "", 0, &e) == -1, "%s", e.text);
	tap_u64(h.count, 77, "nothing is changed");
}

int
main(void)
{
	check_real();
	check_forms();
	check_wrong();
	return tap_done();
}
