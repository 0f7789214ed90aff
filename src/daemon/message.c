#include "daemon/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

int
message_pair(int fds[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		0, fds) == -1)
		return err_sys(e, "could not make a socket pair");
	return 0;
}

int
message_send(int fd, const json_t *message, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;

	json_write(message, &text);
	if (text.len > MESSAGE_BYTES_MAX)
		return err_set(e, ERR_BUG,
		    "a message of %zu bytes is larger than %zu", text.len,
		    MESSAGE_BYTES_MAX);
	while (
	    send(fd, text.data, text.len, MSG_DONTWAIT | MSG_NOSIGNAL) == -1) {
		if (errno == EINTR)
			continue;
		(void)err_sys(e, "could not send a message");
		if (e != NULL && (errno == EAGAIN || errno == ENOBUFS))
			e->kind = ERR_TRANSIENT;
		return -1;
	}
	return 0;
}

int
message_receive(int fd, json_t **message, struct err *e)
{
	AUTO_FREE char *text = mem_alloc(MESSAGE_BYTES_MAX);
	ssize_t n;

	do {
		/* The true length comes back, longer than the room for it. */
		n = recv(fd, text, MESSAGE_BYTES_MAX, MSG_DONTWAIT | MSG_TRUNC);
	} while (n == -1 && errno == EINTR);
	if (n == -1) {
		(void)err_sys(e, "could not receive a message");
		if (e != NULL && errno == EAGAIN)
			e->kind = ERR_TRANSIENT;
		return -1;
	}
	if (n == 0)
		return 0;
	if ((size_t)n > MESSAGE_BYTES_MAX)
		return err_set(
		    e, ERR_CORRUPT, "a message of %zd bytes is too large", n);
	*message = json_parse(text, (size_t)n, "message", e);
	return *message == NULL ? -1 : 1;
}

json_t *
message_of_event(enum log_level level, const char *event, const char *message,
    const char *const *keys, const char *const *values, unsigned int count)
{
	json_t *m = json_object(), *pairs = json_object();
	unsigned int i;

	json_set_str(m, "type", "event");
	(void)json_object_set_new(m, "time_us", json_integer(clock_now_us()));
	json_set_str(m, "level", log_level_name(level));
	json_set_str(m, "event", event);
	json_set_str(m, "message", message);
	for (i = 0; i < count; i++)
		json_set_str(pairs, keys[i], values[i]);
	(void)json_object_set_new(m, "values", pairs);
	return m;
}

const char *
message_text(const json_t *message, const char *key)
{
	return json_string_value(json_object_get(message, key));
}

int64_t
message_number(const json_t *message, const char *key)
{
	return json_get_int(message, key);
}

enum log_level
message_level(const json_t *event)
{
	const char *name = message_text(event, "level");
	int level;

	for (level = LOG_LEVEL_DEBUG; level < LOG_LEVEL_ERROR; level++)
		if (name != NULL &&
		    strcmp(name, log_level_name((enum log_level)level)) == 0)
			return (enum log_level)level;
	return LOG_LEVEL_ERROR;
}

const char *
message_event_cluster(const json_t *event)
{
	const char *cluster =
	    message_text(json_object_get(event, "values"), "cluster");

	return cluster == NULL ? "" : cluster;
}
