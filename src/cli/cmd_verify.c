#include "base/size.h"
#include "cli/cli.h"
#include "jobs/jobs.h"

static void
print_text(const struct verify_result *r)
{
	char bytes[SIZE_TEXT_BYTES];
	size_t i;

	for (i = 0; i < r->finding_count; i++)
		(void)printf(
		    "%s: %s\n", r->findings[i].object, r->findings[i].what);
	(void)printf("%llu object%s, %s read: %zu damaged\n",
	    (unsigned long long)r->objects, PLURAL(r->objects),
	    size_text(r->bytes, bytes), r->finding_count);
	(void)fflush(stdout);
}

static json_t *
result_json(const struct verify_result *r)
{
	json_t *j = json_object(), *a = json_array();
	size_t i;

	json_set_u64(j, "objects", r->objects);
	json_set_u64(j, "bytes", r->bytes);
	for (i = 0; i < r->finding_count; i++) {
		json_t *o = json_object();

		json_set_str(o, "object", r->findings[i].object);
		json_set_str(o, "what", r->findings[i].what);
		(void)json_array_append_new(a, o);
	}
	(void)json_object_set_new(j, "findings", a);
	return j;
}

static void
print_healed(const struct verify_heal_result *h)
{
	size_t i;

	(void)printf("%zu object%s healed from another site\n", h->healed,
	    h->healed == 1 ? " was" : "s were");
	for (i = 0; i < h->left_count; i++)
		(void)printf("not healed: %s\n", h->left[i]);
}

static void
add_healed(json_t *j, const struct verify_heal_result *h)
{
	json_t *a = json_array();
	size_t i;

	json_set_u64(j, "healed", h->healed);
	for (i = 0; i < h->left_count; i++)
		(void)json_array_append_new(a, json_string(h->left[i]));
	(void)json_object_set_new(j, "not_healed", a);
	if (h->waits != NULL)
		json_set_str(j, "waits", h->waits);
}

static int
verdict(const struct verify_result *r, bool heal, const char *waits,
    const char *cluster, struct err *e)
{
	if (r->finding_count == 0)
		return 0;
	(void)err_set(e, ERR_CORRUPT, "%zu object%s damaged", r->finding_count,
	    r->finding_count == 1 ? " is" : "s are");
	if (waits != NULL)
		return err_hint(e,
		    "Not healed: %s. If that lasts, take a new backup.", waits);
	if (heal)
		return err_hint(e,
		    "No other site has these whole. Take a new backup now. "
		    "Backups that are not named above are sound.");
	return err_hint(e,
	    "Try \"pgkura verify %s --heal\" when another site has the "
	    "cluster, else take a new backup now. Backups that are not named "
	    "above are sound.",
	    cluster);
}

/* r is what was found, and becomes what is found still. */
static int
heal(struct cli *cli, const struct cluster_settings *c, const char *backup_id,
    bool complete, struct verify_result *r, struct err *e)
{
	struct verify_heal_result h = { 0 };
	json_t *j = cli->json ? result_json(r) : NULL;
	bool any = r->finding_count > 0;
	int rc;

	if (!cli->json)
		print_text(r);
	rc = verify_heal(cli->settings, c, backup_id, complete, r, &h, e);
	if (rc == 0 && cli->json) {
		add_healed(j, &h);
		cli_print_json(cli, steal_ptr(&j));
	} else if (rc == 0 && any) {
		print_healed(&h);
	}
	if (rc == 0)
		rc = verdict(r, true, h.waits, c->name, e);
	json_decref(j);
	verify_heal_result_free(&h);
	return rc;
}

int
cmd_verify(struct cli *cli, int argc, char *argv[], struct err *e)
{
	uint64_t sample = 100;
	bool mend = false;
	const struct cli_option options[] = {
		{ "sample", "PERCENT",
		    "read only this share, chosen anew each time", CLI_NUMBER,
		    &sample },
		{ "heal", NULL, "have what is damaged from another site",
		    CLI_FLAG, &mend },
	};
	const char *args[2];
	const struct cluster_settings *c;
	struct verify_result r = { 0 };
	int rc;

	if (cli_parse(cli, argc, argv, options, COUNT_OF(options), args, 0, 2,
		NULL, e) == -1)
		return -1;
	if (sample < 1 || sample > 100)
		return err_set(e, ERR_USAGE, "--sample takes 1 to 100");
	c = cli_cluster(cli, args[0], e);
	if (c == NULL)
		return -1;
	rc = verify_run(cli->settings, c, args[1], (unsigned int)sample, &r, e);
	if (rc == 0 && mend) {
		rc = heal(
		    cli, c, args[1], args[1] == NULL && sample == 100, &r, e);
	} else if (rc == 0) {
		if (cli->json)
			cli_print_json(cli, result_json(&r));
		else
			print_text(&r);
		rc = verdict(&r, false, NULL, c->name, e);
	}
	verify_result_free(&r);
	return rc;
}
