#ifndef PG_SERVER_LOG_H
#define PG_SERVER_LOG_H

/*
 * server_log: the log of a server that starts, read as it grows.
 *
 * The server was told to write it in English and to one file.  Source of the
 * texts: xlog.c, xlogrecovery.c, postmaster.c of 13 to 18.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct server_log {
	int fd;		 /* the server's output, too */
	uint64_t offset; /* read so far */
	struct buf rest; /* the last line while it is not whole */
	bool redo;	 /* replay has begun */
	bool paused;	 /* at the target */
	bool stuck;	 /* paused for what must be changed first: see fatal */
	bool at_target;	 /* recovery has stopped at a target */
	bool diverged;	 /* a newer timeline began before what was replayed */
	uint64_t waits_lsn;  /* replay wants WAL from there on, and has none */
	char newest[256];    /* what it says of its progress; "" */
	char fatal[400];     /* the last reason to give up; "" */
	char complaint[240]; /* the last about a line of a configuration file */
	bool fatal_open;     /* a DETAIL of it may follow */
};

/* Follow what is written to path from now on; it is made when not there, and
 * given to user uid when we are root. */
int server_log_open(
    struct server_log *l, const char *path, uid_t uid, struct err *e);
void server_log_close(struct server_log *l);
#define AUTO_SERVER_LOG AUTO(server_log_close)

/* Read on.  1 when there was something new, 0 when not, -1. */
int server_log_read(struct server_log *l, const char *path, struct err *e);

/* One line without its newline; server_log_read() does it with each. */
void server_log_line(struct server_log *l, const char *line);

/* Why a server that gave up did so, and what to do. */
int server_log_fail(const struct server_log *l, const char *path,
    const char *what, struct err *e);

#endif /* !PG_SERVER_LOG_H */
