#include "daemon/standby_view.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "daemon/message.h"

#define MESSAGE_BYTES 700
/* A change of roles passes through states that would be faults if they stayed. */
#define STAYS_US (15 * CLOCK_SECOND_US)
/* A site says each second how its standby is. */
#define QUIET_US (30 * CLOCK_SECOND_US)

static bool
is(const json_t *j, const char *key, const char *want)
{
	const char *value = message_text(j, key);

	return value != NULL && strcmp(value, want) == 0;
}

static bool
is_true(const json_t *j, const char *key)
{
	return json_is_true(json_object_get(j, key));
}

/* ---- the standby here ---- */

/* While it is started once more it is not known to be well, nor to be ill. */
static void
judge_start(struct alarms *a, const struct cluster_view *c, const json_t *y)
{
	const char *error = message_text(y, "error");
	const char *doing = message_text(y, "doing");
	bool runs = is(y, "state", "running") || is(y, "state", "starting");
	char text[MESSAGE_BYTES];

	if (error != NULL && !runs) {
		(void)snprintf(text, sizeof(text),
		    "the standby does not run, and could not take over: %s",
		    error);
		alarm_raise_after(
		    a, ALARM_STANDBY_FAILING, c->name, text, STAYS_US);
	} else if (doing == NULL || runs) {
		alarm_clear(a, ALARM_STANDBY_FAILING, c->name);
	}
}

static void
judge_here(struct alarms *a, const struct cluster_view *c)
{
	const json_t *y = json_object_get(c->seen, "standby");
	const json_t *rule = json_object_get(c->seen, "rule");
	bool old = is(y, "state", "foreign") || is(y, "state", "promoted");
	const char *doing = message_text(rule, "doing");

	if (is(rule, "role", "primary"))
		y = NULL;
	judge_start(a, c, y);
	if (is(y, "doing", "off by order"))
		alarm_raise_after(a, ALARM_STANDBY_OFF, c->name,
		    is(y, "state", "absent")
			? "the standby was removed by order: this site could "
			  "not take over soon"
			: "the standby is stopped by order, and falls behind",
		    STAYS_US);
	else
		alarm_clear(a, ALARM_STANDBY_OFF, c->name);
	if (is(rule, "role", "standby") && old &&
	    is(rule, "handover", "none") && (doing == NULL || doing[0] == '\0'))
		alarm_raise_after(a, ALARM_FAILBACK_DUE, c->name,
		    "the server here was the primary, and does not follow the "
		    "new one: this site could not take over",
		    STAYS_US);
	else
		alarm_clear(a, ALARM_FAILBACK_DUE, c->name);
}

/* ---- the standby there ---- */

static void
judge_there(struct alarms *a, const struct cluster_view *c)
{
	const json_t *rule = json_object_get(c->seen, "rule"), *site;
	const char *name, *why;
	char text[MESSAGE_BYTES];
	bool quiet;
	size_t i;

	text[0] = '\0';
	json_array_foreach(json_object_get(rule, "sites"), i, site)
	{
		quiet = json_object_get(site, "told_ago_us") == NULL ||
		    json_get_int(site, "told_ago_us") > QUIET_US;
		if (!is_true(site, "heard") || is_true(site, "witness") ||
		    (!is(site, "role", "standby") && !quiet) ||
		    (is_true(site, "promotable") && !quiet))
			continue;
		name = message_text(site, "site");
		if (quiet) {
			(void)snprintf(text, sizeof(text),
			    "site \"%s\" does not say whether it could "
			    "take over",
			    name == NULL ? "" : name);
			continue;
		}
		why = message_text(site, "why_not");
		(void)snprintf(text, sizeof(text),
		    "site \"%s\" could not take over: %s",
		    name == NULL ? "" : name, why == NULL ? "" : why);
	}
	if (is(rule, "role", "primary") && text[0] != '\0')
		alarm_raise_after(a, ALARM_NO_STANDBY, c->name, text, STAYS_US);
	else
		alarm_clear(a, ALARM_NO_STANDBY, c->name);
}

void
judge_standby(struct alarms *a, const struct cluster_settings *cs,
    const struct cluster_view *c)
{
	const json_t *rule = json_object_get(c->seen, "rule");

	if (cs->standby_dir != NULL)
		judge_here(a, c);
	judge_there(a, c);
	/* It is told by an event of its own. */
	if (is(rule, "role", "primary") && is_true(rule, "maintenance"))
		alarm_note(a, ALARM_MAINTENANCE, c->name,
		    "maintenance is on: the server is not started again, and "
		    "nobody fails over");
	else
		alarm_clear(a, ALARM_MAINTENANCE, c->name);
}
