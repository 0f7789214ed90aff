#include "jobs/rule_wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/le.h"
#include "base/mem.h"

#define HEAD 10

char *
rule_wire_rule_path(const char *runtime_dir, const char *cluster)
{
	return mem_printf("%s/rule.%s", runtime_dir, cluster);
}

char *
rule_wire_courier_path(const char *runtime_dir, const char *peer)
{
	return mem_printf("%s/rules.%s", runtime_dir, peer);
}

static int
set_path(struct sockaddr_un *a, const char *path, struct err *e)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(a->sun_path)) {
		(void)err_set(
		    e, ERR_USAGE, "socket path \"%s\" is too long", path);
		return err_hint(e, "Set a shorter runtime_dir.");
	}
	(void)strcpy(a->sun_path, path);
	return 0;
}

int
rule_wire_listen(const char *path, struct err *e)
{
	AUTO_FD int fd =
	    socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a;
	mode_t mask;
	int rc;

	if (fd == -1)
		return err_sys(e, "could not make a socket");
	if (set_path(&a, path, e) == -1)
		return -1;
	if (unlink(path) == -1 && errno != ENOENT)
		return err_sys(e, "could not remove old \"%s\"", path);
	mask = umask(0177);
	rc = bind(fd, (struct sockaddr *)&a, sizeof(a));
	(void)umask(mask);
	if (rc == -1)
		return err_sys(e, "could not listen at \"%s\"", path);
	return steal_fd(&fd);
}

void
rule_wire_send(int fd, const char *path, const struct rule_wire *w)
{
	uint8_t out[RULE_WIRE_BYTES_MAX];
	size_t name_len = strlen(w->name);
	struct sockaddr_un a;

	if (fd == -1 || w->len > sizeof(w->content) ||
	    set_path(&a, path, NULL) == -1)
		return;
	out[0] = (uint8_t)w->kind;
	out[1] = (uint8_t)name_len;
	le64_put(out + 2, (uint64_t)w->us);
	(void)memcpy(out + HEAD, w->name, name_len);
	(void)memcpy(out + HEAD + name_len, w->content, w->len);
	(void)sendto(fd, out, HEAD + name_len + w->len, MSG_DONTWAIT,
	    (const struct sockaddr *)&a, sizeof(a));
}

int
rule_wire_receive(int fd, struct rule_wire *w)
{
	uint8_t in[RULE_WIRE_BYTES_MAX];
	size_t name_len;
	ssize_t n;

	for (;;) {
		n = recv(fd, in, sizeof(in), MSG_DONTWAIT);
		if (n == -1)
			return 0;
		if (n < HEAD)
			continue;
		name_len = in[1];
		if (name_len >= sizeof(w->name) ||
		    HEAD + name_len > (size_t)n ||
		    (size_t)n - HEAD - name_len > sizeof(w->content))
			continue;
		w->kind = (enum rule_wire_kind)in[0];
		w->us = (int64_t)le64_get(in + 2);
		(void)memcpy(w->name, in + HEAD, name_len);
		w->name[name_len] = '\0';
		w->len = (size_t)n - HEAD - name_len;
		(void)memcpy(w->content, in + HEAD + name_len, w->len);
		return 1;
	}
}
