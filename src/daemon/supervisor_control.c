/* What is answered at the control socket. */

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/who.h"
#include "daemon/control_right.h"
#include "daemon/status.h"
#include "daemon/supervisor_int.h"
#include "jobs/rule.h"

#define EVENTS_DEFAULT 20
#define BY_JOB	       ((enum control_right)0)

static const struct cluster_settings *
need_cluster(const struct supervisor *v, const json_t *request, struct err *e)
{
	const struct cluster_settings *c;
	const char *name;

	if (json_need_str(request, "cluster", &name, e) == -1 ||
	    (c = settings_cluster(v->settings, name, e)) == NULL)
		return NULL;
	if (rule_wanted(c))
		return c;
	(void)err_set(
	    e, ERR_REFUSED, "cluster \"%s\" has no role at this site", c->name);
	return NULL;
}

static int
answer_status(struct supervisor *v, const json_t *request,
    const struct control_peer *peer, json_t *reply, struct err *e)
{
	AUTO_JSON json_t *status = status_json(v->settings, v->facts, v->duties,
	    v->alarms, v->settings_loaded_us, clock_now_us());

	(void)request;
	(void)peer;
	(void)e;
	(void)json_object_update(reply, status);
	return 0;
}

static int
answer_events(struct supervisor *v, const json_t *request,
    const struct control_peer *peer, json_t *reply, struct err *e)
{
	AUTO_JSON json_t *events = NULL;
	uint32_t count = EVENTS_DEFAULT;
	uint64_t after = 0;

	(void)peer;
	if (json_object_get(request, "count") != NULL &&
	    json_need_u32(request, "count", &count, e) == -1)
		return -1;
	if (json_object_get(request, "after") != NULL &&
	    json_need_u64(request, "after", &after, e) == -1)
		return -1;
	events = recent_json(v->recent, count, after);
	(void)json_object_update(reply, events);
	return 0;
}

static int
need_job(const json_t *request, const char **name, const char **cluster,
    enum job *job, struct err *e)
{
	if (json_need_str(request, "job", name, e) == -1 ||
	    json_need_str(request, "cluster", cluster, e) == -1)
		return -1;
	if (job_from_name(*name, job))
		return 0;
	(void)err_set(e, ERR_USAGE, "there is no job \"%s\"", *name);
	return err_hint(
	    e, "Jobs are backup, expire, verify, drill and drill_live.");
}

static int
run_live(struct supervisor *v, const json_t *request, const char *by,
    json_t *reply, struct err *e)
{
	const struct cluster_settings *c = need_cluster(v, request, e);

	return c == NULL ? -1
			 : supervisor_live_run(v, request, c, by, reply, e);
}

static int
answer_run(struct supervisor *v, const json_t *request,
    const struct control_peer *peer, json_t *reply, struct err *e)
{
	AUTO_FREE char *by = who_asks(peer->uid, peer->pid);
	const char *name, *cluster;
	enum job job;

	if (need_job(request, &name, &cluster, &job, e) == -1)
		return -1;
	if ((job == JOB_DRILL_LIVE
		    ? run_live(v, request, by, reply, e)
		    : supervisor_start_job(v, job, cluster, "asked", e)) == -1)
		return -1;
	log_event(LOG_LEVEL_INFO, "job_asked",
	    "a client of the control socket asked for a job", "cluster",
	    cluster, "job", name, "by", by, NULL);
	(void)json_object_set_new(reply, "pid",
	    json_integer(duties_find(v->duties, name, cluster)->pid));
	return 0;
}

static int
answer_cancel(struct supervisor *v, const json_t *request,
    const struct control_peer *peer, json_t *reply, struct err *e)
{
	AUTO_FREE char *by = who_asks(peer->uid, peer->pid);
	const char *name, *cluster;
	struct duty *y;
	enum job job;

	(void)reply;
	if (need_job(request, &name, &cluster, &job, e) == -1)
		return -1;
	y = duties_find(v->duties, name, cluster);
	if (y == NULL)
		return err_set(e, ERR_NOT_FOUND, "no %s of cluster \"%s\" runs",
		    name, cluster);
	duty_stop(y);
	log_event(LOG_LEVEL_INFO, "job_canceled",
	    "a client of the control socket has stopped a job", "cluster",
	    cluster, "job", name, "by", by, NULL);
	return 0;
}

/* ---- roles ---- */

static int
answer_drill_live(struct supervisor *v, const json_t *request,
    const struct control_peer *peer, json_t *reply, struct err *e)
{
	const struct cluster_settings *c = need_cluster(v, request, e);

	(void)peer;
	if (c == NULL)
		return -1;
	supervisor_live_answer(v, c, reply);
	return 0;
}

static int
answer_role(struct supervisor *v, const json_t *request,
    const struct control_peer *peer, json_t *reply, struct err *e)
{
	const struct cluster_settings *c = need_cluster(v, request, e);
	AUTO_JSON json_t *report =
	    c == NULL ? NULL : rule_report(v->settings, c, e);

	(void)peer;
	if (report == NULL)
		return -1;
	(void)json_object_update(reply, report);
	return 0;
}

/* Whose it is, and its id, is for us to say. */
static int
answer_order(struct supervisor *v, const json_t *request,
    const struct control_peer *peer, json_t *reply, struct err *e)
{
	const struct cluster_settings *c = need_cluster(v, request, e);
	AUTO_JSON json_t *order = NULL;
	AUTO_FREE char *by = NULL;
	char id[RULE_ORDER_ID_BYTES];

	if (c == NULL)
		return -1;
	order = rule_order_copy(json_object_get(request, "order"), e);
	if (order == NULL)
		return -1;
	by = who_asks(peer->uid, peer->pid);
	if (rule_order_publish(v->settings, c, order, by, id, e) == -1)
		return -1;
	json_set_str(reply, "id", id);
	return 0;
}

/* ---- the daemon itself ---- */

static int
answer_reload(struct supervisor *v, const json_t *request,
    const struct control_peer *peer, json_t *reply, struct err *e)
{
	(void)request;
	(void)peer;
	(void)reply;
	return supervisor_reload(v, e);
}

static int
answer_stop(struct supervisor *v, const json_t *request,
    const struct control_peer *peer, json_t *reply, struct err *e)
{
	AUTO_FREE char *by = who_asks(peer->uid, peer->pid);

	(void)request;
	(void)reply;
	(void)e;
	log_event(LOG_LEVEL_INFO, "stop_asked",
	    "a client of the control socket asked to stop", "by", by, NULL);
	supervisor_stop(v);
	return 0;
}

/* Only the owner may do what stops the protection or reads the settings
 * anew. */
static const struct {
	const char *name;
	enum control_right right; /* BY_JOB: that of the job */
	int (*answer)(struct supervisor *v, const json_t *request,
	    const struct control_peer *peer, json_t *reply, struct err *e);
} requests[] = {
	{ "status", CONTROL_RIGHT_OBSERVE, answer_status },
	{ "events", CONTROL_RIGHT_OBSERVE, answer_events },
	{ "role", CONTROL_RIGHT_OBSERVE, answer_role },
	{ "drill_live", CONTROL_RIGHT_OBSERVE, answer_drill_live },
	{ "run", BY_JOB, answer_run },
	{ "cancel", BY_JOB, answer_cancel },
	{ "order", CONTROL_RIGHT_FAILOVER, answer_order },
	{ "reload", CONTROL_RIGHT_OWNER, answer_reload },
	{ "stop", CONTROL_RIGHT_OWNER, answer_stop },
};

static const enum control_right job_rights[JOB_COUNT] = {
	[JOB_BACKUP] = CONTROL_RIGHT_BACKUP,
	[JOB_EXPIRE] = CONTROL_RIGHT_BACKUP,
	[JOB_VERIFY] = CONTROL_RIGHT_BACKUP,
	[JOB_DRILL] = CONTROL_RIGHT_DRILL,
	[JOB_DRILL_LIVE] = CONTROL_RIGHT_FAILOVER, /* it moves the role */
};

/* Who names no job is told so, if he may run any. */
static int
check_job_right(const struct control_peer *peer, const char *request_name,
    const json_t *request, struct err *e)
{
	AUTO_FREE char *what = NULL;
	const char *name = json_get_str(request, "job");
	enum job job;

	if (!job_from_name(name, &job))
		return (peer->rights &
			   (CONTROL_RIGHT_DRILL | CONTROL_RIGHT_FAILOVER)) != 0
		    ? 0
		    : control_right_check(
			  peer->rights, CONTROL_RIGHT_BACKUP, request_name, e);
	what = mem_printf("%s %s", request_name, name);
	return control_right_check(peer->rights, job_rights[job], what, e);
}

int
supervisor_answer(void *arg, const char *name, const json_t *request,
    struct control_peer *peer, json_t *reply, struct err *e)
{
	size_t i;
	int rc;

	for (i = 0; i < COUNT_OF(requests); i++) {
		if (strcmp(requests[i].name, name) != 0)
			continue;
		rc = requests[i].right == BY_JOB
		    ? check_job_right(peer, name, request, e)
		    : control_right_check(
			  peer->rights, requests[i].right, name, e);
		if (rc == -1) {
			peer->is_refused = true;
			return -1;
		}
		if (requests[i].answer(arg, request, peer, reply, e) == 0)
			return 0;
		if (e->kind == ERR_CORRUPT)
			e->kind = ERR_USAGE; /* the request's shape */
		return -1;
	}
	(void)err_set(e, ERR_USAGE, "there is no request \"%s\"", name);
	return err_hint(e,
	    "Requests are status, events, role, drill_live, run, cancel, order, "
	    "reload and stop.");
}
