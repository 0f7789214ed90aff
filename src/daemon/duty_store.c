#include "daemon/duty_store.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "daemon/hook.h"
#include "daemon/message.h"
#include "daemon/state.h"

#define OLD_EVENTS    200
#define PRUNE_US      (3600 * CLOCK_SECOND_US)
#define COMPLAIN_US   (600 * CLOCK_SECOND_US)
#define POLL_MAX_MS   1000 /* a stop is looked for at least so often */
#define SEND_PATIENCE 200

struct store_duty {
	int fd;
	char *path;
	struct state *state;
	struct hook *hook;
	int64_t prune_us;
	int64_t complain_us; /* not before: its own failures are events too */
};

/* ---- telling ---- */

/* A message that must arrive; the supervisor reads, but not at once. */
static int
tell(void *arg, json_t *message, struct err *e)
{
	struct store_duty *d = arg;
	int i;

	for (i = 0; i < SEND_PATIENCE; i++) {
		if (message_send(d->fd, message, e) == 0)
			return 0;
		if (e->kind != ERR_TRANSIENT)
			return -1;
		clock_sleep_us(CLOCK_SECOND_US / 100);
	}
	return -1;
}

static int
tell_old(void *arg, json_t *message, struct err *e)
{
	(void)json_object_set_new(message, "old", json_true());
	return tell(arg, message, e);
}

static int
tell_history(struct store_duty *d, struct err *e)
{
	AUTO_JSON json_t *ready = json_object();

	json_set_str(ready, "type", "ready");
	if (state_recent_events(d->state, OLD_EVENTS, tell_old, d, e) == -1 ||
	    state_last_jobs(d->state, tell_old, d, e) == -1)
		return -1;
	return tell(d, ready, e);
}

/* ---- the database ---- */

static int
open_state(struct store_duty *d, struct err *e)
{
	bool remade;

	d->state = state_open(d->path, &remade, e);
	if (d->state == NULL)
		return -1;
	if (remade)
		log_event(LOG_LEVEL_WARNING, "history_remade",
		    "the history was damaged; it is aside and a new one begun",
		    "file", d->path, NULL);
	return 0;
}

/* What could not be kept is not kept; one event in a while says so. */
static void
complain(struct store_duty *d, const struct err *e)
{
	int64_t now_us = clock_boot_us();

	if (now_us < d->complain_us)
		return;
	d->complain_us = now_us + COMPLAIN_US;
	log_event(LOG_LEVEL_WARNING, "history_incomplete", e->text, NULL);
}

static int
put(struct store_duty *d, const json_t *m, struct err *e)
{
	const char *type = message_text(m, "type");
	const char *cluster = message_text(m, "cluster");
	const char *name = message_text(m, "name");

	if (type == NULL)
		return 0;
	if (strcmp(type, "event") == 0)
		return state_put_event(d->state, m, e);
	if (strcmp(type, "job") == 0)
		return state_put_job(d->state, m, e);
	if (strcmp(type, "sample") == 0 && name != NULL)
		return state_put_sample(d->state, message_number(m, "time_us"),
		    cluster == NULL ? "" : cluster, name,
		    json_number_value(json_object_get(m, "value")), e);
	return 0;
}

static int
take(struct store_duty *d, const json_t *m, struct err *e)
{
	const char *type = message_text(m, "type");

	if (type != NULL && strcmp(type, "event") == 0)
		hook_offer(d->hook, m);
	if (put(d, m, e) == 0)
		return 0;
	complain(d, e);
	if (e->kind != ERR_CORRUPT)
		return 0;
	state_close(steal_ptr(&d->state));
	return open_state(d, e);
}

/* ---- the loop ---- */

/* Everything that there is to read: 1, or 0 at the end of the supervisor. */
static int
take_all(struct store_duty *d, struct err *e)
{
	int rc;

	for (;;) {
		AUTO_JSON json_t *m = NULL;

		rc = message_receive(d->fd, &m, e);
		if (rc == 1 && take(d, m, e) == -1)
			return -1;
		if (rc == 0 || (rc == -1 && e->kind == ERR_IO))
			return rc;
		if (rc == -1 && e->kind == ERR_TRANSIENT)
			return 1;
	}
}

static void
prune(struct store_duty *d)
{
	struct err e = ERR_INIT;
	int64_t now_us = clock_boot_us();

	if (now_us < d->prune_us)
		return;
	d->prune_us = now_us + PRUNE_US;
	if (state_prune(d->state, clock_now_us(), &e) == -1)
		complain(d, &e);
}

static int
loop(struct store_duty *d, struct err *e)
{
	int rc = 1;

	while (rc == 1 && !child_stop_requested()) {
		struct pollfd p[2] = { { d->fd, POLLIN, 0 } };

		prune(d);
		(void)hook_tick(d->hook);
		p[1].fd = hook_fd(d->hook);
		p[1].events = POLLIN;
		if (poll(p, 2, POLL_MAX_MS) == -1 && errno != EINTR)
			return err_sys(e, "could not wait");
		rc = take_all(d, e);
	}
	if (rc == 1)
		rc = take_all(d, e); /* what was sent before the stop */
	return rc == -1 ? -1 : 0;
}

int
duty_store(const struct settings *s, int fd, struct err *e)
{
	AUTO_FREE char *path = file_join(s->state_dir, "state.db");
	AUTO_HOOK struct hook *hook = hook_new(s->event_hook, s->site);
	struct store_duty d = { .fd = fd, .path = path, .hook = hook };
	int rc;

	if (fd == -1)
		return err_set(
		    e, ERR_USAGE, "this duty runs below pgkurad only");
	if (open_state(&d, e) == -1)
		return -1;
	rc = tell_history(&d, e);
	if (rc == 0)
		rc = loop(&d, e);
	state_close(d.state);
	return rc;
}
