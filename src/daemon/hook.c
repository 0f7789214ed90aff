#include "daemon/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/message.h"

#define OWN_PREFIX "event_hook_" /* the hook's failures are not its events */
#define REPEATS	   64
#define STDIN_MAX  ((size_t)60 << 10) /* fits into an empty pipe */

struct repeat {
	char *what;
	int64_t at_us;
};

struct hook {
	char *program, *site;
	json_t *pending[HOOK_PENDING_MAX]; /* a ring */
	size_t first, count;
	struct repeat repeats[REPEATS]; /* a ring */
	size_t next_repeat;
	pid_t pid; /* 0: none */
	int pidfd;
	int64_t kill_us;
};

struct hook *
hook_new(const char *program, const char *site)
{
	struct hook *h = mem_zalloc(sizeof(*h));

	h->program = program == NULL ? NULL : mem_strdup(program);
	h->site = mem_strdup(site);
	h->pidfd = -1;
	return h;
}

static void
kill_group(const struct hook *h)
{
	(void)kill(-h->pid, SIGKILL);
}

/* Wait for the end; 0 well, else -1 with what went wrong. */
static int
reap(struct hook *h, struct err *e)
{
	int status;

	while (waitpid(h->pid, &status, 0) == -1 && errno == EINTR)
		;
	h->pid = 0;
	(void)close(h->pidfd);
	h->pidfd = -1;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return err_set(e, ERR_IO, "signal %d ended event hook \"%s\"",
		    WTERMSIG(status), h->program);
	return err_set(e, ERR_IO, "event hook \"%s\" ended with status %d",
	    h->program, WEXITSTATUS(status));
}

void
hook_free(struct hook *h)
{
	size_t i;

	if (h == NULL)
		return;
	if (h->pid != 0) {
		kill_group(h);
		(void)reap(h, NULL);
	}
	for (i = 0; i < h->count; i++)
		json_decref(h->pending[(h->first + i) % HOOK_PENDING_MAX]);
	for (i = 0; i < REPEATS; i++)
		free(h->repeats[i].what);
	free(h->program);
	free(h->site);
	free(h);
}

/* ---- what is handed on ---- */

static bool
is_repeated(struct hook *h, const json_t *event)
{
	AUTO_FREE char *what =
	    mem_printf("%s\n%s\n%s", message_text(event, "event"),
		message_event_cluster(event), message_text(event, "message"));
	int64_t now_us = clock_boot_us();
	struct repeat *r;
	size_t i;

	for (i = 0; i < REPEATS; i++) {
		r = &h->repeats[i];
		if (r->what != NULL && strcmp(r->what, what) == 0 &&
		    now_us - r->at_us < HOOK_REPEAT_US)
			return true;
	}
	r = &h->repeats[h->next_repeat++ % REPEATS];
	free(r->what);
	r->what = steal_ptr(&what);
	r->at_us = now_us;
	return false;
}

void
hook_offer(struct hook *h, const json_t *event)
{
	const char *name = message_text(event, "event");

	if (h->program == NULL || name == NULL ||
	    message_text(event, "message") == NULL ||
	    message_level(event) < LOG_LEVEL_WARNING ||
	    strncmp(name, OWN_PREFIX, strlen(OWN_PREFIX)) == 0 ||
	    is_repeated(h, event))
		return;
	if (h->count == HOOK_PENDING_MAX) {
		log_event(LOG_LEVEL_WARNING, OWN_PREFIX "overrun",
		    "too many events wait for the event hook; one is not "
		    "handed on",
		    "not_handed_on", name, NULL);
		return;
	}
	h->pending[(h->first + h->count++) % HOOK_PENDING_MAX] =
	    json_deep_copy(event);
}

/* ---- running it ---- */

static void
event_text(const struct hook *h, const json_t *event, const char *when,
    struct buf *out)
{
	AUTO_JSON json_t *o = json_object();

	(void)json_object_set_new(o, "version", json_integer(1));
	json_set_str(o, "time", when);
	json_set_str(o, "site", h->site);
	json_set_str(o, "level", log_level_name(message_level(event)));
	json_set_str(o, "event", message_text(event, "event"));
	json_set_str(o, "message", message_text(event, "message"));
	(void)json_object_set(o, "values", json_object_get(event, "values"));
	json_write(o, out);
	buf_put(out, "\n", 1);
}

/* In the child.  Its output goes where our messages go. */
static _Noreturn void
become(const struct hook *h, const json_t *event, const char *when,
    int stdin_fd, pid_t parent)
{
	char *argv[] = { h->program, NULL };
	sigset_t none;

	(void)sigemptyset(&none);
	if (setpgid(0, 0) == -1 || prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 ||
	    getppid() != parent || dup2(stdin_fd, STDIN_FILENO) == -1 ||
	    dup2(STDERR_FILENO, STDOUT_FILENO) == -1 ||
	    signal(SIGTERM, SIG_DFL) == SIG_ERR ||
	    signal(SIGINT, SIG_DFL) == SIG_ERR ||
	    signal(SIGPIPE, SIG_DFL) == SIG_ERR ||
	    sigprocmask(SIG_SETMASK, &none, NULL) == -1)
		_exit(126);
	if (setenv("PGKURA_EVENT", message_text(event, "event"), 1) == -1 ||
	    setenv("PGKURA_LEVEL", log_level_name(message_level(event)), 1) ==
		-1 ||
	    setenv("PGKURA_MESSAGE", message_text(event, "message"), 1) == -1 ||
	    setenv("PGKURA_TIME", when, 1) == -1 ||
	    setenv("PGKURA_SITE", h->site, 1) == -1 ||
	    setenv("PGKURA_CLUSTER", message_event_cluster(event), 1) == -1)
		_exit(126);
	(void)execv(h->program, argv);
	_exit(127);
}

static int
start(struct hook *h, const json_t *event, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_FD int read_end = -1, write_end = -1;
	char when[CLOCK_TEXT_BYTES];
	pid_t parent = getpid();
	int fds[2];

	(void)clock_utc(message_number(event, "time_us"), when);
	event_text(h, event, when, &text);
	if (text.len > STDIN_MAX)
		return err_set(e, ERR_BUG, "the event is too large");
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1)
		return err_sys(e, "could not make a pipe");
	read_end = fds[0];
	write_end = fds[1];
	if (write(write_end, text.data, text.len) != (ssize_t)text.len)
		return err_sys(e, "could not write to a pipe");
	if (fcntl(read_end, F_SETFL, 0) == -1) /* for who reads it */
		return err_sys(e, "could not set a pipe");
	h->pid = fork();
	if (h->pid == -1) {
		h->pid = 0;
		return err_sys(
		    e, "could not start event hook \"%s\"", h->program);
	}
	if (h->pid == 0)
		become(h, event, when, read_end, parent);
	(void)setpgid(h->pid, h->pid); /* whoever comes first */
	h->kill_us = clock_boot_us() + HOOK_TIMEOUT_US;
	h->pidfd = pidfd_open(h->pid, 0);
	if (h->pidfd == -1) {
		(void)err_sys(
		    e, "could not watch event hook \"%s\"", h->program);
		kill_group(h);
		(void)reap(h, NULL);
		return -1;
	}
	return 0;
}

static bool
has_ended(const struct hook *h)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PIDFD, (id_t)h->pidfd, &info,
		   WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    info.si_pid != 0;
}

/* The end of one that runs, or its time-out. */
static void
tick_running(struct hook *h)
{
	struct err e = ERR_INIT;
	bool late = clock_boot_us() >= h->kill_us;

	if (!late && !has_ended(h))
		return;
	kill_group(h); /* what it left behind, too */
	if (reap(h, &e) == 0)
		return;
	if (late)
		(void)err_set(&e, ERR_IO,
		    "event hook \"%s\" was killed after %d s", h->program,
		    (int)(HOOK_TIMEOUT_US / CLOCK_SECOND_US));
	log_event(LOG_LEVEL_WARNING, OWN_PREFIX "failed", e.text, NULL);
}

int64_t
hook_tick(struct hook *h)
{
	struct err e = ERR_INIT;

	if (h->pid != 0)
		tick_running(h);
	while (h->pid == 0 && h->count > 0) {
		AUTO_JSON json_t *event = h->pending[h->first];

		h->first = (h->first + 1) % HOOK_PENDING_MAX;
		h->count--;
		if (start(h, event, &e) == -1)
			log_event(LOG_LEVEL_WARNING, OWN_PREFIX "failed",
			    e.text, NULL);
	}
	return h->pid != 0 ? h->kill_us : INT64_MAX;
}

int
hook_fd(const struct hook *h)
{
	return h->pidfd;
}

bool
hook_idle(const struct hook *h)
{
	return h->pid == 0 && h->count == 0;
}
