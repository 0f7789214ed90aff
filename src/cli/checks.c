#include "cli/checks.h"

#include <string.h>

static const char *const verdicts[] = { "ok", "note", "warning", "FAULT" };

static void
print(const char *cluster, const struct check_result *r)
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

static json_t *
result_json(const char *cluster, const struct check_result *r)
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

int
checks_run(struct cli *cli, int argc, char *argv[], checks_fn *fn,
    const char *bad, struct err *e)
{
	AUTO_JSON json_t *out = json_object();
	json_t *all = json_array();
	const char *args[1];
	unsigned int faults = 0;
	size_t i;

	(void)json_object_set_new(out, "clusters", all);
	if (cli_parse(cli, argc, argv, NULL, 0, args, 0, 1, NULL, e) == -1 ||
	    (args[0] != NULL && cli_cluster(cli, args[0], e) == NULL))
		return -1;
	for (i = 0; i < cli->settings->cluster_count; i++) {
		const struct cluster_settings *c = &cli->settings->clusters[i];
		struct check_result r;

		if (args[0] != NULL && strcmp(args[0], c->name) != 0)
			continue;
		if (fn(cli->settings, c, &r, e) == -1)
			return -1;
		if (!cli->json)
			print(c->name, &r);
		(void)json_array_append_new(all, result_json(c->name, &r));
		faults += r.faults;
		check_result_free(&r);
	}
	if (cli->json)
		cli_print_json(cli, steal_ptr(&out));
	return faults == 0 ? 0
			   : err_set(e, ERR_REFUSED, "%s: %u fault%s", bad,
				 faults, PLURAL(faults));
}
