#ifndef WAL_CLIENT_CLIENT_H
#define WAL_CLIENT_CLIENT_H

/*
 * client: pgkura-wal, the program that archive_command and restore_command
 * start for every file.  It needs libc only and starts in a millisecond; what
 * it cannot do at once it hands on to pgkura.
 */

#include <stdbool.h>
#include <stddef.h>

/* What the command line says; NULL or 0 when it does not. */
struct options {
	const char *config;
	const char *cluster;
	const char *lineage;
	const char *socket;
	const char *pgkura; /* path of that program */
	const char *wait;   /* seconds, as text */
	const char *ahead;  /* segments, as text */
	bool standby;
	const char *args[2];
	int count; /* of args */
};

#define EXIT_REFUSED 1 /* archive_command: try again later */
#define EXIT_USAGE   2
#define EXIT_FAULT   200 /* restore_command: never "the end of WAL" */

/* Both return an exit status, or do not return. */
int push(const struct options *o);
int get(const struct options *o);

/* Say what went wrong, on standard error, with errno's words when error. */
void complain(int error, const char *fmt, ...)
    __attribute__((__format__(__printf__, 2, 3)));

/* Become "pgkura wal WHAT ..." ; returns only when that fails, having said so. */
void become_pgkura(const struct options *o, const char *what);

/* Where the last part of path begins. */
const char *base_name(const char *path);
/* The folder of path into out ("." when it has none): false when too long. */
bool folder_of(const char *path, char *out, size_t bytes);
/* 24 upper-case hex digits. */
bool is_segment(const char *name);

#endif /* !WAL_CLIENT_CLIENT_H */
