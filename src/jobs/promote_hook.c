/*
 * promote_hook: the operator's program around a promotion.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/follow.h"
#include "jobs/promote.h"

#define SAID_BYTES 200

static void
set_number(const char *name, int64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRId64, value);
	(void)setenv(name, text, 1);
}

/* The process has no threads here, and what is set is ours alone. */
static void
set_environment(const struct settings *s, const struct cluster_settings *c,
    const char *when, const struct promote_result *r)
{
	AUTO_BUF struct buf conninfo = BUF_INIT;
	char lsn[LSN_TEXT_BYTES];

	(void)setenv("PGKURA_HOOK", when, 1);
	(void)setenv("PGKURA_SITE", s->site, 1);
	(void)setenv("PGKURA_CLUSTER", c->name, 1);
	(void)setenv("PGKURA_PGDATA", c->standby_dir, 1);
	if (follow_conninfo(c, &conninfo, NULL) == 0)
		(void)setenv("PGKURA_CONNINFO", buf_str(&conninfo), 1);
	else
		(void)unsetenv("PGKURA_CONNINFO");
	(void)setenv("PGKURA_END_LSN", lsn_text(r->end_lsn, lsn), 1);
	set_number("PGKURA_OLD_TIMELINE", r->old_timeline);
	set_number("PGKURA_TIMELINE", r->timeline);
	set_number("PGKURA_LOSS_US", r->loss_us);
	set_number("PGKURA_LOSS_BYTES", r->loss_bytes);
}

/* Its last line, for the message. */
static void
last_line(struct buf *out, char said[SAID_BYTES])
{
	char *text = (char *)(uintptr_t)buf_str(out), *line;
	size_t len = strlen(text);

	while (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	line = strrchr(text, '\n');
	(void)snprintf(said, SAID_BYTES, "%s", line == NULL ? text : line + 1);
}

int
promote_hook(const struct settings *s, const struct cluster_settings *c,
    const char *when, const struct promote_result *result, struct err *e)
{
	const char *const argv[] = { c->promote_hook, when, NULL };
	AUTO_BUF struct buf out = BUF_INIT;
	char said[SAID_BYTES];
	int status;

	if (c->promote_hook == NULL)
		return 0;
	set_environment(s, c, when, result);
	log_event(LOG_LEVEL_INFO, "promote_hook", "the hook is run", "cluster",
	    c->name, "hook", c->promote_hook, "when", when, NULL);
	status =
	    child_run(argv, (int)(c->promote_hook_timeout_us / 1000), &out, e);
	if (status == -1)
		return err_ctx(e, "promote_hook %s", when);
	if (status == 0)
		return 0;
	last_line(&out, said);
	(void)err_set(e, ERR_IO, "\"%s %s\" ended with status %d%s%s",
	    c->promote_hook, when, status, said[0] == '\0' ? "" : ": ", said);
	return err_hint(e,
	    "Mend what it says and do this again; what was done is found "
	    "done.");
}
