#ifndef FENCE_FENCE_H
#define FENCE_FENCE_H

/*
 * fence: pgkura-fence, the watchdog of a primary under a lease.  It outlives
 * pgkurad, and stops the server when the lease has ended that nobody prolonged.
 *
 *	main.c	begins: alone, out of reach of swap, ahead of others
 *	loop.c	looks at the page and the clock
 *	kill.c	ends a server, whatever state its processes are in
 *
 * It needs libc only.  Once it runs it takes no memory, and neither reads nor
 * writes a disk: what it asks is answered by /proc, the page lies in memory.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "fence/page.h"

/* ---- kill.c ---- */

/* A server's first process, held so that no other gets its number. */
struct prey {
	pid_t pid; /* 0: none */
	int fd;	   /* pidfd */
};

/* Opens /proc; -1 when it cannot. */
int kill_begin(void);
/* Take the process pid when it is a server in one of the page's folders. */
void prey_take(struct prey *p, pid_t pid, const struct fence_page *page);
void prey_drop(struct prey *p);
/* Is it there still?  One that ended and was not taken by its parent is not. */
bool prey_lives(const struct prey *p);
/* 1 it may be killed, -1 not, 0 there is none. */
int prey_may_kill(const struct prey *p);
/* Ask it for an immediate shutdown. */
void prey_quit(const struct prey *p);
/* Kill it and its children: how many processes. */
int prey_kill(const struct prey *p);
/*
 * Kill all processes of servers in the page's folders.  A standby that began
 * after since_us is left alone.  Returns how many were there.
 */
int kill_all(const struct fence_page *page, int64_t since_us);

/* ---- loop.c ---- */

struct watch {
	const char *path; /* of the page */
	int fd;
	struct fence_page *page;
	char boot_id[FENCE_BOOT_BYTES];
	bool stay; /* does not end when nothing is to be guarded */
};

/* Map the page at w->path as the one that watches: 1 done, 0 there is none yet,
 * or another watches it, -1 it cannot be (errno). */
int watch_map(struct watch *w);
/* Until there is nothing to guard any more; the exit status. */
int watch_run(struct watch *w);
int64_t watch_now_us(void);

#endif /* !FENCE_FENCE_H */
