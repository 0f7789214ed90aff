#ifndef DAEMON_HOOK_H
#define DAEMON_HOOK_H

/*
 * hook: the operator's program that is told of events, one at a time.
 *
 * It gets the event as JSON on standard input and as environment variables, and
 * is killed, with all that it started, after HOOK_TIMEOUT_US.  The same event
 * with the same message is handed on at most once in HOOK_REPEAT_US, so that
 * what fails every minute does not call every minute.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"

#define HOOK_TIMEOUT_US	 ((int64_t)30 * 1000000)
#define HOOK_REPEAT_US	 ((int64_t)3600 * 1000000)
#define HOOK_PENDING_MAX 100

struct hook;

/* program NULL: nothing is ever run. */
struct hook *hook_new(const char *program, const char *site);
void hook_free(struct hook *h); /* kills one that runs */
AUTO_DEFINE(struct hook, hook_free);
#define AUTO_HOOK AUTO(hook_free_auto)

/* An event of level warning or error is taken, others are not. */
void hook_offer(struct hook *h, const json_t *event);
/* Start the next, reap or kill the last.  Returns when (clock_boot_us()) to be
 * called again at the latest, INT64_MAX for never. */
int64_t hook_tick(struct hook *h);
/* Readable when the program has ended; -1 when none runs. */
int hook_fd(const struct hook *h);
bool hook_idle(const struct hook *h); /* none runs and none waits */

#endif /* !DAEMON_HOOK_H */
