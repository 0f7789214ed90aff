#include "link/handover.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mem.h"

union room {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(int))];
};

char *
handover_path(const char *runtime_dir, const char *peer)
{
	return mem_printf("%s/courier.%s", runtime_dir, peer);
}

static int
set_path(struct sockaddr_un *a, const char *path, struct err *e)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(a->sun_path)) {
		(void)err_set(
		    e, ERR_USAGE, "socket path \"%s\" is too long", path);
		return err_hint(e, "Set a shorter runtime_dir.");
	}
	(void)strcpy(a->sun_path, path);
	return 0;
}

static int
make_socket(struct err *e)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd == -1 ? err_sys(e, "could not make a socket") : fd;
}

int
handover_listen(const char *path, struct err *e)
{
	AUTO_FD int fd = make_socket(e);
	struct sockaddr_un a;
	mode_t mask;
	int rc;

	if (fd == -1 || set_path(&a, path, e) == -1)
		return -1;
	if (unlink(path) == -1 && errno != ENOENT)
		return err_sys(e, "could not remove old \"%s\"", path);
	mask = umask(0177);
	rc = bind(fd, (struct sockaddr *)&a, sizeof(a));
	(void)umask(mask);
	if (rc == -1)
		return err_sys(e, "could not listen at \"%s\"", path);
	return steal_fd(&fd);
}

/* The descriptor that came with m; -1 when there is none. */
static int
descriptor_of(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd = -1;

	if (c != NULL && c->cmsg_level == SOL_SOCKET &&
	    c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(fd)))
		(void)memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

int
handover_take(int fd)
{
	uint8_t data[16];
	union room room;
	struct iovec iov = { data, sizeof(data) };
	struct msghdr m;
	int got, type;
	socklen_t len;
	ssize_t n;

	for (;;) {
		m = (struct msghdr){ .msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &room,
			.msg_controllen = sizeof(room) };
		n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		got = descriptor_of(&m);
		len = sizeof(type);
		if (got != -1 &&
		    getsockopt(got, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
		    type == SOCK_STREAM)
			return got;
		if (got != -1)
			(void)close(got);
	}
}

int
handover_give(const char *path, int given, struct err *e)
{
	AUTO_FD int fd = make_socket(e);
	struct sockaddr_un a;
	uint8_t data[1] = { 'c' };
	union room room = { .bytes = { 0 } };
	struct iovec iov = { data, sizeof(data) };
	struct msghdr m = { .msg_name = &a,
		.msg_namelen = sizeof(a),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &room,
		.msg_controllen = sizeof(room) };
	struct cmsghdr *c;

	if (fd == -1 || set_path(&a, path, e) == -1)
		return -1;
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(given));
	(void)memcpy(CMSG_DATA(c), &given, sizeof(given));
	if (sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(data))
		return 0;
	if (errno == ENOENT || errno == ECONNREFUSED)
		return err_set(
		    e, ERR_NOT_FOUND, "no courier listens at \"%s\"", path);
	if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS)
		return err_set(e, ERR_TRANSIENT,
		    "the courier at \"%s\" does not take more now", path);
	return err_sys(e, "could not hand over to \"%s\"", path);
}
