#include "pg/server.h"

#include <signal.h>
#include <string.h>

#include "base/auto.h"
#include "base/child.h"
#include "base/clock.h"
#include "pg/server_pidfile.h"
#include "pg/server_proc.h"

#define STOP_TIMEOUT_US (600 * CLOCK_SECOND_US)
#define KILL_TIMEOUT_US (60 * CLOCK_SECOND_US)
#define STOP_POLL_US	(CLOCK_SECOND_US / 20)

int
server_is_running(const char *pgdata, pid_t *pid, struct err *e)
{
	struct server_pidfile f;

	if (server_pidfile_read(pgdata, &f, e) == -1)
		return -1;
	if (f.pid == 0 || !server_proc_alive(f.pid) ||
	    !server_proc_holds(f.pid, pgdata))
		return 0;
	if (pid != NULL)
		*pid = f.pid;
	return 1;
}

int
server_conninfo(const char *pgdata, struct buf *out, struct err *e)
{
	struct server_pidfile f;
	const char *host;
	int running = server_is_running(pgdata, NULL, e);

	if (running == -1 || server_pidfile_read(pgdata, &f, e) == -1)
		return -1;
	if (running == 0)
		return err_set(
		    e, ERR_NOT_FOUND, "no server runs on \"%s\"", pgdata);
	host = f.socket_dir[0] != '\0' ? f.socket_dir : f.address;
	/* "*" and the like mean every address. */
	if (strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0)
		host = "127.0.0.1";
	else if (strcmp(host, "::") == 0)
		host = "::1";
	if (host[0] == '\0' || f.port == 0)
		return err_set(e, ERR_NOT_FOUND,
		    "the server on \"%s\" listens to nothing", pgdata);
	buf_printf(out, "host='%s' port=%d", host, f.port);
	return 0;
}

static int
mode_signal(const char *mode, struct err *e)
{
	static const struct {
		const char *name;
		int sig;
	} modes[] = { { "smart", SIGTERM }, { "fast", SIGINT },
		{ "immediate", SIGQUIT } };
	size_t i;

	for (i = 0; i < COUNT_OF(modes); i++)
		if (strcmp(modes[i].name, mode) == 0)
			return modes[i].sig;
	return err_set(e, ERR_USAGE,
	    "\"%s\" is no way to stop a server: smart, fast or immediate",
	    mode);
}

/* server_stop() with a limit; *late: it was not gone by then. */
static int
stop_within(const char *pgdata, const char *mode, int64_t timeout_us,
    bool *late, struct err *e)
{
	int64_t until_us = clock_boot_us() + timeout_us;
	/* When we are to stop, stopping a server is part of that. */
	bool heed_stop = !child_stop_requested();
	int sig = mode_signal(mode, e), running;
	pid_t pid = 0;

	if (sig == -1)
		return -1;
	running = server_is_running(pgdata, &pid, e);
	if (running <= 0)
		return running;
	if (kill(pid, sig) == -1 && server_proc_alive(pid))
		return err_sys(
		    e, "could not stop the server on \"%s\"", pgdata);
	while (server_proc_alive(pid)) {
		if (heed_stop && child_check_stop(e) == -1)
			return -1;
		if (clock_boot_us() > until_us) {
			*late = true;
			(void)err_set(e, ERR_TRANSIENT,
			    "the server on \"%s\" (process %ld) does not stop",
			    pgdata, (long)pid);
			return err_hint(e,
			    "Its log says what it waits for; \"immediate\" stops it without a checkpoint.");
		}
		clock_sleep_us(STOP_POLL_US);
	}
	return 0;
}

int
server_stop(const char *pgdata, const char *mode, struct err *e)
{
	bool late = false;

	return stop_within(pgdata, mode, STOP_TIMEOUT_US, &late, e);
}

int
server_stop_surely(
    const char *pgdata, int64_t grace_us, bool *killed, struct err *e)
{
	bool late = false;
	pid_t pid = 0;
	int running;

	*killed = false;
	if (stop_within(pgdata, "immediate", grace_us, &late, e) == 0)
		return 0;
	if (!late)
		return -1;
	err_clear(e);
	running = server_is_running(pgdata, &pid, e);
	if (running <= 0)
		return running;
	*killed = true;
	if (server_proc_kill(pid, KILL_TIMEOUT_US))
		return 0;
	return err_set(e, ERR_TRANSIENT,
	    "the server on \"%s\" (process %ld) was killed, but is still there",
	    pgdata, (long)pid);
}
