#ifndef PG_SERVER_PROC_H
#define PG_SERVER_PROC_H

/*
 * server_proc: what /proc tells of a server's processes.  Source: proc(5).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Does pid exist and do something?  One that ended and waits to be taken by its
 * parent does not; if that is us, it is taken. */
bool server_proc_alive(pid_t pid);

/* Is pid a server's process whose working directory is pgdata?  Where that is
 * hidden from us, its name has to do. */
bool server_proc_holds(pid_t pid, const char *pgdata);

/*
 * The startup process below postmaster: its title without what all of them
 * have in front ("recovering 000000010000000000000005"), "" when it shows none;
 * *cpu_ticks is the time it has computed.  false when there is no such process.
 */
bool server_proc_startup(
    pid_t postmaster, char *title, size_t title_bytes, uint64_t *cpu_ticks);

/*
 * Kill the postmaster and its children, which may hang or be stopped, and wait
 * until all are gone: false when one is there after timeout_us.
 */
bool server_proc_kill(pid_t postmaster, int64_t timeout_us);

#endif /* !PG_SERVER_PROC_H */
