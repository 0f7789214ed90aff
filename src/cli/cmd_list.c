/*
 * cmd_list: backups, and the windows of time that can be recovered.
 */

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/size.h"
#include "cli/cli.h"
#include "repo/manifest.h"
#include "repo/target.h"

static json_t *
backup_json(const struct root *r)
{
	json_t *j = json_object();
	char text[CLOCK_TEXT_BYTES], lsn[LSN_TEXT_BYTES];

	json_set_str(j, "backup", r->id);
	json_set_str(j, "finished", clock_utc(r->finished_us, text));
	json_set_str(j, "start_lsn", lsn_text(r->start_lsn, lsn));
	json_set_str(j, "stop_lsn", lsn_text(r->stop_lsn, lsn));
	json_set_u64(j, "timeline", r->stop_timeline);
	json_set_u64(j, "version_num", (uint64_t)r->facts.version_num);
	json_set_u64(j, "files", r->files);
	json_set_u64(j, "bytes", r->bytes);
	json_set_u64(j, "new_bytes", r->new_bytes);
	json_set_u64(j, "stored_bytes", r->stored_bytes);
	json_set_u64(j, "damaged_pages", r->damaged_pages);
	(void)json_object_set_new(
	    j, "from_standby", json_boolean(r->from_standby));
	return j;
}

static void
backup_row(struct table *t, const struct root *r)
{
	char when[CLOCK_TEXT_BYTES], size[SIZE_TEXT_BYTES],
	    stored[SIZE_TEXT_BYTES], lsn[LSN_TEXT_BYTES],
	    took[CLOCK_TEXT_BYTES];

	table_cell(t, "%s", r->id);
	table_cell(t, "%.19s", clock_local(r->finished_us, when));
	table_cell(
	    t, "%s", clock_interval(r->finished_us - r->started_us, took));
	table_cell(t, "%s", size_text(r->bytes, size));
	table_cell(t, "%s", size_text(r->stored_bytes, stored));
	table_cell(t, "%u", r->stop_timeline);
	table_cell(t, "%s", lsn_text(r->stop_lsn, lsn));
	if (r->damaged_pages > 0)
		table_cell(t, "%llu damaged pages",
		    (unsigned long long)r->damaged_pages);
	else
		table_cell(t, "%s", r->from_standby ? "from a standby" : "");
}

/* A backup whose root cannot be read is a row too: it must not look as if it
 * were not there. */
static int
list_backups(const struct lineage *l, struct table *t, json_t *array,
    struct err *damage, struct err *e)
{
	char **ids = NULL;
	size_t count, i;
	struct err one = ERR_INIT;

	if (backup_list(l, &ids, &count, e) == -1)
		return -1;
	for (i = 0; i < count; i++) {
		AUTO_ROOT struct root r;

		if (root_read(l, ids[i], &r, &one) == -1) {
			log_error("backup_unreadable", &one);
			*damage = one;
			continue;
		}
		if (t != NULL)
			backup_row(t, &r);
		else
			(void)json_array_append_new(array, backup_json(&r));
	}
	if (t != NULL && count == 0)
		(void)printf("no backups yet\n");
	store_names_free(ids);
	return 0;
}

static json_t *
window_json(const struct window *w)
{
	json_t *j = json_object();
	char text[CLOCK_TEXT_BYTES], lsn[LSN_TEXT_BYTES];

	json_set_u64(j, "timeline", w->timeline);
	json_set_str(j, "from", clock_utc(w->from_us, text));
	json_set_str(j, "to", clock_utc(w->to_us, text));
	json_set_str(j, "from_lsn", lsn_text(w->from_lsn, lsn));
	json_set_str(j, "to_lsn", lsn_text(w->to_lsn, lsn));
	json_set_str(j, "backup", w->backup_id);
	(void)json_object_set_new(j, "live", json_boolean(w->live));
	(void)json_object_set_new(
	    j, "hole_behind", json_boolean(w->hole_behind));
	return j;
}

static void
print_windows(const struct window *w, size_t count)
{
	char from[CLOCK_TEXT_BYTES], to[CLOCK_TEXT_BYTES], a[LSN_TEXT_BYTES],
	    b[LSN_TEXT_BYTES];
	size_t i;

	if (count > 0)
		(void)printf("\nrecoverable:\n");
	for (i = 0; i < count; i++) {
		if (i > 0 && w[i].timeline == w[i - 1].timeline)
			(void)printf("  HOLE  from %s to %s\n",
			    lsn_text(w[i - 1].to_lsn, a),
			    lsn_text(w[i].from_lsn, b));
		(void)printf("  %.19s to %.19s  (timeline %u, %s to %s%s)\n",
		    clock_local(w[i].from_us, from),
		    clock_local(w[i].to_us, to), w[i].timeline,
		    lsn_text(w[i].from_lsn, a), lsn_text(w[i].to_lsn, b),
		    w[i].live ? ", growing" : "");
		if (w[i].hole_behind &&
		    (i + 1 == count || w[i + 1].timeline != w[i].timeline))
			(void)printf(
			    "  HOLE  from %s on: only a new backup opens the WAL "
			    "behind it\n",
			    lsn_text(w[i].to_lsn, a));
	}
}

static int
list_lineage(struct cli *cli, const struct lineage *l, json_t *out,
    struct err *damage, struct err *e)
{
	static const char *const heads[] = { "BACKUP", "FINISHED", "TOOK",
		">SIZE", ">STORED", ">TLI", "STOP", "" };
	AUTO_TABLE struct table *t =
	    cli->json ? NULL : table_new(heads, COUNT_OF(heads));
	AUTO_FREE struct window *windows = NULL;
	json_t *backups = json_array(), *spans = json_array();
	size_t count = 0, i;

	(void)json_object_set_new(out, "backups", backups);
	(void)json_object_set_new(out, "recoverable", spans);
	json_set_str(out, "cluster", l->cluster);
	json_set_str(out, "lineage", l->name);
	if (list_backups(l, t, backups, damage, e) == -1 ||
	    windows_list(l, &windows, &count, e) == -1)
		return -1;
	if (t != NULL) {
		table_print(t, stdout);
		print_windows(windows, count);
	}
	for (i = 0; i < count; i++)
		(void)json_array_append_new(spans, window_json(&windows[i]));
	return 0;
}

int
cmd_list(struct cli *cli, int argc, char *argv[], struct err *e)
{
	const char *args[1], *lineage = NULL;
	const struct cli_option options[] = {
		{ "lineage", "NAME", "an older history of the cluster",
		    CLI_TEXT, &lineage },
	};
	const struct cluster_settings *c;
	AUTO_REPO struct repo *r = NULL;
	struct lineage l;
	struct err damage = ERR_INIT;
	json_t *out = NULL;

	if (cli_parse(cli, argc, argv, options, COUNT_OF(options), args, 0, 1,
		NULL, e) == -1)
		return -1;
	c = cli_cluster(cli, args[0], e);
	if (c == NULL || (r = cli_repo(cli, e)) == NULL ||
	    lineage_open(r, c->name, lineage, &l, e) == -1)
		return -1;
	out = json_object();
	if (list_lineage(cli, &l, out, &damage, e) == -1) {
		json_decref(out);
		return -1;
	}
	if (cli->json)
		cli_print_json(cli, out);
	else
		json_decref(out);
	if (damage.kind != ERR_NONE) {
		*e = damage;
		return -1;
	}
	return 0;
}
