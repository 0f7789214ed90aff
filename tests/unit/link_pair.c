/*
 * Pairing: two sides that share a code learn each other's name and key; with
 * another code, without one, or through somebody in the middle, neither learns
 * anything.
 */

#include "link/pair.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/auto.h"
#include "link/preamble.h"
#include "tap.h"

#define CODE	    "abcd-efgh-jkmn-pqrs"
#define OTHER	    "abcd-efgh-jkmn-pqrt"
#define PATIENCE_MS 60000

struct side {
	int fd;
	bool dials;
	const char *code;
	int timeout_ms;
	struct pair_side us, peer;
	int rc;
	struct err e;
};

/* As a listener does: take the preamble, and no byte more. */
static int
take_preamble(int fd)
{
	char text[PREAMBLE_BYTES_MAX];
	struct preamble p;
	size_t used = 0;
	ssize_t n;

	do {
		n = recv(fd, text, sizeof(text), MSG_PEEK);
		if (n <= 0)
			return -1;
	} while (preamble_parse(&p, text, (size_t)n, &used) == 0);
	return used > 0 && p.pair && recv(fd, text, used, 0) == (ssize_t)used
	    ? 0
	    : -1;
}

static void *
run_side(void *arg)
{
	struct side *s = arg;

	s->e = (struct err)ERR_INIT;
	if (s->dials)
		s->rc = pair_dial(
		    s->fd, s->code, &s->us, &s->peer, s->timeout_ms, &s->e);
	else if (take_preamble(s->fd) == 0)
		s->rc = pair_answer(
		    s->fd, s->code, &s->us, &s->peer, s->timeout_ms, &s->e);
	else
		s->rc = err_set(&s->e, ERR_CORRUPT, "no preamble");
	(void)shutdown(s->fd, SHUT_RDWR);
	return NULL;
}

static struct side
make_side(bool dials, const char *name, const char *code)
{
	struct side s = { .fd = -1,
		.dials = dials,
		.code = code,
		.timeout_ms = PATIENCE_MS };

	(void)snprintf(s.us.name, sizeof(s.us.name), "%s", name);
	(void)memset(s.us.key, name[0], sizeof(s.us.key));
	(void)snprintf(
	    s.us.addresses, sizeof(s.us.addresses), "%s.example:7432", name);
	return s;
}

static void
start(pthread_t *t, void *(*fn)(void *), void *arg)
{
	if (pthread_create(t, NULL, fn, arg) != 0)
		tap_bail("no thread");
}

/* Both over one socket; what they end with is in them. */
static void
run_both(struct side *a, struct side *b)
{
	pthread_t ta, tb;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		tap_bail("no sockets");
	a->fd = pair[0];
	b->fd = pair[1];
	start(&ta, run_side, a);
	start(&tb, run_side, b);
	(void)pthread_join(ta, NULL);
	(void)pthread_join(tb, NULL);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static bool
learned_nothing(const struct side *s)
{
	static const struct pair_side nothing;

	return s->rc == -1 &&
	    memcmp(s->peer.key, nothing.key, sizeof(nothing.key)) == 0;
}

/* ---- codes ---- */

/* 80 bits: each of 32 letters comes at each place, over many codes. */
static void
check_letters(void)
{
	bool seen[PAIR_CODE_BYTES][128] = { { false } };
	char code[PAIR_CODE_BYTES];
	size_t i, j, count = 0;

	for (i = 0; i < 2000; i++) {
		pair_code_new(code);
		for (j = 0; code[j] != '\0'; j++) {
			count += !seen[j][(int)code[j]];
			seen[j][(int)code[j]] = true;
		}
	}
	tap_u64(count, 16 * 32 + 3, "all letters at all places, and dashes");
}

static void
check_codes(void)
{
	static const char *const bad[] = { "", "abcd", "abcd-efgh-jkmn-pqr",
		"abcd-efgh-jkmn-pqrst", "abcd-efgh-jkmn-pqru",
		"abcd-efgh-jkmn-pqr!", "abcd-efgh-jkmn-pqr\xc3" };
	char code[PAIR_CODE_BYTES], again[PAIR_CODE_BYTES] = "";
	struct err e = ERR_INIT;
	size_t i;

	pair_code_new(code);
	tap_ok(
	    pair_code_parse(code, again, &e) == 0 && strcmp(code, again) == 0,
	    "a new code is one: %s", code);
	pair_code_new(again);
	tap_ok(strcmp(code, again) != 0, "the next is another");
	tap_ok(pair_code_parse(" ABCDEFGH jkmn--PQRS ", again, &e) == 0,
	    "as people write it");
	tap_str(again, CODE, "its one form");
	tap_ok(pair_code_parse("oO0iIlL1-22223333", again, &e) == 0,
	    "letters that look like digits");
	tap_str(again, "0001-1111-2222-3333", "are digits");
	for (i = 0; i < COUNT_OF(bad); i++)
		tap_ok(pair_code_parse(bad[i], again, &e) == -1 &&
			e.kind == ERR_USAGE && e.hint[0] != '\0',
		    "\"%s\" is none", bad[i]);
	tap_str(
	    again, "0001-1111-2222-3333", "what is refused changes nothing");
}

/* ---- two sides ---- */

static void
check_pairing(void)
{
	struct side a = make_side(true, "tokyo", CODE);
	struct side b = make_side(false, "osaka", CODE);

	run_both(&a, &b);
	tap_ok(a.rc == 0, "the dialler is paired %s", a.e.text);
	tap_ok(b.rc == 0, "the answerer is paired %s", b.e.text);
	tap_str(a.peer.name, "osaka", "it knows the other's name");
	tap_str(b.peer.name, "tokyo", "and the other way round");
	tap_ok(memcmp(a.peer.key, b.us.key, SIGN_PUBLIC_BYTES) == 0 &&
		memcmp(b.peer.key, a.us.key, SIGN_PUBLIC_BYTES) == 0,
	    "and the keys");
	tap_str(b.peer.addresses, "tokyo.example:7432", "and the addresses");
}

static void
check_wrong_code(void)
{
	struct side a = make_side(true, "tokyo", OTHER);
	struct side b = make_side(false, "osaka", CODE);

	run_both(&a, &b);
	tap_ok(learned_nothing(&a) && a.e.kind == ERR_REFUSED,
	    "another code, at the dialler: %s", a.e.text);
	tap_ok(learned_nothing(&b) && b.e.kind == ERR_REFUSED,
	    "another code, at the answerer: %s", b.e.text);
}

static void
check_names(void)
{
	struct side a = make_side(true, "tokyo", CODE);
	struct side b = make_side(false, "tokyo", CODE);

	run_both(&a, &b);
	tap_ok(a.rc == -1 && b.rc == -1 && a.e.kind == ERR_CONFLICT &&
		b.e.kind == ERR_CONFLICT,
	    "two of one name: %s", a.e.text);

	a = make_side(true, "tokyo", CODE);
	b = make_side(false, "osaka", CODE);
	(void)strcpy(b.peer.name, "nara");
	run_both(&a, &b);
	tap_ok(b.rc == -1 && b.e.kind == ERR_CONFLICT,
	    "another than was invited: %s", b.e.text);
	tap_ok(
	    a.rc == -1 && a.e.kind == ERR_CONFLICT, "it is told: %s", a.e.text);

	a = make_side(true, "tokyo", CODE);
	b = make_side(false, "osaka", CODE);
	(void)strcpy(b.peer.name, "tokyo");
	run_both(&a, &b);
	tap_ok(a.rc == 0 && b.rc == 0, "the one that was invited %s%s",
	    a.e.text, b.e.text);

	a = make_side(true, "tokyo", CODE);
	b = make_side(false, "osaka", CODE);
	(void)memcpy(b.us.key, a.us.key, sizeof(b.us.key));
	run_both(&a, &b);
	tap_ok(a.rc == -1 && b.rc == -1, "two with one key: %s", a.e.text);
}

/* ---- somebody in the middle ---- */

struct relay {
	int a, b;
	size_t flip; /* which byte from a to b is changed */
	bool flipped;
};

/* Bytes between two sockets. */
static void *
run_relay(void *arg)
{
	struct relay *r = arg;
	struct pollfd p[2] = { { r->a, POLLIN, 0 }, { r->b, POLLIN, 0 } };
	unsigned char data[4096];
	size_t count = 0, i;
	int at;
	ssize_t n;

	for (;;) {
		(void)poll(p, 2, -1);
		at = p[0].revents != 0 ? 0 : 1;
		n = recv(p[at].fd, data, sizeof(data), 0);
		if (n <= 0)
			break;
		for (i = 0; at == 0 && i < (size_t)n; i++)
			if (++count == r->flip) {
				data[i] ^= 1;
				r->flipped = true;
			}
		if (send(p[1 - at].fd, data, (size_t)n, MSG_NOSIGNAL) != n)
			break;
	}
	(void)shutdown(r->a, SHUT_RDWR);
	(void)shutdown(r->b, SHUT_RDWR);
	return NULL;
}

/* Over somebody who changes one byte: nobody is given another key than the one
 * that was sent.  What is changed in front of TLS is only the preamble. */
static void
check_relay(void)
{
	struct side a, b;
	struct relay r;
	pthread_t ta, tb, tr;
	int x[2], y[2];
	size_t flip, flips = 0, paired = 0, fooled = 0;

	for (flip = 15; flip < 700; flip += 7) {
		a = make_side(true, "tokyo", CODE);
		b = make_side(false, "osaka", CODE);
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, x) ==
			-1 ||
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, y) == -1)
			tap_bail("no sockets");
		a.fd = x[0];
		b.fd = y[0];
		r = (struct relay){ x[1], y[1], flip, false };
		/* A length that grew waits for bytes that do not come. */
		a.timeout_ms = b.timeout_ms = 500;
		start(&ta, run_side, &a);
		start(&tb, run_side, &b);
		start(&tr, run_relay, &r);
		(void)pthread_join(ta, NULL);
		(void)pthread_join(tb, NULL);
		(void)pthread_join(tr, NULL);
		flips += r.flipped;
		paired += r.flipped && (a.rc == 0 || b.rc == 0);
		fooled +=
		    (a.rc == 0 && memcmp(a.peer.key, b.us.key, 32) != 0) ||
		    (b.rc == 0 && memcmp(b.peer.key, a.us.key, 32) != 0);
		(void)close(x[0]);
		(void)close(x[1]);
		(void)close(y[0]);
		(void)close(y[1]);
	}
	tap_u64(fooled, 0, "no changed byte gives anybody a wrong key");
	tap_ok(flips > 40 && paired < flips / 8,
	    "and they end the pairing (of %zu bytes all but %zu)", flips,
	    paired);
}

/* A server with a certificate of its own and no code, or a client. */
struct impostor {
	int fd;
	bool serves;
	int rc;
};

static void
use_certificate(SSL_CTX *ctx)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	X509 *x = X509_new();

	(void)ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	(void)X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	(void)X509_set_pubkey(x, key);
	if (X509_sign(x, key, NULL) == 0 ||
	    SSL_CTX_use_certificate(ctx, x) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, key) != 1)
		tap_bail("no certificate");
	X509_free(x);
	EVP_PKEY_free(key);
}

static void *
run_impostor(void *arg)
{
	struct impostor *i = arg;
	SSL_CTX *ctx =
	    SSL_CTX_new(i->serves ? TLS_server_method() : TLS_client_method());
	SSL *ssl;
	char text[64] = "PGKURA 1 pair\n";

	use_certificate(ctx);
	ssl = SSL_new(ctx);
	(void)SSL_set_fd(ssl, i->fd);
	if (i->serves)
		(void)take_preamble(i->fd);
	else if (write(i->fd, text, strlen(text)) == -1)
		tap_bail("no preamble");
	i->rc = i->serves ? SSL_accept(ssl) : SSL_connect(ssl);
	if (i->rc == 1 && i->serves) /* the client may have refused already */
		i->rc = SSL_read(ssl, text, sizeof(text));
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	(void)shutdown(i->fd, SHUT_RDWR);
	return NULL;
}

static void
check_impostor(bool serves)
{
	struct side a = make_side(serves, "tokyo", CODE);
	struct impostor i = { .serves = serves };
	pthread_t ta, ti;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		tap_bail("no sockets");
	a.fd = pair[0];
	i.fd = pair[1];
	start(&ta, run_side, &a);
	start(&ti, run_impostor, &i);
	(void)pthread_join(ta, NULL);
	(void)pthread_join(ti, NULL);
	(void)close(pair[0]);
	(void)close(pair[1]);
	tap_ok(learned_nothing(&a) && a.e.kind != ERR_NONE,
	    "a %s with a certificate and no code is refused: %s",
	    serves ? "server" : "client", a.e.text);
	tap_ok(i.rc <= 0, "and reads nothing");
}

/* ---- what does not end by itself ---- */

static void
check_silence(void)
{
	struct side a = make_side(true, "tokyo", CODE);
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		tap_bail("no sockets");
	a.fd = pair[0];
	a.timeout_ms = 50;
	(void)run_side(&a);
	tap_ok(a.rc == -1 && a.e.kind == ERR_TRANSIENT, "nobody answers: %s",
	    a.e.text);
	(void)close(pair[0]);
	(void)close(pair[1]);

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		tap_bail("no sockets");
	a.fd = pair[0];
	a.timeout_ms = PATIENCE_MS;
	(void)close(pair[1]);
	(void)run_side(&a);
	tap_ok(a.rc == -1 && a.e.kind == ERR_TRANSIENT, "nobody is there: %s",
	    a.e.text);
	(void)close(pair[0]);
}

static void
check_garbage(void)
{
	struct side b = make_side(false, "osaka", CODE);
	unsigned char data[20000];
	int pair[2];
	size_t i;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		tap_bail("no sockets");
	for (i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 7);
	(void)!send(pair[1], data, sizeof(data), MSG_DONTWAIT);
	tap_ok(pair_answer(pair[0], CODE, &b.us, &b.peer, PATIENCE_MS, &b.e) ==
		    -1 &&
		b.e.kind == ERR_CORRUPT,
	    "bytes that are no TLS: %s", b.e.text);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static void
check_side(void)
{
	static const char hex[] = "00112233445566778899aabbccddeeff00112233445"
				  "566778899aabbccddeeff";
	static const struct {
		const char *before, *after;
		bool good;
	} lines[] = { { "osaka ", " ", true },
		{ "osaka ", " dr:7432, [::1]:7432", true },
		{ "osaka ", " *:7432", true }, { "osaka ", "", false },
		{ "", " dr:7432", false }, { "Osaka ", " dr:7432", false },
		{ "osaka  ", " dr:7432", false }, { "osaka ", "a dr:1", false },
		{ "osaka ", " dr", false }, { "../x ", " dr:7432", false },
		{ "osaka a", " dr:7432", false } };
	struct pair_side s;
	struct err e = ERR_INIT;
	char line[200];
	size_t i;

	for (i = 0; i < COUNT_OF(lines); i++) {
		(void)snprintf(line, sizeof(line), "%s%s%s", lines[i].before,
		    hex, lines[i].after);
		tap_ok((pair_side_parse(&s, line, &e) == 0) == lines[i].good,
		    "\"%s\" is %s", line, lines[i].good ? "taken" : "refused");
	}
}

static void
check_preamble(void)
{
	static const char *const bad[] = { "X", "PGKURA 2 pair\n",
		"PGKURA 1 \n", "PGKURA 1 a\n", "PGKURA 1 a b c\n",
		"PGKURA 1 a  b\n", "PGKURA 1  a b\n", "PGKURA 1 ../a b\n",
		"PGKURA 1 a B\n", "PGKURA 1 pair \n", "PGKURA 1 pair\r\n" };
	struct preamble p = { .from = "a", .to = "b-2.x" }, q;
	char text[PREAMBLE_BYTES_MAX + 10];
	size_t len = preamble_print(&p, text), used, i, early = 0;

	for (i = 0; i < len; i++)
		early += preamble_parse(&q, text, i, &used) != 0;
	tap_u64(early, 0, "a beginning waits for more");
	(void)strcpy(text + len, "\x16\x03\x01");
	tap_ok(preamble_parse(&q, text, len + 3, &used) == 1 && used == len &&
		!q.pair && strcmp(q.from, "a") == 0 &&
		strcmp(q.to, "b-2.x") == 0,
	    "two names, and not a byte more");
	p.pair = true;
	len = preamble_print(&p, text);
	tap_ok(
	    preamble_parse(&q, text, len, &used) == 1 && q.pair, "a pairing");
	for (i = 0; i < COUNT_OF(bad); i++)
		tap_ok(preamble_parse(&q, bad[i], strlen(bad[i]), &used) == -1,
		    "refused, number %zu", i);
	tap_ok(preamble_parse(&q, "PGKURA 1 a\0 b\n", 14, &used) == -1,
	    "a NUL is refused");
	(void)memset(text, 'a', sizeof(text));
	(void)memcpy(text, "PGKURA 1 ", 9);
	tap_ok(preamble_parse(&q, text, sizeof(text), &used) == -1,
	    "one without an end is refused");
}

int
main(void)
{
	check_codes();
	check_letters();
	check_preamble();
	check_side();
	check_pairing();
	check_wrong_code();
	check_names();
	check_impostor(true);
	check_impostor(false);
	check_relay();
	check_silence();
	check_garbage();
	return tap_done();
}
