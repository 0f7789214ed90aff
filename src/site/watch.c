#include "site/watch.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *name;
	const char *text;
} verdicts[] = {
	[WATCH_UNKNOWN] = { "unknown", "nobody has looked yet" },
	[WATCH_ALIVE] = { "alive", "the server answers" },
	[WATCH_IMPAIRED] = { "impaired",
	    "the server is there, but its health cannot be seen" },
	[WATCH_STARTING] = { "starting", "the server is starting up" },
	[WATCH_DOWN] = { "down", "the server is gone" },
	[WATCH_HUNG] = { "hung", "the server does not answer" },
	[WATCH_DEAD] = { "dead", "the server is gone and does not come back" },
	[WATCH_STOPPED] = { "stopped", "its administrator stopped the server" },
	[WATCH_MAINTENANCE] = { "maintenance",
	    "the cluster is under maintenance" },
};

const char *
watch_verdict_name(enum watch_verdict v)
{
	return verdicts[v].name;
}

const char *
watch_verdict_text(enum watch_verdict v)
{
	return verdicts[v].text;
}

/* SQLSTATEs: errcodes-appendix.html; postmaster.c's canAcceptConnections()
 * for 57P03 and 53300. */
enum watch_sql
watch_sql_of(const char *sqlstate, bool timed_out, bool refused)
{
	if (sqlstate != NULL && sqlstate[0] != '\0') {
		if (strcmp(sqlstate, "57P03") == 0)
			return WATCH_SQL_STARTING;
		if (strcmp(sqlstate, "53300") == 0)
			return WATCH_SQL_TOO_MANY;
		if (strncmp(sqlstate, "28", 2) == 0)
			return WATCH_SQL_AUTH;
		return WATCH_SQL_OTHER;
	}
	if (timed_out)
		return WATCH_SQL_TIMEOUT;
	if (refused)
		return WATCH_SQL_REFUSED;
	return WATCH_SQL_OTHER;
}

void
watch_start(struct watch *w)
{
	(void)memset(w, 0, sizeof(*w));
	w->alive_since_us = -1;
}

static enum watch_verdict
lives(struct watch *w, const struct watch_settings *s, int64_t now_us)
{
	w->timeouts = 0;
	w->looks = 0;
	w->attempting = false;
	w->stopped = false;
	if (w->alive_since_us == -1)
		w->alive_since_us = now_us;
	if (now_us - w->alive_since_us >= s->settle_us)
		w->attempts = 0;
	return WATCH_ALIVE;
}

/*
 * It is down or hung: begin an attempt, wait for one, or give up.  moved:
 * something grew since the last look.  Where it may not run, the attempts begin
 * when it may again.
 */
static enum watch_verdict
recover(struct watch *w, const struct watch_settings *s,
    const struct watch_facts *f, enum watch_verdict verdict, bool moved,
    struct watch_result *r)
{
	w->alive_since_us = -1;
	if (f->withheld) {
		w->attempting = false;
		w->attempts = 0;
		return verdict;
	}
	if (w->attempting) {
		w->looks = moved ? 0 : w->looks + 1;
		if (!f->start_failed && w->looks < s->start_looks)
			return verdict;
		w->attempting = false;
	}
	if (w->attempts >= s->recoveries)
		return WATCH_DEAD;
	w->attempts++;
	w->attempting = true;
	w->looks = 0;
	w->timeouts = 0;
	r->act = verdict == WATCH_HUNG ? WATCH_STOP_START : WATCH_START;
	r->attempt = w->attempts;
	return verdict;
}

/* Connecting or the question took too long. */
static enum watch_verdict
silent(struct watch *w, const struct watch_settings *s,
    const struct watch_facts *f, bool moved, struct watch_result *r)
{
	if (moved)
		w->timeouts = 0;
	else if (w->timeouts < s->timeouts)
		w->timeouts++;
	if (w->verdict == WATCH_DEAD && !w->attempting && !f->withheld)
		return WATCH_DEAD;
	if (w->attempting)
		return recover(w, s, f, WATCH_HUNG, moved, r);
	if (w->timeouts < s->timeouts)
		return WATCH_IMPAIRED;
	return recover(w, s, f, WATCH_HUNG, moved, r);
}

/* Nobody listens. */
static enum watch_verdict
nobody(struct watch *w, const struct watch_settings *s,
    const struct watch_facts *f, bool moved, struct watch_result *r)
{
	w->timeouts = 0;
	if (f->process == WATCH_PROCESS_THERE) {
		/* It came up just now, or listens elsewhere: no death. */
		if (w->attempting)
			return recover(w, s, f, WATCH_HUNG, moved, r);
		return WATCH_IMPAIRED;
	}
	if (f->clean_stop)
		w->stopped = true;
	if (w->stopped) {
		w->attempting = false;
		w->alive_since_us = -1;
		return WATCH_STOPPED;
	}
	return recover(w, s, f, WATCH_DOWN, moved, r);
}

static enum watch_verdict
judge(struct watch *w, const struct watch_settings *s,
    const struct watch_facts *f, bool moved, struct watch_result *r)
{
	switch (f->sql) {
	case WATCH_SQL_OK:
		return lives(w, s, f->now_us);
	case WATCH_SQL_AUTH:
	case WATCH_SQL_TOO_MANY:
	case WATCH_SQL_OTHER:
	case WATCH_SQL_STOPPING:
		/* Somebody answers: the server is there. */
		w->timeouts = 0;
		w->attempting = false;
		w->stopped = false;
		return WATCH_IMPAIRED;
	case WATCH_SQL_STARTING:
		w->timeouts = 0;
		w->looks = 0;
		w->stopped = false;
		return WATCH_STARTING;
	case WATCH_SQL_TIMEOUT:
		if (f->process != WATCH_PROCESS_ABSENT)
			return silent(w, s, f, moved, r);
		return nobody(w, s, f, moved, r);
	case WATCH_SQL_REFUSED:
		return nobody(w, s, f, moved, r);
	case WATCH_SQL_NOT_TRIED:
		break;
	}
	if (f->process == WATCH_PROCESS_ABSENT)
		return nobody(w, s, f, moved, r);
	return w->verdict;
}

struct watch_result
watch_step(struct watch *w, const struct watch_settings *s,
    const struct watch_facts *f, int64_t normal_look_us)
{
	struct watch_result r = { WATCH_UNKNOWN, false, WATCH_NOTHING, 0, 0 };
	bool moved = f->progress != w->progress;
	enum watch_verdict was = w->verdict;

	w->progress = f->progress;
	if (f->maintenance) {
		watch_start(w);
		w->progress = f->progress;
		r.verdict = WATCH_MAINTENANCE;
	} else {
		r.verdict = judge(w, s, f, moved, &r);
	}
	r.changed = r.verdict != was;
	w->verdict = r.verdict;
	r.next_look_us = s->look_us;
	if ((r.verdict == WATCH_ALIVE || r.verdict == WATCH_STOPPED ||
		r.verdict == WATCH_MAINTENANCE) &&
	    normal_look_us > 0)
		r.next_look_us = normal_look_us;
	return r;
}
