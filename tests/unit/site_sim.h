#ifndef SITE_SIM_H
#define SITE_SIM_H

/*
 * site_sim: three sites in a virtual world, for site_model.c; perhaps with a second
 * witness, which each data site may ask instead of the first.
 *
 * True time is ours alone.  Each site has a clock that began anywhere, runs up
 * to 1 % fast or slow and starts anew with each boot; a disk; a watcher process
 * that can be killed, stopped or suspended with its host; a server that runs on
 * without the watcher.  Messages are lost, late, doubled; lines are cut in one
 * direction or both.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "site/decide.h"
#include "site/handover.h"
#include "site/message.h"
#include "site/witness.h"

#define SIM_S	     ((int64_t)1000000)
#define SIM_QUEUE    256
#define SIM_SECOND   SEATS /* the second witness, in the same seat */
#define SIM_SITES    (SEATS + 1)
#define SIM_THING    "main"
#define SIM_FAR_AWAY INT64_MAX

struct sim_site {
	unsigned int index;
	enum record_seat seat;
	/* The host and its clock. */
	bool host_up;
	int64_t boot_true_us, boot_base_us;
	int64_t rate_ppm; /* of the clock: 1,000,000 is right */
	uint64_t boot_number;
	int64_t suspended_until;   /* 0: not */
	int64_t powered_off_until; /* by the hook; 0: not */
	/* The watcher process. */
	bool process_up;
	int64_t stopped_until;	 /* SIGSTOP; 0: not */
	int64_t unguarded_until; /* no watchdog; 0: it is there */
	uint64_t process;
	int64_t started; /* true time */
	int64_t next_look, next_beat, restart_at;
	int64_t last_look_true;
	struct voter voter;
	struct decide decide;
	struct decide_verdict verdict;
	struct decide_says says[SEATS];
	int64_t path_us[2];
	struct witness witness;
	int64_t next_info, info_sent;
	uint64_t tellings;
	/* Its disk. */
	struct buf term_file; /* len 0: gone */
	bool role_there;
	struct record_role_file role;
	/* The server. */
	bool running, writable, promoted, clean, admin_stopped;
	int64_t stop_at; /* it is stopping, and stops then; 0: not */
	bool server_dead;
	bool gave_up; /* it resigned, and its server was not started since */
	uint64_t position;  /* end of its WAL */
	uint64_t committed; /* as a standby */
	/* What the oracle knows of its watching: true times. */
	int64_t unseen_since; /* last sign of life of the peer, or of a break */
	int64_t confirmed; /* when an order to end the hold was obeyed last */
	enum decide_order order;
	unsigned int asks; /* which witness */
	bool wanted, aborted;
	enum decide_hook hook;
};

struct sim_message {
	int64_t at, sent;
	unsigned int from, to, path;
	size_t len; /* 0: what the data sites tell each other beyond beats */
	uint8_t bytes[MESSAGE_BYTES_MAX];
	char witness[RECORD_WITNESS_BYTES];
	uint64_t witness_id, witness_heard, witness_held;
};

struct sim {
	uint64_t random;
	int64_t now; /* true time */
	uint64_t steps;
	struct decide_settings settings;
	int64_t lease_us;
	enum record_fence fence;
	bool witness, second;
	struct sim_site sites[SIM_SITES];
	struct sim_message queue[SIM_QUEUE];
	unsigned int queued;
	bool cut[SIM_SITES][SIM_SITES][2];
	unsigned int loss_percent, double_percent, crash_percent;
	int64_t delay_us;
	bool calm; /* no more faults */
	bool promotable, proved, unshipped, heedless;
	int64_t rpo_us;
	/* The oracle. */
	bool exempt;	 /* an operator's explicit order is in force */
	bool files_lost; /* in this episode */
	uint64_t top_held;
	unsigned int top_holder;
	uint64_t lease_number[SEATS];
	int owner;  /* whose turn it is to write: promoted or handed to */
	bool sharp; /* short waits, extreme clocks, cuts as long as leases */
	int last_writer; /* who acknowledged last, and under what term */
	uint64_t last_term;
	unsigned int faults; /* violations seen */
	char fault[200];
	uint64_t promotions, handovers, leases, resignations, taken;
	uint64_t changes;    /* of the witness */
	uint64_t apart;	     /* looks at which the sites asked different ones */
	uint64_t given_back; /* promises forgotten since a lease went back */
	uint64_t freed;	     /* leases without an end */
	uint64_t
	    alone; /* commits of one that is free, its watcher being down */
};

static uint64_t
sim_random(struct sim *m)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return m->random * 0x2545f4914f6cdd1dULL;
}

/* 0 to below - 1 */
static int64_t
sim_below(struct sim *m, int64_t below)
{
	return (int64_t)((sim_random(m) >> 11) % (uint64_t)below);
}

static bool
sim_chance(struct sim *m, unsigned int percent)
{
	return sim_below(m, 100) < (int64_t)percent;
}

/* CLOCK_BOOTTIME of a site. */
static int64_t
sim_clock(const struct sim *m, const struct sim_site *s)
{
	int64_t passed = m->now - s->boot_true_us;

	return s->boot_base_us + passed / 1000000 * s->rate_ppm +
	    passed % 1000000 * s->rate_ppm / 1000000;
}

/* A rule was broken: the first one of an episode is told. */
static void sim_violation(struct sim *m, const char *fmt, ...)
    __attribute__((__format__(__printf__, 2, 3)));
static void
sim_violation(struct sim *m, const char *fmt, ...)
{
	va_list ap;

	if (m->faults++ > 0)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(m->fault, sizeof(m->fault), fmt, ap);
	va_end(ap);
}

static struct sim_site *
sim_peer(struct sim *m, const struct sim_site *s)
{
	return &m->sites[s->seat == SEAT_FIRST ? SEAT_SECOND : SEAT_FIRST];
}

static bool
sim_paused(const struct sim *m, const struct sim_site *s)
{
	return m->now < s->stopped_until || m->now < s->suspended_until;
}

static const char *
sim_boot_id(const struct sim_site *s, char out[RECORD_BOOT_BYTES])
{
	(void)snprintf(out, RECORD_BOOT_BYTES, "boot-%u-%llu",
	    (unsigned int)s->seat, (unsigned long long)s->boot_number);
	return out;
}

/* --- lines --- */

/* How many of these messages lie about for a while. */
static unsigned int
sim_late_percent(const struct sim *m, const struct message *content)
{
	if (!m->sharp)
		return 1;
	return content->kind == MESSAGE_ASK &&
		content->vote.lease_us == VOTER_GIVEN_BACK
	    ? 50
	    : 5;
}

static void
sim_post(struct sim *m, const struct sim_site *from, unsigned int to,
    unsigned int path, const struct message *content)
{
	struct sim_message *q;
	unsigned int copies = sim_chance(m, m->double_percent) ? 2 : 1;

	if (m->cut[from->index][to][path])
		return;
	for (; copies > 0; copies--) {
		if (sim_chance(m, m->loss_percent) || m->queued == SIM_QUEUE)
			continue;
		q = &m->queue[m->queued++];
		q->sent = m->now;
		q->at = m->now + 1000 + sim_below(m, m->delay_us);
		if (sim_chance(m, sim_late_percent(m, content)))
			q->at += sim_below(m, 60 * SIM_S);
		q->from = from->index;
		q->to = to;
		q->path = path;
		q->len = message_encode(content, q->bytes);
	}
}

static unsigned int
sim_paths(unsigned int a, unsigned int b)
{
	return a >= SEAT_WITNESS || b >= SEAT_WITNESS ? 1 : 2;
}

static void
sim_send(struct sim *m, const struct sim_site *s, unsigned int to,
    const struct message *content)
{
	unsigned int path;

	if (to == SEAT_WITNESS && !m->witness)
		return;
	if (to == SEAT_WITNESS)
		to = s->asks;
	for (path = 0; path < sim_paths(s->seat, to); path++)
		sim_post(m, s, to, path, content);
}

/* --- host, process, disk --- */

static void
sim_process_dies(struct sim *m, struct sim_site *s, int64_t back_us)
{
	s->process_up = false;
	s->stopped_until = 0;
	s->restart_at = m->now + back_us;
}

static void
sim_server_gone(struct sim_site *s)
{
	s->clean = s->clean && !s->running; /* what was clean stays so */
	s->running = false;
	s->writable = false;
	s->stop_at = 0;
}

static void
sim_host_dies(struct sim *m, struct sim_site *s, int64_t back_us)
{
	sim_process_dies(m, s, back_us);
	sim_server_gone(s);
	s->host_up = false;
	s->suspended_until = 0;
}

/* The disk has this record from now on; false: the process died first, before
 * or after the writing. */
static bool
sim_write_term(
    struct sim *m, struct sim_site *s, const struct record_term *record)
{
	bool dies = sim_chance(m, m->crash_percent);

	if (!dies || sim_chance(m, 50))
		record_term_print(record, &s->term_file);
	if (dies)
		sim_process_dies(m, s, sim_below(m, 20 * SIM_S));
	return !dies;
}

static bool
sim_write_role(
    struct sim *m, struct sim_site *s, const struct record_role_file *role)
{
	bool dies = sim_chance(m, m->crash_percent);

	if (!dies || sim_chance(m, 50)) {
		if (role->role == ROLE_PRIMARY && s->role.role == ROLE_STANDBY)
			m->owner = (int)s->seat;
		if (record_role_resigned(role) &&
		    !record_role_resigned(&s->role)) {
			s->gave_up = true;
			m->resignations++;
			if (s->running)
				sim_violation(
				    m, "resigned while its server runs");
		}
		s->role = *role;
		s->role_there = true;
	}
	if (dies)
		sim_process_dies(m, s, sim_below(m, 20 * SIM_S));
	return !dies;
}

/* What a step asks: write, commit, send, in this order. */
static bool
sim_do_step(struct sim *m, struct sim_site *s, const struct voter_step *step)
{
	struct message out;
	unsigned int to;

	if (step->write && !sim_write_term(m, s, &step->record))
		return false;
	voter_commit(&s->voter, step, sim_clock(m, s));
	if (!step->send)
		return true;
	(void)memset(&out, 0, sizeof(out));
	out.kind =
	    step->message.kind == VOTER_ASKS ? MESSAGE_ASK : MESSAGE_ANSWER;
	out.from = s->seat;
	(void)snprintf(out.thing, sizeof(out.thing), "%s", SIM_THING);
	out.vote = step->message;
	for (to = 0; to < SEATS; to++)
		if (to != s->seat &&
		    (step->message.to == SEAT_NONE || step->message.to == to))
			sim_send(m, s, to, &out);
	return true;
}

static void
sim_process_starts(struct sim *m, struct sim_site *s)
{
	struct record_term record;
	struct voter_config config;
	struct err e = ERR_INIT;
	char boot_id[RECORD_BOOT_BYTES];
	bool there;

	if (!s->host_up) {
		s->host_up = true;
		s->boot_number++;
		s->boot_true_us = m->now;
		s->boot_base_us = 1 + sim_below(m, 5 * SIM_S);
	}
	s->process_up = true;
	s->process = sim_random(m);
	s->started = m->now;
	(void)memset(&config, 0, sizeof(config));
	config.thing = SIM_THING;
	config.seats[SEAT_FIRST] = "tokyo";
	config.seats[SEAT_SECOND] = "osaka";
	config.seats[SEAT_WITNESS] = m->witness ? "nagoya" : "";
	config.boot_id = sim_boot_id(s, boot_id);
	config.self = s->seat;
	config.lease_us = m->lease_us;
	config.round = sim_random(m);
	there = s->term_file.len > 0 &&
	    record_term_parse(
		&record, s->term_file.data, s->term_file.len, &e) == 0;
	voter_start(
	    &s->voter, &config, there ? &record : NULL, sim_clock(m, s));
	decide_start(&s->decide);
	(void)memset(&s->verdict, 0, sizeof(s->verdict));
	(void)memset(s->says, 0, sizeof(s->says));
	(void)memset(&s->witness, 0, sizeof(s->witness));
	s->path_us[0] = s->path_us[1] = DECIDE_NEVER;
	s->next_look = m->now + sim_below(m, SIM_S);
	s->next_beat = s->next_look;
	s->last_look_true = 0;
	s->unseen_since = m->now;
	s->hook = HOOK_NOT_RUN;
}

/* --- what acknowledges --- */

/* The lease as the receiver sees it: the watcher's, or what is on disk. */
static bool
sim_lease_runs(const struct sim *m, const struct sim_site *s)
{
	struct record_term record;
	struct err e = ERR_INIT;
	char boot_id[RECORD_BOOT_BYTES];

	if (s->process_up)
		return voter_holds(&s->voter, sim_clock(m, s));
	if (!s->host_up || s->term_file.len == 0 ||
	    record_term_parse(
		&record, s->term_file.data, s->term_file.len, &e) == -1)
		return false;
	if (record.lease_until_boot_us == VOTER_FREE)
		return record.standing == record.lease_number &&
		    record.promised_to == s->seat;
	return strcmp(record.boot_id, sim_boot_id(s, boot_id)) == 0 &&
	    sim_clock(m, s) < record.lease_until_boot_us;
}

/* Its lease has no end, and its disk says so. */
static bool
sim_is_free(const struct sim_site *s)
{
	struct record_term record;
	struct err e = ERR_INIT;

	return s->term_file.len > 0 &&
	    record_term_parse(
		&record, s->term_file.data, s->term_file.len, &e) == 0 &&
	    record.lease_until_boot_us == VOTER_FREE;
}

/* Whether a server there acknowledges commits at this moment. */
static bool
sim_acknowledges(const struct sim *m, const struct sim_site *s)
{
	if (!s->host_up || !s->running || !s->writable ||
	    m->now < s->suspended_until || !s->role_there ||
	    s->role.role != ROLE_PRIMARY)
		return false;
	if (!decide_leased(&s->role))
		return true;
	return (s->role.waived != 0 && s->role.waived == s->role.held) ||
	    sim_lease_runs(m, s);
}

/* --- the watcher: what jobs/watch.c does --- */

static void
sim_facts(struct sim *m, struct sim_site *s, struct decide_facts *f)
{
	(void)memset(f, 0, sizeof(*f));
	f->now_us = sim_clock(m, s);
	f->self = s->seat;
	f->process = s->process;
	f->role = s->role_there ? &s->role : NULL;
	f->voter = &s->voter;
	(void)memcpy(f->says, s->says, sizeof(f->says));
	f->witness = m->witness;
	f->witness_unsure = m->witness && s->role_there &&
	    !witness_counts(&s->witness, &s->role);
	if (s->seat != SEAT_WITNESS) {
		f->paths = 2;
		f->path_us[0] = s->path_us[0];
		f->path_us[1] = s->path_us[1];
	}
	f->promotable = m->promotable;
	f->rpo_us = m->rpo_us;
	f->since_automatic_us = DECIDE_NEVER;
	f->hook = s->hook;
	f->proved = m->proved;
	f->guarded = s->unguarded_until <= m->now;
	f->server = s->role.maintenance ? WATCH_MAINTENANCE
	    : s->server_dead		? WATCH_DEAD
	    : s->running		? WATCH_ALIVE
					: WATCH_DOWN;
	f->writable = s->running && s->writable;
	f->failed = s->server_dead && !s->role.maintenance;
	f->gone = !s->running;
	f->shipped =
	    s->seat != SEAT_WITNESS && sim_peer(m, s)->committed == s->position;
	f->order = s->order;
	f->allow_loss_us = -1;
}

/* The oracle of promotions that nobody ordered. */
static void
sim_check_promotion(struct sim *m, struct sim_site *s)
{
	int64_t least = (m->settings.hold_us + decide_detect_us(&m->settings));
	const struct sim_site *peer = sim_peer(m, s);
	bool early = m->now - s->unseen_since < least / 100 * 98 - 2 * SIM_S;

	if (s->order == ORDER_FAILOVER || s->order == ORDER_FORCE)
		return;
	if (!m->settings.automatic || m->fence == FENCE_NONE)
		sim_violation(m, "promoted itself without a fence");
	if (m->fence != FENCE_HOOK && !m->witness)
		sim_violation(m, "promoted itself without a witness");
	if (!m->proved)
		sim_violation(m, "promoted itself with a fence unproved");
	if (!m->promotable)
		sim_violation(m, "promoted what is not promotable");
	if (s->role.canceled)
		sim_violation(m, "promoted after the hold was canceled");
	m->taken += s->decide.given_up;
	if (sim_is_free(peer) && peer->role.role == ROLE_PRIMARY && !m->exempt)
		sim_violation(m, "promoted itself beside one that is free");
	/* It ends the hold for the rest of the silence. */
	if (s->order == ORDER_CONFIRM || s->confirmed > s->unseen_since ||
	    !early)
		return;
	if (!peer->gave_up)
		sim_violation(m,
		    "promoted %lld ms after a sign of life, not %lld",
		    (long long)(m->now - s->unseen_since) / 1000,
		    (long long)least / 1000);
	if (!m->settings.resign)
		sim_violation(m, "promoted with no hold, which is not wanted");
	if (peer->running && peer->writable && peer->host_up)
		sim_violation(m, "promoted with no hold beside a server");
	if (s->committed != peer->position)
		sim_violation(m, "promoted with no hold, and WAL is missing");
	if (m->settings.rpo_limit_us >= 0 &&
	    m->rpo_us > m->settings.rpo_limit_us)
		sim_violation(m, "promoted with no hold, and too much is lost");
	/* What the other announced as this began may be on its way still. */
	if (!m->heedless &&
	    (s->role.maintenance || s->says[peer->seat].maintenance ||
		s->says[peer->seat].clean_stop))
		sim_violation(m, "promoted with no hold in maintenance");
}

static void
sim_promote(struct sim *m, struct sim_site *s)
{
	const struct decide_verdict *v = &s->verdict;
	struct record_role_file role = s->role;
	struct voter_step step;
	uint64_t number = v->number;

	sim_check_promotion(m, s);
	if (v->act == DECIDE_DO_FORCE) {
		if (s->hook != HOOK_OK)
			m->exempt = true;
		voter_force(&s->voter, number, sim_clock(m, s), &step);
		number = step.record.number;
		if (!sim_do_step(m, s, &step))
			return;
		role.waived = number;
	}
	role.role = ROLE_PRIMARY;
	role.held = number;
	role.handover = HANDOVER_NONE;
	role.restart = false;
	if (!sim_write_role(m, s, &role))
		return;
	s->promoted = false; /* it is on its way */
	s->order = ORDER_NONE;
	m->promotions++;
}

static void
sim_stop_server(struct sim *m, struct sim_site *s, bool clean)
{
	if (s->running && s->stop_at == 0) {
		s->stop_at = m->now + sim_below(m, 4 * SIM_S);
		s->clean = clean;
	}
}

/* What the verdict wants on disk. */
static bool
sim_write_verdict(struct sim *m, struct sim_site *s)
{
	const struct decide_verdict *v = &s->verdict;
	struct record_role_file role;

	if (!v->supersede && v->note_held == 0 && !v->clear_waived &&
	    !v->clear_canceled && !v->resign && !v->clear_resigned)
		return true;
	role = s->role;
	if (v->resign)
		role.resigned = role.held;
	if (v->clear_resigned)
		role.resigned = 0;
	if (v->note_held != 0)
		role.held = v->note_held;
	if (v->clear_waived)
		role.waived = 0;
	if (v->clear_canceled)
		role.canceled = false;
	if (v->supersede) {
		role.superseded_by = v->number;
		role.role = ROLE_STANDBY;
		role.handover = HANDOVER_NONE;
		role.restart = false;
		role.waived = 0;
	}
	return sim_write_role(m, s, &role);
}

/* The server follows what may be. */
static void
sim_server(struct sim *m, struct sim_site *s)
{
	const struct decide_verdict *v = &s->verdict;

	if (s->seat == SEAT_WITNESS || (s->server_dead && !s->running) ||
	    s->stop_at != 0)
		return;
	if (!s->role_there)
		return;
	if (s->role.role == ROLE_STANDBY &&
	    s->role.handover != HANDOVER_GIVEN) {
		if (s->running && s->writable)
			sim_stop_server(m, s, false);
		else if (!s->running) {
			s->running = true; /* in recovery */
			s->writable = false;
		}
		return;
	}
	if (s->role.role != ROLE_PRIMARY || !v->may_write ||
	    s->role.handover == HANDOVER_ANNOUNCED ||
	    s->role.handover == HANDOVER_STOPPED)
		return;
	if (!s->running || !s->writable) {
		s->running = true;
		s->writable = true;
		s->gave_up = false;
		if (record_role_resigned(&s->role))
			sim_violation(m, "one that has resigned starts");
		s->promoted = true;
		s->clean = false;
	}
}

static bool
sim_act(struct sim *m, struct sim_site *s)
{
	const struct decide_verdict *v = &s->verdict;
	struct voter_step step;

	if ((v->events & EVENT_TAKING) != 0)
		s->hook = HOOK_NOT_RUN;
	if (!sim_write_verdict(m, s))
		return false;
	if (v->release) {
		/* Of a standby: another site had a later term by order. */
		if (s->running && s->writable && s->role.role == ROLE_PRIMARY)
			sim_violation(m, "gave its lease up while it runs");
		voter_release(&s->voter, &step);
		if (!sim_do_step(m, s, &step))
			return false;
	}
	if (v->ask != 0 &&
	    (v->ask_free ? voter_ask_free : voter_ask)(
		&s->voter, v->ask, sim_clock(m, s), &step) == VOTER_GRANT &&
	    !sim_do_step(m, s, &step))
		return false;
	if (!voter_is_noted(&s->voter)) {
		voter_note(&s->voter, &step);
		if (!sim_do_step(m, s, &step))
			return false;
		m->freed += voter_is_free(&s->voter);
	}
	if (v->act == DECIDE_STOP)
		sim_stop_server(m, s, false);
	if (v->act == DECIDE_RUN_HOOK && sim_chance(m, 50)) {
		/* The other's power is off. */
		s->hook = HOOK_OK;
		sim_host_dies(
		    m, sim_peer(m, s), (20 + sim_below(m, 900)) * SIM_S);
	}
	if (v->act == DECIDE_DO_PROMOTE || v->act == DECIDE_DO_FORCE)
		sim_promote(m, s);
	if (v->order_done)
		s->order = ORDER_NONE;
	return s->process_up;
}

/* --- hand-over --- */

static void
sim_write_handover(
    struct sim *m, struct sim_site *s, const struct handover_step *h)
{
	struct record_role_file role = s->role;
	struct voter_step step;
	uint64_t term = h->term;

	if (h->force) {
		voter_force(&s->voter, term, sim_clock(m, s), &step);
		term = step.record.number;
		if (!sim_do_step(m, s, &step))
			return;
	}
	role.handover = h->handover;
	role.restart = h->restart;
	role.role = h->role;
	switch (h->act) {
	case HANDOVER_ANNOUNCE:
		role.handover_to = sim_peer(m, s)->seat;
		break;
	case HANDOVER_NOTE_STOP:
		role.handover_position = h->position;
		break;
	case HANDOVER_GIVE:
		role.handover_term = term;
		break;
	case HANDOVER_TAKE:
		role.held = term;
		role.waived = 0;
		m->handovers++;
		break;
	default:
		break;
	}
	(void)sim_write_role(m, s, &role);
}

static void
sim_handover(struct sim *m, struct sim_site *s)
{
	struct sim_site *peer = sim_peer(m, s);
	struct handover_facts f;
	struct handover_step h;
	struct voter_step step;

	(void)memset(&f, 0, sizeof(f));
	f.now_us = sim_clock(m, s);
	f.self = s->seat;
	f.role = &s->role;
	f.voter = &s->voter;
	f.peer = s->says[peer->seat];
	f.peer_silent_us = decide_detect_us(&m->settings);
	f.wanted = s->wanted;
	f.aborted = s->aborted;
	f.peer_ready = m->promotable;
	f.seen = true;
	f.running = f.alive = s->running;
	f.may_write = s->verdict.may_write;
	f.clean = s->clean;
	f.end = s->position;
	f.peer_committed = peer->committed;
	f.following = s->running && !s->writable;
	f.promoted = s->promoted && s->writable;
	f.probed = f.promoted;
	handover_next(&f, &h);
	s->wanted = false;
	if (h.write)
		sim_write_handover(m, s, &h);
	if (!s->process_up)
		return;
	switch (h.act) {
	case HANDOVER_STOP:
		sim_stop_server(m, s, true);
		break;
	case HANDOVER_START:
		if (!s->verdict.may_write)
			sim_violation(
			    m, "an aborted hand-over starts a server");
		break;
	case HANDOVER_ABORT:
	case HANDOVER_FINISH:
		s->aborted = false;
		break;
	case HANDOVER_FOLLOW:
		if (!s->running) {
			s->running = true;
			s->writable = false;
		}
		break;
	case HANDOVER_RELEASE:
		if (s->running && s->writable)
			sim_violation(m, "gave its lease up while it runs");
		voter_release(&s->voter, &step);
		(void)sim_do_step(m, s, &step);
		break;
	case HANDOVER_ASK:
		if (voter_ask(&s->voter, h.term, sim_clock(m, s), &step) ==
		    VOTER_GRANT)
			(void)sim_do_step(m, s, &step);
		break;
	default:
		break;
	}
}

/* --- one look --- */

/* A role that is gone may be told by the others. */
static void
sim_role_again(struct sim *m, struct sim_site *s, const struct decide_facts *f)
{
	struct record_role_file role;
	uint64_t held;

	if (s->role_there ||
	    (s->seat != SEAT_WITNESS && s->witness.heard[0] == '\0'))
		return;
	record_role_init(&role, SIM_THING, "site");
	role.role = s->seat == SEAT_WITNESS
	    ? ROLE_WITNESS
	    : decide_role_again(&m->settings, f, &held);
	if (role.role == ROLE_UNKNOWN)
		return;
	role.held = s->seat == SEAT_WITNESS ? 0 : held;
	(void)strcpy(role.witness, WITNESS_UNTOLD);
	(void)strcpy(role.peer_witness, s->witness.heard);
	role.fence = m->fence;
	(void)sim_write_role(m, s, &role);
}

static void
sim_beat(struct sim *m, struct sim_site *s, const struct decide_facts *f)
{
	struct message out;
	unsigned int to;

	(void)memset(&out, 0, sizeof(out));
	out.kind = MESSAGE_BEAT;
	out.from = s->seat;
	(void)snprintf(out.thing, sizeof(out.thing), "%s", SIM_THING);
	message_says(&out.says, &s->decide, &m->settings, f);
	for (to = 0; to < SEATS; to++)
		if (to != s->seat)
			sim_send(m, s, to, &out);
}

/* By a stream: one that is overtaken is not taken. */
static void
sim_info(struct sim *m, struct sim_site *s)
{
	unsigned int to = sim_peer(m, s)->index, path = sim_below(m, 2) != 0;
	struct sim_message *q;

	if (m->now < s->next_info || m->cut[s->index][to][path] ||
	    sim_chance(m, m->loss_percent) || m->queued == SIM_QUEUE)
		return;
	s->next_info = m->now + SIM_S;
	q = &m->queue[m->queued++];
	*q = (struct sim_message){ .sent = m->now,
		.at = m->now + 1000 + sim_below(m, m->delay_us),
		.from = s->index,
		.to = to,
		.path = path,
		.witness_id = s->witness.tells_id };
	if (sim_chance(m, m->sharp ? 5 : 1))
		q->at += sim_below(m, 60 * SIM_S);
	(void)strcpy(q->witness, s->witness.tells);
	if (!s->role_there)
		return;
	q->witness_heard = witness_answer(&s->witness, &s->role);
	q->witness_held = s->role.held;
}

static void
sim_hear_info(struct sim_site *s, const struct sim_message *q)
{
	if (q->sent < s->info_sent || q->sent < s->started)
		return;
	s->info_sent = q->sent;
	if (q->witness[0] != '\0') {
		(void)strcpy(s->witness.heard, q->witness);
		s->witness.heard_id = q->witness_id;
	}
	if (q->witness_heard != 0)
		witness_answered(
		    &s->witness, &s->role, q->witness_heard, q->witness_held);
}

/* False: it died of it. */
static bool
sim_witness(struct sim *m, struct sim_site *s)
{
	struct record_role_file next;

	if (s->seat == SEAT_WITNESS)
		return true;
	(void)snprintf(s->witness.own, sizeof(s->witness.own), "%s",
	    !m->witness			? WITNESS_NONE
		: s->asks == SIM_SECOND ? "second"
					: "first");
	m->apart += s->asks != sim_peer(m, s)->asks;
	if (s->role_there &&
	    witness_step(&s->witness, &s->role, &s->voter, sim_clock(m, s),
		s->index + 2 * ++s->tellings, &next) &&
	    !sim_write_role(m, s, &next))
		return false;
	sim_info(m, s);
	return true;
}

static void
sim_look(struct sim *m, struct sim_site *s)
{
	struct decide_facts f;

	if (s->last_look_true != 0 &&
	    m->now - s->last_look_true > m->settings.step_gap_us / 100 * 103)
		s->unseen_since = m->now;
	s->last_look_true = m->now;
	if (s->order == ORDER_CONFIRM && s->role.canceled)
		s->role.canceled = false;
	sim_facts(m, s, &f);
	sim_role_again(m, s, &f);
	if (!s->process_up || !sim_witness(m, s))
		return;
	sim_facts(m, s, &f);
	decide_step(&s->decide, &m->settings, &f, &s->verdict);
	if (s->order == ORDER_CONFIRM && s->verdict.state == DECIDE_TAKING)
		s->confirmed = m->now;
	if (!sim_act(m, s))
		return;
	if (s->seat != SEAT_WITNESS && s->role_there)
		sim_handover(m, s);
	if (!s->process_up)
		return;
	sim_server(m, s);
	if (m->now >= s->next_beat) {
		sim_facts(m, s, &f);
		sim_beat(m, s, &f);
		s->next_beat = m->now + m->settings.beat_us;
	}
}

/* --- arrivals --- */

/* The oracle of terms: a lease was won or renewed. */
static void
sim_check_lease(struct sim *m, const struct sim_site *s)
{
	uint64_t number = s->voter.lease_number;

	/* Whoever forces a failover answers for one that has another witness. */
	if (!(m->exempt && m->second) &&
	    (number < m->lease_number[s->seat] ||
		number <= m->lease_number[sim_peer(m, s)->seat]))
		sim_violation(m, "a lease of term %llu after terms %llu, %llu",
		    (unsigned long long)number,
		    (unsigned long long)m->lease_number[SEAT_FIRST],
		    (unsigned long long)m->lease_number[SEAT_SECOND]);
	m->lease_number[s->seat] = number;
	m->leases++;
}

static void
sim_hear(
    struct sim *m, struct sim_site *s, const struct message *in, int64_t sent)
{
	struct decide_says *says = &s->says[in->from];
	int64_t now_us = sim_clock(m, s), seen;
	struct voter_view view;
	struct voter_step step;

	if (!message_hear(says, in, s->seat, s->process, now_us))
		return;
	/* In some worlds nobody heeds what is announced: votes are enough. */
	if (m->heedless)
		says->maintenance = false;
	else if (in->says.role == ROLE_PRIMARY && s->role_there &&
	    s->role.role == ROLE_STANDBY)
		s->role.maintenance = in->says.maintenance;
	if (in->from == SEAT_WITNESS && s->seat != SEAT_WITNESS) {
		seen = in->says.saw_us[sim_peer(m, s)->seat];
		if (seen >= 0 && sent - seen > s->unseen_since)
			s->unseen_since = sent - seen;
	}
	view.seat = in->from;
	view.lost = in->says.voter_lost;
	view.number = in->says.number;
	view.holder = in->says.holder;
	view.stands = in->says.stands;
	voter_on_view(&s->voter, &view, now_us, &step);
	if (step.write)
		(void)sim_do_step(m, s, &step);
}

static void
sim_arrive(struct sim *m, const struct sim_message *q)
{
	struct sim_site *s = &m->sites[q->to];
	struct err e = ERR_INIT;
	struct voter_step step;
	struct message in;

	if (!s->process_up)
		return;
	/* Heartbeats come by a connection of this process. */
	if (q->bytes[2] == MESSAGE_BEAT && q->sent < s->started)
		return;
	/* Its courier is gone with the other witness. */
	if (q->from >= SEAT_WITNESS && q->from != s->asks)
		return;
	if (q->len == 0) {
		sim_hear_info(s, q);
		return;
	}
	if (message_decode(&in, q->bytes, q->len, &e) == -1) {
		sim_violation(m, "a message did not decode: %s", e.text);
		return;
	}
	if (in.from != SEAT_WITNESS && s->seat != SEAT_WITNESS) {
		s->path_us[q->path] = sim_clock(m, s);
		s->unseen_since = m->now;
	}
	switch (in.kind) {
	case MESSAGE_BEAT:
		sim_hear(m, s, &in, q->sent);
		break;
	case MESSAGE_ASK:
		voter_on_ask(&s->voter, &in.vote, sim_clock(m, s), &step);
		m->given_back +=
		    step.write && in.vote.lease_us == VOTER_GIVEN_BACK;
		(void)sim_do_step(m, s, &step);
		break;
	case MESSAGE_ANSWER:
		if ((in.from == SEAT_WITNESS &&
			!(s->role_there &&
			    witness_counts(&s->witness, &s->role))) ||
		    (s->role_there &&
			record_role_past(&s->role, in.vote.number)))
			in.vote.answer = VOTER_NO_SEAT;
		if (voter_on_answer(&s->voter, &in.vote, sim_clock(m, s)))
			sim_check_lease(m, s);
		break;
	}
}

#endif /* !SITE_SIM_H */
