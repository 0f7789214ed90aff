#ifndef JOBS_DRILL_LIVE_INT_H
#define JOBS_DRILL_LIVE_INT_H

/*
 * drill_live_int: what the files of the live drill share.
 *
 *	drill_live.c		the story
 *	drill_live_watch.c	orders, and what the rule shows of both sites
 *	drill_live_wal.c	what the WAL of both timelines proves
 *	drill_live_report.c	the report; also of one that was killed
 *	drill_live_show.c	as a job: what it says to who ordered it
 *	drill_live_ask.c	who ordered it
 */

#include "jobs/drill_int.h"
#include "jobs/drill_live.h"
#include "jobs/rule.h"
#include "pg/label.h"

/* How far one direction has come. */
enum live_phase {
	LIVE_ORDERED,
	LIVE_STOPPED, /* the old primary's server has stopped clean */
	LIVE_GIVEN, /* the other site has all its WAL, and may take the term */
	LIVE_TAKEN, /* promoted: its write probe was committed */
	LIVE_WHOLE, /* the old primary follows, and has all */
	LIVE_PHASES
};

/* One direction. */
struct live_way {
	const char *from, *to;
	int64_t ordered_us;	      /* CLOCK_REALTIME; 0: it was not */
	int64_t mark_us[LIVE_PHASES]; /* CLOCK_BOOTTIME; 0: not seen */

	/* By the WAL, once new_timeline is not 0: */
	uint32_t old_timeline, new_timeline;
	uint64_t old_end_lsn; /* behind the last record of the old one */
	bool stopped_clean;   /* which is that of a clean stop */
	uint64_t begin_lsn;   /* of the new one */
	/* Commit times, by the clock of this machine; last_us 0: none found. */
	int64_t last_us, first_us;
	bool proved; /* nothing was lost */
};

struct live {
	struct drill d; /* steps, outcome, lineage; d.lock_fd: "live" */
	const struct drill_live_options *options;
	struct drill_options no_options;
	struct drill_live_plan plan;
	struct live_way ways[2]; /* there, and back */
	uint32_t timeline;	 /* before all of it */
	int64_t skew_us;	 /* the other site's clock minus ours */
	char said[300];
	const char *primary_at; /* at the end: a site, or "unknown" */
	char next[160];		/* the command that goes on; "" none */
	bool ended;		/* nothing more will be known */
};

/* ---- drill_live_watch.c ---- */

/* A line for people, once. */
void live_say(struct live *l, const char *line);
/* Order a switchover to w->to, and follow it until that takes writes.
 * ERR_CANCELED by a signal. */
int live_switch(struct live *l, struct live_way *w, struct err *e);
/* Until the old primary follows and lacks nothing of what was there when the
 * new one began. */
int live_follow(struct live *l, struct live_way *w, struct err *e);
/* Let us_ pass, unless the primary is not at w->to any more. */
int
live_hold(struct live *l, const struct live_way *w, int64_t us, struct err *e);
/* Where the primary is, as far as is known here: one of the plan's names or
 * "unknown".  *moving: a switchover is under way. */
const char *
live_where(const struct settings *s, const struct cluster_settings *c,
    const struct drill_live_plan *plan, bool *moving);

/* ---- drill_live_wal.c ---- */

/* Look until the WAL that is needed is here.  *w then says what it proves; -1
 * also when something was lost. */
int live_prove(struct live *l, struct live_way *w, struct err *e);
/* What writers saw: from the last commit before, or from the order when that
 * came later, to the first commit after; -1 unknown. */
int64_t live_outage_us(const struct live_way *w);

/* ---- drill_live_report.c ---- */

/* Say where the primary is and what to do next: for report and message. */
void live_place(
    const struct settings *s, const struct cluster_settings *c, struct live *l);
json_t *live_report(const struct live *l);
/* Leave word of how far it is, for who finds it killed, or ended with its report
 * not kept. */
int live_record_write(const struct live *l, struct err *e);
void live_record_forget(const struct live *l);

/* ---- drill_live_show.c ---- */

/* Tell who ordered it that it was killed, with the report that was kept. */
void live_show_killed(const struct settings *s,
    const struct cluster_settings *c, json_t *report, const char *id);

#endif /* !JOBS_DRILL_LIVE_INT_H */
