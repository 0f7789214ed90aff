#ifndef CLI_SITE_H
#define CLI_SITE_H

/*
 * site: what the files of "pgkura site" share.
 */

#include <stdbool.h>

#include "cli/cli.h"

struct site_pair {
	bool invite;
	const char *only;    /* with invite: NULL any */
	const char *address; /* "host:port" of the site that invites */
	const char *code;    /* NULL: a line of standard input */
};

/* Pair this site with another one, and say what to do next. */
int site_pair(struct cli *cli, const struct site_pair *how, struct err *e);

#endif /* !CLI_SITE_H */
