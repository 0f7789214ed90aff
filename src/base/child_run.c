#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/child.h"
#include "base/child_spawn.h"
#include "base/clock.h"

#define POLL_MS	    50 /* the end of a child whose pipe stays open is seen */
#define POLL_END_MS 2  /* the pipe is closed: the end is near */

#define READS_MAX 64 /* of 4 KiB each; a pipe holds 64 KiB */

struct run {
	const char *name;
	pid_t pid;
	int fd;		    /* its output, non-blocking; -1 at the end of it */
	int64_t give_up_us; /* 0: never */
	int timeout_ms;
	bool heed_stop; /* no stop was requested when it began */
	struct buf *out;
	size_t kept; /* bytes appended to out */
};

/* Take what is there of its output, but not for ever: it may write faster than
 * we read.  A whole pipe full is always taken, so nothing is left at the end. */
static int
take_output(struct run *r, struct err *e)
{
	uint8_t some[4096];
	unsigned int i;
	size_t keep;
	ssize_t n;

	for (i = 0; i < READS_MAX && r->fd != -1; i++) {
		n = read(r->fd, some, sizeof(some));
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			return 0;
		if (n == -1)
			return err_sys(
			    e, "could not read from \"%s\"", r->name);
		if (n == 0) {
			(void)close(steal_fd(&r->fd));
			return 0;
		}
		keep = CHILD_OUTPUT_BYTES_MAX - r->kept;
		if (keep > (size_t)n)
			keep = (size_t)n;
		if (r->out != NULL)
			buf_put(r->out, some, keep);
		r->kept += keep;
	}
	return 0;
}

/* Has it been too long, or is it to stop? */
static int
check_end(const struct run *r, struct err *e)
{
	char within[CLOCK_TEXT_BYTES];

	if (r->heed_stop && child_check_stop(e) == -1)
		return err_ctx(e, "\"%s\"", r->name);
	if (r->give_up_us != 0 && clock_boot_us() >= r->give_up_us)
		return err_set(e, ERR_TRANSIENT, "\"%s\" did not end within %s",
		    r->name,
		    clock_interval((int64_t)r->timeout_ms * 1000, within));
	return 0;
}

static void
wait_a_little(const struct run *r)
{
	struct pollfd pfd = { .fd = r->fd, .events = POLLIN };
	int ms = r->fd == -1 ? POLL_END_MS : POLL_MS;
	int64_t left_us = r->give_up_us - clock_boot_us();

	if (r->give_up_us != 0 && left_us < (int64_t)ms * 1000)
		ms = left_us <= 0 ? 0 : (int)((left_us + 999) / 1000);
	(void)poll(&pfd, 1, ms); /* what it says is found out anyway */
}

/* Until the child has ended: 0 and its wait status. */
static int
follow(struct run *r, int *status, struct err *e)
{
	pid_t pid;

	for (;;) {
		pid = waitpid(r->pid, status, WNOHANG);
		if (pid == -1 && errno != EINTR)
			return err_sys(e, "could not wait for \"%s\"", r->name);
		if (take_output(r, e) == -1)
			return -1;
		if (pid == r->pid)
			return 0;
		if (check_end(r, e) == -1)
			return -1;
		wait_a_little(r);
	}
}

static int
run_child(struct run *r, struct err *e)
{
	int status = 0;

	if (follow(r, &status, e) == -1) {
		(void)kill(-r->pid, SIGKILL);
		while (waitpid(r->pid, NULL, 0) == -1 && errno == EINTR)
			;
		return -1;
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

int
child_run(
    const char *const *argv, int timeout_ms, struct buf *out, struct err *e)
{
	AUTO_FD int read_fd = -1;
	AUTO_FD int write_fd = -1;
	struct child_spawn how = { .own_group = true };
	struct run r = {
		.name = argv[0], .out = out, .timeout_ms = timeout_ms
	};
	int fds[2], status;

	if (pipe2(fds, O_CLOEXEC) == -1)
		return err_sys(e, "could not make a pipe for \"%s\"", argv[0]);
	read_fd = fds[0];
	write_fd = fds[1];
	if (fcntl(read_fd, F_SETFL, O_NONBLOCK) == -1)
		return err_sys(
		    e, "could not set up the pipe of \"%s\"", argv[0]);
	r.heed_stop = !child_stop_requested();
	if (timeout_ms > 0)
		r.give_up_us = clock_boot_us() + (int64_t)timeout_ms * 1000;
	how.out_fd = how.err_fd = write_fd;
	r.pid = child_spawn(argv, &how, e);
	if (r.pid == -1)
		return -1;
	(void)close(steal_fd(&write_fd));
	r.fd = steal_fd(&read_fd);
	status = run_child(&r, e);
	if (r.fd != -1)
		(void)close(r.fd);
	return status;
}
