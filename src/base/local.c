#include "base/local.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"

int
local_address(struct sockaddr_un *a, const char *path, struct err *e)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(a->sun_path)) {
		(void)err_set(e, ERR_USAGE,
		    "socket path \"%s\" is longer than %zu bytes", path,
		    sizeof(a->sun_path) - 1);
		return err_hint(e, "Set a shorter runtime_dir.");
	}
	(void)strcpy(a->sun_path, path);
	return 0;
}

int
local_socket(int type, struct err *e)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd == -1 ? err_sys(e, "could not make a socket") : fd;
}

int
local_listen(const char *path, int type, mode_t mode, struct err *e)
{
	AUTO_FD int fd = -1;
	struct sockaddr_un a;
	mode_t mask;
	int rc;

	if (local_address(&a, path, e) == -1 ||
	    (fd = local_socket(type, e)) == -1)
		return -1;
	if (unlink(path) == -1 && errno != ENOENT)
		return err_sys(e, "could not remove old \"%s\"", path);
	mask = umask(~mode & 0777);
	rc = bind(fd, (struct sockaddr *)&a, sizeof(a));
	(void)umask(mask);
	if (rc == -1 || (type != SOCK_DGRAM && listen(fd, SOMAXCONN) == -1))
		return err_sys(e, "could not listen at \"%s\"", path);
	return steal_fd(&fd);
}
