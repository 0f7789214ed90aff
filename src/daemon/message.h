#ifndef DAEMON_MESSAGE_H
#define DAEMON_MESSAGE_H

/*
 * message: what duties and supervisor tell each other, one JSON object a
 * packet over a SOCK_SEQPACKET socket pair.  "type" says what it is:
 *
 *	event	something happened (base/log.h): time_us, level, event,
 *		message, values
 *	cluster, site	what the watcher saw (facts.h)
 *	job	a job started or ended, for and from the history (state.h)
 *	ready	the history has told all it knew
 *	order	what a job is to do, from the supervisor
 *
 * Neither side waits for the other: a packet that does not fit is refused.
 */

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

#define MESSAGE_BYTES_MAX ((size_t)64 << 10)

/* Both ends are not blocking and O_CLOEXEC. */
int message_pair(int fds[2], struct err *e);

/* ERR_TRANSIENT when the other side has too much to read already. */
int message_send(int fd, const json_t *message, struct err *e);

/* 1 with *message, 0 at the end, -1; ERR_TRANSIENT when there is nothing now,
 * ERR_CORRUPT when it is no message. */
int message_receive(int fd, json_t **message, struct err *e);

/* An event, as a log_sink gets it, that happens now. */
json_t *
message_of_event(enum log_level level, const char *event, const char *message,
    const char *const *keys, const char *const *values, unsigned int count);

/* A string member, or NULL. */
const char *message_text(const json_t *message, const char *key);
/* An integer member, 0 when there is none. */
int64_t message_number(const json_t *message, const char *key);
/* The level of an event; what is unknown is an error. */
enum log_level message_level(const json_t *event);
/* "cluster" among an event's values, "" when there is none. */
const char *message_event_cluster(const json_t *event);

#endif /* !DAEMON_MESSAGE_H */
