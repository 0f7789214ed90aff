#ifndef LINK_HANDOVER_H
#define LINK_HANDOVER_H

/*
 * handover: connections of a peer, from the process that accepted them to the
 * one that serves this peer, through a Unix datagram socket with one descriptor
 * in each datagram (SCM_RIGHTS).  What nobody takes is closed by the kernel.
 */

#include "base/err.h"

/* <runtime_dir>/courier.<peer>; the caller frees. */
char *handover_path(const char *runtime_dir, const char *peer);

/* The courier's side: a socket at path, mode 0600, in place of what a dead one
 * left there; does not block. */
int handover_listen(const char *path, struct err *e);
/* The next descriptor, or -1 when there is none now.  What is no connection is
 * closed. */
int handover_take(int fd);

/*
 * The listener's side: fd stays the caller's to close.  ERR_NOT_FOUND: no
 * courier runs; ERR_TRANSIENT: it has enough to do.
 */
int handover_give(const char *path, int fd, struct err *e);

#endif /* !LINK_HANDOVER_H */
