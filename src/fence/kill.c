/*
 * kill: end a server, whatever state its processes are in.
 *
 * A server's first process cannot make new ones while it is stopped, and cannot
 * take those that ended, so that no number of its children is given anew: stop
 * it, kill its children, kill it.  Backends of one that was killed by somebody
 * else go on for a while with nobody above them; they are found by their working
 * directory, which is the data directory.  Source: postmaster.c, fork_process.c,
 * proc(5).
 */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fence/fence.h"

#define STAT_BYTES     512
#define CHILDREN_BYTES 65536
#define ENTRIES_BYTES  32768
#define US	       1000000

static int proc_fd = -1;
static long ticks; /* a second */

int
kill_begin(void)
{
	ticks = sysconf(_SC_CLK_TCK);
	proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return proc_fd == -1 || ticks <= 0 ? -1 : 0;
}

/* What /proc/PID/stat says. */
struct look {
	char state;
	bool is_server; /* by its name */
	int64_t started_us;
};

static ssize_t
slurp(pid_t pid, const char *what, char *out, size_t bytes)
{
	char name[64];
	ssize_t n;
	int fd;

	(void)snprintf(name, sizeof(name), "%ld/%s", (long)pid, what);
	fd = openat(proc_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	n = read(fd, out, bytes - 1);
	(void)close(fd);
	if (n >= 0)
		out[n] = '\0';
	return n;
}

static bool
look_at(pid_t pid, struct look *l)
{
	char text[STAT_BYTES];
	unsigned long long started;
	const char *name, *end;
	size_t len;

	if (slurp(pid, "stat", text, sizeof(text)) <= 0 ||
	    (name = strchr(text, '(')) == NULL ||
	    (end = strrchr(text, ')')) == NULL || end[1] != ' ')
		return false;
	len = (size_t)(end - ++name);
	l->is_server = (len == 8 && memcmp(name, "postgres", 8) == 0) ||
	    (len == 10 && memcmp(name, "postmaster", 10) == 0);
	/* Fields 3 and 22. */
	if (sscanf(end + 2,
		"%c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		"%*s %*s %*s %*s %llu",
		&l->state, &started) != 2)
		return false;
	l->started_us = (int64_t)(started * US / (unsigned long long)ticks);
	return true;
}

static bool
is_dead(const struct look *l)
{
	return l->state == 'Z' || l->state == 'X';
}

/* In which folder of the page it works: -1 in none, -2 hidden from us. */
static int
folder_of(pid_t pid, const struct fence_page *page)
{
	char name[64];
	struct stat st;
	int i;

	(void)snprintf(name, sizeof(name), "%ld/cwd", (long)pid);
	if (fstatat(proc_fd, name, &st, 0) == -1)
		return -2;
	for (i = 0; i < FENCE_FOLDERS; i++)
		if (fence_get(&page->folders[i].inode) != 0 &&
		    fence_get(&page->folders[i].inode) == (int64_t)st.st_ino &&
		    fence_get(&page->folders[i].device) == (int64_t)st.st_dev)
			return i;
	return -1;
}

/* ---- one server ---- */

void
prey_drop(struct prey *p)
{
	if (p->pid != 0)
		(void)close(p->fd);
	*p = (struct prey){ 0, -1 };
}

void
prey_take(struct prey *p, pid_t pid, const struct fence_page *page)
{
	struct look l;
	int fd;

	prey_drop(p);
	if (pid <= 1)
		return;
	fd = pidfd_open(pid, 0);
	if (fd == -1)
		return;
	/* What is looked at now is what fd holds, or it is gone. */
	if (!look_at(pid, &l) || is_dead(&l) || !l.is_server ||
	    folder_of(pid, page) == -1) {
		(void)close(fd);
		return;
	}
	*p = (struct prey){ pid, fd };
}

bool
prey_lives(const struct prey *p)
{
	struct pollfd f = { p->fd, POLLIN, 0 };

	return p->pid != 0 && poll(&f, 1, 0) == 0;
}

int
prey_may_kill(const struct prey *p)
{
	if (!prey_lives(p))
		return 0;
	return pidfd_send_signal(p->fd, 0, NULL, 0) == 0 ? 1 : -1;
}

void
prey_quit(const struct prey *p)
{
	if (p->pid != 0)
		(void)pidfd_send_signal(p->fd, SIGQUIT, NULL, 0);
}

int
prey_kill(const struct prey *p)
{
	static char children[CHILDREN_BYTES];
	char name[64], *at, *end;
	int count = 0;
	long pid;

	if (!prey_lives(p) || pidfd_send_signal(p->fd, SIGSTOP, NULL, 0) == -1)
		return 0;
	(void)snprintf(name, sizeof(name), "task/%ld/children", (long)p->pid);
	if (slurp(p->pid, name, children, sizeof(children)) > 0)
		for (at = children; (pid = strtol(at, &end, 10)) > 1 &&
		     end != at && (*end == ' ' || *end == '\0');
		     at = end)
			count += kill((pid_t)pid, SIGKILL) == 0;
	return count + (pidfd_send_signal(p->fd, SIGKILL, NULL, 0) == 0);
}

/* ---- all there are ---- */

static bool
is_standby(const struct fence_page *page, int folder)
{
	char path[FENCE_PATH_BYTES + 32];

	(void)snprintf(path, sizeof(path), "%.*s/standby.signal",
	    FENCE_PATH_BYTES - 1, page->folders[folder].path);
	return access(path, F_OK) == 0;
}

static int
kill_one(pid_t pid, const struct fence_page *page, int64_t since_us)
{
	struct look l, again;
	struct prey p;
	int folder;

	if (!look_at(pid, &l) || !l.is_server || is_dead(&l) ||
	    (folder = folder_of(pid, page)) < 0)
		return 0;
	/* A tick is 10 ms: who began in the one of since_us began before. */
	if (l.started_us > since_us + US / ticks && is_standby(page, folder))
		return 0;
	p = (struct prey){ pid, pidfd_open(pid, 0) };
	if (p.fd == -1)
		return 0;
	if (look_at(pid, &again) && again.started_us == l.started_us)
		(void)prey_kill(&p);
	prey_drop(&p);
	return 1;
}

struct entry {
	ino64_t inode;
	off64_t offset;
	unsigned short bytes;
	unsigned char type;
	char name[];
};

int
kill_all(const struct fence_page *page, int64_t since_us)
{
	static char entries[ENTRIES_BYTES]
	    __attribute__((__aligned__(__alignof__(struct entry))));
	const struct entry *d;
	int count = 0;
	char *end;
	long n, at, pid;

	if (lseek(proc_fd, 0, SEEK_SET) == -1)
		return 0;
	while ((n = syscall(
		    SYS_getdents64, proc_fd, entries, sizeof(entries))) > 0)
		for (at = 0; at < n; at += d->bytes) {
			d = (const struct entry *)(const void *)(entries + at);
			pid = strtol(d->name, &end, 10);
			if (pid > 1 && *end == '\0')
				count += kill_one((pid_t)pid, page, since_us);
		}
	return count;
}
