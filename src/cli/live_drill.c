#include "cli/live_drill.h"

#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/drill_print.h"
#include "cli/role.h"
#include "jobs/drill_live.h"

void
live_drill_print(const json_t *report)
{
	const json_t *ways = json_object_get(report, "directions"), *w;
	const char *next = report_text(report, "next");
	char took[CLOCK_TEXT_BYTES];
	size_t i;

	json_array_foreach(ways, i, w)
	{
		int64_t us = report_number(w, "outage_us");

		(void)printf("to %-6s ", report_text(w, "to"));
		if (us < 0)
			(void)printf("not proved\n");
		else
			(void)printf("writers waited %s, since the %s; %s\n",
			    clock_interval(us, took),
			    report_text(w, "outage_since"),
			    json_is_true(json_object_get(w, "nothing_lost"))
				? "nothing is lost"
				: "that nothing is lost is NOT PROVED");
	}
	(void)printf("primary   %s%s%s\n", report_text(report, "primary_at"),
	    next[0] == '\0' ? "" : "; next: ", next);
}

static void
print_plan(const struct drill_live_plan *p, int64_t hold_us)
{
	char hold[CLOCK_TEXT_BYTES];

	(void)printf("This drill is live:\n"
		     "  1. %s becomes the primary; the server of %s is stopped "
		     "and follows it\n"
		     "  2. %s stays the primary for %s\n"
		     "  3. %s becomes the primary again, and %s follows\n"
		     "Clients lose their connections twice, and writes wait "
		     "meanwhile; what was acknowledged is kept.\n",
	    p->to, p->from, p->to, clock_interval(hold_us, hold), p->from,
	    p->to);
}

static int
dry_run(struct cli *cli, const struct drill_live_plan *p, int64_t hold_us)
{
	json_t *j;

	if (!cli->json) {
		print_plan(p, hold_us);
		(void)printf("Nothing stands in the way now.\n");
		return 0;
	}
	j = json_object();
	json_set_str(j, "from", p->from);
	json_set_str(j, "to", p->to);
	json_set_u64(j, "hold_us", (uint64_t)hold_us);
	cli_print_json(cli, j);
	return 0;
}

int
live_drill_command(struct cli *cli, const struct cluster_settings *c,
    const struct live_drill *f, struct err *e)
{
	struct drill_live_plan plan;
	struct drill_live_options o = { .hold_us = DRILL_LIVE_HOLD_US,
		.from = plan.from,
		.say = role_progress,
		.arg = cli };
	AUTO_JSON json_t *report = NULL;
	int rc;

	if (f->hold != NULL &&
	    clock_parse_interval(f->hold, &o.hold_us, e) == -1)
		return err_ctx(e, "--hold");
	if (o.hold_us > DRILL_LIVE_HOLD_MAX_US)
		return err_set(e, ERR_USAGE, "--hold takes a day at most");
	if (drill_live_check(cli->settings, c, &plan, e) == -1)
		return -1;
	if (f->dry_run)
		return dry_run(cli, &plan, o.hold_us);
	if (!cli->json)
		print_plan(&plan, o.hold_us);
	if (role_confirm(c, f->yes, e) == -1)
		return -1;
	(void)fflush(stdout);
	rc = drill_live_ask(cli->settings, c, &o, &report, e);
	if (report != NULL)
		drill_print_result(cli, report);
	return rc;
}
