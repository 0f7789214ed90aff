/*
 * cmd_status: one screen: how things are, and the next command to type.
 * With --history: how they were (status_history.c).
 */

#include <string.h>

#include "base/clock.h"
#include "base/show.h"
#include "base/size.h"
#include "cli/cli.h"
#include "cli/status_history.h"
#include "jobs/control.h"
#include "jobs/skew.h"
#include "repo/manifest.h"

#define ASK_MS 5000

static const char *
ago(int64_t us, int64_t now_us, char out[CLOCK_TEXT_BYTES + 8])
{
	char text[CLOCK_TEXT_BYTES];

	if (us == 0)
		return "never";
	(void)snprintf(out, CLOCK_TEXT_BYTES + 8, "%s ago",
	    clock_interval(now_us - us, text));
	return out;
}

/* With wal_ack = remote: do commits wait for the other site? */
static void
print_ack(const json_t *r)
{
	const char *ack = json_get_str(r, "ack");

	if (strcmp(ack, "degraded") == 0)
		(void)printf(
		    "            DEGRADED: the other site acknowledges "
		    "nothing; commits wait for this site alone\n");
	else if (ack[0] != '\0' && json_get_str(r, "ack_wait")[0] != '\0')
		(void)printf("            %s\n", json_get_str(r, "ack_wait"));
}

static void
print_receiver(const json_t *r)
{
	char lag[SIZE_TEXT_BYTES];

	if (r == NULL) {
		(void)printf("  WAL       not received now\n");
		return;
	}
	(void)printf("  WAL       %s", json_get_str(r, "state"));
	if (json_get_str(r, "flushed")[0] != '\0')
		(void)printf(", durable here up to %s, %s behind",
		    json_get_str(r, "flushed"),
		    size_text((uint64_t)json_get_int(r, "lag_bytes"), lag));
	(void)printf("\n");
	if (json_get_str(r, "error")[0] != '\0')
		(void)printf("            %s\n", json_get_str(r, "error"));
	print_ack(r);
}

/* is_to: by its role this site is a standby. */
static void
print_standby(const json_t *y, bool is_to)
{
	char behind[SIZE_TEXT_BYTES], late[CLOCK_TEXT_BYTES];
	const char *state = json_get_str(y, "state");

	if (strcmp(state, "promoted") == 0 && !is_to) {
		(void)printf(
		    "  standby   promoted: it is the server here now\n");
		return;
	}
	if (strcmp(state, "promoted") == 0 || strcmp(state, "foreign") == 0) {
		(void)printf("  standby   none: the server here was the "
			     "primary, and does not follow yet\n");
		return;
	}
	(void)printf("  standby   %s", state);
	if (json_get_str(y, "replayed")[0] != '\0')
		(void)printf(", timeline %lld, replayed up to %s, %s behind",
		    (long long)json_get_int(y, "timeline"),
		    json_get_str(y, "replayed"),
		    size_text(
			(uint64_t)json_get_int(y, "behind_bytes"), behind));
	if (json_object_get(y, "behind_us") != NULL)
		(void)printf(", %s late",
		    clock_interval(json_get_int(y, "behind_us"), late));
	if (json_get_str(y, "doing")[0] != '\0')
		(void)printf("\n            %s", json_get_str(y, "doing"));
	if (json_get_str(y, "error")[0] != '\0')
		(void)printf("\n            %s", json_get_str(y, "error"));
	(void)printf("\n");
}

static void
print_job(const char *name, const json_t *job, int64_t now_us)
{
	char when[CLOCK_TEXT_BYTES], text[CLOCK_TEXT_BYTES + 8];
	const json_t *p = json_object_get(job, "progress");

	if (json_get_int(job, "success_us") == 0)
		(void)printf("  %-9s not done by pgkurad yet", name);
	else
		(void)printf("  %-9s last success %s", name,
		    ago(json_get_int(job, "success_us"), now_us, text));
	if (json_is_true(json_object_get(job, "running")) && p != NULL &&
	    json_get_int(p, "total") > 0)
		(void)printf(", running: %lld %%",
		    (long long)(100 * json_get_int(p, "done") /
			json_get_int(p, "total")));
	else if (json_is_true(json_object_get(job, "running")))
		(void)printf(", running");
	else if (json_get_int(job, "next_us") != 0)
		(void)printf(", next %.16s",
		    clock_local(json_get_int(job, "next_us"), when));
	if (json_get_str(job, "error")[0] != '\0')
		(void)printf(
		    "\n            failed: %s", json_get_str(job, "error"));
	(void)printf("\n");
}

/* What was found damaged, and how it gets on. */
static void
print_damage(const json_t *d)
{
	int64_t rest = json_get_int(d, "hopeless") + json_get_int(d, "others");

	if (json_get_int(d, "wanted") + rest <= 0)
		return;
	(void)printf("  DAMAGE    %lld damaged or missing",
	    (long long)(json_get_int(d, "wanted") + rest));
	if (json_get_int(d, "wanted") > 0)
		(void)printf(", %lld asked for from other sites",
		    (long long)json_get_int(d, "wanted"));
	if (rest > 0)
		(void)printf(", %lld nowhere whole", (long long)rest);
	if (json_get_str(d, "first")[0] != '\0')
		(void)printf("\n            %s", json_get_str(d, "first"));
	(void)printf("\n");
}

/* Could it be brought up at this site? */
static void
print_ready(const json_t *ready)
{
	if (ready == NULL)
		return;
	if (json_get_int(ready, "faults") > 0)
		(void)printf("  ready     NO: %s: %s\n",
		    json_get_str(ready, "what"), json_get_str(ready, "found"));
	else if (json_get_int(ready, "warnings") > 0)
		(void)printf("  ready     yes, but %s: %s\n",
		    json_get_str(ready, "what"), json_get_str(ready, "found"));
	else
		(void)printf("  ready     yes\n");
}

#define TARGET_BYTES (CLOCK_TEXT_BYTES + 24)

/* " (target 1min: met)", or "" when there is none. */
static const char *
target_text(int64_t us, int64_t target_us, char out[TARGET_BYTES])
{
	char target[CLOCK_TEXT_BYTES];

	out[0] = '\0';
	if (target_us > 0)
		(void)snprintf(out, TARGET_BYTES, " (target %s: %s)",
		    clock_interval(target_us, target),
		    us <= target_us ? "met" : "missed");
	return out;
}

/* When it was last shown that the cluster can be brought back. */
static void
print_drill(
    const json_t *drill, const json_t *job, int64_t target_us, int64_t now_us)
{
	char text[CLOCK_TEXT_BYTES + 8], took[CLOCK_TEXT_BYTES],
	    when[CLOCK_TEXT_BYTES], target[TARGET_BYTES];

	if (drill == NULL && json_get_int(job, "next_us") == 0 &&
	    !json_is_true(json_object_get(job, "running")))
		return;
	if (json_get_int(drill, "passed_us") == 0)
		(void)printf("  drill     none has passed yet");
	else
		(void)printf("  drill     passed %s, RTO %s%s",
		    ago(json_get_int(drill, "passed_us"), now_us, text),
		    clock_interval(json_get_int(drill, "rto_us"), took),
		    target_text(
			json_get_int(drill, "rto_us"), target_us, target));
	if (json_is_true(json_object_get(job, "running")))
		(void)printf(", running");
	else if (json_get_int(job, "next_us") != 0)
		(void)printf(", next %.16s",
		    clock_local(json_get_int(job, "next_us"), when));
	if (json_get_str(drill, "result")[0] != '\0' &&
	    strcmp(json_get_str(drill, "result"), "passed") != 0)
		(void)printf("\n            the last has %s: %s",
		    strcmp(json_get_str(drill, "result"), "failed") == 0
			? "failed"
			: "been stopped",
		    json_get_str(drill, "id"));
	if (json_get_int(drill, "faults") > 0)
		(void)printf("\n            %lld reports are not as written",
		    (long long)json_get_int(drill, "faults"));
	(void)printf("\n");
}

/* In operation: one that runs, or will. */
static void
print_live(const json_t *job)
{
	char when[CLOCK_TEXT_BYTES];

	if (json_is_true(json_object_get(job, "running")))
		(void)printf("  live      a live drill is running\n");
	else if (json_get_int(job, "next_us") != 0)
		(void)printf("  live      the next live drill %.16s\n",
		    clock_local(json_get_int(job, "next_us"), when));
}

static void
print_rule(const json_t *r)
{
	char left[CLOCK_TEXT_BYTES];

	if (r == NULL)
		return;
	(void)printf("  role      %s, term %lld, %s%s%s",
	    json_get_str(r, "role"), (long long)json_get_int(r, "held"),
	    json_get_str(r, "state"),
	    json_get_str(r, "reason")[0] == '\0' ? "" : ": ",
	    json_get_str(r, "reason"));
	if (json_object_get(r, "hold_left_us") != NULL)
		(void)printf(", failover in %s",
		    clock_interval(json_get_int(r, "hold_left_us"), left));
	if (strcmp(json_get_str(r, "role"), "standby") == 0 &&
	    json_is_false(json_object_get(r, "promotable")))
		(void)printf(", could not take over");
	else if (strcmp(json_get_str(r, "role"), "standby") == 0 &&
	    json_get_int(r, "rpo_us") >= 0)
		(void)printf(", a failover now loses at most %s",
		    clock_interval(json_get_int(r, "rpo_us"), left));
	if (json_get_str(r, "doing")[0] != '\0')
		(void)printf("\n            %s", json_get_str(r, "doing"));
	(void)printf("\n");
}

/* Backups are not taken where no server is. */
static bool
is_elsewhere(const json_t *c, const json_t *job, const char *name)
{
	return strcmp(name, "backup") == 0 &&
	    json_get_int(job, "success_us") == 0 &&
	    json_get_str(c, "comes_from")[0] != '\0';
}

static void
print_cluster(const json_t *c, int64_t now_us)
{
	const json_t *gap = json_object_get(c, "gap"),
		     *standby = json_object_get(c, "standby"),
		     *rule = json_object_get(c, "rule"),
		     *jobs = json_object_get(c, "jobs"), *job;
	bool is_to = strcmp(json_get_str(rule, "role"), "standby") == 0;
	const char *names[] = { "backup", "verify", "expire" };
	char text[CLOCK_TEXT_BYTES + 8];
	size_t i;

	(void)printf("\ncluster %s\n", json_get_str(c, "name"));
	if (json_get_str(c, "votes_for")[0] != '\0') {
		print_rule(rule);
		return; /* it votes, and stores nothing */
	}
	if (json_get_int(c, "backups") == 0)
		(void)printf("  backups   none yet\n");
	else
		(void)printf("  backups   %lld, the newest %s (%s)\n",
		    (long long)json_get_int(c, "backups"),
		    json_get_str(c, "newest_backup"),
		    ago(json_get_int(c, "newest_backup_us"), now_us, text));
	if (json_get_str(c, "comes_from")[0] != '\0')
		(void)printf(
		    "  server    none at this site: it comes from %s\n",
		    json_get_str(c, "comes_from"));
	else if (is_to)
		(void)printf("  WAL       from the other site\n");
	else
		print_receiver(json_object_get(c, "receiver"));
	print_rule(rule);
	/* Of the primary the folder of a standby to be is the server's own. */
	if (standby != NULL &&
	    (json_get_str(c, "comes_from")[0] != '\0' || is_to ||
		strcmp(json_get_str(standby, "state"), "foreign") != 0))
		print_standby(standby, is_to);
	if (gap != NULL)
		(void)printf("  GAP       timeline %lld, %s to %s\n",
		    (long long)json_get_int(gap, "timeline"),
		    json_get_str(gap, "from"), json_get_str(gap, "to"));
	print_damage(json_object_get(c, "damage"));
	for (i = 0; i < COUNT_OF(names); i++)
		if ((job = json_object_get(jobs, names[i])) != NULL &&
		    !is_elsewhere(c, job, names[i]))
			print_job(names[i], job, now_us);
	print_ready(json_object_get(c, "ready"));
	print_drill(json_object_get(c, "drill"), json_object_get(jobs, "drill"),
	    json_get_int(c, "rto_target_us"), now_us);
	print_live(json_object_get(jobs, "drill_live"));
}

/* ", durable there up to 0/3000060, 1.2 MB behind", or "in step"; with no link by what
 * was heard last */
static void
print_behind(const json_t *o, const char *where, bool up)
{
	const char *committed = json_get_str(o, "committed"),
		   *had = json_get_str(o, "had");
	char size[SIZE_TEXT_BYTES];

	if (committed[0] != '\0')
		(void)printf(", durable %s up to %s, ", where, committed);
	else if (had[0] != '\0')
		(void)printf(", was durable %s up to %s, ", where, had);
	else
		return;
	if (json_get_int(o, "behind_bytes") == 0)
		(void)printf("in step%s", up ? "" : " when last heard");
	else
		(void)printf("%s behind",
		    size_text((uint64_t)json_get_int(o, "behind_bytes"), size));
}

/* "\n            2.10 MB/s, 3.2 : 1 compressed, in step in 4min 5s" */
static void
print_course(const json_t *o)
{
	char rate[SIZE_TEXT_BYTES], left[CLOCK_TEXT_BYTES];
	int64_t wal = json_get_int(o, "wal_bytes_per_s"),
		objects = json_get_int(o, "object_bytes_per_s"),
		plain = json_get_int(o, "wal_plain_bytes"),
		sent = json_get_int(o, "wal_sent_bytes");

	if (json_get_str(o, "committed")[0] == '\0')
		return;
	(void)printf(
	    "\n            %s/s of WAL", size_text((uint64_t)wal, rate));
	if (plain > 0 && sent > 0)
		(void)printf(
		    " (compressed %.1f : 1)", (double)plain / (double)sent);
	if (objects > 0)
		(void)printf(
		    ", %s/s of backups", size_text((uint64_t)objects, rate));
	if (json_is_true(json_object_get(o, "measuring")))
		(void)printf(", measuring");
	else if (json_object_get(o, "eta_us") == NULL)
		(void)printf(", it does not catch up at this rate");
	else if (json_get_int(o, "eta_us") > 0)
		(void)printf(", in step in %s",
		    clock_interval(json_get_int(o, "eta_us"), left));
}

/* Of the cluster that a ship or an accept is of. */
static int64_t
rpo_target(const json_t *clusters, const json_t *course)
{
	const json_t *c;
	size_t i;

	json_array_foreach(clusters, i, c)
	{
		if (strcmp(json_get_str(c, "name"),
			json_get_str(course, "cluster")) == 0)
			return json_get_int(c, "rpo_target_us");
	}
	return 0;
}

static void
print_ship(const json_t *o, int64_t target_us, int64_t now_us, bool up)
{
	char size[SIZE_TEXT_BYTES], late[CLOCK_TEXT_BYTES],
	    target[TARGET_BYTES];
	int64_t since_us = json_get_int(o, "lacking_since_us");

	(void)printf("  sends     %s: %s", json_get_str(o, "cluster"),
	    json_get_str(o, "state"));
	print_behind(o, "there", up);
	print_course(o);
	if (since_us > 0)
		(void)printf("\n            the loss of this site now would "
			     "lose up to %s%s",
		    clock_interval(now_us - since_us, late),
		    target_text(now_us - since_us, target_us, target));
	if (json_get_str(o, "backup")[0] != '\0')
		(void)printf("\n            backup %s is on its way, %s left",
		    json_get_str(o, "backup"),
		    size_text(
			(uint64_t)json_get_int(o, "backup_bytes_left"), size));
	else if (json_get_str(o, "newest_backup")[0] == '\0')
		(void)printf("\n            no backup is there yet: that site "
			     "can restore nothing");
	if (json_get_str(o, "why")[0] != '\0')
		(void)printf("\n            %s", json_get_str(o, "why"));
	(void)printf("\n");
}

static void
print_accept(const json_t *o, int64_t target_us, int64_t late_us, bool up)
{
	char late[CLOCK_TEXT_BYTES], target[TARGET_BYTES];
	int64_t source_us = json_get_int(o, "source_us");

	(void)printf("  takes     %s: %s", json_get_str(o, "cluster"),
	    json_get_str(o, "state"));
	print_behind(o, "here", up);
	print_course(o);
	if (json_object_get(o, "zero_loss_proved_for_us") != NULL)
		(void)printf(
		    "\n            proved: a failover now would lose no "
		    "commit that waited for this site");
	else if (source_us > 0)
		(void)printf(
		    "\n            a failover now would lose up to %s%s",
		    clock_interval(late_us < 0 ? 0 : late_us, late),
		    target_text(late_us, target_us, target));
	if (json_get_str(o, "why")[0] != '\0')
		(void)printf("\n            %s", json_get_str(o, "why"));
	(void)printf("\n");
}

/* Whose clock is wrong enough to be told of. */
#define SKEW_US CLOCK_SECOND_US
/* A courier that says nothing for so long hangs: what it said last is not so now. */
#define SILENT_US (15 * CLOCK_SECOND_US)

static void
print_skew(const json_t *l)
{
	char text[CLOCK_TEXT_BYTES];
	int64_t skew_us = json_get_int(l, "skew_us");

	if (skew_us > SKEW_US || skew_us < -SKEW_US)
		(void)printf(", its clock is %s %s",
		    clock_interval(skew_us < 0 ? -skew_us : skew_us, text),
		    skew_us < 0 ? "behind" : "ahead");
}

static void
print_max_rate(const json_t *l)
{
	char text[SIZE_TEXT_BYTES];
	int64_t rate = json_get_int(l, "max_rate_bytes_per_s");

	if (rate > 0)
		(void)printf(
		    ", sends at most %s/s", size_text((uint64_t)rate, text));
}

static void
print_link(const json_t *l, const json_t *clusters)
{
	int64_t age_us = show_age_us(l);
	char ago_text[CLOCK_TEXT_BYTES];
	const json_t *path, *one;
	bool up = json_is_true(json_object_get(l, "up"));
	size_t i;

	if (age_us > SILENT_US) {
		(void)printf("  link      not known: its courier has said "
			     "nothing for %s\n",
		    clock_interval(age_us, ago_text));
		return;
	}
	if (!up && json_object_get(l, "heard_ago_us") != NULL)
		(void)printf("  link      DOWN, last heard %s ago",
		    clock_interval(json_get_int(l, "heard_ago_us"), ago_text));
	else
		(void)printf("  link      %s%s%s", up ? "up" : "DOWN",
		    json_get_str(l, "congestion")[0] == '\0' ? "" : ", ",
		    json_get_str(l, "congestion"));
	print_max_rate(l);
	print_skew(l);
	(void)printf("\n");
	json_array_foreach(json_object_get(l, "paths"), i, path)
	{
		(void)printf("  path %zu    %s %s, %.1f ms, %lld lanes", i + 1,
		    json_is_true(json_object_get(path, "up")) ? "up" : "DOWN",
		    json_get_str(path, "remote"),
		    (double)json_get_int(path, "rtt_us") / 1000,
		    (long long)json_get_int(path, "lanes"));
		/* What kept it from coming up before is over. */
		if (!json_is_true(json_object_get(path, "up")) &&
		    json_get_str(path, "error")[0] != '\0')
			(void)printf(": %s", json_get_str(path, "error"));
		(void)printf("\n");
	}
	json_array_foreach(json_object_get(l, "ships"), i, one)
	    print_ship(one, rpo_target(clusters, one), show_now_us(l), up);
	json_array_foreach(json_object_get(l, "accepts"), i, one)
	{
		print_accept(
		    one, rpo_target(clusters, one), skew_late_us(l, one), up);
	}
}

static void
print_peer(const json_t *p, const json_t *clusters)
{
	(void)printf("\npeer %s%s\n", json_get_str(p, "name"),
	    json_is_true(json_object_get(p, "witness")) ? " (witness)" : "");
	if (json_is_true(json_object_get(p, "paired")))
		(void)printf("  paired    key %s\n", json_get_str(p, "key"));
	else
		(void)printf("  %s\n", json_get_str(p, "error"));
	if (json_object_get(p, "link") != NULL)
		print_link(json_object_get(p, "link"), clusters);
}

static void
print_all(const json_t *reply)
{
	const json_t *health = json_object_get(reply, "health"),
		     *alarms = json_object_get(reply, "alarms"),
		     *repository = json_object_get(reply, "repository"),
		     *clusters = json_object_get(reply, "clusters"),
		     *peers = json_object_get(reply, "peers");
	char size[SIZE_TEXT_BYTES];
	size_t i;

	(void)printf("%s\n", json_get_str(health, "sentence"));
	if (json_get_str(health, "next")[0] != '\0')
		(void)printf("next: %s\n", json_get_str(health, "next"));
	(void)printf("\nsite %s, repository %s, %s free\n",
	    json_get_str(reply, "site"), json_get_str(repository, "url"),
	    size_text((uint64_t)json_get_int(repository, "free_bytes"), size));
	for (i = 0; i < json_array_size(alarms); i++)
		(void)printf("alarm %s: %s\n",
		    json_get_str(json_array_get(alarms, i), "name"),
		    json_get_str(json_array_get(alarms, i), "message"));
	for (i = 0; i < json_array_size(clusters); i++)
		print_cluster(json_array_get(clusters, i), clock_now_us());
	for (i = 0; i < json_array_size(peers); i++)
		print_peer(json_array_get(peers, i), clusters);
}

/* What can be said without the daemon. */
static void
print_without(struct cli *cli)
{
	struct err e = ERR_INIT;
	AUTO_REPO struct repo *r = cli_repo(cli, &e);
	size_t i, count;

	(void)printf("pgkurad is not running: no WAL is received and no backup "
		     "is scheduled.\nnext: systemctl start pgkurad\n");
	for (i = 0; r != NULL && i < cli->settings->cluster_count; i++) {
		const char *name = cli->settings->clusters[i].name;
		struct lineage l;
		char **ids = NULL;

		if (lineage_open(r, name, NULL, &l, &e) == -1 ||
		    backup_list(&l, &ids, &count, &e) == -1)
			(void)printf("\ncluster %s\n  %s\n", name, e.text);
		else if (count == 0)
			(void)printf(
			    "\ncluster %s\n  backups   none yet\n", name);
		else
			(void)printf("\ncluster %s\n  backups   %zu, the "
				     "newest %s\n",
			    name, count, ids[count - 1]);
		store_names_free(ids);
	}
	if (r == NULL)
		(void)printf("\n%s\n", e.text);
}

int
cmd_status(struct cli *cli, int argc, char *argv[], struct err *e)
{
	AUTO_JSON json_t *request = control_request("status");
	AUTO_JSON json_t *reply = NULL;
	struct status_history h = { 0 };
	bool history = false;
	const struct cli_option options[] = {
		{ "history", NULL, "how far behind copies at other sites were",
		    CLI_FLAG, &history },
		{ "since", "TIME", "with --history: from then on (default 1h)",
		    CLI_TEXT, &h.since },
		{ "csv", NULL, "with --history: comma-separated values",
		    CLI_FLAG, &h.csv },
	};
	const char *level;

	if (cli_parse(cli, argc, argv, options, COUNT_OF(options), NULL, 0, 0,
		NULL, e) == -1)
		return -1;
	if (history)
		return status_history(cli, &h, e);
	if (h.since != NULL || h.csv)
		return err_set(
		    e, ERR_USAGE, "--since and --csv belong to --history");
	reply = control_ask(cli->settings, request, ASK_MS, e);
	if (reply == NULL) {
		if (e->kind == ERR_NOT_FOUND && !cli->json)
			print_without(cli);
		return -1;
	}
	if (cli->json)
		cli_print_json(cli, json_incref(reply));
	else
		print_all(reply);
	level = json_get_str(json_object_get(reply, "health"), "level");
	if (strcmp(level, "ok") == 0)
		return 0;
	return err_set(e, ERR_REFUSED, "%s", level);
}
