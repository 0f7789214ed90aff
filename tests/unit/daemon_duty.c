/*
 * Duties: started, restarted, left alone, stopped, killed with all that they
 * started.  The program is a script that does what its duty's name says.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/duty.h"
#include "daemon/message.h"
#include "tap.h"

static char folder[] = "/tmp/daemon_duty.XXXXXX";
static char *program;

static const char script[] =
    "#!/bin/sh\n"
    "cd \"${0%/*}\"\n"
    "case $3 in\n"
    "stay) cat <&3 >settings; echo \"$*\" >arguments; exec sleep 1000 ;;\n"
    "fail) exit 7 ;;\n"
    "family) sleep 1000 & echo $! >child; wait ;;\n"
    "deaf) trap '' TERM; echo >ready; while :; do sleep 1; done ;;\n"
    "esac\n";

static struct duties *
duties_here(const char *settings)
{
	struct duties *d = duties_new(program, "/etc/x.conf");
	struct err e = ERR_INIT;

	if (duties_set_settings(d, settings, strlen(settings), &e) == -1)
		tap_bail("%s", e.text);
	return d;
}

static void
want(struct duties *d, const char *name, const char *signature)
{
	duties_want_begin(d);
	if (name != NULL)
		duties_want(d, name, "main", signature);
	duties_want_end(d);
	(void)duties_tick(d);
}

static unsigned int ends;
static int last_status;

static void
ended(void *arg, struct duty *y, int status)
{
	(void)arg;
	(void)y;
	ends++;
	last_status = status;
}

/* Reap until count have ended, for at most ten seconds. */
static bool
wait_for_ends(struct duties *d, unsigned int count)
{
	int i;

	ends = 0;
	for (i = 0; i < 1000 && ends < count; i++) {
		duties_reap(d, ended, NULL);
		if (ends < count)
			clock_sleep_us(10000);
	}
	return ends == count;
}

/* What a file of the folder holds, once there is something in it. */
static char *
contents(const char *name)
{
	AUTO_FREE char *path = file_join(folder, name);
	AUTO_BUF struct buf b = BUF_INIT;
	int i;

	for (i = 0; i < 1000 && b.len == 0; i++) {
		(void)file_slurp_at(AT_FDCWD, path, 65536, &b, NULL);
		if (b.len == 0)
			clock_sleep_us(10000);
	}
	return mem_strdup(buf_str(&b));
}

/* ---- */

static void
check_backoff(void)
{
	static const int64_t want_s[] = { 0, 0, 1, 2, 4, 8, 16, 32, 60, 60 };
	unsigned int i, wrong = 0;

	for (i = 0; i < COUNT_OF(want_s); i++)
		wrong += duty_backoff_us(i) != want_s[i] * CLOCK_SECOND_US;
	wrong += duty_backoff_us(1000000) != 60 * CLOCK_SECOND_US;
	tap_u64(wrong, 0, "restarts at once, then after 1 s doubling to 60 s");
}

static void
check_start_and_restart(void)
{
	AUTO_DUTIES struct duties *d = duties_here("the text");
	AUTO_FREE char *settings = NULL, *arguments = NULL;
	struct duty *y;
	int64_t before_us;
	pid_t first;

	want(d, "stay", "1");
	y = duties_find(d, "stay", "main");
	tap_ok(y != NULL && y->state == DUTY_RUNNING && y->pid > 0,
	    "what is wanted is started");
	settings = contents("settings");
	tap_str(settings, "the text", "it reads the settings of descriptor 3");
	arguments = contents("arguments");
	tap_str(arguments,
	    "--supervised --duty stay --config /etc/x.conf --cluster main\n",
	    "its arguments");
	tap_ok(getpgid(y->pid) == y->pid, "it leads a process group");

	first = y->pid;
	want(d, "stay", "1");
	tap_ok(y->pid == first, "what did not change is left alone");

	(void)kill(first, SIGKILL);
	tap_ok(wait_for_ends(d, 1) && WIFSIGNALED(last_status),
	    "a killed one is reaped");
	tap_ok(y->state == DUTY_WAITING && y->due_us <= clock_boot_us(),
	    "and is due again at once");
	(void)duties_tick(d);
	tap_ok(y->state == DUTY_RUNNING && y->pid != first && y->starts == 2,
	    "so it is started");
	before_us = clock_boot_us();
	(void)kill(y->pid, SIGKILL);
	(void)wait_for_ends(d, 1);
	tap_ok(y->due_us >= before_us + CLOCK_SECOND_US,
	    "a second death in a row has to wait");

	want(d, "stay", "2");
	tap_ok(y->state == DUTY_RUNNING && y->deaths == 0,
	    "but not when its settings changed");
	first = y->pid;
	want(d, "stay", "3");
	tap_ok(
	    y->state == DUTY_STOPPING, "changed settings stop one that runs");
	tap_ok(wait_for_ends(d, 1) && WTERMSIG(last_status) == SIGTERM,
	    "in order");
	(void)duties_tick(d);
	tap_ok(y->state == DUTY_RUNNING && y->pid != first,
	    "and start it anew at once");

	want(d, NULL, NULL);
	tap_ok(wait_for_ends(d, 1) && duties_at(d, 0) == NULL,
	    "what is not wanted any more goes");
	tap_ok(!duties_any_runs(d), "none runs");
}

static void
check_failing(void)
{
	AUTO_DUTIES struct duties *d = duties_here("");
	struct duty *y;
	int64_t before_us;

	want(d, "fail", "1");
	(void)wait_for_ends(d, 1);
	y = duties_find(d, "fail", "main");
	tap_ok(WEXITSTATUS(last_status) == 7 && y->deaths == 1,
	    "a status is told");
	before_us = clock_boot_us();
	(void)duties_tick(d);
	(void)wait_for_ends(d, 1);
	tap_ok(y->deaths == 2 && y->due_us >= before_us + CLOCK_SECOND_US &&
		duties_tick(d) >= y->due_us,
	    "one that fails at once is not started in a loop");
}

static void
check_group(void)
{
	AUTO_DUTIES struct duties *d = duties_here("");
	AUTO_FREE char *child = NULL;
	struct duty *y;
	pid_t pid;
	int i;

	want(d, "family", "1");
	child = contents("child");
	pid = (pid_t)atol(child);
	y = duties_find(d, "family", "main");
	(void)kill(y->pid, SIGKILL);
	(void)wait_for_ends(d, 1);
	want(d, NULL, NULL);
	for (i = 0; i < 500 && kill(pid, 0) == 0; i++) {
		clock_sleep_us(10000);
		duties_reap(d, ended, NULL); /* it is ours now */
	}
	tap_ok(pid > 1 && kill(pid, 0) == -1 && errno == ESRCH,
	    "what a duty started ends with it");
}

static void
check_deaf(void)
{
	AUTO_DUTIES struct duties *d = duties_here("");
	AUTO_FREE char *ready = NULL;
	struct duty *y;
	int64_t before_us;

	want(d, "deaf", "1");
	ready = contents("ready");
	before_us = clock_boot_us();
	want(d, NULL, NULL);
	y = duties_find(d, "deaf", "main");
	tap_ok(y->state == DUTY_STOPPING &&
		y->due_us > before_us + 15 * CLOCK_SECOND_US,
	    "one that is stopped has its time");
	y->due_us = clock_boot_us();
	(void)duties_tick(d);
	tap_ok(wait_for_ends(d, 1) && WTERMSIG(last_status) == SIGKILL,
	    "one that does not listen is killed");
}

static void
check_jobs(void)
{
	AUTO_DUTIES struct duties *d = duties_here("");
	struct err e = ERR_INIT;
	pid_t pid;

	want(d, "stay", "1");
	tap_ok(duties_start_job(d, "fail", "main", &e) == 0, "a job starts");
	tap_ok(duties_start_job(d, "fail", "main", &e) == -1 &&
		e.kind == ERR_CONFLICT,
	    "not twice: %s", e.text);
	tap_ok(wait_for_ends(d, 1) && duties_find(d, "fail", "main") == NULL,
	    "it runs once");

	tap_ok(duties_start_job(d, "family", "main", &e) == 0, "another one");
	pid = duties_find(d, "family", "main")->pid;
	duties_want_begin(d);
	duties_want_jobs(d, "main");
	duties_want_end(d);
	tap_ok(duties_find(d, "family", "main")->state == DUTY_RUNNING &&
		duties_find(d, "family", "main")->pid == pid,
	    "it goes on when its cluster does");
	duties_stop_all(d);
	tap_ok(
	    wait_for_ends(d, 2) && duties_at(d, 0) == NULL, "all of them stop");
}

static void
check_messages(void)
{
	const char *keys[] = { "cluster" }, *values[] = { "main" };
	AUTO_FREE char *large = NULL;
	json_t *m, *got = NULL;
	struct err e = ERR_INIT;
	int fds[2], sent = 0;

	if (message_pair(fds, &e) == -1)
		tap_bail("%s", e.text);
	m = message_of_event(
	    LOG_LEVEL_WARNING, "wal_gap", "a \"gap\"\n", keys, values, 1);
	tap_ok(
	    message_receive(fds[1], &got, &e) == -1 && e.kind == ERR_TRANSIENT,
	    "nothing has come");
	tap_ok(message_send(fds[0], m, &e) == 0 &&
		message_receive(fds[1], &got, &e) == 1 && json_equal(m, got),
	    "a message arrives as it was");
	tap_ok(message_level(got) == LOG_LEVEL_WARNING, "its level");
	tap_str(message_event_cluster(got), "main", "its cluster");
	json_decref(got);
	while (message_send(fds[0], m, &e) == 0 && sent < 100000)
		sent++;
	tap_ok(sent > 10 && e.kind == ERR_TRANSIENT,
	    "who does not read does not stop the other (%d sent)", sent);
	json_decref(m);
	while (message_receive(fds[1], &got, &e) == 1)
		json_decref(got);
	(void)send(fds[0], "{\"a\":", 5, 0);
	tap_ok(message_receive(fds[1], &got, &e) == -1 && e.kind == ERR_CORRUPT,
	    "what is no message is refused");
	large = mem_alloc(70000);
	(void)memset(large, 'x', 70000);
	m = json_object();
	(void)json_object_set_new(m, "x", json_stringn(large, 70000));
	tap_ok(message_send(fds[0], m, &e) == -1 && e.kind == ERR_BUG,
	    "one that is too large is not sent");
	json_decref(m);
	(void)close(fds[0]);
	tap_ok(message_receive(fds[1], &got, &e) == 0, "the end is told");
	(void)close(fds[1]);
}

int
main(void)
{
	struct err e = ERR_INIT;

	if (mkdtemp(folder) == NULL)
		tap_bail("no folder");
	program = file_join(folder, "program");
	if (file_publish_at(AT_FDCWD, program, script, strlen(script), 0755,
		FILE_REPLACE, &e) == -1)
		tap_bail("%s", e.text);
	log_setup(LOG_PEOPLE, LOG_LEVEL_ERROR);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	check_backoff();
	check_start_and_restart();
	check_failing();
	check_group();
	check_deaf();
	check_jobs();
	check_messages();
	(void)file_rmtree_at(AT_FDCWD, folder, &e);
	free(program);
	return tap_done();
}
