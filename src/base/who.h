#ifndef BASE_WHO_H
#define BASE_WHO_H

/*
 * who: the person behind a command, for records and events.
 */

/* "pgkura (user 998) on db1", and ", logged in as alice (user 1000)" when the kernel
 * knows of another user who logged in.  The caller frees. */
char *who_orders(void);

#endif /* !BASE_WHO_H */
