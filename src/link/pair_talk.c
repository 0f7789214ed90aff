/*
 * pair_talk: lines over TLS 1.3 with an external pre-shared key (RFC 8446,
 * 4.2.11).
 *
 * TLS runs over memory, so that every byte is sent and received here: bounded,
 * in time, and without SIGPIPE.
 */

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/clock.h"
#include "link/pair_int.h"

#define IDENTITY     "pgkura-pair-1"
#define SUITE	     "TLS_AES_128_GCM_SHA256"
#define RECEIVED_MAX ((size_t)64 << 10) /* of a whole pairing, TLS included */

static const unsigned char suite_id[] = { 0x13, 0x01 };

void
pair_talk_end(struct pair_talk *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	ERR_clear_error();
	OPENSSL_cleanse(c->psk, sizeof(c->psk));
}

/* The key as TLS 1.3 takes it: a session that was never had. */
static SSL_SESSION *
make_session(SSL *ssl, const struct pair_talk *c)
{
	SSL_SESSION *s = SSL_SESSION_new();
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, suite_id);

	if (s != NULL && cipher != NULL &&
	    SSL_SESSION_set1_master_key(s, c->psk, sizeof(c->psk)) == 1 &&
	    SSL_SESSION_set_cipher(s, cipher) == 1 &&
	    SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION) == 1)
		return s;
	SSL_SESSION_free(s);
	return NULL;
}

static int
use_session(SSL *ssl, const EVP_MD *md, const unsigned char **id,
    size_t *id_len, SSL_SESSION **session)
{
	const struct pair_talk *c = SSL_get_app_data(ssl);

	(void)md; /* there is one suite */
	*session = make_session(ssl, c);
	*id = (const unsigned char *)IDENTITY;
	*id_len = sizeof(IDENTITY) - 1;
	return *session != NULL;
}

static int
find_session(
    SSL *ssl, const unsigned char *id, size_t id_len, SSL_SESSION **session)
{
	const struct pair_talk *c = SSL_get_app_data(ssl);

	*session = NULL;
	if (id_len != sizeof(IDENTITY) - 1 || memcmp(id, IDENTITY, id_len) != 0)
		return 1; /* not ours: no handshake then */
	*session = make_session(ssl, c);
	return *session != NULL;
}

int
pair_talk_begin(struct pair_talk *c, int fd, const char *code, bool dials,
    int timeout_ms, struct err *e)
{
	c->fd = fd;
	c->until_us = clock_boot_us() + (int64_t)timeout_ms * 1000;
	if (pair_code_key(code, c->psk, e) == -1)
		return -1;
	c->ctx = SSL_CTX_new(dials ? TLS_client_method() : TLS_server_method());
	if (c->ctx == NULL ||
	    SSL_CTX_set_min_proto_version(c->ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(c->ctx, SUITE) != 1 ||
	    SSL_CTX_set_num_tickets(c->ctx, 0) != 1)
		return err_set(e, ERR_BUG, "could not set up TLS 1.3");
	/* A server that shows a certificate instead of the key is refused; as a
	 * server we have none to show. */
	if (dials)
		SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
	(void)SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_options(
	    c->ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
	if (dials)
		SSL_CTX_set_psk_use_session_callback(c->ctx, use_session);
	else
		SSL_CTX_set_psk_find_session_callback(c->ctx, find_session);
	c->ssl = SSL_new(c->ctx);
	c->in = BIO_new(BIO_s_mem());
	c->out = BIO_new(BIO_s_mem());
	if (c->ssl == NULL || c->in == NULL || c->out == NULL) {
		BIO_free(c->in);
		BIO_free(c->out);
		return err_set(e, ERR_BUG, "could not set up TLS 1.3");
	}
	SSL_set_bio(c->ssl, c->in, c->out);
	(void)SSL_set_app_data(c->ssl, c);
	if (dials)
		SSL_set_connect_state(c->ssl);
	else
		SSL_set_accept_state(c->ssl);
	return 0;
}

/* ---- bytes ---- */

static int
wait_for(const struct pair_talk *c, short events, struct err *e)
{
	struct pollfd p = { c->fd, events, 0 };
	int64_t left_us = c->until_us - clock_boot_us();
	int rc;

	if (left_us <= 0)
		return err_set(
		    e, ERR_TRANSIENT, "the other site did not answer in time");
	rc = poll(&p, 1, (int)(left_us / 1000) + 1);
	if (rc == -1 && errno != EINTR)
		return err_sys(e, "could not wait for the other site");
	return 0;
}

int
pair_send(
    const struct pair_talk *c, const uint8_t *data, size_t len, struct err *e)
{
	ssize_t n;

	while (len > 0) {
		n = send(c->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0) {
			data += n;
			len -= (size_t)n;
		} else if (errno != EAGAIN && errno != EINTR) {
			(void)err_sys(e, "could not send to the other site");
			if (e != NULL)
				e->kind = ERR_TRANSIENT;
			return -1;
		} else if (wait_for(c, POLLOUT, e) == -1) {
			return -1;
		}
	}
	return 0;
}

/* What TLS wants to be sent. */
static int
flush(const struct pair_talk *c, struct err *e)
{
	uint8_t data[4096];
	int n;

	while ((n = BIO_read(c->out, data, sizeof(data))) > 0)
		if (pair_send(c, data, (size_t)n, e) == -1)
			return -1;
	return 0;
}

/* More from the other side. */
static int
fill(struct pair_talk *c, struct err *e)
{
	uint8_t data[4096];
	ssize_t n;

	for (;;) {
		n = recv(c->fd, data, sizeof(data), MSG_DONTWAIT);
		if (n > 0)
			break;
		if (n == 0) {
			(void)err_set(e, ERR_TRANSIENT,
			    "the other site closed the connection");
			return err_hint(e,
			    "No invitation is open there, or its time is over: "
			    "run \"pgkura site pair --invite\" there.");
		}
		if (errno != EAGAIN && errno != EINTR) {
			(void)err_sys(
			    e, "could not receive from the other site");
			if (e != NULL)
				e->kind = ERR_TRANSIENT;
			return -1;
		}
		if (wait_for(c, POLLIN, e) == -1)
			return -1;
	}
	c->received += (size_t)n;
	if (c->received > RECEIVED_MAX ||
	    BIO_write(c->in, data, (int)n) != (int)n)
		return err_set(e, ERR_CORRUPT,
		    "the other site sends more than a pairing has");
	return 0;
}

/* Is this how the other side tells, or we see, that the codes differ? */
static bool
is_wrong_code(unsigned long code)
{
	int reason = ERR_GET_REASON(code);

	return ERR_GET_LIB(code) == ERR_LIB_SSL &&
	    (reason == SSL_R_BINDER_DOES_NOT_VERIFY ||
		reason == SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER);
}

static int
tls_error(const struct pair_talk *c, struct err *e)
{
	unsigned long code = ERR_peek_error();
	const char *reason = ERR_reason_error_string(code);

	(void)flush(c, NULL); /* the alert */
	if (is_wrong_code(code)) {
		(void)err_set(
		    e, ERR_REFUSED, "the other site has another code");
		return err_hint(e,
		    "Compare the code; after %d wrong ones a new invitation is "
		    "needed.",
		    3);
	}
	(void)err_set(e, ERR_CORRUPT,
	    "the other side is not a site that knows the code: %s",
	    reason == NULL ? "unexpected bytes" : reason);
	return err_hint(e,
	    "Is that the address of pgkurad at the other site, and is the "
	    "invitation still open there?");
}

/* After an SSL function returned rc <= 0: move bytes and try again (0), or
 * give up (-1). */
static int
again(struct pair_talk *c, int rc, struct err *e)
{
	int why = SSL_get_error(c->ssl, rc);

	if (why == SSL_ERROR_WANT_READ)
		return flush(c, e) == -1 ? -1 : fill(c, e);
	if (why == SSL_ERROR_WANT_WRITE)
		return flush(c, e);
	if (why == SSL_ERROR_ZERO_RETURN)
		return err_set(
		    e, ERR_TRANSIENT, "the other site ended the conversation");
	return tls_error(c, e);
}

int
pair_handshake(struct pair_talk *c, struct err *e)
{
	int rc;

	ERR_clear_error();
	while ((rc = SSL_do_handshake(c->ssl)) != 1)
		if (again(c, rc, e) == -1)
			return -1;
	if (flush(c, e) == -1)
		return -1;
	/* Only the key proves who it is. */
	if (SSL_session_reused(c->ssl) != 1 ||
	    SSL_get0_peer_certificate(c->ssl) != NULL)
		return err_set(
		    e, ERR_REFUSED, "the other side did not use the code");
	return 0;
}

int
pair_write_line(struct pair_talk *c, const char *line, struct err *e)
{
	int rc;

	ERR_clear_error();
	while ((rc = SSL_write(c->ssl, line, (int)strlen(line))) <= 0)
		if (again(c, rc, e) == -1)
			return -1;
	return flush(c, e);
}

int
pair_read_line(struct pair_talk *c, char out[PAIR_LINE_MAX], struct err *e)
{
	size_t len = 0;
	int rc;

	ERR_clear_error();
	while (len < PAIR_LINE_MAX) {
		rc = SSL_read(c->ssl, out + len, 1);
		if (rc <= 0) {
			if (again(c, rc, e) == -1)
				return -1;
		} else if (out[len] == '\n') {
			out[len] = '\0';
			return 0;
		} else if (!isprint((unsigned char)out[len])) {
			break;
		} else {
			len++;
		}
	}
	return err_set(
	    e, ERR_CORRUPT, "the other site sent something that is no line");
}
