/*
 * traffic: messages, chunks and their acknowledgements.
 */
#include "link/link_int.h"

#define ACK_CHUNKS 16
#define ACK_US	   (CLOCK_SECOND_US / 10) /* nobody waits for it */
#define ROUNDS_MAX 8 /* of filling and writing one connection in a turn */

/* What was taken is to be said before long. */
static void
ack_later(struct link *l, struct conn *c)
{
	/* At once on a young connection: it may not live long. */
	if (c->taken - c->taken_said >= ACK_CHUNKS || c->taken < ACK_CHUNKS)
		c->ack_due_us = l->now_us;
	else if (c->ack_due_us == 0)
		c->ack_due_us = l->now_us + ACK_US;
}

static int
take_message(
    struct link *l, struct conn *c, const struct frame *f, struct err *e)
{
	ack_later(l, c);
	if (f->number <= l->mail.taken)
		return 0; /* sent again, but it had come */
	if (f->number != l->mail.taken + 1)
		return err_set(e, ERR_CORRUPT, "a message is missing");
	l->mail.taken++;
	l->ops.message(l->arg, f->data, f->len);
	return 0;
}

static int
take_chunk(struct link *l, struct conn *c, const struct frame *f, struct err *e)
{
	struct link_chunk chunk = { f->stream, f->offset, f->data, f->len };

	if (c->kind != FRAME_KIND_LANE)
		return err_set(e, ERR_CORRUPT, "a chunk does not come here");
	if (l->ops.chunk(l->arg, &chunk, e) == -1) {
		session_break(l, e);
		return -1;
	}
	l->st.received_bytes += f->len;
	c->chunk_us = l->now_us;
	c->taken++;
	ack_later(l, c);
	return 0;
}

static int
take_ack(struct link *l, struct conn *c, const struct frame *f, struct err *e)
{
	size_t bytes = l->mail.bytes;
	uint64_t count = f->chunks - c->chunks_acked;
	struct held *h;

	if (mail_acked(&l->mail, f->number) == -1 || count > c->row.count)
		return err_set(
		    e, ERR_CORRUPT, "the peer has taken what was not sent");
	if (count > 0 || l->mail.bytes < bytes)
		stall_progress(l, c);
	c->chunks_acked = f->chunks;
	for (; count > 0; count--) {
		h = held_taken(&l->held, &c->row);
		if (h == NULL)
			continue;
		if (l->ops.chunk_acked != NULL)
			l->ops.chunk_acked(
			    l->arg, h->stream, h->offset, h->len);
		held_drop(h);
	}
	return 0;
}

int
traffic_take(
    struct link *l, struct conn *c, const struct frame *f, struct err *e)
{
	switch (f->type) {
	case FRAME_MESSAGE:
		return take_message(l, c, f, e);
	case FRAME_CHUNK:
		return take_chunk(l, c, f, e);
	case FRAME_ACK:
		return take_ack(l, c, f, e);
	case FRAME_SMALL:
		stall_small(l, &l->paths[f->path]);
		return 0;
	default:
		return err_set(e, ERR_CORRUPT,
		    "a frame of type %u does not belong here",
		    (unsigned int)f->type);
	}
}

/* Is something sent anyway?  Those that are not due yet go with it, so that they
 * wake nobody by themselves: here to send them, there to take them. */
static bool
acks_early(struct link *l)
{
	if (l->now_us - l->acks_us < ACK_US / 2 ||
	    (l->dry && l->mail.unsent == NULL))
		return false;
	l->acks_us = l->now_us;
	return true;
}

int64_t
traffic_acks(struct link *l)
{
	bool early = acks_early(l);
	int64_t next = 0;
	struct conn *c;

	for (c = l->conns; c != NULL; c = c->next) {
		if (c->state != CONN_UP || c->ack_due_us == 0)
			continue;
		if (early || c->ack_due_us <= l->now_us) {
			frame_put_ack(&c->out, l->mail.taken, c->taken);
			c->taken_said = c->taken;
			c->ack_due_us = 0;
		} else if (next == 0 || c->ack_due_us < next) {
			next = c->ack_due_us;
		}
	}
	return next;
}

/* ------------------------------------------------------------------------- */
/* Sending                                                                   */
/* ------------------------------------------------------------------------- */

/* Is a better connection for messages than b?  Beats before lanes, then the
 * shorter way. */
static bool
better(struct link *l, const struct conn *a, const struct conn *b)
{
	if (b == NULL || a->kind != b->kind)
		return b == NULL || a->kind == FRAME_KIND_BEAT;
	return link_conn_path(l, a)->st.rtt_us <
	    link_conn_path(l, b)->st.rtt_us;
}

void
traffic_carrier(struct link *l)
{
	struct conn *c, *best = NULL;

	if (l->carrier != NULL && !l->carrier->stalled &&
	    l->carrier->kind == FRAME_KIND_BEAT)
		return;
	for (c = l->conns; c != NULL; c = c->next)
		if (c->state == CONN_UP && !c->stalled && better(l, c, best))
			best = c;
	if (best == NULL || best == l->carrier ||
	    (l->carrier != NULL && !l->carrier->stalled &&
		best->kind == FRAME_KIND_LANE))
		return;
	l->carrier = best;
	mail_rewind(&l->mail);
}

/* One more chunk into out; false when there is none. */
static bool
fill_chunk(struct link *l, struct conn *c)
{
	struct link_chunk chunk;
	struct held *h = held_again(&l->held);

	if (h != NULL) {
		l->st.resent_bytes += h->len;
	} else {
		if (l->dry || !held_room(&l->held))
			return false;
		if (!l->ops.next_chunk(l->arg, &chunk)) {
			l->dry = true;
			return false;
		}
		h = held_new(&l->held, &chunk);
		l->st.sent_bytes += h->len;
	}
	held_push(&c->row, h);
	frame_put_chunk(&c->out, h->stream, h->offset, h->data, h->len);
	c->sent_data = true;
	return true;
}

static void
fill(struct link *l, struct conn *c)
{
	const struct mail_item *m;

	while (c == l->carrier && conn_waiting(c) < CONN_RECORD_BYTES &&
	    (m = mail_next(&l->mail)) != NULL) {
		frame_put_message(&c->out, m->number, m->data, m->len);
		c->sent_data = true;
	}
	while (c->kind == FRAME_KIND_LANE && !c->stalled &&
	    conn_waiting(c) < CONN_RECORD_BYTES && fill_chunk(l, c))
		continue;
}

void
traffic_send(struct link *l, struct conn *c)
{
	struct err e = ERR_INIT;
	unsigned int round;

	for (round = 0; round < ROUNDS_MAX; round++) {
		if (c->state == CONN_UP)
			fill(l, c);
		if (conn_waiting(c) == 0)
			return;
		if (conn_write(c, &e) == -1) {
			link_conn_end(l, c, &e, 0);
			return;
		}
		c->blocked = conn_waiting(c) > 0;
		if (c->blocked)
			return;
	}
	l->busy = true;
}
