/*
 * listen_socket: the sockets of the listener, and who comes by them.
 */

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "conf/address.h"
#include "conf/list.h"
#include "jobs/listen_int.h"

#define BACKLOG 128

static int
open_one(const struct addrinfo *a)
{
	AUTO_FD int fd =
	    socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1;

	if (fd == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1)
		return -1;
	/* The other family has a socket of its own. */
	if (a->ai_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == -1)
		return -1;
	if (bind(fd, a->ai_addr, a->ai_addrlen) == -1 ||
	    listen(fd, BACKLOG) == -1)
		return -1;
	return steal_fd(&fd);
}

/* A machine without IPv6 has no IPv6 address to listen on; but one of the two
 * there must be. */
static bool
is_absent_family(const char *host, int error)
{
	return strcmp(host, "*") == 0 &&
	    (error == EAFNOSUPPORT || error == EADDRNOTAVAIL);
}

static int
open_address(
    const char *text, int fds[LISTEN_SOCKETS_MAX], size_t *count, struct err *e)
{
	struct addrinfo want = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE };
	struct addrinfo *all = NULL, *a;
	struct address address;
	size_t before = *count;
	int rc, fd;

	if (address_parse(&address, text, true, e) == -1)
		return -1;
	rc = getaddrinfo(strcmp(address.host, "*") == 0 ? NULL : address.host,
	    address.port, &want, &all);
	if (rc != 0) {
		(void)err_set(e, ERR_TRANSIENT,
		    "could not find the address to listen on, \"%s\": %s", text,
		    gai_strerror(rc));
		return err_hint(e, "Correct listen in [pgkura].");
	}
	for (a = all; a != NULL && *count < LISTEN_SOCKETS_MAX;
	     a = a->ai_next) {
		fd = open_one(a);
		if (fd == -1 && is_absent_family(address.host, errno))
			continue;
		if (fd == -1) {
			(void)err_sys(e, "could not listen on \"%s\"", text);
			(void)err_hint(e,
			    "\"ss -ltnp\" shows who uses the port, \"ip "
			    "address\" which addresses there are.");
			freeaddrinfo(all);
			return -1;
		}
		fds[(*count)++] = fd;
	}
	freeaddrinfo(all);
	return *count > before
	    ? 0
	    : err_set(e, ERR_IO, "could not listen on \"%s\"", text);
}

int
listen_open(const char *addresses, int fds[LISTEN_SOCKETS_MAX], size_t *count,
    struct err *e)
{
	char text[ADDRESS_TEXT_BYTES];

	*count = 0;
	while (list_next(&addresses, text, sizeof(text))) {
		if (open_address(text, fds, count, e) == 0)
			continue;
		while (*count > 0)
			(void)close(fds[--*count]);
		return -1;
	}
	return 0;
}

int
listen_accept(int fd, char host[LISTEN_HOST_BYTES])
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);
	int got = accept4(
	    fd, (struct sockaddr *)&a, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (got != -1 &&
	    getnameinfo((struct sockaddr *)&a, len, host, LISTEN_HOST_BYTES,
		NULL, 0, NI_NUMERICHOST) != 0)
		(void)strcpy(host, "?");
	return got;
}
