#include "site/handover.h"

#include <inttypes.h>
#include <string.h>

const char *
handover_act_name(enum handover_act a)
{
	static const char *const names[] = { "wait", "announce", "stop",
		"note the stop", "ship", "give", "release", "ask", "take",
		"promote", "probe", "note the taking", "follow", "finish",
		"abort", "start", "note the start", "idle" };

	return names[a];
}

static void
say(struct handover_step *out, enum handover_act act, const char *why)
{
	out->act = act;
	out->why = why;
}

/* As say(), with a state that is to be durable first. */
static void
write_state(struct handover_step *out, enum handover_act act,
    enum record_handover handover, const char *why)
{
	say(out, act, why);
	out->write = true;
	out->handover = handover;
}

static bool
peer_fresh(const struct handover_facts *f)
{
	return f->peer.heard &&
	    f->now_us - f->peer.heard_us <= f->peer_silent_us;
}

static bool
leased(const struct handover_facts *f)
{
	return decide_leased(f->role);
}

/* What keeps an ordered switchover from beginning; NULL.  *passes: it may pass
 * by itself. */
static const char *
obstacle(const struct handover_facts *f, bool *passes)
{
	const struct record_role_file *r = f->role;

	*passes = false;
	if (r->role != ROLE_PRIMARY)
		return "this site is not the primary";
	if (r->superseded_by > r->held || r->fenced)
		return "this site is superseded or fenced";
	if (!f->running)
		return "the server does not run";
	if (f->voter == NULL || f->voter->lost ||
	    (f->peer.heard && f->peer.voter_lost))
		return "the record of a site's votes is gone";
	if (voter_stands(f->voter) != 0)
		return "maintenance is on: end it first";
	*passes = true;
	if (!peer_fresh(f))
		return "the other site is silent";
	/* The other one's last switchover is brought to its end first. */
	if (f->peer.handover != HANDOVER_NONE || f->peer.taking)
		return "the other site does not follow this one yet";
	*passes = false;
	if (f->peer.role != ROLE_STANDBY || f->peer.fenced)
		return "the other site is not a standby";
	*passes = true;
	if (!f->peer_ready)
		return f->peer_why != NULL ? f->peer_why
					   : "the other site is not ready";
	return NULL;
}

static void
begin(const struct handover_facts *f, struct handover_step *out)
{
	const char *why = obstacle(f, &out->passes);

	if (why != NULL) {
		say(out, HANDOVER_IDLE, why);
		out->refused = true;
		return;
	}
	out->passes = false;
	out->abortable = true;
	write_state(
	    out, HANDOVER_ANNOUNCE, HANDOVER_ANNOUNCED, "both sites are ready");
}

/* The giver is past the line, and it is this site that takes. */
static void
take(const struct handover_facts *f, struct handover_step *out)
{
	uint64_t term = f->peer.handover_term;

	if (f->voter == NULL || f->voter->lost) {
		say(out, HANDOVER_WAIT,
		    "the record of this site's votes is gone");
		return;
	}
	out->term = voter_next_number(f->voter, term);
	out->role = ROLE_PRIMARY;
	if (!leased(f)) {
		/* Nobody else can take it: the giver's word is durable. */
		write_state(out, HANDOVER_TAKE, HANDOVER_TAKING,
		    "the other site gave the term");
		out->force = true;
	} else if (voter_holds(f->voter, f->now_us) &&
	    f->voter->lease_number >= term) {
		write_state(out, HANDOVER_TAKE, HANDOVER_TAKING,
		    "the other site gave the term");
		out->term = f->voter->lease_number;
	} else {
		say(out, HANDOVER_ASK, "two votes of three");
	}
}

/* Before the line: back to where it was.  A server that runs and does not answer may
 * be stopping still: that goes on without us, and it is to be started after it. */
static void
abort_it(
    const struct handover_facts *f, struct handover_step *out, const char *why)
{
	bool is_up = f->running && f->alive;

	write_state(
	    out, is_up ? HANDOVER_FINISH : HANDOVER_ABORT, HANDOVER_NONE, why);
	out->restart = !is_up;
}

/* The server that an aborted one has stopped. */
static void
start_again(const struct handover_facts *f, struct handover_step *out)
{
	if (f->running && f->alive) {
		write_state(out, HANDOVER_STARTED, HANDOVER_NONE,
		    "the server runs again");
		out->restart = false;
		return;
	}
	if (f->running)
		say(out, HANDOVER_WAIT, "the server stops or starts still");
	else if (f->role->maintenance)
		say(out, HANDOVER_WAIT, "maintenance is on");
	else if (!f->may_write)
		say(out, HANDOVER_WAIT, "this site may not write now");
	else
		say(out, HANDOVER_START, "the server was stopped for nothing");
	out->refused = out->passes = f->wanted;
}

static const char unseen[] = "the server has not been looked at yet";

static void
announced(const struct handover_facts *f, struct handover_step *out)
{
	out->abortable = true;
	if (f->aborted)
		abort_it(f, out, "the operator or a failed step stopped it");
	else if (!peer_fresh(f))
		abort_it(f, out, "the other site is silent");
	else if (f->running)
		say(out, HANDOVER_STOP, "the server is to stop clean");
	else if (!f->seen)
		say(out, HANDOVER_WAIT, unseen);
	else if (!f->clean)
		abort_it(f, out, "the server did not stop clean");
	else {
		write_state(out, HANDOVER_NOTE_STOP, HANDOVER_STOPPED,
		    "the server stopped clean");
		out->position = f->end;
	}
}

static void
stopped(const struct handover_facts *f, struct handover_step *out)
{
	out->abortable = true;
	if (f->aborted) {
		abort_it(f, out, "the operator or a failed step stopped it");
	} else if (!peer_fresh(f)) {
		abort_it(f, out, "the other site is silent");
	} else if (f->running) {
		abort_it(f, out, "somebody started the server");
	} else if (!f->seen) {
		say(out, HANDOVER_WAIT, unseen);
	} else if (!f->clean || f->end != f->role->handover_position) {
		abort_it(f, out, "the server has run since it was stopped");
	} else if (f->peer_committed < f->role->handover_position) {
		say(out, HANDOVER_SHIP,
		    "the other site does not have all of the WAL yet");
	} else if (f->voter == NULL || f->voter->lost) {
		abort_it(f, out, "the record of this site's votes is gone");
	} else {
		write_state(out, HANDOVER_GIVE, HANDOVER_GIVEN,
		    "the other site has all");
		out->role = ROLE_STANDBY;
		/* Above all that is known; the taker may take a higher one. */
		out->term = voter_next_number(f->voter, f->role->held + 1) + 1;
		out->position = f->role->handover_position;
	}
}

static void
given(const struct handover_facts *f, struct handover_step *out)
{
	if (f->voter != NULL &&
	    (voter_holds(f->voter, f->now_us) ||
		(f->voter->record.promised_to == f->self &&
		    f->now_us < f->voter->record.promised_until_boot_us)))
		say(out, HANDOVER_RELEASE, "the lease goes back");
	else if (!f->peer.heard || f->peer.held < f->role->handover_term)
		say(out, HANDOVER_WAIT, "the other site takes the term");
	else if (!f->following)
		say(out, HANDOVER_FOLLOW, "the other site is the primary");
	else
		write_state(out, HANDOVER_FINISH, HANDOVER_NONE,
		    "this site follows the other");
}

static void
taking(const struct handover_facts *f, struct handover_step *out)
{
	if (!f->promoted)
		say(out, HANDOVER_PROMOTE, "this site has the term");
	else if (!f->probed)
		say(out, HANDOVER_PROBE, "the server is promoted");
	else
		write_state(out, HANDOVER_NOTE_TAKEN, HANDOVER_TAKEN,
		    "the server takes writes");
}

void
handover_next(const struct handover_facts *f, struct handover_step *out)
{
	const struct record_role_file *r = f->role;

	(void)memset(out, 0, sizeof(*out));
	out->role = r->role;
	out->handover = r->handover;
	out->restart = r->restart;
	say(out, HANDOVER_IDLE, "");
	switch (r->handover) {
	case HANDOVER_NONE:
		if (r->role == ROLE_PRIMARY && r->restart)
			start_again(f, out);
		else if (r->role == ROLE_STANDBY && f->peer.heard &&
		    f->peer.handover == HANDOVER_GIVEN &&
		    f->peer.handover_to == f->self &&
		    f->peer.handover_term > r->held)
			take(f, out);
		else if (f->wanted)
			begin(f, out);
		break;
	case HANDOVER_ANNOUNCED:
		announced(f, out);
		break;
	case HANDOVER_STOPPED:
		stopped(f, out);
		break;
	case HANDOVER_GIVEN:
		given(f, out);
		break;
	case HANDOVER_TAKING:
		taking(f, out);
		break;
	case HANDOVER_TAKEN:
		if (f->wanted ||
		    (peer_fresh(f) && f->peer.handover == HANDOVER_NONE))
			write_state(out, HANDOVER_FINISH, HANDOVER_NONE,
			    "the other site follows");
		else
			say(out, HANDOVER_WAIT, "the other site is to follow");
		break;
	}
}

int
handover_offline(
    const struct handover_offline *f, uint64_t *term, struct err *e)
{
	const struct record_role_file *r = f->role;
	uint64_t top;

	if (r == NULL) {
		(void)err_set(
		    e, ERR_REFUSED, "the record of this site's role is gone");
		return err_hint(e,
		    "Let the daemon learn it from the other sites, or set it by hand.");
	}
	if (r->role != ROLE_STANDBY)
		return err_set(e, ERR_REFUSED,
		    "this site is \"%s\", not \"standby\"",
		    record_role_name(r->role));
	if (r->fenced) {
		(void)err_set(e, ERR_REFUSED, "this site is fenced");
		return err_hint(e, "Lift the fence first.");
	}
	if (!f->promotable)
		return err_set(
		    e, ERR_REFUSED, "the replica here is not promotable");
	if (f->allow_loss_us >= 0 &&
	    (f->loss_us < 0 || f->loss_us > f->allow_loss_us)) {
		(void)err_set(e, ERR_REFUSED,
		    f->loss_us < 0 ? "it is not known how much would be lost"
				   : "more would be lost than is allowed");
		return err_hint(
		    e, "Allow it with --allow-data-loss if that is meant.");
	}
	top = r->held > r->superseded_by ? r->held : r->superseded_by;
	if (f->term != NULL && f->term->number > top)
		top = f->term->number;
	if (r->handover_term > top)
		top = r->handover_term;
	*term = top + 1;
	return 0;
}

struct handover_back_plan
handover_failback(const struct history *mine, uint64_t mine_end,
    const struct history *theirs, uint64_t theirs_end, bool ordered)
{
	struct handover_back_plan p;

	p.verdict = history_compare(mine, mine_end, theirs, theirs_end);
	p.salvage =
	    p.verdict.a_beyond > 0 && p.verdict.relation != HISTORY_UNRELATED;
	switch (p.verdict.relation) {
	case HISTORY_SAME:
	case HISTORY_BEHIND:
		p.way = BACK_FOLLOW;
		p.why = "all that is here is there too";
		return p;
	case HISTORY_UNRELATED:
		p.way = BACK_REFUSE;
		p.why = "the two have nothing in common: make a new copy";
		return p;
	default:
		break;
	}
	if (p.verdict.a_beyond == 0) {
		p.way = BACK_REWIND;
		p.why =
		    "nothing is lost: what was opened here was never written";
	} else if (ordered) {
		p.way = BACK_REWIND;
		p.why = "this site gives way, as ordered";
	} else {
		p.way = BACK_ASK;
		p.why = p.verdict.b_beyond == 0
		    ? "this site has what the other lacks"
		    : "each site has what the other lacks";
	}
	return p;
}
