/*
 * A server's log as it grows: how far recovery is, why it ended, and what is
 * only the refusal of a client.  And the words of a command line.
 */

#include "pg/server_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"
#include "pg/server_words.h"
#include "tap.h"

#define PREFIX "2026-11-21 05:58:52.289 UTC [23566] "

static void
check_progress(void)
{
	AUTO_SERVER_LOG struct server_log l = { .fd = -1 };

	server_log_line(&l, PREFIX "LOG:  redo starts at 0/2000028");
	tap_ok(l.redo, "replay has begun");
	server_log_line(&l,
	    PREFIX
	    "LOG:  restored log file \"000000010000000000000004\" from archive");
	server_log_line(&l, PREFIX "LOG:  listening on Unix socket \"/x\"");
	server_log_line(&l, PREFIX "STATEMENT:  redo is not meant");
	tap_str(l.newest,
	    "restored log file \"000000010000000000000004\" from archive",
	    "the newest word of progress");
	server_log_line(&l,
	    PREFIX
	    "LOG:  recovery stopping before commit of transaction 738, time 2026-11-21");
	tap_ok(l.at_target && !l.paused, "at the target");
	server_log_line(&l, PREFIX "LOG:  pausing at the end of recovery");
	tap_ok(l.paused && !l.stuck, "and paused there");
	tap_str(l.fatal, "", "nothing is wrong");
}

static void
check_fatal(void)
{
	AUTO_SERVER_LOG struct server_log l = { .fd = -1 };
	struct err e = ERR_INIT;

	server_log_line(&l,
	    PREFIX
	    "FATAL:  hot standby is not possible because max_connections = 10 is a lower setting than on the master server (its value was 100)");
	server_log_line(
	    &l, PREFIX "LOG:  startup process (PID 7) exited with exit code 1");
	server_log_line(&l, PREFIX "DETAIL:  of something else");
	server_log_line(
	    &l, PREFIX "[unknown] FATAL:  the database system is starting up");
	server_log_line(&l, PREFIX "DETAIL:  of a client");
	(void)server_log_fail(&l, "/log", "it did not start", &e);
	tap_str(e.text,
	    "it did not start: hot standby is not possible because max_connections = 10 is a lower setting than on the master server (its value was 100)",
	    "the server's reason, not a client's");
	tap_str(e.hint, "Set it to at least the value of the primary.", "hint");

	server_log_line(&l,
	    PREFIX
	    "PANIC:  could not locate a valid checkpoint record at 0/2000060");
	(void)server_log_fail(&l, "/log", "it did not start", &e);
	tap_ok(strstr(e.text, "PANIC") == NULL &&
		strstr(e.text, "valid checkpoint record at 0/2000060") != NULL,
	    "the last reason: %s", e.text);
	server_log_line(&l, PREFIX "FATAL:  could not open file \"x\"");
	server_log_line(&l, PREFIX "DETAIL:  Because of it.");
	(void)server_log_fail(&l, "/log", "it did not start", &e);
	tap_str(e.text,
	    "it did not start: could not open file \"x\" (Because of it.)",
	    "with its detail");
	tap_str(e.hint, "See its log, \"/log\".", "a hint where to look");
}

static void
check_stuck(void)
{
	AUTO_SERVER_LOG struct server_log l = { .fd = -1 };
	struct err e = ERR_INIT;

	server_log_line(&l,
	    PREFIX
	    "WARNING:  hot standby is not possible because of insufficient parameter settings");
	server_log_line(&l,
	    PREFIX
	    "DETAIL:  max_connections = 10 is a lower setting than on the primary server, where its value was 100.");
	server_log_line(&l, PREFIX "LOG:  recovery has paused");
	tap_ok(l.stuck && !l.paused, "paused, but not at the target");
	(void)server_log_fail(&l, "/log", "paused", &e);
	tap_ok(strstr(e.text, "max_connections = 10") != NULL &&
		strstr(e.hint, "max_worker_processes") != NULL,
	    "what has to be changed: %s", e.text);
}

static void
check_nothing_said(void)
{
	AUTO_SERVER_LOG struct server_log l = { .fd = -1 };
	struct err e = ERR_INIT;

	(void)server_log_fail(&l, "/log", "killed", &e);
	tap_str(e.text, "killed", "no word of the server");
	server_log_line(&l, PREFIX "LOG:  redo starts at 0/2000028");
	(void)server_log_fail(&l, "/log", "killed", &e);
	tap_str(e.text, "killed, last: redo starts at 0/2000028",
	    "the last that it did");
}

/* Old lines are not read; a line may come in two parts, and be very long. */
static void
check_file(void)
{
	char path[] = "/tmp/pgk.log.XXXXXX";
	AUTO_FREE char *letters = mem_alloc(200000);
	AUTO_SERVER_LOG struct server_log l = { .fd = -1 };
	AUTO_FD int fd = mkstemp(path);
	struct err e = ERR_INIT;
	static const char old[] = PREFIX "FATAL:  of yesterday\n";
	static const char part1[] = PREFIX "LOG:  redo sta";
	static const char part2[] = "rts at 0/1\n";

	(void)memset(letters, 'x', 200000);
	(void)file_write_all(fd, old, strlen(old), path, &e);
	tap_ok(server_log_open(&l, path, geteuid(), &e) == 0, "opened");
	tap_u64((uint64_t)server_log_read(&l, path, &e), 0, "nothing new");
	(void)file_write_all(fd, part1, strlen(part1), path, &e);
	tap_u64((uint64_t)server_log_read(&l, path, &e), 1, "half a line");
	tap_ok(!l.redo, "is not yet a line");
	(void)file_write_all(fd, part2, strlen(part2), path, &e);
	tap_u64((uint64_t)server_log_read(&l, path, &e), 1, "the other half");
	tap_ok(l.redo, "makes it one");
	(void)file_write_all(fd, letters, 200000, path, &e);
	tap_u64((uint64_t)server_log_read(&l, path, &e), 1, "a long line");
	tap_ok(l.rest.len <= 65536, "is not kept whole");
	(void)file_write_all(fd, "\n", 1, path, &e);
	(void)file_write_all(fd, old, strlen(old), path, &e);
	tap_u64((uint64_t)server_log_read(&l, path, &e), 1, "the next line");
	tap_str(l.fatal, "of yesterday", "is read as ever");
	(void)unlink(path);
	tap_ok(server_log_open(
		   &(struct server_log){ 0 }, "/nonexistent/log", 0, &e) == -1,
	    "no such folder: %s", e.text);
}

/* The words of text, each in < >. */
static void
check_words(const char *text, const char *want)
{
	AUTO_SERVER_WORDS struct server_words w = { 0 };
	AUTO_BUF struct buf got = BUF_INIT;
	struct err e = ERR_INIT;
	size_t i;

	if (server_words_split(&w, text, &e) == -1)
		buf_printf(&got, "%s", err_kind_name(e.kind));
	else
		for (i = 0; i < w.count; i++)
			buf_printf(&got, "<%s>", server_words_argv(&w)[i]);
	tap_str(buf_str(&got), want, "words of: %s", text);
}

int
main(void)
{
	check_progress();
	check_fatal();
	check_stuck();
	check_nothing_said();
	check_file();
	check_words("", "");
	check_words(" \t ", "");
	check_words("-c a=b  -c c=d ", "<-c><a=b><-c><c=d>");
	check_words("'a b'c \"d 'e\" f\\ g", "<a bc><d 'e><f g>");
	check_words("'' \"\"", "<><>");
	check_words("'a\\' \"b\\\"\" \\", "<a\\><b\"><\\>");
	check_words("$HOME `ls` *", "<$HOME><`ls`><*>");
	check_words("-c 'a=b", "usage");
	check_words("\"a", "usage");
	return tap_done();
}
