/*
 * archive_listen: the socket of archive_command, and who may use it.
 */

#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/auto.h"
#include "jobs/archive_int.h"

static int
give_to_group(const char *path, const char *group, struct err *e)
{
	const struct group *g;

	if (group == NULL)
		return 0;
	g = getgrnam(group);
	if (g == NULL) {
		(void)err_set(
		    e, ERR_USAGE, "group \"%s\" does not exist", group);
		return err_hint(e, "Correct socket_group.");
	}
	if (chown(path, (uid_t)-1, g->gr_gid) == -1 || chmod(path, 0660) == -1)
		return err_sys(
		    e, "could not give \"%s\" to group \"%s\"", path, group);
	return 0;
}

static int
bind_socket(const char *path, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	AUTO_FD int fd =
	    socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int rc;

	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(e, ERR_USAGE,
		    "socket path \"%s\" is longer than %zu bytes", path,
		    sizeof(a.sun_path) - 1);
	(void)strcpy(a.sun_path, path);
	if (fd == -1)
		return err_sys(e, "could not make a socket");
	mask = umask(0177);
	(void)unlink(path); /* of one that was killed: we hold the lock */
	rc = bind(fd, (struct sockaddr *)&a, sizeof(a));
	(void)umask(mask);
	if (rc == -1 || listen(fd, SOMAXCONN) == -1)
		return err_sys(e, "could not listen on \"%s\"", path);
	return steal_fd(&fd);
}

int
archive_listen(const char *path, const char *group, struct err *e)
{
	AUTO_FD int fd = bind_socket(path, e);

	if (fd == -1 || give_to_group(path, group, e) == -1)
		return -1;
	return steal_fd(&fd);
}
