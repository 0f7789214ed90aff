#include "pg/server_pidfile.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/file.h"

#define PIDFILE_BYTES_MAX 8192

/* Line number n, from 1, into out; "" when it is not there or too long. */
static void
line(const char *text, int n, char *out, size_t out_bytes)
{
	size_t len;

	out[0] = '\0';
	for (; n > 1; n--) {
		text = strchr(text, '\n');
		if (text == NULL)
			return;
		text++;
	}
	len = strcspn(text, "\n");
	if (len >= out_bytes)
		return;
	while (len > 0 && text[len - 1] == ' ')
		len--;
	(void)memcpy(out, text, len);
	out[len] = '\0';
}

int
server_pidfile_read(const char *pgdata, struct server_pidfile *f, struct err *e)
{
	AUTO_FREE char *path = file_join(pgdata, "postmaster.pid");
	AUTO_BUF struct buf text = BUF_INIT;
	struct err why = ERR_INIT;
	char number[32];
	long pid;

	(void)memset(f, 0, sizeof(*f));
	if (file_slurp_at(AT_FDCWD, path, PIDFILE_BYTES_MAX, &text, &why) ==
	    -1) {
		if (why.kind == ERR_NOT_FOUND)
			return 0;
		*e = why;
		return -1;
	}
	/* It is written in steps while a server starts: take what is there. */
	line(buf_str(&text), 1, number, sizeof(number));
	pid = labs(atol(number));
	if (pid > 1 && pid <= INT32_MAX)
		f->pid = (pid_t)pid;
	line(buf_str(&text), 4, number, sizeof(number));
	f->port = atoi(number);
	line(buf_str(&text), 5, f->socket_dir, sizeof(f->socket_dir));
	line(buf_str(&text), 6, f->address, sizeof(f->address));
	line(buf_str(&text), 8, f->status, sizeof(f->status));
	return 0;
}
