#include "base/clock.h"
#include "base/size.h"
#include "cli/cli.h"
#include "jobs/jobs.h"

static void
print_result(struct cli *cli, const struct backup_result *r)
{
	char size[SIZE_TEXT_BYTES], fresh[SIZE_TEXT_BYTES],
	    stored[SIZE_TEXT_BYTES], took[CLOCK_TEXT_BYTES];
	json_t *j;

	if (!cli->json) {
		(void)printf("backup %s: %s in %llu files, %s of them new, "
			     "stored as %s in %s\n",
		    r->id, size_text(r->bytes, size),
		    (unsigned long long)r->files,
		    size_text(r->new_bytes, fresh),
		    size_text(r->stored_bytes, stored),
		    clock_interval(r->elapsed_us, took));
		if (r->damaged_pages > 0)
			(void)printf("%llu page%s damaged in the cluster; the "
				     "backup has what is there\n",
			    (unsigned long long)r->damaged_pages,
			    r->damaged_pages == 1 ? " is" : "s are");
		return;
	}
	j = json_object();
	json_set_str(j, "backup", r->id);
	json_set_u64(j, "files", r->files);
	json_set_u64(j, "bytes", r->bytes);
	json_set_u64(j, "new_bytes", r->new_bytes);
	json_set_u64(j, "stored_bytes", r->stored_bytes);
	json_set_u64(j, "damaged_pages", r->damaged_pages);
	json_set_u64(j, "elapsed_us", (uint64_t)r->elapsed_us);
	cli_print_json(cli, j);
}

int
cmd_backup(struct cli *cli, int argc, char *argv[], struct err *e)
{
	bool spread = false;
	const struct cli_option options[] = {
		{ "spread", NULL,
		    "let the server take its time for the first checkpoint",
		    CLI_FLAG, &spread },
	};
	const char *args[1];
	const struct cluster_settings *c;
	struct cluster_settings now;
	struct backup_result r;

	if (cli_parse(cli, argc, argv, options, COUNT_OF(options), args, 0, 1,
		NULL, e) == -1)
		return -1;
	c = cli_cluster(cli, args[0], e);
	if (c == NULL)
		return -1;
	now = *c; /* who types the command waits for it */
	now.fast_checkpoint = !spread;
	if (backup_run(cli->settings, &now, &r, e) == -1)
		return -1;
	print_result(cli, &r);
	if (r.damaged_pages > 0) {
		(void)err_set(e, ERR_CORRUPT,
		    "%llu damaged page%s in cluster \"%s\"",
		    (unsigned long long)r.damaged_pages,
		    PLURAL(r.damaged_pages), c->name);
		return err_hint(e,
		    "The backup is kept. Look at them with pg_amcheck and "
		    "restore these relations from an older backup.");
	}
	return 0;
}
