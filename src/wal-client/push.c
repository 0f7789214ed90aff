/*
 * push: hand a file to the daemon, and with it those that come next.
 *
 * The daemon answers when the file is durable in the repository.  It gets open
 * descriptors, so it needs no rights in the data directory.  The bytes of
 * request and answer are described in jobs/archive_wire.h.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "wal-client/client.h"

#define SOCKET_DEFAULT "/run/pgkura/wal.sock"
#define FILES_MAX      8
#define NAME_MAX_BYTES 100
#define PATH_BYTES     4096
#define ANSWER_MS      (120 * 1000)
#define ANSWER_MAX     1024

struct request {
	uint8_t data[16 + FILES_MAX * (NAME_MAX_BYTES + 1)];
	size_t len;
	unsigned int count;
	int fds[FILES_MAX + 1];
	unsigned int fd_count;
};

/* ---- making the request ---- */

static void
put_le16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v & 0xff);
	p[1] = (uint8_t)(v >> 8 & 0xff);
}

static bool
add_file(struct request *r, const char *name, int fd)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX_BYTES || r->count == FILES_MAX)
		return false;
	r->data[r->len++] = (uint8_t)len;
	(void)memcpy(r->data + r->len, name, len);
	r->len += len;
	r->fds[r->fd_count++] = fd;
	r->count++;
	return true;
}

/* The name behind this one: the last 8 digits count up to 4 GiB of segments. */
static void
next_name(char name[25], unsigned long segment_bytes)
{
	unsigned long timeline, log, segment;
	char part[9] = "";

	(void)memcpy(part, name, 8);
	timeline = strtoul(part, NULL, 16);
	(void)memcpy(part, name + 8, 8);
	log = strtoul(part, NULL, 16);
	(void)memcpy(part, name + 16, 8);
	segment = strtoul(part, NULL, 16) + 1;
	if (segment >= 0x100000000ul / segment_bytes) {
		segment = 0;
		log++;
	}
	(void)snprintf(name, 25, "%08lX%08lX%08lX", timeline & 0xffffffff,
	    log & 0xffffffff, segment & 0xffffffff);
}

/* Segments behind the first that the server wants archived too. */
static void
add_ready(struct request *r, const char *folder, const char *first)
{
	char name[25], path[PATH_BYTES];
	struct stat st;
	int fd;

	if (fstat(r->fds[0], &st) == -1 || st.st_size < 1 << 20 ||
	    (st.st_size & (st.st_size - 1)) != 0)
		return;
	(void)memcpy(name, first, sizeof(name));
	while (r->count < FILES_MAX) {
		next_name(name, (unsigned long)st.st_size);
		(void)snprintf(path, sizeof(path), "%s/archive_status/%s.ready",
		    folder, name);
		if (access(path, F_OK) == -1)
			return;
		(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd == -1 || !add_file(r, name, fd))
			return;
	}
}

/* What says which cluster it is, for files that do not say it. */
static bool
add_control(struct request *r, const char *folder)
{
	char path[PATH_BYTES];
	int fd;

	if (snprintf(path, sizeof(path), "%s/../global/pg_control", folder) >=
	    (int)sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return false;
	r->fds[r->fd_count++] = fd;
	return true;
}

static bool
make_request(struct request *r, const char *path)
{
	const char *name = base_name(path);
	char folder[PATH_BYTES - 64];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool control = false;

	if (fd == -1) {
		complain(errno, "could not open \"%s\"", path);
		return false;
	}
	(void)memset(r, 0, sizeof(*r));
	r->len = 16;
	if (!folder_of(path, folder, sizeof(folder)) ||
	    !add_file(r, name, fd)) {
		complain(0, "\"%s\" is not the path of a WAL file", path);
		return false;
	}
	if (is_segment(name))
		add_ready(r, folder, name);
	else
		control = add_control(r, folder);
	(void)memcpy(r->data, "PGKPUSH\n", 8);
	put_le16(r->data + 8, 1);
	put_le16(r->data + 10, r->count);
	put_le16(r->data + 12, control ? 1 : 0);
	return true;
}

/* ---- talking ---- */

/* A connection to the daemon, or -1 when there is none. */
static int
connect_daemon(const struct options *o)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *path = o->socket;
	int fd;

	if (path == NULL)
		path = getenv("PGKURA_WAL_SOCKET");
	if (path == NULL)
		path = SOCKET_DEFAULT;
	if (strlen(path) >= sizeof(a.sun_path))
		return -1;
	(void)strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd == -1 || connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static bool
send_request(int fd, struct request *r)
{
	union {
		struct cmsghdr head;
		uint8_t bytes[CMSG_SPACE((FILES_MAX + 1) * sizeof(int))];
	} control;
	struct iovec iov = { r->data, r->len };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(r->fd_count * sizeof(int)) };

	(void)memset(&control, 0, sizeof(control));
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(r->fd_count * sizeof(int));
	(void)memcpy(
	    CMSG_DATA(&control.head), r->fds, r->fd_count * sizeof(int));
	return sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)r->len;
}

static void
print_refusal(char *text)
{
	char *hint = strchr(text, '\n');

	if (hint != NULL)
		*hint++ = '\0';
	complain(0, "%s", text);
	if (hint != NULL && *hint != '\0')
		(void)fprintf(stderr, "HINT:  %s\n", hint);
}

/* The exit status that the daemon wants, or -1 when it said nothing. */
static int
read_answer(int fd)
{
	uint8_t answer[ANSWER_MAX + 1];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t len;

	if (poll(&p, 1, ANSWER_MS) == 0) {
		complain(0, "the daemon did not answer within %d s",
		    ANSWER_MS / 1000);
		return EXIT_REFUSED;
	}
	len = recv(fd, answer, ANSWER_MAX, 0);
	if (len < 16 || memcmp(answer, "PGKPUSHA", 8) != 0 || answer[8] != 1 ||
	    answer[9] != 0)
		return -1;
	if (answer[10] == 0 && answer[11] == 0)
		return 0;
	answer[len] = '\0';
	print_refusal((char *)answer + 16);
	return EXIT_REFUSED;
}

int
push(const struct options *o)
{
	struct request r;
	int fd = connect_daemon(o), status = -1;

	if (fd != -1) {
		if (!make_request(&r, o->args[0]))
			return EXIT_REFUSED;
		if (send_request(fd, &r))
			status = read_answer(fd);
	}
	if (status != -1)
		return status;
	/* No daemon, or it ended: pgkura does it itself. */
	become_pgkura(o, "push");
	return EXIT_REFUSED;
}
