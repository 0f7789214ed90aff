#include "cli/drill_print.h"

#include <string.h>

#include "base/clock.h"
#include "cli/live_drill.h"

static void
print_measure(const json_t *report, const char *key, const char *name)
{
	const json_t *m = json_object_get(report, key);
	const json_t *met = json_object_get(m, "met");
	int64_t us = report_number(m, "achieved_us"),
		target_us = report_number(m, "target_us");
	char a[CLOCK_TEXT_BYTES], b[CLOCK_TEXT_BYTES];

	(void)printf(
	    "%-9s %s", name, us < 0 ? "not achieved" : clock_interval(us, a));
	if (target_us > 0)
		(void)printf(", target %s%s", clock_interval(target_us, b),
		    json_is_true(met)	     ? ": met"
			: json_is_false(met) ? ": NOT MET"
					     : "");
	(void)printf("\n");
}

static void
print_steps(const json_t *report)
{
	static const char *const heads[] = { "STEP", "RESULT", ">TOOK",
		"WHAT WAS SEEN" };
	AUTO_TABLE struct table *t = table_new(heads, COUNT_OF(heads));
	const json_t *steps = json_object_get(report, "steps");
	char took[CLOCK_TEXT_BYTES];
	size_t i;

	for (i = 0; i < json_array_size(steps); i++) {
		const json_t *s = json_array_get(steps, i);
		int64_t us = report_number(s, "took_us");

		table_cell(t, "%s", report_text(s, "step"));
		table_cell(t, "%s", report_text(s, "result"));
		table_cell(t, "%s", clock_interval(us < 0 ? 0 : us, took));
		table_cell(t, "%.300s", report_text(s, "detail"));
	}
	table_print(t, stdout);
}

/* Of a drill in isolation. */
static void
print_recovery(const json_t *report)
{
	const json_t *target = json_object_get(report, "target");

	(void)printf("backup    %s\nposition  %s\nreplic.   %s\ncleanup   %s\n",
	    report_text(target, "backup"), report_text(target, "position"),
	    report_text(json_object_get(report, "replication"), "verdict"),
	    report_text(json_object_get(report, "cleanup"), "verdict"));
}

void
drill_print_report(const json_t *report)
{
	const json_t *list = json_object_get(report, "not_tested");
	size_t i;

	(void)printf("report    %s\nresult    %s: %s\n",
	    report_text(report, "id"), report_text(report, "result"),
	    report_text(report, "verdict"));
	if (json_is_false(json_object_get(report, "isolated")))
		(void)printf("isolation NOT ISOLATED\n");
	print_measure(report, "rpo", "RPO");
	print_measure(report, "rto", "RTO");
	if (strcmp(report_text(report, "kind"), "live") == 0)
		live_drill_print(report);
	else
		print_recovery(report);
	(void)printf("\n");
	print_steps(report);
	(void)printf("\nnot tested\n");
	for (i = 0; i < json_array_size(list); i++)
		(void)printf(
		    "  %s\n", json_string_value(json_array_get(list, i)));
}

void
drill_print_result(struct cli *cli, json_t *report)
{
	json_t *j;

	if (!cli->json) {
		drill_print_report(report);
		return;
	}
	j = json_object();
	(void)json_object_set(j, "drill", report);
	cli_print_json(cli, j);
}
