/*
 * settings_parse() must survive any bytes, and what it accepts must come out of
 * settings_show() as a file that reads back to the same values.
 */

#include <stdlib.h>
#include <string.h>

#include "conf/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO_SETTINGS struct settings *s = NULL, *again = NULL;
	AUTO_BUF struct buf first = BUF_INIT, second = BUF_INIT;
	struct err e = ERR_INIT;

	s = settings_parse("fuzz", (const char *)data, len, &e);
	if (s == NULL) {
		if (e.kind != ERR_USAGE || e.text[0] == '\0')
			abort();
		return 0;
	}
	settings_show(s, false, &first);
	again = settings_parse("fuzz", buf_str(&first), first.len, &e);
	if (again == NULL)
		abort();
	settings_show(again, false, &second);
	if (strcmp(buf_str(&first), buf_str(&second)) != 0)
		abort();
	return 0;
}
