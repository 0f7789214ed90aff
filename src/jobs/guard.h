#ifndef JOBS_GUARD_H
#define JOBS_GUARD_H

/*
 * guard: the rule's side of the watchdog (fence/page.h): starts it, tells it
 * until when the server may write, and sees whether it is there.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "conf/settings.h"
#include "fence/page.h"

/* What is seen of a watchdog. */
struct guard_view {
	bool there; /* it was there less than a second ago */
	pid_t pid;
	bool locked, realtime;
	/* It can stop the server that runs here, or one that its user started
	 * would be of the right user. */
	bool may_kill;
	int64_t stops, killed, stopped_us;
};

struct guard {
	const struct settings *s;
	const struct cluster_settings *c;
	char *path;
	struct fence_page *page; /* NULL: none */
	int fd;
	pid_t child;	/* started by us, not taken yet; 0: none */
	int64_t try_us; /* not started again before */
	int64_t folders_us;
	int64_t stops; /* as told last */
};

/* The rule's: makes the page, of a cluster with fence = lease; takes one that is
 * there for any.  guard_close() leaves the watchdog alone. */
int guard_open(struct guard *g, const struct settings *s,
    const struct cluster_settings *c, struct err *e);
void guard_close(struct guard *g);
/* Start it where none is, and another in place of one that hangs. */
void guard_keep(struct guard *g);
/* The lease, FENCE_UNGUARDED for none, and the server as it is seen.  It is told
 * to stop margin_us / 2 before the lease ends, and killed margin_us / 4 before. */
void
guard_tell(struct guard *g, int64_t until_us, int64_t margin_us, pid_t server);
void guard_see(const struct guard *g, struct guard_view *v);

/* Anybody's look, without the rule.  All zero when there is no page. */
void guard_look(const struct settings *s, const struct cluster_settings *c,
    struct guard_view *v);

#endif /* !JOBS_GUARD_H */
