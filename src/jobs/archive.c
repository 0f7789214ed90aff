/*
 * archive: the socket to which `pgkura-wal push` hands the files of
 * archive_command.
 *
 * One thread talks to all clients and never waits for one of them; workers
 * (archive_work.c) bring the files into the repository.  A client is answered
 * when its first file is durable there.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/archive_int.h"

#define SOCKET_NAME "wal.sock"
#define CLIENTS_MAX 64
/* A client says what it wants at once. */
#define REQUEST_TIME_US (5 * CLOCK_SECOND_US)
#define LOOK_MS		1000

struct client {
	int fd; /* -1: free */
	int64_t since_us;
	struct archive_job *job; /* what it waits for; NULL: it is to ask */
};

struct server {
	const struct settings *settings;
	struct archive_work *work;
	int listen_fd, event_fd;
	struct client clients[CLIENTS_MAX];
};

/* ---- one client ---- */

static void
client_close(struct client *c)
{
	if (c->job != NULL)
		archive_job_let_go(c->job);
	c->job = NULL;
	(void)close(steal_fd(&c->fd));
}

static void
client_answer(struct client *c, const struct err *e)
{
	uint8_t answer[ARCHIVE_ANSWER_MAX];
	size_t len = archive_answer_encode(e, answer);

	/* One that is gone asks again. */
	(void)!send(c->fd, answer, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	client_close(c);
}

struct received {
	struct archive_request request;
	int fds[ARCHIVE_DESCRIPTORS_MAX];
	unsigned int fd_count;
};

static void
received_close(struct received *r)
{
	while (r->fd_count > 0)
		(void)close(r->fds[--r->fd_count]);
}

static void
take_descriptors(struct received *r, struct msghdr *m)
{
	struct cmsghdr *c;
	size_t i, count;
	int fd;

	for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			(void)memcpy(
			    &fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (r->fd_count < ARCHIVE_DESCRIPTORS_MAX)
				r->fds[r->fd_count++] = fd;
			else
				(void)close(fd);
		}
	}
}

/* 1 a request, 0 nothing yet, -1 with *e when it is none. */
static int
receive_request(int fd, struct received *r, struct err *e)
{
	uint8_t data[ARCHIVE_REQUEST_MAX + 1];
	union {
		struct cmsghdr align;
		uint8_t
		    bytes[CMSG_SPACE(ARCHIVE_DESCRIPTORS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { data, sizeof(data) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t len = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (len == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (len == -1)
		return err_sys(e, "could not read from a client");
	take_descriptors(r, &m);
	if ((m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
		return err_set(e, ERR_CORRUPT,
		    "a client sent more than a request may have");
	if (archive_request_decode(&r->request, data, (size_t)len, e) == -1)
		return -1;
	if (r->fd_count != r->request.count + r->request.has_control)
		return err_set(e, ERR_CORRUPT,
		    "a client sent %u descriptors for %u files", r->fd_count,
		    r->request.count);
	return 1;
}

/* Who asks, and for what: level debug, or warning when e says why not. */
static void
tell_request(int fd, const char *file, const struct err *e)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	char uid[16] = "", pid[16] = "";

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0) {
		(void)snprintf(uid, sizeof(uid), "%u", cred.uid);
		(void)snprintf(pid, sizeof(pid), "%d", (int)cred.pid);
	}
	log_event(e == NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING,
	    e == NULL ? "wal_push_asked" : "wal_push_refused",
	    e == NULL ? "a client offers a WAL file" : e->text, "file", file,
	    "uid", uid, "pid", pid, NULL);
}

/* Begin the jobs of a request; the client waits for the first. */
static int
begin_jobs(
    struct server *s, struct client *c, const struct received *r, struct err *e)
{
	int control = r->request.has_control ? r->fds[r->fd_count - 1] : -1;
	unsigned int i;

	c->job = archive_work_add(
	    s->work, r->request.names[0], r->fds[0], control, e);
	if (c->job == NULL)
		return -1;
	archive_job_hold(c->job);
	for (i = 1; i < r->request.count; i++) /* as far as there is room */
		if (archive_work_add(s->work, r->request.names[i], r->fds[i],
			control, NULL) == NULL)
			break;
	return 0;
}

static void
client_read(struct server *s, struct client *c)
{
	AUTO(received_close) struct received r = { .fd_count = 0 };
	struct err e = ERR_INIT;
	int got;

	if (c->job != NULL) { /* gone, or talks out of turn */
		client_close(c);
		return;
	}
	got = receive_request(c->fd, &r, &e);
	if (got == 0)
		return;
	tell_request(c->fd, got == -1 ? NULL : r.request.names[0],
	    got == -1 ? &e : NULL);
	if (got == -1 || begin_jobs(s, c, &r, &e) == -1)
		client_answer(c, &e);
}

/* ---- all clients ---- */

static void
answer_done(struct server *s)
{
	struct err result;
	uint64_t n;
	size_t i;

	(void)!read(s->event_fd, &n, sizeof(n));
	for (i = 0; i < CLIENTS_MAX; i++)
		if (s->clients[i].fd != -1 && s->clients[i].job != NULL &&
		    archive_job_done(s->work, s->clients[i].job, &result))
			client_answer(&s->clients[i], &result);
}

static void
accept_client(struct server *s)
{
	int fd =
	    accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	size_t i;

	for (i = 0; fd != -1 && i < CLIENTS_MAX; i++)
		if (s->clients[i].fd == -1) {
			s->clients[i].fd = steal_fd(&fd);
			s->clients[i].since_us = clock_boot_us();
		}
	if (fd != -1)
		(void)close(fd);
}

static void
drop_silent(struct server *s)
{
	int64_t now_us = clock_boot_us();
	size_t i;

	for (i = 0; i < CLIENTS_MAX; i++)
		if (s->clients[i].fd != -1 && s->clients[i].job == NULL &&
		    now_us - s->clients[i].since_us > REQUEST_TIME_US)
			client_close(&s->clients[i]);
}

static int
serve_once(struct server *s, struct err *e)
{
	struct pollfd p[CLIENTS_MAX + 2];
	size_t i;

	p[0] = (struct pollfd){ .fd = s->listen_fd, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = s->event_fd, .events = POLLIN };
	for (i = 0; i < CLIENTS_MAX; i++)
		p[i + 2] =
		    (struct pollfd){ .fd = s->clients[i].fd, .events = POLLIN };
	if (poll(p, COUNT_OF(p), LOOK_MS) == -1 && errno != EINTR)
		return err_sys(e, "could not wait for clients");
	for (i = 0; i < CLIENTS_MAX; i++)
		if (p[i + 2].fd != -1 && p[i + 2].revents != 0)
			client_read(s, &s->clients[i]);
	/* A job that was done before its client asked tells nobody. */
	answer_done(s);
	if ((p[0].revents & POLLIN) != 0)
		accept_client(s);
	drop_silent(s);
	return 0;
}

/* ---- all of it ---- */

static int
serve(struct server *s, const char *path, struct err *e)
{
	AUTO_FD int listen_fd = -1;
	AUTO_FD int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	AUTO_ARCHIVER struct archiver *archiver = NULL;
	AUTO_ARCHIVE_WORK struct archive_work *work = NULL;
	size_t i;
	int rc = 0;

	if (event_fd == -1)
		return err_sys(e, "could not make an event descriptor");
	archiver = archiver_new(s->settings, e);
	if (archiver == NULL ||
	    (listen_fd = archive_listen(path, s->settings->socket_group, e)) ==
		-1)
		return -1;
	work = archive_work_new(archiver, event_fd);
	s->work = work;
	s->listen_fd = listen_fd;
	s->event_fd = event_fd;
	for (i = 0; i < CLIENTS_MAX; i++)
		s->clients[i].fd = -1;
	while (rc == 0 && !child_stop_requested())
		rc = serve_once(s, e);
	(void)unlink(path);
	for (i = 0; i < CLIENTS_MAX; i++)
		if (s->clients[i].fd != -1)
			client_close(&s->clients[i]);
	return rc;
}

int
archive_serve(const struct settings *s, struct err *e)
{
	AUTO_FREE char *path = file_join(s->runtime_dir, SOCKET_NAME);
	AUTO_FREE char *lock_path = mem_printf("%s.lock", path);
	struct server server = { .settings = s };
	AUTO_FD int lock = -1;

	if (file_mkdirs_at(AT_FDCWD, s->runtime_dir, 0755, e) == -1)
		return -1;
	lock = file_lock(lock_path, false, false, e);
	if (lock == -1)
		return -1;
	return serve(&server, path, e);
}
