/*
 * Connections are handed from one process to another; what nobody takes, or
 * nobody can, is no loss.
 */

#include "link/handover.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "link/pair.h"
#include "unit/base_scratch.h"

#define MANY 2000

static void
check_one(int server)
{
	struct err e = ERR_INIT;
	int pair[2], got;
	char text[8] = "";

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		tap_bail("no sockets");
	tap_ok(handover_take(server) == -1, "nothing yet");
	tap_ok(handover_give("courier.osaka", pair[0], &e) == 0,
	    "one is given %s", e.text);
	(void)close(pair[0]);
	got = handover_take(server);
	tap_ok(got != -1 && (fcntl(got, F_GETFD) & FD_CLOEXEC) != 0,
	    "and taken, close-on-exec");
	tap_ok(write(pair[1], "hello", 5) == 5 && read(got, text, 7) == 5 &&
		strcmp(text, "hello") == 0,
	    "it is the one");
	(void)close(got);
	(void)close(pair[1]);
}

static void
check_other_things(int server)
{
	struct err e = ERR_INIT;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), before, after;

	before = dup(0);
	(void)close(before);
	tap_ok(handover_give("courier.osaka", fd, &e) == 0 &&
		handover_take(server) == -1,
	    "what is no connection is not taken");
	after = dup(0);
	(void)close(after);
	tap_u64((uint64_t)after, (uint64_t)before, "and is closed");
	(void)close(fd);
}

static void
check_full(int server)
{
	struct err e = ERR_INIT;
	int pair[2], given = 0, taken = 0, fd;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		tap_bail("no sockets");
	while (given < MANY && handover_give("courier.osaka", pair[0], &e) == 0)
		given++;
	tap_ok(given > 0 && given < MANY && e.kind == ERR_TRANSIENT,
	    "one that takes nothing is full some time (%d): %s", given, e.text);
	while ((fd = handover_take(server)) != -1) {
		taken++;
		(void)close(fd);
	}
	tap_u64((uint64_t)taken, (uint64_t)given, "all that were given come");
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static void
check_place(void)
{
	static const struct {
		const char *said, *host, *want;
	} cases[] = { { "", "192.0.2.7", "" },
		{ "*:7432", "192.0.2.7", "192.0.2.7:7432" },
		{ "*:7432", "2001:db8::7", "[2001:db8::7]:7432" },
		{ "dr:1, *:2,[::1]:3", "h", "dr:1, h:2, [::1]:3" },
		{ "nonsense, a:1", "h", "a:1" } };
	char out[512];
	size_t i;

	for (i = 0; i < COUNT_OF(cases); i++) {
		pair_place(cases[i].said, cases[i].host, out);
		tap_str(out, cases[i].want, "where the other site is");
	}
}

int
main(void)
{
	struct err e = ERR_INIT;
	AUTO_FREE char *path = handover_path("/run/pgkura", "osaka");
	struct stat st;
	int server;

	(void)scratch_enter();
	tap_str(path, "/run/pgkura/courier.osaka", "where a courier is");
	tap_ok(handover_give("courier.osaka", 0, &e) == -1 &&
		e.kind == ERR_NOT_FOUND,
	    "no courier: %s", e.text);
	server = handover_listen("courier.osaka", &e);
	if (server == -1)
		tap_bail("%s", e.text);
	tap_ok(stat("courier.osaka", &st) == 0 && (st.st_mode & 0777) == 0600,
	    "only its user may give");
	check_one(server);
	check_other_things(server);
	check_full(server);
	(void)close(server);
	tap_ok(handover_give("courier.osaka", 0, &e) == -1 &&
		e.kind == ERR_NOT_FOUND,
	    "a dead courier: %s", e.text);
	server = handover_listen("courier.osaka", &e);
	tap_ok(server != -1, "the next one takes its place %s", e.text);
	check_place();
	return tap_done();
}
