#ifndef LINK_RESOLVE_H
#define LINK_RESOLVE_H

/*
 * resolve: the addresses behind "host:port", without blocking: a name is asked
 * for in a thread of its own, whose end is told through an eventfd.
 */

#include <netinet/in.h>
#include <stddef.h>

#include "base/auto.h"
#include "base/err.h"

struct resolve;

/* "host:port", "192.0.2.1:7432", "[2001:db8::1]:7432".  wake_fd is written to
 * when an answer has come; it is duplicated. */
struct resolve *resolve_new(const char *address, int wake_fd);
void resolve_free(struct resolve *r);
AUTO_DEFINE(struct resolve, resolve_free);
#define AUTO_RESOLVE AUTO(resolve_free_auto)

/*
 * An address to dial: 1, *to and *len are filled; each call gives the next of
 * those known.  0: the answer is not there yet.  -1 with *e: none.  Names are
 * asked for again after a minute, or after an error.
 */
int resolve_next(struct resolve *r, struct sockaddr_storage *to, socklen_t *len,
    struct err *e);

/* "host:port" in its parts, brackets removed. */
int resolve_split(
    const char *address, char host[128], char port[16], struct err *e);

#endif /* !LINK_RESOLVE_H */
