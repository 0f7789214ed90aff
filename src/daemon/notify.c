#include "daemon/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mem.h"

/* A name that begins with "@" is in the abstract name space (sd_notify(3)). */
void
notify(const char *fmt, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	AUTO_FREE char *text = NULL;
	AUTO_FD int fd = -1;
	va_list ap;
	size_t len;

	if (path == NULL || (path[0] != '/' && path[0] != '@'))
		return;
	len = strlen(path);
	if (len >= sizeof(address.sun_path))
		return;
	(void)memcpy(address.sun_path, path, len + 1);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd != -1)
		(void)sendto(fd, text, strlen(text),
		    MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

int64_t
notify_watchdog_us(void)
{
	const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	char *end;
	long long v;

	if (us == NULL || (pid != NULL && atol(pid) != (long)getpid()))
		return 0;
	errno = 0;
	v = strtoll(us, &end, 10);
	return errno != 0 || *end != '\0' || v <= 0 ? 0 : v / 2;
}
