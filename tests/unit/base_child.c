/*
 * child: programs that end, fail, hang, talk too much or are not there.
 */

#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "unit/base_scratch.h"

static int
run_shell(const char *script, int timeout_ms, struct buf *out, struct err *e)
{
	const char *const argv[] = { "sh", "-c", script, NULL };

	err_clear(e);
	return child_run(argv, timeout_ms, out, e);
}

static void
check_status(void)
{
	AUTO_BUF struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	tap_u64((uint64_t)run_shell("exit 0", 0, NULL, &e), 0, "success");
	tap_u64((uint64_t)run_shell("exit 7", 0, NULL, &e), 7, "status 7");
	tap_u64((uint64_t)run_shell("kill -9 $$", 0, NULL, &e), 128 + 9,
	    "killed by signal 9");
	buf_put(&out, ">", 1);
	(void)run_shell("echo one; echo two >&2; echo three", 0, &out, &e);
	tap_str(buf_str(&out), ">one\ntwo\nthree\n",
	    "output and error are appended in order");
	buf_clear(&out);
	(void)run_shell("cat", 5000, &out, &e);
	tap_str(buf_str(&out), "", "there is no input");
}

static void
check_exec_fails(void)
{
	const char *const none[] = { "no-such-program-there", "x", NULL };
	const char *const folder[] = { "/", NULL };
	struct err e = ERR_INIT;

	tap_ok(child_run(none, 0, NULL, &e) == -1 && e.kind == ERR_NOT_FOUND,
	    "%s", e.text);
	tap_ok(child_start(none, -1, -1, false, &e) == -1 &&
		e.kind == ERR_NOT_FOUND && e.sys_errno == ENOENT,
	    "%s", e.text);
	tap_ok(child_start(folder, -1, -1, true, &e) == -1 &&
		e.kind == ERR_IO && e.sys_errno == EACCES,
	    "%s", e.text);
	tap_ok(waitpid(-1, NULL, 0) == -1 && errno == ECHILD,
	    "no process is left over");
}

static void
check_time_out(void)
{
	AUTO_BUF struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	int64_t before, passed;
	int ms, rc;
	pid_t pid;

	/* A busy machine may not come to start it in so short a time. */
	for (ms = 300;; ms *= 2) {
		buf_clear(&out);
		before = clock_boot_us();
		rc = run_shell(
		    "echo started; sleep 60 & echo $!; wait", ms, &out, &e);
		passed = clock_boot_us() - before;
		if (strchr(buf_str(&out), '\n') !=
			strrchr(buf_str(&out), '\n') ||
		    ms > 10000)
			break;
	}
	tap_ok(rc == -1 && e.kind == ERR_TRANSIENT, "a time-out: %s", e.text);
	tap_ok(passed >= (int64_t)ms * 1000 && passed < 30 * CLOCK_SECOND_US,
	    "after %lld us", (long long)passed);
	tap_ok(strncmp(buf_str(&out), "started\n", 8) == 0,
	    "what it said before is kept");
	pid = buf_str(&out)[0] == '\0' ? 0 : (pid_t)atoi(buf_str(&out) + 8);
	(void)usleep(50000);
	/* A zombie of another parent may stay for a moment. */
	for (passed = 0; passed < 100 && kill(pid, 0) == 0; passed++)
		(void)usleep(20000);
	tap_ok(pid > 1 && kill(pid, 0) == -1, "its children are killed too");
	before = clock_boot_us();
	tap_ok(run_shell("yes", 300, &out, &e) == -1 && e.kind == ERR_TRANSIENT,
	    "also when it talks without end: %s", e.text);
	tap_ok(run_shell("exec >&- 2>&-; sleep 60", 100, &out, &e) == -1 &&
		e.kind == ERR_TRANSIENT,
	    "or closed its output");
	tap_ok(clock_boot_us() - before < 30 * CLOCK_SECOND_US, "in time");
}

static void
check_much_output(void)
{
	AUTO_BUF struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	buf_put(&out, "1234", 4);
	tap_u64((uint64_t)run_shell(
		    "head -c 300000 /dev/zero; exit 3", 20000, &out, &e),
	    3, "much output: %s", e.text);
	tap_u64(out.len, 4 + CHILD_OUTPUT_BYTES_MAX, "only so much is kept");
}

/* A grandchild that keeps the pipe does not keep us. */
static void
check_left_behind(void)
{
	AUTO_BUF struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	int64_t before = clock_boot_us();
	pid_t pid;

	tap_u64((uint64_t)run_shell("sleep 60 & echo $!", 0, &out, &e), 0,
	    "a child that leaves one behind");
	tap_ok(clock_boot_us() - before < 30 * CLOCK_SECOND_US,
	    "is not waited for longer");
	pid = (pid_t)atoi(buf_str(&out));
	if (pid > 1)
		(void)kill(pid, SIGKILL);
}

static void
check_start(void)
{
	const char *const argv[] = { "sh", "-c", "echo out; echo err >&2",
		NULL };
	const char *const fds[] = { "sh", "-c", "ls /proc/self/fd | wc -l",
		NULL };
	struct err e = ERR_INIT;
	int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd, status;
	int fd2;
	pid_t pid;

	fd = file_open_at(dir, "o", O_RDWR | O_CREAT, 0600, &e);
	fd2 = file_open_at(dir, "e", O_RDWR | O_CREAT, 0600, &e);
	pid = child_start(argv, fd, fd2, true, &e);
	tap_ok(
	    pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "start");
	tap_ok(scratch_holds(dir, "o", "out\n", 4), "output to its file");
	tap_ok(scratch_holds(dir, "e", "err\n", 4), "error to its file");
	(void)!ftruncate(fd, 0);
	(void)lseek(fd, 0, SEEK_SET);
	pid = child_start(fds, fd, -1, false, &e);
	(void)waitpid(pid, &status, 0);
	/* 0, 1, 2 and the folder that ls reads. */
	tap_ok(scratch_holds(dir, "o", "4\n", 2),
	    "no other descriptor is handed on");
	(void)close(fd);
	(void)close(fd2);
	(void)close(dir);
}

/* A new program starts with no signal blocked or ignored. */
static void
check_signals_reset(void)
{
	AUTO_BUF struct buf blocked = BUF_INIT;
	AUTO_BUF struct buf ignored = BUF_INIT;
	struct err e = ERR_INIT;
	sigset_t set, old;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)pthread_sigmask(SIG_BLOCK, &set, &old);
	(void)run_shell(
	    "sed -n 's/^SigBlk:\\t*/0x/p' /proc/self/status", 0, &blocked, &e);
	(void)run_shell(
	    "sed -n 's/^SigIgn:\\t*/0x/p' /proc/self/status", 0, &ignored, &e);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	tap_u64(strtoull(buf_str(&blocked), NULL, 16), 0, "none is blocked");
	/* 32 and 33 are the C library's own and cannot be changed. */
	tap_u64(strtoull(buf_str(&ignored), NULL, 16) & ~(UINT64_C(3) << 31), 0,
	    "none is ignored");
}

/* Output through descriptors 1 and 2 that are swapped. */
static void
check_swapped_fds(void)
{
	const char *const argv[] = { "sh", "-c", "echo out; echo err >&2",
		NULL };
	struct err e = ERR_INIT;
	int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), status = -1;
	pid_t pid;

	if ((pid = fork()) == 0) {
		int a = open("a", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		int b = open("b", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

		(void)dup2(a, 1);
		(void)dup2(b, 2);
		(void)close(0);
		pid = child_start(argv, 2, 1, false, &e);
		_exit(pid > 0 && waitpid(pid, &status, 0) == pid ? status : 1);
	}
	(void)waitpid(pid, &status, 0);
	tap_ok(status == 0 && scratch_holds(dir, "a", "err\n", 4) &&
		scratch_holds(dir, "b", "out\n", 4),
	    "descriptors may be swapped");
	(void)close(dir);
}

static void
check_dies_with_parent(void)
{
	const char *const argv[] = { "sleep", "60", NULL };
	struct err e = ERR_INIT;
	int fds[2], i;
	pid_t pid, grandchild = 0;

	if (pipe(fds) == -1)
		tap_bail("no pipe");
	if ((pid = fork()) == 0) {
		grandchild = child_start(argv, -1, -1, true, &e);
		(void)!write(fds[1], &grandchild, sizeof(grandchild));
		_exit(0);
	}
	(void)!read(fds[0], &grandchild, sizeof(grandchild));
	(void)waitpid(pid, NULL, 0);
	for (i = 0; i < 250 && kill(grandchild, 0) == 0; i++)
		(void)usleep(20000);
	tap_ok(grandchild > 1 && kill(grandchild, 0) == -1,
	    "a child dies with its parent");
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* In a process of its own, as a stop request stays. */
static int
stopped_run(void)
{
	struct err e = ERR_INIT;

	child_catch_stop_signals();
	if (child_stop_requested() || child_check_stop(&e) != 0)
		return 1;
	/* While it runs, however long it took to start. */
	if (run_shell("kill $PPID; sleep 60", 0, NULL, &e) != -1 ||
	    e.kind != ERR_CANCELED)
		return 2;
	if (!child_stop_requested() || child_check_stop(&e) != -1 ||
	    e.kind != ERR_CANCELED)
		return 3;
	/* What is started after the request is let through: it cleans up. */
	return run_shell("sleep 0.1; exit 4", 0, NULL, &e) == 4 ? 0 : 4;
}

static int
two_interrupts(void)
{
	child_catch_stop_signals();
	(void)raise(SIGINT);
	if (!child_stop_requested())
		return 1;
	(void)raise(SIGINT);
	return 2;
}

static int
status_of(int (*function)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(function());
	(void)waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

int
main(void)
{
	(void)close(scratch_enter());
	check_status();
	check_exec_fails();
	check_time_out();
	check_much_output();
	check_left_behind();
	check_start();
	check_signals_reset();
	check_swapped_fds();
	check_dies_with_parent();
	tap_u64((uint64_t)status_of(stopped_run), 0,
	    "a stop request ends a run, but not one begun after it");
	tap_u64((uint64_t)status_of(two_interrupts), 128 + SIGINT,
	    "the second SIGINT ends the process");
	return tap_done();
}
