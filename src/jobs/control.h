#ifndef JOBS_CONTROL_H
#define JOBS_CONTROL_H

/*
 * control: asking a running pgkurad, over runtime_dir/control.sock.
 *
 * One JSON object a line, each way, at most CONTROL_REQUEST_MAX bytes to it:
 *
 *	{"version": 1, "request": "status"}
 *	{"version": 1, "ok": true, ...}
 *	{"version": 1, "ok": false,
 *	    "error": {"kind": "usage", "message": "...", "hint": "..."}}
 *
 * Requests, with what they take and give:
 *
 *	status			site, health, clusters, ... (doc/control.md)
 *	events	count, after	events, last
 *	role	cluster		what "pgkura role --json" prints
 *	run	job, cluster	pid of the job ("backup", "expire", "verify", "drill",
 *				"drill_live": also hold_us, from, and id)
 *	cancel	job, cluster	(it has been told to end)
 *	drill_live cluster	running; drill: what the last one says of itself
 *	order	cluster, order	id: what "role" says of it has that
 *	reload			(the settings are in effect, or the error why not)
 *	stop			(it has begun to)
 */

#include <jansson.h>

#include "base/err.h"
#include "conf/settings.h"

#define CONTROL_VERSION	    1
#define CONTROL_SOCKET	    "control.sock"
#define CONTROL_REQUEST_MAX ((size_t)64 << 10)
#define CONTROL_REPLY_MAX   ((size_t)16 << 20)

/* {"version": 1, "request": name}: add to it what it takes. */
json_t *control_request(const char *name);

/*
 * Ask, and wait at most timeout_ms for the reply, which the caller frees.
 * ERR_NOT_FOUND: no daemon runs.  ERR_REFUSED: this user may not.  What the
 * daemon refuses comes as its error.
 */
json_t *control_ask(const struct settings *s, const json_t *request,
    int timeout_ms, struct err *e);

/* Both sides: an error as it is described above; the second gives -1. */
json_t *control_error_json(const struct err *e);
int control_error_read(const json_t *error, struct err *e);

/* Both sides: the path of the socket; the caller frees. */
char *control_path(const struct settings *s);

#endif /* !JOBS_CONTROL_H */
