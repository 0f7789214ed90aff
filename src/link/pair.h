#ifndef LINK_PAIR_H
#define LINK_PAIR_H

/*
 * pair: two sites exchange their names and public keys, once, under a one-time
 * code of 80 random bits that a person carries from one to the other.
 *
 * TLS 1.3 with the code as external pre-shared key and (EC)DHE: who does not
 * know the code learns nothing and cannot be in the middle.  Inside it each
 * side sends "<name> <hex public key> <addresses>\n".
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "codec/sign.h"
#include "link/link.h"

#define PAIR_CODE_BYTES 24 /* "abcd-efgh-jkmn-pqrs": Crockford's base 32 */

struct pair_side {
	char name[LINK_SITE_BYTES];
	uint8_t key[SIGN_PUBLIC_BYTES];
	char addresses[512]; /* where it listens: "host:port, host:port"; "" */
};

void pair_code_new(char out[PAIR_CODE_BYTES]);
/* Canonical form (case, dashes, I L O as people write them) or ERR_USAGE. */
int pair_code_parse(const char *text, char out[PAIR_CODE_BYTES], struct err *e);

/* The dialling side, on a connected socket, preamble included; blocking, at most
 * timeout_ms in all.  ERR_REFUSED: another code. */
int pair_dial(int fd, const char *code, const struct pair_side *us,
    struct pair_side *peer, int timeout_ms, struct err *e);
/* The other side; the preamble was read.  peer->name says who may come; "" any.
 * The caller keeps peer durably before it forgets the code. */
int pair_answer(int fd, const char *code, const struct pair_side *us,
    struct pair_side *peer, int timeout_ms, struct err *e);

/* What one side sends, without its end.  Pure; ERR_CORRUPT, and *side untouched,
 * for anything that is none. */
int pair_side_parse(struct pair_side *side, const char *line, struct err *e);

/* Addresses as we keep them: what the other side said, with the host it was met
 * at in place of "*"; what does not fit is left out. */
void pair_place(const char *said, const char *host, char out[512]);

#endif /* !LINK_PAIR_H */
