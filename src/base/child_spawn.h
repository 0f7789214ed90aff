#ifndef BASE_CHILD_SPAWN_H
#define BASE_CHILD_SPAWN_H

/*
 * child_spawn: what child_start(), child_start_apart() and child_run() share; for
 * those only.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct child_spawn {
	int out_fd, err_fd; /* -1 to inherit */
	bool die_with_parent;
	bool own_group;	  /* lead a process group, so that all can be killed */
	bool own_session; /* no terminal's signals reach it */
	/* Who it is to be; NULL: who we are. */
	const struct child_identity *identity;
};

struct child_identity {
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	int group_count;
};

/* As child_start(). */
pid_t child_spawn(
    const char *const *argv, const struct child_spawn *how, struct err *e);

#endif /* !BASE_CHILD_SPAWN_H */
