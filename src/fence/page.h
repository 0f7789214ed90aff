#ifndef FENCE_PAGE_H
#define FENCE_PAGE_H

/*
 * page: what the rule of a cluster and its watchdog (pgkura-fence) share:
 * <runtime_dir>/fence.<cluster>, mapped by both, of this boot alone.
 *
 *	rule ------ until when the server may write --------> pgkura-fence
 *	     <----- that it is there, and can kill ----------
 *
 * The watchdog holds the file's lock (flock) while it lives; one at a time.
 * Numbers are read and written whole, by fence_get() and fence_put().  Times are
 * CLOCK_BOOTTIME in microseconds.  The file never leaves the machine, so its
 * numbers are the machine's.
 */

#include <stdint.h>
#include <string.h>

#define FENCE_MAGIC	  "PGKFNC1\n"
#define FENCE_MAGIC_BYTES 8
#define FENCE_BOOT_BYTES  40
#define FENCE_PATH_BYTES  1024
#define FENCE_FOLDERS	  2
#define FENCE_UNGUARDED	  INT64_MAX
#define FENCE_NAME	  "pgkura-fence" /* the program; at most 15 letters */

/* A data directory in which the cluster's server may run. */
struct fence_folder {
	int64_t device, inode; /* 0: there is none */
	char path[FENCE_PATH_BYTES];
};

struct fence_page {
	char magic[FENCE_MAGIC_BYTES]; /* written last */
	char boot_id[FENCE_BOOT_BYTES];
	/* Written by the rule: */
	int64_t until_us;   /* the lease; FENCE_UNGUARDED: nothing is guarded */
	int64_t quit_us;    /* so long before: the server is told to stop */
	int64_t kill_us;    /* so long before: its processes are killed */
	int64_t rule_us;    /* when the rule was here last */
	int64_t server_pid; /* as the rule sees it; 0: none */
	struct fence_folder folders[FENCE_FOLDERS];
	/* Written by the watchdog: */
	int64_t pid;
	int64_t beat_us;    /* when it was here last */
	int64_t locked;	    /* 1: its memory stays in memory */
	int64_t realtime;   /* 1: it goes before ordinary processes */
	int64_t may_kill;   /* 1 it can stop the server, -1 it may not, 0: not
			      known, none ran yet */
	int64_t stops;	    /* how often it stopped a server ... */
	int64_t killed;	    /* processes that it killed for that */
	int64_t stopped_us; /* ... and when the last was gone */
};

static inline int64_t
fence_get(const int64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static inline void
fence_put(int64_t *p, int64_t value)
{
	__atomic_store_n(p, value, __ATOMIC_SEQ_CST);
}

#endif /* !FENCE_PAGE_H */
