/*
 * rule_task: what takes time is done in a child, one at a time; votes and
 * heartbeats go on meanwhile.  It dies with the rule, and what it did is found
 * out again from what is durable.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "jobs/rule_int.h"

/* From the child: one datagram each. */
struct note {
	bool end;
	struct err err; /* ERR_NONE: done */
	char text[300];
};

const char *
rule_work_name(enum rule_work w)
{
	static const char *const names[] = { "", "promote", "stop", "stop now",
		"start", "fence hook", "fence test", "rejoin", "salvage" };

	return names[w];
}

void
rule_task_say(void *fd, const char *line)
{
	struct note n = { .end = false };

	(void)snprintf(n.text, sizeof(n.text), "%s", line);
	(void)send(*(const int *)fd, &n, sizeof(n), MSG_NOSIGNAL);
}

static void
work(const struct rule *r, enum rule_work kind, int fd)
{
	struct note n = { .end = true, .err = ERR_INIT };

	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (rule_work_run(r->s, r->c, &r->sites, kind, fd, n.text, &n.err) == 0)
		err_clear(&n.err);
	else if (n.err.kind == ERR_NONE)
		(void)err_set(&n.err, ERR_BUG, "it failed without a reason");
	(void)send(fd, &n, sizeof(n), MSG_NOSIGNAL);
}

void
rule_task_start(struct rule *r, enum rule_work kind)
{
	struct rule_task *t = &r->task;
	int fds[2];
	pid_t pid;

	if (t->work == WORK_FENCE_TEST)
		rule_task_kill(t);
	if (t->work != WORK_NONE)
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == -1)
		return; /* again at the next step */
	pid = fork();
	if (pid == 0) {
		(void)close(fds[0]);
		work(r, kind, fds[1]);
		_exit(0);
	}
	(void)close(fds[1]);
	if (pid == -1) {
		(void)close(fds[0]);
		return;
	}
	*t = (struct rule_task){ .work = kind, .pid = pid, .fd = fds[0] };
}

static void
finish(struct rule_task *t)
{
	(void)close(t->fd);
	while (waitpid(t->pid, NULL, 0) == -1 && errno == EINTR)
		;
	t->fd = -1;
	t->work = WORK_NONE;
}

bool
rule_task_reap(struct rule_task *t, enum rule_work *ended)
{
	struct note n;
	ssize_t got;

	if (t->work == WORK_NONE)
		return false;
	for (;;) {
		got = recv(t->fd, &n, sizeof(n), MSG_DONTWAIT);
		if (got == -1)
			return false;
		if (got == sizeof(n) && !n.end) {
			(void)memcpy(
			    t->progress, n.text, sizeof(t->progress) - 1);
			continue;
		}
		*ended = t->work;
		if (got == sizeof(n)) {
			t->err = n.err;
			(void)memcpy(t->result, n.text, sizeof(t->result));
		} else {
			(void)err_set(&t->err, ERR_TRANSIENT,
			    "the process that was to %s has ended",
			    rule_work_name(t->work));
		}
		finish(t);
		return true;
	}
}

void
rule_task_kill(struct rule_task *t)
{
	if (t->work == WORK_NONE)
		return;
	(void)kill(t->pid, SIGKILL);
	finish(t);
}
