#include "daemon/duty.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/duty_spawn.h"
#include "daemon/message.h"

#define BACKOFF_MAX_S 60
#define LONG_LIFE_US  (60 * CLOCK_SECOND_US)

struct duties {
	char *program, *settings_path;
	int settings_fd;
	struct duty **list;
	size_t count;
};

struct duties *
duties_new(const char *program, const char *settings_path)
{
	struct duties *d = mem_zalloc(sizeof(*d));

	d->program = mem_strdup(program);
	d->settings_path = mem_strdup(settings_path);
	d->settings_fd = -1;
	return d;
}

void
duty_hang_up(struct duty *y)
{
	if (y->fd != -1)
		(void)close(y->fd);
	y->fd = -1;
}

static void
duty_free(struct duty *y)
{
	duty_hang_up(y);
	free(y->signature);
	free(y);
}

void
duties_free(struct duties *d)
{
	size_t i;

	if (d == NULL)
		return;
	for (i = 0; i < d->count; i++)
		duty_free(d->list[i]);
	free(d->list);
	if (d->settings_fd != -1)
		(void)close(d->settings_fd);
	free(d->program);
	free(d->settings_path);
	free(d);
}

int
duties_set_settings(
    struct duties *d, const char *text, size_t len, struct err *e)
{
	AUTO_FD int fd = memfd_create("pgkura.conf", MFD_CLOEXEC);

	if (fd == -1)
		return err_sys(e, "could not make memory for settings");
	if (file_pwrite_all(fd, text, len, 0, "settings", e) == -1)
		return -1;
	if (d->settings_fd != -1)
		(void)close(d->settings_fd);
	d->settings_fd = steal_fd(&fd);
	return 0;
}

/* ---- the list ---- */

struct duty *
duties_at(const struct duties *d, size_t i)
{
	return i < d->count ? d->list[i] : NULL;
}

struct duty *
duties_find(const struct duties *d, const char *name, const char *cluster)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		if (strcmp(d->list[i]->name, name) == 0 &&
		    strcmp(d->list[i]->cluster, cluster) == 0)
			return d->list[i];
	return NULL;
}

bool
duties_any_runs(const struct duties *d)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		if (d->list[i]->pid != 0)
			return true;
	return false;
}

static struct duty *
duty_add(struct duties *d, const char *name, const char *cluster)
{
	struct duty *y = mem_zalloc(sizeof(*y));

	(void)memccpy(y->name, name, '\0', sizeof(y->name) - 1);
	(void)memccpy(y->cluster, cluster, '\0', sizeof(y->cluster) - 1);
	y->fd = -1;
	y->wanted = true;
	y->since_us = clock_now_us();
	d->list = mem_rearray(d->list, d->count + 1, sizeof(*d->list));
	d->list[d->count++] = y;
	return y;
}

static void
duty_remove(struct duties *d, size_t i)
{
	duty_free(d->list[i]);
	d->list[i] = d->list[--d->count];
}

static void
set_state(struct duty *y, enum duty_state state, int64_t due_us)
{
	y->state = state;
	y->due_us = due_us;
	y->since_us = clock_now_us();
}

/* ---- which there are to be ---- */

void
duties_want_begin(struct duties *d)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		d->list[i]->wanted = false;
}

void
duties_want(struct duties *d, const char *name, const char *cluster,
    const char *signature)
{
	struct duty *y = duties_find(d, name, cluster);

	if (y == NULL)
		y = duty_add(d, name, cluster);
	y->wanted = true;
	if (y->signature != NULL && strcmp(y->signature, signature) == 0)
		return;
	free(y->signature);
	y->signature = mem_strdup(signature);
	y->deaths = 0;
	if (y->state == DUTY_WAITING)
		y->due_us = 0; /* what made it fail may be mended */
	else if (!y->job)
		duty_stop(y);
}

void
duties_want_jobs(struct duties *d, const char *cluster)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		if (d->list[i]->job &&
		    strcmp(d->list[i]->cluster, cluster) == 0)
			d->list[i]->wanted = true;
}

void
duties_want_end(struct duties *d)
{
	size_t i;

	for (i = 0; i < d->count;) {
		struct duty *y = d->list[i];

		if (y->wanted || y->state == DUTY_STOPPING) {
			i++;
		} else if (y->state == DUTY_WAITING) {
			duty_remove(d, i);
		} else {
			duty_stop(y);
			i++;
		}
	}
}

/* ---- starting and stopping ---- */

int64_t
duty_backoff_us(unsigned int deaths)
{
	int64_t s;

	if (deaths <= 1)
		return 0;
	s = deaths > 7 ? BACKOFF_MAX_S : (int64_t)1 << (deaths - 2);
	return (s > BACKOFF_MAX_S ? BACKOFF_MAX_S : s) * CLOCK_SECOND_US;
}

static int
duty_start(struct duties *d, struct duty *y, struct err *e)
{
	int fds[2];
	pid_t pid;

	if (message_pair(fds, e) == -1)
		return -1;
	pid = duty_spawn(
	    d->program, d->settings_path, y, d->settings_fd, fds[1], e);
	(void)close(fds[1]);
	if (pid == -1) {
		(void)close(fds[0]);
		return err_ctx(e, "%s", y->name);
	}
	y->pid = pid;
	y->fd = fds[0];
	y->started_us = clock_boot_us();
	y->starts++;
	set_state(y, DUTY_RUNNING, INT64_MAX);
	return 0;
}

int
duties_start_job(
    struct duties *d, const char *job, const char *cluster, struct err *e)
{
	struct duty *y = duties_find(d, job, cluster);

	if (y != NULL)
		return err_set(e, ERR_CONFLICT,
		    "%s of cluster \"%s\" runs already, with pid %d", job,
		    cluster, (int)y->pid);
	y = duty_add(d, job, cluster);
	y->job = true;
	if (duty_start(d, y, e) == 0)
		return 0;
	duty_remove(d, d->count - 1);
	return -1;
}

void
duty_stop(struct duty *y)
{
	if (y->state != DUTY_RUNNING)
		return;
	(void)kill(y->pid, SIGTERM);
	set_state(y, DUTY_STOPPING, clock_boot_us() + DUTY_STOP_US);
}

void
duties_stop_all(struct duties *d)
{
	duties_want_begin(d);
	duties_want_end(d);
}

/* A start that fails is a death. */
static void
duty_try_start(struct duties *d, struct duty *y, int64_t now_us)
{
	struct err e = ERR_INIT;

	if (duty_start(d, y, &e) == 0)
		return;
	log_error("duty_not_started", &e);
	y->deaths++;
	y->due_us = now_us + duty_backoff_us(y->deaths + 1);
}

int64_t
duties_tick(struct duties *d)
{
	int64_t now_us = clock_boot_us(), next_us = INT64_MAX;
	size_t i;

	for (i = 0; i < d->count; i++) {
		struct duty *y = d->list[i];

		if (y->due_us <= now_us && y->state == DUTY_WAITING)
			duty_try_start(d, y, now_us);
		if (y->due_us <= now_us && y->state == DUTY_STOPPING) {
			log_event(LOG_LEVEL_WARNING, "duty_killed",
			    "a duty did not end when asked to, and is killed",
			    "duty", y->name, "cluster",
			    y->cluster[0] == '\0' ? NULL : y->cluster, NULL);
			(void)kill(-y->pid, SIGKILL);
			y->due_us = now_us + DUTY_STOP_US;
		}
		if (y->due_us < next_us)
			next_us = y->due_us;
	}
	return next_us;
}

/* ---- the end of one ---- */

static size_t
index_of_pid(const struct duties *d, pid_t pid)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		if (d->list[i]->pid == pid)
			break;
	return i;
}

static void
duty_ended(struct duties *d, size_t i, int64_t now_us)
{
	struct duty *y = d->list[i];
	bool asked = y->state == DUTY_STOPPING;

	duty_hang_up(y);
	y->pid = 0;
	if (y->job || !y->wanted) {
		duty_remove(d, i);
		return;
	}
	if (asked || now_us - y->started_us >= LONG_LIFE_US)
		y->deaths = 0;
	if (!asked)
		y->deaths++;
	set_state(y, DUTY_WAITING, now_us + duty_backoff_us(y->deaths));
}

void
duties_reap(struct duties *d, duty_ended_fn *fn, void *arg)
{
	siginfo_t info;
	size_t i;
	int status;

	for (;;) {
		/* While it is not waited for, its number is its own: so the
		 * rest of its group can be killed, and nobody else. */
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) ==
			-1 ||
		    info.si_pid == 0)
			return;
		i = index_of_pid(d, info.si_pid);
		if (i < d->count)
			(void)kill(-info.si_pid, SIGKILL);
		if (waitpid(info.si_pid, &status, 0) == -1 || i == d->count)
			continue;
		fn(arg, d->list[i], status);
		duty_ended(d, i, clock_boot_us());
	}
}

const char *
duty_state_name(enum duty_state state)
{
	static const char *const names[] = { [DUTY_WAITING] = "waiting",
		[DUTY_RUNNING] = "running",
		[DUTY_STOPPING] = "stopping" };

	return names[state];
}
