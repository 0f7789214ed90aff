#include "daemon/control_server.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/local.h"
#include "base/mem.h"
#include "jobs/control.h"

#define READ_BYTES 4096
#define NO_GROUP   ((gid_t)-1)

struct client {
	int fd; /* -1: a free place */
	bool is_owner;
	struct buf in, out;
	size_t written; /* of out */
	int64_t drop_us;
};

struct control_server {
	int fd;
	char *path;
	gid_t group; /* NO_GROUP: none */
	control_answer_fn *fn;
	void *arg;
	struct client clients[CONTROL_CLIENTS_MAX];
};

/* ---- the socket ---- */

struct control_server *
control_server_new(
    const struct settings *s, control_answer_fn *fn, void *arg, struct err *e)
{
	AUTO_CONTROL_SERVER struct control_server *c = mem_zalloc(sizeof(*c));
	size_t i;

	c->fd = -1;
	c->path = control_path(s);
	c->group = NO_GROUP;
	c->fn = fn;
	c->arg = arg;
	for (i = 0; i < CONTROL_CLIENTS_MAX; i++)
		c->clients[i].fd = -1;
	c->fd = local_listen(c->path, SOCK_STREAM, 0660, e);
	if (c->fd == -1 ||
	    control_server_set_group(c, s->socket_group, e) == -1)
		return NULL;
	return steal_ptr(&c);
}

int
control_server_set_group(
    struct control_server *c, const char *group, struct err *e)
{
	struct group *g = NULL;

	if (group != NULL && (g = getgrnam(group)) == NULL) {
		(void)err_set(e, ERR_USAGE,
		    "socket_group: there is no group \"%s\"", group);
		return err_hint(e, "\"getent group\" lists those there are.");
	}
	c->group = g == NULL ? NO_GROUP : g->gr_gid;
	if (chown(c->path, NO_GROUP, g == NULL ? getgid() : g->gr_gid) == -1) {
		(void)err_sys(e, "could not give \"%s\" to group \"%s\"",
		    c->path, group == NULL ? "of pgkurad" : group);
		return err_hint(
		    e, "The user that pgkurad runs as must be a member of it.");
	}
	return 0;
}

static void
drop(struct client *c)
{
	if (c->fd != -1)
		(void)close(c->fd);
	buf_free(&c->in);
	buf_free(&c->out);
	c->fd = -1;
}

void
control_server_free(struct control_server *c)
{
	size_t i;

	if (c == NULL)
		return;
	for (i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (c->clients[i].fd != -1)
			drop(&c->clients[i]);
	if (c->fd != -1) {
		(void)close(c->fd);
		(void)unlink(c->path);
	}
	free(c->path);
	free(c);
}

/* ---- clients ---- */

/* Is the client, as it was when it connected, of our group? */
static bool
in_group(const struct control_server *c, int fd, const struct ucred *peer)
{
	gid_t groups[256];
	socklen_t len = sizeof(groups);
	size_t i;

	if (c->group == NO_GROUP)
		return false;
	if (peer->gid == c->group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == -1)
		return false;
	for (i = 0; i < len / sizeof(groups[0]); i++)
		if (groups[i] == c->group)
			return true;
	return false;
}

/* The mode of the socket keeps others out already; this does not rely on it. */
static void
welcome(struct control_server *c, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct client *free_one = NULL;
	bool is_owner;
	size_t i;

	for (i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (c->clients[i].fd == -1)
			free_one = &c->clients[i];
	if (free_one == NULL ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1) {
		(void)close(fd);
		return;
	}
	is_owner = peer.uid == 0 || peer.uid == geteuid();
	if (!is_owner && !in_group(c, fd, &peer)) {
		(void)close(fd);
		return;
	}
	*free_one = (struct client){ .fd = fd,
		.is_owner = is_owner,
		.drop_us = clock_boot_us() + CONTROL_IDLE_US };
}

static void
accept_all(struct control_server *c)
{
	int fd;

	while ((fd = accept4(
		    c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) != -1)
		welcome(c, fd);
}

/* ---- requests ---- */

static void
set_error(json_t *reply, const struct err *e)
{
	json_t *error = json_object();

	(void)json_object_clear(reply);
	json_set_str(error, "kind", err_kind_name(e->kind));
	json_set_str(error, "message", e->text);
	if (e->hint[0] != '\0')
		json_set_str(error, "hint", e->hint);
	(void)json_object_set_new(reply, "error", error);
}

static int
ask(struct control_server *c, const struct client *client, const char *line,
    size_t len, json_t *reply, struct err *e)
{
	AUTO_JSON json_t *request = json_parse(line, len, "request", e);
	const char *name;
	uint32_t version;

	if (request == NULL || json_need_u32(request, "version", &version, e) ||
	    json_need_str(request, "request", &name, e)) {
		e->kind = ERR_USAGE;
		return -1;
	}
	if (version != CONTROL_VERSION)
		return err_set(e, ERR_USAGE,
		    "requests of version %u are not understood", version);
	return c->fn(c->arg, name, request, client->is_owner, reply, e);
}

static void
answer(struct control_server *c, struct client *client, const char *line,
    size_t len)
{
	AUTO_JSON json_t *reply = json_object();
	struct err e = ERR_INIT;
	bool ok = ask(c, client, line, len, reply, &e) == 0;

	if (!ok)
		set_error(reply, &e);
	(void)json_object_set_new(
	    reply, "version", json_integer(CONTROL_VERSION));
	(void)json_object_set_new(reply, "ok", json_boolean(ok));
	json_write(reply, &client->out);
	buf_put(&client->out, "\n", 1);
}

/* Whole lines are answered, one at a time: the next when that answer is gone. */
static void
answer_lines(struct control_server *c, struct client *client)
{
	struct buf *in = &client->in;
	const uint8_t *end;
	size_t len;

	if (client->out.len > 0 || in->len == 0 ||
	    (end = memchr(in->data, '\n', in->len)) == NULL)
		return;
	len = (size_t)(end - in->data);
	answer(c, client, (const char *)in->data, len);
	(void)memmove(in->data, end + 1, in->len - len - 1);
	in->len -= len + 1;
}

/* false when the client is to go. */
static bool
read_some(struct client *client)
{
	ssize_t n;

	if (client->out.len > 0)
		return true; /* it must read first */
	if (client->in.len > CONTROL_REQUEST_MAX)
		return false;
	n = recv(client->fd, buf_reserve(&client->in, READ_BYTES), READ_BYTES,
	    MSG_DONTWAIT);
	if (n == -1)
		return errno == EAGAIN || errno == EINTR;
	client->in.len += (size_t)n;
	if (n > 0)
		client->drop_us = clock_boot_us() + CONTROL_IDLE_US;
	return n > 0;
}

static bool
write_some(struct client *client)
{
	ssize_t n;

	while (client->written < client->out.len) {
		n = send(client->fd, client->out.data + client->written,
		    client->out.len - client->written,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n == -1)
			return errno == EAGAIN || errno == EINTR;
		client->written += (size_t)n;
		client->drop_us = clock_boot_us() + CONTROL_IDLE_US;
	}
	buf_clear(&client->out);
	client->written = 0;
	return true;
}

static bool
serve(struct control_server *c, struct client *client)
{
	if (clock_boot_us() >= client->drop_us || !read_some(client))
		return false;
	answer_lines(c, client);
	return write_some(client);
}

/* ---- from the daemon's loop ---- */

size_t
control_server_poll(const struct control_server *c, struct pollfd *out)
{
	const struct client *client;
	size_t i, count = 0;

	out[count++] = (struct pollfd){ c->fd, POLLIN, 0 };
	for (i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		client = &c->clients[i];
		if (client->fd != -1)
			out[count++] = (struct pollfd){ client->fd,
				client->out.len > 0 ? POLLOUT : POLLIN, 0 };
	}
	return count;
}

int64_t
control_server_tick(struct control_server *c)
{
	int64_t next_us = INT64_MAX;
	struct client *client;
	size_t i;

	accept_all(c);
	for (i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		client = &c->clients[i];
		if (client->fd == -1)
			continue;
		if (!serve(c, client)) {
			drop(client);
			continue;
		}
		if (client->drop_us < next_us)
			next_us = client->drop_us;
		/* A second line that came with the first. */
		if (client->out.len == 0 && client->in.len > 0 &&
		    memchr(client->in.data, '\n', client->in.len) != NULL)
			next_us = 0;
	}
	return next_us;
}
