#include "link/handover.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/local.h"
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

int
handover_listen(const char *path, struct err *e)
{
	return local_listen(path, SOCK_DGRAM, 0600, e);
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
	AUTO_FD int fd = local_socket(SOCK_DGRAM, e);
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

	if (fd == -1 || local_address(&a, path, e) == -1)
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
