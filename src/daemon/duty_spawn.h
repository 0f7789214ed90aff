#ifndef DAEMON_DUTY_SPAWN_H
#define DAEMON_DUTY_SPAWN_H

/*
 * duty_spawn: the fork and exec behind duty.c; for it only.
 */

#include <sys/types.h>

#include "base/err.h"
#include "daemon/duty.h"

/* Starts y of program; settings_fd and message_fd become the child's
 * descriptors.  Returns the pid or -1. */
pid_t duty_spawn(const char *program, const char *settings_path,
    const struct duty *y, int settings_fd, int message_fd, struct err *e);

#endif /* !DAEMON_DUTY_SPAWN_H */
