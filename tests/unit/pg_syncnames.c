/* synchronous_standby_names: for whom a server waits for certain. */

#include <stdio.h>

#include "pg/syncnames.h"
#include "tap.h"

static const struct {
	const char *value;
	enum syncnames want;
} cases[] = {
	{ "", SYNCNAMES_ABSENT },
	{ " \t", SYNCNAMES_ABSENT },
	{ "kura", SYNCNAMES_WAITS },
	{ " Kura ", SYNCNAMES_WAITS },
	{ "\"kura\"", SYNCNAMES_WAITS },
	{ "other", SYNCNAMES_ABSENT },
	{ "kura2", SYNCNAMES_ABSENT },
	{ "*", SYNCNAMES_OTHERS },
	{ "\"*\"", SYNCNAMES_ABSENT },
	{ "kura, other", SYNCNAMES_OTHERS },
	{ "other,kura", SYNCNAMES_OTHERS },
	{ "1 (kura)", SYNCNAMES_WAITS },
	{ "FIRST 1 (kura)", SYNCNAMES_WAITS },
	{ "first 1(kura)", SYNCNAMES_WAITS },
	{ "ANY 1 (kura)", SYNCNAMES_WAITS },
	{ "FIRST 1 (kura, other)", SYNCNAMES_OTHERS },
	{ "FIRST 2 (kura, other)", SYNCNAMES_WAITS },
	{ "ANY 1 (kura, other)", SYNCNAMES_OTHERS },
	{ "ANY 2 (a, kura)", SYNCNAMES_WAITS },
	{ "ANY 2 (a, b, kura)", SYNCNAMES_OTHERS },
	{ "ANY 2 (a, b)", SYNCNAMES_ABSENT },
	{ "2 (kura, *)", SYNCNAMES_OTHERS },
	{ "first", SYNCNAMES_ABSENT },
	{ "any, kura", SYNCNAMES_OTHERS },
	{ "3, kura", SYNCNAMES_OTHERS },
	{ "\"a \"\" b\", kura", SYNCNAMES_OTHERS },
	{ "1 (kura", SYNCNAMES_MALFORMED },
	{ "1 ()", SYNCNAMES_MALFORMED },
	{ "kura,", SYNCNAMES_MALFORMED },
	{ ",kura", SYNCNAMES_MALFORMED },
	{ "\"kura", SYNCNAMES_MALFORMED },
	{ "1 (kura) x", SYNCNAMES_MALFORMED },
	{ "kura other", SYNCNAMES_MALFORMED },
	{ "FIRST (kura)", SYNCNAMES_MALFORMED },
};

int
main(void)
{
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tap_u64(syncnames_judge(cases[i].value, "kura"), cases[i].want,
		    "%s", cases[i].value);
	}
	return tap_done();
}
