/*
 * size: amounts as people write them, and as we show them.
 */

#include "base/size.h"

#include <string.h>

#include "base/auto.h"
#include "tap.h"

static void
check_parse(void)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = { { "0", 0 }, { "100", 100 }, { "7B", 7 },
		{ "512k", 524288 }, { "512 kB", 524288 }, { "512KiB", 524288 },
		{ "64MB", 67108864 }, { "64m", 67108864 },
		{ "64 MiB", 67108864 }, { "1GiB", 1073741824 },
		{ "1gb", 1073741824 }, { "2TB", UINT64_C(2199023255552) },
		{ "1P", UINT64_C(1) << 50 }, { "15EiB", UINT64_C(15) << 60 },
		{ "18446744073709551615", UINT64_MAX } };
	static const char *const bad[] = { "", " ", "MB", "-1", "1.5GB", "1x",
		"1kk", "1kiBB", "1k B", "64MB ", "0x10", "1 0", " 1",
		"18446744073709551616", "16EB", "17179869184G",
		"99999999999999999999999" };
	struct err e = ERR_INIT;
	uint64_t bytes;
	size_t i;

	for (i = 0; i < COUNT_OF(good); i++) {
		bytes = 12345;
		tap_ok(size_parse(good[i].text, &bytes, &e) == 0,
		    "parse \"%s\"", good[i].text);
		tap_u64(bytes, good[i].bytes, "as bytes");
	}
	for (i = 0; i < COUNT_OF(bad); i++) {
		bytes = 12345;
		err_clear(&e);
		tap_ok(size_parse(bad[i], &bytes, &e) == -1 &&
			e.kind == ERR_USAGE && e.hint[0] != '\0' &&
			bytes == 12345,
		    "refuse \"%s\": %s", bad[i], e.text);
	}
}

static void
check_text(void)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = { { 0, "0 bytes" }, { 1, "1 byte" }, { 1023, "1023 bytes" },
		{ 1024, "1.00 kB" }, { 1536, "1.50 kB" }, { 10230, "9.99 kB" },
		{ 10239, "10.0 kB" }, { 102348, "99.9 kB" },
		{ 102399, "100 kB" }, { 1023 * 1024, "1023 kB" },
		{ 1048575, "1.00 MB" }, { 67108864, "64.0 MB" },
		{ 1320702444, "1.23 GB" }, { UINT64_C(1) << 40, "1.00 TB" },
		{ UINT64_C(5) << 50, "5.00 PB" }, { UINT64_MAX, "16.0 EB" } };
	char out[SIZE_TEXT_BYTES];
	size_t i;

	for (i = 0; i < COUNT_OF(cases); i++)
		tap_str(size_text(cases[i].bytes, out), cases[i].text,
		    "%llu bytes", (unsigned long long)cases[i].bytes);
}

int
main(void)
{
	check_parse();
	check_text();
	return tap_done();
}
