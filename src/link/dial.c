#include "link/dial.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/auto.h"

#define NOT_SENT_BYTES	(128 << 10)
#define USER_TIMEOUT_MS 30000

static void
set(int fd, int level, int name, int value)
{
	/* Each makes things better; none is needed. */
	(void)setsockopt(fd, level, name, &value, sizeof(value));
}

/* Go out from the address from. */
static int
bind_to(int fd, const char *from, struct err *e)
{
	struct addrinfo hints = { 0 }, *a = NULL;
	int failure, rc;

	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
	failure = getaddrinfo(from, "0", &hints, &a);
	if (failure != 0)
		return err_set(e, ERR_USAGE, "local address \"%s\": %s", from,
		    gai_strerror(failure));
	set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	rc = bind(fd, a->ai_addr, a->ai_addrlen);
	if (rc == -1)
		(void)err_sys(e, "could not dial from \"%s\"", from);
	freeaddrinfo(a);
	return rc;
}

int
dial_start(const struct sockaddr_storage *to, socklen_t len, const char *from,
    bool small, struct err *e)
{
	AUTO_FD int fd = socket(
	    to->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1)
		return err_sys(e, "could not make a socket");
	if (small)
		set(fd, IPPROTO_TCP, TCP_MAXSEG, DIAL_SMALL_SEGMENT);
	if (from[0] != '\0' && bind_to(fd, from, e) == -1)
		return -1;
	if (connect(fd, (const struct sockaddr *)to, len) == -1 &&
	    errno != EINPROGRESS)
		return err_sys(e, "could not connect");
	return steal_fd(&fd);
}

int
dial_check(int fd, struct err *e)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int failure = 0;
	socklen_t failure_len = sizeof(failure);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &failure_len) == -1)
		failure = errno;
	if (failure != 0) {
		errno = failure;
		return err_sys(e, "could not connect");
	}
	return getpeername(fd, (struct sockaddr *)&peer, &len) == 0 ? 1 : 0;
}

int
dial_options(int fd, const char *congestion, char in_force[16], struct err *e)
{
	socklen_t len = 16;

	if (setsockopt(
		fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)) == -1)
		return err_sys(e, "could not use a connection");
	set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOT_SENT_BYTES);
	set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 20);
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
	if (congestion != NULL)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion,
		    (socklen_t)strlen(congestion));
	if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, in_force, &len) == -1)
		len = 0;
	in_force[len < 16 ? len : 15] = '\0';
	return 0;
}

void
dial_set_rate(int fd, uint64_t bytes_s)
{
	unsigned long rate = bytes_s == 0 ? ~0UL : (unsigned long)bytes_s;

	(void)setsockopt(
	    fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate));
}

uint64_t
dial_acked(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	(void)memset(&info, 0, sizeof(info));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == -1)
		return 0;
	return info.tcpi_bytes_acked;
}

static void
name(const struct sockaddr_storage *a, socklen_t len, char out[64])
{
	char host[46], port[8];

	out[0] = '\0';
	if (getnameinfo((const struct sockaddr *)a, len, host, sizeof(host),
		port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		(void)snprintf(out, 64,
		    a->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

void
dial_names(int fd, char local[64], char remote[64])
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);

	local[0] = remote[0] = '\0';
	if (getsockname(fd, (struct sockaddr *)&a, &len) == 0)
		name(&a, len, local);
	len = sizeof(a);
	if (getpeername(fd, (struct sockaddr *)&a, &len) == 0)
		name(&a, len, remote);
}
