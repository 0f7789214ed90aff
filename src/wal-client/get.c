/*
 * get: take a segment that was read ahead, or let pgkura fetch it.
 *
 * The folder pgkura.ahead beside the path holds whole segments, made ready by
 * a process that holds its file "lock" (jobs/fetch_ahead.c).  They are on the
 * file system of the path: a rename hands one over.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "wal-client/client.h"

#define AHEAD_DEFAULT "8"
#define LOCK_BYTES    256
/* For a segment that is being made ready right now. */
#define MAKING_MS 2000

/*
 * Does a process live that makes the segments of our cluster ready?  What a
 * dead one left is not trusted.
 */
static bool
is_served(int folder, const struct options *o)
{
	char said[LOCK_BYTES + 1], want[LOCK_BYTES + 1];
	int fd = openat(folder, "lock", O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd == -1)
		return false;
	if (flock(fd, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK) {
		(void)close(fd);
		return false;
	}
	len = read(fd, said, LOCK_BYTES);
	(void)close(fd);
	if (len < 0)
		return false;
	said[len] = '\0';
	(void)snprintf(want, sizeof(want), "cluster=%s\nlineage=%s\n",
	    o->cluster == NULL ? "" : o->cluster,
	    o->lineage == NULL ? "" : o->lineage);
	return strcmp(said, want) == 0;
}

/* Take the segment; wait a little when it is just being made ready. */
static bool
take(int folder, const char *name, const char *path)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	char making[64];
	int ms;

	(void)snprintf(making, sizeof(making), "%s.pgkura", name);
	for (ms = 0; ms < MAKING_MS; ms++) {
		if (renameat(folder, name, AT_FDCWD, path) == 0)
			return true;
		if (faccessat(folder, making, F_OK, 0) == -1)
			break;
		(void)nanosleep(&pause, NULL);
	}
	/* It may have been named between the two looks. */
	return renameat(folder, name, AT_FDCWD, path) == 0;
}

int
get(const struct options *o)
{
	const char *name = o->args[0], *path = o->args[1];
	struct options with_ahead = *o;
	char dir[PATH_MAX - 32], ahead[PATH_MAX];
	int folder = -1;

	if (is_segment(name) && folder_of(path, dir, sizeof(dir))) {
		(void)snprintf(ahead, sizeof(ahead), "%s/pgkura.ahead", dir);
		folder = open(ahead, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (folder != -1 && is_served(folder, o) && take(folder, name, path))
		return 0;
	if (o->ahead == NULL)
		with_ahead.ahead = AHEAD_DEFAULT;
	become_pgkura(&with_ahead, "fetch");
	return EXIT_FAULT;
}
