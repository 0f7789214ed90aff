/*
 * The control socket from both sides: a child serves it as the daemon does.
 * Linked with -Wl,--wrap=clock_boot_us: time is moved by hand.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "daemon/control_right.h"
#include "daemon/control_server.h"
#include "daemon/message.h"
#include "jobs/control.h"
#include "tap.h"

#define NOBODY 65534
#define LARGE  ((size_t)3 << 20)

static char folder[] = "/tmp/daemon_control.XXXXXX";
static struct settings settings;
static int64_t skew_us;

int64_t __real_clock_boot_us(void);

int64_t
__wrap_clock_boot_us(void)
{
	return __real_clock_boot_us() + skew_us;
}

static int
answer(void *arg, const char *name, const json_t *request,
    struct control_peer *peer, json_t *reply, struct err *e)
{
	bool is_owner = (peer->rights & CONTROL_RIGHT_OWNER) != 0;
	AUTO_FREE char *large = NULL;

	(void)arg;
	if (strcmp(name, "echo") == 0) {
		json_set_str(reply, "word", message_text(request, "word"));
		(void)json_object_set_new(
		    reply, "owner", json_boolean(is_owner));
		return 0;
	}
	if (strcmp(name, "large") == 0) {
		large = mem_alloc(LARGE + 1);
		(void)memset(large, 'x', LARGE);
		large[LARGE] = '\0';
		json_set_str(reply, "large", large);
		return 0;
	}
	if (strcmp(name, "sleep") == 0) {
		skew_us += CONTROL_IDLE_US; /* everybody else was silent */
		return 0;
	}
	(void)err_set(e, ERR_CONFLICT, "it is \"%s\"", name);
	return err_hint(e, "Do not.");
}

static const char *observers; /* observe_group */

/* Serve until killed; tells by ready_fd that it listens. */
static _Noreturn void
serve(const char *group, int ready_fd)
{
	struct pollfd fds[CONTROL_CLIENTS_MAX + 1];
	struct err e = ERR_INIT;
	struct control_server *c;

	settings.socket_group = group == NULL ? NULL : mem_strdup(group);
	settings.observe_group =
	    observers == NULL ? NULL : mem_strdup(observers);
	c = control_server_new(&settings, answer, NULL, &e);
	if (c == NULL) {
		(void)fprintf(stderr, "# %s\n", e.text);
		_exit(1);
	}
	(void)close(ready_fd);
	for (;;) {
		(void)poll(fds, control_server_poll(c, fds),
		    control_server_tick(c) == 0 ? 0 : 1000);
	}
}

static pid_t
server_start(const char *group)
{
	int ready[2];
	pid_t pid;
	char byte;

	if (pipe(ready) == -1 || (pid = fork()) == -1)
		tap_bail("could not start a server");
	if (pid == 0)
		serve(group, ready[1]);
	(void)close(ready[1]);
	(void)!read(ready[0], &byte, 1);
	(void)close(ready[0]);
	return pid;
}

static void
server_kill(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

static json_t *
ask(const char *name, struct err *e)
{
	AUTO_JSON json_t *request = control_request(name);

	json_set_str(request, "word", "Kura \"1\"\n");
	*e = (struct err)ERR_INIT;
	return control_ask(&settings, request, 10000, e);
}

/* ---- a client that is not ours ---- */

static int
raw_connect(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	AUTO_FREE char *path = control_path(&settings);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

/* What comes back until the server hangs up, or count lines. */
static char *
raw_read(int fd, unsigned int lines)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct pollfd p = { fd, POLLIN, 0 };
	ssize_t n;
	char c;

	while (lines > 0 && poll(&p, 1, 10000) == 1 &&
	    (n = recv(fd, &c, 1, 0)) == 1) {
		buf_put(&b, &c, 1);
		lines -= c == '\n';
	}
	return mem_strdup(buf_str(&b));
}

static char *
raw_ask(const char *text, unsigned int lines)
{
	int fd = raw_connect();
	char *reply;

	(void)send(fd, text, strlen(text), MSG_NOSIGNAL);
	reply = raw_read(fd, lines);
	(void)close(fd);
	return reply;
}

/* ---- */

static void
check_no_daemon(void)
{
	AUTO_FREE char *path = control_path(&settings);
	struct err e;
	pid_t pid;

	tap_ok(ask("echo", &e) == NULL && e.kind == ERR_NOT_FOUND,
	    "no daemon: %s", e.text);
	pid = server_start(NULL);
	server_kill(pid);
	tap_ok(access(path, F_OK) == 0, "a killed one leaves its socket");
	tap_ok(ask("echo", &e) == NULL && e.kind == ERR_NOT_FOUND,
	    "which is no daemon either");
	pid = server_start(NULL);
	json_decref(ask("echo", &e));
	tap_ok(e.kind == ERR_NONE, "and is in nobody's way");
	server_kill(pid);
}

static void
check_requests(void)
{
	pid_t pid = server_start(NULL);
	struct err e;
	json_t *reply = ask("echo", &e);
	AUTO_FREE char *path = control_path(&settings);
	struct stat st;

	tap_ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0660,
	    "the socket is for owner and group");
	tap_str(message_text(reply, "word"), "Kura \"1\"\n", "an answer");
	tap_ok(json_is_true(json_object_get(reply, "owner")), "to the owner");
	json_decref(reply);
	tap_ok(ask("refuse", &e) == NULL && e.kind == ERR_CONFLICT,
	    "an error keeps its kind");
	tap_str(e.text, "it is \"refuse\"", "its text");
	tap_str(e.hint, "Do not.", "and its hint");
	reply = ask("large", &e);
	tap_ok(reply != NULL && strlen(message_text(reply, "large")) == LARGE,
	    "a large answer comes whole");
	json_decref(reply);
	server_kill(pid);
}

static void
check_bad_requests(void)
{
	pid_t pid = server_start(NULL);
	AUTO_FREE char *junk = raw_ask("junk\n", 1);
	AUTO_FREE char *old =
	    raw_ask("{\"version\":9,\"request\":\"echo\"}\n", 1);
	AUTO_FREE char *none = raw_ask("{\"version\":1}\n", 1);
	AUTO_FREE char *two =
	    raw_ask("{\"version\":1,\"request\":\"refuse\"}\n"
		    "{\"version\":1,\"request\":\"refuse\"}\n",
		2);
	AUTO_FREE char *long_line = mem_alloc(CONTROL_REQUEST_MAX * 2);
	AUTO_FREE char *refused = NULL;

	tap_ok(strstr(junk, "\"ok\":false") != NULL &&
		strstr(junk, "\"usage\"") != NULL,
	    "what is no JSON is refused");
	tap_ok(strstr(old, "version 9") != NULL, "so is another version");
	tap_ok(strstr(none, "\\\"request\\\" is missing") != NULL,
	    "and a request that is none");
	tap_ok(strstr(two, "\n{") != NULL, "two requests give two answers");
	(void)memset(long_line, 'x', CONTROL_REQUEST_MAX * 2 - 1);
	long_line[CONTROL_REQUEST_MAX * 2 - 1] = '\0';
	refused = raw_ask(long_line, 1);
	tap_str(refused, "", "a request without end is cut off");
	server_kill(pid);
}

static void
check_crowd(void)
{
	pid_t pid = server_start(NULL);
	int fds[CONTROL_CLIENTS_MAX + 1], i;
	struct err e;
	AUTO_FREE char *cut = NULL, *late = NULL;
	json_t *reply;

	for (i = 0; i < CONTROL_CLIENTS_MAX + 1; i++)
		fds[i] = raw_connect();
	cut = raw_read(fds[CONTROL_CLIENTS_MAX], 1);
	tap_str(cut, "", "one client too many is turned away");
	(void)close(fds[0]);
	/* Once the server has seen that. */
	for (i = 0; (reply = ask("sleep", &e)) == NULL && i < 1000; i++)
		clock_sleep_us(10000);
	tap_ok(reply != NULL, "when one has left there is room");
	json_decref(reply);
	late = raw_read(fds[1], 1);
	tap_str(late, "", "those who are silent are dropped");
	reply = ask("echo", &e);
	tap_ok(reply != NULL, "and there is room again");
	json_decref(reply);
	for (i = 1; i < CONTROL_CLIENTS_MAX + 1; i++)
		(void)close(fds[i]);
	server_kill(pid);
}

/* ---- other users: only root can become one ---- */

/* The kind of error that a user with a group sees; ERR_NONE: it was answered,
 * and not as to the owner. */
static int
as_user(uid_t uid, gid_t gid)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		struct err e;
		json_t *reply;

		if (setgroups(1, &gid) == -1 || setgid(uid) == -1 ||
		    setuid(uid) == -1)
			_exit(99);
		reply = ask("echo", &e);
		if (reply != NULL &&
		    json_is_true(json_object_get(reply, "owner")))
			_exit(98);
		_exit((int)e.kind);
	}
	(void)waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
check_users(void)
{
	AUTO_FREE char *path = control_path(&settings);
	struct group *g = getgrnam("daemon");
	pid_t pid;

	if (getuid() != 0 || g == NULL) {
		tap_skip("other users need root");
		return;
	}
	pid = server_start("daemon");
	tap_ok(as_user(NOBODY, NOBODY) == ERR_REFUSED, "a stranger is refused");
	tap_ok(as_user(NOBODY, g->gr_gid) == ERR_NONE,
	    "a member of the group is answered, as no owner");
	(void)chmod(path, 0666);
	tap_ok(as_user(NOBODY, NOBODY) != ERR_NONE,
	    "a stranger is refused whatever the mode says");
	server_kill(pid);
}

/* Members connect until they are turned away, and stay. */
static pid_t
crowd_as(gid_t gid)
{
	int ready[2], i;
	pid_t pid;
	char byte;

	if (pipe(ready) == -1 || (pid = fork()) == -1)
		tap_bail("could not start a crowd");
	if (pid == 0) {
		if (setgroups(1, &gid) == -1 || setgid(NOBODY) == -1 ||
		    setuid(NOBODY) == -1)
			_exit(99);
		for (i = 0; i < CONTROL_CLIENTS_MAX; i++)
			(void)raw_connect();
		(void)close(ready[1]);
		for (;;)
			(void)pause();
	}
	(void)close(ready[1]);
	(void)!read(ready[0], &byte, 1);
	(void)close(ready[0]);
	return pid;
}

/* A group that the mode of the socket cannot say. */
static void
check_roles(void)
{
	AUTO_FREE char *path = control_path(&settings);
	struct group *g = getgrnam("games");
	gid_t games = g == NULL ? 0 : g->gr_gid;
	struct stat st;
	struct err e;
	pid_t pid, crowd;
	json_t *reply;

	g = getgrnam("daemon");
	if (getuid() != 0 || games == 0 || g == NULL) {
		tap_skip("other users need root");
		return;
	}
	observers = "games";
	pid = server_start("daemon");
	tap_ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0666,
	    "everybody can connect");
	tap_ok(as_user(NOBODY, games) == ERR_NONE, "members are answered");
	tap_ok(as_user(NOBODY, g->gr_gid) == ERR_NONE,
	    "those of socket_group, too");
	tap_ok(as_user(NOBODY, NOBODY) == ERR_REFUSED,
	    "a stranger is told that he may not");
	crowd = crowd_as(games);
	reply = ask("echo", &e);
	tap_ok(reply != NULL, "however many come, the owner has a place");
	json_decref(reply);
	server_kill(crowd);
	server_kill(pid);
	observers = NULL;
}

static void
check_group(void)
{
	struct err e = ERR_INIT;
	char group[] = "no_such_group";
	struct settings s = settings;

	s.socket_group = group;
	tap_ok(control_server_new(&s, answer, NULL, &e) == NULL &&
		e.kind == ERR_USAGE,
	    "a group that is not there: %s", e.text);
	s.socket_group = NULL;
	s.failover_group = group;
	tap_ok(control_server_new(&s, answer, NULL, &e) == NULL &&
		e.kind == ERR_USAGE,
	    "nor is that of a role: %s", e.text);
}

int
main(void)
{
	struct err e = ERR_INIT;

	if (mkdtemp(folder) == NULL || chmod(folder, 0755) == -1)
		tap_bail("no folder");
	settings.runtime_dir = folder;
	check_no_daemon();
	check_requests();
	check_bad_requests();
	check_crowd();
	check_users();
	check_roles();
	check_group();
	(void)file_rmtree_at(AT_FDCWD, folder, &e);
	return tap_done();
}
