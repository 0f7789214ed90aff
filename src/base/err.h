#ifndef BASE_ERR_H
#define BASE_ERR_H

/*
 * err: one failure, described once.
 *
 * Fallible functions return 0 or -1 (or NULL) and fill the caller's struct
 * err.  The function that detects the failure sets the kind and the text;
 * every caller that adds meaning prefixes it; the one that handles the
 * failure reports it.  Nobody logs and also returns an error.
 */

#include <stdarg.h>
#include <stdbool.h>

enum err_kind {
	ERR_NONE = 0,
	ERR_USAGE,     /* wrong command line or configuration */
	ERR_TRANSIENT, /* may pass when tried again: network, lock, EAGAIN */
	ERR_IO,	       /* operating system said no: see sys_errno */
	ERR_CORRUPT,   /* stored or received bytes fail a check */
	ERR_CONFLICT,  /* wrong cluster, wrong timeline, other bytes there */
	ERR_NOT_FOUND, /* the thing named does not exist */
	ERR_REFUSED,  /* a rule forbids it: see the hint for what is possible */
	ERR_CANCELED, /* the operator or a signal stopped it */
	ERR_BUG	      /* an assertion in all but name */
};

struct err {
	enum err_kind kind;
	int sys_errno;
	char text[480]; /* lower case, no full stop */
	char hint[320]; /* full sentences: the next step; "" when none */
};

#define ERR_INIT                    \
	{                           \
		ERR_NONE, 0, "", "" \
	}

/* Describe a failure; always returns -1, so "return err_set(...)" reads well.
 * Clears the hint.  e may be NULL: then only -1 is returned. */
int err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
    __attribute__((__format__(__printf__, 3, 4)));
int err_vset(struct err *e, enum err_kind kind, const char *fmt, va_list ap)
    __attribute__((__format__(__printf__, 3, 0)));

/* As err_set() with ERR_IO and ": strerror(errno)" appended. */
int err_sys(struct err *e, const char *fmt, ...)
    __attribute__((__format__(__printf__, 2, 3)));

/* Prefix "context: " to a failure that is passed up; returns -1. */
int err_ctx(struct err *e, const char *fmt, ...)
    __attribute__((__format__(__printf__, 2, 3)));

/* Say what to do next, in full sentences; returns -1. */
int err_hint(struct err *e, const char *fmt, ...)
    __attribute__((__format__(__printf__, 2, 3)));

/* Forget what *e says. */
void err_clear(struct err *e);

/*
 * The exit status that *e stands for: 0 done, 1 failed, 2 usage or
 * configuration, 3 damage found, 4 conflict, 75 try later.
 */
int err_exit_status(const struct err *e);

/* "usage", "transient", "io", ...: a stable word for logs and JSON. */
const char *err_kind_name(enum err_kind kind);

#endif /* !BASE_ERR_H */
