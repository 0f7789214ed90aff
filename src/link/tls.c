#include "link/tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

struct tls {
	SSL_CTX *client, *server;
	BIO_METHOD *method;
	uint8_t peer_key[SIGN_PUBLIC_BYTES];
};

static inline void
x509_drop(X509 **x)
{
	X509_free(*x);
}

static int
fail(struct err *e, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *why = ERR_reason_error_string(code);

	(void)err_set(e, ERR_BUG, "could not %s: %s", what,
	    why != NULL ? why : "OpenSSL does not say why");
	ERR_clear_error();
	return -1;
}

/* ------------------------------------------------------------------------- */
/* Sockets: OpenSSL's own BIO would raise SIGPIPE                            */
/* ------------------------------------------------------------------------- */

static int
socket_result(BIO *bio, ssize_t n, int retry_flag)
{
	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_flags(bio, retry_flag | BIO_FLAGS_SHOULD_RETRY);
	return n < 0 ? -1 : (int)n;
}

static int
fd_of(BIO *bio)
{
	return *(const int *)BIO_get_data(bio);
}

static int
socket_write(BIO *bio, const char *data, int len)
{
	return socket_result(bio,
	    send(fd_of(bio), data, (size_t)len, MSG_NOSIGNAL), BIO_FLAGS_WRITE);
}

static int
socket_read(BIO *bio, char *data, int len)
{
	ssize_t n = recv(fd_of(bio), data, (size_t)len, 0);

	if (n == 0)
		errno = 0; /* an end, not an error */
	return socket_result(bio, n, BIO_FLAGS_READ);
}

static long
socket_ctrl(BIO *bio, int command, long number, void *p)
{
	(void)bio;
	(void)number;
	(void)p;
	return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int
socket_destroy(BIO *bio)
{
	free(BIO_get_data(bio));
	return 1;
}

static BIO_METHOD *
socket_method(void)
{
	BIO_METHOD *m = BIO_meth_new(
	    BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "pgkura socket");

	if (m == NULL || BIO_meth_set_write(m, socket_write) != 1 ||
	    BIO_meth_set_read(m, socket_read) != 1 ||
	    BIO_meth_set_ctrl(m, socket_ctrl) != 1 ||
	    BIO_meth_set_destroy(m, socket_destroy) != 1) {
		BIO_meth_free(m);
		return NULL;
	}
	return m;
}

/* ------------------------------------------------------------------------- */
/* Contexts                                                                  */
/* ------------------------------------------------------------------------- */

/* A certificate for pkey, good for ever. */
static X509 *
certificate(EVP_PKEY *pkey)
{
	AUTO(x509_drop) X509 *x = X509_new();
	X509_NAME *name;

	if (x == NULL || X509_set_version(x, 2) != 1 ||
	    ASN1_INTEGER_set(X509_get_serialNumber(x), 1) != 1 ||
	    ASN1_TIME_set_string_X509(
		X509_getm_notBefore(x), "20000101000000Z") != 1 ||
	    ASN1_TIME_set_string_X509(
		X509_getm_notAfter(x), "99991231235959Z") != 1)
		return NULL;
	name = X509_get_subject_name(x);
	if (X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
		(const unsigned char *)"pgkura", -1, -1, 0) != 1 ||
	    X509_set_issuer_name(x, name) != 1 ||
	    X509_set_pubkey(x, pkey) != 1 || X509_sign(x, pkey, NULL) == 0)
		return NULL;
	return steal_ptr(&x);
}

/* Is the key of the certificate the pinned one?  That its owner is there the
 * handshake proves. */
static int
check_peer(X509_STORE_CTX *store, void *arg)
{
	const struct tls *t = arg;
	X509 *x = X509_STORE_CTX_get0_cert(store);
	EVP_PKEY *pkey = x != NULL ? X509_get0_pubkey(x) : NULL;
	uint8_t key[SIGN_PUBLIC_BYTES];
	size_t len = sizeof(key);

	if (pkey != NULL && EVP_PKEY_get_id(pkey) == EVP_PKEY_ED25519 &&
	    EVP_PKEY_get_raw_public_key(pkey, key, &len) == 1 &&
	    len == sizeof(key) && memcmp(key, t->peer_key, len) == 0)
		return 1;
	X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
	return 0;
}

static SSL_CTX *
context(struct tls *t, const SSL_METHOD *method, EVP_PKEY *pkey, X509 *x)
{
	/* Not const, as the macros cast it away. */
	static char groups[] = "X25519:P-256", sigalgs[] = "ed25519";
	SSL_CTX *c = SSL_CTX_new(method);

	if (c == NULL ||
	    SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(c,
		"TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") != 1 ||
	    SSL_CTX_set1_groups_list(c, groups) != 1 ||
	    SSL_CTX_set1_sigalgs_list(c, sigalgs) != 1 ||
	    SSL_CTX_set_num_tickets(c, 0) != 1 ||
	    SSL_CTX_use_certificate(c, x) != 1 ||
	    SSL_CTX_use_PrivateKey(c, pkey) != 1) {
		SSL_CTX_free(c);
		return NULL;
	}
	(void)SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_options(c,
	    SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
		SSL_OP_IGNORE_UNEXPECTED_EOF);
	(void)SSL_CTX_set_mode(c,
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* Several records a system call. */
	SSL_CTX_set_read_ahead(c, 1);
	SSL_CTX_set_default_read_buffer_len(c, (size_t)66 << 10);
	SSL_CTX_set_verify(
	    c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(c, check_peer, t);
	return c;
}

struct tls *
tls_new(const struct sign_key *key, const uint8_t peer_key[SIGN_PUBLIC_BYTES],
    struct err *e)
{
	AUTO_TLS struct tls *t = mem_zalloc(sizeof(*t));
	AUTO(x509_drop) X509 *x = certificate(sign_key_pkey(key));

	(void)memcpy(t->peer_key, peer_key, SIGN_PUBLIC_BYTES);
	if (x == NULL) {
		(void)fail(e, "make a certificate");
		return NULL;
	}
	t->method = socket_method();
	t->client = context(t, TLS_client_method(), sign_key_pkey(key), x);
	t->server = context(t, TLS_server_method(), sign_key_pkey(key), x);
	if (t->method == NULL || t->client == NULL || t->server == NULL) {
		(void)fail(e, "set up TLS 1.3");
		return NULL;
	}
	return steal_ptr(&t);
}

void
tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	SSL_CTX_free(t->client);
	SSL_CTX_free(t->server);
	BIO_meth_free(t->method);
	free(t);
}

/* ------------------------------------------------------------------------- */
/* Connections                                                               */
/* ------------------------------------------------------------------------- */

struct ssl_st *
tls_start(struct tls *t, int fd, bool client, struct err *e)
{
	SSL *ssl = SSL_new(client ? t->client : t->server);
	BIO *bio = BIO_new(t->method);
	int *kept;

	if (ssl == NULL || bio == NULL) {
		SSL_free(ssl);
		BIO_free(bio);
		(void)fail(e, "start TLS");
		return NULL;
	}
	kept = mem_alloc(sizeof(*kept));
	*kept = fd;
	BIO_set_data(bio, kept);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	if (client)
		SSL_set_connect_state(ssl);
	else
		SSL_set_accept_state(ssl);
	return ssl;
}

bool
tls_failed(struct ssl_st *ssl, int result, struct err *e)
{
	int saved = errno;
	const char *why;

	switch (SSL_get_error(ssl, result)) {
	case SSL_ERROR_NONE:
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return false;
	case SSL_ERROR_ZERO_RETURN:
		(void)err_set(
		    e, ERR_TRANSIENT, "the peer ended the connection");
		break;
	case SSL_ERROR_SYSCALL:
		if (saved == 0)
			(void)err_set(
			    e, ERR_TRANSIENT, "the connection ended early");
		else
			(void)err_set(e, ERR_TRANSIENT, "%s", strerror(saved));
		break;
	default:
		why = ERR_reason_error_string(ERR_peek_error());
		if (SSL_get_verify_result(ssl) == X509_V_ERR_CERT_UNTRUSTED)
			(void)err_set(e, ERR_REFUSED,
			    "the peer's key is not the one that is known");
		else
			(void)err_set(e, ERR_CORRUPT, "TLS: %s",
			    why != NULL ? why : "failed");
		break;
	}
	ERR_clear_error();
	return true;
}
