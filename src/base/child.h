#ifndef BASE_CHILD_H
#define BASE_CHILD_H

/*
 * child: programs that we start.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Start argv[0] (looked up in PATH) with standard input from /dev/null and no
 * signal blocked or ignored.
 * out_fd/err_fd: descriptors that become its standard output and error, or -1
 * to inherit.  The child dies with its parent when die_with_parent
 * (PR_SET_PDEATHSIG SIGTERM; the kernel means the thread that calls this, which
 * must then outlive the child).  Returns the pid or -1.  An exec that fails is
 * reported here, not as an exit status: ERR_NOT_FOUND when there is no such
 * program.
 */
pid_t child_start(const char *const *argv, int out_fd, int err_fd,
    bool die_with_parent, struct err *e);

/*
 * As child_start() for a program that goes on without us: in a session of its
 * own, and, when we are root and uid is not, as that user with all groups of
 * his.  ERR_NOT_FOUND when there is no such user.
 */
pid_t child_start_apart(
    const char *const *argv, int out_fd, int err_fd, uid_t uid, struct err *e);

/* Between fork and exec: signals as a new program expects them.  Handlers go with
 * exec by itself, but what is ignored or blocked would stay so. */
int child_reset_signals(void);

/*
 * Run to the end within timeout_ms (0: no bound; then SIGKILL to its group and
 * ERR_TRANSIENT).  A stop that is requested meanwhile ends it the same way,
 * with ERR_CANCELED.  Output and error together are appended to out (at most
 * the first CHILD_OUTPUT_BYTES_MAX of them); NULL drops them.  Returns the exit
 * status, 128 + signal when killed, or -1.
 */
#define CHILD_OUTPUT_BYTES_MAX ((size_t)64 << 10)
int child_run(
    const char *const *argv, int timeout_ms, struct buf *out, struct err *e);

/* Install handlers that set child_stop_requested() on SIGINT and SIGTERM, once;
 * a second SIGINT ends the process at once. */
void child_catch_stop_signals(void);
/* True after SIGINT or SIGTERM: jobs look at this between steps. */
bool child_stop_requested(void);
/* ERR_CANCELED when a stop was requested, else 0. */
int child_check_stop(struct err *e);

#endif /* !BASE_CHILD_H */
