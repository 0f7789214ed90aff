#ifndef JOBS_RULE_H
#define JOBS_RULE_H

/*
 * rule: who of the sites of a cluster may write; one process per cluster that
 * has a role here or that this site is the witness of.
 *
 *	couriers <-- datagrams --> rule --> record_...: <state>/site/<cluster>.role
 *	eye (a child that looks at the server) -+       and .term
 *	orders (<state>/site/<cluster>.order) --+  --> verdict: task (a child:
 *						promote, stop, hook, rejoin)
 *
 * What is decided, site/decide.h and site/handover.h decide; here facts are
 * gathered and what the verdict asks for is done.  Votes and roles are durable
 * before they are told or acted on.
 *
 *	rule.c		the process
 *	rule_facts.c	what decide asks to know
 *	rule_verdict.c	what it says, done
 *	rule_left.c	what a server that is gone has left
 *	rule_votes.c	messages of other sites; votes
 *	rule_witness.c	do both sites ask the same witness?
 *	rule_handover.c	switchover
 *	rule_order.c	what an operator orders
 *	rule_ask.c	the same through the control socket
 *	rule_report.c	role and history, for people and programs
 *	rule_status.c	what is shown
 *	rule_begin.c	the role at the very beginning, or after it was lost
 *	rule_task.c	work in a child
 *	rule_eye.c	looks at the server
 *	rule_guard.c	the watchdog, and whether the fence is proved
 *	rule_store.c	the durable files; who has which seat
 *	rule_wire.c	datagrams between couriers and rules
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/settings.h"
#include "site/decide.h"
#include "site/record.h"
#include "site/voter.h"

/* ---- rule_store.c ---- */

/* Who is who. */
struct rule_sites {
	enum record_seat self;
	enum record_seat
	    peer; /* the other data site; of a witness SEAT_FIRST */
	const char *names[SEATS]; /* NULL: no witness */
	char first[RECORD_NAME_BYTES], second[RECORD_NAME_BYTES];
};

/* Has the cluster a rule at this site? */
bool rule_wanted(const struct cluster_settings *c);
/* ERR_USAGE: which site is the other is not clear. */
int rule_sites(const struct settings *s, const struct cluster_settings *c,
    struct rule_sites *out, struct err *e);
/* <state>/site/<cluster>.<what>; the caller frees. */
char *rule_path(const struct settings *s, const struct cluster_settings *c,
    const char *what);
/* ERR_NOT_FOUND, ERR_CORRUPT: it counts as lost. */
int rule_role_read(const struct settings *s, const struct cluster_settings *c,
    struct record_role_file *r, struct err *e);
int rule_term_read(const struct settings *s, const struct cluster_settings *c,
    struct record_term *t, struct err *e);
/* Durable when this returns 0; the serial grows. */
int rule_role_write(const struct settings *s, const struct cluster_settings *c,
    struct record_role_file *r, struct err *e);
int rule_term_write(const struct settings *s, const struct cluster_settings *c,
    const struct record_term *t, struct err *e);
void
rule_decide_settings(const struct settings *s, const struct cluster_settings *c,
    const struct rule_sites *sites, struct decide_settings *out);
/* Voter and lease from the durable file, as at the start of a process. */
int rule_voter_start(const struct settings *s, const struct cluster_settings *c,
    const struct rule_sites *sites, struct voter *v, struct err *e);
/* May a duty keep a standby here?  Not while this site is the primary. */
bool
rule_may_follow(const struct settings *s, const struct cluster_settings *c);
/* May it receive WAL from a server here?  Not at a standby. */
bool
rule_may_receive(const struct settings *s, const struct cluster_settings *c);

/* ---- rule.c ---- */

/* The duty: until a stop is requested. */
int rule_run(
    const struct settings *s, const struct cluster_settings *c, struct err *e);

/* ---- rule_order.c ---- */

/*
 * Give an order to the running rule and wait for its end: at most timeout_ms
 * without any news.  progress is called when what is said of it changes.
 * ERR_NOT_FOUND: no rule runs.  ERR_REFUSED, ERR_TRANSIENT: its last word.
 */
int rule_give_order(const struct settings *s, const struct cluster_settings *c,
    json_t *order, int timeout_ms,
    void (*progress)(void *arg, const char *line), void *arg, struct err *e);
/* The two halves of that, for who watches more than the order.  What is put
 * there is named by id. */
#define RULE_ORDER_ID_BYTES 40
int rule_put_order(const struct settings *s, const struct cluster_settings *c,
    json_t *order, char id[RULE_ORDER_ID_BYTES], struct err *e);
/* What became of it, by what the rule shows: 1 done, 0 not yet, -1 refused or
 * failed, or another one took its place (*seen: it was there before). */
int rule_order_verdict(
    const json_t *shown, const char *id, bool *seen, struct err *e);
/* What the rule shows, NULL when none runs. */
json_t *rule_shown(const struct settings *s, const struct cluster_settings *c);
/*
 * For who gives orders of others: a copy of what an order may say, or NULL with *e
 * (ERR_USAGE, ERR_CORRUPT) when it says anything else.  Then put it where the rule
 * takes it; by: whose it is.  ERR_NOT_FOUND: no rule runs.
 */
json_t *rule_order_copy(json_t *order, struct err *e);
int
rule_order_publish(const struct settings *s, const struct cluster_settings *c,
    json_t *order, const char *by, char id[RULE_ORDER_ID_BYTES], struct err *e);

/* ---- rule_report.c ---- */

/* What this site is for the cluster by its record, and was; "now": what the rule
 * shows.  What "pgkura role --json" prints. */
json_t *rule_report(
    const struct settings *s, const struct cluster_settings *c, struct err *e);

/* ---- rule_ask.c: what who may not look into state_dir asks pgkurad for ---- */

/* Are the files of the rule closed to us? */
bool
rule_ask_needed(const struct settings *s, const struct cluster_settings *c);
/* rule_report(), or the daemon's. */
json_t *rule_ask_report(
    const struct settings *s, const struct cluster_settings *c, struct err *e);
/* rule_shown(), or what the daemon says of that.  NULL: ERR_NOT_FOUND when no rule
 * runs, ERR_REFUSED. */
json_t *rule_ask_shown(
    const struct settings *s, const struct cluster_settings *c, struct err *e);
int rule_ask_order(const struct settings *s, const struct cluster_settings *c,
    json_t *order, char id[RULE_ORDER_ID_BYTES], struct err *e);

/* ---- rule_offline.c ---- */

/*
 * May a writable server start here?  What the rule says counts; when none runs,
 * the records alone.  why: a clause for people, of 160 bytes.
 */
int rule_may_start(const struct settings *s, const struct cluster_settings *c,
    bool *may, char why[160], struct err *e);
/* Promote without the daemon: an operator's explicit order. */
struct rule_offline {
	int64_t allow_loss_us; /* -1: any */
	int64_t loss_us;       /* out: what is lost; -1 unknown */
	bool plan_only;
	uint64_t term; /* out */
	char result[300];
};
int rule_failover_offline(const struct settings *s,
    const struct cluster_settings *c, struct rule_offline *o,
    void (*say)(void *arg, const char *line), void *arg, struct err *e);

#endif /* !JOBS_RULE_H */
