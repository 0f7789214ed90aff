#include "daemon/control_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/local.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/control_right.h"
#include "jobs/control.h"

#define READ_BYTES	 4096
#define NO_GROUP	 ((gid_t)-1)
#define PEER_GROUPS_MAX	 65536 /* NGROUPS_MAX */
#define REFUSALS_MAX	 20    /* are told in a minute */
#define REFUSALS_TIME_US (60 * CLOCK_SECOND_US)

struct client {
	int fd; /* -1: a free place */
	struct control_peer peer;
	struct buf in, out;
	size_t written; /* of out */
	int64_t drop_us;
};

struct control_server {
	int fd;
	char *path;
	struct control_rights rights;
	unsigned int refusals; /* since */
	int64_t refusals_us;
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
	c->refusals_us = -REFUSALS_TIME_US;
	c->fn = fn;
	c->arg = arg;
	for (i = 0; i < CONTROL_CLIENTS_MAX; i++)
		c->clients[i].fd = -1;
	c->fd = local_listen(c->path, SOCK_STREAM, 0660, e);
	if (c->fd == -1 || control_server_set_groups(c, s, e) == -1)
		return NULL;
	return steal_ptr(&c);
}

/* Its mode keeps out who is in no group, as long as it can say that. */
int
control_server_set_groups(
    struct control_server *c, const struct settings *s, struct err *e)
{
	struct control_rights r;
	bool has_group;

	if (control_right_read(s, &r, e) == -1)
		return -1;
	has_group = r.socket_group != NO_GROUP;
	if (chown(c->path, (uid_t)-1, has_group ? r.socket_group : getgid()) ==
	    -1) {
		(void)err_sys(e, "could not give \"%s\" to group \"%s\"",
		    c->path, has_group ? s->socket_group : "of pgkurad");
		return err_hint(
		    e, "The user that pgkurad runs as must be a member of it.");
	}
	if (chmod(c->path, r.by_role ? 0666 : 0660) == -1)
		return err_sys(e, "could not open \"%s\" to groups", c->path);
	c->rights = r;
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

/* ---- what is refused ---- */

static void
set_error(json_t *reply, const struct err *e)
{
	(void)json_object_clear(reply);
	(void)json_object_set_new(reply, "error", control_error_json(e));
}

static void
finish_reply(json_t *reply, bool ok, struct buf *out)
{
	(void)json_object_set_new(
	    reply, "version", json_integer(CONTROL_VERSION));
	(void)json_object_set_new(reply, "ok", json_boolean(ok));
	json_write(reply, out);
	buf_put(out, "\n", 1);
}

/* Anybody can ask as often as they like. */
static void
tell_refused(struct control_server *c, const struct control_peer *peer,
    const char *request)
{
	AUTO_FREE char *uid = mem_printf("%lu", (unsigned long)peer->uid);
	AUTO_FREE char *more = NULL;
	int64_t now_us = clock_boot_us();

	if (now_us - c->refusals_us >= REFUSALS_TIME_US) {
		if (c->refusals > REFUSALS_MAX)
			more = mem_printf("%u", c->refusals - REFUSALS_MAX);
		c->refusals = 0;
		c->refusals_us = now_us;
	}
	if (c->refusals++ >= REFUSALS_MAX)
		return;
	log_event(LOG_LEVEL_WARNING, "control_refused",
	    "a user asked at the control socket for what he may not", "uid",
	    uid, "request", request, "untold", more, NULL);
}

/* A word to who may nothing: it takes no place, or strangers could take all. */
static void
turn_away(struct control_server *c, int fd, const struct control_peer *peer)
{
	AUTO_JSON json_t *reply = json_object();
	AUTO_BUF struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	(void)control_right_check(0, CONTROL_RIGHT_OBSERVE, "status", &e);
	set_error(reply, &e);
	finish_reply(reply, false, &out);
	(void)send(fd, out.data, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	tell_refused(c, peer, NULL);
}

/* ---- clients ---- */

/* Its groups as they were when it connected. */
static unsigned int
rights_by_groups(const struct control_server *c, int fd, gid_t first)
{
	AUTO_FREE gid_t *more = NULL;
	gid_t some[64], *groups = some;
	socklen_t len = sizeof(some);
	unsigned int rights = control_right_of(&c->rights, &first, 1);
	int rc = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len);

	if (rc == -1 && errno == ERANGE &&
	    len <= PEER_GROUPS_MAX * sizeof(gid_t)) {
		groups = more = mem_alloc(len);
		rc = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len);
	}
	if (rc == -1)
		return rights;
	return rights |
	    control_right_of(&c->rights, groups, len / sizeof(gid_t));
}

/* The mode of the socket may keep others out already; this does not rely on it. */
static bool
know_peer(const struct control_server *c, int fd, struct control_peer *out)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1)
		return false;
	*out = (struct control_peer){ .uid = peer.uid, .pid = peer.pid };
	out->rights = peer.uid == 0 || peer.uid == geteuid()
	    ? CONTROL_RIGHTS_ALL
	    : rights_by_groups(c, fd, peer.gid);
	return true;
}

static struct client *
find_place(struct control_server *c, const struct control_peer *peer)
{
	size_t i,
	    left = (peer->rights & CONTROL_RIGHT_OWNER) != 0
	    ? 0
	    : CONTROL_OWNERS_OWN;

	for (i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (c->clients[i].fd == -1 && left-- == 0)
			return &c->clients[i];
	return NULL;
}

static void
welcome(struct control_server *c, int fd)
{
	struct client *place = NULL;
	struct control_peer peer;

	if (!know_peer(c, fd, &peer)) {
		(void)close(fd);
		return;
	}
	if (peer.rights == 0)
		turn_away(c, fd, &peer);
	else
		place = find_place(c, &peer);
	if (place == NULL) {
		(void)close(fd);
		return;
	}
	*place = (struct client){ .fd = fd,
		.peer = peer,
		.drop_us = clock_boot_us() + CONTROL_IDLE_US };
}

/* Those that are left wait for the next turn. */
static void
accept_some(struct control_server *c)
{
	int fd, count = 0;

	while (count++ < CONTROL_CLIENTS_MAX * 2 &&
	    (fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) !=
		-1)
		welcome(c, fd);
}

/* ---- requests ---- */

static int
ask(struct control_server *c, struct client *client, const char *line,
    size_t len, json_t *reply, struct err *e)
{
	AUTO_JSON json_t *request = json_parse(line, len, "request", e);
	bool was_refused = client->peer.is_refused;
	const char *name;
	uint32_t version;
	int rc;

	if (request == NULL || json_need_u32(request, "version", &version, e) ||
	    json_need_str(request, "request", &name, e)) {
		e->kind = ERR_USAGE;
		return -1;
	}
	if (version != CONTROL_VERSION)
		return err_set(e, ERR_USAGE,
		    "requests of version %u are not understood", version);
	/* The settings may be others since. */
	if (!know_peer(c, client->fd, &client->peer))
		return err_set(e, ERR_REFUSED, "it is not known who asks");
	rc = c->fn(c->arg, name, request, &client->peer, reply, e);
	if (client->peer.is_refused && !was_refused)
		tell_refused(c, &client->peer, name);
	client->peer.is_refused |= was_refused;
	return rc;
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
	finish_reply(reply, ok, &client->out);
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

	accept_some(c);
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
