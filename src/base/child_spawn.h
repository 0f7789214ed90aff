#ifndef BASE_CHILD_SPAWN_H
#define BASE_CHILD_SPAWN_H

/*
 * child_spawn: what child_start() and child_run() share; for those two only.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct child_spawn {
	int out_fd, err_fd; /* -1 to inherit */
	bool die_with_parent;
	bool own_group; /* lead a process group, so that all can be killed */
};

/* As child_start(). */
pid_t child_spawn(
    const char *const *argv, const struct child_spawn *how, struct err *e);

#endif /* !BASE_CHILD_SPAWN_H */
