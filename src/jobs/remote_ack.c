#include "jobs/remote_ack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/le.h"
#include "base/local.h"
#include "base/log.h"
#include "base/mem.h"
#include "pg/lsn.h"

#define MESSAGE_BYTES 16
#define MAGIC	      0x6b63616bu /* "kack" */
#define MAGIC_WAIT    0x6b776974u /* "kwit" */
#define NEVER	      INT64_MAX
/* What was not seen for so long is not known any more. */
#define UNSEEN_US (30 * CLOCK_SECOND_US)

static char *
path_of(const struct settings *s, const struct cluster_settings *c)
{
	return mem_printf("%s/receive.%s", s->runtime_dir, c->name);
}

int
remote_ack_begin(struct remote_ack *a, const struct settings *s,
    const struct cluster_settings *c, struct err *e)
{
	*a = (struct remote_ack){ .fd = -1, .cluster = c };
	if (c->wal_ack != WAL_ACK_REMOTE || c->replicate_to == NULL)
		return 0;
	a->path = path_of(s, c);
	a->fd = local_listen(a->path, SOCK_DGRAM, 0600, e);
	if (a->fd == -1)
		free(steal_ptr(&a->path));
	if (a->fd == -1)
		return -1;
	a->watch = remote_ack_watch(s, c);
	return 0;
}

void
remote_ack_end(struct remote_ack *a)
{
	if (a->fd == -1)
		return;
	remote_ack_watch_end(a->watch);
	(void)unlink(a->path);
	free(steal_ptr(&a->path));
	(void)close(a->fd);
	a->fd = -1;
}

static void
take_wait(struct remote_ack *a, enum remote_ack_wait wait, uint64_t end)
{
	if (wait == REMOTE_ACK_WAITS && a->wait != REMOTE_ACK_WAITS) {
		a->wait_lsn = end;
		a->covered = false;
	}
	a->wait = wait;
	a->wait_us = clock_boot_us();
}

static void
take_messages(struct remote_ack *a)
{
	uint8_t m[MESSAGE_BYTES];
	uint32_t timeline;
	uint64_t lsn;

	while (recv(a->fd, m, sizeof(m), MSG_TRUNC) == MESSAGE_BYTES) {
		if (le32_get(m) == MAGIC_WAIT &&
		    le32_get(m + 4) <= REMOTE_ACK_COMMIT)
			take_wait(a, (enum remote_ack_wait)le32_get(m + 4),
			    le64_get(m + 8));
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
degrade(struct remote_ack *a)
{
	char at[LSN_TEXT_BYTES], waited[CLOCK_TEXT_BYTES];

	a->degraded = true;
	log_event(LOG_LEVEL_ERROR, "wal_ack_degraded",
	    "no other site answers: commits are acknowledged when they are "
	    "durable at this site alone",
	    "cluster", a->cluster->name, "from", lsn_text(a->lsn, at), "waited",
	    clock_interval(a->cluster->wal_ack_timeout_us, waited), NULL);
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

const char *
remote_ack_wait_text(enum remote_ack_wait w)
{
	static const char *const texts[] = {
		[REMOTE_ACK_UNSEEN] =
		    "it is not known whether commits wait for the receiver",
		[REMOTE_ACK_WAITS] = "commits wait for the receiver",
		[REMOTE_ACK_UNNAMED] =
		    "no commit waits: synchronous_standby_names lacks the receiver",
		[REMOTE_ACK_OTHERS] =
		    "synchronous_standby_names lets another one stand in",
		[REMOTE_ACK_COMMIT] = "no commit waits: synchronous_commit",
	};

	return texts[w];
}

/* Whether the promise may be made at all. */
static bool
server_waits(struct remote_ack *a, uint64_t there, int64_t now_us)
{
	if (a->wait != REMOTE_ACK_UNSEEN && now_us - a->wait_us > UNSEEN_US)
		a->wait = REMOTE_ACK_UNSEEN;
	if (a->wait != a->told) {
		log_event(a->wait == REMOTE_ACK_WAITS ? LOG_LEVEL_INFO
						      : LOG_LEVEL_WARNING,
		    a->wait == REMOTE_ACK_WAITS ? "wal_ack_waited_for"
						: "wal_ack_unproved",
		    remote_ack_wait_text(a->wait), "cluster", a->cluster->name,
		    NULL);
		a->told = a->wait;
	}
	if (there != LSN_NONE && there >= a->wait_lsn)
		a->covered = true;
	return a->wait == REMOTE_ACK_WAITS && a->covered;
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
		degrade(a);
	if (!server_waits(a, there, now_us))
		a->safe_until_us = 0;
	else if (!a->degraded)
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

static void
tell(const struct settings *s, const struct cluster_settings *c, uint32_t magic,
    uint32_t word, uint64_t lsn)
{
	AUTO_FREE char *path = path_of(s, c);
	AUTO_FD int fd = -1;
	struct sockaddr_un to;
	uint8_t m[MESSAGE_BYTES];

	if (c->wal_ack != WAL_ACK_REMOTE ||
	    local_address(&to, path, NULL) == -1 ||
	    (fd = local_socket(SOCK_DGRAM, NULL)) == -1)
		return;
	le32_put(m, magic);
	le32_put(m + 4, word);
	le64_put(m + 8, lsn);
	(void)sendto(fd, m, sizeof(m), 0, (struct sockaddr *)&to, sizeof(to));
}

void
remote_ack_tell(const struct settings *s, const struct cluster_settings *c,
    uint32_t timeline, uint64_t lsn)
{
	tell(s, c, MAGIC, timeline, lsn);
}

void
remote_ack_tell_wait(const struct settings *s, const struct cluster_settings *c,
    enum remote_ack_wait wait, uint64_t end)
{
	tell(s, c, MAGIC_WAIT, wait, end);
}
