/*
 * archive_listen: the socket of archive_command, and who may use it.
 */

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/local.h"
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

int
archive_listen(const char *path, const char *group, struct err *e)
{
	AUTO_FD int fd = local_listen(path, SOCK_SEQPACKET, 0600, e);

	if (fd == -1 || give_to_group(path, group, e) == -1)
		return -1;
	return steal_fd(&fd);
}
