#ifndef TAP_H
#define TAP_H

/*
 * tap: what a test program saw, in the Test Anything Protocol, for prove(1).
 *
 * A check that fails says what was seen, and the program goes on.  main() ends
 * with "return tap_done();".  Checks may be made from any thread.
 */

#include <stdbool.h>
#include <stdint.h>

/* The words of a check may be a format; all return whether it held. */
bool tap_ok(bool held, const char *fmt, ...)
    __attribute__((__format__(__printf__, 2, 3)));
bool tap_u64(uint64_t got, uint64_t want, const char *fmt, ...)
    __attribute__((__format__(__printf__, 3, 4)));
/* Either string may be NULL, which equals only NULL. */
bool tap_str(const char *got, const char *want, const char *fmt, ...)
    __attribute__((__format__(__printf__, 3, 4)));

/* Count one check that cannot be made here, with the reason. */
void
tap_skip(const char *fmt, ...) __attribute__((__format__(__printf__, 1, 2)));

/* Leave the whole program with exit status 0: it cannot run here.  First call. */
void tap_skip_all(const char *fmt, ...)
    __attribute__((__format__(__printf__, 1, 2), __noreturn__));

/* Give up the whole run of tests: what they stand on is broken. */
void tap_bail(const char *fmt, ...)
    __attribute__((__format__(__printf__, 1, 2), __noreturn__));

/* A remark that prove shows. */
void
tap_diag(const char *fmt, ...) __attribute__((__format__(__printf__, 1, 2)));

/* Print the plan; returns the exit status, 0 when every check held. */
int tap_done(void);

#endif /* !TAP_H */
