/* What duties and we ourselves say, and who is told. */

#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "daemon/message.h"
#include "daemon/supervisor_int.h"

/* ---- the history's messages ---- */

static json_t *
outbox_take(struct outbox *o)
{
	json_t *m = o->ring[o->first];

	o->first = (o->first + 1) % OUTBOX_MAX;
	o->count--;
	return m;
}

void
outbox_clear(struct outbox *o)
{
	while (o->count > 0)
		json_decref(outbox_take(o));
}

/* The oldest gives way; its line is in the log. */
void
supervisor_keep(struct supervisor *v, const json_t *message)
{
	struct outbox *o = &v->outbox;

	if (o->count == OUTBOX_MAX) {
		json_decref(outbox_take(o));
		o->lost++;
	}
	o->ring[(o->first + o->count++) % OUTBOX_MAX] = json_deep_copy(message);
}

void
outbox_flush(struct supervisor *v)
{
	const struct duty *store = duties_find(v->duties, "store", "");
	struct outbox *o = &v->outbox;
	struct err e;

	if (store == NULL || store->fd == -1)
		return;
	while (o->count > 0) {
		if (message_send(store->fd, o->ring[o->first], &e) == -1 &&
		    e.kind != ERR_BUG)
			return; /* when it reads, or lives, again */
		json_decref(outbox_take(o));
	}
}

/* ---- taking ---- */

static void
tell_event(struct supervisor *v, const json_t *event)
{
	recent_put(v->recent, event);
	if (!json_is_true(json_object_get(event, "old")))
		supervisor_keep(v, event); /* else it comes from there */
}

void
supervisor_sink(void *arg, enum log_level level, const char *event,
    const char *message, const char *const *keys, const char *const *values,
    unsigned int count)
{
	AUTO_JSON json_t *m = NULL;

	if (level < LOG_LEVEL_INFO)
		return;
	m = message_of_event(level, event, message, keys, values, count);
	tell_event(arg, m); /* no fact: it was concluded from them */
}

/* An event of a cluster's duty is one of the cluster; a courier's is one of its
 * peer. */
static void
name_thing(json_t *event, const struct duty *y)
{
	json_t *values = json_object_get(event, "values");
	const char *key = strcmp(y->name, "courier") == 0 ? "peer" : "cluster";

	if (json_is_object(values) && y->cluster[0] != '\0' &&
	    json_object_get(values, key) == NULL)
		json_set_str(values, key, y->cluster);
}

static void
take(struct supervisor *v, const struct duty *y, json_t *m)
{
	const char *type = message_text(m, "type");

	if (type == NULL)
		return;
	/* A history that begins again tells what we know. */
	if (json_is_true(json_object_get(m, "old")) && v->history_told)
		return;
	if (strcmp(type, "ready") == 0)
		v->history_told = true;
	if (strcmp(type, "event") == 0) {
		name_thing(m, y);
		tell_event(v, m);
	}
	if (strcmp(type, "sample") == 0) {
		supervisor_keep(v, m);
		return;
	}
	facts_take(v->facts, m);
	v->plan_now = true;
}

void
supervisor_listen(struct supervisor *v, struct duty *y)
{
	struct err e;
	int rc;

	while (y->fd != -1) {
		AUTO_JSON json_t *m = NULL;

		rc = message_receive(y->fd, &m, &e);
		if (rc == 1)
			take(v, y, m);
		else if (rc == -1 && e.kind == ERR_TRANSIENT)
			return;
		else if (rc == 0 || e.kind == ERR_IO)
			duty_hang_up(y);
	}
}
