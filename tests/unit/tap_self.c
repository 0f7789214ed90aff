/*
 * The tests of tap itself: the words of a program that passes, and of one that
 * fails, whole.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

static void
all_hold(void)
{
	tap_ok(true, "one is %d", 1);
	tap_u64(UINT64_MAX, UINT64_MAX, "numbers");
	tap_str(NULL, NULL, "no strings");
	tap_skip("no %s here", "server");
}

static void
none_holds(void)
{
	tap_ok(false, "one");
	tap_u64(16, 3, "two");
	tap_str("a\nb", NULL, "three");
}

/* What a child prints that makes these checks and exits as a test does. */
static void
output_of(void (*checks)(void), char *out, size_t size, int *status)
{
	int fd[2];
	pid_t pid;
	size_t len = 0;
	ssize_t n;

	if (pipe(fd) == -1 || (pid = fork()) == -1)
		tap_bail("could not start a child");
	if (pid == 0) {
		(void)dup2(fd[1], 1);
		(void)dup2(fd[1], 2);
		(void)close(fd[0]);
		(void)close(fd[1]);
		checks();
		_exit(tap_done());
	}
	(void)close(fd[1]);
	while ((n = read(fd[0], out + len, size - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	(void)close(fd[0]);
	(void)waitpid(pid, status, 0);
}

int
main(void)
{
	char good[1024], bad[1024];
	int good_status, bad_status;

	output_of(all_hold, good, sizeof(good), &good_status);
	output_of(none_holds, bad, sizeof(bad), &bad_status);

	tap_str(good,
	    "ok 1 - one is 1\n"
	    "ok 2 - numbers\n"
	    "ok 3 - no strings\n"
	    "ok 4 # SKIP no server here\n"
	    "1..4\n",
	    "what holds");
	tap_ok(good_status == 0, "what holds exits with status 0");
	tap_str(bad,
	    "not ok 1 - one\n"
	    "not ok 2 - two\n"
	    "# got 16 (0x10), want 3 (0x3)\n"
	    "not ok 3 - three\n"
	    "#  got: a\n"
	    "# b\n"
	    "# want: (null)\n"
	    "1..3\n"
	    "# 3 of 3 failed\n",
	    "what fails");
	tap_ok(WIFEXITED(bad_status) && WEXITSTATUS(bad_status) == 1,
	    "what fails exits with status 1");
	return tap_done();
}
