#ifndef PG_SERVER_PIDFILE_H
#define PG_SERVER_PIDFILE_H

/*
 * server_pidfile: postmaster.pid, which a server keeps in its data directory.
 * Source: utils/pidfile.h, 13 to 18:
 *
 *	1 process number (negative: single-user)  5 first socket folder or ""
 *	2 data directory			  6 first listen address or ""
 *	3 start time, seconds since 1970	  7 shared memory key
 *	4 port					  8 starting, ready, standby...
 */

#include <sys/types.h>

#include "base/err.h"

struct server_pidfile {
	pid_t pid; /* 0 when there is no file, or none that can be read */
	int port;
	char socket_dir[128];
	char address[128];
	char status[16]; /* without blanks behind it */
};

/* 0 also when there is none. */
int server_pidfile_read(
    const char *pgdata, struct server_pidfile *f, struct err *e);

#endif /* !PG_SERVER_PIDFILE_H */
