#ifndef BASE_LOCAL_H
#define BASE_LOCAL_H

/*
 * local: Unix sockets, by which processes of one machine speak to each other.
 */

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/err.h"

/* ERR_USAGE when a path of over 107 bytes does not fit. */
int local_address(struct sockaddr_un *a, const char *path, struct err *e);
/* A socket of this type (SOCK_DGRAM...), not bound, that does not block. */
int local_socket(int type, struct err *e);
/*
 * The same bound to path with these permissions; connections are taken where the
 * type has any.  What a dead process left at path gives way: the caller has made
 * sure, by a lock, that no other one lives.
 */
int local_listen(const char *path, int type, mode_t mode, struct err *e);

#endif /* !BASE_LOCAL_H */
