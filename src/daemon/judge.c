#include "daemon/judge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/size.h"
#include "daemon/link_view.h"
#include "daemon/message.h"
#include "daemon/standby_view.h"
#include "jobs/rule.h"
#include "link/keys.h"

#define DEATHS_FAILING	 3
#define LONG_LIFE_US	 (60 * CLOCK_SECOND_US)
#define WATCHER_LATE_US	 (180 * CLOCK_SECOND_US)
#define HANDOVER_LATE_US (30 * CLOCK_SECOND_US)
#define RULE_LATE_US	 (15 * CLOCK_SECOND_US)
#define WITNESS_LATE_US	 (15 * CLOCK_SECOND_US)
#define MESSAGE_BYTES	 700

/* Raise with a message, or clear when there is none. */
static void
set(struct alarms *a, enum alarm_kind kind, const char *cluster,
    const char *message)
{
	if (message == NULL)
		alarm_clear(a, kind, cluster);
	else
		alarm_raise(a, kind, cluster, message);
}

/* ---- the repository ---- */

static const char *
repository_error(const struct cluster_view *c)
{
	return c->seen == NULL ? NULL : message_text(c->seen, "error");
}

/* When no cluster can be read, and all for one reason, it is the site's. */
static bool
same_error_everywhere(const struct facts *f)
{
	const char *first =
	    f->count == 0 ? NULL : repository_error(&f->clusters[0]);
	size_t i;

	for (i = 0; first != NULL && i < f->count; i++)
		if (repository_error(&f->clusters[i]) == NULL ||
		    strcmp(repository_error(&f->clusters[i]), first) != 0)
			return false;
	return first != NULL && f->count > 1;
}

static void
judge_repository(struct alarms *a, const struct facts *f)
{
	bool site = same_error_everywhere(f);
	size_t i;

	set(a, ALARM_REPOSITORY_UNREADABLE, "",
	    site ? repository_error(&f->clusters[0]) : NULL);
	for (i = 0; i < f->count; i++)
		set(a, ALARM_REPOSITORY_UNREADABLE, f->clusters[i].name,
		    site ? NULL : repository_error(&f->clusters[i]));
}

static void
judge_space(struct alarms *a, const struct settings *s, const struct facts *f)
{
	char text[MESSAGE_BYTES], bytes[SIZE_TEXT_BYTES],
	    least[SIZE_TEXT_BYTES];
	uint64_t limit = s->min_free_bytes;

	if (!f->free_known)
		return;
	/* A tenth more to clear it, or it would come and go. */
	if (alarm_is_raised(a, ALARM_REPOSITORY_SPACE_LOW, ""))
		limit += limit / 10;
	(void)snprintf(text, sizeof(text),
	    "the repository has %s left, less than min_free_bytes, %s",
	    size_text(f->free_bytes, bytes),
	    size_text(s->min_free_bytes, least));
	set(a, ALARM_REPOSITORY_SPACE_LOW, "",
	    f->free_bytes < limit ? text : NULL);
}

/* ---- WAL ---- */

static void
judge_gap(struct alarms *a, const struct cluster_view *c)
{
	const json_t *gap = json_object_get(c->seen, "gap");
	char text[MESSAGE_BYTES];

	if (c->known.gap_us == 0) {
		alarm_clear(a, ALARM_WAL_GAP, c->name);
		return;
	}
	if (gap == NULL) { /* an event has told of it */
		alarm_note(a, ALARM_WAL_GAP, c->name,
		    c->problem == NULL ? "WAL is missing"
				       : message_text(c->problem, "message"));
		return;
	}
	(void)snprintf(text, sizeof(text),
	    "WAL from %s to %s of timeline %" PRId64 " is missing: nothing "
	    "behind it can be restored until a new backup is there",
	    message_text(gap, "from"), message_text(gap, "to"),
	    message_number(gap, "timeline"));
	alarm_raise(a, ALARM_WAL_GAP, c->name, text);
}

/* The receiver itself has told of it, and tries again: that is no news, but all
 * is not well. */
static void
judge_failing(struct alarms *a, const char *cluster, const char *error)
{
	char text[MESSAGE_BYTES];

	if (error == NULL) {
		alarm_clear(a, ALARM_RECEIVER_FAILING, cluster);
		return;
	}
	(void)snprintf(
	    text, sizeof(text), "WAL is not received at present: %s", error);
	alarm_note(a, ALARM_RECEIVER_FAILING, cluster, text);
}

static void
judge_receiver(struct alarms *a, const struct cluster_settings *cs,
    const struct cluster_view *c)
{
	int64_t boot_us = clock_boot_us();
	const char *error =
	    message_text(json_object_get(c->seen, "receiver"), "error");
	const char *role =
	    message_text(json_object_get(c->seen, "rule"), "role");
	bool receive =
	    cs->receive && (role == NULL || strcmp(role, "standby") != 0);
	char text[MESSAGE_BYTES];

	text[0] = '\0';
	if (boot_us - c->contact_boot_us > cs->wal_gap_alarm_us)
		(void)snprintf(text, sizeof(text),
		    "the receiver has no contact with the server%s%s",
		    error == NULL ? "" : ": ", error == NULL ? "" : error);
	else if (c->behind_boot_us != 0 &&
	    boot_us - c->behind_boot_us > cs->wal_gap_alarm_us)
		(void)snprintf(text, sizeof(text),
		    "WAL that the server has does not become durable here");
	set(a, ALARM_RECEIVER_LAGGING, c->name,
	    receive && text[0] != '\0' ? text : NULL);
	judge_failing(a, c->name, receive && text[0] == '\0' ? error : NULL);
}

/* ---- roles ---- */

/* A rule that hangs shows nothing: what it said last is not over by that. */
static bool
judge_rule(struct alarms *a, const struct cluster_settings *cs,
    const struct cluster_view *c)
{
	if (!rule_wanted(cs) || c->seen == NULL ||
	    json_object_get(c->seen, "rule") != NULL) {
		alarm_clear(a, ALARM_ROLES_UNATTENDED, c->name);
		return true;
	}
	alarm_raise_after(a, ALARM_ROLES_UNATTENDED, c->name,
	    "what attends to the roles says nothing, perhaps the disk of "
	    "state_dir hangs: there is no failover, and no lease is prolonged",
	    RULE_LATE_US);
	return false;
}

/* A switchover past its line ends within seconds, or the taker was lost. */
static void
judge_handover(
    struct alarms *a, const struct cluster_view *c, const json_t *rule)
{
	const char *handover = message_text(rule, "handover");
	const json_t *site;
	bool taken = false;
	size_t i;

	json_array_foreach(json_object_get(rule, "sites"), i, site) taken |=
	    json_is_true(json_object_get(site, "writable"));
	if (handover == NULL || strcmp(handover, "given") != 0 || taken) {
		alarm_clear(a, ALARM_ROLE, c->name);
		return;
	}
	alarm_raise_after(a, ALARM_ROLE, c->name,
	    "nothing takes writes: this site gave the role away, and the other "
	    "site has not taken it; if that is lost: first \"pgkura failback\" "
	    "here, then \"pgkura failover --force\"",
	    HANDOVER_LATE_US);
}

/* A promotion that fails at the other site: who looks at this one is to see it. */
static bool
judge_promotion_there(
    struct alarms *a, const struct cluster_view *c, const json_t *rule)
{
	const char *fails, *name;
	char text[MESSAGE_BYTES];
	const json_t *site;
	size_t i;

	json_array_foreach(json_object_get(rule, "sites"), i, site)
	{
		fails = message_text(site, "promotion_error");
		name = message_text(site, "site");
		if (fails == NULL || name == NULL)
			continue;
		(void)snprintf(text, sizeof(text),
		    "site \"%s\" is the primary, and %s: the promotion there "
		    "fails, and is tried again: %s",
		    name,
		    json_is_true(json_object_get(site, "writable"))
			? "takes writes"
			: "nothing takes writes",
		    fails);
		alarm_raise(a, ALARM_ROLE, c->name, text);
		return true;
	}
	return false;
}

/* Of what was changed the other site hears within seconds. */
static void
judge_witness(struct alarms *a, const struct cluster_settings *cs,
    const struct cluster_view *c)
{
	const json_t *rule = json_object_get(c->seen, "rule");
	const char *why = message_text(json_object_get(rule, "witness"), "why");

	if (why == NULL || cs->fence != FENCE_KIND_LEASE)
		alarm_clear(a, ALARM_WITNESS_DIFFERS, c->name);
	else
		alarm_raise_after(
		    a, ALARM_WITNESS_DIFFERS, c->name, why, WITNESS_LATE_US);
}

/* What the rule of a cluster cannot do without the operator. */
static void
judge_role(struct alarms *a, const struct cluster_view *c)
{
	static const char *const waits[] = { "alarm", "conflict", "hold",
		"peer silent", "server dead", "unknown", "lease ends",
		"superseded", "canceled", "resigned" };
	const json_t *rule = json_object_get(c->seen, "rule");
	const char *state = message_text(rule, "state");
	const char *reason = message_text(rule, "reason");
	const char *command = message_text(rule, "command");
	const char *fails = message_text(rule, "promotion_error");
	char text[MESSAGE_BYTES];
	size_t i;

	if (fails != NULL) {
		(void)snprintf(text, sizeof(text),
		    "this site is the primary, and %s: the promotion fails, "
		    "and is tried again: %s",
		    json_is_true(json_object_get(rule, "writable"))
			? "takes writes"
			: "nothing takes writes",
		    fails);
		alarm_raise(a, ALARM_ROLE, c->name, text);
		return;
	}
	for (i = 0; state != NULL && i < COUNT_OF(waits); i++)
		if (strcmp(state, waits[i]) == 0)
			break;
	if (state == NULL || i == COUNT_OF(waits)) {
		if (!judge_promotion_there(a, c, rule))
			judge_handover(a, c, rule);
		return;
	}
	(void)snprintf(text, sizeof(text), "%s: %s%s%s", state,
	    reason == NULL ? "" : reason,
	    command == NULL || command[0] == '\0' ? "" : "; to promote here: ",
	    command == NULL ? "" : command);
	alarm_raise(a, ALARM_ROLE, c->name, text);
}

/* ---- jobs ---- */

static void
judge_overdue(struct alarms *a, const struct cluster_view *c, int64_t now_us)
{
	struct plan_verdict v =
	    plan_job(&c->plan, &c->known, JOB_BACKUP, now_us);
	char text[MESSAGE_BYTES], when[CLOCK_TEXT_BYTES];

	if (c->known.newest_backup_us == 0)
		(void)snprintf(text, sizeof(text), "there is no backup yet");
	else
		(void)snprintf(text, sizeof(text),
		    "the last backup is of %s and the next one is overdue",
		    clock_local(c->known.newest_backup_us, when));
	set(a, ALARM_BACKUP_OVERDUE, c->name, v.overdue ? text : NULL);
}

/* When was it last shown that the cluster can be brought back? */
static void
judge_drill(struct alarms *a, const struct cluster_view *c, int64_t now_us)
{
	struct plan_verdict v =
	    plan_job(&c->plan, &c->known, JOB_DRILL, now_us);
	const json_t *drill = json_object_get(c->seen, "drill");
	int64_t faults = message_number(drill, "faults");
	char text[MESSAGE_BYTES], when[CLOCK_TEXT_BYTES];

	if (c->known.drill_passed_us == 0)
		(void)snprintf(text, sizeof(text), "no drill has passed yet");
	else
		(void)snprintf(text, sizeof(text),
		    "the last drill that passed is of %s and the next one is "
		    "overdue",
		    clock_local(c->known.drill_passed_us, when));
	set(a, ALARM_DRILL_OVERDUE, c->name, v.overdue ? text : NULL);
	(void)snprintf(text, sizeof(text),
	    "%" PRId64 " reports of drills are not as written", faults);
	set(a, ALARM_DRILL_REPORTS, c->name, faults > 0 ? text : NULL);
}

/* Of a cluster that is to come up here when its own site is lost. */
static void
judge_ready(struct alarms *a, const struct cluster_settings *cs,
    const struct cluster_view *c)
{
	const json_t *ready = json_object_get(c->seen, "ready");
	const char *what = message_text(ready, "what");
	const char *found = message_text(ready, "found");
	bool is_to = cs->standby_dir != NULL || cs->accept_from != NULL;
	char text[MESSAGE_BYTES];

	if (c->known.backups == 0 || message_number(ready, "faults") <= 0 ||
	    !is_to) {
		alarm_clear(a, ALARM_NOT_READY, c->name);
		return;
	}
	(void)snprintf(text, sizeof(text),
	    "it cannot be brought up here now: %s: %s",
	    what == NULL ? "" : what, found == NULL ? "" : found);
	alarm_raise(a, ALARM_NOT_READY, c->name, text);
}

/* The list of what is damaged (jobs/damage.h) knows of what was healed since; a
 * verification before there was one is remembered by its job. */
static void
judge_damage(struct alarms *a, const struct cluster_view *c)
{
	const json_t *d = json_object_get(c->seen, "damage");
	int64_t wanted = message_number(d, "wanted");
	int64_t rest = message_number(d, "hopeless");
	int64_t others = message_number(d, "others");
	const char *error = c->job_error[JOB_VERIFY];
	const char *first = message_text(d, "first");
	char text[MESSAGE_BYTES];

	if (d == NULL ? !c->damage : wanted + rest + others <= 0) {
		alarm_clear(a, ALARM_DAMAGE, c->name);
		return;
	}
	if (d == NULL)
		(void)snprintf(text, sizeof(text), "%s",
		    error == NULL ? "something stored is damaged or missing"
				  : error);
	else if (rest + others > 0)
		(void)snprintf(text, sizeof(text),
		    "%" PRId64
		    " stored objects are damaged or missing, %" PRId64
		    " of them nowhere whole%s%.100s: take a new backup",
		    wanted + rest + others, rest + others,
		    first == NULL ? "" : ", ", first == NULL ? "" : first);
	else
		(void)snprintf(text, sizeof(text),
		    "%" PRId64 " stored objects are damaged or missing, and "
		    "asked for from other sites%s%.100s",
		    wanted, first == NULL ? "" : ": ",
		    first == NULL ? "" : first);
	alarm_raise(a, ALARM_DAMAGE, c->name, text);
}

/* The job itself has told of its failure. */
static void
judge_jobs(struct alarms *a, const struct cluster_view *c)
{
	static const enum alarm_kind kinds[JOB_COUNT] = {
		[JOB_BACKUP] = ALARM_BACKUP_FAILED,
		[JOB_EXPIRE] = ALARM_EXPIRE_FAILED,
		[JOB_VERIFY] = ALARM_VERIFY_FAILED,
		[JOB_DRILL] = ALARM_DRILL_FAILED,
		[JOB_DRILL_LIVE] = ALARM_DRILL_LIVE_FAILED
	};
	char text[MESSAGE_BYTES];
	int job;

	for (job = 0; job < JOB_COUNT; job++) {
		const char *error = c->job_error[job];

		if (c->known.jobs[job].running)
			continue; /* until it ends, the last verdict stands */
		(void)snprintf(text, sizeof(text), "%s failed: %s",
		    job_name((enum job)job), error == NULL ? "" : error);
		if (c->known.jobs[job].failure_us != 0)
			alarm_note(a, kinds[job], c->name, text);
		else
			alarm_clear(a, kinds[job], c->name);
	}
	judge_damage(a, c);
}

/* ---- ourselves ---- */

static bool
is_failing(const struct duty *y)
{
	if (y->job || y->deaths < DEATHS_FAILING)
		return false;
	return y->state != DUTY_RUNNING ||
	    clock_boot_us() - y->started_us < LONG_LIFE_US;
}

/* The duties of one cluster, or those of the site. */
static void
judge_duties(struct alarms *a, const struct duties *d, const char *cluster,
    const json_t *problem)
{
	const char *why = message_text(problem, "message");
	char text[MESSAGE_BYTES];
	const struct duty *y;
	size_t i;

	text[0] = '\0';
	for (i = 0; (y = duties_at(d, i)) != NULL; i++)
		if (strcmp(y->cluster, cluster) == 0 && is_failing(y))
			(void)snprintf(text, sizeof(text),
			    "duty %s ends again and again%s%s", y->name,
			    why == NULL ? "" : ": ", why == NULL ? "" : why);
	set(a, ALARM_DUTY_FAILING, cluster, text[0] == '\0' ? NULL : text);
}

static void
judge_watcher(struct alarms *a, const struct facts *f)
{
	set(a, ALARM_WATCHER_SILENT, "",
	    f->count > 0 &&
		    clock_boot_us() - f->watched_boot_us > WATCHER_LATE_US
		? "the watcher says nothing: perhaps the repository hangs"
		: NULL);
}

/* What alarms can be of: clusters and peers. */
struct things {
	const struct settings *settings;
	const struct facts *facts;
};

static bool
is_there(const void *arg, const char *name)
{
	const struct things *t = arg;

	return facts_cluster(t->facts, name) != NULL ||
	    settings_peer(t->settings, name, NULL) != NULL;
}

static void
judge_peer(struct alarms *a, const struct settings *s, const char *name)
{
	struct err e = ERR_INIT;
	struct peer p;

	set(a, ALARM_PEER_NOT_PAIRED, name,
	    peer_read(s->state_dir, name, &p, &e) == -1 ? e.text : NULL);
	if (e.kind == ERR_NONE)
		judge_link(a, s, settings_peer(s, name, NULL));
}

void
judge(struct alarms *a, const struct settings *s, const struct facts *f,
    const struct duties *d, int64_t now_us)
{
	struct things things = { s, f };
	size_t i;

	alarms_keep(a, is_there, &things);
	judge_repository(a, f);
	judge_space(a, s, f);
	judge_watcher(a, f);
	judge_duties(a, d, "", NULL);
	if (f->settings_error != NULL)
		alarm_note(a, ALARM_SETTINGS_REFUSED, "", f->settings_error);
	else
		alarm_clear(a, ALARM_SETTINGS_REFUSED, "");
	for (i = 0; i < s->peer_count; i++) {
		judge_peer(a, s, s->peers[i].name);
		judge_duties(a, d, s->peers[i].name, NULL);
	}
	for (i = 0; i < f->count; i++) {
		const struct cluster_view *c = &f->clusters[i];
		const struct cluster_settings *cs =
		    settings_cluster(s, c->name, NULL);

		if (cs == NULL)
			continue;
		if (judge_rule(a, cs, c)) {
			judge_role(a, c);
			judge_witness(a, cs, c);
		}
		judge_standby(a, cs, c);
		judge_gap(a, c);
		judge_receiver(a, cs, c);
		judge_overdue(a, c, now_us);
		judge_jobs(a, c);
		judge_drill(a, c, now_us);
		judge_ready(a, cs, c);
		judge_duties(a, d, c->name, c->problem);
	}
}
