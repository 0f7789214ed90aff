/*
 * Facts from messages, and the alarms that are concluded from them.
 *
 * Linked with -Wl,--wrap=clock_boot_us: time is moved by hand.
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "daemon/judge.h"
#include "daemon/message.h"
#include "daemon/recent.h"
#include "tap.h"

#define S      CLOCK_SECOND_US
#define MINUTE (60 * S)

static const int64_t start =
    1763694000 * CLOCK_SECOND_US; /* 2025-11-21 03:00 */

/* ---- clocks ---- */

static int64_t boot_us;
static int64_t set_by_us; /* the wall clock, since the beginning */

int64_t __wrap_clock_boot_us(void);
int64_t
__wrap_clock_boot_us(void)
{
	return boot_us;
}

/* It is so late now, by the wall clock. */
static void
it_is(int64_t now_us)
{
	boot_us = now_us - set_by_us;
}

/* ---- events that were logged ---- */

static char logged[64]; /* the name of the last one */
static unsigned int log_count;

static void
remember(void *arg, enum log_level level, const char *event,
    const char *message, const char *const *keys, const char *const *values,
    unsigned int count)
{
	(void)arg;
	(void)level;
	(void)message;
	(void)keys;
	(void)values;
	(void)count;
	(void)strncpy(logged, event, sizeof(logged) - 1);
	log_count++;
}

/* ---- a site ---- */

struct site {
	struct settings *s;
	struct facts *f;
	struct alarms *a;
	struct duties *d;
};

static struct settings *
settings_of(const char *clusters)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	struct settings *s;

	buf_printf(&text, "[pgkura]\nrepository=/r\nmin_free_bytes=100MB\n%s",
	    clusters);
	s = settings_parse("test", buf_str(&text), text.len, &e);
	if (s == NULL)
		tap_bail("%s", e.text);
	return s;
}

#define MAIN "[cluster main]\nconninfo=host=a\nbackup_schedule=0 3 * * *\n"

static struct site
site_new(void)
{
	struct site x = { .s = settings_of(MAIN) };

	set_by_us = 0;
	it_is(start);
	x.f = facts_new(start);
	x.a = alarms_new();
	x.d = duties_new("/bin/false", "x");
	facts_set_settings(x.f, x.s, start);
	log_count = 0;
	logged[0] = '\0';
	return x;
}

static void
site_free(struct site *x)
{
	settings_free(x->s);
	facts_free(x->f);
	alarms_free(x->a);
	duties_free(x->d);
}

static void
judge_at(struct site *x, int64_t now_us)
{
	it_is(now_us);
	judge(x->a, x->s, x->f, x->d, now_us);
}

/* Hand over JSON text with ' for ". */
static void
tell(struct site *x, const char *text)
{
	AUTO_JSON json_t *m = NULL;
	AUTO_FREE char *json = strdup(text);
	struct err e = ERR_INIT;
	char *p;

	for (p = json; *p != '\0'; p++)
		if (*p == '\'')
			*p = '"';
	m = json_parse(json, strlen(json), "test", &e);
	if (m == NULL)
		tap_bail("%s", e.text);
	facts_take(x->f, m);
}

/* The watcher's message of main; more: other members, or "". */
static void
watch(struct site *x, int64_t time_us, int64_t newest_us, const char *more)
{
	AUTO_BUF struct buf b = BUF_INIT;

	it_is(time_us);
	buf_printf(&b,
	    "{'type':'cluster','cluster':'main','time_us':%lld,'backups':1,"
	    "'newest_backup':'x','newest_backup_us':%lld%s}",
	    (long long)time_us, (long long)newest_us, more);
	tell(x, buf_str(&b));
}

#define GAP	   ",'gap':{'timeline':1,'from':'0/1','to':'0/2'}"
#define CONTACT(t) ",'receiver':{'message_us':" #t "}"

static bool
is_raised(const struct site *x, enum alarm_kind kind)
{
	return alarm_is_raised(x->a, kind, "main");
}

/* ---- WAL ---- */

static void
check_gap(void)
{
	AUTO(site_free) struct site x = site_new();

	watch(&x, start + S, start, GAP);
	judge_at(&x, start + S);
	tap_ok(is_raised(&x, ALARM_WAL_GAP), "a gap raises an alarm");
	tap_str(logged, "wal_gap", "with an event");
	watch(&x, start + 2 * S, start, GAP);
	judge_at(&x, start + 2 * S);
	tap_u64(log_count, 1, "one only");
	tap_ok(x.f->clusters[0].known.gap_us == start + S, "since when");
	watch(&x, start + 3 * S, start, "");
	judge_at(&x, start + 3 * S);
	tap_ok(!is_raised(&x, ALARM_WAL_GAP),
	    "WAL that comes after all closes it");
	tap_str(logged, "wal_gap_cleared", "which is told");

	watch(&x, start + 4 * S, start, GAP);
	watch(&x, start + 9 * S, start + 5 * S, GAP);
	tap_ok(x.f->clusters[0].known.gap_us == start + 9 * S,
	    "a gap behind a newer backup is another one");
}

static void
check_gap_by_event(void)
{
	AUTO(site_free) struct site x = site_new();

	watch(&x, start, start, "");
	tell(&x,
	    "{'type':'event','level':'error','event':'wal_gap','message':'m',"
	    "'time_us':1763694010000000,'values':{'cluster':'main'}}");
	judge_at(&x, start + 11 * S);
	tap_ok(is_raised(&x, ALARM_WAL_GAP) && log_count == 0,
	    "a gap that an event told of is not told again");
	watch(&x, start + 20 * S, start, "");
	judge_at(&x, start + 20 * S);
	tap_ok(is_raised(&x, ALARM_WAL_GAP), "it stays");
	watch(&x, start + 30 * S, start + 15 * S, "");
	judge_at(&x, start + 30 * S);
	tap_ok(!is_raised(&x, ALARM_WAL_GAP),
	    "until a backup has begun behind it");
}

static void
check_receiver(void)
{
	AUTO(site_free) struct site x = site_new();

	judge_at(&x, start + 59 * S);
	tap_ok(!is_raised(&x, ALARM_RECEIVER_LAGGING),
	    "a receiver has its time to begin");
	judge_at(&x, start + 61 * S);
	tap_ok(is_raised(&x, ALARM_RECEIVER_LAGGING),
	    "without contact for a minute there is an alarm");
	watch(&x, start + 70 * S, start, CONTACT(1763694069000000));
	judge_at(&x, start + 70 * S);
	tap_ok(!is_raised(&x, ALARM_RECEIVER_LAGGING), "contact clears it");
	watch(&x, start + 200 * S, start, "");
	judge_at(&x, start + 200 * S);
	tap_ok(is_raised(&x, ALARM_RECEIVER_LAGGING),
	    "a receiver that is gone says nothing");
}

static void
check_behind(void)
{
	AUTO(site_free) struct site x = site_new();
	AUTO_BUF struct buf b = BUF_INIT;
	int i;

	for (i = 0; i < 100; i += 5) {
		buf_clear(&b);
		buf_printf(&b,
		    ",'receiver':{'message_us':%lld,'lag_bytes':%d,"
		    "'flushed':'0/%d'}",
		    (long long)(start + i * S), 1000, i);
		watch(&x, start + i * S, start, buf_str(&b));
		judge_at(&x, start + i * S);
	}
	tap_ok(!is_raised(&x, ALARM_RECEIVER_LAGGING),
	    "WAL that moves is no alarm, however far behind");
	for (; i < 200; i += 5) {
		buf_clear(&b);
		buf_printf(&b,
		    ",'receiver':{'message_us':%lld,'lag_bytes':%d,"
		    "'flushed':'0/95'}",
		    (long long)(start + i * S), 1000);
		watch(&x, start + i * S, start, buf_str(&b));
		judge_at(&x, start + i * S);
	}
	tap_ok(is_raised(&x, ALARM_RECEIVER_LAGGING),
	    "WAL that does not become durable is one");
}

/* ---- repository ---- */

static void
check_repository(void)
{
	AUTO(site_free) struct site x = site_new();
	const struct plan_facts *known = &x.f->clusters[0].known;

	tap_ok(!known->repository_known, "at first nothing is known");
	watch(&x, start, start - S, "");
	tap_ok(known->repository_known && known->backups == 1 &&
		known->newest_backup_us == start - S,
	    "backups as they are in the repository");
	tell(&x,
	    "{'type':'cluster','cluster':'main','time_us':1,'error':'gone'}");
	judge_at(&x, start);
	tap_ok(is_raised(&x, ALARM_REPOSITORY_UNREADABLE),
	    "an unreadable repository is an alarm");
	tap_ok(known->repository_known && known->backups == 1,
	    "what was known stays known");
	tell(&x, "{'type':'site','free_bytes':100}");
	judge_at(&x, start);
	tap_ok(alarm_is_raised(x.a, ALARM_REPOSITORY_SPACE_LOW, ""),
	    "little space is an alarm");
	tell(&x, "{'type':'site','free_bytes':105000000}");
	judge_at(&x, start);
	tap_ok(alarm_is_raised(x.a, ALARM_REPOSITORY_SPACE_LOW, ""),
	    "it does not come and go at the limit");
	tell(&x, "{'type':'site','free_bytes':200000000}");
	judge_at(&x, start);
	tap_ok(!alarm_is_raised(x.a, ALARM_REPOSITORY_SPACE_LOW, ""),
	    "space clears it");
	tap_ok(!alarm_is_raised(x.a, ALARM_WATCHER_SILENT, ""),
	    "the watcher speaks");
	judge_at(&x, start + 4 * MINUTE);
	tap_ok(alarm_is_raised(x.a, ALARM_WATCHER_SILENT, ""),
	    "and when it does not, that is an alarm");
}

static void
check_same_error(void)
{
	AUTO(site_free) struct site x = site_new();

	settings_free(x.s);
	x.s = settings_of(MAIN "[cluster b]\nconninfo=host=b\n");
	facts_set_settings(x.f, x.s, start);
	tell(&x,
	    "{'type':'cluster','cluster':'main','time_us':1,'error':'gone'}");
	tell(&x, "{'type':'cluster','cluster':'b','time_us':1,'error':'gone'}");
	judge_at(&x, start);
	tap_ok(alarm_is_raised(x.a, ALARM_REPOSITORY_UNREADABLE, "") &&
		!is_raised(&x, ALARM_REPOSITORY_UNREADABLE),
	    "one reason for all clusters is one alarm");
}

/* ---- jobs ---- */

static void
fail_backup(struct site *x, int64_t now_us)
{
	struct cluster_view *c = facts_cluster(x->f, "main");

	facts_job_started(c, JOB_BACKUP, now_us - S);
	tell(x,
	    "{'type':'event','level':'error','event':'backup_failed',"
	    "'message':'no server','values':{'cluster':'main'}}");
	facts_job_ended(c, JOB_BACKUP, 75, now_us);
}

static void
check_jobs(void)
{
	AUTO(site_free) struct site x = site_new();
	struct cluster_view *c = facts_cluster(x.f, "main");
	int64_t due = start + 24 * 60 * MINUTE;

	watch(&x, start, start, "");
	fail_backup(&x, due + 2 * S);
	judge_at(&x, due + 3 * S);
	tap_ok(is_raised(&x, ALARM_BACKUP_FAILED), "a failed job is an alarm");
	tap_str(c->job_error[JOB_BACKUP], "no server", "with its reason");
	tap_ok(!is_raised(&x, ALARM_BACKUP_OVERDUE), "it is not overdue yet");
	judge_at(&x, due + 61 * MINUTE);
	tap_ok(is_raised(&x, ALARM_BACKUP_OVERDUE), "an hour later it is");
	facts_job_started(c, JOB_BACKUP, due + 62 * MINUTE);
	facts_job_ended(c, JOB_BACKUP, 0, due + 63 * MINUTE);
	judge_at(&x, due + 63 * MINUTE);
	tap_ok(!is_raised(&x, ALARM_BACKUP_FAILED) &&
		!is_raised(&x, ALARM_BACKUP_OVERDUE),
	    "a success clears both");

	facts_job_started(c, JOB_VERIFY, due);
	facts_job_ended(c, JOB_VERIFY, 3, due + S);
	judge_at(&x, due + S);
	tap_ok(
	    is_raised(&x, ALARM_DAMAGE) && !is_raised(&x, ALARM_VERIFY_FAILED),
	    "damage is no failure of the verification");
	tap_ok(c->known.jobs[JOB_VERIFY].success_us == due,
	    "which has done its work");
	facts_job_started(c, JOB_VERIFY, due + 2 * S);
	facts_job_ended(c, JOB_VERIFY, 1, due + 3 * S);
	judge_at(&x, due + 3 * S);
	tap_ok(
	    is_raised(&x, ALARM_DAMAGE) && is_raised(&x, ALARM_VERIFY_FAILED),
	    "a verification that fails finds no soundness");
	facts_job_started(c, JOB_VERIFY, due + 4 * S);
	facts_job_ended(c, JOB_VERIFY, 0, due + 5 * S);
	judge_at(&x, due + 5 * S);
	tap_ok(!is_raised(&x, ALARM_DAMAGE), "one that finds it does");
}

static void
check_history(void)
{
	AUTO(site_free) struct site x = site_new();
	const struct cluster_view *c = facts_cluster(x.f, "main");

	tell(&x,
	    "{'type':'job','job':'verify','cluster':'main','started_us':50,"
	    "'finished_us':60,'ok':true,'success_us':50,'message':'2 damaged'}");
	tell(&x,
	    "{'type':'job','job':'backup','cluster':'main','started_us':70,"
	    "'finished_us':80,'ok':true,'success_us':70,'message':''}");
	tap_ok(!c->known.history_known, "the history is not told yet");
	tell(&x, "{'type':'ready'}");
	tap_ok(c->known.history_known &&
		c->known.jobs[JOB_VERIFY].success_us == 50,
	    "what was before the start is known");
	tap_ok(c->known.jobs[JOB_BACKUP].success_us == 0,
	    "but backups are counted in the repository");
	tap_ok(c->damage, "damage stays found over a restart");
	tell(&x,
	    "{'type':'job','job':'expire','cluster':'main','started_us':90,"
	    "'finished_us':99,'ok':true,'success_us':90}");
	tap_ok(c->known.jobs[JOB_EXPIRE].success_us == 0,
	    "a history that starts again tells nothing new");
}

/* ---- settings ---- */

static void
check_settings(void)
{
	AUTO(site_free) struct site x = site_new();

	watch(&x, start, start - S, GAP);
	fail_backup(&x, start);
	judge_at(&x, start);
	settings_free(x.s);
	x.s = settings_of(MAIN "[cluster b]\nconninfo=host=b\n");
	facts_set_settings(x.f, x.s, start + S);
	tap_ok(x.f->count == 2 && facts_cluster(x.f, "b") != NULL,
	    "a new cluster");
	tap_ok(facts_cluster(x.f, "main")->known.backups == 1,
	    "what is known of the others stays");
	tap_ok(
	    facts_cluster(x.f, "main")->known.jobs[JOB_BACKUP].failure_us == 0,
	    "a failed job need not wait under new settings");
	settings_free(x.s);
	x.s = settings_of("[cluster b]\nconninfo=host=b\n");
	facts_set_settings(x.f, x.s, start + S);
	judge_at(&x, start + S);
	tap_ok(
	    facts_cluster(x.f, "main") == NULL && !is_raised(&x, ALARM_WAL_GAP),
	    "a cluster that is gone takes its alarms along");
	x.f->settings_error = strdup("line 3");
	judge_at(&x, start + S);
	tap_ok(alarm_is_raised(x.a, ALARM_SETTINGS_REFUSED, ""),
	    "refused settings are an alarm");
}

static void
check_health(void)
{
	AUTO(site_free) struct site x = site_new();
	json_t *h = alarms_health(x.a), *list;

	tap_str(message_text(h, "level"), "ok", "all is well");
	json_decref(h);
	alarm_raise(x.a, ALARM_RECEIVER_LAGGING, "main", "no contact");
	h = alarms_health(x.a);
	tap_str(message_text(h, "level"), "attention", "a warning");
	tap_str(message_text(h, "sentence"), "cluster main: no contact",
	    "in one sentence");
	tap_str(message_text(h, "next"), "pgkura check main",
	    "and the command to type next");
	json_decref(h);
	alarm_raise(x.a, ALARM_BACKUP_OVERDUE, "", "late");
	h = alarms_health(x.a);
	tap_str(message_text(h, "level"), "failing", "an error");
	tap_str(message_text(h, "sentence"), "late (and 1 more)",
	    "the worst comes first");
	tap_str(message_text(h, "next"), "pgkura backup",
	    "without a cluster, the command has none");
	json_decref(h);
	list = alarms_json(x.a);
	tap_ok(json_array_size(list) == 2 &&
		strcmp(message_text(json_array_get(list, 0), "name"),
		    "backup_overdue") == 0,
	    "the list has the same order");
	json_decref(list);
}

/* ---- recent events ---- */

static void
check_recent(void)
{
	AUTO_RECENT struct recent *r = recent_new();
	json_t *o, *m;
	int i;

	for (i = 1; i <= RECENT_MAX + 10; i++) {
		m = message_of_event(LOG_LEVEL_INFO, "e", "m", NULL, NULL, 0);
		(void)json_object_set_new(m, "time_us", json_integer(i));
		recent_put(r, m);
		json_decref(m);
	}
	o = recent_json(r, 3, 0);
	tap_ok(json_array_size(json_object_get(o, "events")) == 3 &&
		message_number(json_array_get(json_object_get(o, "events"), 2),
		    "time_us") == RECENT_MAX + 10,
	    "the last three");
	tap_u64((uint64_t)message_number(o, "last"), RECENT_MAX + 10,
	    "and the number of the last");
	json_decref(o);
	o = recent_json(r, 1000, 0);
	tap_u64(json_array_size(json_object_get(o, "events")), RECENT_MAX,
	    "so many are kept");
	json_decref(o);
	o = recent_json(r, 1000, RECENT_MAX + 8);
	tap_u64(json_array_size(json_object_get(o, "events")), 2,
	    "those behind a number");
	json_decref(o);
	o = recent_json(r, 1000, (uint64_t)INT64_MAX);
	tap_u64(json_array_size(json_object_get(o, "events")), 0,
	    "none behind the last");
	json_decref(o);
}

/* What waits for an operator is not over when the rule hangs. */
static void
check_role(void)
{
	struct site x = site_new();
	json_t *list;

	settings_free(x.s);
	x.s = settings_of(MAIN "role=standby\naccept_from=osaka\n"
			       "[peer osaka]\n");
	facts_set_settings(x.f, x.s, start);
	watch(&x, start, start, ",'rule':{'state':'hold','role':'standby'}");
	judge_at(&x, start);
	tap_ok(alarm_is_raised(x.a, ALARM_ROLE, "main"), "a hold is an alarm");
	watch(&x, start, start, "");
	judge_at(&x, start);
	tap_ok(alarm_is_raised(x.a, ALARM_ROLE, "main"),
	    "... that is not over when the rule says nothing");
	watch(&x, start, start, ",'rule':{'state':'primary','role':'primary'}");
	judge_at(&x, start);
	tap_ok(!alarm_is_raised(x.a, ALARM_ROLE, "main"), "... but when it is");
	watch(&x, start, start,
	    ",'rule':{'state':'primary','role':'primary',"
	    "'promotion_error':'hook before: no'}");
	judge_at(&x, start);
	tap_ok(alarm_is_raised(x.a, ALARM_ROLE, "main"),
	    "a promotion that fails is one");
	watch(&x, start, start,
	    ",'rule':{'state':'normal','role':'standby','sites':[{'site':'osaka',"
	    "'writable':false,'promotion_error':'hook before: no'}]}");
	judge_at(&x, start);
	list = alarms_json(x.a);
	tap_str(message_text(json_array_get(list, 0), "message"),
	    "site \"osaka\" is the primary, and nothing takes writes: the "
	    "promotion there fails, and is tried again: hook before: no",
	    "so is one that fails at the other site");
	json_decref(list);
	watch(&x, start, start, ",'rule':{'state':'normal','role':'standby'}");
	judge_at(&x, start);
	tap_ok(
	    !alarm_is_raised(x.a, ALARM_ROLE, "main"), "... until it is done");
	site_free(&x);
}

/* ---- clocks that are set ---- */

#define HOUR (60 * MINUTE)

/* From now on the wall clock shows so much more. */
static int64_t
set_clock(int64_t by_us, int64_t *now_us)
{
	set_by_us += by_us;
	return *now_us += by_us;
}

static void
watch_contact(struct site *x, int64_t now_us)
{
	AUTO_BUF struct buf b = BUF_INIT;

	buf_printf(
	    &b, ",'receiver':{'message_us':%lld}", (long long)(now_us - S));
	watch(x, now_us, start, buf_str(&b));
}

static void
check_set_by(int64_t by_us, const char *how)
{
	AUTO(site_free) struct site x = site_new();
	int64_t now_us = start + 10 * S;

	watch_contact(&x, now_us);
	judge_at(&x, set_clock(by_us, &now_us));
	tap_ok(!is_raised(&x, ALARM_RECEIVER_LAGGING) &&
		!alarm_is_raised(x.a, ALARM_WATCHER_SILENT, ""),
	    "a clock set %s by an hour: nobody is silent", how);
	judge_at(&x, now_us + 61 * S);
	tap_ok(is_raised(&x, ALARM_RECEIVER_LAGGING),
	    "... a server that is, a minute later");
	judge_at(&x, now_us + 181 * S);
	tap_ok(alarm_is_raised(x.a, ALARM_WATCHER_SILENT, ""),
	    "... and the watcher");
	watch_contact(&x, now_us + 182 * S);
	judge_at(&x, now_us + 183 * S);
	tap_ok(!is_raised(&x, ALARM_RECEIVER_LAGGING),
	    "... until there is contact again");
}

/* What waits whether it passes by itself. */
static void
check_set_waits(int64_t by_us, const char *how)
{
	AUTO(site_free) struct site x = site_new();

	alarm_raise_after(x.a, ALARM_NO_STANDBY, "main", "m", 15 * S);
	boot_us += 5 * S;
	set_by_us += by_us;
	alarm_raise_after(x.a, ALARM_NO_STANDBY, "main", "m", 15 * S);
	tap_ok(!is_raised(&x, ALARM_NO_STANDBY),
	    "a clock set %s: what may pass still waits", how);
	boot_us += 10 * S;
	alarm_raise_after(x.a, ALARM_NO_STANDBY, "main", "m", 15 * S);
	tap_ok(is_raised(&x, ALARM_NO_STANDBY), "... and not for longer");
}

/* Jobs whose records lie ahead. */
static void
check_set_back(void)
{
	AUTO(site_free) struct site x = site_new();
	struct cluster_view *c = facts_cluster(x.f, "main");
	int64_t now_us = start + 10 * S;

	watch(&x, now_us, start, "");
	set_clock(-HOUR, &now_us);
	watch(&x, now_us, start, "");
	tell(&x,
	    "{'type':'event','level':'error','event':'wal_gap','message':'m',"
	    "'time_us':1763690420000000,'values':{'cluster':'main'}}");
	now_us += 20 * S;
	watch(&x, now_us, start, "");
	judge_at(&x, now_us);
	tap_ok(is_raised(&x, ALARM_WAL_GAP),
	    "a clock set back: a gap is not over by a backup before it");
	tap_ok(plan_job(&c->plan, &c->known, JOB_BACKUP, now_us).due,
	    "... and healed at once");
	watch(&x, now_us + 10 * S, now_us + S, "");
	judge_at(&x, now_us + 10 * S);
	tap_ok(!is_raised(&x, ALARM_WAL_GAP), "... and over by one behind it");
}

static void
check_set_back_later(void)
{
	AUTO(site_free) struct site x = site_new();
	struct cluster_view *c = facts_cluster(x.f, "main");
	int64_t now_us = start + 10 * S;

	watch(&x, now_us, start, "");
	tell(&x,
	    "{'type':'event','level':'error','event':'wal_gap','message':'m',"
	    "'time_us':1763694005000000,'values':{'cluster':'main'}}");
	fail_backup(&x, now_us);
	set_clock(-HOUR, &now_us);
	watch(&x, now_us, start, "");
	now_us += 16 * MINUTE;
	watch(&x, now_us, start, "");
	tap_ok(plan_job(&c->plan, &c->known, JOB_BACKUP, now_us).due,
	    "a clock set back by an hour: a failed backup is tried again in "
	    "time");
}

/* It was wrong by a year, and backups were taken meanwhile. */
static void
check_set_back_far(void)
{
	AUTO(site_free) struct site x = site_new();
	struct cluster_view *c = facts_cluster(x.f, "main");
	int64_t ahead_us = start + 365 * 24 * HOUR, now_us = start, i;

	watch(&x, ahead_us, ahead_us - S, "");
	for (i = 0; i < 25; i++, now_us += HOUR)
		watch(&x, now_us, ahead_us - S, "");
	tap_ok(plan_job(&c->plan, &c->known, JOB_BACKUP, now_us).due,
	    "a backup of next year does not keep tomorrow's from starting");
	judge_at(&x, now_us + HOUR);
	tap_ok(
	    is_raised(&x, ALARM_BACKUP_OVERDUE), "... nor from being missed");
}

int
main(void)
{
	(void)setenv("TZ", "UTC", 1);
	tzset();
	log_setup(LOG_JSON, LOG_LEVEL_ERROR);
	log_set_sink(remember, NULL);
	check_gap();
	check_gap_by_event();
	check_receiver();
	check_behind();
	check_repository();
	check_same_error();
	check_jobs();
	check_history();
	check_settings();
	check_health();
	check_recent();
	check_role();
	check_set_by(-HOUR, "back");
	check_set_by(HOUR, "forward");
	check_set_waits(-HOUR, "back");
	check_set_waits(HOUR, "forward");
	check_set_back();
	check_set_back_later();
	check_set_back_far();
	return tap_done();
}
