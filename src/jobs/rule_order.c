/*
 * rule_order: what an operator orders: a file beside the durable ones, taken
 * once; what becomes of it is in the file that rule_status.c shows.  An order
 * does not outlive the rule: nobody is surprised by it later.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/show.h"
#include "base/who.h"
#include "jobs/rule_int.h"

#define ORDER_BYTES_MAX ((size_t)4096)
#define SHOWN_AGE_US	(15 * CLOCK_SECOND_US)
#define POLL_US		(CLOCK_SECOND_US / 10)
#define NEW_ORDER_US	(5 * CLOCK_SECOND_US)

static const char *const kinds[] = { [RULE_ORDER_NONE] = "",
	[RULE_ORDER_FAILOVER] = "failover",
	[RULE_ORDER_CONFIRM] = "confirm",
	[RULE_ORDER_CANCEL] = "cancel",
	[RULE_ORDER_SWITCHOVER] = "switchover",
	[RULE_ORDER_FAILBACK] = "failback",
	[RULE_ORDER_SALVAGE] = "salvage",
	[RULE_ORDER_MAINTENANCE_ON] = "maintenance on",
	[RULE_ORDER_MAINTENANCE_OFF] = "maintenance off",
	[RULE_ORDER_BEGIN] = "begin",
	[RULE_ORDER_ABORT] = "abort" };

/* ---- the rule's side ---- */

void
rule_order_end(
    struct rule *r, const char *state, const char *text, const char *hint)
{
	r->order.kind = RULE_ORDER_NONE;
	r->order.state = state;
	(void)snprintf(r->order.text, sizeof(r->order.text), "%s", text);
	(void)snprintf(r->order.hint, sizeof(r->order.hint), "%s", hint);
	r->shown_us = 0;
}

/* A site that is the primary fails over to nobody, and so on. */
static void
need_role(struct rule *r, enum record_role role, const char *what)
{
	char text[120];

	if (r->has_role && r->role.role == role)
		return;
	(void)snprintf(text, sizeof(text), "this site is \"%s\": %s",
	    r->has_role ? record_role_name(r->role.role) : "unknown", what);
	rule_order_end(r, "refused", text, "");
}

/* A failure ends the order. */
static int
put_role(struct rule *r, const struct record_role_file *next)
{
	if (rule_put_role(r, next) == 0)
		return 0;
	rule_order_end(r, "failed", "the record could not be written", "");
	return -1;
}

static void
step_cancel(struct rule *r)
{
	struct record_role_file next = r->role;

	need_role(r, ROLE_STANDBY, "cancel at the standby");
	if (r->order.kind == RULE_ORDER_NONE)
		return;
	next.canceled = true;
	if (put_role(r, &next) == 0)
		rule_order_end(r, "done", "no automatic failover", "");
}

static void
put_maintenance(struct rule *r, bool on)
{
	struct record_role_file next = r->role;

	next.maintenance = on;
	(void)put_role(r, &next);
}

/*
 * Maintenance counts once the other site has it on record: it echoes it.  Under the
 * lease rules also its votes, and the witness' if that is heard, are such that the
 * lease has no end (and at the end of maintenance, that there is one with an end).
 */
static bool
others_know(const struct rule *r, bool on)
{
	const struct decide_says *witness = &r->says[SEAT_WITNESS];
	const struct decide_says *peer = &r->says[r->sites.peer];
	uint64_t number = r->voter.lease_number;

	if (!rule_peer_fresh(r) || peer->maintenance != on)
		return false;
	if (!decide_leased(&r->role))
		return true;
	if (!on)
		return voter_holds(&r->voter, clock_boot_us()) &&
		    !voter_is_free(&r->voter) && voter_stands(&r->voter) == 0;
	return voter_is_free_durably(&r->voter) && peer->number >= number &&
	    (!rule_fresh(r, SEAT_WITNESS) || witness->number >= number);
}

static const char *
maintenance_text(const struct rule *r, bool on)
{
	if (!on)
		return "maintenance is off, and the other site knows";
	return decide_leased(&r->role)
	    ? "maintenance is on, and the other site knows; the server needs no "
	      "lease: pgkurad may be stopped"
	    : "maintenance is on, and the other site knows";
}

static const char *
late_text(const struct rule *r, bool on)
{
	if (!decide_leased(&r->role))
		return "it is on record here, but the other site has not said "
		       "that it knows";
	if (on)
		return "it is on record here, but the other sites have not said "
		       "that they know: the server still needs its lease, and "
		       "pgkurad";
	return voter_is_free(&r->voter)
	    ? "maintenance stays on: no other site gives a lease"
	    : "maintenance is on again, but no other site has given a lease: the "
	      "server stops when the one that it has ends";
}

/* The others did not answer.  Where a lease is needed, maintenance ends only with
 * one: without it the server would have to be stopped. */
static void
maintenance_late(struct rule *r, bool on)
{
	bool leased = decide_leased(&r->role);

	if (!on && leased)
		put_maintenance(r, true);
	if (r->order.kind == RULE_ORDER_NONE)
		return;
	rule_order_end(r, on || leased ? "failed" : "done", late_text(r, on),
	    "Try again when the other site is reached.");
}

static void
step_maintenance(struct rule *r, bool on)
{
	need_role(r, ROLE_PRIMARY, "announce maintenance at the primary");
	if (r->order.kind == RULE_ORDER_NONE)
		return;
	if (r->role.maintenance != on)
		put_maintenance(r, on);
	if (r->order.kind == RULE_ORDER_NONE)
		return;
	if (others_know(r, on)) {
		rule_event(r, LOG_LEVEL_WARNING,
		    on ? "maintenance_begins" : "maintenance_ends",
		    on ? "the server is left alone, and nobody fails over"
		       : "the server is watched again",
		    NULL, NULL);
		rule_order_end(r, "done", maintenance_text(r, on), "");
	} else if (clock_boot_us() - r->order.since_us > 20 * CLOCK_SECOND_US) {
		maintenance_late(r, on);
	}
}

void
rule_maintenance_over(struct rule *r, const struct record_role_file *old)
{
	if (old->maintenance)
		rule_event(r, LOG_LEVEL_WARNING, "maintenance_ends",
		    "the role has moved: the new primary's server is watched",
		    NULL, NULL);
}

static void
step_failback(struct rule *r, enum rule_work work)
{
	if (r->order.begun)
		return;
	need_role(r, ROLE_STANDBY, "it does not follow another");
	if (r->order.kind == RULE_ORDER_NONE || r->task.work != WORK_NONE)
		return;
	/* For this task alone: one that a hand-over asks for gives nothing away. */
	if (r->order.named)
		(void)setenv("PGKURA_REJOIN_ORDERED", "1", 1);
	rule_task_start(r, work);
	(void)unsetenv("PGKURA_REJOIN_ORDERED");
	r->order.begun = r->task.work == work;
}

/* What does not wait for decide or the hand-over. */
static void
step_order(struct rule *r)
{
	struct err e = ERR_INIT;

	switch (r->order.kind) {
	case RULE_ORDER_CANCEL:
		step_cancel(r);
		break;
	case RULE_ORDER_FAILOVER:
	case RULE_ORDER_CONFIRM:
		if (!r->order.begun)
			need_role(
			    r, ROLE_STANDBY, "only a standby can take over");
		break;
	case RULE_ORDER_MAINTENANCE_ON:
		step_maintenance(r, true);
		break;
	case RULE_ORDER_MAINTENANCE_OFF:
		step_maintenance(r, false);
		break;
	case RULE_ORDER_FAILBACK:
		step_failback(r, WORK_REJOIN);
		break;
	case RULE_ORDER_SALVAGE:
		step_failback(r, WORK_SALVAGE);
		break;
	case RULE_ORDER_BEGIN:
		if (rule_begin_ordered(r, &e) == -1)
			rule_order_end(r, "refused", e.text, e.hint);
		else
			rule_order_end(
			    r, "done", record_role_name(r->role.role), "");
		break;
	default:
		break;
	}
}

static enum rule_order_kind
kind_of(const char *word)
{
	size_t i;

	for (i = 1; i < COUNT_OF(kinds); i++)
		if (strcmp(kinds[i], word) == 0)
			return (enum rule_order_kind)i;
	return RULE_ORDER_NONE;
}

static bool
read_order(struct rule *r, const json_t *j)
{
	struct rule_order o = { .state = "running", .allow_loss_us = 0 };
	const char *word;

	if (json_need_text(j, "id", o.id, sizeof(o.id), NULL) == -1 ||
	    json_need_str(j, "order", &word, NULL) == -1 ||
	    (o.kind = kind_of(word)) == RULE_ORDER_NONE)
		return false;
	(void)json_need_i64(j, "allow_loss_us", &o.allow_loss_us, NULL);
	(void)json_need_text(j, "to", o.to, sizeof(o.to), NULL);
	o.force = json_is_true(json_object_get(j, "force"));
	o.named = json_is_true(json_object_get(j, "named"));
	o.since_us = clock_boot_us();
	r->order = o;
	log_event(LOG_LEVEL_WARNING, "order", word, "cluster", r->c->name, "id",
	    o.id, "by", json_string_value(json_object_get(j, "by")), NULL);
	r->shown_us = 0;
	return true;
}

/* Given a moment ago, as a reload was under way, say: who gave it waits for it.  Its
 * id begins with the time. */
static bool
is_new(const char *id)
{
	int64_t age_us = clock_now_us() - (int64_t)strtoll(id, NULL, 10);

	return age_us >= 0 && age_us < NEW_ORDER_US;
}

/* What came while nobody took orders is not done later: who gave it has gone away,
 * or gives it again. */
void
rule_order_drop(struct rule *r)
{
	char id[RULE_ORDER_ID_BYTES];
	AUTO_FREE char *path = rule_path(r->s, r->c, "order");
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_JSON json_t *j = NULL;

	if (file_slurp_at(AT_FDCWD, path, ORDER_BYTES_MAX, &text, NULL) == 0)
		j = json_parse(text.data, text.len, path, NULL);
	if (j == NULL || json_need_text(j, "id", id, sizeof(id), NULL) == -1) {
		(void)unlink(path);
		return;
	}
	if (is_new(id))
		return;
	(void)unlink(path);
	(void)snprintf(r->order.id, sizeof(r->order.id), "%s", id);
	rule_order_end(r, "failed",
	    "pgkurad was started anew before it took the order",
	    "Nothing was done: give it again.");
	log_event(LOG_LEVEL_WARNING, "order_dropped", r->order.text, "cluster",
	    r->c->name, "id", r->order.id, "order", json_get_str(j, "order"),
	    NULL);
}

void
rule_order_take(struct rule *r)
{
	AUTO_FREE char *path = rule_path(r->s, r->c, "order");
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_JSON json_t *j = NULL;

	/* One at a time: the newest takes the place of the one before it, whose
	 * command is told so.  What that one has begun goes on. */
	if (file_slurp_at(AT_FDCWD, path, ORDER_BYTES_MAX, &text, NULL) == 0) {
		(void)unlink(path);
		j = json_parse(text.data, text.len, path, NULL);
		if (j != NULL)
			(void)read_order(r, j);
	}
	if (r->order.kind != RULE_ORDER_NONE)
		step_order(r);
}

/* ---- the command's side ---- */

json_t *
rule_shown_last(const struct settings *s, const struct cluster_settings *c)
{
	AUTO_FREE char *path = rule_path(s, c, "json");
	json_t *j = show_read(path);
	int64_t us;

	if (j != NULL &&
	    (json_need_i64(j, "boot_us", &us, NULL) == -1 ||
		clock_boot_us() - us > SHOWN_AGE_US || clock_boot_us() < us)) {
		json_decref(j);
		j = NULL;
	}
	return j;
}

/* What a dead one said of itself says nothing of now. */
json_t *
rule_shown(const struct settings *s, const struct cluster_settings *c)
{
	AUTO_JSON json_t *j = rule_shown_last(s, c);
	int64_t pid;

	if (j == NULL || json_need_i64(j, "pid", &pid, NULL) == -1 ||
	    cluster_lock_holder(s->state_dir, c->name, "rule", NULL) != pid)
		return NULL;
	return steal_ptr(&j);
}

int
rule_not_running(const struct cluster_settings *c, struct err *e)
{
	(void)err_set(e, ERR_NOT_FOUND,
	    "pgkurad does not attend to the roles of cluster \"%s\"", c->name);
	return err_hint(e,
	    "Start it: \"systemctl start pgkurad\"; where that was just now, "
	    "try again in a moment.");
}

/* The last word of an order: 1 done, 0 not yet, -1 refused or failed. */
static int
verdict_of(const json_t *o, struct err *e)
{
	const char *state = json_get_str(o, "state");

	if (strcmp(state, "running") == 0)
		return 0;
	if (strcmp(state, "done") == 0)
		return 1;
	(void)err_set(e,
	    strcmp(state, "refused") == 0 ? ERR_REFUSED : ERR_TRANSIENT, "%s",
	    json_get_str(o, "text"));
	if (json_get_str(o, "hint")[0] != '\0')
		(void)err_hint(e, "%s", json_get_str(o, "hint"));
	return -1;
}

int
rule_order_verdict(
    const json_t *shown, const char *id, bool *seen, struct err *e)
{
	const json_t *o = json_object_get(shown, "order");

	if (strcmp(json_get_str(o, "id"), id) == 0) {
		*seen = true;
		return verdict_of(o, e);
	}
	if (*seen && shown != NULL)
		return err_set(e, ERR_TRANSIENT,
		    "another order has taken the place of this one");
	return 0;
}

static int
wait_for_order(const struct settings *s, const struct cluster_settings *c,
    const char *id, int timeout_ms,
    void (*progress)(void *arg, const char *line), void *arg, struct err *e)
{
	int64_t news_us = clock_boot_us();
	char last[300] = "";
	bool seen = false;
	int rc = 0;

	while (rc == 0) {
		AUTO_JSON json_t *j = rule_ask_shown(s, c, NULL);
		const char *doing = json_get_str(j, "doing");

		if (child_check_stop(e) == -1)
			return -1;
		rc = rule_order_verdict(j, id, &seen, e);
		if (doing[0] != '\0' && strcmp(doing, last) != 0) {
			(void)snprintf(last, sizeof(last), "%s", doing);
			news_us = clock_boot_us();
			if (progress != NULL)
				progress(arg, last);
		}
		if (rc == 0 &&
		    clock_boot_us() - news_us > (int64_t)timeout_ms * 1000)
			return err_set(e, ERR_TRANSIENT,
			    "there is no news of the order for %d s",
			    timeout_ms / 1000);
		if (rc == 0)
			clock_sleep_us(POLL_US);
	}
	return rc == 1 ? 0 : -1;
}

/* A member that we do not know may have said what the order is not to do. */
json_t *
rule_order_copy(json_t *order, struct err *e)
{
	AUTO_JSON json_t *copy = json_object();
	const char *key, *word;
	char to[RECORD_NAME_BYTES];
	json_t *value;
	int64_t us;
	bool is;
	int rc = 0;

	if (json_need_str(order, "order", &word, e) == -1)
		return NULL;
	if (kind_of(word) == RULE_ORDER_NONE) {
		(void)err_set(e, ERR_USAGE, "there is no order \"%s\"", word);
		return NULL;
	}
	json_object_foreach(order, key, value)
	{
		if (strcmp(key, "id") == 0 || strcmp(key, "by") == 0)
			continue;
		if (strcmp(key, "to") == 0)
			rc = json_need_text(order, key, to, sizeof(to), e);
		else if (strcmp(key, "allow_loss_us") == 0)
			rc = json_need_i64(order, key, &us, e);
		else if (strcmp(key, "force") == 0 || strcmp(key, "named") == 0)
			rc = json_need_bool(order, key, &is, e);
		else if (strcmp(key, "order") != 0)
			rc = err_set(e, ERR_USAGE,
			    "an order does not take \"%.40s\"", key);
		if (rc == -1)
			return NULL;
		(void)json_object_set(copy, key, value);
	}
	return steal_ptr(&copy);
}

int
rule_order_publish(const struct settings *s, const struct cluster_settings *c,
    json_t *order, const char *by, char id[RULE_ORDER_ID_BYTES], struct err *e)
{
	AUTO_FREE char *path = rule_path(s, c, "order");
	AUTO_JSON json_t *shown = rule_shown(s, c);
	AUTO_BUF struct buf text = BUF_INIT;
	mode_t mask;
	int rc;

	if (shown == NULL)
		return rule_not_running(c, e);
	(void)snprintf(id, RULE_ORDER_ID_BYTES, "%lld-%ld",
	    (long long)clock_now_us(), (long)getpid());
	json_set_str(order, "id", id);
	json_set_str(order, "by", by);
	json_write(order, &text);
	/* Root gives orders too, whose files pgkurad reads as its own user; others do
	 * not come into the folder. */
	mask = umask(022);
	rc = file_publish_at(
	    AT_FDCWD, path, text.data, text.len, 0644, FILE_REPLACE, e);
	(void)umask(mask);
	return rc;
}

int
rule_put_order(const struct settings *s, const struct cluster_settings *c,
    json_t *order, char id[RULE_ORDER_ID_BYTES], struct err *e)
{
	AUTO_FREE char *who = who_orders();
	struct err own = ERR_INIT;

	if (rule_ask_needed(s, c))
		return rule_ask_order(s, c, order, id, e);
	if (rule_order_publish(s, c, order, who, id, &own) == 0)
		return 0;
	if (own.sys_errno == EACCES || own.sys_errno == EPERM)
		return rule_ask_order(s, c, order, id, e);
	*e = own;
	return -1;
}

int
rule_give_order(const struct settings *s, const struct cluster_settings *c,
    json_t *order, int timeout_ms,
    void (*progress)(void *arg, const char *line), void *arg, struct err *e)
{
	char id[RULE_ORDER_ID_BYTES];

	if (rule_put_order(s, c, order, id, e) == -1)
		return -1;
	return wait_for_order(s, c, id, timeout_ms, progress, arg, e);
}
