#include "pg/server_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "pg/lsn.h"

#define WAITS	       "waiting for WAL to become available at "
#define LINE_BYTES_MAX ((size_t)64 << 10)
#define PIECE_BYTES    ((size_t)16 << 10)
#define READ_BYTES_MAX ((size_t)1 << 20) /* between two looks at the server */

int
server_log_open(
    struct server_log *l, const char *path, uid_t uid, struct err *e)
{
	AUTO_FD int fd = -1;
	struct stat st;

	(void)memset(l, 0, sizeof(*l));
	l->fd = -1;
	fd = file_open_at(AT_FDCWD, path, O_RDWR | O_APPEND | O_CREAT, 0600, e);
	if (fd == -1)
		return -1;
	if (geteuid() == 0 && fchown(fd, uid, (gid_t)-1) == -1)
		return err_sys(e, "could not give \"%s\" to its user", path);
	if (fstat(fd, &st) == -1)
		return err_sys(e, "could not read \"%s\"", path);
	l->offset = (uint64_t)st.st_size;
	l->fd = steal_fd(&fd);
	return 0;
}

void
server_log_close(struct server_log *l)
{
	auto_close_(&l->fd);
	l->fd = -1;
	buf_free(&l->rest);
}

/* What follows severity in line, NULL when it is of another. */
static const char *
after(const char *line, const char *severity)
{
	const char *p = strstr(line, severity);

	return p == NULL ? NULL : p + strlen(severity);
}

static bool
begins_with_one(const char *text, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strncmp(text, *words, strlen(*words)) == 0)
			return true;
	return false;
}

/* A LOG line. */
static void
take_log(struct server_log *l, const char *text)
{
	static const char *const telling[] = { "redo ", "restored log file",
		"consistent recovery state", "recovery stopping",
		"last completed transaction", "pausing at", "starting ",
		"selected new timeline", "archive recovery complete",
		"database system", "entering standby", "started streaming",
		"syncing data directory", "resetting unlogged", "checkpoint ",
		"shutdown at recovery target", "recovery has paused", NULL };
	/* guc-file.l: each wrong line of a file, before the file is refused. */
	static const char *const complaints[] = { "unrecognized configuration",
		"invalid value for parameter", "syntax error in file",
		"parameter \"", NULL };

	if (begins_with_one(text, complaints))
		(void)snprintf(l->complaint, sizeof(l->complaint), "%s", text);
	if (begins_with_one(text, telling))
		(void)snprintf(l->newest, sizeof(l->newest), "%s", text);
	if (strncmp(text, "redo starts at", 14) == 0)
		l->redo = true;
	if (strncmp(text, "recovery stopping", 17) == 0)
		l->at_target = true;
	if (strncmp(text, "pausing at the end of recovery", 30) == 0)
		l->paused = true;
	if (strncmp(text, "recovery has paused", 19) == 0)
		l->stuck = true;
	/* xlogrecovery.c, WaitForWALToBecomeAvailable(). */
	if (strncmp(text, WAITS, strlen(WAITS)) == 0)
		(void)lsn_parse(text + strlen(WAITS), &l->waits_lsn, NULL);
	/* timeline.c, rescanLatestTimeLine(). */
	if (strncmp(text, "new timeline ", 13) == 0 &&
	    strstr(text, " before current recovery point") != NULL)
		l->diverged = true;
}

/* The server's reason to give up, unless it is only a client's refusal. */
static void
take_fatal(struct server_log *l, const char *text)
{
	static const char *const of_clients[] = { "the database system is ",
		"terminating ", "no pg_hba.conf entry", "password auth", NULL };

	l->fatal_open = !begins_with_one(text, of_clients);
	if (!l->fatal_open)
		return;
	if (strncmp(text, "configuration file", 18) == 0 &&
	    l->complaint[0] != '\0')
		(void)snprintf(
		    l->fatal, sizeof(l->fatal), "%s (%s)", text, l->complaint);
	else
		(void)snprintf(l->fatal, sizeof(l->fatal), "%s", text);
}

void
server_log_line(struct server_log *l, const char *line)
{
	const char *text;
	size_t len;

	if ((text = after(line, "FATAL:  ")) != NULL ||
	    (text = after(line, "PANIC:  ")) != NULL) {
		take_fatal(l, text);
		return;
	}
	if ((text = after(line, "DETAIL:  ")) != NULL && l->fatal_open) {
		len = strlen(l->fatal);
		(void)snprintf(
		    l->fatal + len, sizeof(l->fatal) - len, " (%s)", text);
		return;
	}
	/* 14 to 18 wait for better settings instead of giving up. */
	text = after(line, "WARNING:  hot standby is not possible");
	l->fatal_open = text != NULL;
	if (text != NULL) {
		(void)snprintf(l->fatal, sizeof(l->fatal),
		    "hot standby is not possible%s", text);
		return;
	}
	text = after(line, "LOG:  ");
	if (text != NULL)
		take_log(l, text);
}

/* Take the whole lines out of what has been read. */
static void
take_lines(struct server_log *l)
{
	char *start = (char *)l->rest.data, *end;
	size_t left = l->rest.len;

	while (left > 0 && (end = memchr(start, '\n', left)) != NULL) {
		*end = '\0';
		server_log_line(l, start);
		left -= (size_t)(end + 1 - start);
		start = end + 1;
	}
	if (left > LINE_BYTES_MAX)
		left = 0; /* a statement of a user, nothing for us */
	(void)memmove(l->rest.data, start, left);
	l->rest.len = left;
}

int
server_log_read(struct server_log *l, const char *path, struct err *e)
{
	size_t taken = 0;
	ssize_t n;

	while (taken < READ_BYTES_MAX) {
		n = file_pread_full(l->fd, buf_reserve(&l->rest, PIECE_BYTES),
		    PIECE_BYTES, l->offset, path, e);
		if (n == -1)
			return -1;
		if (n == 0)
			break;
		l->rest.len += (size_t)n;
		l->offset += (uint64_t)n;
		taken += (size_t)n;
		take_lines(l);
	}
	return taken > 0;
}

/* What the operator does about it; the first that is in the text. */
static const struct {
	const char *text, *hint;
} hints[] = {
	{ "recovery ended before configured recovery target",
	    "The WAL at hand does not reach the target: choose an earlier one, or make the missing WAL available to restore_command." },
	{ "requested recovery stop point is before consistent",
	    "Choose a target behind the end of the backup, or an older backup." },
	{ "requested timeline",
	    "Choose a recovery_target_timeline that the backup lies on, or a backup of that timeline." },
	{ "could not locate required checkpoint record",
	    "The WAL of the backup's start is missing, or backup_label was removed: never remove it." },
	{ "could not locate a valid checkpoint record",
	    "The WAL of the last checkpoint is missing or damaged: restore a backup." },
	{ "WAL ends before end of online backup",
	    "The WAL up to the backup's end must be available to restore_command." },
	{ "WAL ends before consistent recovery point",
	    "More WAL must be available to restore_command." },
	{ "WAL was generated with wal_level=minimal",
	    "WAL of that time cannot be replayed: use a backup taken after it." },
	{ "insufficient parameter settings",
	    "Set max_connections, max_worker_processes, max_wal_senders, max_prepared_transactions and max_locks_per_transaction to at least those of the primary." },
	{ "is a lower setting than on the",
	    "Set it to at least the value of the primary." },
	{ "incompatible with server",
	    "Start it with the PostgreSQL version that made the data directory." },
	{ "has wrong ownership",
	    "Give the data directory to the user that runs the server: chown -R." },
	{ "has invalid permissions", "Run chmod 0700 on the data directory." },
	{ "could not access file",
	    "Install the library that shared_preload_libraries names, or take it out there." },
	{ "could not create any",
	    "See listen_addresses, unix_socket_directories and port: is another server running there?" },
	{ "lock file", "Is another server running there?" },
	{ "configuration file", "The log names the line that is wrong." },
	{ "could not map anonymous shared memory",
	    "Lower shared_buffers: this machine has less memory than the server it came from." },
	{ "No space left on device", "Free space and start again." },
	{ "this is an incremental backup",
	    "Such a backup has to be combined with those before it first." },
};

int
server_log_fail(const struct server_log *l, const char *path, const char *what,
    struct err *e)
{
	size_t i;

	if (l->fatal[0] == '\0') {
		(void)err_set(e, ERR_IO, "%s%s%s", what,
		    l->newest[0] == '\0' ? "" : ", last: ", l->newest);
		return err_hint(e, "See its log, \"%s\".", path);
	}
	(void)err_set(e, ERR_IO, "%s: %s", what, l->fatal);
	for (i = 0; i < COUNT_OF(hints); i++)
		if (strstr(l->fatal, hints[i].text) != NULL)
			return err_hint(e, "%s", hints[i].hint);
	return err_hint(e, "See its log, \"%s\".", path);
}
