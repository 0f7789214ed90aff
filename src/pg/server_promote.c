#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "base/auto.h"
#include "base/file.h"
#include "pg/server.h"

static int
running_server(const char *pgdata, pid_t *pid, struct err *e)
{
	int running = server_is_running(pgdata, pid, e);

	if (running == 0)
		return err_set(
		    e, ERR_NOT_FOUND, "no server runs on \"%s\"", pgdata);
	return running == 1 ? 0 : -1;
}

/* pg_ctl.c, do_promote(); xlog.h, PROMOTE_SIGNAL_FILE: 13 to 18. */
int
server_ask_promotion(const char *pgdata, struct err *e)
{
	AUTO_FREE char *standby = file_join(pgdata, "standby.signal");
	AUTO_FREE char *order = file_join(pgdata, "promote");
	AUTO_FD int fd = -1;
	int is_standby = file_exists_at(AT_FDCWD, standby, e);
	pid_t pid;

	if (is_standby == -1 || running_server(pgdata, &pid, e) == -1)
		return -1;
	if (is_standby == 0)
		return err_set(e, ERR_CONFLICT,
		    "the server on \"%s\" is no standby", pgdata);
	fd = file_open_at(AT_FDCWD, order, O_WRONLY | O_CREAT, 0600, e);
	if (fd == -1)
		return -1;
	if (kill(pid, SIGUSR1) == -1) {
		(void)err_sys(e, "could not signal process %ld", (long)pid);
		(void)unlink(order);
		return -1;
	}
	return 0;
}

int
server_reload(const char *pgdata, struct err *e)
{
	pid_t pid;

	if (running_server(pgdata, &pid, e) == -1)
		return -1;
	if (kill(pid, SIGHUP) == -1)
		return err_sys(e, "could not signal process %ld", (long)pid);
	return 0;
}
