#include "base/size.h"
#include "cli/cli.h"
#include "jobs/jobs.h"

static void
print_result(struct cli *cli, const struct verify_result *r)
{
	json_t *j, *a;
	char bytes[SIZE_TEXT_BYTES];
	size_t i;

	if (!cli->json) {
		for (i = 0; i < r->finding_count; i++)
			(void)printf("%s: %s\n", r->findings[i].object,
			    r->findings[i].what);
		(void)printf("%llu object%s, %s read: %zu damaged\n",
		    (unsigned long long)r->objects, PLURAL(r->objects),
		    size_text(r->bytes, bytes), r->finding_count);
		return;
	}
	j = json_object();
	a = json_array();
	json_set_u64(j, "objects", r->objects);
	json_set_u64(j, "bytes", r->bytes);
	for (i = 0; i < r->finding_count; i++) {
		json_t *o = json_object();

		json_set_str(o, "object", r->findings[i].object);
		json_set_str(o, "what", r->findings[i].what);
		(void)json_array_append_new(a, o);
	}
	(void)json_object_set_new(j, "findings", a);
	cli_print_json(cli, j);
}

int
cmd_verify(struct cli *cli, int argc, char *argv[], struct err *e)
{
	uint64_t sample = 100;
	const struct cli_option options[] = {
		{ "sample", "PERCENT",
		    "read only this share, chosen anew each time", CLI_NUMBER,
		    &sample },
	};
	const char *args[2];
	const struct cluster_settings *c;
	struct verify_result r;
	size_t findings;

	if (cli_parse(cli, argc, argv, options, COUNT_OF(options), args, 0, 2,
		NULL, e) == -1)
		return -1;
	if (sample < 1 || sample > 100)
		return err_set(e, ERR_USAGE, "--sample takes 1 to 100");
	c = cli_cluster(cli, args[0], e);
	if (c == NULL ||
	    verify_run(
		cli->settings, c, args[1], (unsigned int)sample, &r, e) == -1)
		return -1;
	print_result(cli, &r);
	findings = r.finding_count;
	verify_result_free(&r);
	if (findings == 0)
		return 0;
	(void)err_set(e, ERR_CORRUPT, "%zu object%s damaged", findings,
	    findings == 1 ? " is" : "s are");
	return err_hint(e,
	    "Take a new backup now. Backups that are not named above are "
	    "sound.");
}
