#ifndef JOBS_COURIER_RULE_H
#define JOBS_COURIER_RULE_H

/*
 * courier_rule: what the rules of this site and of the peer say to each other,
 * on its way through the courier.
 *
 * What a rule says of itself rides on every heartbeat of every path; when it has
 * changed, and for votes, it goes as a message besides.  On a heartbeat each is
 * two bytes of length and the bytes of site/message.h; when not all fit, they
 * take turns.
 */

#include <jansson.h>

#include "codec/sign.h"
#include "conf/settings.h"
#include "link/link.h"

struct courier_rule;

/* key: the one that the link knows the peer by. */
struct courier_rule *
courier_rule_new(const struct settings *s, const struct peer_settings *p,
    const uint8_t key[SIGN_PUBLIC_BYTES], struct err *e);
void courier_rule_free(struct courier_rule *r);

/* To wait for. */
int courier_rule_fd(const struct courier_rule *r);
/* Take what the rules say; send() is for what goes as a message (a JSON object,
 * which it frees). */
void courier_rule_take(
    struct courier_rule *r, void (*send)(void *arg, json_t *m), void *arg);
/* The ops of link.h. */
size_t courier_rule_beat_out(struct courier_rule *r, uint8_t *out);
void
courier_rule_beat_in(struct courier_rule *r, const uint8_t *data, size_t len);
/* A message "rule" of the peer's courier. */
void courier_rule_message(struct courier_rule *r, const json_t *m);
/* Once a second: when each path was heard; and of a witness its key. */
void courier_rule_paths(struct courier_rule *r, const struct link_state *st);

#endif /* !JOBS_COURIER_RULE_H */
