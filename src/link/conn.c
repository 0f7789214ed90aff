#include "link/conn.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <string.h>

#include "base/mem.h"

#define KEEP_BYTES  ((size_t)256 << 10) /* of an empty buffer */
#define REKEY_BYTES ((uint64_t)64 << 30)

struct conn *
conn_new(int fd, bool dialled, int64_t now_us)
{
	struct conn *c = mem_zalloc(sizeof(*c));

	c->fd = fd;
	c->dialled = dialled;
	c->state = dialled ? CONN_CONNECTING : CONN_TLS;
	c->since_us = c->moved_us = now_us;
	return c;
}

void
conn_free(struct conn *c)
{
	if (c == NULL)
		return;
	SSL_free(c->ssl);
	(void)close(c->fd);
	buf_free(&c->in);
	buf_free(&c->out);
	free(c);
}

int
conn_handshake(struct conn *c, struct tls *tls, struct err *e)
{
	int rc;

	if (c->ssl == NULL) {
		c->ssl = tls_start(tls, c->fd, c->dialled, e);
		if (c->ssl == NULL)
			return -1;
	}
	ERR_clear_error();
	errno = 0;
	rc = SSL_do_handshake(c->ssl);
	if (rc == 1) {
		c->more = true;
		return 1;
	}
	if (tls_failed(c->ssl, rc, e))
		return -1;
	c->tls_writes = SSL_want_write(c->ssl);
	return 0;
}

int
conn_read(struct conn *c, struct err *e)
{
	uint8_t *to = buf_reserve(&c->in, CONN_RECORD_BYTES);
	int n;

	ERR_clear_error();
	errno = 0;
	n = SSL_read(c->ssl, to, (int)CONN_RECORD_BYTES);
	if (n > 0) {
		c->in.len += (size_t)n;
		/* After the last of what came, poll() knows sooner. */
		c->more =
		    n == (int)CONN_RECORD_BYTES || SSL_has_pending(c->ssl) == 1;
		return 1;
	}
	c->more = false;
	return tls_failed(c->ssl, n, e) ? -1 : 0;
}

int
conn_write(struct conn *c, struct err *e)
{
	if (c->out_done >= 4 * CONN_RECORD_BYTES) {
		c->out.len -= c->out_done;
		(void)memmove(
		    c->out.data, c->out.data + c->out_done, c->out.len);
		c->out_done = 0;
	}
	while (c->out_done < c->out.len) {
		size_t left = c->out.len - c->out_done;
		int n;

		/* Within what one key may seal (RFC 8446, 5.5). */
		if (c->sealed > REKEY_BYTES &&
		    SSL_key_update(c->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1)
			c->sealed = 0;
		ERR_clear_error();
		errno = 0;
		n = SSL_write(c->ssl, c->out.data + c->out_done,
		    (int)(left < CONN_RECORD_BYTES ? left : CONN_RECORD_BYTES));
		if (n <= 0)
			return tls_failed(c->ssl, n, e) ? -1 : 0;
		c->out_done += (size_t)n;
		c->sealed += (size_t)n;
	}
	buf_clear(&c->out);
	c->out_done = 0;
	if (c->out.cap > KEEP_BYTES)
		buf_free(&c->out);
	return 0;
}

size_t
conn_waiting(const struct conn *c)
{
	return c->out.len - c->out_done;
}

void
conn_consume(struct conn *c, size_t len)
{
	if (len == 0)
		return;
	c->in.len -= len;
	if (c->in.len > 0)
		(void)memmove(c->in.data, c->in.data + len, c->in.len);
	else if (c->in.cap > KEEP_BYTES)
		buf_free(&c->in);
}

short
conn_events(const struct conn *c)
{
	if (c->state == CONN_CONNECTING)
		return POLLOUT;
	if (c->state == CONN_TLS)
		return c->tls_writes ? POLLOUT : POLLIN;
	return conn_waiting(c) > 0 ? POLLIN | POLLOUT : POLLIN;
}
