#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/child_spawn.h"
#include "base/file.h"

static atomic_bool stop_requested;

/* Make fd the descriptor target of the new program; -1 leaves it as it is. */
static int
place_fd(int fd, int target)
{
	if (fd == -1)
		return 0;
	return dup2(fd, target) == -1 ? -1 : 0;
}

/* A copy of *fd out of the way of 0, 1 and 2. */
static int
lift_fd(int *fd)
{
	if (*fd == -1)
		return 0;
	*fd = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
	return *fd == -1 ? -1 : 0;
}

static int
arrange_fds(int out_fd, int err_fd)
{
	int null;

	if (lift_fd(&out_fd) == -1 || lift_fd(&err_fd) == -1)
		return -1;
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (lift_fd(&null) == -1 || null == -1 || place_fd(null, 0) == -1)
		return -1;
	/* Ours are all closed by exec; so is what we were started with or a
	 * library forgot about.  Kernels before 5.11 cannot do it. */
	(void)close_range(3, ~0U, (int)CLOSE_RANGE_CLOEXEC);
	return place_fd(out_fd, 1) == -1 || place_fd(err_fd, 2) == -1 ? -1 : 0;
}

int
child_reset_signals(void)
{
	sigset_t none;
	int sig;

	for (sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL); /* not all can be changed */
	(void)sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL);
}

static int
take_identity(const struct child_identity *id)
{
	if (id == NULL)
		return 0;
	if (setgroups((size_t)id->group_count, id->groups) == -1 ||
	    setgid(id->gid) == -1)
		return -1;
	return setuid(id->uid);
}

/* In the new process: becomes the program, or tells errno through status_fd.
 * Only what may be called between fork and exec of a process with threads. */
static _Noreturn void
become(const char *const *argv, const struct child_spawn *how, pid_t parent,
    int status_fd)
{
	int error;

	if (lift_fd(&status_fd) == -1)
		_exit(127);
	if (how->own_group && setpgid(0, 0) == -1)
		goto failed;
	if ((how->own_session && setsid() == -1) ||
	    take_identity(how->identity) == -1)
		goto failed;
	if (how->die_with_parent && prctl(PR_SET_PDEATHSIG, SIGTERM) == -1)
		goto failed;
	if (arrange_fds(how->out_fd, how->err_fd) == -1 ||
	    child_reset_signals() == -1)
		goto failed;
	/* The parent may have gone before PR_SET_PDEATHSIG. */
	if (how->die_with_parent && getppid() != parent)
		_exit(127);
	(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
failed:
	error = errno;
	(void)!write(status_fd, &error, sizeof(error));
	_exit(127);
}

/* Wait until the new process is the program: its errno comes through fd, or
 * nothing as exec closes it. */
static int
wait_for_exec(pid_t pid, int fd, const char *name, struct err *e)
{
	int error = 0;
	ssize_t n = file_read_full(fd, &error, sizeof(error), name, e);

	if (n == 0)
		return 0;
	if (n == -1)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		;
	if (n == -1)
		return -1;
	errno = n == (ssize_t)sizeof(error) ? error : EPROTO;
	(void)err_sys(e, "could not run \"%s\"", name);
	if (error == ENOENT && e != NULL)
		e->kind = ERR_NOT_FOUND;
	return -1;
}

pid_t
child_spawn(
    const char *const *argv, const struct child_spawn *how, struct err *e)
{
	AUTO_FD int status_read = -1;
	AUTO_FD int status_write = -1;
	pid_t parent = getpid(), pid;
	sigset_t all, old;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) == -1)
		return err_sys(e, "could not make a pipe for \"%s\"", argv[0]);
	status_read = fds[0];
	status_write = fds[1];
	/* No handler of ours runs in the new process. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0)
		become(argv, how, parent, status_write);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (pid == -1)
		return err_sys(e, "could not start \"%s\"", argv[0]);
	(void)close(steal_fd(&status_write));
	if (wait_for_exec(pid, status_read, argv[0], e) == -1)
		return -1;
	return pid;
}

pid_t
child_start(const char *const *argv, int out_fd, int err_fd,
    bool die_with_parent, struct err *e)
{
	const struct child_spawn how = { .out_fd = out_fd,
		.err_fd = err_fd,
		.die_with_parent = die_with_parent };

	return child_spawn(argv, &how, e);
}

static void
on_stop_signal(int sig)
{
	(void)sig;
	atomic_store(&stop_requested, true);
}

void
child_catch_stop_signals(void)
{
	struct sigaction sa = { .sa_handler = on_stop_signal };

	(void)sigemptyset(&sa.sa_mask);
	sa.sa_flags = SA_RESTART;
	(void)sigaction(SIGTERM, &sa, NULL);
	sa.sa_flags |= (int)SA_RESETHAND; /* so the second one ends us */
	(void)sigaction(SIGINT, &sa, NULL);
}

bool
child_stop_requested(void)
{
	return atomic_load(&stop_requested);
}

int
child_check_stop(struct err *e)
{
	if (child_stop_requested())
		return err_set(e, ERR_CANCELED, "stopped by a signal");
	return 0;
}
