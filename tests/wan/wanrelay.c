/*
 * wanrelay: a line between two network namespaces.
 *
 *	wanrelay run [-s SEED] [-d] SOCKET NETNS:TUN NETNS:TUN [WORD...]
 *	wanrelay SOCKET WORD...
 *	wanrelay profiles
 *
 * "run" moves IP packets between TUN devices a and b, says "ready" and listens
 * at SOCKET.  NETNS is a name of ip-netns(8) or a path.  -d: end with the
 * process that started it.  The second form sends words to a relay and prints
 * its answer: words of setup.h, and "show", "counters", "reset".  Nothing is
 * done when a word is wrong.  doc/wan.md says more.
 */

#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/mem.h"
#include "wan/line.h"
#include "wan/setup.h"

#define CLIENTS_MAX   8
#define MESSAGE_BYTES 16384
#define READS_A_TURN  64 /* packets of one side, then the other's turn */

struct relay {
	struct setup setup;
	struct line *line[SETUP_DIRECTIONS]; /* from tun[i] to tun[1 - i] */
	int tun[SETUP_DIRECTIONS];
	int listener;
	int client[CLIENTS_MAX];
	int64_t start_ns;
	int64_t up_ns; /* when an outage ends, LINE_NEVER when none does */
};

static int64_t
now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- opening ---- */

static int
open_namespace(const char *name, struct err *e)
{
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s%s",
	    strchr(name, '/') == NULL ? "/run/netns/" : "", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd != -1 ? fd : err_sys(e, "could not open \"%s\"", path);
}

/* Attach to the TUN device that "NETNS:TUN" names. */
static int
open_tun(const char *word, struct err *e)
{
	AUTO_FREE char *netns = mem_strdup(word);
	char *name = strrchr(netns, ':');
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	AUTO_FD int ns = -1;
	AUTO_FD int fd = -1;

	if (name == NULL || strlen(name + 1) >= sizeof(request.ifr_name))
		return err_set(e, ERR_USAGE, "\"%s\" is not NETNS:TUN", word);
	*name++ = '\0';
	(void)strcpy(request.ifr_name, name);
	ns = open_namespace(netns, e);
	if (ns == -1)
		return -1;
	if (setns(ns, CLONE_NEWNET) == -1)
		return err_sys(e, "could not enter namespace \"%s\"", netns);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1)
		return err_sys(e, "could not open \"/dev/net/tun\"");
	if (ioctl(fd, TUNSETIFF, &request) == -1)
		return err_sys(e, "could not attach to \"%s\"", word);
	return steal_fd(&fd);
}

static int
set_address(struct sockaddr_un *a, const char *path, struct err *e)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(a->sun_path))
		return err_set(e, ERR_USAGE, "\"%s\" is too long", path);
	(void)strcpy(a->sun_path, path);
	return 0;
}

/* A socket of whole messages, listening or connected. */
static int
open_socket(const char *path, bool listening, struct err *e)
{
	struct sockaddr_un a;
	AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return err_sys(e, "could not make a socket");
	if (set_address(&a, path, e) == -1)
		return -1;
	if (!listening) {
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == -1)
			return err_sys(e, "could not reach \"%s\"", path);
		return steal_fd(&fd);
	}
	(void)unlink(path);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1 ||
	    listen(fd, CLIENTS_MAX) == -1)
		return err_sys(e, "could not listen at \"%s\"", path);
	if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
		return err_sys(e, "could not set \"%s\"", path);
	return steal_fd(&fd);
}

/* Be woken in time on a busy machine, as far as we may. */
static void
be_punctual(void)
{
	struct sched_param p = { .sched_priority = 1 };

	(void)sched_setscheduler(0, SCHED_RR, &p);
	(void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}

/* ---- packets ---- */

static bool
write_packet(void *arg, const uint8_t *packet, size_t len)
{
	const int *fd = arg;

	return write(*fd, packet, len) == (ssize_t)len;
}

static void
read_packets(struct relay *r, size_t side)
{
	uint8_t packet[LINE_PACKET_MAX];
	ssize_t len;
	int64_t t;
	int i;

	for (i = 0; i < READS_A_TURN; i++) {
		len = read(r->tun[side], packet, sizeof(packet));
		if (len <= 0)
			return;
		t = now();
		line_run(r->line[side], t);
		line_offer(r->line[side], t, packet, (size_t)len);
	}
}

/* ---- control ---- */

/* Bring the lines to what r->setup says. */
static void
apply(struct relay *r, bool was_down)
{
	struct setup *s = &r->setup;
	size_t i;

	for (i = 0; i < SETUP_DIRECTIONS; i++) {
		line_set(r->line[i], &s->line[i]);
		if (s->down && !was_down)
			line_cut(r->line[i]);
		else if (!s->down)
			line_set_up(r->line[i]);
	}
	if (s->outage_ns != 0)
		r->up_ns = now() + s->outage_ns;
	else if (!s->down || !was_down)
		r->up_ns = LINE_NEVER;
	s->outage_ns = 0;
}

static void
end_outage(struct relay *r)
{
	r->setup.down = false;
	apply(r, true);
}

static void
print_counters(const struct relay *r, FILE *out)
{
	static const char *const names[SETUP_DIRECTIONS] = { "ab", "ba" };
	const struct line_counters *c;
	size_t i, why;

	fprintf(out, "clock_us %" PRId64 "\n", (now() - r->start_ns) / 1000);
	fprintf(out, "line %s\n", r->setup.down ? "down" : "up");
	for (i = 0; i < SETUP_DIRECTIONS; i++) {
		c = line_counters(r->line[i]);
#define SAY(name, value) \
	fprintf(out, "%s.%s %" PRIu64 "\n", names[i], name, (uint64_t)(value))
		SAY("offered_packets", c->offered_packets);
		SAY("offered_bytes", c->offered_bytes);
		SAY("sent_packets", c->sent_packets);
		SAY("sent_bytes", c->sent_bytes);
		SAY("sent_us", c->sent_ns / 1000);
		SAY("out_packets", c->out_packets);
		SAY("out_bytes", c->out_bytes);
		for (why = 0; why < LINE_DROPS; why++)
			fprintf(out, "%s.dropped_%s %" PRIu64 "\n", names[i],
			    line_drop_name((enum line_drop)why),
			    c->dropped[why]);
		SAY("duplicated", c->duplicated);
		SAY("corrupted", c->corrupted);
		SAY("overtaken", c->overtaken);
		SAY("held_packets", c->held_packets);
		SAY("held_bytes", c->held_bytes);
		SAY("queue_bytes", c->queue_bytes);
		SAY("queue_max_bytes", c->queue_max_bytes);
		SAY("late_max_us", c->late_max_ns / 1000);
		SAY("late_sum_us", c->late_sum_ns / 1000);
#undef SAY
	}
}

static void
reset_counters(struct relay *r)
{
	size_t i;

	for (i = 0; i < SETUP_DIRECTIONS; i++)
		line_reset_counters(r->line[i]);
}

/* Do what a message asks: all its settings, then its questions. */
static void
answer(struct relay *r, char *message, FILE *out)
{
	struct setup s = r->setup;
	bool was_down = s.down, show = false, counters = false, reset = false;
	struct err e = ERR_INIT;
	char *word, *rest = NULL;

	for (word = strtok_r(message, " \n", &rest); word != NULL;
	     word = strtok_r(NULL, " \n", &rest)) {
		if (strcmp(word, "show") == 0) {
			show = true;
		} else if (strcmp(word, "counters") == 0) {
			counters = true;
		} else if (strcmp(word, "reset") == 0) {
			reset = true;
		} else if (setup_word(&s, word, &e) == -1) {
			fprintf(out, "error %s\n", e.text);
			return;
		}
	}
	r->setup = s;
	apply(r, was_down);
	fprintf(out, "ok\n");
	if (show)
		setup_print(&r->setup, out);
	if (counters)
		print_counters(r, out);
	if (reset)
		reset_counters(r);
}

/* One message of a client; false when it has gone. */
static bool
serve(struct relay *r, int client)
{
	char message[MESSAGE_BYTES], text[MESSAGE_BYTES];
	ssize_t len = recv(client, message, sizeof(message) - 1, 0);
	FILE *out;
	long bytes;

	if (len <= 0)
		return false;
	message[len] = '\0';
	out = fmemopen(text, sizeof(text), "w");
	if (out == NULL)
		return false;
	answer(r, message, out);
	bytes = ftell(out);
	return fclose(out) == 0 && bytes > 0 &&
	    send(client, text, (size_t)bytes, MSG_NOSIGNAL | MSG_DONTWAIT) ==
	    bytes;
}

static void
accept_client(struct relay *r)
{
	int fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
	size_t i;

	for (i = 0; fd != -1 && i < CLIENTS_MAX; i++) {
		if (r->client[i] == -1) {
			r->client[i] = fd;
			return;
		}
	}
	if (fd != -1)
		(void)close(fd);
}

/* ---- the loop ---- */

enum { POLL_LISTENER = SETUP_DIRECTIONS, POLL_CLIENTS, POLLS_MAX = 16 };

static void
wait_for_work(const struct relay *r, struct pollfd *p)
{
	int64_t next = r->up_ns, t = now();
	struct timespec pause;
	size_t i;

	for (i = 0; i < SETUP_DIRECTIONS; i++) {
		p[i] = (struct pollfd){ r->tun[i], POLLIN, 0 };
		if (line_next(r->line[i]) < next)
			next = line_next(r->line[i]);
	}
	p[POLL_LISTENER] = (struct pollfd){ r->listener, POLLIN, 0 };
	for (i = 0; i < CLIENTS_MAX; i++)
		p[POLL_CLIENTS + i] =
		    (struct pollfd){ r->client[i], POLLIN, 0 };
	next = next < t ? 0 : next - t;
	pause.tv_sec = (time_t)(next / 1000000000);
	pause.tv_nsec = (long)(next % 1000000000);
	if (ppoll(p, POLL_CLIENTS + CLIENTS_MAX,
		pause.tv_sec > 3600 ? NULL : &pause, NULL) == -1) {
		for (i = 0; i < POLL_CLIENTS + CLIENTS_MAX; i++)
			p[i].revents = 0;
	}
}

/* One wait and what it brings; false when a device has gone. */
static bool
turn(struct relay *r)
{
	struct pollfd p[POLLS_MAX];
	size_t i;

	wait_for_work(r, p);
	if (now() >= r->up_ns)
		end_outage(r);
	for (i = 0; i < SETUP_DIRECTIONS; i++)
		line_run(r->line[i], now());
	for (i = 0; i < SETUP_DIRECTIONS; i++) {
		if ((p[i].revents & POLLERR) != 0)
			return false;
		if (p[i].revents != 0)
			read_packets(r, i);
	}
	for (i = 0; i < CLIENTS_MAX; i++) {
		if (p[POLL_CLIENTS + i].revents != 0 &&
		    !serve(r, r->client[i])) {
			(void)close(r->client[i]);
			r->client[i] = -1;
		}
	}
	if (p[POLL_LISTENER].revents != 0)
		accept_client(r);
	return true;
}

/* ---- commands ---- */

static int
run(int argc, char *argv[], uint64_t seed, struct err *e)
{
	struct relay r = { .up_ns = LINE_NEVER };
	size_t i;
	int a;

	if (argc < 3)
		return err_set(e, ERR_USAGE, "too few words");
	setup_init(&r.setup);
	for (a = 3; a < argc; a++) {
		if (setup_word(&r.setup, argv[a], e) == -1)
			return -1;
	}
	r.listener = open_socket(argv[0], true, e);
	if (r.listener == -1)
		return -1;
	for (i = 0; i < SETUP_DIRECTIONS; i++) {
		r.tun[i] = open_tun(argv[1 + i], e);
		if (r.tun[i] == -1)
			return -1;
	}
	for (i = 0; i < SETUP_DIRECTIONS; i++)
		r.line[i] = line_new(seed + i, write_packet, &r.tun[1 - i]);
	for (i = 0; i < CLIENTS_MAX; i++)
		r.client[i] = -1;
	r.start_ns = now();
	be_punctual();
	apply(&r, false);
	(void)printf("ready\n");
	if (fflush(stdout) != 0)
		return err_sys(e, "could not write");
	while (turn(&r))
		;
	for (i = 0; i < SETUP_DIRECTIONS; i++)
		line_free(r.line[i]);
	return err_set(e, ERR_NOT_FOUND, "a device has gone");
}

/* Send words to a relay and print the answer. */
static int
ask(int argc, char *argv[], struct err *e)
{
	char text[MESSAGE_BYTES] = "";
	AUTO_FD int fd = open_socket(argv[0], false, e);
	size_t used = 0;
	ssize_t len;
	int a;

	if (fd == -1)
		return -1;
	for (a = 1; a < argc; a++) {
		if (used + strlen(argv[a]) + 2 > sizeof(text))
			return err_set(e, ERR_USAGE, "too many words");
		used += (size_t)sprintf(text + used, "%s ", argv[a]);
	}
	if (send(fd, text, used, MSG_NOSIGNAL) == -1 ||
	    (len = recv(fd, text, sizeof(text) - 1, 0)) == -1)
		return err_sys(e, "could not ask the relay");
	text[len] = '\0';
	if (strncmp(text, "ok\n", 3) != 0) {
		text[strcspn(text, "\n")] = '\0';
		return err_set(e, ERR_USAGE, "%s", len == 0 ? "gone" : text);
	}
	(void)fputs(text + 3, stdout);
	return 0;
}

int
main(int argc, char *argv[])
{
	struct err e = ERR_INIT;
	uint64_t seed = 1;
	int c, rc = -1;

	if (argc > 2 && strcmp(argv[1], "run") == 0) {
		while ((c = getopt(argc - 1, argv + 1, "+ds:")) != -1) {
			if (c == 's')
				seed = strtoull(optarg, NULL, 10);
			else if (c == 'd')
				(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
			else
				return 2;
		}
		rc = run(argc - 1 - optind, argv + 1 + optind, seed, &e);
	} else if (argc == 2 && strcmp(argv[1], "profiles") == 0) {
		setup_print_profiles(stdout);
		return 0;
	} else if (argc > 2) {
		rc = ask(argc - 1, argv + 1, &e);
	} else {
		(void)err_set(&e, ERR_USAGE, "too few words");
	}
	if (rc == -1)
		(void)fprintf(stderr, "wanrelay: %s\n", e.text);
	return err_exit_status(&e);
}
