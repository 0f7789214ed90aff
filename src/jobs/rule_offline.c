/*
 * rule_offline: what the records say when no daemon runs.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "jobs/follow.h"
#include "jobs/rule_int.h"
#include "pg/server.h"

/* So long is a process waited for that is about to end. */
#define LOCK_WAIT_US (10 * CLOCK_SECOND_US)
#define LOCK_STEP_US (CLOCK_SECOND_US / 10)

static void
say_why(char why[160], const char *text)
{
	(void)snprintf(why, 160, "%s", text == NULL ? "" : text);
}

/* What the rule that runs says; false when none does. */
static bool
ask_rule(const struct settings *s, const struct cluster_settings *c, bool *may,
    char why[160])
{
	AUTO_JSON json_t *j = rule_shown(s, c);

	if (j == NULL)
		return false;
	*may = json_is_true(json_object_get(j, "may_write"));
	say_why(why, json_string_value(json_object_get(j, "may_write_why")));
	return true;
}

int
rule_may_start(const struct settings *s, const struct cluster_settings *c,
    bool *may, char why[160], struct err *e)
{
	struct rule_sites sites;
	struct decide_settings settings;
	struct record_role_file role;
	struct voter voter;
	struct decide_facts f = { .now_us = clock_boot_us(), .rpo_us = -1 };
	struct guard_view guard;
	enum decide_reason reason;

	if (!rule_wanted(c)) {
		*may = true;
		say_why(why, decide_reason_text(REASON_BACKUPS_ONLY));
		return 0;
	}
	if (rule_sites(s, c, &sites, e) == -1)
		return -1;
	rule_decide_settings(s, c, &sites, &settings);
	f.self = sites.self;
	f.witness = sites.names[SEAT_WITNESS] != NULL;
	if (rule_role_read(s, c, &role, e) == 0)
		f.role = &role;
	else if (e->kind != ERR_NOT_FOUND && e->kind != ERR_CORRUPT)
		return -1;
	err_clear(e);
	if (rule_voter_start(s, c, &sites, &voter, e) == -1)
		return -1;
	f.voter = &voter;
	guard_look(s, c, &guard);
	f.guarded = c->fence != FENCE_KIND_LEASE || guard.there;
	*may = decide_may_start(&settings, &f, &reason);
	say_why(why, decide_reason_text(reason));
	/* The rule knows what the other sites say; a record that forbids it
	 * counts whatever it says. */
	if (*may || reason == REASON_PEER_UNHEARD)
		(void)ask_rule(s, c, may, why);
	return 0;
}

/* ---- failover --offline ---- */

/* pgkurad holds the lock of its state folder as long as it lives. */
static bool
daemon_runs(const struct settings *s)
{
	AUTO_FREE char *path = file_join(s->state_dir, "pgkurad.lock");
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd != -1 && flock(fd, LOCK_SH | LOCK_NB) == -1;
}

static int
look(const struct settings *s, const struct cluster_settings *c,
    struct handover_offline *f, struct err *e)
{
	AUTO_REPO struct repo *repo = NULL;
	struct lineage l;
	struct wal_known known;
	struct follow_view v;

	if (follow_need(c, e) == -1 || follow_look_state(s, c, &v, e) == -1)
		return -1;
	/* What is not there is made from a backup. */
	f->promotable = v.state != FOLLOW_FOREIGN && v.state != FOLLOW_PROMOTED;
	f->server_running = v.pid != 0;
	f->loss_us = -1;
	repo = repo_open(s->repository, s->state_dir, false, e);
	if (repo == NULL || lineage_open(repo, c->name, NULL, &l, e) == -1)
		return -1;
	wal_known_read(&l, &known);
	if (known.server_us != 0)
		f->loss_us = clock_now_us() - known.server_us;
	if (known.server_us != 0 && f->loss_us < 0)
		f->loss_us = 0;
	return 0;
}

/* The term without the others' votes, durable; then the role. */
static int
take_term(const struct settings *s, const struct cluster_settings *c,
    struct record_role_file *role, struct rule_offline *o, struct err *e)
{
	struct rule_sites sites;
	struct voter voter;
	struct voter_step step;

	if (rule_sites(s, c, &sites, e) == -1 ||
	    rule_voter_start(s, c, &sites, &voter, e) == -1)
		return -1;
	voter_force(&voter, o->term, clock_boot_us(), &step);
	if (rule_term_write(s, c, &step.record, e) == -1)
		return -1;
	o->term = step.record.number;
	record_role_change(role, ROLE_PRIMARY, o->term, clock_now_us(),
	    "failover, as ordered, without the daemon");
	role->held = o->term;
	role->waived = o->term;
	role->superseded_by = 0;
	role->handover = HANDOVER_NONE;
	role->handover_to = SEAT_NONE;
	role->maintenance = role->clean_stop = role->canceled = false;
	return rule_role_write(s, c, role, e);
}

/*
 * The lock of a duty.  One that has lost its daemon is about to end: it is
 * waited for, and say() tells so.
 */
static int
lock_duty(const struct settings *s, const struct cluster_settings *c,
    const char *duty, void (*say)(void *arg, const char *line), void *arg,
    struct err *e)
{
	int64_t until_us = clock_boot_us() + LOCK_WAIT_US;
	bool told = false;
	char line[120];
	int fd;

	for (;;) {
		fd = cluster_lock(s->state_dir, c->name, duty, e);
		if (fd != -1 || e->kind != ERR_TRANSIENT ||
		    clock_boot_us() >= until_us || daemon_runs(s))
			break;
		(void)snprintf(line, sizeof(line),
		    "waiting until the process \"%s\" of pgkurad has ended",
		    duty);
		if (!told && say != NULL)
			say(arg, line);
		told = true;
		if (child_check_stop(e) == -1)
			return -1;
		clock_sleep_us(LOCK_STEP_US);
	}
	if (fd == -1 && e->kind == ERR_TRANSIENT)
		return err_hint(
		    e, "pgkurad runs: give the order without --offline.");
	if (fd != -1)
		err_clear(e);
	return fd;
}

int
rule_failover_offline(const struct settings *s,
    const struct cluster_settings *c, struct rule_offline *o,
    void (*say)(void *arg, const char *line), void *arg, struct err *e)
{
	AUTO_FD int lock = -1, following = -1;
	struct record_role_file role;
	struct record_term term;
	struct handover_offline f = { .allow_loss_us = o->allow_loss_us };

	lock = lock_duty(s, c, "rule", say, arg, e);
	if (lock == -1)
		return -1;
	following = lock_duty(s, c, "follow", say, arg, e);
	if (following == -1 || look(s, c, &f, e) == -1)
		return -1;
	if (rule_role_read(s, c, &role, e) == 0)
		f.role = &role;
	else if (e->kind != ERR_NOT_FOUND && e->kind != ERR_CORRUPT)
		return -1;
	err_clear(e);
	if (rule_term_read(s, c, &term, NULL) == 0)
		f.term = &term;
	o->loss_us = f.loss_us;
	if (o->plan_only)
		f.allow_loss_us = -1;
	/* A promotion that was cut off goes on. */
	if (f.role == NULL || role.role != ROLE_PRIMARY || !f.promotable) {
		if (handover_offline(&f, &o->term, e) == -1)
			return -1;
		if (o->plan_only)
			return 0;
		if (take_term(s, c, &role, o, e) == -1)
			return -1;
	} else if (o->plan_only) {
		o->term = role.held;
		return 0;
	}
	return rule_work_promote(s, c, say, arg, o->result, e);
}
