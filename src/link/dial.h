#ifndef LINK_DIAL_H
#define LINK_DIAL_H

/*
 * dial: TCP sockets as a link wants them.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DIAL_SMALL_SEGMENT 1200 /* passes where a path's MTU is said wrong */

/* A socket that connects to to; from is a numeric local address or "". */
int dial_start(const struct sockaddr_storage *to, socklen_t len,
    const char *from, bool small, struct err *e);
/* 1: connected, 0: not yet, -1: *e. */
int dial_check(int fd, struct err *e);
/*
 * Options of every connection of a link.  congestion may be NULL; in_force is
 * what the kernel says afterwards.  -1: the descriptor is no TCP socket.
 */
int
dial_options(int fd, const char *congestion, char in_force[16], struct err *e);
/* 0: no limit. */
void dial_set_rate(int fd, uint64_t bytes_s);
/* Bytes that the peer's kernel has acknowledged. */
uint64_t dial_acked(int fd);
/* "192.0.2.1:7432" of either end; "" when unknown. */
void dial_names(int fd, char local[64], char remote[64]);

#endif /* !LINK_DIAL_H */
