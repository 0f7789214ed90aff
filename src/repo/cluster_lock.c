/*
 * cluster_lock: one process at a time for each duty of a cluster.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "repo/repo.h"

static char *
lock_path(const char *state_dir, const char *cluster, const char *duty)
{
	return mem_printf("%s/locks/%s.%s", state_dir, cluster, duty);
}

int
cluster_lock(
    const char *state_dir, const char *cluster, const char *duty, struct err *e)
{
	AUTO_FREE char *path = lock_path(state_dir, cluster, duty);
	AUTO_FREE char *folder = file_join(state_dir, "locks");
	AUTO_FD int fd = -1;
	char pid[24];
	int n, holder;

	if (file_mkdirs_at(AT_FDCWD, folder, 0700, e) == -1)
		return -1;
	fd = file_lock(path, false, false, e);
	if (fd == -1) {
		if (e->kind != ERR_TRANSIENT)
			return -1;
		holder = cluster_lock_holder(state_dir, cluster, duty, NULL);
		(void)err_set(e, ERR_TRANSIENT,
		    "another %s of cluster \"%s\" is running (process %d)",
		    duty, cluster, holder);
		return err_hint(e, "Wait for it, or stop it first.");
	}
	n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) == -1 || pwrite(fd, pid, (size_t)n, 0) != n)
		return err_sys(e, "could not write \"%s\"", path);
	return steal_fd(&fd);
}

int
cluster_lock_holder(
    const char *state_dir, const char *cluster, const char *duty, struct err *e)
{
	AUTO_FREE char *path = lock_path(state_dir, cluster, duty);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[24] = "";

	if (fd == -1) {
		if (errno == ENOENT)
			return 0;
		return err_sys(e, "could not open \"%s\"", path);
	}
	if (flock(fd, LOCK_SH | LOCK_NB) == 0)
		return 0; /* nobody held it; closing gives ours back */
	if (pread(fd, text, sizeof(text) - 1, 0) == -1)
		return err_sys(e, "could not read \"%s\"", path);
	return atoi(text);
}
