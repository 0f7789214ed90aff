/*
 * lsn: text, names of segments and of the files beside them.
 */

#include "pg/lsn.h"

#include <string.h>

#include "base/auto.h"
#include "tap.h"

#define MIB ((uint32_t)1 << 20)
#define GIB ((uint32_t)1 << 30)

static void
check_text(void)
{
	static const char *const wrong[] = { "", "/", "0", "0/", "/0", "0/0/0",
		"0/G", "0 /0", "0/0 ", "123456789/0", "0/123456789", "-1/0",
		"0x1/0" };
	char text[LSN_TEXT_BYTES];
	struct err e = ERR_INIT;
	uint64_t lsn = 7;
	size_t i;

	tap_str(lsn_text(0, text), "0/0", "none");
	tap_str(lsn_text(0x5000060, text), "0/5000060", "low half");
	tap_str(lsn_text(0x16b374d848, text), "16/B374D848", "both halves");
	tap_str(lsn_text(UINT64_MAX, text), "FFFFFFFF/FFFFFFFF", "the last");

	tap_ok(lsn_parse("16/B374D848", &lsn, &e) == 0, "parse");
	tap_u64(lsn, 0x16b374d848, "its value");
	(void)lsn_parse("ffffffff/00000abc", &lsn, &e);
	tap_u64(lsn, 0xffffffff00000abc, "lower case, leading zeros");
	for (i = 0; i < COUNT_OF(wrong); i++)
		tap_ok(
		    lsn_parse(wrong[i], &lsn, &e) == -1 && e.kind == ERR_USAGE,
		    "\"%s\" is refused: %s", wrong[i], e.text);
	tap_u64(lsn, 0xffffffff00000abc, "and changes nothing");
}

static void
check_segment_bytes(void)
{
	tap_ok(wal_segment_bytes_valid(MIB), "1 MiB");
	tap_ok(wal_segment_bytes_valid(GIB), "1 GiB");
	tap_ok(!wal_segment_bytes_valid(MIB / 2), "512 KiB");
	tap_ok(!wal_segment_bytes_valid((uint64_t)GIB * 2), "2 GiB");
	tap_ok(!wal_segment_bytes_valid(3 * MIB), "3 MiB");
	tap_ok(!wal_segment_bytes_valid(0), "0");
	tap_u64(wal_segment_start(0x5000060, 16 * MIB), 0x5000000, "start");
	tap_u64(wal_segment_start(0x5000000, 16 * MIB), 0x5000000, "its own");
}

static void
check_name(uint32_t timeline, uint64_t lsn, uint32_t bytes, const char *want)
{
	char name[WAL_NAME_BYTES];
	uint32_t got_timeline = 0;
	uint64_t got_lsn = 0;

	tap_str(wal_name(timeline, lsn, bytes, name), want, "segment name");
	tap_ok(wal_name_parse(want, bytes, &got_timeline, &got_lsn), "parsed");
	tap_u64(got_timeline, timeline, "timeline");
	tap_u64(got_lsn, wal_segment_start(lsn, bytes), "first byte");
}

static void
check_names(void)
{
	static const char *const wrong[] = { "", "0000000100000000000000A",
		"0000000100000000000000A55", "0000000100000000000000a5",
		"0000000100000000000000G5", "000000000000000000000005",
		"000000010000000000000100", "0000000100000000FFFFFFFF",
		"0000000100000000000000A5.partial", "00000001.history" };
	uint32_t timeline = 7;
	uint64_t lsn = 7;
	size_t i;

	check_name(1, 0xa5123456, 16 * MIB, "0000000100000000000000A5");
	check_name(1, 0, 16 * MIB, "000000010000000000000000");
	check_name(0xabcdef01, 0x12300000000, MIB, "ABCDEF010000012300000000");
	check_name(2, 0x1ffffffff, MIB, "000000020000000100000FFF");
	check_name(3, UINT64_MAX, GIB, "00000003FFFFFFFF00000003");
	for (i = 0; i < COUNT_OF(wrong); i++)
		tap_ok(!wal_name_parse(wrong[i], 16 * MIB, &timeline, &lsn),
		    "\"%s\" is no segment", wrong[i]);
	tap_ok(timeline == 7 && lsn == 7, "and changes nothing");
}

static void
check_others(void)
{
	uint32_t timeline = 7;

	tap_ok(wal_name_is_history("0000000A.history", &timeline), "history");
	tap_u64(timeline, 10, "of timeline 10");
	tap_ok(!wal_name_is_history("0000000a.history", &timeline), "case");
	tap_ok(!wal_name_is_history("00000000.history", &timeline), "none");
	tap_ok(!wal_name_is_history("0000000A.historyx", &timeline), "more");
	tap_ok(!wal_name_is_history("000000A.history", &timeline), "short");
	tap_ok(!wal_name_is_history("0000000AB.history", &timeline), "long");
	tap_u64(timeline, 10, "and changes nothing");

#define SEGMENT "0000000100000000000000A5"
	tap_ok(wal_name_is_partial(SEGMENT ".partial"), "partial");
	tap_ok(!wal_name_is_partial(SEGMENT), "segment");
	tap_ok(!wal_name_is_partial("0" SEGMENT ".partial"), "long partial");
	tap_ok(!wal_name_is_partial(SEGMENT ".partial.gz"), "packed partial");

	tap_ok(wal_name_is_backup_label(SEGMENT ".00000028.backup"), "backup");
	tap_ok(!wal_name_is_backup_label(SEGMENT ".0000028.backup"), "short");
	tap_ok(!wal_name_is_backup_label(SEGMENT ".00000028.backu"), "cut");
	tap_ok(!wal_name_is_backup_label(SEGMENT "x00000028.backup"), "no dot");
	tap_ok(!wal_name_is_backup_label(SEGMENT ".partial"), "partial");
	tap_ok(!wal_name_is_backup_label(SEGMENT), "segment");
}

int
main(void)
{
	check_text();
	check_segment_bytes();
	check_names();
	check_others();
	return tap_done();
}
