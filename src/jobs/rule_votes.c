/*
 * rule_votes: what the sites say to each other.
 */

#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/le.h"
#include "base/log.h"
#include "jobs/rule_int.h"

#define SAY_US	(CLOCK_SECOND_US / 2)
#define INFO_US CLOCK_SECOND_US
/* Two clocks, and a line, between them. */
#define AUTOMATIC_SAME_US (60 * CLOCK_SECOND_US)

/* ---- out ---- */

void
rule_send(struct rule *r, enum record_seat to, enum rule_wire_kind kind,
    const uint8_t *content, size_t len)
{
	struct rule_wire w = { .kind = kind, .us = clock_boot_us() };
	int seat;

	if (len > sizeof(w.content))
		return;
	(void)snprintf(w.name, sizeof(w.name), "%s", r->c->name);
	(void)memcpy(w.content, content, len);
	w.len = len;
	for (seat = 0; seat < SEATS; seat++)
		if (r->couriers[seat] != NULL &&
		    (to == SEAT_NONE || to == (enum record_seat)seat))
			rule_wire_send(r->fd, r->couriers[seat], &w);
}

static void
send_vote(struct rule *r, const struct voter_message *m)
{
	struct message out = { .from = r->sites.self, .vote = *m };
	uint8_t bytes[MESSAGE_BYTES_MAX];

	out.kind = m->kind == VOTER_ASKS ? MESSAGE_ASK : MESSAGE_ANSWER;
	(void)snprintf(out.thing, sizeof(out.thing), "%s", r->c->name);
	rule_send(r, m->kind == VOTER_ASKS ? SEAT_NONE : m->to, RULE_WIRE_VOTE,
	    bytes, message_encode(&out, bytes));
}

int
rule_voter_step(struct rule *r, const struct voter_step *step)
{
	struct err e = ERR_INIT;

	if (step->write &&
	    rule_term_write(r->s, r->c, &step->record, &e) == -1) {
		log_error("term_not_written", &e);
		return -1;
	}
	voter_commit(&r->voter, step, clock_boot_us());
	if (step->send)
		send_vote(r, &step->message);
	return 0;
}

bool
rule_ask(struct rule *r, uint64_t number, bool endless)
{
	struct voter_step step = { .write = false };

	if ((endless ? voter_ask_free : voter_ask)(
		&r->voter, number, clock_boot_us(), &step) != VOTER_GRANT)
		return false;
	(void)rule_voter_step(r, &step);
	return true;
}

/* What does not change by itself as time goes. */
static bool
says_the_same(const struct decide_says *a, const struct decide_says *b)
{
	return a->role == b->role && a->held == b->held &&
	    a->superseded_by == b->superseded_by && a->number == b->number &&
	    a->holder == b->holder && a->voter_lost == b->voter_lost &&
	    a->writable == b->writable && a->taking == b->taking &&
	    a->waived == b->waived && a->maintenance == b->maintenance &&
	    a->clean_stop == b->clean_stop && a->fenced == b->fenced &&
	    a->proved == b->proved && a->server == b->server &&
	    a->resigned == b->resigned && a->willing == b->willing &&
	    a->stands == b->stands && a->handover == b->handover &&
	    a->handover_to == b->handover_to &&
	    a->handover_term == b->handover_term;
}

static void
send_info(struct rule *r)
{
	AUTO_JSON json_t *j = json_object();
	AUTO_BUF struct buf text = BUF_INIT;

	(void)json_object_set_new(j, "promotable", json_boolean(r->promotable));
	json_set_str(j, "why", r->why_not);
	(void)json_object_set_new(j, "rpo_us", json_integer(r->rpo_us));
	json_set_str(j, "obstacle", r->obstacle);
	if (r->idle_us > 0)
		(void)json_object_set_new(
		    j, "idle_us", json_integer(r->idle_us));
	if (rule_since_automatic_us(r) >= 0)
		(void)json_object_set_new(j, "since_automatic_us",
		    json_integer(rule_since_automatic_us(r)));
	if (r->promotion_error[0] != '\0' && r->role.role == ROLE_PRIMARY)
		json_set_str(j, "promotion_error", r->promotion_error);
	if (r->asked.why[0] != '\0') {
		json_set_str(j, "asked_id", r->asked.id);
		json_set_str(j, "asked_why", r->asked.why);
		(void)json_object_set_new(
		    j, "asked_final", json_boolean(r->asked.final));
	}
	rule_witness_tell(r, j);
	json_write(j, &text);
	rule_send(r, r->sites.peer, RULE_WIRE_INFO, text.data, text.len);
}

void
rule_ask_switchover(struct rule *r, int64_t now_us)
{
	AUTO_JSON json_t *j = NULL;
	AUTO_BUF struct buf text = BUF_INIT;

	if (now_us - r->switchover_asked_us < INFO_US)
		return;
	r->switchover_asked_us = now_us;
	j = json_object();
	(void)json_object_set_new(j, "switchover", json_true());
	json_set_str(j, "id", r->order.id);
	json_write(j, &text);
	rule_send(r, r->sites.peer, RULE_WIRE_INFO, text.data, text.len);
}

void
rule_say(struct rule *r, int64_t now_us)
{
	struct message m = { .kind = MESSAGE_BEAT, .from = r->sites.self };
	uint8_t bytes[MESSAGE_BYTES_MAX];
	struct decide_facts f;
	bool changed;

	rule_facts(r, &f);
	(void)snprintf(m.thing, sizeof(m.thing), "%s", r->c->name);
	message_says(&m.says, &r->decide, &r->settings, &f);
	changed = !says_the_same(&m.says, &r->said);
	if (!changed && now_us - r->said_us < SAY_US)
		return;
	r->said = m.says;
	r->said_us = now_us;
	rule_send(r, SEAT_NONE, changed ? RULE_WIRE_SAY : RULE_WIRE_BEAT, bytes,
	    message_encode(&m, bytes));
	if (!rule_is_witness(r) && now_us - r->info_us >= INFO_US) {
		r->info_us = now_us;
		send_info(r);
	}
}

/* ---- in ---- */

/* The other data site's announcements are to outlive it. */
static void
keep_announcements(struct rule *r, const struct decide_says *says)
{
	struct record_role_file next = r->role;

	if (!r->has_role || r->role.role != ROLE_STANDBY ||
	    says->role != ROLE_PRIMARY ||
	    (says->maintenance == r->role.maintenance &&
		says->clean_stop == r->role.clean_stop &&
		says->proved == r->role.peer_proved))
		return;
	next.peer_proved = says->proved;
	next.maintenance = says->maintenance;
	next.clean_stop = says->clean_stop;
	(void)rule_put_role(r, &next);
}

static void
hear_beat(struct rule *r, enum record_seat from, const struct rule_wire *w)
{
	struct message m;
	struct voter_view view;
	struct voter_step step = { .write = false };

	if (message_decode(&m, w->content, w->len, NULL) == -1 ||
	    m.kind != MESSAGE_BEAT || m.from != from ||
	    !message_hear(&r->says[from], &m, r->sites.self, r->process, w->us))
		return;
	view = (struct voter_view){ .seat = from,
		.lost = m.says.voter_lost,
		.number = m.says.number,
		.holder = m.says.holder,
		.stands = m.says.stands };
	voter_on_view(&r->voter, &view, clock_boot_us(), &step);
	if (step.write)
		(void)rule_voter_step(r, &step);
	if (from == r->sites.peer && !rule_is_witness(r))
		keep_announcements(r, &m.says);
}

static void
hear_vote(struct rule *r, enum record_seat from, const struct rule_wire *w)
{
	struct voter_step step = { .write = false };
	struct message m;

	if (message_decode(&m, w->content, w->len, NULL) == -1 ||
	    m.from != from || m.vote.from != from)
		return;
	if (m.kind == MESSAGE_ASK) {
		voter_on_ask(&r->voter, &m.vote, clock_boot_us(), &step);
		(void)rule_voter_step(r, &step);
	} else if (m.kind == MESSAGE_ANSWER) {
		/* Its number is heard all the same. */
		if ((from == SEAT_WITNESS && !rule_witness_counts(r)) ||
		    record_role_past(&r->role, m.vote.number))
			m.vote.answer = VOTER_NO_SEAT;
		(void)voter_on_answer(&r->voter, &m.vote, clock_boot_us());
	}
}

/* The other site's operator orders a switchover to there.  What is under way
 * needs no asking, and what was begun and aborted is not begun anew. */
static void
hear_asked(struct rule *r, const json_t *j)
{
	char id[sizeof(r->asked.id)];

	if (json_need_text(j, "id", id, sizeof(id), NULL) == -1 ||
	    (r->role.handover != HANDOVER_NONE &&
		r->role.handover != HANDOVER_TAKEN))
		return;
	if (strcmp(id, r->asked.id) != 0)
		r->asked.why[0] = '\0';
	(void)memcpy(r->asked.id, id, sizeof(id));
	if (strcmp(id, r->asked.begun) == 0) {
		(void)snprintf(
		    r->asked.why, sizeof(r->asked.why), "it was aborted here");
		r->asked.final = true;
		return;
	}
	r->asked.us = clock_boot_us();
}

/* failover_backoff counts from the last automatic failover, whichever site took over
 * by it. */
static void
hear_automatic(struct rule *r, const json_t *j)
{
	struct record_role_file next = r->role;
	int64_t since_us, was_us;

	if (!r->has_role ||
	    json_need_i64(j, "since_automatic_us", &since_us, NULL) == -1 ||
	    since_us < 0)
		return;
	was_us = clock_now_us() - since_us;
	if (was_us <= r->role.automatic_wall_us + AUTOMATIC_SAME_US)
		return;
	next.automatic_wall_us = was_us;
	(void)rule_put_role(r, &next);
}

static void
hear_info(struct rule *r, const struct rule_wire *w)
{
	AUTO_JSON json_t *j = json_parse(w->content, w->len, "info", NULL);

	if (j == NULL)
		return;
	if (json_is_true(json_object_get(j, "switchover"))) {
		hear_asked(r, j);
		return;
	}
	r->info = (struct rule_info){ .us = w->us, .rpo_us = -1 };
	r->info.promotable = json_is_true(json_object_get(j, "promotable"));
	(void)json_need_text(j, "why", r->info.why, sizeof(r->info.why), NULL);
	(void)json_need_i64(j, "rpo_us", &r->info.rpo_us, NULL);
	hear_automatic(r, j);
	rule_witness_hear(r, j);
	(void)json_need_text(
	    j, "obstacle", r->info.obstacle, sizeof(r->info.obstacle), NULL);
	(void)json_need_text(j, "promotion_error", r->info.promotion_error,
	    sizeof(r->info.promotion_error), NULL);
	if (json_need_i64(j, "idle_us", &r->info.idle_us, NULL) == -1 ||
	    r->info.idle_us < 0)
		r->info.idle_us = 0;
	if (json_need_text(
		j, "asked_id", r->answer.id, sizeof(r->answer.id), NULL) == -1)
		return;
	(void)json_need_text(
	    j, "asked_why", r->answer.why, sizeof(r->answer.why), NULL);
	r->answer.final = json_is_true(json_object_get(j, "asked_final"));
}

static void
hear_paths(struct rule *r, const struct rule_wire *w)
{
	size_t i, n = w->len / 8;

	if (n > DECIDE_PATHS_MAX)
		n = DECIDE_PATHS_MAX;
	r->paths = (unsigned int)n;
	for (i = 0; i < n; i++)
		r->path_us[i] = (int64_t)le64_get(w->content + 8 * i);
}

void
rule_hear(struct rule *r)
{
	struct rule_wire w;
	int seat;

	while (rule_wire_receive(r->fd, &w) == 1) {
		for (seat = 0; seat < SEATS; seat++)
			if (r->sites.names[seat] != NULL &&
			    strcmp(r->sites.names[seat], w.name) == 0 &&
			    seat != (int)r->sites.self)
				break;
		if (seat == SEATS)
			continue;
		switch (w.kind) {
		case RULE_WIRE_BEAT:
		case RULE_WIRE_SAY:
			hear_beat(r, (enum record_seat)seat, &w);
			break;
		case RULE_WIRE_VOTE:
			hear_vote(r, (enum record_seat)seat, &w);
			break;
		case RULE_WIRE_INFO:
			if (seat == (int)r->sites.peer)
				hear_info(r, &w);
			break;
		case RULE_WIRE_KEY:
			if (seat == SEAT_WITNESS)
				rule_witness_hear_key(r, &w);
			break;
		case RULE_WIRE_PATHS:
			if (seat == (int)r->sites.peer)
				hear_paths(r, &w);
			break;
		}
	}
}
