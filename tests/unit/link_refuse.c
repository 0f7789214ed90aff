/*
 * Who is not the peer gets nowhere: other keys, other names, other versions,
 * garbage before and inside TLS.  A session that is there does not notice.
 */
#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/le.h"
#include "link/frame.h"
#include "link/tls.h"
#include "link_node.h"
#include "tap.h"

static struct node a, b;

static void
names(const char *a_name, const char *a_peer, const char *b_name,
    const char *b_peer)
{
	node_init(&a, a_name, a_peer);
	node_init(&b, b_name, b_peer);
	node_knows(&a, &b, b.port);
	node_knows(&b, &a, 0);
}

static void
done(void)
{
	node_stop(&a);
	node_stop(&b);
	node_fini(&a);
	node_fini(&b);
}

/* No session comes about, and the side that dials says why. */
static void
refused(const char *word, const char *what)
{
	node_start(&a);
	node_start(&b);
	tap_ok(NODE_WAIT(strstr(node_state(&a).paths[0].error, word) != NULL),
	    "%s: said by the state", what);
	clock_sleep_us(CLOCK_SECOND_US / 2);
	tap_u64(atomic_load(&a.ups) + atomic_load(&b.ups), 0, "%s: no session",
	    what);
	tap_ok(strstr(node_state(&a).paths[0].error, word) != NULL, "%s: %s",
	    what, node_state(&a).paths[0].error);
	done();
}

static void
check_keys(void)
{
	names("east", "west", "west", "east");
	b.params.peer_key[5] ^= 1;
	refused("alert", "the listener knows another key");
	names("east", "west", "west", "east");
	a.params.peer_key[31] ^= 1;
	refused("key", "the dialler knows another key");
}

static void
check_names(void)
{
	names("east", "west", "west", "north");
	refused("wrong site", "the listener looks for another site");
	names("east", "east", "east", "west");
	node_start(&a);
	(void)pthread_join(a.thread, NULL);
	tap_ok(true, "a link to a site of its own name does not run");
	link_free(steal_ptr(&a.link));
	node_fini(&a);
	node_fini(&b);
}

/* A connection to b with its preamble. */
static int
connect_b(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval long_time = { 60, 0 };
	struct sockaddr_in to = { 0 };

	to.sin_family = AF_INET;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons(b.port);
	(void)setsockopt(
	    fd, SOL_SOCKET, SO_RCVTIMEO, &long_time, sizeof(long_time));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1 ||
	    send(fd, "PGKURA 1 east west\n", 19, MSG_NOSIGNAL) != 19)
		tap_bail("could not connect");
	return fd;
}

static void
check_before_tls(void)
{
	static const char garbage[4000] = "this is no TLS at all";
	char byte;
	int fd = connect_b(), silent[100];
	size_t i;

	(void)send(fd, garbage, sizeof(garbage), MSG_NOSIGNAL);
	while (recv(fd, &byte, 1, 0) == 1)
		continue;
	tap_ok(errno != EAGAIN, "garbage instead of TLS: the connection ends");
	(void)close(fd);

	/* Many that say nothing do not keep the peer out. */
	for (i = 0; i < COUNT_OF(silent); i++)
		silent[i] = connect_b();
	node_stop(&a);
	node_start(&a);
	tap_ok(NODE_WAIT(atomic_load(&a.ups) == 2),
	    "the peer gets in beside 100 that are silent");
	for (i = 0; i < COUNT_OF(silent); i++)
		(void)close(silent[i]);
}

/* Somebody who has a's key, such as a later or a broken version, sends bytes:
 * what b answers up to its end, as frames; -1 when the connection stays. */
static int
answer(const struct buf *sent, struct frame *last)
{
	AUTO_TLS struct tls *tls = NULL;
	AUTO_BUF struct buf got = BUF_INIT;
	struct err e = ERR_INIT;
	struct frame f;
	uint8_t key[SIGN_PUBLIC_BYTES];
	size_t used, at = 0;
	int fd = connect_b(), n, count = 0;
	SSL *ssl;

	sign_key_public(b.key, key);
	tls = tls_new(a.key, key, &e);
	ssl = tls_start(tls, fd, true, &e);
	if (SSL_connect(ssl) != 1)
		tap_bail("no TLS");
	(void)SSL_write(ssl, sent->data, (int)sent->len);
	for (;;) {
		n = SSL_read(ssl, buf_reserve(&got, 4096), 4096);
		if (n <= 0)
			break;
		got.len += (size_t)n;
	}
	if (SSL_get_error(ssl, n) == SSL_ERROR_WANT_READ)
		count = -1;
	SSL_free(ssl);
	(void)close(fd);
	(void)memset(last, 0, sizeof(*last));
	while (at < got.len &&
	    frame_decode(&f, got.data + at, got.len - at, &used, &e) == 1) {
		at += used;
		count++;
		*last = f;
	}
	return count;
}

static void
ends(const struct buf *sent, unsigned int reason, const char *what)
{
	struct frame last;

	tap_ok(answer(sent, &last) >= 0 && last.type == FRAME_BYE,
	    "%s: the connection ends with BYE", what);
	tap_u64(last.reason, reason, "%s: %s", what,
	    frame_reason_name(last.reason));
}

static void
check_inside_tls(void)
{
	struct frame_hello h = { 1, 1, FRAME_KIND_BEAT, 7, 0, 4711, 0, "east",
		"west" };
	AUTO_BUF struct buf s = BUF_INIT;

	buf_put(&s, "garbage, garbage, garbage", 25);
	ends(&s, FRAME_BYE_BAD_FRAME, "garbage inside TLS");
	buf_clear(&s);
	frame_put_chunk(&s, 1, 2, "data", 4);
	ends(&s, FRAME_BYE_BAD_FRAME, "data before HELLO");
	buf_clear(&s);
	frame_put_hello(&s, &h);
	frame_put_chunk(&s, 1, 2, "data", 4);
	ends(&s, FRAME_BYE_BAD_FRAME, "data before READY");
	buf_clear(&s);
	frame_put_hello(&s, &h);
	frame_put_hello(&s, &h);
	ends(&s, FRAME_BYE_BAD_FRAME, "HELLO twice");
	buf_clear(&s);
	h.version_least = h.version_most = LINK_VERSION + 1;
	frame_put_hello(&s, &h);
	ends(&s, FRAME_BYE_VERSION, "only a later version");
	buf_clear(&s);
	h.version_least = 1;
	(void)strcpy(h.from, "north");
	frame_put_hello(&s, &h);
	ends(&s, FRAME_BYE_WRONG_SITE, "another name with the right key");
}

int
main(void)
{
	check_keys();
	check_names();

	names("east", "west", "west", "east");
	node_start(&a);
	node_start(&b);
	tap_ok(NODE_WAIT(atomic_load(&a.ups) == 1 && atomic_load(&b.ups) == 1),
	    "a session begins");
	check_inside_tls();
	tap_ok(atomic_load(&a.downs) == 0 && atomic_load(&b.downs) == 0,
	    "the session of the true peer stays");
	check_before_tls();
	atomic_store(&a.chunks_wanted, 50);
	tap_ok(NODE_WAIT(atomic_load(&b.chunks) == 50), "and works");
	done();
	return tap_done();
}
