#ifndef PG_SESSION_PARAMS_H
#define PG_SESSION_PARAMS_H

/*
 * session_params: the operator's connection settings with ours beside them, as
 * the two arrays that PQconnectStartParams() wants.  Wiped when freed.
 */

#include <stdbool.h>

#include "base/auto.h"
#include "base/err.h"
#include "pg/session.h"

struct session_params;

/* As in session_open().  NULL with ERR_USAGE when conninfo cannot be read. */
struct session_params *session_params_new(const char *conninfo,
    enum session_kind kind, const char *application_name, struct err *e);
void session_params_free(struct session_params *p);
AUTO_DEFINE(struct session_params, session_params_free);
#define AUTO_SESSION_PARAMS AUTO(session_params_free_auto)

/* Ended by NULL; good until p changes. */
const char *const *session_params_keywords(const struct session_params *p);
const char *const *session_params_values(const struct session_params *p);

/* connect_timeout; -1 when the operator wants none. */
int session_params_timeout_ms(const struct session_params *p);

/*
 * Leave out the host (or address) and port that PQhost(), PQport() gave.  libpq goes on to the
 * next host only when the kernel reports a failure, not when we say that it
 * took too long.  false when it is the only one.
 */
bool session_params_drop_host(
    struct session_params *p, const char *host, const char *port);

#endif /* !PG_SESSION_PARAMS_H */
