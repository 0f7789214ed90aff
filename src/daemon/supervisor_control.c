/* What is answered at the control socket. */

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "daemon/status.h"
#include "daemon/supervisor_int.h"

#define EVENTS_DEFAULT 20

static int
answer_status(
    struct supervisor *v, const json_t *request, json_t *reply, struct err *e)
{
	AUTO_JSON json_t *status = status_json(v->settings, v->facts, v->duties,
	    v->alarms, v->settings_loaded_us, clock_now_us());

	(void)request;
	(void)e;
	(void)json_object_update(reply, status);
	return 0;
}

static int
answer_events(
    struct supervisor *v, const json_t *request, json_t *reply, struct err *e)
{
	AUTO_JSON json_t *events = NULL;
	uint32_t count = EVENTS_DEFAULT;
	uint64_t after = 0;

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
answer_run(
    struct supervisor *v, const json_t *request, json_t *reply, struct err *e)
{
	const char *name, *cluster;
	enum job job;

	if (json_need_str(request, "job", &name, e) == -1 ||
	    json_need_str(request, "cluster", &cluster, e) == -1)
		return -1;
	if (!job_from_name(name, &job)) {
		(void)err_set(e, ERR_USAGE, "there is no job \"%s\"", name);
		return err_hint(e, "Jobs are backup, expire and verify.");
	}
	if (supervisor_start_job(v, job, cluster, "asked", e) == -1)
		return -1;
	(void)json_object_set_new(reply, "pid",
	    json_integer(duties_find(v->duties, name, cluster)->pid));
	return 0;
}

static int
answer_reload(
    struct supervisor *v, const json_t *request, json_t *reply, struct err *e)
{
	(void)request;
	(void)reply;
	return supervisor_reload(v, e);
}

static int
answer_stop(
    struct supervisor *v, const json_t *request, json_t *reply, struct err *e)
{
	(void)request;
	(void)reply;
	(void)e;
	log_event(LOG_LEVEL_INFO, "stop_asked",
	    "a client of the control socket asked to stop", NULL);
	supervisor_stop(v);
	return 0;
}

/* Only the owner may do what stops the protection or reads the settings
 * anew. */
static const struct {
	const char *name;
	bool owner_only;
	int (*answer)(struct supervisor *v, const json_t *request,
	    json_t *reply, struct err *e);
} requests[] = {
	{ "status", false, answer_status },
	{ "events", false, answer_events },
	{ "run", false, answer_run },
	{ "reload", true, answer_reload },
	{ "stop", true, answer_stop },
};

int
supervisor_answer(void *arg, const char *name, const json_t *request,
    bool is_owner, json_t *reply, struct err *e)
{
	size_t i;

	for (i = 0; i < COUNT_OF(requests); i++) {
		if (strcmp(requests[i].name, name) != 0)
			continue;
		if (requests[i].owner_only && !is_owner) {
			(void)err_set(e, ERR_REFUSED,
			    "only root and the user of pgkurad may ask to %s",
			    name);
			return -1;
		}
		if (requests[i].answer(arg, request, reply, e) == 0)
			return 0;
		if (e->kind == ERR_CORRUPT)
			e->kind = ERR_USAGE; /* the request's shape */
		return -1;
	}
	(void)err_set(e, ERR_USAGE, "there is no request \"%s\"", name);
	return err_hint(
	    e, "Requests are status, events, run, reload and stop.");
}
