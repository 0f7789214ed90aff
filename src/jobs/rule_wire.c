#include "jobs/rule_wire.h"

#include <string.h>

#include "base/le.h"
#include "base/local.h"
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

int
rule_wire_listen(const char *path, struct err *e)
{
	return local_listen(path, SOCK_DGRAM, 0600, e);
}

void
rule_wire_send(int fd, const char *path, const struct rule_wire *w)
{
	uint8_t out[RULE_WIRE_BYTES_MAX];
	size_t name_len = strlen(w->name);
	struct sockaddr_un a;

	if (fd == -1 || w->len > sizeof(w->content) ||
	    local_address(&a, path, NULL) == -1)
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
