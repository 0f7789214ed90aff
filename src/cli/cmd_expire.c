#include "base/size.h"
#include "cli/cli.h"
#include "jobs/jobs.h"

static void
print_items(const struct expire_result *r, bool dry_run, bool explain)
{
	char bytes[SIZE_TEXT_BYTES];
	bool any = false;
	size_t i;

	for (i = 0; i < r->count; i++) {
		any |= r->items[i].removed;
		if (r->items[i].removed || explain)
			(void)printf("%s %s: %s\n",
			    !r->items[i].removed ? "keep"
				: dry_run	 ? "would remove"
						 : "removed",
			    r->items[i].object, r->items[i].why);
	}
	if (!any) {
		(void)printf("nothing to remove\n");
		return;
	}
	(void)printf("%s %llu backup%s, %llu pack%s, %llu WAL segment%s, %s\n",
	    dry_run ? "would remove" : "removed",
	    (unsigned long long)r->backups, PLURAL(r->backups),
	    (unsigned long long)r->packs, PLURAL(r->packs),
	    (unsigned long long)r->wal_segments, PLURAL(r->wal_segments),
	    size_text(r->bytes, bytes));
}

static void
print_json(struct cli *cli, const struct expire_result *r, bool dry_run)
{
	json_t *j = json_object(), *a = json_array();
	size_t i;

	(void)json_object_set_new(j, "dry_run", json_boolean(dry_run));
	json_set_u64(j, "backups", r->backups);
	json_set_u64(j, "packs", r->packs);
	json_set_u64(j, "wal_segments", r->wal_segments);
	json_set_u64(j, "bytes", r->bytes);
	for (i = 0; i < r->count; i++) {
		json_t *o = json_object();

		json_set_str(o, "object", r->items[i].object);
		(void)json_object_set_new(
		    o, "removed", json_boolean(r->items[i].removed));
		json_set_str(o, "why", r->items[i].why);
		(void)json_array_append_new(a, o);
	}
	(void)json_object_set_new(j, "items", a);
	cli_print_json(cli, j);
}

int
cmd_expire(struct cli *cli, int argc, char *argv[], struct err *e)
{
	bool dry_run = false, explain = false;
	const struct cli_option options[] = {
		{ "dry-run", NULL, "say what would go and remove nothing",
		    CLI_FLAG, &dry_run },
		{ "explain", NULL, "say of each object why it stays", CLI_FLAG,
		    &explain },
	};
	const char *args[1];
	const struct cluster_settings *c;
	struct expire_result r;
	int rc;

	if (cli_parse(cli, argc, argv, options, COUNT_OF(options), args, 0, 1,
		NULL, e) == -1)
		return -1;
	c = cli_cluster(cli, args[0], e);
	if (c == NULL)
		return -1;
	rc = expire_run(cli->settings, c, dry_run, &r, e);
	if (rc == 0 && cli->json)
		print_json(cli, &r, dry_run);
	else if (rc == 0)
		print_items(&r, dry_run, explain);
	expire_result_free(&r);
	return rc;
}
