#ifndef JOBS_REMOTE_ACK_H
#define JOBS_REMOTE_ACK_H

/*
 * remote_ack: wal_ack = remote: WAL is reported to the server as durable when it
 * is so at another site too.
 *
 *	courier --- (timeline, position) ---> receiver
 *	   datagram at <runtime_dir>/receive.<cluster>
 *
 * When the other site has acknowledged nothing new for wal_ack_timeout although
 * something waits, this site is enough until the other one has caught up; that
 * is an event, and stands in the receiver's status.
 *
 * safe_until is a promise: before that moment (clock_boot_us()) the receiver
 * will not degrade.  It never becomes smaller while the receiver is not
 * degraded, and what the receiver says of it, the courier tells the other site;
 * so that one knows for how long "nothing acknowledged is lost" holds without
 * hearing anything (accept.c).
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "conf/settings.h"

struct remote_ack {
	int fd;	    /* -1: wal_ack = local */
	char *path; /* owned */
	const struct cluster_settings *cluster;
	uint32_t timeline; /* of lsn: what the other site has */
	uint64_t lsn;
	bool degraded;
	int64_t waiting_us; /* since when without progress; 0 nothing waits */
	int64_t safe_until_us;
};

int remote_ack_begin(struct remote_ack *a, const struct settings *s,
    const struct cluster_settings *c, struct err *e);
void remote_ack_end(struct remote_ack *a);
/* How much of what is durable here, up to local_lsn, may be reported. */
uint64_t
remote_ack_limit(struct remote_ack *a, uint32_t timeline, uint64_t local_lsn);
/* Does something wait for the other site? */
bool remote_ack_waits(const struct remote_ack *a);

/* The courier's side: tell the receiver, if one runs and wants to know. */
void remote_ack_tell(const struct settings *s, const struct cluster_settings *c,
    uint32_t timeline, uint64_t lsn);

#endif /* !JOBS_REMOTE_ACK_H */
