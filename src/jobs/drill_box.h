#ifndef JOBS_DRILL_BOX_H
#define JOBS_DRILL_BOX_H

/*
 * drill_box: a process, and all that it starts, that cannot reach out.
 *
 *	user namespace		no right over anything outside
 *	mount namespace		everything is read-only but one folder
 *	pid namespace		it sees and signals only its own; the kernel
 *				kills all of them with its first process
 *	network namespace	only a loopback interface of its own
 *	IPC namespace		shared memory of its own, gone with it
 *	system call filter	no sockets but of IP: a socket of the file system
 *				leads to another program whatever the network
 *
 * The kernel kills the box when the process that started it dies, by whatever.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#define BOX_COVERED "covered."

struct box_options {
	const char *folder; /* the only one that can be written */
	uid_t uid;	    /* who it is to be, when we are root */
	gid_t gid;
	/* Other folders, NULL-ended: what is written there goes to
	 * <folder>/covered.0 and so on, and they look empty.  NULL none. */
	char *const *covered;
	bool open; /* no isolation: only dies with us */
};

/*
 * Run fn(arg) in a box, in a new process that ends with what fn returns.
 * Returns the process that stands for it, to be waited for or killed, once
 * the box is closed around it; or -1: ERR_REFUSED where the system allows no
 * box.  Of a process without threads only.
 */
pid_t box_start(const struct box_options *o, int (*fn)(void *arg), void *arg,
    struct err *e);

/*
 * From inside: is it as it should be?  0, or -1 and *e says what is open.  It
 * tries to reach out, not only to look.
 */
int box_check(struct err *e);

/* Run fn(arg) in a new process that dies with us and is in no box. */
pid_t box_start_child(int (*fn)(void *arg), void *arg, struct err *e);

#endif /* !JOBS_DRILL_BOX_H */
