/*
 * The plan of jobs: single verdicts, and months of virtual time in which a
 * little world of a daemon, its failures and its restarts follows the verdicts.
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/clock.h"
#include "conf/settings.h"
#include "daemon/plan.h"
#include "tap.h"

#define MINUTE (60 * CLOCK_SECOND_US)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static const int64_t start =
    1763694000 * CLOCK_SECOND_US; /* 2025-11-21 03:00 */

static struct plan
plan_of(const char *backup, const char *window, const char *verify)
{
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_SETTINGS struct settings *s = NULL;
	struct err e = ERR_INIT;
	struct plan p;

	buf_printf(&text,
	    "[pgkura]\nrepository=/r\n[cluster main]\nconninfo=host=a\n");
	if (backup != NULL)
		buf_printf(&text, "backup_schedule = %s\n", backup);
	if (window != NULL)
		buf_printf(&text, "backup_window = %s\n", window);
	if (verify != NULL)
		buf_printf(&text, "verify_schedule = %s\n", verify);
	s = settings_parse("test", buf_str(&text), text.len, &e);
	if (s == NULL)
		tap_bail("%s", e.text);
	plan_init(&p, &s->clusters[0]);
	return p;
}

/* All is known; one backup at the start. */
static struct plan_facts
facts_at_start(void)
{
	return (struct plan_facts){ .repository_known = true,
		.history_known = true,
		.backups = 1,
		.newest_backup_us = start,
		.since_us = start };
}

static void
check_backup(void)
{
	struct plan p = plan_of("0 3 * * *", NULL, NULL);
	struct plan_facts f = facts_at_start();
	struct plan_verdict v;

	v = plan_job(&p, &f, JOB_BACKUP, start + HOUR);
	tap_ok(!v.due && v.next_us == start + DAY,
	    "a backup is due a day after the last");
	v = plan_job(&p, &f, JOB_BACKUP, start + DAY);
	tap_ok(v.due && strcmp(v.why, "schedule") == 0, "and then it is");
	v = plan_job(&p, &f, JOB_BACKUP, start + 3 * DAY + HOUR);
	tap_ok(v.due && strcmp(v.why, "missed") == 0,
	    "missed ones are made up for");
	tap_ok(v.overdue, "and are overdue");
	f.newest_backup_us = start + 3 * DAY + HOUR;
	v = plan_job(&p, &f, JOB_BACKUP, start + 3 * DAY + HOUR + 1);
	tap_ok(!v.due && v.next_us == start + 4 * DAY,
	    "once: the next is at the regular time");
	f.newest_backup_us = start + 300 * DAY;
	v = plan_job(&p, &f, JOB_BACKUP, start + HOUR);
	tap_ok(!v.due && v.next_us == start + DAY,
	    "one from the future, by a clock that was set back, stops none");
	f.repository_known = false;
	v = plan_job(&p, &f, JOB_BACKUP, start + 9 * DAY);
	tap_ok(!v.due && v.next_us == 0 && !v.overdue,
	    "nothing is due while the repository has not been read");
}

static void
check_first_backup(void)
{
	struct plan p = plan_of("0 3 * * *", NULL, NULL);
	struct plan none = plan_of(NULL, NULL, NULL);
	struct plan_facts f = facts_at_start();
	struct plan_verdict v;

	f.backups = 0;
	f.newest_backup_us = 0;
	v = plan_job(&p, &f, JOB_BACKUP, start);
	tap_ok(v.due && strcmp(v.why, "first") == 0,
	    "a cluster without any backup gets one at once");
	v = plan_job(&none, &f, JOB_BACKUP, start);
	tap_ok(!v.due, "but none when nothing is scheduled");
}

static void
check_retry(void)
{
	struct plan p = plan_of("0 3 * * *", NULL, NULL);
	struct plan_facts f = facts_at_start();
	struct plan_verdict v;

	f.jobs[JOB_BACKUP].failure_us = start + DAY + MINUTE;
	v = plan_job(&p, &f, JOB_BACKUP, start + DAY + 2 * MINUTE);
	tap_ok(!v.due && v.next_us == start + DAY + MINUTE + PLAN_RETRY_US,
	    "a failed backup is tried again after a while");
	v = plan_job(&p, &f, JOB_BACKUP, start + DAY + MINUTE + PLAN_RETRY_US);
	tap_ok(v.due && strcmp(v.why, "retry") == 0, "and then it is");
	f.jobs[JOB_BACKUP].running = true;
	v = plan_job(&p, &f, JOB_BACKUP, start + 2 * DAY);
	tap_ok(!v.due && !v.overdue, "one that runs is not due");
}

static void
check_window(void)
{
	struct plan p = plan_of("every 6h", "22:00-05:00", NULL);
	struct plan_facts f = facts_at_start(); /* last one at 03:00 */
	struct plan_verdict v;

	v = plan_job(&p, &f, JOB_BACKUP, start + 7 * HOUR); /* 10:00 */
	tap_ok(!v.due && v.next_us == start + 19 * HOUR,
	    "out of its window a backup waits");
	tap_ok(!v.overdue, "and is not overdue for that");
	v = plan_job(&p, &f, JOB_BACKUP, start + 19 * HOUR);
	tap_ok(v.due, "in it, it is due");
	f.gap_us = start + 7 * HOUR;
	v = plan_job(&p, &f, JOB_BACKUP, start + 7 * HOUR);
	tap_ok(v.due && strcmp(v.why, "wal_gap") == 0,
	    "a gap in WAL does not wait for the window");
}

static void
check_gap(void)
{
	struct plan p = plan_of(NULL, NULL, NULL);
	struct plan_facts f = facts_at_start();
	struct plan_verdict v;

	f.gap_us = start + HOUR;
	v = plan_job(&p, &f, JOB_BACKUP, start + HOUR);
	tap_ok(v.due, "a gap is healed without a schedule, too");
	f.newest_backup_us = start + HOUR + 1;
	v = plan_job(&p, &f, JOB_BACKUP, start + 2 * HOUR);
	tap_ok(!v.due, "a backup that began after it heals it");
	f = facts_at_start();
	f.gap_us = start + HOUR;
	f.jobs[JOB_BACKUP].success_us = start + HOUR + 1;
	v = plan_job(&p, &f, JOB_BACKUP, start + 2 * HOUR);
	tap_ok(!v.due, "also before the watcher has seen it");
	f = facts_at_start();
	f.gap_us = start + HOUR;
	f.jobs[JOB_BACKUP].failure_us = start + HOUR + MINUTE;
	v = plan_job(&p, &f, JOB_BACKUP, start + HOUR + 2 * MINUTE);
	tap_ok(
	    !v.due && v.next_us != 0, "a failed attempt is made again later");
	f = facts_at_start();
	f.backups = 0;
	f.gap_us = start + HOUR;
	v = plan_job(&p, &f, JOB_BACKUP, start + 2 * HOUR);
	tap_ok(!v.due, "where there is no backup, there is nothing to heal");
}

static void
check_expire(void)
{
	struct plan p = plan_of(NULL, NULL, NULL);
	struct plan_facts f = facts_at_start();
	struct plan_verdict v;

	v = plan_job(&p, &f, JOB_EXPIRE, start + HOUR);
	tap_ok(v.due, "expire is due after a backup");
	f.jobs[JOB_BACKUP].running = true;
	tap_ok(!plan_job(&p, &f, JOB_EXPIRE, start + HOUR).due,
	    "not while one runs");
	f.jobs[JOB_BACKUP].running = false;
	f.jobs[JOB_EXPIRE].success_us = start + HOUR;
	tap_ok(!plan_job(&p, &f, JOB_EXPIRE, start + 9 * DAY).due,
	    "once for each backup");
	f.newest_backup_us = start + 2 * HOUR;
	tap_ok(plan_job(&p, &f, JOB_EXPIRE, start + 2 * HOUR).due,
	    "also for one that was taken by hand");
	f.history_known = false;
	tap_ok(!plan_job(&p, &f, JOB_EXPIRE, start + 2 * HOUR).due,
	    "it waits for the history");
}

static void
check_verify(void)
{
	struct plan weekly = plan_of(NULL, NULL, "0 12 * * sun");
	struct plan every = plan_of(NULL, NULL, "every 7d");
	struct plan_facts f = facts_at_start(); /* a Friday */
	struct plan_verdict v;

	v = plan_job(&weekly, &f, JOB_VERIFY, start + HOUR);
	tap_ok(!v.due && v.next_us == start + 2 * DAY + 9 * HOUR,
	    "the first verification comes at its regular time");
	f.jobs[JOB_VERIFY].success_us = start - 20 * DAY;
	tap_ok(plan_job(&weekly, &f, JOB_VERIFY, start + HOUR).due,
	    "a missed one is made up for");
	f.jobs[JOB_VERIFY].success_us = 0;
	tap_ok(plan_job(&every, &f, JOB_VERIFY, start + HOUR).due,
	    "one that is to come every week comes first at once");
	f.backups = 0;
	tap_ok(!plan_job(&every, &f, JOB_VERIFY, start + HOUR).due,
	    "where there is nothing, there is nothing to verify");
}

/* It is in operation: at its time or not at all. */
static void
check_live(void)
{
	struct plan p = plan_of(NULL, NULL, NULL);
	struct plan_facts f = facts_at_start(); /* a Friday, 3:00 */
	struct job_record *r = &f.jobs[JOB_DRILL_LIVE];
	const int64_t due = start + 2 * DAY + 9 * HOUR;
	struct plan_verdict v;

	tap_ok(!plan_job(&p, &f, JOB_DRILL_LIVE, start + 900 * DAY).due,
	    "without a schedule there are no live drills");
	p.has_live = schedule_parse(&p.live, "0 12 * * sun", NULL) == 0;
	v = plan_job(&p, &f, JOB_DRILL_LIVE, start + HOUR);
	tap_ok(!v.due && v.next_us == due, "one comes at its time");
	tap_ok(!plan_job(&p, &f, JOB_DRILL_LIVE, due - 1).due, "not before");
	tap_ok(plan_job(&p, &f, JOB_DRILL_LIVE, due + 4 * MINUTE).due,
	    "a little late");
	v = plan_job(&p, &f, JOB_DRILL_LIVE, due + 6 * MINUTE);
	tap_ok(!v.due && v.next_us == due + 7 * DAY,
	    "what was missed is not made up for");
	f.live_us = due + 1;
	tap_ok(!plan_job(&p, &f, JOB_DRILL_LIVE, due + MINUTE).due,
	    "one that was skipped is not tried again");
	f.live_us = 0;
	r->started_us = due + 1;
	r->finished_us = r->failure_us = due + MINUTE;
	v = plan_job(&p, &f, JOB_DRILL_LIVE, due + 2 * MINUTE);
	tap_ok(
	    !v.due && v.next_us == due + 7 * DAY, "nor is one that has failed");
	r->started_us = due - HOUR;
	tap_ok(!plan_job(&p, &f, JOB_DRILL_LIVE, due + 2 * MINUTE).due,
	    "nor does one begin at the end of another");
	r->finished_us = r->failure_us = 0;
	r->running = true;
	tap_ok(!plan_job(&p, &f, JOB_DRILL_LIVE, due).due, "nor beside it");
	*r = (struct job_record){ .started_us = start };
	f.since_us = due + 1;
	tap_ok(!plan_job(&p, &f, JOB_DRILL_LIVE, due + MINUTE).due,
	    "nor behind a restart of the daemon");
	f.since_us = start;
	f.history_known = false;
	tap_ok(!plan_job(&p, &f, JOB_DRILL_LIVE, due).due,
	    "nor before the history is known");
}

static void
check_drill(void)
{
	struct plan p = plan_of(NULL, NULL, NULL);
	struct plan_facts f = facts_at_start(); /* a Friday */
	struct plan_verdict v;

	tap_ok(!plan_job(&p, &f, JOB_DRILL, start + 900 * DAY).due,
	    "without a schedule there are no drills");
	p.has_drill = schedule_parse(&p.drill, "0 12 * * sun", NULL) == 0;
	v = plan_job(&p, &f, JOB_DRILL, start + HOUR);
	tap_ok(!v.due && !v.overdue && v.next_us == start + 2 * DAY + 9 * HOUR,
	    "the first drill comes at its regular time");
	v = plan_job(&p, &f, JOB_DRILL, start + 2 * DAY + 11 * HOUR);
	tap_ok(v.due && v.overdue, "and is overdue when it does not");
	f.drill_us = f.drill_passed_us = start - 20 * DAY;
	tap_ok(plan_job(&p, &f, JOB_DRILL, start + HOUR).due,
	    "a missed one is made up for");
	f.drill_us = start;
	v = plan_job(&p, &f, JOB_DRILL, start + HOUR);
	tap_ok(
	    !v.due, "one that has failed is not tried again before its time");
	tap_ok(v.overdue, "but one that passes is overdue");
	f.drill_passed_us = start;
	v = plan_job(&p, &f, JOB_DRILL, start + HOUR);
	tap_ok(!v.due && !v.overdue, "one by hand that passed counts");
	f.jobs[JOB_DRILL].failure_us = start + 2 * DAY + 9 * HOUR;
	v = plan_job(&p, &f, JOB_DRILL, start + 2 * DAY + 9 * HOUR);
	tap_ok(
	    !v.due && v.next_us == start + 2 * DAY + 9 * HOUR + PLAN_RETRY_US,
	    "one that could not begin is tried again soon");
	f.backups = 0;
	tap_ok(!plan_job(&p, &f, JOB_DRILL, start + 9 * DAY).due,
	    "where there is nothing, there is nothing to rehearse");
}

/* ---- a world ---- */

struct world {
	struct plan plan;
	struct plan_facts f;
	int64_t ends_us; /* of the backup that runs */
	unsigned int started, done, failures_to_come;
	int64_t done_at[200];
};

static void
world_restart(struct world *w, int64_t now_us)
{
	w->f.since_us = now_us;
	w->f.jobs[JOB_BACKUP] = (struct job_record){ 0 };
	w->ends_us = 0;
}

/* One minute: end what ends (an hour after it began), start what is due. */
static void
world_minute(struct world *w, int64_t now_us)
{
	struct job_record *r = &w->f.jobs[JOB_BACKUP];

	if (r->running && now_us >= w->ends_us) {
		r->running = false;
		if (w->failures_to_come > 0) {
			w->failures_to_come--;
			r->failure_us = now_us;
		} else {
			r->failure_us = 0;
			w->f.newest_backup_us = r->started_us;
			w->f.backups++;
			w->done_at[w->done++] = r->started_us;
		}
	}
	if (plan_job(&w->plan, &w->f, JOB_BACKUP, now_us).due) {
		r->running = true;
		r->started_us = now_us;
		w->ends_us = now_us + HOUR;
		w->started++;
	}
}

static void
check_months(void)
{
	struct world w = { .plan = plan_of("0 3 * * *", NULL, NULL),
		.f = facts_at_start() };
	int64_t now = start;
	unsigned int i, late = 0;

	for (; now < start + 90 * DAY; now += MINUTE)
		world_minute(&w, now);
	for (i = 0; i < w.done; i++)
		late += w.done_at[i] != start + (int64_t)(i + 1) * DAY;
	tap_u64(w.done, 89, "a backup each night of 90 days");
	tap_u64(late, 0, "each on time");
	tap_u64(w.started, 89, "and no other");
}

static void
check_bad_days(void)
{
	struct world w = { .plan = plan_of("0 3 * * *", NULL, NULL),
		.f = facts_at_start(),
		.failures_to_come = 3 };
	int64_t now = start;

	for (; now < start + 2 * DAY; now += MINUTE)
		world_minute(&w, now);
	tap_u64(w.done, 1, "three failures and a success");
	tap_u64((uint64_t)(w.done_at[0] - start - DAY),
	    (uint64_t)(3 * (HOUR + PLAN_RETRY_US)),
	    "each tried again a while after it ended");
	now = start + 12 * DAY + 7 * HOUR; /* ten days without a daemon */
	world_restart(&w, now);
	for (; now < start + 15 * DAY; now += MINUTE)
		world_minute(&w, now);
	tap_u64(w.done, 4, "after an outage: one made up for, then as before");
	tap_ok(w.done_at[1] == start + 12 * DAY + 7 * HOUR &&
		w.done_at[2] == start + 13 * DAY &&
		w.done_at[3] == start + 14 * DAY,
	    "at once, and then on time");
}

static void
check_kills(void)
{
	struct world w = { .plan = plan_of("every 6h", NULL, NULL),
		.f = facts_at_start() };
	int64_t now = start, killed_at = start + 6 * HOUR + 30 * MINUTE;

	for (; now < start + DAY; now += MINUTE) {
		if (now == killed_at)
			world_restart(&w, now);
		world_minute(&w, now);
	}
	tap_u64(w.started, 4, "a backup that was killed with the daemon");
	tap_u64(w.done, 3, "is begun again");
	tap_ok(w.done_at[0] == killed_at, "when it is back");
}

int
main(void)
{
	(void)setenv("TZ", "UTC", 1);
	tzset();
	check_backup();
	check_first_backup();
	check_retry();
	check_window();
	check_gap();
	check_expire();
	check_verify();
	check_drill();
	check_live();
	check_months();
	check_bad_days();
	check_kills();
	return tap_done();
}
