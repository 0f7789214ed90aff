#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "pg/control.h"
#include "pg/lsn.h"
#include "pg/server.h"
#include "pg/server_log.h"
#include "pg/server_pidfile.h"
#include "pg/server_proc.h"
#include "pg/server_words.h"

#define LOOK_US	   (CLOCK_SECOND_US / 20)
#define TELL_US	   CLOCK_SECOND_US
#define GIVE_UP_US (60 * CLOCK_SECOND_US) /* for a fast shutdown */

/*
 *	starting --> ready ---------------------------------> SERVER_ACCEPTS
 *	    |         | recovery.signal and no standby:
 *	    |         +--> goes on replaying --> promoted --> SERVER_ACCEPTS
 *	    |                    +------------> "pausing" --> SERVER_PAUSED
 *	    +--> process ends with 0 -----------------------> SERVER_SHUT_DOWN
 *	    +--> process ends otherwise, or nothing moves --> -1
 */
struct wait {
	const struct server_start *s;
	struct server_log log;
	uid_t owner;
	pid_t pid;
	bool to_target; /* recovery.signal was there, standby.signal not */

	/* What moves. */
	char title[128];
	uint64_t cpu_ticks, min_recovery_lsn, checkpoint_lsn;
	int64_t moved_us, told_us;
};

static void
wait_fini(struct wait *w)
{
	server_log_close(&w->log);
}

/* ---- start ---- */

static int
signal_file(const char *pgdata, const char *name, struct err *e)
{
	AUTO_FREE char *path = file_join(pgdata, name);

	return file_exists_at(AT_FDCWD, path, e);
}

static int
look_at_directory(struct wait *w, struct err *e)
{
	const char *pgdata = w->s->pgdata;
	int standby, recovery, running;
	struct stat st;
	pid_t pid;

	if (stat(pgdata, &st) == -1)
		return err_sys(e, "could not find \"%s\"", pgdata);
	w->owner = st.st_uid;
	if (w->owner == 0) {
		(void)err_set(e, ERR_USAGE,
		    "data directory \"%s\" belongs to root, as whom PostgreSQL does not run",
		    pgdata);
		return err_hint(e,
		    "Give it to the user that is to run the server: chown -R postgres \"%s\".",
		    pgdata);
	}
	running = server_is_running(pgdata, &pid, e);
	if (running == -1)
		return -1;
	if (running == 1) {
		(void)err_set(e, ERR_CONFLICT,
		    "a server (process %ld) runs on \"%s\" already", (long)pid,
		    pgdata);
		return err_hint(e, "Stop it first.");
	}
	standby = signal_file(pgdata, "standby.signal", e);
	recovery = signal_file(pgdata, "recovery.signal", e);
	if (standby == -1 || recovery == -1)
		return -1;
	w->to_target = recovery == 1 && standby == 0;
	return 0;
}

/* Before the caller's options, which may say otherwise. */
static const char *const fixed_options[] = { "-c", "logging_collector=off",
	"-c", "log_destination=stderr", "-c", "log_min_messages=warning", "-c",
	"lc_messages=C" };

static int
start(struct wait *w, struct err *e)
{
	const struct server_start *s = w->s;
	AUTO_FREE char *program = file_join(s->bindir, "postgres");
	AUTO_FREE char *config = NULL;
	AUTO_SERVER_WORDS struct server_words words = { 0 };
	size_t i;

	server_words_add(&words, program);
	server_words_add(&words, "-D");
	server_words_add(&words, s->pgdata);
	if (s->config_file != NULL) {
		config = mem_printf("config_file=%s", s->config_file);
		server_words_add(&words, "-c");
		server_words_add(&words, config);
	}
	for (i = 0; i < COUNT_OF(fixed_options); i++)
		server_words_add(&words, fixed_options[i]);
	if (s->options != NULL &&
	    server_words_split(&words, s->options, e) == -1)
		return -1;
	w->pid = child_start_apart(
	    server_words_argv(&words), w->log.fd, w->log.fd, w->owner, e);
	return w->pid == -1 ? -1 : 0;
}

/* ---- what moves ---- */

/* Each look at it is cheap but for pg_control, which is read once a second. */
static void
look_for_movement(struct wait *w, bool log_moved, bool look_at_control)
{
	struct err ignored = ERR_INIT;
	char title[sizeof(w->title)] = "";
	uint64_t ticks = w->cpu_ticks;
	struct control c;
	bool moved = log_moved;

	if (server_proc_startup(w->pid, title, sizeof(title), &ticks)) {
		moved |= strcmp(title, w->title) != 0;
		/* Before replay, 13 and 14 flush the directory in silence. */
		moved |= !w->log.redo && ticks != w->cpu_ticks;
	}
	(void)strcpy(w->title, title);
	w->cpu_ticks = ticks;
	if (look_at_control && control_read(&c, w->s->pgdata, &ignored) == 0) {
		moved |= c.min_recovery_lsn != w->min_recovery_lsn ||
		    c.checkpoint_lsn != w->checkpoint_lsn;
		w->min_recovery_lsn = c.min_recovery_lsn;
		w->checkpoint_lsn = c.checkpoint_lsn;
	}
	if (moved)
		w->moved_us = clock_boot_us();
}

static void
tell(const struct wait *w, void (*progress)(void *arg, const char *line),
    void *arg)
{
	char line[640], text[LSN_TEXT_BYTES];

	if (progress == NULL)
		return;
	(void)snprintf(line, sizeof(line), "%s%s%s%s%s",
	    w->title[0] == '\0' ? w->log.newest : w->title,
	    w->title[0] == '\0' || w->log.newest[0] == '\0' ? "" : "; ",
	    w->title[0] == '\0' ? "" : w->log.newest,
	    w->min_recovery_lsn == LSN_NONE ? "" : "; restored up to ",
	    w->min_recovery_lsn == LSN_NONE
		? ""
		: lsn_text(w->min_recovery_lsn, text));
	progress(arg, line[0] == '\0' ? "starting" : line);
}

/* ---- the end ---- */

/* It did not come to a good end: ask it to stop, then make it. */
static void
give_up(struct wait *w)
{
	int64_t until_us = clock_boot_us() + GIVE_UP_US;

	(void)kill(w->pid, SIGINT);
	while (server_proc_alive(w->pid)) {
		if (clock_boot_us() > until_us)
			(void)kill(w->pid, SIGQUIT);
		clock_sleep_us(LOOK_US);
	}
}

/* Has the process ended?  0 no, 1 yes, with its wait status. */
static int
has_ended(struct wait *w, int *status, struct err *e)
{
	pid_t pid = waitpid(w->pid, status, WNOHANG);

	if (pid == -1 && errno != EINTR)
		return err_sys(e, "could not wait for the server");
	return pid == w->pid;
}

static int
ended(struct wait *w, int status, struct err *e)
{
	char what[80];

	/* What it wrote last. */
	if (server_log_read(&w->log, w->s->log_path, e) == -1)
		return -1;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && w->to_target)
		return SERVER_SHUT_DOWN;
	if (WIFSIGNALED(status))
		(void)snprintf(what, sizeof(what),
		    "the server was killed by signal %d", WTERMSIG(status));
	else
		(void)snprintf(what, sizeof(what), "the server did not start");
	return server_log_fail(&w->log, w->s->log_path, what, e);
}

/* Has it come to a good end?  1 yes, with the outcome; 0 not yet; -1. */
static int
is_done(struct wait *w, int *outcome, struct err *e)
{
	struct server_pidfile f;
	struct control c;
	int left;

	if (server_pidfile_read(w->s->pgdata, &f, e) == -1)
		return -1;
	if (f.pid != w->pid)
		return 0;
	*outcome = SERVER_ACCEPTS;
	/* "standby": without hot_standby it takes no connections as long as it
	 * is in recovery. */
	if (!w->to_target)
		return strcmp(f.status, "ready") == 0 ||
		    strcmp(f.status, "standby") == 0;
	if (strcmp(f.status, "ready") != 0)
		return 0;
	if (w->log.paused) {
		*outcome = SERVER_PAUSED;
		return 1;
	}
	left = signal_file(w->s->pgdata, "recovery.signal", e);
	if (left != 0)
		return left == 1 ? 0 : -1;
	if (control_read(&c, w->s->pgdata, e) == -1)
		return -1;
	return c.state == CONTROL_IN_PRODUCTION;
}

static int
check_stall(struct wait *w, struct err *e)
{
	char text[CLOCK_TEXT_BYTES];
	int64_t still_us = clock_boot_us() - w->moved_us;

	if (w->log.stuck && w->log.fatal[0] != '\0')
		return server_log_fail(&w->log, w->s->log_path,
		    "the server has paused recovery", e);
	if (w->s->stall_us <= 0 || still_us < w->s->stall_us)
		return 0;
	(void)err_set(e, ERR_TRANSIENT,
	    "the server has made no progress for %s (%s%s%s)",
	    clock_interval(still_us, text), w->title,
	    w->title[0] == '\0' ? "" : "; ", w->log.newest);
	return err_hint(e,
	    "It was stopped; its log, \"%s\", says what it waited for.",
	    w->s->log_path);
}

static int
wait_for_end(struct wait *w, void (*progress)(void *arg, const char *line),
    void *arg, struct err *e)
{
	int status = 0, outcome = 0, rc, moved;
	bool due;

	for (;;) {
		rc = has_ended(w, &status, e);
		if (rc != 0)
			return rc == 1 ? ended(w, status, e) : -1;
		moved = server_log_read(&w->log, w->s->log_path, e);
		rc = moved == -1 ? -1 : is_done(w, &outcome, e);
		due = clock_boot_us() - w->told_us >= TELL_US;
		if (rc == 0) {
			look_for_movement(w, moved == 1, due);
			if (check_stall(w, e) == -1 ||
			    child_check_stop(e) == -1)
				rc = -1;
		}
		if (rc == -1 && !(w->s->leave && e->kind == ERR_CANCELED))
			give_up(w);
		if (rc != 0)
			return rc == 1 ? outcome : -1;
		if (due) {
			w->told_us = clock_boot_us();
			tell(w, progress, arg);
		}
		clock_sleep_us(LOOK_US);
	}
}

int
server_start_wait(const struct server_start *s,
    void (*progress)(void *arg, const char *line), void *arg, struct err *e)
{
	AUTO(wait_fini) struct wait w = { .s = s, .log = { .fd = -1 } };

	if (child_check_stop(e) == -1 || look_at_directory(&w, e) == -1 ||
	    server_log_open(&w.log, s->log_path, w.owner, e) == -1 ||
	    start(&w, e) == -1)
		return -1;
	w.moved_us = w.told_us = clock_boot_us();
	return wait_for_end(&w, progress, arg, e);
}
