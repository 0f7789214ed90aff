/*
 * remote_ack_watch: does the server make commits wait for the receiver?  A child
 * asks it now and again, so that a server that hangs does not stop the stream.
 */

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "jobs/remote_ack.h"
#include "pg/session.h"
#include "pg/syncnames.h"

#define LOOK_US	 (10 * CLOCK_SECOND_US)
#define AGAIN_US (2 * CLOCK_SECOND_US) /* while it does not wait */
#define STEP_US	 (CLOCK_SECOND_US / 10)

const char *
remote_ack_name(const struct cluster_settings *c)
{
	return c->application_name == NULL ? "pgkura" : c->application_name;
}

/* REMOTE_ACK_UNSEEN: it does not say.  *end: what its commits had made when it
 * waited already. */
static enum remote_ack_wait
look(const struct cluster_settings *c, uint64_t *end)
{
	struct err e = ERR_INIT;
	AUTO_SESSION struct session *s =
	    session_open(c->conninfo, SESSION_REPLICATION, "pgkura_look", &e);
	AUTO_BUF struct buf names = BUF_INIT, commit = BUF_INIT;
	struct session_identity id;

	if (s == NULL ||
	    session_show(s, "synchronous_standby_names", &names, &e) == -1 ||
	    session_show(s, "synchronous_commit", &commit, &e) == -1 ||
	    session_identify(s, &id, &e) == -1)
		return REMOTE_ACK_UNSEEN;
	*end = id.flush_lsn;
	switch (syncnames_judge(buf_str(&names), remote_ack_name(c))) {
	case SYNCNAMES_WAITS:
		break;
	case SYNCNAMES_OTHERS:
		return REMOTE_ACK_OTHERS;
	default:
		return REMOTE_ACK_UNNAMED;
	}
	return strcmp(buf_str(&commit), "on") == 0 ||
		strcmp(buf_str(&commit), "remote_apply") == 0
	    ? REMOTE_ACK_WAITS
	    : REMOTE_ACK_COMMIT;
}

static void
rest(int64_t us)
{
	int64_t until_us = clock_boot_us() + us;

	while (clock_boot_us() < until_us && !child_stop_requested())
		clock_sleep_us(STEP_US);
}

static void
watch(const struct settings *s, const struct cluster_settings *c)
{
	enum remote_ack_wait wait;
	uint64_t end = LSN_NONE;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!child_stop_requested()) {
		wait = look(c, &end);
		if (wait != REMOTE_ACK_UNSEEN)
			remote_ack_tell_wait(s, c, wait, end);
		rest(wait == REMOTE_ACK_WAITS ? LOOK_US : AGAIN_US);
	}
}

pid_t
remote_ack_watch(const struct settings *s, const struct cluster_settings *c)
{
	pid_t pid = fork();

	if (pid == 0) {
		watch(s, c);
		_exit(0);
	}
	return pid == -1 ? 0 : pid;
}

void
remote_ack_watch_end(pid_t pid)
{
	if (pid == 0)
		return;
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		;
}
