#include "jobs/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/local.h"

json_t *
control_request(const char *name)
{
	json_t *o = json_object();

	(void)json_object_set_new(o, "version", json_integer(CONTROL_VERSION));
	json_set_str(o, "request", name);
	return o;
}

char *
control_path(const struct settings *s)
{
	return file_join(s->runtime_dir, CONTROL_SOCKET);
}

static int
open_socket(const struct settings *s, struct err *e)
{
	struct sockaddr_un address;
	AUTO_FREE char *path = control_path(s);
	AUTO_FD int fd = -1;

	if (local_address(&address, path, e) == -1)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return err_sys(e, "could not make a socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return steal_fd(&fd);
	if (errno == ENOENT || errno == ECONNREFUSED) {
		(void)err_set(e, ERR_NOT_FOUND, "pgkurad does not run");
		return err_hint(
		    e, "Start it with \"systemctl start pgkurad\".");
	}
	(void)err_sys(e, "could not connect to \"%s\"", path);
	if (e != NULL && (errno == EACCES || errno == EPERM)) {
		e->kind = ERR_REFUSED;
		(void)err_hint(e,
		    "Run this as root, as the user of pgkurad, or as a member "
		    "of a group that socket_group or the like names.");
	}
	return -1;
}

/* Who may nothing is told so and cut off before it has asked: that is read next. */
static int
send_all(int fd, const struct buf *text, struct err *e)
{
	size_t done = 0;
	ssize_t n;

	while (done < text->len) {
		n = send(fd, text->data + done, text->len - done, MSG_NOSIGNAL);
		if (n == -1 && (errno == EPIPE || errno == ECONNRESET))
			return 0;
		if (n == -1 && errno != EINTR)
			return err_sys(e, "could not write to pgkurad");
		done += n == -1 ? 0 : (size_t)n;
	}
	return 0;
}

/* One line into reply, without its end. */
static int
read_line(int fd, int64_t until_us, struct buf *reply, struct err *e)
{
	struct pollfd p = { fd, POLLIN, 0 };
	int64_t left_us;
	ssize_t n;

	for (;;) {
		left_us = until_us - clock_boot_us();
		if (left_us <= 0 || reply->len > CONTROL_REPLY_MAX)
			return err_set(e, ERR_TRANSIENT,
			    "pgkurad gave no whole answer in time");
		if (poll(&p, 1, (int)(left_us / 1000) + 1) == -1 &&
		    errno != EINTR)
			return err_sys(e, "could not wait for pgkurad");
		n = recv(fd, buf_reserve(reply, 65536), 65536, MSG_DONTWAIT);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n == -1)
			return err_sys(e, "could not read from pgkurad");
		if (n == 0)
			return err_set(
			    e, ERR_TRANSIENT, "pgkurad closed the connection");
		reply->len += (size_t)n;
		if (reply->data[reply->len - 1] == '\n')
			return 0;
	}
}

json_t *
control_error_json(const struct err *e)
{
	json_t *error = json_object();

	json_set_str(error, "kind", err_kind_name(e->kind));
	json_set_str(error, "message", e->text);
	if (e->hint[0] != '\0')
		json_set_str(error, "hint", e->hint);
	return error;
}

int
control_error_read(const json_t *error, struct err *e)
{
	const char *kind = json_string_value(json_object_get(error, "kind"));
	const char *text = json_string_value(json_object_get(error, "message"));
	const char *hint = json_string_value(json_object_get(error, "hint"));
	int k;

	for (k = ERR_NONE + 1; k < ERR_BUG; k++)
		if (kind != NULL &&
		    strcmp(kind, err_kind_name((enum err_kind)k)) == 0)
			break;
	(void)err_set(e, (enum err_kind)k, "%s",
	    text == NULL ? "pgkurad refused without a word" : text);
	if (hint != NULL)
		(void)err_hint(e, "%s", hint);
	return -1;
}

json_t *
control_ask(const struct settings *s, const json_t *request, int timeout_ms,
    struct err *e)
{
	AUTO_FD int fd = open_socket(s, e);
	AUTO_BUF struct buf text = BUF_INIT, answer = BUF_INIT;
	AUTO_JSON json_t *reply = NULL;

	if (fd == -1)
		return NULL;
	json_write(request, &text);
	buf_put(&text, "\n", 1);
	if (send_all(fd, &text, e) == -1 ||
	    read_line(fd, clock_boot_us() + (int64_t)timeout_ms * 1000, &answer,
		e) == -1)
		return NULL;
	reply = json_parse(answer.data, answer.len, "answer of pgkurad", e);
	if (reply == NULL)
		return NULL;
	if (!json_is_true(json_object_get(reply, "ok"))) {
		(void)control_error_read(json_object_get(reply, "error"), e);
		return NULL;
	}
	return steal_ptr(&reply);
}
