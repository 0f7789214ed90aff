#ifndef CLI_LIVE_DRILL_H
#define CLI_LIVE_DRILL_H

/*
 * live_drill: "pgkura drill --live": what will be done is said, and asked for,
 * before it is done.
 */

#include "cli/cli.h"

struct live_drill {
	const char *hold; /* --hold; NULL: default */
	bool dry_run, yes;
};

int live_drill_command(struct cli *cli, const struct cluster_settings *c,
    const struct live_drill *f, struct err *e);
/* What "drill show" has of a live one, above its steps. */
void live_drill_print(const json_t *report);

#endif /* !CLI_LIVE_DRILL_H */
