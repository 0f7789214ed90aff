#include "jobs/remote_ack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/le.h"
#include "base/log.h"
#include "pg/lsn.h"

#define MESSAGE_BYTES 16
#define MAGIC	      0x6b63616bu /* "kack" */
#define NEVER	      INT64_MAX

static int
address_of(const struct settings *s, const struct cluster_settings *c,
    struct sockaddr_un *a, struct err *e)
{
	int n;

	(void)memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	n = snprintf(a->sun_path, sizeof(a->sun_path), "%s/receive.%s",
	    s->runtime_dir, c->name);
	if (n < 0 || (size_t)n >= sizeof(a->sun_path))
		return err_set(e, ERR_USAGE,
		    "runtime_dir \"%s\" is too long for a socket",
		    s->runtime_dir);
	return 0;
}

int
remote_ack_begin(struct remote_ack *a, const struct settings *s,
    const struct cluster_settings *c, struct err *e)
{
	struct sockaddr_un to;

	*a = (struct remote_ack){ .fd = -1, .cluster = c };
	if (c->wal_ack != WAL_ACK_REMOTE || c->replicate_to == NULL)
		return 0;
	if (address_of(s, c, &to, e) == -1)
		return -1;
	a->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd == -1)
		return err_sys(e, "could not make a socket");
	(void)unlink(to.sun_path); /* of a dead one: we hold the lock */
	if (bind(a->fd, (struct sockaddr *)&to, sizeof(to)) == -1) {
		(void)err_sys(e, "could not bind \"%s\"", to.sun_path);
		(void)close(a->fd);
		a->fd = -1;
		return -1;
	}
	(void)strcpy(a->path, to.sun_path);
	return 0;
}

void
remote_ack_end(struct remote_ack *a)
{
	if (a->fd == -1)
		return;
	(void)unlink(a->path);
	(void)close(a->fd);
	a->fd = -1;
}

static void
take_messages(struct remote_ack *a)
{
	uint8_t m[MESSAGE_BYTES];
	uint32_t timeline;
	uint64_t lsn;

	while (recv(a->fd, m, sizeof(m), MSG_TRUNC) == MESSAGE_BYTES) {
		if (le32_get(m) != MAGIC)
			continue;
		timeline = le32_get(m + 4);
		lsn = le64_get(m + 8);
		if (timeline == a->timeline && lsn <= a->lsn)
			continue;
		a->timeline = timeline;
		a->lsn = lsn;
		a->waiting_us = 0; /* progress */
	}
}

static void
degrade(struct remote_ack *a, uint64_t local_lsn)
{
	char at[LSN_TEXT_BYTES], waited[CLOCK_TEXT_BYTES];

	a->degraded = true;
	log_event(LOG_LEVEL_ERROR, "wal_ack_degraded",
	    "no other site answers: commits are acknowledged when they are "
	    "durable at this site alone",
	    "cluster", a->cluster->name, "from", lsn_text(a->lsn, at), "waited",
	    clock_interval(a->cluster->wal_ack_timeout_us, waited), NULL);
	(void)local_lsn;
}

static void
restore(struct remote_ack *a)
{
	char at[LSN_TEXT_BYTES];

	a->degraded = false;
	log_event(LOG_LEVEL_INFO, "wal_ack_restored",
	    "commits are acknowledged when they are durable at another site "
	    "too",
	    "cluster", a->cluster->name, "from", lsn_text(a->lsn, at), NULL);
}

uint64_t
remote_ack_limit(struct remote_ack *a, uint32_t timeline, uint64_t local_lsn)
{
	int64_t now_us = clock_boot_us(), timeout_us;
	uint64_t there;

	if (a->fd == -1)
		return local_lsn;
	take_messages(a);
	there = a->timeline == timeline ? a->lsn : LSN_NONE;
	timeout_us = a->cluster->wal_ack_timeout_us;
	if (there >= local_lsn) {
		if (a->degraded)
			restore(a);
		a->waiting_us = 0;
	} else if (a->waiting_us == 0) {
		a->waiting_us = now_us;
	}
	if (!a->degraded && timeout_us > 0 && a->waiting_us != 0 &&
	    now_us - a->waiting_us >= timeout_us)
		degrade(a, local_lsn);
	if (!a->degraded)
		a->safe_until_us = timeout_us <= 0
		    ? NEVER
		    : (a->waiting_us == 0 ? now_us : a->waiting_us) +
			timeout_us;
	else
		a->safe_until_us = 0;
	return a->degraded || there >= local_lsn ? local_lsn : there;
}

bool
remote_ack_waits(const struct remote_ack *a)
{
	return a->fd != -1 && a->waiting_us != 0 && !a->degraded;
}

void
remote_ack_tell(const struct settings *s, const struct cluster_settings *c,
    uint32_t timeline, uint64_t lsn)
{
	struct sockaddr_un to;
	uint8_t m[MESSAGE_BYTES];
	int fd;

	if (c->wal_ack != WAL_ACK_REMOTE || address_of(s, c, &to, NULL) == -1)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return;
	le32_put(m, MAGIC);
	le32_put(m + 4, timeline);
	le64_put(m + 8, lsn);
	(void)sendto(fd, m, sizeof(m), 0, (struct sockaddr *)&to, sizeof(to));
	(void)close(fd);
}
