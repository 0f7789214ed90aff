#ifndef LINK_PAIR_INT_H
#define LINK_PAIR_INT_H

/*
 * pair_int: between the files of pair.
 */

#include <openssl/ssl.h>

#include "base/err.h"
#include "link/pair.h"

#define PAIR_PSK_BYTES 32
#define PAIR_LINE_MAX  ((size_t)1024)

/* HKDF-SHA256 (RFC 5869) without salt. */
int pair_code_key(const char *code, uint8_t out[PAIR_PSK_BYTES], struct err *e);

/* A conversation that only who knows the code can have. */
struct pair_talk {
	int fd;
	int64_t until_us; /* clock_boot_us() */
	size_t received;
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out; /* borrowed from ssl */
	uint8_t psk[PAIR_PSK_BYTES];
};

/* Everything is to be done within timeout_ms. */
int pair_talk_begin(struct pair_talk *c, int fd, const char *code, bool dials,
    int timeout_ms, struct err *e);
void pair_talk_end(struct pair_talk *c);
/* As it is: what comes before TLS. */
int pair_send(
    const struct pair_talk *c, const uint8_t *data, size_t len, struct err *e);
/* ERR_REFUSED when the other side has another code. */
int pair_handshake(struct pair_talk *c, struct err *e);
int pair_write_line(struct pair_talk *c, const char *line, struct err *e);
/* Of printing letters, without its end. */
int pair_read_line(struct pair_talk *c, char out[PAIR_LINE_MAX], struct err *e);

#endif /* !LINK_PAIR_INT_H */
