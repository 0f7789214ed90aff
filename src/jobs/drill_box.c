/*
 * drill_box: see the header.  Two processes: the outer one makes the
 * namespaces and waits; the inner one is the first of the pid namespace.
 *
 *	us --fork--> outer: user, unshare, maps --fork--> inner: mounts,
 *						loopback, filter, fn()
 */

#include "jobs/drill_box.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "jobs/drill_filter.h"

#define NAMESPACES                                                   \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | \
	    CLONE_NEWIPC | CLONE_NEWUTS)

struct box {
	const struct box_options *o;
	int (*fn)(void *arg);
	void *arg;
	int status_fd; /* a struct err goes here, or nothing when all is well */
};

/* ---- both processes ---- */

/* The kernel kills us with the process above. */
static int
die_with_parent(struct err *e)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		return err_sys(e, "could not bind a process to ours");
	return 0;
}

static _Noreturn void
fail(const struct box *b, const struct err *e)
{
	(void)!write(b->status_fd, e, sizeof(*e));
	_exit(1);
}

static int
refuse(struct err *e, const char *what)
{
	(void)err_sys(e, "could not %s", what);
	if (e != NULL)
		e->kind = ERR_REFUSED;
	return err_hint(e,
	    "The system must allow user namespaces to this user "
	    "(user.max_user_namespaces, kernel.unprivileged_userns_clone, "
	    "AppArmor; under systemd RestrictNamespaces=).");
}

/* ---- the outer one ---- */

static int
write_proc(const char *path, const char *text, struct err *e)
{
	AUTO_FD int fd = file_open_at(AT_FDCWD, path, O_WRONLY, 0, e);

	if (fd == -1)
		return -1;
	return file_write_all(fd, text, strlen(text), path, e);
}

static int
become_user(const struct box_options *o, struct err *e)
{
	if (geteuid() != 0)
		return 0;
	if (o->uid == 0) {
		(void)err_set(e, ERR_USAGE,
		    "a drill's server cannot run as root, to whom its folder belongs");
		return err_hint(e,
		    "Give the folder of drill_dir to the user that is to run "
		    "it, such as postgres.");
	}
	if (setgroups(1, &o->gid) == -1 || setgid(o->gid) == -1 ||
	    setuid(o->uid) == -1)
		return err_sys(e, "could not become the user of the drill");
	/* Files of ours in /proc are written below. */
	if (prctl(PR_SET_DUMPABLE, 1) == -1)
		return err_sys(e, "could not become dumpable");
	return die_with_parent(e); /* forgotten by setuid() */
}

static int
enter_namespaces(struct err *e)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char map[64];

	if (unshare(NAMESPACES) == -1)
		return refuse(e, "make namespaces");
	(void)snprintf(map, sizeof(map), "%lu %lu 1\n", (unsigned long)uid,
	    (unsigned long)uid);
	if (write_proc("/proc/self/uid_map", map, e) == -1 ||
	    write_proc("/proc/self/setgroups", "deny", e) == -1)
		return -1;
	(void)snprintf(map, sizeof(map), "%lu %lu 1\n", (unsigned long)gid,
	    (unsigned long)gid);
	return write_proc("/proc/self/gid_map", map, e);
}

/* ---- the inner one ---- */

static int
set_mounts(const char *path, uint64_t set, uint64_t clear, unsigned int flags,
    struct err *e)
{
	struct mount_attr attr = { .attr_set = set, .attr_clr = clear };

	if (syscall(SYS_mount_setattr, AT_FDCWD, path, flags, &attr,
		sizeof(attr)) == -1)
		return refuse(e, "make the file system read-only");
	return 0;
}

static int
cover(const struct box_options *o, struct err *e)
{
	size_t i;

	for (i = 0; o->covered != NULL && o->covered[i] != NULL; i++) {
		AUTO_FREE char *ours =
		    mem_printf("%s/" BOX_COVERED "%zu", o->folder, i);

		if (mount(ours, o->covered[i], NULL, MS_BIND, NULL) == -1)
			return err_sys(
			    e, "could not cover \"%s\"", o->covered[i]);
	}
	return 0;
}

/*
 * All file systems become read-only, the folder stays as it is.  /proc of our
 * own processes; where the system does not let us have it, none.
 */
static int
enter_mounts(const struct box_options *o, struct err *e)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount(o->folder, o->folder, NULL, MS_BIND, NULL) == -1)
		return refuse(e, "make a place of its own");
	if (set_mounts("/", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0,
		AT_RECURSIVE, e) == -1 ||
	    set_mounts(o->folder, 0, MOUNT_ATTR_RDONLY, 0, e) == -1)
		return -1;
	if (mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, NULL) == -1)
		return refuse(e, "mount shared memory of its own");
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		NULL) == -1 &&
	    mount("none", "/proc", "tmpfs", MS_NOSUID | MS_NODEV, NULL) == -1)
		return refuse(e, "hide other processes");
	return cover(o, e);
}

static int
loopback_up(struct err *e)
{
	AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { 0 };

	(void)strcpy(r.ifr_name, "lo");
	if (fd == -1 || ioctl(fd, SIOCGIFFLAGS, &r) == -1)
		return refuse(e, "look at its loopback interface");
	r.ifr_flags = (short)(r.ifr_flags | IFF_UP);
	if (ioctl(fd, SIOCSIFFLAGS, &r) == -1)
		return refuse(e, "start its loopback interface");
	return 0;
}

/* Runs as the first process of the namespace. */
static _Noreturn void
inner(struct box *b, int alive_fd)
{
	struct err e = ERR_INIT;
	char c;

	/* The outer one may have died before PR_SET_PDEATHSIG. */
	if (die_with_parent(&e) == -1)
		fail(b, &e);
	if (read(alive_fd, &c, 1) != 1)
		_exit(1);
	(void)close(alive_fd);
	if (enter_mounts(b->o, &e) == -1 || loopback_up(&e) == -1 ||
	    filter_enter(&e) == -1 || chdir(b->o->folder) == -1) {
		if (e.kind == ERR_NONE)
			(void)err_sys(&e, "could not enter its folder");
		fail(b, &e);
	}
	(void)close(steal_fd(&b->status_fd));
	_exit(b->fn(b->arg));
}

static _Noreturn void
outer_wait(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static _Noreturn void
outer(struct box *b)
{
	struct err e = ERR_INIT;
	int alive[2];
	pid_t pid;

	(void)setsid(); /* the terminal's signals are for the drill itself */
	if (become_user(b->o, &e) == -1)
		fail(b, &e);
	if (b->o->open) {
		(void)close(steal_fd(&b->status_fd));
		_exit(b->fn(b->arg));
	}
	if (enter_namespaces(&e) == -1)
		fail(b, &e);
	if (pipe2(alive, O_CLOEXEC) == -1 || (pid = fork()) == -1) {
		(void)err_sys(&e, "could not start a process");
		fail(b, &e);
	}
	if (pid == 0) {
		(void)close(alive[1]);
		inner(b, alive[0]);
	}
	(void)close(steal_fd(&b->status_fd));
	(void)!write(alive[1], "", 1);
	outer_wait(pid);
}

/* ---- starting ---- */

/* 0 when nothing came through fd: all is well. */
static int
wait_until_closed(pid_t pid, int fd, struct err *e)
{
	struct err why = ERR_INIT;
	ssize_t n = file_read_full(fd, &why, sizeof(why), "a pipe", e);

	if (n == 0)
		return 0;
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		;
	if (n != (ssize_t)sizeof(why))
		return n == -1
		    ? -1
		    : err_set(e, ERR_BUG, "a process said too little");
	if (e != NULL)
		*e = why;
	return -1;
}

pid_t
box_start(
    const struct box_options *o, int (*fn)(void *arg), void *arg, struct err *e)
{
	struct box b = { .o = o, .fn = fn, .arg = arg };
	AUTO_FD int read_fd = -1;
	pid_t pid, parent = getpid();
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) == -1)
		return err_sys(e, "could not make a pipe");
	read_fd = fds[0];
	b.status_fd = fds[1];
	pid = fork();
	if (pid == 0) {
		struct err why = ERR_INIT;

		if (die_with_parent(&why) == -1)
			fail(&b, &why);
		if (getppid() != parent)
			_exit(1);
		outer(&b);
	}
	(void)close(steal_fd(&b.status_fd));
	if (pid == -1)
		return err_sys(e, "could not start a process");
	return wait_until_closed(pid, read_fd, e) == -1 ? -1 : pid;
}

pid_t
box_start_child(int (*fn)(void *arg), void *arg, struct err *e)
{
	pid_t pid, parent = getpid();

	pid = fork();
	if (pid == -1)
		return err_sys(e, "could not start a process");
	if (pid != 0)
		return pid;
	(void)setsid();
	if (die_with_parent(NULL) == -1 || getppid() != parent)
		_exit(1);
	_exit(fn(arg));
}

/* ---- looking ---- */

static int
check_interfaces(struct err *e)
{
	struct if_nameindex *all = if_nameindex(), *i;
	int rc = 0;

	if (all == NULL)
		return err_sys(e, "could not list network interfaces");
	for (i = all; rc == 0 && i->if_name != NULL; i++)
		if (strcmp(i->if_name, "lo") != 0)
			rc = err_set(e, ERR_REFUSED,
			    "network interface \"%s\" is there", i->if_name);
	if_freenameindex(all);
	return rc;
}

/* No packet leaves: there is no way to an address of documentation. */
static int
check_route(struct err *e)
{
	AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = 9 };

	to.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1 */
	if (fd == -1)
		return err_sys(e, "could not make a socket");
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return err_set(
		    e, ERR_REFUSED, "there is a way to other networks");
	return 0;
}

int
box_check(struct err *e)
{
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	AUTO_FD int file = -1;

	if (fd != -1)
		return err_set(e, ERR_REFUSED,
		    "sockets of this machine's programs can be reached");
	if (getpid() != 1)
		return err_set(
		    e, ERR_REFUSED, "other processes can be reached");
	file = open("/", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (file != -1 || errno != EROFS)
		return err_set(
		    e, ERR_REFUSED, "the file system can be written");
	if (check_interfaces(e) == -1)
		return -1;
	return check_route(e);
}
