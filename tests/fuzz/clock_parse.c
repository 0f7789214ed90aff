/*
 * What people and configurations write as times, intervals and sizes: any
 * bytes are survived, and what is accepted reads back the same from the form
 * that we print.
 */

#include <stdint.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/size.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO_FREE char *text = mem_strndup((const char *)data, len);
	char out[CLOCK_TEXT_BYTES];
	struct err e = ERR_INIT;
	uint64_t bytes;
	int64_t us, back;

	if (clock_parse(text, INT64_C(1795230245500000), &us, &e) == 0 &&
	    (clock_parse(clock_utc(us, out), 0, &back, &e) == -1 || back != us))
		abort();
	if (clock_parse_interval(text, &us, &e) == 0) {
		if (us < 0)
			abort();
		if (us < CLOCK_SECOND_US * 60 && us % CLOCK_SECOND_US == 0 &&
		    (clock_parse_interval(clock_interval(us, out), &back, &e) ==
			    -1 ||
			back != us))
			abort();
	}
	(void)size_parse(text, &bytes, &e);
	return 0;
}
