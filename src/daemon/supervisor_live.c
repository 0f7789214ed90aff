/* Live drills: whose they are, and what is told of them. */

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/message.h"
#include "daemon/supervisor_int.h"
#include "jobs/drill_live.h"
#include "jobs/rule.h"

/* What the job is to do comes to it as its first message. */
static int
start(struct supervisor *v, const struct cluster_settings *c, json_t *order,
    const char *why, struct err *e)
{
	const char *name = job_name(JOB_DRILL_LIVE);
	struct duty *y;

	json_set_str(order, "type", "order");
	if (supervisor_start_job(v, JOB_DRILL_LIVE, c->name, why, e) == -1)
		return -1;
	y = duties_find(v->duties, name, c->name);
	if (message_send(y->fd, order, e) == 0)
		return 0;
	duty_stop(y); /* it does nothing without one */
	return -1;
}

static int
read_request(const json_t *request, json_t *order, struct err *e)
{
	int64_t hold_us = DRILL_LIVE_HOLD_US;
	char from[RECORD_NAME_BYTES];

	if (json_object_get(request, "hold_us") != NULL &&
	    json_need_i64(request, "hold_us", &hold_us, e) == -1)
		return -1;
	if (hold_us < 0 || hold_us > DRILL_LIVE_HOLD_MAX_US)
		return err_set(e, ERR_USAGE,
		    "\"hold_us\" is a day at most, in "
		    "microseconds");
	(void)json_object_set_new(
	    order, "hold_us", json_integer((json_int_t)hold_us));
	if (json_object_get(request, "from") == NULL)
		return 0;
	if (json_need_text(request, "from", from, sizeof(from), e) == -1)
		return -1;
	json_set_str(order, "from", from);
	return 0;
}

/* What would refuse it is found before it starts: it is then no drill. */
int
supervisor_live_run(struct supervisor *v, const json_t *request,
    const struct cluster_settings *c, const char *by, json_t *reply,
    struct err *e)
{
	AUTO_JSON json_t *order = json_object();
	AUTO_FREE char *id =
	    mem_printf("%lld-%ld", (long long)clock_now_us(), (long)getpid());
	struct drill_live_plan plan;
	const char *from;

	if (read_request(request, order, e) == -1 ||
	    drill_live_check(v->settings, c, &plan, e) == -1)
		return -1;
	from = json_get_str(order, "from");
	if (from[0] != '\0' && strcmp(from, plan.from) != 0)
		return err_set(e, ERR_CONFLICT,
		    "the roles have changed: \"%s\" is the primary now",
		    plan.from);
	json_set_str(order, "id", id);
	json_set_str(order, "by", by);
	if (start(v, c, order, "asked", e) == -1)
		return -1;
	json_set_str(reply, "id", id);
	return 0;
}

/* The site with the primary begins.  0 there, and nothing stands in the way; 1
 * elsewhere; -1. */
static int
check_due(const struct supervisor *v, const struct cluster_settings *c,
    struct drill_live_plan *plan, struct err *e)
{
	AUTO_JSON json_t *shown = rule_shown(v->settings, c);

	if (shown != NULL &&
	    strcmp(json_get_str(shown, "role"), "primary") != 0)
		return 1;
	if (duties_find(v->duties, job_name(JOB_BACKUP), c->name) != NULL)
		return err_set(e, ERR_TRANSIENT, "a backup runs");
	return drill_live_check(v->settings, c, plan, e);
}

void
supervisor_live_due(struct supervisor *v, struct cluster_view *view)
{
	const struct cluster_settings *c =
	    settings_cluster(v->settings, view->name, NULL);
	AUTO_JSON json_t *order = json_object();
	struct drill_live_plan plan;
	struct err e = ERR_INIT;
	int rc;

	view->known.live_us = clock_now_us();
	rc = c == NULL ? 1 : check_due(v, c, &plan, &e);
	if (rc == 0) {
		json_set_str(order, "from", plan.from);
		json_set_str(order, "by", "pgkurad, by drill_live_schedule");
		rc = start(v, c, order, "schedule", &e);
	}
	if (rc == -1)
		log_event(LOG_LEVEL_WARNING, "drill_live_skipped",
		    "a live drill is due, and is not run", "cluster",
		    view->name, "reason", e.text, NULL);
}

void
supervisor_live_answer(
    struct supervisor *v, const struct cluster_settings *c, json_t *reply)
{
	const struct duty *y =
	    duties_find(v->duties, job_name(JOB_DRILL_LIVE), c->name);
	json_t *drill = drill_live_shown(v->settings, c);

	(void)json_object_set_new(reply, "running", json_boolean(y != NULL));
	if (drill != NULL)
		(void)json_object_set_new(reply, "drill", drill);
}
