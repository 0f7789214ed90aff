#ifndef BASE_SCRATCH_H
#define BASE_SCRATCH_H

/*
 * scratch: a folder for one test program, gone when the program ends.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "tap.h"

static char scratch_path[512];
static pid_t scratch_owner;

static void
scratch_remove(void)
{
	if (getpid() == scratch_owner) /* and not a child of it */
		(void)file_rmtree_at(AT_FDCWD, scratch_path, NULL);
}

/* Make it and go there; a descriptor of it. */
static inline int
scratch_enter(void)
{
	const char *below = getenv("TMPDIR");
	int fd;

	(void)snprintf(scratch_path, sizeof(scratch_path), "%s/base-XXXXXX",
	    below == NULL ? "/tmp" : below);
	if (mkdtemp(scratch_path) == NULL || chdir(scratch_path) == -1)
		tap_bail("could not make a folder for the test");
	scratch_owner = getpid();
	(void)atexit(scratch_remove);
	fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		tap_bail("could not open the folder of the test");
	return fd;
}

/* How many names a folder has; the descriptor stays as it is. */
static inline size_t
scratch_count(int dirfd, const char *path)
{
	struct err e = ERR_INIT;
	char **names;
	size_t count;

	if (file_list_at(dirfd, path, &names, &count, &e) == -1)
		tap_bail("%s", e.text);
	file_names_free(names);
	return count;
}

/* True when the file holds exactly these bytes. */
static inline bool
scratch_holds(int dirfd, const char *path, const void *data, size_t len)
{
	AUTO_BUF struct buf b = BUF_INIT;

	return file_slurp_at(dirfd, path, len, &b, NULL) == 0 && b.len == len &&
	    (len == 0 || memcmp(b.data, data, len) == 0);
}

#endif /* !BASE_SCRATCH_H */
