#ifndef DAEMON_CONTROL_SERVER_H
#define DAEMON_CONTROL_SERVER_H

/*
 * control_server: the daemon's side of the control socket (jobs/control.h).
 *
 * Nothing here waits: clients are served from the daemon's poll().  They are
 * few, their requests bounded, and silent ones are dropped.
 */

#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/auto.h"
#include "base/err.h"
#include "conf/settings.h"

#define CONTROL_CLIENTS_MAX 32
#define CONTROL_IDLE_US	    ((int64_t)60 * 1000000)
/* So many places are for root and our own user alone. */
#define CONTROL_OWNERS_OWN 4

struct control_server;

/* Who asks, by what the kernel says of when it connected. */
struct control_peer {
	uid_t uid;
	pid_t pid;
	unsigned int
	    rights; /* of enum control_right, as the settings are now */
	/* Set by who answers: it was refused for want of rights. */
	bool is_refused;
};

/* Answers one request: adds to reply, returns 0, or -1 with *e. */
typedef int
control_answer_fn(void *arg, const char *name, const json_t *request,
    struct control_peer *peer, json_t *reply, struct err *e);

/* Binds runtime_dir/control.sock in place of one that a dead daemon left
 * behind: the caller holds the lock that says so. */
struct control_server *control_server_new(
    const struct settings *s, control_answer_fn *fn, void *arg, struct err *e);
/* Removes the socket. */
void control_server_free(struct control_server *c);
AUTO_DEFINE(struct control_server, control_server_free);
#define AUTO_CONTROL_SERVER AUTO(control_server_free_auto)

/* The groups that may use it change, also for who is connected.  Nothing does when
 * it fails. */
int control_server_set_groups(
    struct control_server *c, const struct settings *s, struct err *e);

/* What to wait for: at most CONTROL_CLIENTS_MAX + 1 entries. */
size_t control_server_poll(const struct control_server *c, struct pollfd *out);
/* Serve what has come.  Returns when (clock_boot_us()) to be called at the
 * latest. */
int64_t control_server_tick(struct control_server *c);

#endif /* !DAEMON_CONTROL_SERVER_H */
