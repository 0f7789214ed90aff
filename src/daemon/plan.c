#include "daemon/plan.h"

#include <string.h>

#include "base/auto.h"
#include "base/clock.h"

/* A run that begins within this time after it was due is no missed one. */
#define PUNCTUAL_US (5 * 60 * CLOCK_SECOND_US)
#define MINUTE_US   (60 * CLOCK_SECOND_US)
#define DAY_MINUTES (24 * 60)

static const char *const names[JOB_COUNT] = {
	[JOB_BACKUP] = "backup",
	[JOB_EXPIRE] = "expire",
	[JOB_VERIFY] = "verify",
	[JOB_DRILL] = "drill",
	[JOB_DRILL_LIVE] = "drill_live",
};

const char *
job_name(enum job job)
{
	return names[job];
}

bool
job_from_name(const char *name, enum job *job)
{
	int i;

	for (i = 0; i < JOB_COUNT; i++) {
		if (strcmp(name, names[i]) == 0) {
			*job = (enum job)i;
			return true;
		}
	}
	return false;
}

void
plan_init(struct plan *p, const struct cluster_settings *c)
{
	*p = (struct plan){ 0 };
	p->has_server = c->conninfo != NULL;
	p->has_backup = (p->has_server || c->backup_conninfo != NULL) &&
	    c->backup_schedule != NULL &&
	    schedule_parse(&p->backup, c->backup_schedule, NULL) == 0;
	p->has_verify = c->verify_schedule != NULL &&
	    schedule_parse(&p->verify, c->verify_schedule, NULL) == 0;
	p->has_drill = c->drill_schedule != NULL &&
	    schedule_parse(&p->drill, c->drill_schedule, NULL) == 0;
	p->has_live = c->drill_live_schedule != NULL &&
	    schedule_parse(&p->live, c->drill_live_schedule, NULL) == 0;
	p->has_window = c->backup_window != NULL &&
	    window_of_day_parse(&p->window, c->backup_window, NULL) == 0;
}

static int64_t
max_of(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* The first minute from t on that lies in the window. */
static int64_t
window_opens(const struct plan *p, int64_t t)
{
	int i;

	if (!p->has_window || window_of_day_contains(&p->window, t))
		return t;
	t -= t % MINUTE_US;
	for (i = 0; i < 2 * DAY_MINUTES; i++, t += MINUTE_US)
		if (window_of_day_contains(&p->window, t))
			break;
	return t;
}

/* When a schedule came, or will come, after a last success. */
static int64_t
schedule_came(const struct schedule *s, int64_t success_us, int64_t since_us)
{
	if (success_us == 0)
		return since_us; /* what never ran was missed */
	return schedule_next(s, success_us, success_us);
}

/* Due from came_us on, but not before a failed run's time to try again. */
static struct plan_verdict
from(const struct job_record *r, int64_t came_us, const char *why,
    int64_t now_us)
{
	struct plan_verdict v = { .why = why, .next_us = came_us };

	if (r->failure_us != 0 && r->failure_us + PLAN_RETRY_US > v.next_us) {
		v.next_us = r->failure_us + PLAN_RETRY_US;
		v.why = "retry";
	}
	v.due = !r->running && v.next_us <= now_us;
	return v;
}

/*
 * A gap is healed at once, also outside of the window: until then, nothing
 * after it can be restored.
 */
static struct plan_verdict
plan_backup(const struct plan *p, const struct plan_facts *f, int64_t now_us)
{
	const struct job_record *r = &f->jobs[JOB_BACKUP];
	int64_t newest = max_of(f->newest_backup_us, r->success_us);
	struct plan_verdict v = { 0 };
	int64_t came;

	if (!f->repository_known || !p->has_server)
		return v;
	if (newest > now_us)
		newest = now_us; /* a clock was set back */
	if (f->gap_us != 0 && f->gap_us > newest && f->backups > 0)
		return from(r, f->gap_us, "wal_gap", now_us);
	if (!p->has_backup)
		return v;
	came = schedule_came(&p->backup, newest, f->since_us);
	v = from(r, came,
	    newest == 0			      ? "first"
		: came + PUNCTUAL_US < now_us ? "missed"
					      : "schedule",
	    now_us);
	v.next_us = window_opens(p, max_of(v.next_us, v.due ? now_us : 0));
	v.due = v.due && v.next_us <= now_us;
	v.overdue = !r->running && came + PLAN_OVERDUE_US < now_us &&
	    window_opens(p, now_us) == now_us;
	return v;
}

static struct plan_verdict
plan_expire(const struct plan_facts *f, int64_t now_us)
{
	const struct job_record *r = &f->jobs[JOB_EXPIRE];
	struct plan_verdict v = { 0 };

	if (!f->repository_known || !f->history_known || f->backups == 0 ||
	    r->success_us >= f->newest_backup_us || f->jobs[JOB_BACKUP].running)
		return v;
	return from(r, f->newest_backup_us, "after_backup", now_us);
}

static struct plan_verdict
plan_verify(const struct plan *p, const struct plan_facts *f, int64_t now_us)
{
	const struct job_record *r = &f->jobs[JOB_VERIFY];
	struct plan_verdict v = { 0 };
	int64_t came;

	if (!f->repository_known || !f->history_known || f->backups == 0 ||
	    !p->has_verify)
		return v;
	if (r->success_us != 0 && r->success_us <= now_us)
		came = schedule_next(&p->verify, r->success_us, r->success_us);
	else if (p->verify.every_us != 0)
		came = f->since_us;
	else
		came = schedule_next(&p->verify, f->since_us, 0);
	return from(r, came,
	    came + PUNCTUAL_US < now_us ? "missed" : "schedule", now_us);
}

/* After a run at last_us; one that never was is not missed but by an interval. */
static int64_t
drill_came(const struct plan *p, const struct plan_facts *f, int64_t last_us,
    int64_t now_us)
{
	if (last_us != 0 && last_us <= now_us)
		return schedule_next(&p->drill, last_us, last_us);
	if (p->drill.every_us != 0)
		return f->since_us;
	return schedule_next(&p->drill, f->since_us, 0);
}

/* One that has failed has done its work: it is not tried again at once. */
static struct plan_verdict
plan_drill(const struct plan *p, const struct plan_facts *f, int64_t now_us)
{
	const struct job_record *r = &f->jobs[JOB_DRILL];
	int64_t last_us = max_of(f->drill_us, r->success_us), came;
	struct plan_verdict v = { 0 };

	if (!f->repository_known || !f->history_known || f->backups == 0 ||
	    !p->has_drill)
		return v;
	came = drill_came(p, f, last_us, now_us);
	v = from(r, came, came + PUNCTUAL_US < now_us ? "missed" : "schedule",
	    now_us);
	v.overdue = !r->running &&
	    drill_came(
		p, f, max_of(f->drill_passed_us, r->success_us), now_us) +
		    PLAN_OVERDUE_US <
		now_us;
	return v;
}

/* In operation, so at no other time than that of the schedule: what was missed is
 * not made up for, and what has failed is not tried again. */
static struct plan_verdict
plan_live(const struct plan *p, const struct plan_facts *f, int64_t now_us)
{
	const struct job_record *r = &f->jobs[JOB_DRILL_LIVE];
	int64_t last_us = max_of(max_of(f->since_us, f->live_us),
	    max_of(r->started_us, r->finished_us));
	struct plan_verdict v = { .why = "schedule" };

	if (!p->has_live || !f->history_known)
		return (struct plan_verdict){ 0 };
	if (last_us > now_us)
		last_us = now_us; /* a clock was set back */
	v.next_us = schedule_next(
	    &p->live, max_of(last_us, now_us - PUNCTUAL_US), last_us);
	v.due = !r->running && v.next_us <= now_us;
	return v;
}

struct plan_verdict
plan_job(const struct plan *p, const struct plan_facts *f, enum job job,
    int64_t now_us)
{
	switch (job) {
	case JOB_EXPIRE:
		return plan_expire(f, now_us);
	case JOB_VERIFY:
		return plan_verify(p, f, now_us);
	case JOB_DRILL:
		return plan_drill(p, f, now_us);
	case JOB_DRILL_LIVE:
		return plan_live(p, f, now_us);
	case JOB_BACKUP:
		break;
	}
	return plan_backup(p, f, now_us);
}
