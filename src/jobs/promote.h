#ifndef JOBS_PROMOTE_H
#define JOBS_PROMOTE_H

/*
 * promote: the standby of this site becomes a primary.
 *
 * Mechanics only: whether it may is decided elsewhere, before.
 *
 *	freeze		what is committed here is the end: say what would be lost
 *	hook before	fence the old primary
 *	start		if it does not run; make it, if there is none
 *	replay		all that is here
 *	promote		a new timeline
 *	probe		a transaction that writes
 *	hook after	address, DNS, pooler
 *
 * Each may be interrupted and the whole run again: what is done is found done.
 * Steps end by what they reach or when nothing moves any more, not by time.
 *
 * From then on the cluster's server at this site is the promoted one: receiver,
 * backups and commands use it instead of conninfo (promote_adopt()), and WAL of
 * the new timeline joins the same lineage.  A file in the state directory says
 * so; making a standby of the directory again takes it back.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/settings.h"
#include "pg/lsn.h"

enum promote_step {
	PROMOTE_FREEZE,
	PROMOTE_HOOK_BEFORE,
	PROMOTE_START,
	PROMOTE_REPLAY,
	PROMOTE_SWITCH,
	PROMOTE_PROBE,
	PROMOTE_HOOK_AFTER,
	PROMOTE_STEPS
};
/* "freeze", "hook before", ... */
const char *promote_step_name(enum promote_step step);

struct promote_options {
	bool
	    plan_only; /* freeze alone: what would be, and what would be lost */
	bool no_hooks;
	/* Called about once a second with a line for people; NULL. */
	void (*progress)(void *arg, const char *line);
	void *arg;
};

struct promote_result {
	/* Of the freeze: */
	uint32_t old_timeline;
	uint64_t end_lsn;  /* of the last whole record here */
	int64_t last_us;   /* of the last transaction here, by the primary's
			    * clock; 0 unknown */
	int64_t known_us;  /* all that the primary had at this time is here */
	int64_t frozen_us; /* wall clock of the freeze */
	int64_t loss_us;   /* at most so much time is lost; -1 unknown */
	int64_t
	    loss_bytes; /* at least so much is known to be lost; -1 unknown */
	/* Of the rest: */
	bool
	    promoted; /* there is a new timeline; also when a later step failed */
	bool probed; /* a transaction that wrote was committed */
	uint32_t timeline;
	uint64_t fork_lsn;		/* where it begins */
	int64_t step_us[PROMOTE_STEPS]; /* how long each took; -1 not done */
	int64_t elapsed_us;
};

/*
 * ERR_REFUSED when there is nothing to promote; ERR_TRANSIENT when nothing moved
 * any more.  result tells how far it came in any case.  A standby that was
 * promoted already goes through probe and hook again.
 */
int promote_run(const struct settings *s, const struct cluster_settings *c,
    const struct promote_options *options, struct promote_result *result,
    struct err *e);

/* ---- promote_hook.c ---- */

/* Run promote_hook with the word "before" or "after"; 0 also when there is none.
 * The environment is described in pgkura-standby(1). */
int promote_hook(const struct settings *s, const struct cluster_settings *c,
    const char *when, const struct promote_result *result, struct err *e);

/* ---- promote_adopt.c ---- */

/* Is the standby of this site promoted, by us or by others?  1, 0, -1. */
int promote_is_done(
    const struct settings *s, const struct cluster_settings *c, struct err *e);
/* Note it, with how its server is reached. */
int promote_note(const struct settings *s, const struct cluster_settings *c,
    uint32_t timeline, uint64_t fork_lsn, struct err *e);
bool
promote_has_note(const struct settings *s, const struct cluster_settings *c);
int promote_forget(
    const struct settings *s, const struct cluster_settings *c, struct err *e);
/* The daemon, if one runs, looks anew at which server is the cluster's. */
void promote_tell_daemon(const struct settings *s);
/*
 * Right after settings are read: which server is the cluster's here?
 *
 *	standby_dir holds	then
 *	a promoted standby	conninfo names it, backup_conninfo nothing, and
 *				WAL is received from it
 *	a standby		with accept_from: there is no server here, and
 *				conninfo tells how the standby is reached
 *	a server not ours	all is as it is written: an old primary's own
 */
void promote_adopt(struct settings *s);

#endif /* !JOBS_PROMOTE_H */
