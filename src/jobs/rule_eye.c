/*
 * rule_eye: a child that looks at the server, once a second.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "jobs/rule_int.h"
#include "pg/control.h"
#include "pg/server.h"
#include "pg/server_pidfile.h"
#include "pg/session.h"
#include "pg/session_errors.h"

#define LOOK_EVERY_US  (CLOCK_SECOND_US / 2)
#define KNOCK_EVERY_US (5 * CLOCK_SECOND_US)

/* The record of a shutdown checkpoint: header 24, 2, struct CheckPoint 88 (13
 * to 18), to a multiple of 8. */
#define CHECKPOINT_RECORD_BYTES 120
#define PAGE_HEADER_BYTES	24
#define SEGMENT_HEADER_BYTES	40

/* Behind a shutdown checkpoint at lsn. */
static uint64_t
behind_checkpoint(const struct control *c)
{
	uint64_t page = c->wal_block_bytes,
		 end = c->checkpoint_lsn + CHECKPOINT_RECORD_BYTES,
		 border = (c->checkpoint_lsn / page + 1) * page;

	if (end <= border)
		return end;
	return end +
	    (border % c->wal_segment_bytes == 0 ? SEGMENT_HEADER_BYTES
						: PAGE_HEADER_BYTES);
}

/* The last thing a server does is to remove postmaster.pid.  One that is there
 * is of a server that was killed: the checkpoint at the end of a crash recovery
 * says "shut down" for a moment, too (xlog.c, CreateCheckPoint()). */
static bool
left_pidfile(const char *pgdata)
{
	struct server_pidfile f;
	struct err ignored = ERR_INIT;

	return server_pidfile_read(pgdata, &f, &ignored) == -1 || f.pid != 0;
}

static bool
has_file(const char *pgdata, const char *name)
{
	AUTO_FREE char *path = file_join(pgdata, name);

	return file_exists_at(AT_FDCWD, path, NULL) != 0;
}

/* Of a server that runs: does it take writes, by its files? */
static bool
is_in_production(const struct control *c, const char *pgdata)
{
	return c->state == CONTROL_IN_PRODUCTION &&
	    !has_file(pgdata, "standby.signal") &&
	    !has_file(pgdata, "recovery.signal");
}

/* A server that is there and lets us not in (too many clients, no password, it
 * hangs) goes on writing all the same. */
static void
judge_unseen(bool in_production, struct rule_look *l)
{
	if (l->sql == WATCH_SQL_AUTH || l->sql == WATCH_SQL_TOO_MANY ||
	    l->sql == WATCH_SQL_TIMEOUT || l->sql == WATCH_SQL_OTHER)
		l->writable = l->writable || in_production;
}

/* *in_production: its server runs, and is no standby. */
static void
look_at_process(
    const struct rule_place *p, struct rule_look *l, bool *in_production)
{
	struct err e = ERR_INIT;
	struct control c;
	int running;

	*in_production = false;
	l->process = WATCH_PROCESS_UNKNOWN;
	if (p->pgdata == NULL)
		return;
	running = server_is_running(p->pgdata, &l->pid, &e);
	if (running == -1)
		return;
	l->process = running == 1 ? WATCH_PROCESS_THERE : WATCH_PROCESS_ABSENT;
	if (running == 0)
		l->pid = 0;
	if (control_read(&c, p->pgdata, &e) == -1)
		return;
	*in_production = running == 1 && is_in_production(&c, p->pgdata);
	l->progress = c.checkpoint_lsn + c.min_recovery_lsn;
	if (c.state == CONTROL_SHUTDOWNED ||
	    c.state == CONTROL_SHUTDOWNED_IN_RECOVERY) {
		l->clean = running == 0 && !left_pidfile(p->pgdata);
		l->end = behind_checkpoint(&c);
	}
}

static enum watch_sql
class_of(const struct err *e)
{
	/* libpq's own words, and the server's, where it speaks English. */
	if (strstr(e->text, "starting up") != NULL ||
	    strstr(e->text, "not yet accepting") != NULL ||
	    strstr(e->text, "not accepting connections") != NULL)
		return WATCH_SQL_STARTING;
	if (strstr(e->text, "shutting down") != NULL)
		return WATCH_SQL_STOPPING;
	if (strstr(e->text, "too many clients") != NULL ||
	    strstr(e->text, "remaining connection slots") != NULL ||
	    session_errors_tell(e, "53300"))
		return WATCH_SQL_TOO_MANY;
	if (strstr(e->text, "authentication") != NULL ||
	    strstr(e->text, "pg_hba.conf") != NULL ||
	    strstr(e->text, "password") != NULL || session_errors_tell(e, "28"))
		return WATCH_SQL_AUTH;
	if (session_errors_tell(e, "57P03"))
		return WATCH_SQL_STARTING;
	if (strstr(e->text, "timeout") != NULL ||
	    strstr(e->text, "timed out") != NULL)
		return WATCH_SQL_TIMEOUT;
	if (strstr(e->text, "refused") != NULL ||
	    strstr(e->text, "No such file") != NULL ||
	    strstr(e->text, "unreachable") != NULL || e->kind == ERR_NOT_FOUND)
		return WATCH_SQL_REFUSED;
	return e->kind == ERR_TRANSIENT ? WATCH_SQL_REFUSED : WATCH_SQL_OTHER;
}

/* A postmaster that hangs leaves the session that is open alive, and lets nobody
 * in: only a new one shows that.  Every other refusal is an answer. */
static void
knock(const struct rule_place *p, int64_t *knocked_us, struct rule_look *l)
{
	AUTO_SESSION struct session *session = NULL;
	struct err e = ERR_INIT;

	if (l->boot_us - *knocked_us < KNOCK_EVERY_US)
		return;
	session = session_open(p->conninfo, SESSION_SQL, "pgkura_rule", &e);
	if (session == NULL && class_of(&e) == WATCH_SQL_TIMEOUT) {
		l->sql = WATCH_SQL_TIMEOUT;
		(void)snprintf(l->error, sizeof(l->error), "%.199s", e.text);
		return;
	}
	*knocked_us = l->boot_us;
}

static void
look_inside(const struct rule_place *p, struct session **session,
    int64_t *knocked_us, struct rule_look *l)
{
	AUTO_BUF struct buf value = BUF_INIT;
	struct err e = ERR_INIT;
	bool found = false;

	if (p->conninfo == NULL)
		return;
	if (*session == NULL) {
		*session =
		    session_open(p->conninfo, SESSION_SQL, "pgkura_rule", &e);
		*knocked_us = l->boot_us;
	}
	if (*session != NULL &&
	    session_query_value(*session,
		"SELECT pg_catalog.pg_is_in_recovery()", &value, &found,
		&e) == 0) {
		l->sql = WATCH_SQL_OK;
		l->writable = found && strcmp(buf_str(&value), "f") == 0;
		knock(p, knocked_us, l);
		return;
	}
	session_close(steal_ptr(session));
	l->sql = class_of(&e);
	(void)snprintf(l->error, sizeof(l->error), "%.199s", e.text);
}

static bool
same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void
watch_on(const struct settings *s, const struct cluster_settings *c, int fd)
{
	struct session *session = NULL;
	struct rule_place place = { NULL, NULL, false };
	int64_t knocked_us = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!child_stop_requested()) {
		struct rule_look l = { .boot_us = clock_boot_us() };
		struct rule_place now;
		bool in_production;

		rule_place_find(s, c, &now);
		if (!same(now.conninfo, place.conninfo))
			session_close(steal_ptr(&session));
		rule_place_free(&place);
		place = now;
		look_at_process(&place, &l, &in_production);
		look_inside(&place, &session, &knocked_us, &l);
		judge_unseen(in_production, &l);
		if (send(fd, &l, sizeof(l), MSG_NOSIGNAL) == -1)
			break;
		clock_sleep_us(LOOK_EVERY_US);
	}
	session_close(session);
}

void
rule_eye_stop(struct rule_eye *eye)
{
	if (eye->pid == 0)
		return;
	(void)kill(eye->pid, SIGKILL);
	while (waitpid(eye->pid, NULL, 0) == -1 && errno == EINTR)
		;
	(void)close(eye->fd);
	eye->pid = 0;
}

static void
eye_start(struct rule_eye *eye, const struct settings *s,
    const struct cluster_settings *c)
{
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == -1)
		return;
	pid = fork();
	if (pid == 0) {
		(void)close(fds[0]);
		watch_on(s, c, fds[1]);
		_exit(0);
	}
	(void)close(fds[1]);
	if (pid == -1) {
		(void)close(fds[0]);
		return;
	}
	eye->pid = pid;
	eye->fd = fds[0];
	eye->started_us = eye->heard_us = clock_boot_us();
}

/* It did not come back from its look. */
static void
timed_out(const struct settings *s, const struct cluster_settings *c,
    struct rule_look *look)
{
	AUTO_RULE_PLACE struct rule_place place;
	bool in_production;

	*look = (struct rule_look){ .boot_us = clock_boot_us() };
	rule_place_find(s, c, &place);
	look_at_process(&place, look, &in_production);
	look->sql = WATCH_SQL_TIMEOUT;
	judge_unseen(in_production, look);
	(void)snprintf(
	    look->error, sizeof(look->error), "it does not answer in time");
}

bool
rule_eye_take(struct rule_eye *eye, const struct settings *s,
    const struct cluster_settings *c, int64_t timeout_us,
    struct rule_look *look)
{
	struct rule_look l;
	bool any = false;
	ssize_t n = -1;

	if (eye->pid == 0)
		eye_start(eye, s, c);
	if (eye->pid == 0)
		return false;
	while ((n = recv(eye->fd, &l, sizeof(l), MSG_DONTWAIT)) == sizeof(l)) {
		*look = l;
		eye->heard_us = clock_boot_us();
		any = true;
	}
	if (n == 0) { /* it died */
		rule_eye_stop(eye);
		return any;
	}
	if (!any && clock_boot_us() - eye->heard_us > timeout_us) {
		rule_eye_stop(eye);
		timed_out(s, c, look);
		return true;
	}
	return any;
}
