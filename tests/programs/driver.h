#ifndef DRIVER_H
#define DRIVER_H

/*
 * driver: what the programs that call src/pg for test scripts have in common.
 * Results are lines "name value" on standard output.  A failure is lines
 * "error KIND", "text TEXT", "hint HINT" and exit status 1; status 2 is a
 * wrong command line.
 */

#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/err.h"

struct driver_command {
	const char *name;
	int args; /* at least so many */
	int (*run)(int argc, char *argv[], struct err *e);
};

static inline int
driver_main(
    int argc, char *argv[], const struct driver_command *c, size_t count)
{
	struct err e = ERR_INIT;
	int rc;

	child_catch_stop_signals();
	(void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* read as it is written */
	for (; argc > 1 && count > 0; c++, count--) {
		if (strcmp(c->name, argv[1]) != 0 || argc - 2 < c->args)
			continue;
		rc = c->run(argc - 2, argv + 2, &e);
		if (rc == -1)
			(void)printf("error %s\ntext %s\nhint %s\n",
			    err_kind_name(e.kind), e.text, e.hint);
		return fflush(stdout) == 0 && rc != -1 ? 0 : 1;
	}
	(void)fprintf(stderr, "wrong command line\n");
	return 2;
}

#endif /* !DRIVER_H */
