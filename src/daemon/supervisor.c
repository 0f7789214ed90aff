#include "daemon/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/notify.h"
#include "daemon/supervisor_int.h"

#define PLAN_US	     (10 * CLOCK_SECOND_US)
#define POLL_FDS_MAX 8192
#define LOCK_FILE    "pgkurad.lock"

/* ---- starting ---- */

/* One daemon a folder: what else is left of a dead one may be replaced. */
static int
lock_folder(const char *folder, mode_t mode, struct err *e)
{
	AUTO_FREE char *path = file_join(folder, LOCK_FILE);
	int fd;

	if (file_mkdirs_at(AT_FDCWD, folder, mode, e) == -1)
		return -1;
	fd = file_lock(path, false, false, e);
	if (fd == -1 && e->kind == ERR_TRANSIENT) {
		(void)err_set(e, ERR_CONFLICT,
		    "another pgkurad runs with folder \"%s\"", folder);
		return err_hint(e, "\"pgkura status\" shows it.");
	}
	return fd;
}

static int
open_signals(struct err *e)
{
	sigset_t set;
	int fd;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
		return err_sys(e, "could not block signals");
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd == -1 ? err_sys(e, "could not wait for signals") : fd;
}

/* A descriptor or two for each duty and job. */
static void
raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == -1)
		return;
	r.rlim_cur = r.rlim_max < POLL_FDS_MAX ? r.rlim_max : POLL_FDS_MAX;
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

static int
start(struct supervisor *v, struct err *e)
{
	if (supervisor_load(v, e) == -1)
		return -1;
	v->state_lock = lock_folder(v->settings->state_dir, 0700, e);
	if (v->state_lock == -1)
		return -1;
	v->runtime_lock = lock_folder(v->settings->runtime_dir, 0755, e);
	if (v->runtime_lock == -1 || (v->signals = open_signals(e)) == -1)
		return -1;
	raise_limits();
	/* What a child's children leave behind is ours to end. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1)
		return err_sys(e, "could not become the reaper of children");
	v->control = control_server_new(v->settings, supervisor_answer, v, e);
	if (v->control == NULL)
		return -1;
	facts_set_settings(v->facts, v->settings, clock_now_us());
	log_set_sink(supervisor_sink, v);
	log_event(LOG_LEVEL_INFO, "daemon_started", "pgkurad has started",
	    "file", v->settings->path, NULL);
	supervisor_want(v);
	return 0;
}

/* ---- stopping ---- */

void
supervisor_stop(struct supervisor *v)
{
	if (v->stopping)
		return;
	v->stopping = true;
	notify("STOPPING=1");
	log_event(LOG_LEVEL_INFO, "daemon_stopping", "pgkurad stops", NULL);
	/* The history is told how the others ended. */
	duties_want_begin(v->duties);
	duties_want(v->duties, "store", "",
	    duties_find(v->duties, "store", "")->signature);
	duties_want_end(v->duties);
}

/* The history comes last. */
static void
stop_history_when_alone(struct supervisor *v)
{
	const struct duty *y;
	size_t i;

	if (!v->stopping || v->history_stopping)
		return;
	for (i = 0; (y = duties_at(v->duties, i)) != NULL; i++)
		if (strcmp(y->name, "store") != 0)
			return;
	v->history_stopping = true;
	outbox_flush(v);
	duties_stop_all(v->duties);
}

/* ---- the loop ---- */

static void
take_signals(struct supervisor *v)
{
	struct signalfd_siginfo info;
	struct err e = ERR_INIT;

	while (read(v->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP && !v->stopping)
			(void)supervisor_reload(v, &e); /* it has told */
		else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			supervisor_stop(v);
	}
	duties_reap(v->duties, supervisor_duty_ended, v);
}

/* One line for systemctl status. */
static void
tell_systemd(struct supervisor *v)
{
	json_t *health = alarms_health(v->alarms);
	char text[sizeof(v->told_status)] = "";
	const char *sentence =
	    json_string_value(json_object_get(health, "sentence"));
	size_t i;

	(void)strncpy(text, sentence, sizeof(text) - 1);
	for (i = 0; text[i] != '\0'; i++)
		if ((unsigned char)text[i] < ' ')
			text[i] = ' ';
	if (strcmp(text, v->told_status) != 0)
		notify("STATUS=%s", text);
	(void)strcpy(v->told_status, text);
	json_decref(health);
}

static void
plan_when_due(struct supervisor *v)
{
	int64_t now_us = clock_boot_us(), every_us = notify_watchdog_us();

	if (v->plan_now || now_us >= v->plan_us) {
		v->plan_now = false;
		v->plan_us = now_us + PLAN_US;
		supervisor_plan(v);
		tell_systemd(v);
	}
	if (every_us != 0 && now_us >= v->watchdog_us) {
		notify("WATCHDOG=1");
		v->watchdog_us = now_us + every_us;
	}
	if (every_us == 0)
		v->watchdog_us = INT64_MAX;
}

static int64_t
min_of(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Wait for whatever comes first, then hear everybody. */
static int
wait_and_listen(struct supervisor *v, int64_t until_us, struct err *e)
{
	static struct pollfd fds[POLL_FDS_MAX];
	size_t count = 0, i;
	struct duty *y;
	int64_t wait_us;

	fds[count++] = (struct pollfd){ v->signals, POLLIN, 0 };
	count += control_server_poll(v->control, fds + count);
	for (i = 0;
	     (y = duties_at(v->duties, i)) != NULL && count < POLL_FDS_MAX; i++)
		if (y->fd != -1)
			fds[count++] = (struct pollfd){ y->fd, POLLIN, 0 };
	wait_us = until_us - clock_boot_us();
	wait_us = wait_us < 0 ? 0 : min_of(wait_us, PLAN_US);
	if (poll(fds, count, (int)((wait_us + 999) / 1000)) == -1 &&
	    errno != EINTR)
		return err_sys(e, "could not wait");
	for (i = 0; (y = duties_at(v->duties, i)) != NULL; i++)
		supervisor_listen(v, y);
	return 0;
}

static int
loop(struct supervisor *v, struct err *e)
{
	int64_t next_us;

	notify("READY=1");
	while (!v->stopping || duties_any_runs(v->duties)) {
		next_us = duties_tick(v->duties);
		plan_when_due(v);
		next_us = min_of(next_us, min_of(v->plan_us, v->watchdog_us));
		next_us = min_of(next_us, control_server_tick(v->control));
		outbox_flush(v);
		if (wait_and_listen(v, v->plan_now ? 0 : next_us, e) == -1)
			return -1;
		take_signals(v);
		stop_history_when_alone(v);
	}
	return 0;
}

static void
clean_up(struct supervisor *v)
{
	log_set_sink(NULL, NULL);
	control_server_free(v->control);
	duties_free(v->duties);
	outbox_clear(&v->outbox);
	recent_free(v->recent);
	alarms_free(v->alarms);
	facts_free(v->facts);
	settings_free(v->settings);
	buf_free(&v->pairings_seen);
	if (v->signals != -1)
		(void)close(v->signals);
	if (v->state_lock != -1)
		(void)close(v->state_lock);
	if (v->runtime_lock != -1)
		(void)close(v->runtime_lock);
}

int
supervisor_run(const char *config_path)
{
	struct supervisor *v = mem_zalloc(sizeof(*v));
	struct err e = ERR_INIT;

	v->config_path = config_path;
	v->facts = facts_new(clock_now_us());
	v->alarms = alarms_new();
	v->recent = recent_new();
	v->state_lock = v->runtime_lock = v->signals = -1;
	v->start_us = clock_boot_us();
	if (start(v, &e) == 0 && loop(v, &e) == 0)
		log_event(LOG_LEVEL_INFO, "daemon_stopped",
		    "pgkurad has stopped", NULL);
	else
		log_error("daemon_failed", &e);
	clean_up(v);
	free(v);
	return err_exit_status(&e);
}
