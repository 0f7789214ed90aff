/*
 * sitejobs: src/jobs/promote.h and rejoin.h for test scripts; see driver.h.
 *
 *	sitejobs plan CLUSTER		what a promotion would lose
 *	sitejobs promote CLUSTER
 *	sitejobs rejoin CLUSTER		the old primary in standby_dir
 *	sitejobs failback CLUSTER	the same as the rule does it
 *
 * Settings are those of PGKURA_CONF.
 */

#include <inttypes.h>

#include "base/log.h"
#include "jobs/promote.h"
#include "jobs/rejoin.h"
#include "jobs/rule_int.h"
#include "programs/driver.h"

static void
put_lsn(const char *name, uint64_t lsn)
{
	char text[LSN_TEXT_BYTES];

	(void)printf("%s %s\n", name, lsn_text(lsn, text));
}

static void
progress(void *arg, const char *line)
{
	(void)arg;
	(void)fprintf(stderr, "# %s\n", line);
}

static int
promote(const char *cluster, bool plan_only, struct err *e)
{
	AUTO_SETTINGS struct settings *s = settings_load(NULL, e);
	const struct promote_options o = { .plan_only = plan_only,
		.progress = progress };
	const struct cluster_settings *c;
	struct promote_result r;
	unsigned int i;
	int rc;

	if (s == NULL)
		return -1;
	promote_adopt(s);
	c = settings_cluster(s, cluster, e);
	if (c == NULL)
		return -1;
	rc = promote_run(s, c, &o, &r, e);
	put_lsn("end", r.end_lsn);
	put_lsn("fork", r.fork_lsn);
	(void)printf("old_timeline %u\ntimeline %u\nloss_us %" PRId64
		     "\nloss_bytes %" PRId64 "\nlast_us %" PRId64
		     "\npromoted %d\nprobed %d\nelapsed_us %" PRId64 "\n",
	    r.old_timeline, r.timeline, r.loss_us, r.loss_bytes, r.last_us,
	    r.promoted, r.probed, r.elapsed_us);
	for (i = 0; i < PROMOTE_STEPS; i++)
		(void)printf("step.%u %" PRId64 " %s\n", i, r.step_us[i],
		    promote_step_name((enum promote_step)i));
	return rc;
}

static int
run_plan(int argc, char *argv[], struct err *e)
{
	(void)argc;
	return promote(argv[0], true, e);
}

static int
run_promote(int argc, char *argv[], struct err *e)
{
	(void)argc;
	return promote(argv[0], false, e);
}

static int
run_rejoin(int argc, char *argv[], struct err *e)
{
	AUTO_SETTINGS struct settings *s = settings_load(NULL, e);
	const struct cluster_settings *c;
	struct rejoin_result r;
	int rc;

	(void)argc;
	c = s == NULL ? NULL : settings_cluster(s, argv[0], e);
	if (c == NULL)
		return -1;
	rc = rejoin_run(s, c, NULL, &r, e);
	put_lsn("fork", r.fork_lsn);
	put_lsn("old_end", r.old_end_lsn);
	(void)printf("old_timeline %u\ntimeline %u\ndiverged_bytes %" PRIu64
		     "\ndiverged_commits %" PRIu64
		     "\nsalvaged %s\nkept %" PRIu64 "\nwritten %" PRIu64 "\n",
	    r.old_timeline, r.timeline, r.diverged_bytes, r.diverged_commits,
	    r.salvaged, r.kept_blocks, r.written_blocks);
	return rc;
}

static int
run_failback(int argc, char *argv[], struct err *e)
{
	AUTO_SETTINGS struct settings *s = settings_load(NULL, e);
	const struct cluster_settings *c;
	char result[300] = "";
	int rc;

	(void)argc;
	c = s == NULL ? NULL : settings_cluster(s, argv[0], e);
	if (c == NULL)
		return -1;
	rc = rule_work_rejoin(s, c, false, progress, NULL, result, e);
	(void)printf("result %s\n", result);
	return rc;
}

int
main(int argc, char *argv[])
{
	static const struct driver_command commands[] = {
		{ "plan", 1, run_plan },
		{ "promote", 1, run_promote },
		{ "rejoin", 1, run_rejoin },
		{ "failback", 1, run_failback },
	};

	log_setup(LOG_TEXT, LOG_LEVEL_INFO);
	return driver_main(
	    argc, argv, commands, sizeof(commands) / sizeof(commands[0]));
}
