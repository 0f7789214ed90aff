#ifndef LINK_TLS_H
#define LINK_TLS_H

/*
 * tls: TLS 1.3 between two sites that know each other's Ed25519 key.
 *
 * Each side presents a certificate that it signed itself; what counts is that
 * its key is the pinned one, which the handshake proves.  Names and dates in
 * certificates say nothing.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "codec/sign.h"

struct tls; /* what all connections to one peer share */
struct ssl_st;

/* peer_key is copied, key is used by OpenSSL from now on.  NULL with *e:
 * OpenSSL cannot do it. */
struct tls *tls_new(const struct sign_key *key,
    const uint8_t peer_key[SIGN_PUBLIC_BYTES], struct err *e);
void tls_free(struct tls *t);
AUTO_DEFINE(struct tls, tls_free);
#define AUTO_TLS AUTO(tls_free_auto)

/* A connection over fd, which stays the caller's; NULL with *e.  Free it with
 * SSL_free().  t must outlive it. */
struct ssl_st *tls_start(struct tls *t, int fd, bool client, struct err *e);
/* Why the last call on ssl failed, in words; false when it only has to wait. */
bool tls_failed(struct ssl_st *ssl, int result, struct err *e);

#endif /* !LINK_TLS_H */
