#ifndef JOBS_RULE_INT_H
#define JOBS_RULE_INT_H

/*
 * rule_int: what the files of the rule share.
 */

#include <sys/types.h>

#include "jobs/follow.h"
#include "jobs/guard.h"
#include "jobs/rule.h"
#include "jobs/rule_wire.h"
#include "link/link.h"
#include "repo/repo.h"
#include "repo/walknown.h"
#include "site/handover.h"
#include "site/message.h"
#include "site/watch.h"
#include "site/witness.h"

/* ---- rule_eye.c: a child looks at the server, so that one that hangs does not
 * stop the rule ---- */

/* One look. */
struct rule_look {
	int64_t boot_us;
	pid_t pid; /* 0: no process, or on another host */
	enum watch_process process;
	enum watch_sql sql;
	bool
	    writable; /* it answered that it is not in recovery, or lets nobody in
			* and its files say so */
	bool clean;   /* shut down, and it was not killed */
	uint64_t end; /* behind the shutdown checkpoint, when clean */
	uint64_t progress;
	char error[200];
};

struct rule_eye {
	pid_t pid; /* 0: none runs */
	int fd;
	int64_t started_us, heard_us;
};

/* Where the cluster's server lies at this site. */
struct rule_place {
	char *pgdata;	/* NULL: not on this machine */
	char *conninfo; /* NULL: not known now */
	bool standby;	/* the directory of standby_dir */
};
void rule_place_find(const struct settings *s, const struct cluster_settings *c,
    struct rule_place *out);
void rule_place_free(struct rule_place *p);
#define AUTO_RULE_PLACE AUTO(rule_place_free)

void rule_eye_stop(struct rule_eye *eye);
/* Take the newest look; true when there is one.  A child that is silent for
 * timeout_us is replaced, and that is a look too: a time-out. */
bool rule_eye_take(struct rule_eye *eye, const struct settings *s,
    const struct cluster_settings *c, int64_t timeout_us,
    struct rule_look *look);

/* ---- rule_task.c: work that takes time, in a child ---- */

enum rule_work {
	WORK_NONE,
	WORK_PROMOTE,
	WORK_STOP_FAST,
	WORK_STOP_NOW,
	WORK_START,
	WORK_FENCE_HOOK,
	WORK_FENCE_TEST, /* gives way to any other */
	WORK_REJOIN,
	WORK_SALVAGE
};

struct rule;
struct rule_task {
	enum rule_work work; /* WORK_NONE: none runs */
	pid_t pid;
	int fd;
	bool ended; /* taken by rule_task_reap() */
	struct err err;
	char progress[200];
	char result[300]; /* for people */
};

const char *rule_work_name(enum rule_work w);
/* Nothing happens when one runs already. */
void rule_task_start(struct rule *r, enum rule_work work);
/* True when the task has ended: work, err and result say how. */
bool rule_task_reap(struct rule_task *t, enum rule_work *ended);
void rule_task_kill(struct rule_task *t);
/* From within the child. */
void rule_task_say(void *fd, const char *line);
int rule_work_run(const struct settings *s, const struct cluster_settings *c,
    const struct rule_sites *sites, enum rule_work work, int fd,
    char result[300], struct err *e);

/* ---- rule_promote.c ---- */
int rule_work_promote(const struct settings *s,
    const struct cluster_settings *c, void (*say)(void *arg, const char *line),
    void *arg, char result[300], struct err *e);
int rule_work_rejoin(const struct settings *s, const struct cluster_settings *c,
    bool salvage_only, void (*say)(void *arg, const char *line), void *arg,
    char result[300], struct err *e);

/* ---- rule_order.c ---- */

enum rule_order_kind {
	RULE_ORDER_NONE,
	RULE_ORDER_FAILOVER,
	RULE_ORDER_CONFIRM,
	RULE_ORDER_CANCEL,
	RULE_ORDER_SWITCHOVER,
	RULE_ORDER_FAILBACK,
	RULE_ORDER_SALVAGE,
	RULE_ORDER_MAINTENANCE_ON,
	RULE_ORDER_MAINTENANCE_OFF,
	RULE_ORDER_BEGIN, /* take the role of the configuration */
	RULE_ORDER_ABORT
};

struct rule_order {
	enum rule_order_kind kind;
	char id[RULE_ORDER_ID_BYTES];
	char to[RECORD_NAME_BYTES]; /* of a switchover: who is to be the
				     * primary; "" the one that is not */
	bool force, named;	    /* named: this site gives way, as ordered */
	int64_t allow_loss_us;
	int64_t since_us;
	bool begun;	   /* of a switchover or failover: it is under way */
	bool at_standby;   /* a switchover, ordered at the taker */
	char waits[240];   /* what it waits for before it begins */
	const char *state; /* "running", "done", "refused", "failed" */
	char text[500], hint[320];
};

/* ---- rule.c ---- */

/* What the other data site's rule tells beyond its heartbeat. */
struct rule_info {
	int64_t us; /* CLOCK_BOOTTIME; 0: nothing */
	bool promotable;
	char why[200];
	int64_t rpo_us;
	char obstacle[240]; /* to a switchover, as it sees it; "" none */
	int64_t idle_us; /* its server is gone, and wrote no WAL for so long */
	char promotion_error[300]; /* why a promotion there failed last; "" */
};

struct rule {
	const struct settings *s;
	const struct cluster_settings *c;
	struct rule_sites sites;
	struct decide_settings settings;
	struct watch_settings watch_settings;
	int fd; /* datagrams */
	char *socket, *couriers[SEATS];
	uint64_t process; /* a random number of this one */

	/* Durable: */
	bool has_role;
	struct record_role_file role;
	struct voter voter;

	/* Heard: */
	struct decide_says says[SEATS];
	int64_t path_us[DECIDE_PATHS_MAX];
	unsigned int paths;
	struct rule_info info; /* of the other data site */
	struct witness witness;
	/* By the other site's operator: again and again as long as he waits. */
	struct {
		int64_t us; /* CLOCK_BOOTTIME of the last time; 0: not */
		char id[40], begun[40]; /* of his order; the last that
				     * began or was aborted */
		char why[240];		/* what keeps it from beginning */
		bool final;		/* ... for good */
	} asked;
	/* The same as the other site said it of an order given here. */
	struct {
		char id[40], why[240];
		bool final;
	} answer;

	/* Seen: */
	struct rule_place place;
	struct rule_eye eye;
	struct rule_look look;
	int64_t look_after_us; /* what was seen before does not count */
	struct watch watch;
	struct watch_result watched;
	bool stopped_by_us;
	bool tried;	      /* local recovery was, since it was alive */
	int64_t forbidden_us; /* since when it may not run, at least */
	int64_t watch_us;     /* next step */
	struct repo *repo;
	struct lineage lineage;
	bool has_lineage;
	struct wal_known known;
	struct follow_end end; /* of the WAL here, while the server is dead */
	bool shipped;	       /* the other site has it */
	int64_t idle_us;       /* as in struct rule_info, of the server here */
	int64_t rpo_us;
	int64_t known_boot_us; /* when known.server_us was, as far as could be
				* told when it was new */
	bool promotable;
	char why_not[200];
	bool makeable;	    /* there is none yet: a promotion makes it */
	bool standby_here;  /* the server here is a standby that follows */
	bool promoted_here; /* its standby was promoted */
	bool promoting;	    /* a promotion has not come to its end */
	char promotion_error[300]; /* why it failed last; "" */
	int64_t facts_us;

	/* The fence of this site: */
	struct guard guard;
	bool guarded, proved, tested;
	const char *unproved; /* why not */
	char test_text[480];
	int64_t test_us; /* next test of the hook */

	/* Deciding and doing: */
	struct decide decide;
	struct decide_verdict verdict;
	enum decide_hook hook;
	struct handover_step handover;
	/* What would keep a switchover from beginning now; "" nothing.  It may
	 * pass by itself. */
	char obstacle[240];
	bool obstacle_passes;
	int64_t handover_asked_us, switchover_asked_us, start_again_us;
	int64_t home_us; /* since when it could go home; 0: it could not */
	struct rule_task task;
	int64_t promote_again_us, rejoin_again_us;
	bool automatic; /* the promotion under way was ordered by nobody */
	struct rule_order order;
	struct decide_says said;
	int64_t said_us, info_us, shown_us;
	enum decide_state told_state;
	enum decide_reason told_reason;
	int64_t ack_until_us;
};

/* Is that site heard of within the detection time?  The other data site? */
bool rule_fresh(const struct rule *r, enum record_seat seat);
bool rule_peer_fresh(const struct rule *r);
/* Write the role; a failure is told, and the change not made. */
int rule_put_role(struct rule *r, const struct record_role_file *next);
/* Make the step durable, commit it, send what it says. */
int rule_voter_step(struct rule *r, const struct voter_step *step);
void rule_event(const struct rule *r, enum log_level level, const char *event,
    const char *message, const char *key, const char *value);
/* Durable: a promotion begins, or has come to its end. */
int rule_note_promotion(struct rule *r, bool begins);
bool rule_is_witness(const struct rule *r);
/* Take a role, durable; told as event role_changed. */
int rule_take_role(
    struct rule *r, enum record_role role, uint64_t held, const char *reason);

/* ---- rule_verdict.c ---- */
/* What r->verdict asks for; an order that it ends. */
void rule_do_verdict(struct rule *r);
/* Stop an old primary's server that somebody started all the same. */
void rule_guard_standby(struct rule *r);

/* ---- rule_facts.c ---- */
void rule_look_around(struct rule *r, int64_t now_us);
void rule_facts(const struct rule *r, struct decide_facts *f);
/* Since the last automatic failover, of either site, that is known here; -1 none. */
int64_t rule_since_automatic_us(const struct rule *r);
/* Up to where the other site has the WAL; 0 unknown. */
uint64_t rule_peer_committed(const struct rule *r, bool *ready);

/* ---- rule_left.c ---- */
/* Of a primary here whose server is gone: r->shipped, r->idle_us. */
void rule_left_look(struct rule *r);
/* So much of the time from known_us to now_us, by the primary's clock, its server
 * was gone and wrote nothing, as the primary's site says. */
int64_t
rule_left_idle_us(const struct rule *r, int64_t known_us, int64_t now_us);

/* ---- rule_home.c ---- */
void rule_home_step(struct rule *r, int64_t now_us);
/* How long until the role comes home by itself; -1: it does not, as things are. */
int64_t rule_home_left_us(const struct rule *r, int64_t now_us);

/* ---- rule_guard.c ---- */
void rule_guard_step(struct rule *r, int64_t now_us);
/* The test of the fence hook has ended: task.err says how. */
void rule_guard_tested(struct rule *r);

/* ---- rule_votes.c ---- */
void rule_hear(struct rule *r);
void rule_say(struct rule *r, int64_t now_us);
void rule_send(struct rule *r, enum record_seat to, enum rule_wire_kind kind,
    const uint8_t *content, size_t len);
/* endless: for a free lease.  False: the own vote cannot be given now. */
bool rule_ask(struct rule *r, uint64_t number, bool endless);
void rule_ask_switchover(struct rule *r, int64_t now_us);

/* ---- rule_witness.c ---- */
void rule_witness_hear_key(struct rule *r, const struct rule_wire *w);
void rule_witness_step(struct rule *r, int64_t now_us);
/* r->role is a new one. */
void rule_witness_begin(struct rule *r);
/* Do the witness' votes count? */
bool rule_witness_counts(const struct rule *r);
void rule_witness_tell(const struct rule *r, json_t *o);
void rule_witness_hear(struct rule *r, const json_t *o);
void rule_witness_show(const struct rule *r, json_t *all);

/* ---- rule_begin.c ---- */
/* There is no record of a role: may one be taken? */
void rule_begin(struct rule *r);
int rule_begin_ordered(struct rule *r, struct err *e);

/* ---- rule_handover.c ---- */
void rule_handover_step(struct rule *r, int64_t now_us);

/* ---- rule_order.c ---- */
void rule_order_take(struct rule *r);
/* At the beginning: an order that the process before this one did not take. */
void rule_order_drop(struct rule *r);
/* This site has become the primary; old: its record before.  Maintenance of the old
 * one's server, where it was announced, is over. */
void rule_maintenance_over(struct rule *r, const struct record_role_file *old);
/* What this process, or the one before it, showed last. */
json_t *
rule_shown_last(const struct settings *s, const struct cluster_settings *c);
/* ERR_NOT_FOUND. */
int rule_not_running(const struct cluster_settings *c, struct err *e);
void rule_order_end(
    struct rule *r, const char *state, const char *text, const char *hint);

/* ---- rule_status.c ---- */
void rule_show(struct rule *r, int64_t now_us);
void rule_remember_order(struct rule *r);

#endif /* !JOBS_RULE_INT_H */
