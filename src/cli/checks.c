#include "cli/checks.h"

#include <string.h>

#include "cli/cli.h"

static const char *const verdicts[] = { "ok", "note", "warning", "FAULT" };

void
checks_print(const char *cluster, const struct check_result *r)
{
	static const char *const heads[] = { "", "CHECK", "FOUND" };
	AUTO_TABLE struct table *t = table_new(heads, COUNT_OF(heads));
	size_t i;

	(void)printf("cluster %s\n", cluster);
	for (i = 0; i < r->count; i++) {
		table_cell(t, "%s", verdicts[r->items[i].verdict]);
		table_cell(t, "%s", r->items[i].what);
		table_cell(t, "%s", r->items[i].found);
	}
	table_print(t, stdout);
	for (i = 0; i < r->count; i++)
		if (r->items[i].remedy != NULL)
			(void)printf("\n%s (%s):\n    %s\n", r->items[i].what,
			    verdicts[r->items[i].verdict], r->items[i].remedy);
}

json_t *
checks_json(const char *cluster, const struct check_result *r)
{
	json_t *j = json_object(), *a = json_array();
	size_t i;

	json_set_str(j, "cluster", cluster);
	json_set_u64(j, "faults", r->faults);
	json_set_u64(j, "warnings", r->warnings);
	for (i = 0; i < r->count; i++) {
		json_t *o = json_object();

		json_set_str(o, "verdict",
		    r->items[i].verdict == CHECK_FAULT
			? "fault"
			: verdicts[r->items[i].verdict]);
		json_set_str(o, "what", r->items[i].what);
		json_set_str(o, "found", r->items[i].found);
		if (r->items[i].remedy != NULL)
			json_set_str(o, "remedy", r->items[i].remedy);
		(void)json_array_append_new(a, o);
	}
	(void)json_object_set_new(j, "items", a);
	return j;
}
