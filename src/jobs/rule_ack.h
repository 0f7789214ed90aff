#ifndef JOBS_RULE_ACK_H
#define JOBS_RULE_ACK_H

/*
 * rule_ack: until when commits may be acknowledged, from the rule of a cluster
 * to its receiver: eight bytes in <runtime_dir>/ack.<cluster>, CLOCK_BOOTTIME in
 * microseconds, shared memory.  INT64_MAX: as long as nothing else is said; 0:
 * not now.  The folder does not outlive the machine's boot, and the time is no
 * longer than the lease: a rule that died leaves nothing that goes on.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/settings.h"

struct rule_ack {
	const int64_t *until_us; /* NULL: no file */
	bool needed;		 /* without it nothing is acknowledged */
};

int rule_ack_write(const struct settings *s, const struct cluster_settings *c,
    int64_t until_us);
void rule_ack_open(struct rule_ack *a, const struct settings *s,
    const struct cluster_settings *c);
void rule_ack_close(struct rule_ack *a);
/* Now? */
bool rule_ack_allowed(const struct rule_ack *a);

#endif /* !JOBS_RULE_ACK_H */
