/*
 * pair: TLS 1.3 with an external pre-shared key (RFC 8446, 4.2.11).
 *
 *	dialler					answerer
 *	"PGKURA 1 pair\n"	------->
 *	TLS: key from the code, (EC)DHE <------>	nothing but this key, no certificate
 *	"<name> <key> <addresses>\n"	------->
 *				<-------	the same
 *	"ok\n"			------->	it is done when this is here
 *				<-------	"ok\n"
 *
 * TLS runs over memory, so that every byte is sent and received here: bounded,
 * in time, and without SIGPIPE.
 */

#include "link/pair.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/ssl.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "conf/address.h"
#include "conf/list.h"
#include "link/keys.h"
#include "link/preamble.h"

#define CODE_BYTES    10 /* 80 bits */
#define CODE_LETTERS  16
#define PSK_BYTES     32
#define IDENTITY      "pgkura-pair-1"
#define LABEL	      "pgkura pair 1"
#define SUITE	      "TLS_AES_128_GCM_SHA256"
#define PAIR_LINE_MAX ((size_t)1024)
#define RECEIVED_MAX  ((size_t)64 << 10) /* of a whole pairing, TLS included */

static const unsigned char suite_id[] = { 0x13, 0x01 };

/* ---- codes ---- */

static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";

void
pair_code_new(char out[PAIR_CODE_BYTES])
{
	uint8_t raw[CODE_LETTERS];
	size_t i, n = 0;

	random_bytes(raw, sizeof(raw));
	for (i = 0; i < CODE_LETTERS; i++) {
		if (i > 0 && i % 4 == 0)
			out[n++] = '-';
		out[n++] = letters[raw[i] & 31];
	}
	out[n] = '\0';
	OPENSSL_cleanse(raw, sizeof(raw));
}

/* 0 to 31, or -1.  I and L are 1, O is 0, as people read them. */
static int
letter_value(char c)
{
	const char *p;

	c = (char)tolower((unsigned char)c);
	if (c == 'i' || c == 'l')
		c = '1';
	if (c == 'o')
		c = '0';
	p = c == '\0' ? NULL : strchr(letters, c);
	return p == NULL ? -1 : (int)(p - letters);
}

int
pair_code_parse(const char *text, char out[PAIR_CODE_BYTES], struct err *e)
{
	char made[PAIR_CODE_BYTES];
	size_t count = 0, n = 0;
	int value;

	for (; *text != '\0'; text++) {
		if (*text == '-' || isblank((unsigned char)*text))
			continue;
		value = letter_value(*text);
		if (value == -1 || count == CODE_LETTERS) {
			count = 0;
			break;
		}
		if (count > 0 && count % 4 == 0)
			made[n++] = '-';
		made[n++] = letters[value];
		count++;
	}
	if (count != CODE_LETTERS) {
		(void)err_set(e, ERR_USAGE, "that is not a pairing code");
		return err_hint(e,
		    "A code has 16 letters and digits, such as "
		    "abcd-efgh-jkmn-pqrs; \"pgkura site pair --invite\" at the "
		    "other site prints one.");
	}
	made[n] = '\0';
	(void)memcpy(out, made, n + 1);
	OPENSSL_cleanse(made, sizeof(made));
	return 0;
}

/* The 80 bits of a canonical code, five a letter. */
static void
code_bits(const char *code, uint8_t out[CODE_BYTES])
{
	unsigned int have = 0, held = 0;
	size_t n = 0;

	for (; *code != '\0'; code++) {
		if (*code == '-')
			continue;
		held = (held << 5 | (unsigned int)letter_value(*code)) & 0xfff;
		have += 5;
		if (have >= 8 && n < CODE_BYTES) {
			have -= 8;
			out[n++] = (uint8_t)(held >> have);
		}
	}
}

/* HKDF-SHA256 (RFC 5869) without salt. */
static int
derive_key(const char *code, uint8_t out[PSK_BYTES], struct err *e)
{
	uint8_t bits[CODE_BYTES] = { 0 };
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
	OSSL_PARAM params[4];
	int ok;

	code_bits(code, bits);
	params[0] = OSSL_PARAM_construct_utf8_string(
	    OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0);
	params[1] = OSSL_PARAM_construct_octet_string(
	    OSSL_KDF_PARAM_KEY, bits, sizeof(bits));
	params[2] = OSSL_PARAM_construct_octet_string(
	    OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)LABEL, sizeof(LABEL) - 1);
	params[3] = OSSL_PARAM_construct_end();
	ok = ctx != NULL && EVP_KDF_derive(ctx, out, PSK_BYTES, params) == 1;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	OPENSSL_cleanse(bits, sizeof(bits));
	return ok ? 0 : err_set(e, ERR_BUG, "HKDF is not available in OpenSSL");
}

/* ---- TLS ---- */

struct conversation {
	int fd;
	int64_t until_us; /* clock_boot_us() */
	size_t received;
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out; /* borrowed from ssl */
	uint8_t psk[PSK_BYTES];
};

static void
conversation_end(struct conversation *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	ERR_clear_error();
	OPENSSL_cleanse(c->psk, sizeof(c->psk));
}

/* The key as TLS 1.3 takes it: a session that was never had. */
static SSL_SESSION *
make_session(SSL *ssl, const struct conversation *c)
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
	const struct conversation *c = SSL_get_app_data(ssl);

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
	const struct conversation *c = SSL_get_app_data(ssl);

	*session = NULL;
	if (id_len != sizeof(IDENTITY) - 1 || memcmp(id, IDENTITY, id_len) != 0)
		return 1; /* not ours: no handshake then */
	*session = make_session(ssl, c);
	return *session != NULL;
}

static int
conversation_begin(struct conversation *c, int fd, const char *code, bool dials,
    int timeout_ms, struct err *e)
{
	c->fd = fd;
	c->until_us = clock_boot_us() + (int64_t)timeout_ms * 1000;
	if (derive_key(code, c->psk, e) == -1)
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
wait_for(const struct conversation *c, short events, struct err *e)
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

static int
send_bytes(const struct conversation *c, const uint8_t *data, size_t len,
    struct err *e)
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
flush(const struct conversation *c, struct err *e)
{
	uint8_t data[4096];
	int n;

	while ((n = BIO_read(c->out, data, sizeof(data))) > 0)
		if (send_bytes(c, data, (size_t)n, e) == -1)
			return -1;
	return 0;
}

/* More from the other side. */
static int
fill(struct conversation *c, struct err *e)
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
tls_error(const struct conversation *c, struct err *e)
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
again(struct conversation *c, int rc, struct err *e)
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

static int
handshake(struct conversation *c, struct err *e)
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

static int
write_line(struct conversation *c, const char *line, struct err *e)
{
	int rc;

	ERR_clear_error();
	while ((rc = SSL_write(c->ssl, line, (int)strlen(line))) <= 0)
		if (again(c, rc, e) == -1)
			return -1;
	return flush(c, e);
}

/* One line without its end. */
static int
read_line(struct conversation *c, char out[PAIR_LINE_MAX], struct err *e)
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

/* ---- what is said ---- */

static int
write_side(struct conversation *c, const struct pair_side *us, struct err *e)
{
	char hex[2 * SIGN_PUBLIC_BYTES + 1];
	AUTO_FREE char *line = NULL;

	hex_encode(us->key, sizeof(us->key), hex);
	line = mem_printf("%s %s %s\n", us->name, hex, us->addresses);
	return write_line(c, line, e);
}

int
pair_side_parse(struct pair_side *side, const char *line, struct err *e)
{
	struct pair_side made;
	const char *key = strchr(line, ' ');
	char hex[2 * SIGN_PUBLIC_BYTES + 1];
	size_t name_len = key == NULL ? 0 : (size_t)(key - line);

	(void)memset(&made, 0, sizeof(made));
	if (key != NULL && name_len < sizeof(made.name) &&
	    strlen(++key) > sizeof(hex) - 1 && key[sizeof(hex) - 1] == ' ') {
		(void)memcpy(made.name, line, name_len);
		(void)memcpy(hex, key, sizeof(hex) - 1);
		hex[sizeof(hex) - 1] = '\0';
		if (peer_name_valid(made.name) &&
		    hex_decode(hex, made.key, sizeof(made.key)) == 0 &&
		    peer_addresses_valid(key + sizeof(hex))) {
			(void)strcpy(made.addresses, key + sizeof(hex));
			*side = made;
			return 0;
		}
	}
	return err_set(e, ERR_CORRUPT, "the other site does not say who it is");
}

void
pair_place(const char *said, const char *host, char out[512])
{
	char word[ADDRESS_TEXT_BYTES];
	AUTO_BUF struct buf all = BUF_INIT;
	struct address a;

	while (list_next(&said, word, sizeof(word))) {
		size_t before = all.len;
		const char *h;

		if (address_parse(&a, word, true, NULL) == -1)
			continue;
		h = strcmp(a.host, "*") == 0 ? host : a.host;
		buf_printf(&all,
		    strchr(h, ':') == NULL ? "%s%s:%s" : "%s[%s]:%s",
		    before == 0 ? "" : ", ", h, a.port);
		if (all.len >= 512)
			all.len = before;
	}
	(void)snprintf(out, 512, "%s", buf_str(&all));
}

static int
read_side(struct conversation *c, struct pair_side *peer, struct err *e)
{
	char line[PAIR_LINE_MAX];

	return read_line(c, line, e) == -1 ? -1
					   : pair_side_parse(peer, line, e);
}

/* Two sites need two names, and two keys. */
static int
check_other(
    const struct pair_side *us, const struct pair_side *peer, struct err *e)
{
	if (strcmp(us->name, peer->name) == 0) {
		(void)err_set(
		    e, ERR_CONFLICT, "both sites are called \"%s\"", us->name);
		return err_hint(e,
		    "Each site needs a name of its own: site = NAME in "
		    "[pgkura].");
	}
	if (memcmp(us->key, peer->key, sizeof(us->key)) == 0) {
		(void)err_set(e, ERR_CONFLICT,
		    "\"%s\" has the key of this site", peer->name);
		return err_hint(
		    e, "A state directory was copied: remove link.key there.");
	}
	return 0;
}

/* Is it the one that was invited?  What it says next is awaited, or it might
 * meet a closed connection instead of our reason. */
static int
check_wanted(struct conversation *c, const struct pair_side *wanted,
    const struct pair_side *other, struct err *e)
{
	char line[PAIR_LINE_MAX];

	if (wanted->name[0] == '\0' || strcmp(wanted->name, other->name) == 0)
		return 0;
	if (write_line(c, "the invitation is for another site\n", NULL) == 0)
		(void)read_line(c, line, NULL);
	return err_set(e, ERR_CONFLICT,
	    "the invitation is for \"%s\" and \"%s\" came", wanted->name,
	    other->name);
}

static int
read_ok(struct conversation *c, struct err *e)
{
	char line[PAIR_LINE_MAX];

	if (read_line(c, line, e) == -1)
		return -1;
	return strcmp(line, "ok") == 0
	    ? 0
	    : err_set(e, ERR_CONFLICT, "the other site says: %s", line);
}

int
pair_dial(int fd, const char *code, const struct pair_side *us,
    struct pair_side *peer, int timeout_ms, struct err *e)
{
	AUTO(conversation_end) struct conversation c = { .fd = -1 };
	struct preamble p = { .pair = true };
	char text[PREAMBLE_BYTES_MAX];
	size_t len = preamble_print(&p, text);
	struct pair_side other;

	if (conversation_begin(&c, fd, code, true, timeout_ms, e) == -1 ||
	    send_bytes(&c, (const uint8_t *)text, len, e) == -1 ||
	    handshake(&c, e) == -1 || write_side(&c, us, e) == -1 ||
	    read_side(&c, &other, e) == -1 ||
	    check_other(us, &other, e) == -1 ||
	    write_line(&c, "ok\n", e) == -1 || read_ok(&c, e) == -1)
		return -1;
	*peer = other;
	return 0;
}

int
pair_answer(int fd, const char *code, const struct pair_side *us,
    struct pair_side *peer, int timeout_ms, struct err *e)
{
	AUTO(conversation_end) struct conversation c = { .fd = -1 };
	struct pair_side other;

	if (conversation_begin(&c, fd, code, false, timeout_ms, e) == -1 ||
	    handshake(&c, e) == -1 || read_side(&c, &other, e) == -1 ||
	    write_side(&c, us, e) == -1 || check_other(us, &other, e) == -1 ||
	    check_wanted(&c, peer, &other, e) == -1 || read_ok(&c, e) == -1)
		return -1;
	(void)write_line(&c, "ok\n", NULL);
	*peer = other;
	return 0;
}
