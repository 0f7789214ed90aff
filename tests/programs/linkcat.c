/*
 * linkcat: bytes over a link, to measure it (tests/wan/link-goodput).
 *
 *	linkcat receive ADDRESS SECONDS
 *	linkcat send ADDRESS SECONDS [LANES [CONGESTION|- [BYTES_PER_SECOND]]]
 *
 * The receiver listens on ADDRESS ("host:port"), checks every byte, and counts
 * each chunk once.  Every quarter of a second it prints "at MICROSECONDS
 * BYTES"; the clock is that of CLOCK_BOOTTIME, as in the sender's "begin
 * MICROSECONDS".  At the end both print lines "name value".
 */
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/le.h"
#include "base/log.h"
#include "base/mem.h"
#include "link/link.h"
#include "link/preamble.h"
#include "link/resolve.h"

#define CHUNKS_MAX ((size_t)1 << 22)
#define EVERY_US   (CLOCK_SECOND_US / 4)

struct cat {
	struct link *link;
	bool sends;
	uint64_t next;	  /* chunk to send */
	uint64_t damaged; /* chunks that are not what was sent */
	uint64_t bytes;	  /* received, each once */
	uint64_t copies;  /* chunks that came again */
	uint8_t *seen;
	uint8_t data[LINK_CHUNK_MAX];
	uint8_t want[LINK_CHUNK_MAX];
};

/* What chunk number n holds: noise, its number in front. */
static void
make(uint8_t *out, uint64_t n)
{
	uint64_t x = n * 0x9e3779b97f4a7c15u + 1;
	size_t i;

	for (i = 0; i < LINK_CHUNK_MAX; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		le64_put(out + i, x);
	}
	le64_put(out, n);
}

static bool
next_chunk(void *arg, struct link_chunk *c)
{
	struct cat *cat = arg;

	if (!cat->sends || cat->next >= CHUNKS_MAX)
		return false;
	make(cat->data, cat->next);
	c->stream = 1;
	c->offset = cat->next++ * LINK_CHUNK_MAX;
	c->data = cat->data;
	c->len = LINK_CHUNK_MAX;
	return true;
}

static int
chunk(void *arg, const struct link_chunk *c, struct err *e)
{
	struct cat *cat = arg;
	uint64_t n = c->offset / LINK_CHUNK_MAX;

	(void)e;
	if (n < CHUNKS_MAX)
		make(cat->want, n);
	if (n >= CHUNKS_MAX || c->len != LINK_CHUNK_MAX ||
	    memcmp(c->data, cat->want, c->len) != 0) {
		cat->damaged++;
	} else if (cat->seen[n]) {
		cat->copies++;
	} else {
		cat->seen[n] = 1;
		cat->bytes += c->len;
	}
	return 0;
}

static void
message(void *arg, const uint8_t *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
}

static int
listen_on(const char *address, struct err *e)
{
	struct addrinfo hints = { 0 }, *a = NULL;
	char host[128], port[16];
	int fd;

	if (resolve_split(address, host, port, e) == -1)
		return -1;
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
	if (getaddrinfo(host, port, &hints, &a) != 0)
		return err_set(e, ERR_USAGE, "no address: \"%s\"", address);
	fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(
	    fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(fd, a->ai_addr, a->ai_addrlen) == -1 || listen(fd, 128) == -1)
		(void)err_sys(e, "could not listen on \"%s\"", address);
	freeaddrinfo(a);
	return e->kind == ERR_NONE ? fd : -1;
}

/* The line comes with the first packet, or the connection is not worth it. */
static void
take(struct cat *cat, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	struct timeval soon = { 0, 500000 };
	char line[PREAMBLE_BYTES_MAX];
	struct preamble p;
	size_t len = 0, used;

	if (fd == -1)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	while (len < sizeof(line) && recv(fd, line + len, 1, 0) == 1)
		if (line[len++] == '\n')
			break;
	if (preamble_parse(&p, line, len, &used) == 1)
		link_adopt(cat->link, fd);
	else
		(void)close(fd);
}

static int
run(struct cat *cat, int listener, int64_t seconds, struct err *e)
{
	int64_t now = clock_boot_us(), end = now + seconds * CLOCK_SECOND_US;
	int64_t told = now;

	(void)printf("begin %" PRId64 "\n", now);
	for (; now < end && !child_stop_requested(); now = clock_boot_us()) {
		struct pollfd extra = { listener, POLLIN, 0 };

		if (!cat->sends && now - told >= EVERY_US) {
			told = now;
			(void)printf(
			    "at %" PRId64 " %" PRIu64 "\n", now, cat->bytes);
		}
		if (link_run(
			cat->link, &extra, listener == -1 ? 0 : 1, 50, e) == -1)
			return -1;
		if (listener != -1 && (extra.revents & POLLIN) != 0)
			take(cat, listener);
	}
	return 0;
}

static void
report(const struct cat *cat)
{
	struct link_state st;
	struct rusage u;

	link_get_state(cat->link, &st);
	(void)getrusage(RUSAGE_SELF, &u);
	(void)printf("end %" PRId64 "\nbytes %" PRIu64 "\ncopies %" PRIu64
		     "\ndamaged %" PRIu64 "\n",
	    clock_boot_us(), cat->bytes, cat->copies, cat->damaged);
	(void)printf("sent %" PRIu64 "\nresent %" PRIu64 "\nlost %" PRIu64
		     "\ncongestion %s\nrtt_us %u\n",
	    st.sent_bytes, st.resent_bytes, st.lanes_lost, st.congestion,
	    st.paths[0].rtt_us);
	(void)printf("cpu_ms %ld\nmax_kib %ld\n",
	    (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
		(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000,
	    u.ru_maxrss);
}

/* Both know each other's secret: it is a measurement. */
static struct sign_key *
key_of(bool sender)
{
	uint8_t secret[SIGN_SECRET_BYTES];

	(void)memset(secret, sender ? 1 : 2, sizeof(secret));
	return sign_key_from_secret(secret);
}

int
main(int argc, char *argv[])
{
	static const struct link_ops ops = {
		.message = message, .chunk = chunk, .next_chunk = next_chunk
	};
	struct link_params params = { .path_count = 1,
		.lanes = 8,
		.congestion = "bbr",
		.beat_interval_us = 5 * CLOCK_SECOND_US,
		.beat_misses = 5 };
	struct cat *cat = mem_zalloc(sizeof(*cat));
	struct err e = ERR_INIT;
	AUTO_FD int listener = -1;
	AUTO_SIGN_KEY struct sign_key *key = NULL, *other = NULL;
	bool sends = argc > 1 && strcmp(argv[1], "send") == 0;

	if (argc < 4 || argc > 7) {
		(void)fprintf(stderr,
		    "usage: linkcat send|receive ADDRESS "
		    "SECONDS [LANES [CONGESTION [RATE]]]\n");
		return 2;
	}
	child_catch_stop_signals();
	(void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	log_setup(LOG_TEXT, LOG_LEVEL_DEBUG);
	cat->sends = sends;
	cat->seen = mem_zalloc(CHUNKS_MAX);
	key = key_of(sends);
	other = key_of(!sends);
	params.site = sends ? "sender" : "receiver";
	params.peer = sends ? "receiver" : "sender";
	params.key = key;
	sign_key_public(other, params.peer_key);
	if (argc > 4)
		params.lanes = (unsigned int)strtoul(argv[4], NULL, 10);
	if (argc > 5)
		params.congestion = strcmp(argv[5], "-") == 0 ? NULL : argv[5];
	if (argc > 6)
		params.max_rate_bytes_s = strtoull(argv[6], NULL, 10);
	if (sends)
		(void)snprintf(params.paths[0].address,
		    sizeof(params.paths[0].address), "%s", argv[2]);
	else
		listener = listen_on(argv[2], &e);
	cat->link = link_new(&params, &ops, cat);
	if ((!sends && listener == -1) ||
	    run(cat, listener, strtoll(argv[3], NULL, 10), &e) == -1)
		(void)fprintf(stderr, "linkcat: %s\n", e.text);
	report(cat);
	link_free(cat->link);
	free(cat->seen);
	free(cat);
	return e.kind == ERR_NONE ? 0 : 1;
}
