#include "site/message.h"

#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/le.h"

#define MESSAGE_VERSION 1

/* Where the next byte goes. */
struct place {
	uint8_t *p;
};

static void
put8(struct place *w, unsigned int v)
{
	*w->p++ = (uint8_t)v;
}

static void
put16(struct place *w, unsigned int v)
{
	le16_put(w->p, (uint16_t)v);
	w->p += 2;
}

static void
put64(struct place *w, uint64_t v)
{
	le64_put(w->p, v);
	w->p += 8;
}

static const struct {
	uint16_t bit;
	size_t offset;
} flags[] = {
	{ MESSAGE_VOTER_LOST, offsetof(struct decide_says, voter_lost) },
	{ MESSAGE_AUTOMATIC, offsetof(struct decide_says, automatic) },
	{ MESSAGE_WRITABLE, offsetof(struct decide_says, writable) },
	{ MESSAGE_TAKING, offsetof(struct decide_says, taking) },
	{ MESSAGE_MAINTENANCE, offsetof(struct decide_says, maintenance) },
	{ MESSAGE_CLEAN_STOP, offsetof(struct decide_says, clean_stop) },
	{ MESSAGE_FENCED, offsetof(struct decide_says, fenced) },
	{ MESSAGE_WAIVED, offsetof(struct decide_says, waived) },
	{ MESSAGE_PROVED, offsetof(struct decide_says, proved) },
	{ MESSAGE_RESIGNED, offsetof(struct decide_says, resigned) },
	{ MESSAGE_WILLING, offsetof(struct decide_says, willing) },
	{ MESSAGE_STANDS, offsetof(struct decide_says, stands) },
};

static bool *
flag_of(struct decide_says *says, size_t i)
{
	return (bool *)(void *)((char *)says + flags[i].offset);
}

static void
encode_says(struct place *w, struct decide_says says)
{
	unsigned int set = 0, seat;
	size_t i;

	for (i = 0; i < COUNT_OF(flags); i++)
		if (*flag_of(&says, i))
			set |= flags[i].bit;
	put8(w, says.role);
	put8(w, says.server);
	put8(w, says.handover);
	put8(w, says.handover_to);
	put8(w, says.holder);
	put8(w, 0);
	put16(w, set);
	put64(w, says.held);
	put64(w, says.superseded_by);
	put64(w, says.number);
	put64(w, says.handover_term);
	put64(w, says.process);
	put64(w, says.beat_us);
	for (seat = 0; seat < SEATS; seat++) {
		put64(w, says.echo[seat].process);
		put64(w, says.echo[seat].beat_us);
	}
	for (seat = 0; seat < SEATS; seat++)
		put64(w, (uint64_t)says.saw_us[seat]);
}

static void
encode_vote(struct place *w, const struct voter_message *v)
{
	put8(w, v->to);
	put8(w, v->answer);
	put8(w, v->known_holder);
	put8(w, 0);
	put64(w, v->round);
	put64(w, v->number);
	put64(w, (uint64_t)v->lease_us);
	put64(w, v->known_number);
	put64(w, (uint64_t)v->wait_us);
}

size_t
message_encode(const struct message *m, uint8_t out[MESSAGE_BYTES_MAX])
{
	size_t len = strnlen(m->thing, sizeof(m->thing) - 1);
	struct place w = { out };

	put16(&w, MESSAGE_VERSION);
	put8(&w, m->kind);
	put8(&w, m->from);
	put8(&w, (unsigned int)len);
	(void)memcpy(w.p, m->thing, len);
	w.p += len;
	if (m->kind == MESSAGE_BEAT)
		encode_says(&w, m->says);
	else
		encode_vote(&w, &m->vote);
	return (size_t)(w.p - out);
}

/* A byte that is one of the words below `below`. */
static unsigned int
get_word(struct cursor *c, unsigned int below)
{
	unsigned int v = cursor_u8(c);

	if (v >= below)
		c->failed = true;
	return c->failed ? 0 : v;
}

static int64_t
get_us(struct cursor *c, int64_t least)
{
	uint64_t v = cursor_le64(c);

	if (v > INT64_MAX && !(least == -1 && v == UINT64_MAX)) {
		c->failed = true;
		return 0;
	}
	return (int64_t)v;
}

static void
decode_says(struct cursor *c, struct decide_says *says)
{
	unsigned int set, seat;
	size_t i;

	says->role = (enum record_role)get_word(c, ROLE_ALONE + 1);
	says->server = (enum watch_verdict)get_word(c, WATCH_MAINTENANCE + 1);
	says->handover = (enum record_handover)get_word(c, HANDOVER_TAKEN + 1);
	says->handover_to = (enum record_seat)get_word(c, SEAT_NONE + 1);
	says->holder = (enum record_seat)get_word(c, SEAT_NONE + 1);
	(void)get_word(c, 1);
	set = cursor_le16(c);
	if ((set & ~(unsigned int)MESSAGE_FLAGS) != 0)
		c->failed = true;
	for (i = 0; i < COUNT_OF(flags); i++)
		*flag_of(says, i) = (set & flags[i].bit) != 0;
	says->held = cursor_le64(c);
	says->superseded_by = cursor_le64(c);
	says->number = cursor_le64(c);
	says->handover_term = cursor_le64(c);
	says->process = cursor_le64(c);
	says->beat_us = cursor_le64(c);
	for (seat = 0; seat < SEATS; seat++) {
		says->echo[seat].process = cursor_le64(c);
		says->echo[seat].beat_us = cursor_le64(c);
	}
	for (seat = 0; seat < SEATS; seat++)
		says->saw_us[seat] = get_us(c, -1);
}

static void
decode_vote(struct cursor *c, struct message *m)
{
	struct voter_message *v = &m->vote;

	v->kind = m->kind == MESSAGE_ASK ? VOTER_ASKS : VOTER_ANSWERS;
	v->from = m->from;
	v->to = (enum record_seat)get_word(c, SEAT_NONE + 1);
	v->answer = (enum voter_answer)get_word(c, VOTER_NO_SEAT + 1);
	v->known_holder = (enum record_seat)get_word(c, SEAT_NONE + 1);
	(void)get_word(c, 1);
	v->round = cursor_le64(c);
	v->number = cursor_le64(c);
	v->lease_us = get_us(c, 0);
	v->known_number = cursor_le64(c);
	v->wait_us = get_us(c, 0);
}

static void
decode_thing(struct cursor *c, char out[RECORD_NAME_BYTES])
{
	unsigned int len = get_word(c, RECORD_NAME_BYTES);
	const uint8_t *name = cursor_bytes(c, len);

	if (name == NULL || len == 0 || memchr(name, 0, len) != NULL) {
		c->failed = true;
		return;
	}
	(void)memcpy(out, name, len);
	out[len] = '\0';
}

int
message_decode(struct message *m, const uint8_t *in, size_t len, struct err *e)
{
	struct message read;
	struct cursor c;
	unsigned int version;

	(void)memset(&read, 0, sizeof(read));
	cursor_init(&c, in, len);
	version = cursor_le16(&c);
	if (!c.failed && version != MESSAGE_VERSION)
		return err_set(e, ERR_CONFLICT,
		    "message between sites is of version %u, not %d", version,
		    MESSAGE_VERSION);
	read.kind = (enum message_kind)get_word(&c, MESSAGE_ANSWER + 1);
	read.from = (enum record_seat)get_word(&c, SEATS);
	decode_thing(&c, read.thing);
	if (read.kind == MESSAGE_BEAT)
		decode_says(&c, &read.says);
	else if (read.kind == MESSAGE_ASK || read.kind == MESSAGE_ANSWER)
		decode_vote(&c, &read);
	else
		c.failed = true;
	if (c.failed || c.left != 0)
		return err_set(
		    e, ERR_CORRUPT, "message between sites is malformed");
	*m = read;
	return 0;
}

/* How long before now_us the sender of says had a sign of life of a seat. */
static int64_t
age_of(const struct decide_says *says, unsigned int seat, int64_t now_us)
{
	if (!says->heard || says->saw_us[seat] < 0)
		return DECIDE_NEVER;
	return now_us - says->heard_us + says->saw_us[seat];
}

/*
 * How long ago a sender that is heard now had its last sign of life of a seat.  Each
 * message makes the time that it was on its way part of the answer.  Of one sign it
 * is the shortest way that counts: a later word of it, by a slower way, is no new
 * sign.  And what was seen once was seen, in whatever order it is told.
 */
static int64_t
best_age(const struct decide_says *was, const struct decide_says *is,
    unsigned int seat, int64_t now_us)
{
	int64_t before = age_of(was, seat, now_us), now = is->saw_us[seat];

	if (before < 0 || now < 0)
		return before < 0 ? now : before;
	if (was->process == is->process &&
	    was->sight_us[seat] == is->sight_us[seat])
		return before > now ? before : now;
	return before < now ? before : now;
}

bool
message_hear(struct decide_says *says, const struct message *m,
    enum record_seat self, uint64_t process, int64_t now_us)
{
	struct decide_says next = m->says;
	unsigned int seat;

	if (says->heard && says->process == m->says.process &&
	    says->beat_us > m->says.beat_us)
		return false;
	next.heard = true;
	next.heard_us = now_us;
	next.echo_us = says->heard ? says->echo_us : -1;
	if (m->says.echo[self].process == process &&
	    m->says.echo[self].beat_us <= (uint64_t)now_us)
		next.echo_us = (int64_t)m->says.echo[self].beat_us;
	for (seat = 0; seat < SEATS; seat++) {
		next.sight_us[seat] =
		    next.beat_us - (uint64_t)next.saw_us[seat];
		next.saw_us[seat] = best_age(says, &next, seat, now_us);
	}
	*says = next;
	return true;
}

void
message_says(struct decide_says *says, const struct decide *d,
    const struct decide_settings *s, const struct decide_facts *f)
{
	const struct record_role_file *r = f->role;
	unsigned int seat;

	(void)memset(says, 0, sizeof(*says));
	says->handover_to = SEAT_NONE;
	says->holder = SEAT_NONE;
	if (r != NULL) {
		says->role = r->role;
		says->held = r->held;
		says->waived = r->waived != 0 && r->waived == r->held;
		says->resigned = record_role_resigned(r);
		says->superseded_by = r->superseded_by;
		says->maintenance = r->maintenance;
		says->clean_stop = r->clean_stop;
		says->fenced = r->fenced;
		says->proved =
		    r->fence != FENCE_NONE && f->proved && f->guarded;
		says->handover = r->handover;
		says->handover_to = r->handover_to;
		says->handover_term = r->handover_term;
	}
	says->voter_lost = f->voter == NULL || f->voter->lost;
	if (f->voter != NULL) {
		says->number = f->voter->record.number;
		says->holder = f->voter->record.holder;
		says->stands =
		    voter_stands(f->voter) == says->number && says->number != 0;
	}
	says->automatic = s->automatic;
	says->writable = f->writable;
	says->taking = d->taking;
	says->willing = d->willing;
	says->server = f->server;
	says->process = f->process;
	says->beat_us = (uint64_t)f->now_us;
	for (seat = 0; seat < SEATS; seat++) {
		says->echo[seat].process = f->says[seat].process;
		says->echo[seat].beat_us = f->says[seat].beat_us;
		says->saw_us[seat] = f->says[seat].heard
		    ? f->now_us - f->says[seat].heard_us
		    : DECIDE_NEVER;
	}
}
