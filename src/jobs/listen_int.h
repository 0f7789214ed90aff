#ifndef JOBS_LISTEN_INT_H
#define JOBS_LISTEN_INT_H

/*
 * listen_int: what the files of the listener share.
 */

#include <sys/types.h>

#include "base/auto.h"
#include "conf/settings.h"

#define LISTEN_SOCKETS_MAX 32
#define LISTEN_WAITING_MAX 64 /* connections without a preamble yet */
#define LISTEN_PREAMBLE_US ((int64_t)5 * 1000000)
#define LISTEN_PAIRING_MS  15000
#define LISTEN_HOST_BYTES  64

/* One that has not said yet what it wants. */
struct visitor {
	int fd; /* -1: a free place */
	int64_t until_us;
	char host[LISTEN_HOST_BYTES]; /* where it comes from, without port */
};

/* ---- listen_socket.c ---- */
/* Sockets for all that "host:port, ..." means, IPv4 and IPv6; -1 with *e when
 * one cannot be had, those made so far closed. */
int listen_open(const char *addresses, int fds[LISTEN_SOCKETS_MAX],
    size_t *count, struct err *e);
/* The next connection; -1 none. */
int listen_accept(int fd, char host[LISTEN_HOST_BYTES]);

/* ---- listen_pair.c: pairing, each try in a process of its own ---- */
struct pairing;
struct pairing *pairing_new(const struct settings *s);
void pairing_free(struct pairing *p); /* and end the tries */
AUTO_DEFINE(struct pairing, pairing_free);
#define AUTO_PAIRING AUTO(pairing_free_auto)
/* Answer it if an invitation is open; fd is taken. */
void pairing_visit(struct pairing *p, int fd, const char *host);
/* Learn of tries that have ended. */
void pairing_reap(struct pairing *p);
bool pairing_is_busy(const struct pairing *p);

/* An event that strangers can cause: at most one a minute of each name. */
struct told {
	int64_t when_us;
	unsigned long more; /* since then, not told */
};
void listen_tell(struct told *t, const char *event, const char *message,
    const char *key, const char *value, const char *host);

#endif /* !JOBS_LISTEN_INT_H */
