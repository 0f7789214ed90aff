#include "pg/server_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"

#define PROC_BYTES_MAX ((size_t)1 << 20)
#define KILL_POLL_US   (CLOCK_SECOND_US / 20)

/* The file /proc/PID/NAME as a string; NULL when it cannot be read. */
static const char *
proc_read(pid_t pid, const char *name, struct buf *out)
{
	struct err ignored = ERR_INIT;
	char path[64];

	buf_clear(out);
	(void)snprintf(path, sizeof(path), "/proc/%ld/%s", (long)pid, name);
	if (file_slurp_at(AT_FDCWD, path, PROC_BYTES_MAX, out, &ignored) == -1)
		return NULL;
	return buf_str(out);
}

/* "123 (name) S ...": from the state on, NULL when there is none.  A name may
 * hold anything, even ")". */
static const char *
after_name(const char *stat)
{
	const char *p = stat == NULL ? NULL : strrchr(stat, ')');

	return p == NULL || p[1] != ' ' ? NULL : p + 2;
}

bool
server_proc_alive(pid_t pid)
{
	AUTO_BUF struct buf text = BUF_INIT;
	const char *state;

	if (waitpid(pid, NULL, WNOHANG) == pid)
		return false;
	if (kill(pid, 0) == -1 && errno == ESRCH)
		return false;
	state = after_name(proc_read(pid, "stat", &text));
	return state == NULL || (*state != 'Z' && *state != 'X');
}

bool
server_proc_holds(pid_t pid, const char *pgdata)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct stat have, want;
	const char *name;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%ld/cwd", (long)pid);
	if (stat(path, &have) == 0 && stat(pgdata, &want) == 0)
		return have.st_dev == want.st_dev && have.st_ino == want.st_ino;
	name = proc_read(pid, "comm", &text);
	/* No /proc at all: the number is all that there is. */
	return name == NULL || strcmp(name, "postgres\n") == 0 ||
	    strcmp(name, "postmaster\n") == 0;
}

/* "postgres: startup recovering X", or with the name of the cluster in between:
 * what follows "startup", NULL when it is another process.  ps_status.c */
static const char *
startup_words(const char *cmdline)
{
	const char *p;

	if (cmdline == NULL || strncmp(cmdline, "postgres: ", 10) != 0)
		return NULL;
	p = strstr(cmdline + 9, " startup");
	if (p == NULL)
		return NULL;
	p += strlen(" startup");
	if (strncmp(p, " process", 8) == 0)
		p += 8;
	return p + strspn(p, " ");
}

/* utime and stime, fields 14 and 15. */
static uint64_t
cpu_of(pid_t pid)
{
	AUTO_BUF struct buf text = BUF_INIT;
	const char *p = after_name(proc_read(pid, "stat", &text));
	unsigned long long user = 0, system = 0;

	if (p == NULL ||
	    sscanf(p, "%*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu",
		&user, &system) != 2)
		return 0;
	return user + system;
}

/* The numbers of its children, with blanks between. */
static int
children_of(pid_t postmaster, struct buf *out)
{
	char name[64];

	(void)snprintf(
	    name, sizeof(name), "task/%ld/children", (long)postmaster);
	return proc_read(postmaster, name, out) == NULL ? -1 : 0;
}

bool
server_proc_startup(
    pid_t postmaster, char *title, size_t title_bytes, uint64_t *cpu_ticks)
{
	AUTO_BUF struct buf children = BUF_INIT;
	AUTO_BUF struct buf text = BUF_INIT;
	char *p, *end;
	const char *words;
	pid_t pid;

	if (children_of(postmaster, &children) == -1)
		return false;
	for (p = (char *)children.data;; p = end) {
		pid = (pid_t)strtol(p, &end, 10);
		if (end == p)
			return false;
		words = startup_words(proc_read(pid, "cmdline", &text));
		if (words == NULL)
			continue;
		(void)snprintf(title, title_bytes, "%s", words);
		*cpu_ticks = cpu_of(pid);
		return true;
	}
}

bool
server_proc_kill(pid_t postmaster, int64_t timeout_us)
{
	AUTO_BUF struct buf children = BUF_INIT;
	int64_t until_us = clock_boot_us() + timeout_us;
	pid_t pid;
	char *p = NULL, *end;
	bool again = true;

	if (children_of(postmaster, &children) == 0)
		p = (char *)children.data;
	/* Before its children, so that it makes no new ones. */
	(void)kill(postmaster, SIGKILL);
	for (; p != NULL && (pid = (pid_t)strtol(p, &end, 10)) > 1; p = end)
		(void)kill(pid, SIGKILL);
	while (again) {
		again = server_proc_alive(postmaster);
		p = (char *)children.data;
		for (; p != NULL && (pid = (pid_t)strtol(p, &end, 10)) > 1;
		     p = end)
			again = again || server_proc_alive(pid);
		if (again && clock_boot_us() > until_us)
			return false;
		if (again)
			clock_sleep_us(KILL_POLL_US);
	}
	return true;
}
