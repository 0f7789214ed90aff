/*
 * receive: stream WAL into the repository, for as long as it takes.
 *
 *	lock, open repository
 *	connect -> plan -> stream -> (next timeline) -> stream ...
 *	   ^                  |
 *	   +--- wait <--------+ whatever ends it
 */

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/log.h"
#include "jobs/receive_int.h"
#include "jobs/rule.h"

#define WAIT_FIRST_US	 (CLOCK_SECOND_US / 10)
#define WAIT_MAX_US	 (15 * CLOCK_SECOND_US)
#define WAIT_OPERATOR_US (30 * CLOCK_SECOND_US) /* a person must act */
#define WAIT_STEP_US	 (100 * (int64_t)1000)
/* The same failure again is told again after so long. */
#define TELL_AGAIN_US (300 * CLOCK_SECOND_US)

int
receive_check_stop(const struct receiver *r, struct err *e)
{
	struct pollfd p = { .fd = r->options->parent_fd, .events = POLLIN };
	char byte;

	if (child_check_stop(e) == -1)
		return -1;
	if (p.fd < 0 || poll(&p, 1, 0) != 1 || read(p.fd, &byte, 1) > 0)
		return 0;
	return err_set(e, ERR_CANCELED, "who wanted the WAL has ended");
}

/* How one connection went. */
struct once {
	enum receive_end end;
	bool streamed; /* it came to a stream */
	bool at_once;  /* to be tried again without a pause */
};

/* At a site that is a standby by its record WAL comes from the primary's: then
 * the lock is for what takes it. */
static int
wait_for_role(const struct receiver *r, struct err *e)
{
	while (!rule_may_receive(r->settings, r->cluster)) {
		if (receive_check_stop(r, e) == -1)
			return -1;
		clock_sleep_us(WAIT_STEP_US);
	}
	return 0;
}

/* One connection, from timeline to timeline, until it ends. */
static int
run_once(struct receiver *r, struct once *once, struct err *e)
{
	bool gap;

	*once = (struct once){ RECEIVE_SHUTDOWN, false, false };
	r->status.state = "connecting";
	receive_status_show(&r->status, true);
	if (receive_start(r, e) == -1)
		return -1;
	r->status.connected_us = clock_now_us();
	do {
		if (receive_stream(r, &once->end, &gap, e) == -1) {
			once->streamed |= !gap;
			once->at_once = gap && !r->after_gap;
			r->after_gap |= gap;
			return -1;
		}
		once->streamed = true;
	} while (once->end == RECEIVE_TIMELINE);
	return 0;
}

/* ---- after a failure ---- */

static enum log_level
level_of(const struct err *e)
{
	return e->kind == ERR_TRANSIENT ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR;
}

static const char *
event_of(const struct err *e)
{
	switch (e->kind) {
	case ERR_CONFLICT:
		return "wal_conflict";
	case ERR_CORRUPT:
		return "wal_corrupt";
	default:
		return "receive_failed";
	}
}

struct retry {
	int64_t wait_us;
	char told[sizeof(((struct err *)NULL)->text)];
	int64_t told_us;
};

static void
tell(struct receiver *r, struct retry *t, const struct err *e)
{
	int64_t now_us = clock_boot_us();

	if (strcmp(t->told, e->text) == 0 &&
	    now_us - t->told_us < TELL_AGAIN_US)
		return;
	(void)snprintf(t->told, sizeof(t->told), "%s", e->text);
	t->told_us = now_us;
	log_event(level_of(e), event_of(e), e->text, "cluster",
	    r->cluster->name, "kind", err_kind_name(e->kind), "hint",
	    e->hint[0] == '\0' ? NULL : e->hint, NULL);
}

/* Is it worth to try again?  Some faults only another configuration mends. */
static bool
can_retry(const struct receiver *r, const struct err *e)
{
	return r->options->until_lsn == LSN_NONE && e->kind != ERR_REFUSED &&
	    e->kind != ERR_BUG;
}

static int64_t
wait_for(struct retry *t, const struct err *e)
{
	if (e->kind == ERR_CONFLICT || e->kind == ERR_USAGE)
		return WAIT_OPERATOR_US;
	t->wait_us = t->wait_us == 0	   ? WAIT_FIRST_US
	    : t->wait_us * 2 > WAIT_MAX_US ? WAIT_MAX_US
					   : t->wait_us * 2;
	return t->wait_us;
}

static int
pause_before_retry(struct receiver *r, int64_t us, struct err *e)
{
	int64_t until_us = clock_boot_us() + us;

	r->status.state = "waiting";
	r->status.connected_us = 0;
	receive_status_show(&r->status, true);
	while (clock_boot_us() < until_us) {
		if (receive_check_stop(r, e) == -1)
			return -1;
		receive_status_show(&r->status, false);
		clock_sleep_us(WAIT_STEP_US);
	}
	return 0;
}

/* 0 when all is done, -1 when it is over. */
static int
run_again_and_again(struct receiver *r, struct err *e)
{
	struct retry t = { 0 };
	struct once once;
	int rc;

	for (;;) {
		err_clear(e);
		r->standby = !rule_may_receive(r->settings, r->cluster);
		if (r->standby)
			return 0;
		rc = run_once(r, &once, e);
		receive_disconnect(r);
		if (rc == 0 && once.end == RECEIVE_DONE)
			return 0;
		if (rc == 0 && once.end == RECEIVE_ANEW) {
			log_event(LOG_LEVEL_INFO, "receive_anew",
			    "the server was told to wait for the receiver, which "
			    "connects anew",
			    "cluster", r->cluster->name, NULL);
			continue;
		}
		if (rc == 0)
			(void)err_set(e, ERR_TRANSIENT,
			    "the server has ended the stream");
		if (e->kind == ERR_CANCELED || !can_retry(r, e))
			return -1;
		if (once.at_once)
			continue; /* from where there still is WAL */
		if (once.streamed)
			t.wait_us = 0;
		r->status.err = *e;
		tell(r, &t, e);
		if (pause_before_retry(r, wait_for(&t, e), e) == -1)
			return -1;
	}
}

/* One turn as the receiver of a primary. */
static int
run_locked(struct receiver *r, struct err *e)
{
	const struct settings *s = r->settings;
	const struct cluster_settings *c = r->cluster;
	AUTO_REPO struct repo *repo = NULL;
	AUTO_FD int lock = -1;
	int rc;

	lock = cluster_lock(s->state_dir, c->name, "receive", e);
	if (lock == -1)
		return -1;
	repo = repo_open(s->repository, s->state_dir, true, e);
	if (repo == NULL)
		return -1;
	r->repo = repo;
	if (remote_ack_begin(&r->remote, s, c, e) == -1)
		return -1;
	rc = receive_status_begin(&r->status, s, c, e);
	if (rc == 0)
		rc = run_again_and_again(r, e);
	remote_ack_end(&r->remote);
	rule_ack_close(&r->ack);
	receive_status_end(&r->status);
	if (rc == -1 && e->kind == ERR_CANCELED) {
		err_clear(e);
		return 0;
	}
	return rc;
}

int
receive_run(const struct settings *s, const struct cluster_settings *c,
    const struct receive_options *options, struct err *e)
{
	int rc;

	if (settings_need_server(c, e) == -1)
		return -1;
	for (;;) {
		struct receiver r = {
			.settings = s, .cluster = c, .options = options
		};

		if (wait_for_role(&r, e) == -1) {
			if (e->kind != ERR_CANCELED)
				return -1;
			err_clear(e);
			return 0;
		}
		rc = run_locked(&r, e);
		if (rc == -1 || !r.standby)
			return rc;
	}
}
