/*
 * The event hook: what it gets, what it is spared, and its end when it hangs.
 * Linked with -Wl,--wrap=clock_boot_us: time is moved by hand.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/hook.h"
#include "daemon/message.h"
#include "tap.h"

static char folder[] = "/tmp/daemon_hook.XXXXXX";
static char *program;
static int64_t skew_us;
static char logged[64];

int64_t __real_clock_boot_us(void);

int64_t
__wrap_clock_boot_us(void)
{
	return __real_clock_boot_us() + skew_us;
}

static void
remember(void *arg, enum log_level level, const char *event,
    const char *message, const char *const *keys, const char *const *values,
    unsigned int count)
{
	(void)arg;
	(void)level;
	(void)message;
	(void)keys;
	(void)values;
	(void)count;
	(void)strncpy(logged, event, sizeof(logged) - 1);
}

static const char script[] =
    "#!/bin/sh\n"
    "cd \"${0%/*}\"\n"
    "case $PGKURA_EVENT in\n"
    "hangs) sleep 1000 & echo $! >child; wait; wait ;;\n"
    "fails) exit 5 ;;\n"
    "*) { echo \"$PGKURA_LEVEL $PGKURA_EVENT $PGKURA_SITE $PGKURA_CLUSTER\"\n"
    "   echo \"$PGKURA_TIME\"; echo \"$PGKURA_MESSAGE\"; cat; } >>told ;;\n"
    "esac\n";

static json_t *
event_of(enum log_level level, const char *name, const char *message)
{
	const char *keys[] = { "cluster" }, *values[] = { "main" };
	json_t *m = message_of_event(level, name, message, keys, values, 1);

	(void)json_object_set_new(
	    m, "time_us", json_integer(1763694000 * CLOCK_SECOND_US));
	return m;
}

static void
offer(
    struct hook *h, enum log_level level, const char *name, const char *message)
{
	AUTO_JSON json_t *m = event_of(level, name, message);

	hook_offer(h, m);
}

/* Until nothing runs and nothing waits, for ten seconds at most. */
static bool
run_all(struct hook *h)
{
	int i;

	for (i = 0; i < 1000 && !hook_idle(h); i++) {
		struct pollfd p = { hook_fd(h), POLLIN, 0 };

		(void)poll(&p, 1, 10);
		(void)hook_tick(h);
	}
	return hook_idle(h);
}

/* What the program has written since the last call. */
static char *
told(void)
{
	AUTO_FREE char *path = file_join(folder, "told");
	AUTO_BUF struct buf b = BUF_INIT;

	(void)file_slurp_at(AT_FDCWD, path, 1 << 20, &b, NULL);
	(void)unlink(path);
	return mem_strdup(buf_str(&b));
}

static void
check_told(void)
{
	AUTO_HOOK struct hook *h = hook_new(program, "tokyo");
	AUTO_FREE char *text = NULL;

	offer(h, LOG_LEVEL_ERROR, "wal_gap", "a \"gap\"\nin WAL");
	tap_ok(run_all(h), "the program runs");
	text = told();
	tap_str(text,
	    "error wal_gap tokyo main\n"
	    "2025-11-21 03:00:00+00\n"
	    "a \"gap\"\nin WAL\n"
	    "{\"version\":1,\"time\":\"2025-11-21 03:00:00+00\","
	    "\"site\":\"tokyo\",\"level\":\"error\",\"event\":\"wal_gap\","
	    "\"message\":\"a \\\"gap\\\"\\nin WAL\","
	    "\"values\":{\"cluster\":\"main\"}}\n",
	    "what it gets");
}

static void
check_spared(void)
{
	AUTO_HOOK struct hook *h = hook_new(program, "tokyo");
	AUTO_HOOK struct hook *none = hook_new(NULL, "tokyo");
	AUTO_FREE char *text = NULL, *more = NULL;

	offer(h, LOG_LEVEL_INFO, "backup_done", "fine");
	tap_ok(hook_idle(h), "information is not for it");
	offer(h, LOG_LEVEL_WARNING, "event_hook_failed", "no");
	tap_ok(hook_idle(h), "its own failures are not for it");
	offer(none, LOG_LEVEL_ERROR, "wal_gap", "a gap");
	tap_ok(hook_idle(none), "without a program nothing is run");

	offer(h, LOG_LEVEL_ERROR, "a", "same");
	offer(h, LOG_LEVEL_ERROR, "a", "same");
	offer(h, LOG_LEVEL_ERROR, "a", "other");
	(void)run_all(h);
	text = told();
	tap_ok(strstr(text, "same") != NULL && strstr(text, "other") != NULL &&
		strstr(strstr(text, "}}\n") + 1, "same") == NULL,
	    "the same is told once, another is told");
	skew_us += HOOK_REPEAT_US;
	offer(h, LOG_LEVEL_ERROR, "a", "same");
	(void)run_all(h);
	more = told();
	tap_ok(strstr(more, "same") != NULL, "and again after an hour");
}

static void
check_failing(void)
{
	AUTO_HOOK struct hook *h = hook_new(program, "tokyo");
	AUTO_HOOK struct hook *missing = hook_new("/nowhere/hook", "tokyo");
	AUTO_FREE char *text = NULL;

	offer(h, LOG_LEVEL_ERROR, "fails", "x");
	offer(h, LOG_LEVEL_ERROR, "next", "x");
	(void)run_all(h);
	tap_str(logged, "event_hook_failed", "a failure is told");
	text = told();
	tap_ok(strstr(text, "next") != NULL, "the next event is handed on");
	logged[0] = '\0';
	offer(missing, LOG_LEVEL_ERROR, "x", "x");
	(void)run_all(missing);
	tap_str(
	    logged, "event_hook_failed", "so is a program that is not there");
}

static void
check_hanging(void)
{
	AUTO_HOOK struct hook *h = hook_new(program, "tokyo");
	AUTO_FREE char *path = file_join(folder, "child");
	AUTO_BUF struct buf b = BUF_INIT;
	pid_t pid;
	int i;

	offer(h, LOG_LEVEL_ERROR, "hangs", "x");
	(void)hook_tick(h);
	for (i = 0; i < 1000 && b.len == 0; i++) {
		(void)file_slurp_at(AT_FDCWD, path, 100, &b, NULL);
		clock_sleep_us(10000);
	}
	pid = (pid_t)atol(buf_str(&b));
	tap_ok(hook_tick(h) != INT64_MAX && !hook_idle(h), "it hangs");
	logged[0] = '\0';
	skew_us += HOOK_TIMEOUT_US;
	(void)hook_tick(h);
	tap_ok(hook_idle(h), "after its time it is killed");
	tap_str(logged, "event_hook_failed", "which is told");
	for (i = 0; i < 500 && kill(pid, 0) == 0; i++)
		clock_sleep_us(10000);
	tap_ok(pid > 1 && kill(pid, 0) == -1 && errno == ESRCH,
	    "with what it had started");
}

static void
check_flood(void)
{
	AUTO_HOOK struct hook *h = hook_new(program, "tokyo");
	char text[32];
	int i;

	logged[0] = '\0';
	for (i = 0; i < HOOK_PENDING_MAX + 1; i++) {
		(void)snprintf(text, sizeof(text), "number %d", i);
		offer(h, LOG_LEVEL_ERROR, "flood", text);
	}
	tap_str(logged, "event_hook_overrun", "a flood is bounded");
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
	log_setup(LOG_JSON, LOG_LEVEL_ERROR);
	log_set_sink(remember, NULL);
	check_told();
	check_spared();
	check_failing();
	check_hanging();
	check_flood();
	(void)file_rmtree_at(AT_FDCWD, folder, &e);
	free(program);
	return tap_done();
}
