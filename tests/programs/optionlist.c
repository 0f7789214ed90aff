/*
 * optionlist sample | manual: what the table of options prints, for "make
 * sample" and the tests.
 */

#include <stdio.h>
#include <string.h>

#include "conf/settings.h"

int
main(int argc, char *argv[])
{
	AUTO_BUF struct buf out = BUF_INIT;

	if (argc == 2 && strcmp(argv[1], "sample") == 0)
		settings_sample(&out);
	else if (argc == 2 && strcmp(argv[1], "manual") == 0)
		settings_manual(&out);
	else
		return 2;
	return fputs(buf_str(&out), stdout) == EOF || fflush(stdout) != 0;
}
