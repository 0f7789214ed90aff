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
 *
 * There is a promise only while the server makes every commit wait for the
 * receiver (remote_ack_watch.c looks each 10 s), and once the other site has all
 * that was written before it did.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/auto.h"
#include "base/err.h"
#include "conf/settings.h"

/* Does the server wait? */
enum remote_ack_wait {
	REMOTE_ACK_UNSEEN, /* not seen, or not for too long */
	REMOTE_ACK_WAITS,
	REMOTE_ACK_UNNAMED, /* synchronous_standby_names lacks the receiver */
	REMOTE_ACK_OTHERS,  /* ... lets another stand in */
	REMOTE_ACK_COMMIT   /* synchronous_commit does not ask for it */
};

struct remote_ack {
	int fd;	    /* -1: wal_ack = local */
	char *path; /* owned */
	const struct cluster_settings *cluster;
	uint32_t timeline; /* of lsn: what the other site has */
	uint64_t lsn;
	bool degraded;
	int64_t waiting_us; /* since when without progress; 0 nothing waits */
	int64_t safe_until_us;
	pid_t watch; /* who looks at the server; 0: nobody */
	enum remote_ack_wait wait;
	int64_t wait_us;   /* when that was seen last */
	uint64_t wait_lsn; /* what lies before was not waited for */
	bool covered;	   /* the other site has that too */
	enum remote_ack_wait told;
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

/* "commits wait for the receiver", ... */
const char *remote_ack_wait_text(enum remote_ack_wait w);
/* What synchronous_standby_names has to name. */
const char *remote_ack_name(const struct cluster_settings *c);
/* As seen by who looks at the server: end is where its WAL ended then. */
void remote_ack_tell_wait(const struct settings *s,
    const struct cluster_settings *c, enum remote_ack_wait wait, uint64_t end);

/* ---- remote_ack_watch.c ---- */
pid_t
remote_ack_watch(const struct settings *s, const struct cluster_settings *c);
void remote_ack_watch_end(pid_t pid);

#endif /* !JOBS_REMOTE_ACK_H */
