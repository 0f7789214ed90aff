#include "link/resolve.h"

#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"

#define ANSWERS_MAX 8
#define FRESH_US    (60 * CLOCK_SECOND_US)

/* One question; shared with the thread that asks, freed by who is last. */
struct question {
	atomic_int users;
	atomic_bool answered;
	char host[128], port[16];
	int wake_fd;
	int failure; /* of getaddrinfo() */
	size_t count;
	struct sockaddr_storage to[ANSWERS_MAX];
	socklen_t len[ANSWERS_MAX];
};

struct resolve {
	char address[160];
	int wake_fd;
	struct question *known, *asked;
	int64_t known_us;
	unsigned int turn;
};

static void
question_drop(struct question *q)
{
	if (q == NULL || atomic_fetch_sub(&q->users, 1) > 1)
		return;
	(void)close(q->wake_fd);
	free(q);
}

int
resolve_split(const char *address, char host[128], char port[16], struct err *e)
{
	const char *colon = strrchr(address, ':');
	size_t len = colon != NULL ? (size_t)(colon - address) : 0;

	if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
		address++;
		len -= 2;
	}
	if (len == 0 || len >= 128 || colon[1] == '\0' ||
	    strlen(colon + 1) >= 16)
		return err_set(e, ERR_USAGE,
		    "address \"%s\" is not of the form host:port", address);
	(void)memcpy(host, address, len);
	host[len] = '\0';
	(void)strcpy(port, colon + 1);
	return 0;
}

static void
ask(struct question *q, int flags)
{
	struct addrinfo hints = { 0 }, *all = NULL, *a;

	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = flags;
	q->failure = getaddrinfo(q->host, q->port, &hints, &all);
	for (a = q->failure == 0 ? all : NULL;
	     a != NULL && q->count < ANSWERS_MAX; a = a->ai_next) {
		(void)memcpy(&q->to[q->count], a->ai_addr, a->ai_addrlen);
		q->len[q->count++] = a->ai_addrlen;
	}
	if (q->failure == 0)
		freeaddrinfo(all);
	atomic_store(&q->answered, true);
}

static void *
ask_in_thread(void *arg)
{
	struct question *q = arg;
	const uint64_t one = 1;

	ask(q, AI_NUMERICSERV);
	if (write(q->wake_fd, &one, sizeof(one)) == -1) {
		/* The waiting side looks again by itself before long. */
	}
	question_drop(q);
	return NULL;
}

static int
start(struct resolve *r, struct err *e)
{
	struct question *q = mem_zalloc(sizeof(*q));
	pthread_attr_t detached;
	pthread_t thread;
	int failure;

	atomic_store(&q->users, 1);
	q->wake_fd = fcntl(r->wake_fd, F_DUPFD_CLOEXEC, 0);
	if (resolve_split(r->address, q->host, q->port, e) == -1) {
		question_drop(q);
		return -1;
	}
	ask(q, AI_NUMERICHOST | AI_NUMERICSERV);
	r->asked = q;
	if (q->failure == 0)
		return 0;
	atomic_store(&q->answered, false);
	atomic_store(&q->users, 2);
	(void)pthread_attr_init(&detached);
	(void)pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	failure = pthread_create(&thread, &detached, ask_in_thread, q);
	(void)pthread_attr_destroy(&detached);
	if (failure != 0) {
		question_drop(q);
		question_drop(steal_ptr(&r->asked));
		return err_set(e, ERR_IO, "could not start a thread: %s",
		    strerror(failure));
	}
	return 0;
}

/* Take an answer that has come.  -1: it was none. */
static int
take(struct resolve *r, struct err *e)
{
	struct question *q = r->asked;

	if (q == NULL || !atomic_load(&q->answered))
		return 0;
	r->asked = NULL;
	if (q->failure != 0 || q->count == 0) {
		(void)err_set(e, ERR_TRANSIENT, "could not look up \"%s\": %s",
		    q->host, gai_strerror(q->failure));
		question_drop(q);
		return -1;
	}
	question_drop(r->known);
	r->known = q;
	r->known_us = clock_boot_us();
	return 0;
}

struct resolve *
resolve_new(const char *address, int wake_fd)
{
	struct resolve *r = mem_zalloc(sizeof(*r));

	(void)strncpy(r->address, address, sizeof(r->address) - 1);
	r->wake_fd = wake_fd;
	return r;
}

void
resolve_free(struct resolve *r)
{
	if (r == NULL)
		return;
	question_drop(r->known);
	question_drop(r->asked);
	free(r);
}

int
resolve_next(struct resolve *r, struct sockaddr_storage *to, socklen_t *len,
    struct err *e)
{
	size_t i;

	if (r->asked == NULL &&
	    (r->known == NULL || clock_boot_us() - r->known_us > FRESH_US) &&
	    start(r, e) == -1)
		return -1;
	/* An old answer is better than none. */
	if (take(r, e) == -1 && r->known == NULL)
		return -1;
	if (r->known == NULL)
		return 0;
	i = r->turn++ % r->known->count;
	(void)memcpy(to, &r->known->to[i], sizeof(*to));
	*len = r->known->len[i];
	return 1;
}
