#ifndef DAEMON_RECENT_H
#define DAEMON_RECENT_H

/*
 * recent: the last events, in memory, each with a number that grows.
 */

#include <jansson.h>
#include <stdint.h>

#include "base/auto.h"

#define RECENT_MAX 500

struct recent;

struct recent *recent_new(void);
void recent_free(struct recent *r);
AUTO_DEFINE(struct recent, recent_free);
#define AUTO_RECENT AUTO(recent_free_auto)

void recent_put(struct recent *r, const json_t *event);
/*
 * {"events": [...], "last": N}: those with numbers above after, the last count
 * of them, in the order of their times.  Asking again with after = N gives
 * what came since.
 */
json_t *recent_json(const struct recent *r, unsigned int count, uint64_t after);

#endif /* !DAEMON_RECENT_H */
