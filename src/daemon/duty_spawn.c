#include "daemon/duty_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/child.h"

/* Give the new program fd as target, whatever stands there now. */
static int
place_fd(int fd, int target)
{
	if (fd != target)
		return dup2(fd, target);
	return fcntl(fd, F_SETFD, 0); /* dup2() would leave it close-on-exec */
}

static int
arrange_fds(int settings_fd, int message_fd)
{
	int null;

	/* Out of the way of where they go. */
	settings_fd = fcntl(settings_fd, F_DUPFD_CLOEXEC, DUTY_MESSAGE_FD + 1);
	message_fd = fcntl(message_fd, F_DUPFD_CLOEXEC, DUTY_MESSAGE_FD + 1);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (settings_fd == -1 || message_fd == -1 || null == -1)
		return -1;
	(void)close_range(3, ~0U, (int)CLOSE_RANGE_CLOEXEC);
	if (place_fd(null, STDIN_FILENO) == -1 ||
	    place_fd(settings_fd, DUTY_SETTINGS_FD) == -1 ||
	    place_fd(message_fd, DUTY_MESSAGE_FD) == -1)
		return -1;
	return 0;
}

/*
 * In the child.  It may lose nothing by a kill at any instant, so the kernel
 * ends it for certain when the supervisor dies.
 */
static _Noreturn void
become(const char *program, char *const *argv, pid_t parent, int settings_fd,
    int message_fd)
{
	if (setpgid(0, 0) == -1 || prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 ||
	    arrange_fds(settings_fd, message_fd) == -1 ||
	    child_reset_signals() == -1)
		_exit(127);
	if (getppid() != parent)
		_exit(127); /* it died before PR_SET_PDEATHSIG */
	(void)execv(program, argv);
	_exit(127);
}

pid_t
duty_spawn(const char *program, const char *settings_path, const struct duty *y,
    int settings_fd, int message_fd, struct err *e)
{
	static char name[] = "pgkurad", supervised[] = "--supervised",
		    duty[] = "--duty", config[] = "--config",
		    cluster[] = "--cluster";
	char *argv[] = { name, supervised, duty, (char *)(uintptr_t)y->name,
		config, (char *)(uintptr_t)settings_path, NULL, NULL, NULL };
	pid_t parent = getpid(), pid;

	if (y->cluster[0] != '\0') {
		argv[6] = cluster;
		argv[7] = (char *)(uintptr_t)y->cluster;
	}
	pid = fork();
	if (pid == -1)
		return err_sys(e, "could not start a process");
	if (pid == 0)
		become(program, argv, parent, settings_fd, message_fd);
	(void)setpgid(pid, pid); /* whoever comes first */
	return pid;
}
