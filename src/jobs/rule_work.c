/*
 * rule_work: what a task does.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/fence_test.h"
#include "jobs/follow.h"
#include "jobs/rule_int.h"
#include "pg/control.h"
#include "pg/server.h"
#include "pg/session.h"

#define STEP_US	 (CLOCK_SECOND_US / 10)
#define STALL_US (600 * CLOCK_SECOND_US)
/* An immediate stop gives its children 5 s (postmaster.c). */
#define STOP_GRACE_US (10 * CLOCK_SECOND_US)

struct work {
	const struct settings *s;
	const struct cluster_settings *c;
	const struct rule_sites *sites;
	int fd;
	char *result; /* 300 bytes */
};

static void
say(void *arg, const char *line)
{
	struct work *w = arg;

	rule_task_say(&w->fd, line);
}

/* ---- the server of pgdata ---- */

static int
start_own(struct work *w, struct err *e)
{
	const struct cluster_settings *c = w->c;
	AUTO_BUF struct buf bindir = BUF_INIT;
	AUTO_FREE char *log_path =
	    mem_printf("%s/%s/server.log", w->s->state_dir, c->name);
	AUTO_FREE char *config = NULL;
	struct control control;
	struct server_start start = { .pgdata = c->pgdata,
		.log_path = log_path,
		.stall_us = STALL_US,
		.leave = true };

	if (c->pgdata == NULL)
		return err_set(e, ERR_REFUSED,
		    "pgdata of cluster \"%s\" is not set", c->name);
	if (control_read(&control, c->pgdata, e) == -1 ||
	    server_find_bindir(
		control_major(&control), c->bindir, &bindir, e) == -1)
		return -1;
	start.bindir = buf_str(&bindir);
	if (c->config_dir != NULL) {
		config = file_join(c->config_dir, "postgresql.conf");
		if (file_exists_at(AT_FDCWD, config, NULL) == 1)
			start.config_file = config;
	}
	return server_start_wait(&start, say, w, e) == -1 ? -1 : 0;
}

/* It must not go on, whatever it hangs in. */
static int
stop_surely(struct work *w, const char *pgdata, struct err *e)
{
	bool killed = false;
	int rc = server_stop_surely(pgdata, STOP_GRACE_US, &killed, e);

	if (killed)
		log_event(LOG_LEVEL_WARNING, "server_killed",
		    "the server did not stop when it was told to: its processes "
		    "were killed",
		    "cluster", w->c->name, "directory", pgdata, NULL);
	return rc;
}

static int
start(struct work *w, struct err *e)
{
	AUTO_RULE_PLACE struct rule_place place;

	rule_place_find(w->s, w->c, &place);
	if (place.standby)
		return follow_start(w->s, w->c, say, w, e);
	/* What hangs goes first. */
	if (w->c->pgdata != NULL && stop_surely(w, w->c->pgdata, e) == -1)
		return -1;
	return start_own(w, e);
}

/* mode NULL: at once, and surely. */
static int
stop(struct work *w, const char *mode, struct err *e)
{
	AUTO_RULE_PLACE struct rule_place place;

	rule_place_find(w->s, w->c, &place);
	if (place.pgdata == NULL)
		return err_set(e, ERR_REFUSED,
		    "pgdata of cluster \"%s\" is not set: its server cannot be "
		    "stopped from here",
		    w->c->name);
	if (mode == NULL)
		return stop_surely(w, place.pgdata, e);
	return server_stop(place.pgdata, mode, e);
}

int
rule_work_run(const struct settings *s, const struct cluster_settings *c,
    const struct rule_sites *sites, enum rule_work work, int fd,
    char result[300], struct err *e)
{
	struct work w = { s, c, sites, fd, result };

	switch (work) {
	case WORK_PROMOTE:
		return rule_work_promote(s, c, say, &w, result, e);
	case WORK_STOP_FAST:
		return stop(&w, "fast", e);
	case WORK_STOP_NOW:
		return stop(&w, NULL, e);
	case WORK_START:
		return start(&w, e);
	case WORK_FENCE_HOOK:
	case WORK_FENCE_TEST:
		return fence_hook_run(
		    c, sites->names[sites->peer], work == WORK_FENCE_TEST, e);
	case WORK_REJOIN:
	case WORK_SALVAGE:
		return rule_work_rejoin(
		    s, c, work == WORK_SALVAGE, say, &w, result, e);
	case WORK_NONE:
		break;
	}
	return err_set(e, ERR_BUG, "there is no such work");
}
