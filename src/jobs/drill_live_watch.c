/*
 * drill_live_watch: orders to the rule of this site, and what it shows of
 * itself and says of the other one.
 */

#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/who.h"
#include "jobs/drill_live_int.h"

#define LOOK_US (CLOCK_SECOND_US / 10)
/* A rule that shows nothing new for so long has stopped. */
#define NEWS_US (120 * CLOCK_SECOND_US)
/* What is shown of the loss may be so old. */
#define AGE_US (2 * CLOCK_SECOND_US)

/* A site, as the rule here shows it: itself, or by the other one's heartbeats. */
struct side {
	const char *role, *handover; /* borrowed; "" unknown */
	int64_t held;		     /* the last term that it had */
	bool writable, promotable;
	/* A standby lacks nothing of what its primary had at this moment;
	 * CLOCK_BOOTTIME, -1 unknown. */
	int64_t has_us;
};

static bool
is_true(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

static bool
is_one_of(const char *text, const char *a, const char *b)
{
	return strcmp(text, a) == 0 || strcmp(text, b) == 0;
}

static const json_t *
find_peer(const json_t *shown, const char *name)
{
	const json_t *sites = json_object_get(shown, "sites"), *o;
	size_t i;

	json_array_foreach(sites, i, o) if (!is_true(o, "witness") &&
	    strcmp(json_get_str(o, "site"), name) == 0) return o;
	return NULL;
}

static void
look_at(const struct settings *s, const json_t *shown, const char *name,
    struct side *out)
{
	bool here = strcmp(name, s->site) == 0;
	const json_t *o = here ? shown : find_peer(shown, name);
	int64_t rpo_us = -1;

	*out = (struct side){ .role = json_get_str(o, "role"),
		.handover = json_get_str(o, "handover"),
		.held = json_get_int(o, "held"),
		.writable = is_true(o, "writable"),
		.promotable = is_true(o, "promotable"),
		.has_us = -1 };
	(void)json_need_i64(o, "rpo_us", &rpo_us, NULL);
	if (rpo_us >= 0)
		out->has_us = json_get_int(shown, "boot_us") -
		    json_get_int(o, "told_ago_us") - rpo_us - AGE_US;
}

static bool
is_settled(const struct side *v)
{
	return is_one_of(v->handover, "none", "taken");
}

/* ---- how far it is ---- */

static enum live_phase
phase_of(const struct live *l, const struct live_way *w, const json_t *shown)
{
	struct side from, to;

	look_at(l->d.settings, shown, w->from, &from);
	look_at(l->d.settings, shown, w->to, &to);
	if (strcmp(to.role, "primary") == 0 && is_settled(&to) && to.writable &&
	    strcmp(from.role, "standby") == 0) {
		if (strcmp(to.handover, "none") == 0 &&
		    strcmp(from.handover, "none") == 0 && from.promotable &&
		    json_get_str(shown, "obstacle")[0] == '\0' &&
		    w->mark_us[LIVE_TAKEN] != 0 &&
		    from.has_us > w->mark_us[LIVE_TAKEN])
			return LIVE_WHOLE;
		return LIVE_TAKEN;
	}
	if (strcmp(from.role, "standby") == 0)
		return LIVE_GIVEN;
	return strcmp(from.handover, "stopped") == 0 ? LIVE_STOPPED
						     : LIVE_ORDERED;
}

/* What went by between two looks was at the latest now. */
static void
mark(struct live_way *w, enum live_phase phase)
{
	int i;

	for (i = 0; i <= (int)phase; i++)
		if (w->mark_us[i] == 0)
			w->mark_us[i] = clock_boot_us();
}

/* The site here has a role that no step of this direction gives it. */
static int
check_roles(const struct live *l, const struct live_way *w, const json_t *shown,
    struct err *e)
{
	const char *here = l->d.settings->site;
	const char *role = json_get_str(shown, "role");
	bool wrong = strcmp(here, w->from) == 0 ? strcmp(role, "primary") == 0
						: strcmp(role, "standby") == 0;

	if (shown == NULL || !wrong)
		return 0;
	return err_set(e, ERR_CONFLICT,
	    "somebody else has changed the roles: site \"%s\" is now \"%s\"",
	    here, role);
}

void
live_say(struct live *l, const char *line)
{
	if (line[0] == '\0' || strcmp(line, l->said) == 0)
		return;
	(void)snprintf(l->said, sizeof(l->said), "%s", line);
	if (l->options->say != NULL)
		l->options->say(l->options->arg, line);
}

/* ---- waiting ---- */

struct watching {
	enum live_phase seen;
	char order[RULE_ORDER_ID_BYTES]; /* "" none is waited for */
	bool order_seen;
	int64_t news_us;
	char news[600];
};

static void
note_news(struct live *l, struct watching *v, const json_t *shown,
    enum live_phase phase)
{
	const char *doing = json_get_str(shown, "doing"),
		   *obstacle = json_get_str(shown, "obstacle");
	char news[sizeof(v->news)];

	(void)snprintf(
	    news, sizeof(news), "%d %.280s %.280s", phase, doing, obstacle);
	live_say(l, doing);
	if (shown == NULL || strcmp(news, v->news) == 0)
		return;
	(void)strcpy(v->news, news);
	v->news_us = clock_boot_us();
}

static int
no_news(const json_t *shown, struct err *e)
{
	const char *obstacle = json_get_str(shown, "obstacle"),
		   *doing = json_get_str(shown, "doing");
	char within[CLOCK_TEXT_BYTES];

	(void)clock_interval(NEWS_US, within);
	if (shown == NULL)
		return err_set(e, ERR_TRANSIENT,
		    "pgkurad of this site has not attended to the roles for %s",
		    within);
	return err_set(e, ERR_TRANSIENT, "nothing has moved for %s%s%s", within,
	    obstacle[0] != '\0' || doing[0] != '\0' ? ": " : "",
	    obstacle[0] != '\0' ? obstacle : doing);
}

/* One look: 1 the phase is there, 0 not yet, -1. */
static int
look(struct live *l, struct live_way *w, struct watching *v,
    enum live_phase until, struct err *e)
{
	AUTO_JSON json_t *shown =
	    rule_ask_shown(l->d.settings, l->d.cluster, NULL);
	enum live_phase phase = v->seen;
	int rc = 1;

	if (shown != NULL)
		phase = phase_of(l, w, shown);
	note_news(l, v, shown, phase);
	v->seen = phase;
	mark(w, phase);
	if (phase >= until)
		return 1;
	if (until == LIVE_WHOLE && check_roles(l, w, shown, e) == -1)
		return -1;
	if (v->order[0] != '\0')
		rc = rule_order_verdict(shown, v->order, &v->order_seen, e);
	if (rc == -1)
		return -1;
	if (rc == 1)
		v->order[0] = '\0';
	if (clock_boot_us() - v->news_us > NEWS_US)
		return no_news(shown, e);
	return 0;
}

static int
watch(struct live *l, struct live_way *w, struct watching *v,
    enum live_phase until, struct err *e)
{
	int rc;

	v->news_us = clock_boot_us();
	while ((rc = look(l, w, v, until, e)) == 0) {
		if (child_check_stop(e) == -1)
			return -1;
		clock_sleep_us(LOOK_US);
	}
	return rc == 1 ? 0 : -1;
}

int
live_switch(struct live *l, struct live_way *w, struct err *e)
{
	AUTO_JSON json_t *order = json_object();
	AUTO_FREE char *own = who_orders();
	const char *by = l->options->by == NULL ? own : l->options->by;
	struct watching v = { .seen = LIVE_ORDERED };

	json_set_str(order, "order", "switchover");
	/* The rule refuses it when the roles have changed meanwhile. */
	json_set_str(order, "to", w->to);
	w->ordered_us = clock_now_us();
	w->mark_us[LIVE_ORDERED] = clock_boot_us();
	if (rule_order_publish(
		l->d.settings, l->d.cluster, order, by, v.order, e) == -1)
		return -1;
	return watch(l, w, &v, LIVE_TAKEN, e);
}

int
live_follow(struct live *l, struct live_way *w, struct err *e)
{
	struct watching v = { .seen = LIVE_TAKEN };

	return watch(l, w, &v, LIVE_WHOLE, e);
}

int
live_hold(struct live *l, const struct live_way *w, int64_t us, struct err *e)
{
	int64_t until_us = clock_boot_us() + us;

	while (clock_boot_us() < until_us) {
		AUTO_JSON json_t *shown =
		    rule_ask_shown(l->d.settings, l->d.cluster, NULL);

		if (child_check_stop(e) == -1 ||
		    check_roles(l, w, shown, e) == -1)
			return -1;
		clock_sleep_us(LOOK_US);
	}
	return 0;
}

/* ---- where it is ---- */

/* What was said last by a site that is lost may be of an older term. */
static bool
is_primary(const struct side *a, const struct side *b)
{
	return strcmp(a->role, "primary") == 0 &&
	    (strcmp(b->role, "primary") != 0 || a->held > b->held);
}

const char *
live_where(const struct settings *s, const struct cluster_settings *c,
    const struct drill_live_plan *plan, bool *moving)
{
	AUTO_JSON json_t *shown = rule_ask_shown(s, c, NULL);
	struct side from, to;

	*moving = false;
	if (shown == NULL)
		return "unknown";
	look_at(s, shown, plan->from, &from);
	look_at(s, shown, plan->to, &to);
	*moving = (from.handover[0] != '\0' && !is_settled(&from)) ||
	    (to.handover[0] != '\0' && !is_settled(&to));
	if (!is_primary(&from, &to) && !is_primary(&to, &from))
		return "unknown";
	return is_primary(&from, &to) ? plan->from : plan->to;
}

int
drill_live_check(const struct settings *s, const struct cluster_settings *c,
    struct drill_live_plan *plan, struct err *e)
{
	AUTO_JSON json_t *shown = NULL;
	struct rule_sites sites;
	const char *here, *other, *role, *why;

	if (!rule_wanted(c))
		return err_set(e, ERR_REFUSED,
		    "cluster \"%s\" has no role at this site", c->name);
	shown = rule_ask_shown(s, c, e);
	if (shown == NULL || rule_sites(s, c, &sites, e) == -1)
		return -1;
	here = sites.names[sites.self];
	other = sites.names[sites.peer];
	role = json_get_str(shown, "role");
	why = json_get_str(shown, "obstacle");
	if (!is_one_of(role, "primary", "standby"))
		return err_set(e, ERR_REFUSED,
		    "this site is \"%s\": a live drill is run at one of the "
		    "two sites with data",
		    role);
	/* A switchover by hand ends it; a drill is not meant to. */
	if (why[0] == '\0' &&
	    is_true(
		strcmp(role, "primary") == 0 ? shown : find_peer(shown, other),
		"maintenance"))
		why = "maintenance is on: end it first";
	if (why[0] == '\0' && c->standby_dir == NULL)
		why =
		    "standby_dir is not set: the old primary would not follow";
	if (why[0] != '\0') {
		(void)err_set(
		    e, ERR_REFUSED, "a switchover could not begin: %s", why);
		return err_hint(e,
		    "Nothing was changed. \"pgkura role %s\" "
		    "says more.",
		    c->name);
	}
	(void)snprintf(plan->from, sizeof(plan->from), "%s",
	    strcmp(role, "primary") == 0 ? here : other);
	(void)snprintf(plan->to, sizeof(plan->to), "%s",
	    strcmp(role, "primary") == 0 ? other : here);
	return 0;
}
