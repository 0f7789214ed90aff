#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

/*
 * notify: tells systemd how we are, as sd_notify(3) does.  Without
 * NOTIFY_SOCKET nothing is told.
 */

#include <stdint.h>

/* Lines such as "READY=1\nSTATUS=...".  A manager that does not listen is no
 * failure of ours. */
void notify(const char *fmt, ...) __attribute__((__format__(__printf__, 1, 2)));

/* How often WATCHDOG=1 is due: half of what systemd waits; 0 never. */
int64_t notify_watchdog_us(void);

#endif /* !DAEMON_NOTIFY_H */
