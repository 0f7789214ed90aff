#ifndef BASE_WHO_H
#define BASE_WHO_H

/*
 * who: the person behind a command, for records and events.
 */

#include <sys/types.h>

/* "pgkura (user 998) on db1", and ", logged in as alice (user 1000)" when the kernel
 * knows of another user who logged in.  The caller frees. */
char *who_orders(void);
/*
 * The same of who is connected to us, by what the kernel says (SO_PEERCRED): the
 * user is certain; the login is that of the process of this number, as long as
 * that is there and the user's.
 */
char *who_asks(uid_t uid, pid_t pid);

#endif /* !BASE_WHO_H */
